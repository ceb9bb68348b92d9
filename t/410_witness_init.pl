# pgha witness init: a witness by one command, from nothing to its vote; what goes
# wrong leaves nothing behind, and the password is nowhere but in its file.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $pgha = PghaCluster::pgha_program();
my $directory = tempdir('/tmp/pgha-witness-test-XXXXXX', CLEANUP => 1);
my $secret = 'ge:he\im';
sub secret_file
{
	my ($name, $text, $mode) = @_;
	PghaCluster::spew("$directory/$name", $text);
	chmod $mode // 0600, "$directory/$name";
	PghaCluster::give_to_postgres("$directory/$name");
	return "$directory/$name";
}
PghaCluster::give_to_postgres($directory);
my $pwfile = secret_file('password', "$secret\n");
my $passfile = secret_file('passfile', "*:*:*:pgha:ge\\:he\\\\im\n");

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.conninfo' => "user=pgha passfile=$passfile" })->build;
my ($a, $b) = $cluster->nodes;
my $port = $cluster->free_port;
my $data = "$directory/w";
my @set = map { ('--set', $_) } 'pgha.heartbeat_interval=100ms', 'pgha.failure_timeout=1s', "unix_socket_directories=$directory";
my @init = ('witness', 'init', '-D', $data, '--node', 'w-1', '--members', $cluster->{members}, '--host', '127.0.0.1', '--port', $port, '--listen', '127.0.0.1', @set);

# What is set for other sessions does not lead it to another server.
my @environment = ('/usr/bin/env', 'PGHOSTADDR=127.0.0.1', 'PGOPTIONS=-c search_path=nowhere', 'PGTARGETSESSIONATTRS=standby');
sub run_pgha { return PghaCluster::run_command([ PghaCluster::as_postgres(), @environment, $pgha, @_ ]); }

# Fails, says so, and leaves no data directory.
sub refused
{
	my ($name, $code, $pattern, @arguments) = @_;
	my ($status, $out, $err) = run_pgha(@arguments);
	is($status, $code, "$name: exit code");
	like($err, $pattern, "$name: said");
	is($out, '', "$name: and nothing else");
	ok(!-e $data, "$name: nothing is left");
}

# ---- what is wrong ----

refused('no data directory', 2, qr/-D is missing/, 'witness', 'init', '--node', 'w-1', '--members', 'a=h');
refused('no address', 2, qr/--witnesses is missing, or --host/, 'witness', 'init', '-D', $data, '--node', 'w-1', '--members', 'a=h');
refused('nothing to do', 2, qr/what is to be done is missing: init/, 'witness');
refused('an unknown option', 2, qr/"--color" is not an option/, @init, '--color');
refused('a member', 2, qr/"a" is one of pgha.members and of pgha.witnesses/, 'witness', 'init', '-D', $data, '--node', 'a', '--members', $cluster->{members}, '--host', '127.0.0.9');
refused('not among the witnesses', 2, qr/"w-1" is not one of --witnesses/, 'witness', 'init', '-D', $data, '--node', 'w-1', '--members', $cluster->{members}, '-w', 'w-2=127.0.0.1:1');
refused('members that cannot be read', 2, qr/name=host:port/, 'witness', 'init', '-D', $data, '--node', 'w-1', '--members', 'a', '--host', 'h');
refused('a line too many', 2, qr/control characters/, @init, '--set', "work_mem=1MB'\nport = 1");
refused('no password', 1, qr/no password was given.*HINT:.*--pwfile/s, @init);
refused('a password for all to read', 1, qr/can be read by others/, @init, '--pwfile', secret_file('open', $secret, 0644));
refused('an empty password', 1, qr/has no password in its first line/, @init, '--pwfile', secret_file('empty', "\n"));
refused('a setting that is none', 1, qr/pgha.failure_timeout.*below 500 ms/s, @init, '--pwfile', $pwfile, '--set', 'pgha.failure_timeout=1ms');
refused('a place that is none', 1, qr/error: /, map({ $_ eq $data ? '/proc/w' : $_ } @init), '--pwfile', $pwfile);
SKIP:
{
	skip 'not root', 1 unless PghaCluster::Host::is_root();
	my ($status, undef, $err) = PghaCluster::run_command([ $pgha, @init, '--pwfile', $pwfile ]);
	is($status, 1, 'root does not make one');
	like($err, qr/cannot be made by root.*HINT/s, 'and is told who does');
}

mkdir "$directory/full";
secret_file('full/mine', 'mine');
my ($status, $out, $err) = run_pgha(map({ $_ eq $data ? "$directory/full" : $_ } @init), '--pwfile', $pwfile);
is($status, 1, 'a directory with something in it is refused');
like($err, qr/is not empty/, 'with the reason');
is(PghaCluster::slurp("$directory/full/mine"), 'mine', 'and left alone');

# Interrupted, it takes back what it has made.
{
	my $pid = PghaCluster::spawn([ PghaCluster::as_postgres(), $pgha, @init, '--pwfile', $pwfile ], log => "$directory/interrupted.log");
	$cluster->wait_for('initdb to have begun', sub { -e "$data/PG_VERSION" });
	kill 'INT', $pid;
	waitpid $pid, 0;
	isnt($?, 0, 'interrupted, it fails');
	ok(!-e $data, 'and leaves nothing behind');
}

# Through a link as well.
sub elsewhere { my ($place) = @_; return map { $_ eq $data ? "$directory/$place" : $_ } @init; }
sub directory { my ($name) = @_; mkdir "$directory/$name" or die; PghaCluster::give_to_postgres("$directory/$name"); return; }
directory('behind');
symlink "$directory/behind", "$directory/link" or die;
($status, $out, $err) = run_pgha(elsewhere('link'), '--pwfile', $pwfile, '--set', 'pgha.failure_timeout=1ms');
is($status, 1, 'a link to an empty directory, and a setting that is none');
like($err, qr/below 500 ms.*all of it was taken back/s, 'is told');
is_deeply([ glob "$directory/behind/* $directory/behind/.[a-z]*" ], [], 'and nothing is left behind the link');
ok(-l "$directory/link", 'which is left');

# What cannot be taken back is said.
directory('shut');
{
	my $pid = PghaCluster::spawn([ PghaCluster::as_postgres(), $pgha, elsewhere('shut/w'), '--pwfile', $pwfile ], log => "$directory/shut.log");
	$cluster->wait_for('initdb to have begun', sub { -e "$directory/shut/w/PG_VERSION" });
	chmod 0555, "$directory/shut";
	kill 'INT', $pid;
	waitpid $pid, 0;
	isnt($?, 0, 'interrupted where nothing can be removed');
	like(PghaCluster::slurp("$directory/shut.log"), qr{could not be taken back: .*"$directory/shut/w", and remove it}, 'it says what is left');
	chmod 0755, "$directory/shut";
}

# What somebody else makes there in the same moment is his.
directory('bin');
PghaCluster::must_run([ 'cp', $pgha, "$directory/bin/pgha" ]);
PghaCluster::spew("$directory/bin/initdb", "#!/bin/sh\nmkdir $directory/his\necho his > $directory/his/file\necho 'initdb: error: not empty' >&2\nexit 1\n");
chmod 0755, "$directory/bin/initdb", "$directory/bin/pgha";
($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), "$directory/bin/pgha", elsewhere('his'), '--pwfile', $pwfile ]);
is($status, 1, 'initdb finds a directory that somebody has made meanwhile');
like($err, qr/initdb ended with status 1: initdb: error: not empty/, 'with its reason');
is(PghaCluster::slurp("$directory/his/file"), "his\n", 'and that is left alone');

# ---- how it is meant ----

END
{
	my $code = $?;
	PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::bindir() . '/pg_ctl', '-D', $data, '-m', 'immediate', 'stop' ]) if defined $data && -e "$data/postmaster.pid";
	$? = $code;
}
($status, $out, $err) = run_pgha(@init, '--pwfile', $pwfile, '--start');
is($status, 0, 'a witness by one command') or diag $err;
like($out, qr/^  pgha.witnesses = 'w-1=127.0.0.1:$port'$/m, 'it says what to write on the members');
unlike($out . $err . PghaCluster::slurp("$data/witness.log"), qr/ge:he/, 'and no secret');
is(sprintf('%04o', (stat "$data/pgha_pass")[2] & 07777), '0600', 'which is in a file of its own');
my $before = PghaCluster::slurp("$data/pgha-witness.conf");
unlike($before . PghaCluster::slurp("$data/pg_hba.conf"), qr/trust/, 'nobody is let in without a password');

sub ask_witness
{
	my ($query) = @_;
	return PghaCluster::must_run([ PghaCluster::as_postgres(), PghaCluster::bindir() . '/psql', '-XAtq', '-h', $directory, '-p', $port, '-d', 'postgres', '-c', $query ]) =~ s/\n\z//r;
}
like(ask_witness("SELECT rolpassword FROM pg_authid WHERE rolname = 'pgha'"), qr/^SCRAM-SHA-256\$/, 'the role has a verifier');
is(ask_witness("SELECT rolreplication AND NOT rolsuper FROM pg_roles WHERE rolname = 'pgha'"), 't', 'and the one right that it needs');

my $list = "w-1=127.0.0.1:$port";
$_->set('pgha.witnesses' => $list) foreach $a, $b;
sub kept { return (PghaCluster::slurp("$data/pgha.state") // '') =~ /^$_[0]=(.*)$/m ? $1 : ''; }
$cluster->wait_for('it to vote', sub { kept('rule_witnesses') eq 'w-1' && kept('support') eq 'a' });
is(ask_witness('SELECT state FROM pgha_status()'), 'witness', 'and so it says');
$cluster->wait_for('no error to be shown', sub { my $v = $a->view; $v->{b} && !grep { ($_->{error} // '') ne '' } values %$v });
$a->kill9;
is($cluster->wait_single_primary->{name}, 'b', 'its vote elects');

# ---- once more ----

($status, $out, $err) = run_pgha(@init, '--pwfile', $pwfile);
is($status, 1, 'the same again is refused');
like($err, qr/is a witness already/, 'with the reason');
is(PghaCluster::slurp("$data/pgha-witness.conf"), $before, 'and changes nothing');
is(ask_witness('SELECT state FROM pgha_status()'), 'witness', 'it still runs');
done_testing();
