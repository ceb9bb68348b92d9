# pgha join: new hosts become standbys by one command each, with one login; killed at
# any step it goes on, data that were there are kept, and the members know the node.
# Three nodes made by three commands fail over; one leaves, and is forgotten.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $bin = PghaCluster::bindir();
my $pgha = PghaCluster::pgha_program();
my $killed = PghaCluster::Host::pgha_test_program();
my $directory = tempdir('/tmp/pgha-join-test-XXXXXX', CLEANUP => 1);
PghaCluster::give_to_postgres($directory);
my $ports = PghaCluster->new(nodes => 0);
my @port = map { $ports->free_port } 0 .. 3;
my ($p1, $p2, $p3) = @port[1 .. 3];
my %agent;
my @fast = map { ('--set', $_) } 'pgha.heartbeat_interval=100ms', 'pgha.failure_timeout=1s', 'pgha.startup_grace=1s';
my $secret = "$directory/1.pgha/passfile";

sub as_postgres { return PghaCluster::run_command([ PghaCluster::as_postgres(), @_ ]); }
sub run_pgha { my (@arguments) = @_; return as_postgres($pgha, @arguments); }

sub ask
{
	my ($node, $query) = @_;
	my ($status, $out, $err) = as_postgres("$bin/psql", '-XAtq', '-h', "$directory/s$node", '-p', $port[$node], '-d', 'postgres', '-c', $query);
	chomp $out;
	return $status == 0 ? $out : "error: $err";
}

sub wait_for { my ($what, $true) = @_; my $ok = PghaCluster::poll_until('', $true, 60); ok($ok, $what); return; }

sub start_agent
{
	my ($node) = @_;
	$agent{$node} = PghaCluster::spawn([ PghaCluster::as_postgres(), $pgha, 'agent', '-D', "$directory/$node" ], log => "$directory/agent$node.log");
	return;
}

sub end_agent { my ($node) = @_; my $pid = delete $agent{$node} or return; kill 'TERM', $pid; waitpid $pid, 0; return; }

END
{
	my $code = $?;
	end_agent($_) foreach keys %agent;
	as_postgres("$bin/pg_ctl", '-D', "$directory/$_", '-m', 'immediate', 'stop') foreach grep { -e "$directory/$_/postmaster.pid" } 1 .. 3;
	$? = $code;
}

sub refused
{
	my ($name, $code, $pattern, @arguments) = @_;
	my ($status, $out, $err) = run_pgha(@arguments);
	is($status, $code, "$name: exit code") or diag $err;
	like($err, $pattern, "$name: said");
	return;
}

foreach my $node (1 .. 3)
{
	mkdir "$directory/s$node";
	PghaCluster::give_to_postgres("$directory/s$node");
}
my @join2 = ('join', '-D', "$directory/2", '--node', 'db-2', '--from', "127.0.0.1:$p1", '--set', "unix_socket_directories=$directory/s2");

# ---- the first node ----

my ($status, $out, $err) = run_pgha('create', '-D', "$directory/1", '--node', 'db-1', '--members', "db-1=127.0.0.1:$p1,db-2=127.0.0.1:$p2",
	'--set', "unix_socket_directories=$directory/s1", '--allow', '127.0.0.1', @fast, '--yes');
is($status, 0, 'create') or BAIL_OUT($err);
start_agent(1);
ask(1, 'CREATE TABLE t AS SELECT 17 AS x');
ask(1, q(ALTER SYSTEM SET cluster_name = 'db-1'));

# ---- what is wrong ----

refused('no member to ask', 2, qr/--from is missing/, 'join', '--node', 'db-2');
refused('no password', 1, qr/no password was given.*--pwfile/s, @join2, '--yes');
PghaCluster::spew("$directory/wrong", "wrong\n");
chmod 0600, "$directory/wrong";
PghaCluster::give_to_postgres("$directory/wrong");
refused('a wrong password', 1, qr/password authentication failed.*HINT:  The password is that of the role "pgha"/s, @join2, '--pwfile', "$directory/wrong", '--yes');
refused('nobody there', 1, qr/error: .*refused/s, (map { s/127.0.0.1:$p1/127.0.0.1:$p3/r } @join2), '--pwfile', $secret, '--yes');
refused('a node that is there', 1, qr/there is a node "db-1" that runs/, (map { s/db-2/db-1/r } @join2), '--pwfile', $secret, '--yes');
refused('nobody to ask', 1, qr/no terminal to ask on/, @join2, '--pwfile', $secret);
($status, $out, $err) = run_pgha(@join2, '--pwfile', $secret, '--dry-run');
is($status, 0, 'a dry run') or diag $err;
like($out, qr/^  \+ port = $p2\n.*^  \+ pgha.node = 'db-2'\n.*^  \+ pgha.failure_timeout = '1s'\n/ms, 'shows the settings, with those of the cluster');
is_deeply([ glob "$directory/2*" ], [], 'and makes nothing');

# Somebody's data are not replaced unasked.
mkdir "$directory/2";
PghaCluster::spew("$directory/2/PG_VERSION", PghaCluster::Host::major() . "\n");
PghaCluster::must_run([ 'cp', "$directory/1/postgresql.conf", "$directory/1/pg_hba.conf", "$directory/2" ]);
PghaCluster::must_run([ 'cp', '-r', "$directory/1/global", "$directory/2" ]);
PghaCluster::must_run([ 'chown', '-R', 'postgres', "$directory/2" ]) if PghaCluster::Host::is_root();
chmod 0700, "$directory/2";
PghaCluster::spew("$directory/2/postgresql.conf", "port = $p2\n");
PghaCluster::spew("$directory/2/mine", "mine\n");
refused('data of somebody', 1, qr/not known whether it holds data.*--replace-data/s, @join2, '--pwfile', $secret, '--yes');

# Interrupted, it puts them back.
{
	my $pid = PghaCluster::spawn([ PghaCluster::as_postgres(), $pgha, @join2, '--pwfile', $secret, '--replace-data', '--yes' ], log => "$directory/interrupted.log");
	PghaCluster::poll_until('', sub { -e "$directory/2.making" }, 60);
	kill 'INT', $pid;
	waitpid $pid, 0;
	isnt($?, 0, 'interrupted');
	is(PghaCluster::slurp("$directory/2/mine"), "mine\n", 'the data are there');
	is_deeply([ glob "$directory/2.*" ], [], 'and nothing else') or diag PghaCluster::slurp("$directory/interrupted.log");
}

# ---- killed at each step ----

my $step = 0;
do
{
	$step++;
	($status, $out, $err) = as_postgres('/usr/bin/env', "PGHA_TEST_DIES_AT=$step", $killed, @join2, '--pwfile', $secret, '--replace-data', '--yes');
} while ($status == 137 && $step < 30);
is($status, 0, 'killed at each step, it comes to its end') or diag $err;
cmp_ok($step, '>', 5, 'and there are some');
is(ask(2, 'SELECT x FROM t'), 17, 'it has the data');
is(ask(2, "SELECT node || ' ' || state FROM pgha_status()"), 'db-2 standby', 'and is a standby');
is(ask(2, 'SHOW cluster_name'), '', 'what is true of the primary alone did not come along');
my ($old) = glob "$directory/2.old-*";
is(PghaCluster::slurp("$old/mine"), "mine\n", 'what was there is kept');
ok(!-e "$directory/2.making", 'nothing else is left');
is(sprintf('%04o', (stat "$directory/2.pgha/passfile")[2] & 07777), '0600', 'the password is its owner\'s');
($status, $out, $err) = run_pgha(@join2, '--yes');
is("$status $out", "0 \"$directory/2\" is node db-2 already; nothing is to be done.\n", 'the same again has nothing to do');
start_agent(2);
wait_for('both agents to be seen', sub { ask(1, 'SELECT count(*) FROM pgha_cluster() WHERE agent') eq '2' });

# ---- a node that nobody knows: by way of a standby ----

my @join3 = ('join', '-D', "$directory/3", '--node', 'db-3', '--from', "host=127.0.0.1 port=$p2", '--address', "127.0.0.1:$p3",
	'--set', "unix_socket_directories=$directory/s3", '--pwfile', $secret, '--yes');
ask(1, 'REVOKE EXECUTE ON FUNCTION pgha_add_member(text, text, boolean, boolean) FROM pgha');
refused('without the right', 1, qr/permission denied.*HINT:  On the primary, as a superuser: SELECT pgha_add_member\('db-3', '127.0.0.1:$p3'\)/s, @join3);
is_deeply([ glob "$directory/3*" ], [], 'it leaves nothing');
ask(1, 'GRANT EXECUTE ON FUNCTION pgha_add_member(text, text, boolean, boolean) TO pgha');
($status, $out, $err) = run_pgha(@join3);
is($status, 0, 'a node that nobody knew') or diag $err;
start_agent(3);
wait_for('all to know each other', sub { !grep { ask($_, 'SELECT count(*) FROM pgha_cluster() WHERE reachable') ne '3' } 1 .. 3 });
wait_for('all three to vote', sub { !grep { ask($_, 'SELECT quorum FROM pgha_status()') ne 'in force' } 1 .. 3 });

# ---- a failover of what was made ----

my ($pid) = PghaCluster::slurp("$directory/1/postmaster.pid") =~ /^(\d+)/;
kill 'KILL', $pid, PghaCluster::processes_in("$directory/1");
waitpid $pid, 0;	# it is our child (PghaCluster), and a zombie keeps postmaster.pid
wait_for('another one to lead', sub { grep { ask($_, 'SELECT role FROM pgha_status()') eq 'primary' } 2, 3 });
my ($leader) = grep { ask($_, 'SELECT role FROM pgha_status()') eq 'primary' } 2, 3;
wait_for('the first one to be back as a standby', sub { ask(1, 'SELECT state FROM pgha_status()') eq 'standby' });
wait_for('and all to stream', sub { ask($leader, 'SELECT count(*) FROM pg_stat_replication WHERE state = \'streaming\'') eq '2' });

# ---- one leaves ----

my ($leaver) = grep { $_ != $leader } 2, 3;
refused('a primary of standbys', 1, qr/2 standbys stream from.*switchover/s, 'leave', '-D', "$directory/$leader", '--yes', '--dry-run');
refused('beside its agent', 1, qr/an agent works on/, 'leave', '-D', "$directory/$leaver", '--yes');
end_agent($leaver);
($status, $out, $err) = run_pgha('leave', '-D', "$directory/$leaver", '--yes');
is($status, 0, 'a standby leaves') or diag $err;
like($out, qr/^The others have taken "db-$leaver" off their lists\.$/m, 'and is forgotten');
ok(!-e "$directory/$leaver/postmaster.pid", 'it is stopped');
wait_for('the list to be shorter', sub { ask($leader, 'SHOW pgha.members') !~ /db-$leaver/ });
done_testing();
