# pgha create and pgha leave: a server becomes the first node of a cluster by one
# command, and is what it was by another one.  What is shown first is what is done;
# what goes wrong is taken back; what is killed at any step goes on when it is called
# again.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Find;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $bin = PghaCluster::bindir();
my $pgha = PghaCluster::pgha_program();
my $killed = PghaCluster::Host::pgha_test_program();
my $directory = tempdir('/tmp/pgha-create-test-XXXXXX', CLEANUP => 1);
PghaCluster::give_to_postgres($directory);
my $ports = PghaCluster->new(nodes => 0);
my ($port, $other_port) = map { $ports->free_port } 1 .. 2;
my $members = "db-1=127.0.0.1:$port,db-2=127.0.0.1:$other_port";
my @fast = ('--set', 'pgha.heartbeat_interval=100ms', '--set', 'pgha.failure_timeout=1s', '--set', 'pgha.startup_grace=1s');

sub as_postgres { return PghaCluster::run_command([ PghaCluster::as_postgres(), @_ ]); }

# As the user of the server, or (root => 1) as root where the tests run as root.
sub run_pgha
{
	my ($program, @arguments) = @_;
	return PghaCluster::run_command([ PghaCluster::as_postgres(), '/usr/bin/env', 'PGHOSTADDR=127.0.0.9', $program, @arguments ]);
}

sub ask
{
	my ($query) = @_;
	my ($status, $out, $err) = as_postgres("$bin/psql", '-XAtq', '-h', $directory, '-p', $port, '-d', 'postgres', '-c', $query);
	chomp $out;
	return $status == 0 ? $out : "error: $err";
}

# All files that a person may care about: mode, owner, content.
sub tree
{
	my (@top) = @_;
	my %found;
	find({ no_chdir => 1, wanted => sub {
		return if !-f $_ || m{/(base|global|pg_\w+|current_logfiles)(/|\z)} && !/pg_hba.conf$/ || /postmaster|log$|\.opts$/;
		$found{$_} = join ' ', sprintf('%04o', (stat _)[2] & 07777), (stat _)[4], PghaCluster::slurp($_) // '';
	} }, grep { -e $_ } @top);
	return \%found;
}

my @servers;
sub ctl { my ($data, @do) = @_; return PghaCluster::must_run([ PghaCluster::as_postgres(), "$bin/pg_ctl", '-s', '-w', '-D', $data, @do ]); }
sub running { my ($data) = @_; return (as_postgres("$bin/pg_ctl", '-D', $data, 'status'))[0] == 0; }
END
{
	my $code = $?;
	as_postgres("$bin/pg_ctl", '-D', $_, '-m', 'immediate', 'stop') foreach grep { -e "$_/postmaster.pid" } @servers;
	$? = $code;
}

sub refused
{
	my ($name, $code, $pattern, @arguments) = @_;
	my ($status, $out, $err) = run_pgha($pgha, @arguments);
	is($status, $code, "$name: exit code") or diag $err;
	like($err, $pattern, "$name: said");
	return;
}

# ---- wrong usage ----

my $data = "$directory/data";
push @servers, $data;
my @create = ('create', '-D', $data, '--node', 'db-1', '--members', $members, @fast);
refused('no node', 2, qr/--node is missing/, 'create', '--members', $members);
refused('no members', 2, qr/--members is missing/, 'create', '--node', 'db-1');
refused('not a member', 2, qr/"db-9" is not one of the members/, 'create', '--node', 'db-9', '--members', $members);
refused('too much', 2, qr/"x" is too much/, @create, 'x');
refused('a line too many', 2, qr/not a value/, @create, '--set', "work_mem=1MB\nport = 1");
refused('nowhere', 1, qr/cannot be used.*HINT:  Name the data directory/s, 'create', '-D', '/nowhere/data', '--node', 'db-1', '--members', $members);
refused('a cluster that is none', 1, qr/there is no cluster/, 'create', '--cluster', PghaCluster::Host::major() . '/none', '--node', 'db-1', '--members', $members);
refused('leave without a node', 1, qr/is no node that was set up.*install.md/s, 'leave', '-D', $data, '--yes');

# ---- a server that exists ----

as_postgres("$bin/initdb", '-D', $data, '--auth-local=peer', '--auth-host=scram-sha-256', '--no-sync') and PghaCluster::must_run([ 'test', '-e', "$data/PG_VERSION" ]);
PghaCluster::spew("$data/postgresql.conf", PghaCluster::slurp("$data/postgresql.conf")
	  . "port = $port\nunix_socket_directories = '$directory'\nlisten_addresses = ''\nshared_preload_libraries = 'auto_explain'\nmax_wal_senders = 1\nfsync = off # the last line has no end");
chmod 0640, "$data/pg_hba.conf";
PghaCluster::give_to_postgres("$data/postgresql.conf");
refused('another port', 1, qr/is to have port 1, but the server here has $port.*HINT:  Write db-1=127.0.0.1:$port/s,
	'create', '-D', $data, '--node', 'db-1', '--members', 'db-1=127.0.0.1:1', '--yes');
ctl($data, '-l', "$directory/server.log", 'start');
my @all = ($data, "$data.pgha");
my $before = tree(@all);

my ($status, $out, $err) = run_pgha($pgha, @create, '--dry-run');
is($status, 0, 'a dry run') or diag $err;
like($out, qr/^  \+ shared_preload_libraries = 'auto_explain,pgha'$/m, 'shows the settings');
like($out, qr/^  \+ listen_addresses = '127.0.0.1'$/m, 'what the server lacks');
like($out, qr/^  \+ wal_log_hints = on$/m, 'also for a rewind');
like($out, qr/^  \+ max_wal_senders = 4$/m, 'and for the members');
like($out, qr/pg_hba.conf \(lines added\)\n  \+ host replication,postgres "pgha" 127.0.0.1\/32 scram-sha-256\n\n/, 'who may log in');
like($out, qr/passfile \(new\)\n  \(the password is not shown/, 'not the password');
is_deeply(tree(@all), $before, 'and changes nothing');
ok(!-e "$data.pgha", 'not even a directory');
is(ask("SELECT count(*) FROM pg_roles WHERE rolname = 'pgha'"), 0, 'nor a role');
refused('nobody to ask', 1, qr/no terminal to ask on.*--yes/s, @create);
is_deeply(tree(@all), $before, 'and nothing is changed');

ask("CREATE ROLE pgha");
refused('a role that is there', 1, qr/a role "pgha" already.*--pwfile/s, @create, '--yes');
ask("DROP ROLE pgha");
is_deeply(tree(@all), $before, 'and nothing is changed');

# What the server does not start with is taken back.
($status, $out, $err) = run_pgha($pgha, @create, '--yes', '--set', 'pgha.lease_ttl=1ms');
is($status, 1, 'a setting that the server refuses');
like($err, qr/does not start with its new settings: .*HINT:  All that was changed was taken back/s, 'is told');
is_deeply(tree(@all), $before, 'and all is as it was');
is(ask("SELECT count(*) FROM pg_roles WHERE rolname = 'pgha'"), 0, 'the server runs, without the role');
is(ask("SELECT count(*) FROM pg_extension WHERE extname = 'pgha'"), 0, 'and without the extension');

# ---- killed at each step, one after the other, until nothing is left to do ----

my $step = 0;
my @before_restart;
do
{
	$step++;
	($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), '/usr/bin/env', "PGHA_TEST_DIES_AT=$step", $killed, @create, '--yes' ]);
	ctl($data, '-l', "$directory/server.log", 'start') unless running($data);
} while ($status == 137 && $step < 30);
is($status, 0, 'killed at each step, it comes to its end') or diag $err;
cmp_ok($step, '>', 7, 'and there are some');
is(ask('SELECT role || node FROM pgha_status()'), 'primarydb-1', 'it leads');
is(ask('SHOW shared_preload_libraries'), 'auto_explain,pgha', 'with what was loaded before');
is(ask("SELECT string_agg(rolpassword ~ '^SCRAM' || '', ',') FROM pg_authid WHERE rolname = 'pgha'"), 'true', 'one role, with a verifier');
is(sprintf('%04o', (stat "$data.pgha/passfile")[2] & 07777), '0600', 'the password is its owner\'s');
my ($password) = PghaCluster::slurp("$data.pgha/passfile") =~ /^\*:\*:\*:pgha:(\S{32})$/;
ok(defined $password, 'in a password file');
is(() = PghaCluster::slurp("$data/pg_hba.conf") =~ /^# BEGIN pgha/mg, 1, 'the lines of pg_hba.conf stand there once');
is(() = PghaCluster::slurp("$data/postgresql.conf") =~ /^# BEGIN pgha/mg, 1, 'and those of postgresql.conf');
unlike($out . $err . PghaCluster::slurp("$directory/server.log") . PghaCluster::slurp("$data.pgha/setup"), qr/\Q$password\E/, 'and it is nowhere else');
ok((grep { /# BEGIN pgha/ } (split /\n/, PghaCluster::slurp("$data/pg_hba.conf"))[0]), 'they come first');

# ---- once more ----

my $done = tree(@all);
($status, $out, $err) = run_pgha($pgha, @create, '--yes');
is("$status $out", "0 \"$data\" is node db-1 of cluster main already; nothing is to be done.\n", 'the same again has nothing to do');
refused('other members', 1, qr/already; what differs: the members.*HINT/s, 'create', '-D', $data, '--node', 'db-1', '--members', "db-1=127.0.0.1:$port", '--yes');
is_deeply(tree(@all), $done, 'and nothing is changed');

# ---- leave ----

($status, $out, $err) = run_pgha($pgha, 'leave', '-D', $data, '--drop', '--dry-run');
is($status, 0, 'leave, only shown') or diag $err;
is_deeply(tree(@all), $done, 'changes nothing');
PghaCluster::spew("$data.pgha/pgha.conf", PghaCluster::slurp("$data.pgha/pgha.conf") . "# mine\n");
PghaCluster::spew("$data/pg_hba.conf", PghaCluster::slurp("$data/pg_hba.conf") . "# mine\n");
for ($step = 1; $step < 30; $step++)
{
	($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), '/usr/bin/env', "PGHA_TEST_DIES_AT=$step", $killed, 'leave', '-D', $data, '--drop', '--yes' ]);
	last if $status != 137;
}
is($status, 0, 'leave, killed at each step') or diag $err;
cmp_ok($step, '>', 3, 'and there are some');
my ($kept) = glob "$data.pgha/pgha.conf.left-*";
like(PghaCluster::slurp($kept // '/nothing') // '', qr/# mine\n\z/, 'a file that was changed since is kept');
PghaCluster::spew("$data/pg_hba.conf", PghaCluster::slurp("$data/pg_hba.conf") =~ s/# mine\n\z//r);
my $after = tree($data);
is_deeply($after, tree_of($before, $data), 'all other files are as they were, byte for byte');
ok(-e (glob "$data.pgha/pgha.state.left-*")[0], 'what it has voted is kept');
ctl($data, '-l', "$directory/server.log", 'start') unless running($data);
is(ask("SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'pgha') + (SELECT count(*) FROM pg_extension WHERE extname = 'pgha')"
	. " + (SELECT count(*) FROM pg_replication_slots)"), 0, 'role, extension and slots are gone');
is(ask('SHOW shared_preload_libraries'), 'auto_explain', 'and the server runs without pgha');

sub tree_of { my ($tree, $top) = @_; return { map { $_ => $tree->{$_} } grep { m{^\Q$top\E/} } keys %$tree }; }

# ---- a standby is not one to begin with ----

ctl($data, '-m', 'fast', 'stop');
PghaCluster::spew("$data/standby.signal", '');
refused('a standby', 1, qr/is a standby.*HINT:  Run it on the primary/s, @create, '--yes');
unlink "$data/standby.signal";

# ---- a new data directory ----

my $new = "$directory/new";
push @servers, $new;
my @new = ('create', '-D', $new, '--node', 'db-1', '--members', $members, '--set', "unix_socket_directories=$directory", @fast);
($status, $out, $err) = run_pgha($pgha, @new, '--yes', '--set', 'pgha.lease_ttl=1ms');
is($status, 1, 'a new server with a setting that it refuses');
like($err, qr/HINT:  All that was changed was taken back/, 'is taken back');
is_deeply([ glob "$new*" ], [], 'and nothing is left');
my @count;
for ($step = 1; $step < 40; $step += 3)
{
	($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), '/usr/bin/env', "PGHA_TEST_DIES_AT=$step", $killed, @new, '--yes' ]);
	last if $status != 137;
}
is($status, 0, 'killed on its way, too') or diag $err;
is(ask('SELECT role || node FROM pgha_status()'), 'primarydb-1', 'it leads');
is(ask('SHOW data_checksums'), 'on', 'with data checksums');
ok(!-e "$new.making", 'and nothing of the attempts is left');
unlike(PghaCluster::slurp("$new/pg_hba.conf"), qr/^[^#]*trust/m, 'nobody is let in without a password');
($status, $out, $err) = run_pgha($pgha, 'leave', '-D', $new, '--drop', '--yes');
is($status, 0, 'it leaves') or diag $err;
is(ask('SHOW port'), $port, 'and runs where it was');
($status, $out, $err) = run_pgha($pgha, @new, '--yes');
is($status, 0, 'and comes back') or diag $err;
is(ask('SELECT role || node FROM pgha_status()'), 'primarydb-1', 'leading');
ctl($new, '-m', 'fast', 'stop');

# ---- Debian's way, as root, with its units ----

SKIP:
{
	skip 'not root', 1 unless PghaCluster::Host::is_root();
	my $root = "$directory/etc";
	my $major = PghaCluster::Host::major();
	my $conf = "$root/$major/main";
	PghaCluster::must_run([ PghaCluster::as_postgres(), 'mkdir', '-p', "$conf/conf.d" ]);
	PghaCluster::must_run([ PghaCluster::as_postgres(), 'mv', "$data/postgresql.conf", "$data/pg_hba.conf", "$data/pg_ident.conf", $conf ]);
	PghaCluster::spew("$conf/postgresql.conf", "data_directory = '$data'\nhba_file = '$conf/pg_hba.conf'\nident_file = '$conf/pg_ident.conf'\n"
		  . PghaCluster::slurp("$conf/postgresql.conf") =~ s/^listen_addresses.*\n//mr . "\ninclude_dir = 'conf.d'\n");
	PghaCluster::give_to_postgres("$conf/postgresql.conf");

	# What systemd would do.
	my $systemctl = "$directory/systemctl";
	my $start = join ' ', PghaCluster::as_postgres(), "$bin/pg_ctl -s -w -D $data -l $directory/server.log -o \"-c config_file=$conf/postgresql.conf\" start";
	my $stop = join ' ', PghaCluster::as_postgres(), "$bin/pg_ctl -s -w -D $data -m fast stop";
	PghaCluster::spew($systemctl, "#!/bin/sh\necho \"\$(id -un) \$*\" >> $directory/asked\ncase \"\$1 \$2\" in\n"
		  . "'start postgresql\@$major-main.service') exec $start > /dev/null 2>&1;;\n'stop postgresql\@$major-main.service') test ! -e $data/postmaster.pid || exec $stop;;\nesac\nexit 0\n");
	chmod 0755, $systemctl;
	my $debian_before = tree($conf, $data);
	my @root = ('/usr/bin/env', '-u', 'PGDATA', "PG_CLUSTER_CONF_ROOT=$root", "PGHA_TEST_SYSTEMCTL=$systemctl", $killed);
	($status, $out, $err) = PghaCluster::run_command([ @root, 'create', '--node', 'db-1', '--members', $members, @fast, '--yes' ]);
	is($status, 0, 'as root, on Debian\'s cluster') or diag $out, $err;
	ok(-e "$conf/conf.d/pgha.conf", 'its settings are in conf.d');
	is(tree($conf)->{"$conf/postgresql.conf"}, $debian_before->{"$conf/postgresql.conf"}, 'postgresql.conf is left alone');
	is((getpwuid((stat "$conf/conf.d/pgha.conf")[4]))[0], 'postgres', 'and are the owner\'s');
	is(ask('SELECT role || node FROM pgha_status()'), 'primarydb-1', 'it leads');
	like(PghaCluster::slurp("$directory/asked"), qr/^root stop postgresql\@$major-main.service\nroot start postgresql\@$major-main.service\nroot enable --now pgha-agent\@$major-main.service\n/m,
		'systemd was asked by root');
	($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), @root, 'leave', '--drop', '--yes' ]);
	is($status, 1, 'where systemd runs the server, not as postgres');
	like($err, qr/Run it as root/, 'which is told');
	($status, $out, $err) = PghaCluster::run_command([ @root, 'leave', '--drop', '--yes' ]);
	is($status, 0, 'it leaves') or diag $err;
	is_deeply(tree($conf, $data), $debian_before, 'and all is as it was');
	like(PghaCluster::slurp("$directory/asked"), qr/^root disable --now pgha-agent\@$major-main.service\n/m, 'with its agent');
}
done_testing();
