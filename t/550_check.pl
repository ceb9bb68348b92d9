# pgha check: each thing that it is to find is provoked on real servers; one line
# in the form of the Monitoring Plugins, the exit codes, an answer in time, no more
# rights than pg_monitor's.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PghaCluster;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $pgha = PghaCluster::pgha_program();
my $cluster = PghaCluster->new(
	names => [ 'db-1', 'db-2', 'db-3' ], agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.heartbeat_interval' => '300ms', 'pgha.slot_keep_size' => '64MB' },
)->build(sql => 'CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody_much LOGIN');
my ($one, $two, $three) = $cluster->nodes;
my ($status, $line, $out, $err);

# ---- helpers ----

# What a value of performance data looks like: label=value[unit];warn;crit;min;max
my $number = qr/\d+(?:\.\d+)?/;
my $range = qr/(?:@?(?:~|$number)?:?(?:$number)?)/;
my $datum = qr/[\w.-]+=(?:U|$number(?:B|s)?);$range?;$range?;0(?:;$number)?/;

# Runs it as the role `monitor`; sets $status, $line and $out, and looks at the form of the answer.
sub check
{
	my ($node, @options) = @_;
	($status, $out, $err) = PghaCluster::run_command(
		[ $pgha, 'check', @options, '-h', $node->{socket}, '-p', $node->{port}, '-U', 'monitor' ], timeout => 30);
	($line) = $out =~ /\A(.*)\n/;
	$line //= '';
	my $word = (qw(OK WARNING CRITICAL UNKNOWN))[$status] // 'none';
	return if grep { /^--(json|verbose)/ } @options;
	ok($out =~ /\APGHA $word - [^|\n]+(?: \| $datum(?: $datum)*)?\n\z/, "@options: one line of the right form ($word)") or diag $out, $err;
	return;
}

# It comes to say so.
sub says
{
	my ($node, $options, $expected, $pattern, $name) = @_;
	my $hit = PghaCluster::poll_until($name, sub {
		my ($s, $o) = PghaCluster::run_command(
			[ $pgha, 'check', @$options, '-h', $node->{socket}, '-p', $node->{port}, '-U', 'monitor' ], timeout => 30);
		return $s == $expected && $o =~ $pattern;
	});
	check($node, @$options);
	ok($hit, $name) or diag $out, $err;
	return;
}

# ---- all is well ----

$cluster->wait_for('the members to vote', sub { $one->value(q{SELECT quorum = 'in force' FROM pgha_status()}) eq 't' });
says($one, [], 0, qr/OK - db-1 is a primary; db-1 leads; 2 of 2 standbys could take over \| .*standbys=2;1:;1:;0;2/, 'a sound primary');
like($line, qr/ lag_db-2=\d+B;16777216;134217728;0 lag_db-3=\d+B;/, '... with the lag of each standby');
like($line, qr/ slot_pgha_db_2=\d+B;33554432;67108864;0/, '... and what the slots keep');
says($two, [], 0, qr/OK - db-2 is a standby; db-1 leads/, 'a sound standby');
check($one, '--role=primary');
is("$status $line", '0 PGHA OK - db-1 is a primary', '--role=primary');
check($two, '--role', 'primary');
is("$status $line", '2 PGHA CRITICAL - db-2 is a standby (standby), not primary', '... is what a standby is not');
check($two, '--role=standby', '--redundancy=2', '--replay-lag=5s,60s');
is($status, 0, 'several checks at once');
like($line, qr/lag_db-2=[\d.]+s;5;60;0/, 'a lag in seconds');
check($two, '--sync');
is($status, 3, 'what only the primary knows is UNKNOWN if a standby is asked for it');
check($one, '--redundancy=3');
is($status, 1, 'fewer standbys than asked for');

{
	my ($s, $json) = PghaCluster::run_command([ $pgha, 'check', '--json', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'monitor' ]);
	my $document = eval { JSON::PP::decode_json($json) } // {};
	is_deeply([ $s, @$document{qw(state exit_code)} ], [ 0, 'OK', 0 ], '--json');
	is((grep { $_->{label} eq 'standbys' && $_->{value} == 2 } @{ $document->{values} }), 1, '... with the values');
	check($one, '--verbose');
	like($out, qr/^OK +agents: the agents of all members are connected$/m, '--verbose: a line for each');
}

# What examples/ has for others to copy uses options that there are.
{
	my (undef, $help) = PghaCluster::run_command([ $pgha, 'check', '--help' ]);
	foreach my $example (qw(icinga2.conf zabbix-pgha.conf cron-pgha))
	{
		my $text = PghaCluster::slurp("$PghaCluster::ROOT/examples/$example");
		$text =~ s{^\s*(?:#|//).*$}{}mg;
		my @unknown = grep { $help !~ /^ .*\Q$_\E\b/m } $text =~ /(?<![\w-])(--[a-z-]+)/g;
		is("@unknown", '', "options in examples/$example");
	}
}

# ---- wrong usage, no connection, no rights ----

foreach my $wrong ([ '--role=leader' ], [ '--replay-lag=5' ], [ '--replay-lag=5s,1MB' ], [ '--redundancy=two' ], [ '--nonsense' ], [ '--pause=1MB' ])
{
	check($one, @$wrong);
	ok($status == 3 && $line eq 'PGHA UNKNOWN - wrong usage' && $err =~ /pgha: error: .*\n/, "wrong usage: @$wrong") or diag $out, $err;
}
{
	my $free = $cluster->free_port;
	my ($s, $o) = PghaCluster::run_command([ $pgha, 'check', '-h', '127.0.0.1', '-p', $free ]);
	is($s, 2, 'a server that refuses connections is CRITICAL');
	like($o, qr/\APGHA CRITICAL - no connection: [^|\n]*refused\n\z/, '... in one line');
	($s, $o) = PghaCluster::run_command([ $pgha, 'check', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'no such|role' ]);
	is($s, 3, 'one that does not let us in is UNKNOWN');
	like($o, qr/\APGHA UNKNOWN - no connection: [^|\n]*no such\/role[^|\n]*\n\z/, '... and a bar in a text becomes none of the form');
	($s, $o) = PghaCluster::run_command([ $pgha, 'check', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'nobody_much' ]);
	is($s, 3, 'a role without rights');
	like($o, qr/permission denied/, '... is told so');
	($s, $o) = PghaCluster::run_command([ $pgha, 'check', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'monitor', '-d', 'template1' ]);
	is($s, 3, 'a database without the extension');
}

# ---- which server is not told ----

{
	my $base = $cluster->{base};
	my @command = (PghaCluster::as_postgres(), $pgha, 'check');
	my ($s, $o, $e) = PghaCluster::run_command([ @command, '-D', "$base/nowhere" ]);
	ok($s == 3 && $o =~ /\APGHA UNKNOWN - it cannot be told which server is meant: [^|\n]*nowhere[^|\n]*\n\z/ && $e eq '',
		'a cluster that is not there is no wrong usage') or diag $s, $o, $e;
	($s, $o) = PghaCluster::run_command([ @command, '--json', '-D', "$base/nowhere" ]);
	my $document = eval { JSON::PP::decode_json($o) } // {};
	is("$s $document->{state} $document->{checks}[0]{check}", '3 UNKNOWN cluster', '... in JSON, too') or diag $o;
	POSIX::mkfifo("$base/fifo.conf", 0644) or die "mkfifo: $!";
	($s, $o) = PghaCluster::run_command([ @command, '--timeout=1', '-c', "$base/fifo.conf" ], timeout => 60);
	ok($s == 3 && $o =~ /\APGHA UNKNOWN - /, 'files that keep us waiting do so within the limit') or diag $s, $o;
}

# ---- a monitor that hangs ----

foreach my $node ($two)
{
	my $monitor = $node->monitor_pid;
	kill 'STOP', $monitor;
	says($node, [], 2, qr/CRITICAL - nothing watches over db-2: the monitor has not been heard of for \d+ s; it last said: /, 'a monitor that hangs is CRITICAL');
	foreach my $item (qw(role=any primary quorum members redundancy=1 replay-lag=16MB pause))
	{
		my $name = $item =~ s/=.*//r;
		check($node, "--$item");
		ok($status == 3 && $line =~ /UNKNOWN - $name: not known, as the monitor of db-2 does not work/, "... and --$item is not known") or diag $out;
	}
	my (undef, $shown) = PghaCluster::run_command([ $pgha, 'status', '-h', $node->{socket}, '-p', $node->{port}, '-U', 'monitor' ]);
	like($shown, qr/the monitor has not been heard of for/, '... which pgha status says, too');
	kill 'CONT', $monitor;
}
$cluster->wait_following($one);

# ---- a server that does not answer ----

kill 'STOP', $two->{pid};
{
	my $begin = time;
	my ($s, $o) = PghaCluster::run_command([ $pgha, 'check', '--timeout=4', '-h', $two->{socket}, '-p', $two->{port}, '-U', 'monitor' ], timeout => 60);
	my $took = time - $begin;
	ok($s == 3 && $o =~ /\APGHA UNKNOWN - [^|\n]*\n\z/, 'a frozen server is UNKNOWN') or diag $o;
	cmp_ok($took, '<', 15, '... within the limit');
	($s, $o) = PghaCluster::run_command(
		[ $pgha, 'check', "host=127.0.0.1,127.0.0.1 port=$two->{port},$one->{port} user=monitor" ], timeout => 60);
	like($o, qr/db-1 leads/, '... and the next of several hosts is asked');
}
kill 'CONT', $two->{pid};
says($one, [], 0, qr/OK/, 'all is well again');

# ---- configuration ----

my $conf = "$one->{data}/postgresql.conf";
sub append { my ($text) = @_; open(my $file, '>>', $conf) or die "$conf: $!"; print $file $text; close $file; return; }
my $before = PghaCluster::slurp($conf);
sub restore { open(my $file, '>', $conf) or die "$conf: $!"; print $file $before; close $file; $one->reload; return; }

append("pgha.failure_timout = '3s'\n");
$one->reload;
says($one, ['--settings'], 1, qr/unrecognized configuration parameter "pgha.failure_timout", did you mean "pgha.failure_timeout"\? \(file "[^"]*postgresql.conf", line \d+\)/,
	'a mistyped name is found at the reload');
like($one->value(q{SELECT config_error FROM pgha_status()}), qr/the next start would be refused: .*pgha.failure_timout/, '... in pgha_status()');
like($one->value(q{SELECT finding FROM pgha_doctor() WHERE "check" = 'configuration'}), qr/pgha.failure_timout/, '... in pgha_doctor()');
like($one->log_since(0), qr/the next start of this server would be refused: /, '... and in the log');
append("work_mem = 'much'\nmax_connections = 'many'\n");
$one->reload;
says($one, ['--settings'], 1, qr/pgha.failure_timout.*, and 2 more/, 'with bad values of PostgreSQL\'s own settings, also such as need a restart');
restore();
says($one, ['--settings'], 0, qr/OK/, '... and the finding goes');
append("max_connections = 77\n");
$one->reload;
says($one, ['--settings'], 1, qr/pending_restart of db-1: .*max_connections/, 'a setting that waits for a restart');
restore();
$one->set('pgha.node' => 'db-9');
says($one, ['--settings'], 1, qr/pgha.node "db-9" is not one of pgha.members/, 'a name that no member has');
$one->set('pgha.node' => 'db-1');
$two->set('pgha.startup_grace' => '31s');
says($one, ['--settings'], 1, qr/configuration_same of db-1: .*differ on: db-2/, 'another configuration on another member');
$two->set('pgha.startup_grace' => undef);
says($one, ['--settings'], 0, qr/OK/, 'all is in order again');

# ---- pause ----

$one->sql('SELECT pgha_pause()');
says($one, ['--pause'], 0, qr/failover is paused for /, 'a pause that has just begun');
says($one, ['--pause=100ms'], 1, qr/WARNING - failover is paused for [\d.]+ /, '... and one that lasts too long');
$one->sql('SELECT pgha_resume()');
says($one, ['--pause'], 0, qr/not paused/, 'its end');

# ---- replay ----

$two->sql('SELECT pg_wal_replay_pause()');
$one->sql('INSERT INTO probe SELECT generate_series(1, 20000)');
says($two, ['--replay-lag=1GB'], 1, qr/replay is paused on db-2/, 'paused replay');
says($one, ['--replay-lag=1GB'], 1, qr/replay is paused on db-2/, '... which the primary knows as well');
says($one, ['--replay-lag=100kB,1GB'], 1, qr/WARNING - .*db-2 replays [\d.]+ [kM]B behind the primary, more than 100 kB \|/, '... shows on the primary as a lag');
says($one, ['--replay-lag=10kB,100kB'], 2, qr/CRITICAL - db-2 replays/, '... that may be critical');
says($one, ['--replay-lag=100ms'], 1, qr/db-2 replays [\d.]+ \w+ behind/, '... in seconds, too');
$two->sql('SELECT pg_wal_replay_resume()');
says($one, ['--replay-lag=100kB'], 0, qr/OK/, 'it catches up');

# ---- slots ----

$one->sql(q{SELECT pg_create_physical_replication_slot('forgotten', true)});
says($one, ['--slots'], 1, qr/slot forgotten, which is not pgha's, is not in use/, 'a slot that is left over');
$one->sql(q{INSERT INTO probe SELECT generate_series(1, 20000)});
says($one, ['--slots=10kB,1GB'], 1, qr/slot forgotten, which is not pgha's, keeps [\d.]+ [kM]B of WAL/, '... keeps WAL back');
$one->sql(q{SELECT pg_drop_replication_slot('forgotten')});
says($one, ['--slots'], 0, qr/OK/, 'and is gone');

# ---- agents ----

$three->stop_agent;
says($one, ['--agents'], 1, qr/no agent for db-3/, 'an agent that is not there');
$three->start_agent;
says($one, ['--agents'], 0, qr/OK/, 'and is back');

# ---- commits that wait ----

$one->set(synchronous_standby_names => 'FIRST 1 (nowhere)');
$cluster->wait_for('the list to be in force', sub { ($one->value('SHOW synchronous_standby_names') // '') =~ /nowhere/ });
my $waiting = $one->background('INSERT INTO probe VALUES (1)');
says($one, ['--sync=500ms,1h'], 1, qr/1 sessions wait for a standby to confirm, the longest for/, 'a commit that waits for a standby');
$one->set(synchronous_standby_names => undef);
says($one, ['--sync'], 0, qr/OK/, 'and goes through');

# Whatever the statement is: without its monitor the primary holds it back at the gate, for a while.
$one->sql('SELECT pgha_pause()');
my $monitor = $one->monitor_pid;
kill 'STOP', $monitor;
ok(PghaCluster::poll_until('', sub {
	$one->background('CREATE TEMP TABLE gated ()');
	my ($s, $o) = PghaCluster::run_command([ $pgha, 'check', '--sync=10ms,1h', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'monitor' ], timeout => 30);
	return $s == 1 && $o =~ /\d+ sessions wait for a standby to confirm/;
}), 'a statement that waits at the gate');
kill 'CONT', $monitor;
$cluster->wait_for('the pause to end', sub { ($one->value('SELECT pgha_resume()') // '') eq 't' });
says($one, [], 0, qr/OK/, '... and is let through');

# ---- who votes ----

# A database where pgha_cluster() tells what a table says.
$one->sql('CREATE DATABASE told');
my @told = (database => 'told');
$one->sql($_, @told) foreach 'CREATE EXTENSION pgha', 'ALTER EXTENSION pgha DROP FUNCTION pgha_cluster()', 'ALTER FUNCTION pgha_cluster() RENAME TO real_cluster',
	'CREATE TABLE told AS SELECT * FROM real_cluster()', 'GRANT SELECT ON told TO monitor', q{UPDATE told SET votes = false WHERE node = 'db-3'},
	q{CREATE FUNCTION pgha_cluster() RETURNS SETOF told LANGUAGE sql AS 'SELECT * FROM told'};
says($one, [ '--quorum', '-d', 'told' ], 0, qr/2 of 2 voters answer \| voters=2;;2:;0;2/, 'a member that does not vote is none of the majority');
$one->sql(q{UPDATE told SET reachable = node = 'db-2'}, @told);
says($one, [ '--quorum', '-d', 'told' ], 2, qr/quorum lost: db-1 hears 1 of 2 voters/, '... nor does it make one');

# ---- standbys down, the majority gone ----

$_->stop_agent foreach $two, $three;
$two->stop;
says($one, [], 1, qr/db-2 cannot be reached/, 'a standby is down');
says($one, ['--redundancy=2'], 1, qr/1 of 2 standbys could take over/, '... one is left');
$three->stop;
says($one, [], 2, qr/CRITICAL - .*(?:quorum lost|no member leads|accepts no commits)/, 'both are down: the gate shuts');
says($one, ['--redundancy=1'], 2, qr/0 of \d standbys could take over/, '... nobody could take over');
says($one, ['--primary'], 2, qr/no member leads/, '... nobody leads');
says($one, ['--quorum'], 2, qr/quorum lost: db-1 hears 1 of 3 voters/, '... the majority is gone');

# Nobody leads any more; what is not heard of may be anywhere.
$one->stop_agent;
$one->set('pgha.address' => 'local:10.99.0.1/24@eth0');
says($one, ['--address'], 3, qr/not known who holds the address local:10.99.0.1.*: no member is known to lead/, '... the address is nowhere to be seen');
$one->stop;
$two->start;
says($two, ['--replay-lag=16MB'], 3, qr/it is not known how far db-2 has replayed/, 'a standby that is cut off does not know how far it is behind');
says($two, ['--replay-lag=1h'], 3, qr/it is not known how far db-2 has replayed/, '... in time, either');

done_testing();
