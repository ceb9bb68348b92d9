# pgha witness init --from: a witness by one command and one login.  It fetches what must
# be the same, and the agents write it into the lists of the members: no file is edited.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $bin = PghaCluster::bindir();
my $pgha = PghaCluster::pgha_program();
my $directory = tempdir('/tmp/pgha-witness-join-XXXXXX', CLEANUP => 1);
PghaCluster::give_to_postgres($directory);
my $ports = PghaCluster->new(nodes => 0);
my ($p1, $p2, $pw, $none) = map { $ports->free_port } 1 .. 4;
my %port = (1 => $p1, 2 => $p2, w => $pw);
my %agent;
my $passfile = "$directory/1.pgha/passfile";

sub as_postgres { return PghaCluster::run_command([ PghaCluster::as_postgres(), @_ ]); }
sub run_pgha { return as_postgres('/usr/bin/env', 'PGOPTIONS=-c search_path=nowhere', 'PGPORT=1', $pgha, @_); }

sub ask
{
	my ($node, $query) = @_;
	my ($status, $out, $err) = as_postgres("$bin/psql", '-XAtq', '-h', "$directory/s$node", '-p', $port{$node}, '-d', 'postgres', '-c', $query);
	chomp $out;
	return $status == 0 ? $out : "error: $err";
}

sub wait_for { my ($what, $true) = @_; my $ok = PghaCluster::poll_until('', $true, 60); ok($ok, $what); return; }
sub start_agent { my ($node) = @_; $agent{$node} = PghaCluster::spawn([ PghaCluster::as_postgres(), $pgha, 'agent', '-D', "$directory/$node" ], log => "$directory/agent$node.log"); return; }
sub end_agent { my ($node) = @_; my $pid = delete $agent{$node} or return; kill 'TERM', $pid; waitpid $pid, 0; return; }
sub agents_seen { my ($count) = @_; return sub { ask(1, 'SELECT count(*) FROM pgha_cluster() WHERE agent') eq $count }; }

END
{
	my $code = $?;
	end_agent($_) foreach keys %agent;
	as_postgres("$bin/pg_ctl", '-D', "$directory/$_", '-m', 'immediate', 'stop') foreach grep { -e "$directory/$_/postmaster.pid" } 1, 2, 'w';
	$? = $code;
}

my @init = ('witness', 'init', '-D', "$directory/w", '--node', 'w-1', '--from', "127.0.0.1:$p2", '--port', $pw, '--listen', '127.0.0.1',
	'--set', "unix_socket_directories=$directory/sw");

# Fails, says so, and leaves nothing here nor on the members.
sub refused
{
	my ($name, $code, $pattern, @arguments) = @_;
	my ($status, $out, $err) = run_pgha(@arguments);
	is($status, $code, "$name: exit code") or diag $out, $err;
	like($err, $pattern, "$name: said");
	ok(!-e "$directory/w", "$name: nothing is left");
	return;
}

foreach my $name (qw(s1 s2 sw))
{
	mkdir "$directory/$name";
	PghaCluster::give_to_postgres("$directory/$name");
}

# ---- two members ----

my ($status, $out, $err) = run_pgha('create', '-D', "$directory/1", '--node', 'db-1', '--members', "db-1=127.0.0.1:$p1,db-2=127.0.0.1:$p2", '--name', 'shop',
	'--set', "unix_socket_directories=$directory/s1", '--allow', '127.0.0.1', (map { ('--set', $_) } 'pgha.heartbeat_interval=100ms', 'pgha.failure_timeout=1s', 'pgha.startup_grace=1s'), '--yes');
is($status, 0, 'create') or BAIL_OUT($err);
start_agent(1);
($status, $out, $err) = run_pgha('join', '-D', "$directory/2", '--node', 'db-2', '--from', "127.0.0.1:$p1", '--set', "unix_socket_directories=$directory/s2", '--pwfile', $passfile, '--yes');
is($status, 0, 'join') or BAIL_OUT($err);
wait_for('the primary to see its agent, and both members', sub { agents_seen(1)->() && ask(1, 'SELECT count(*) FROM pgha_cluster() WHERE reachable') eq '2' });

# ---- what is wrong ----

refused('members twice', 2, qr/--from and --members exclude each other/, @init, '--members', 'a=h');
refused('a cluster of its own', 2, qr/--from and --cluster exclude each other/, @init, '--cluster', 'main');
refused('no name', 2, qr/--node is missing/, 'witness', 'init', '-D', "$directory/w", '--from', 'db-1');
refused('not an address', 2, qr/"a b" is not a host/, @init, '--host', 'a b');
refused('no password', 1, qr/no password was given.*--pwfile/s, @init);
PghaCluster::spew("$directory/wrong", "wrong\n");
chmod 0600, "$directory/wrong";
PghaCluster::give_to_postgres("$directory/wrong");
refused('a wrong password', 1, qr/password authentication failed.*HINT:  The password is that of the role "pgha"/s, @init, '--pwfile', "$directory/wrong");
refused('nobody there', 1, qr/error: .*refused/s, (map { s/127.0.0.1:$p2/127.0.0.1:$none/r } @init), '--pwfile', $passfile);
refused('a member', 1, qr/"db-2" is a member already/, (map { s/^w-1$/db-2/r } @init), '--pwfile', $passfile);
refused('a member without an agent', 1, qr/not all members can be told of the witness: db-2 \(no agent\)/, @init, '--pwfile', $passfile);
start_agent(2);
wait_for('both agents to be seen', agents_seen(2));

# A member that lets it into the database, and not to where a witness asks.
my $hba = PghaCluster::slurp("$directory/2/pg_hba.conf");
PghaCluster::spew("$directory/2/pg_hba.conf", "host replication \"pgha\" 127.0.0.1/32 reject\n$hba");
ask(2, 'SELECT pg_reload_conf()');
wait_for('a member to shut it out', sub { (as_postgres('/usr/bin/env', "PGPASSFILE=$passfile", "$bin/psql", '-Xd', "host=127.0.0.1 port=$p2 user=pgha replication=true", '-c', 'IDENTIFY_SYSTEM'))[0] != 0 });
refused('a member that does not let it in', 1, qr/member "db-2" does not let this host in: .*HINT:  .*pg_hba.conf let this host in: host replication,postgres pgha/s, @init, '--pwfile', $passfile);
PghaCluster::spew("$directory/2/pg_hba.conf", $hba);
ask(2, 'SELECT pg_reload_conf()');
wait_for('it to be let in', sub { ask(1, 'SELECT count(*) FROM pgha_cluster() WHERE reachable') eq '2' && agents_seen(2)->() });

# What the members have agreed to, and a server that does not start with it.
refused('a setting that is none', 1, qr/below 500 ms.*all of it was taken back/s, @init, '--pwfile', $passfile, '--set', 'pgha.failure_timeout=1ms');
is(ask($_, 'SHOW pgha.witnesses'), '', "$_ has heard of none") foreach 1, 2;

# ---- without the right ----

my $right = 'EXECUTE ON FUNCTION pgha_add_member(text, text, boolean, boolean)';
ask(1, "REVOKE $right FROM pgha");
($status, $out, $err) = run_pgha(@init, '--pwfile', $passfile);
is($status, 3, 'without the right: exit code') or diag $out, $err, PghaCluster::slurp("$directory/w/witness.log");
like($err, qr/permission denied.*HINT:  On the primary, as a superuser: SELECT pgha_add_member\('w-1', '127.0.0.1:$pw', witness => true\); then run this again/s, 'the line for a superuser');
is(ask('w', 'SELECT state FROM pgha_status()'), 'witness', 'the witness runs');
is(ask('w', "SELECT current_setting('pgha.cluster') || ' ' || current_setting('pgha.failure_timeout')"), 'shop 1s', 'with what is the same on all nodes');
is(sprintf('%04o', (stat "$directory/w/pgha_pass")[2] & 07777), '0600', 'the password is its owner\'s');
is(ask($_, 'SHOW pgha.witnesses'), '', "$_ has not heard of it") foreach 1, 2;

# ---- the same again, with it ----

ask(1, "GRANT $right TO pgha");
as_postgres("$bin/pg_ctl", '-D', "$directory/w", '-w', '-m', 'fast', 'stop');
my $settings = PghaCluster::slurp("$directory/w/pgha-witness.conf");
($status, $out, $err) = run_pgha(@init, '--pwfile', $passfile);
is($status, 0, 'the same again goes on') or diag $err;
like($out, qr/^Witness w-1 is in \Q$directory\E\/w already, and runs\.\nAll members have it in pgha.witnesses/, 'and says so');
is(ask($_, 'SHOW pgha.witnesses'), "w-1=127.0.0.1:$pw", "$_ has it") foreach 1, 2;
wait_for('quorum to be in force with it', sub { ask(1, "SELECT quorum || ' ' || (SELECT string_agg(node, ',' ORDER BY node) FROM pgha_cluster() WHERE votes) FROM pgha_status()") eq 'in force db-1,db-2,w-1' });
wait_for('no error to be shown', sub { ask(1, q(SELECT count(*) FROM pgha_cluster() WHERE coalesce(error, '') <> '')) eq '0' });

($status, $out, $err) = run_pgha(@init, '--pwfile', $passfile);
is($status, 0, 'once more') or diag $err;
is(PghaCluster::slurp("$directory/w/pgha-witness.conf"), $settings, 'changes nothing');
is(ask($_, 'SHOW pgha.witnesses'), "w-1=127.0.0.1:$pw", "nor on $_") foreach 1, 2;
my ($other) = run_pgha((map { s/^\Q$directory\E\/w$/$directory\/w2/r } @init), '--pwfile', $passfile);
is($other, 1, 'a second one of its name is none');
ok(!-e "$directory/w2", 'and is not made');
unlike(PghaCluster::slurp("$directory/w/witness.log") . $out . $err, qr/\Q@{[ PghaCluster::slurp($passfile) =~ m{([^:\n]+)\n\z} ]}\E/, 'the password is in no text');
done_testing();
