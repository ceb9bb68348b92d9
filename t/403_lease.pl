# The gate closes by itself: when the monitor is not heard of, and when the lease
# runs out.  What was not answered in time is not answered afterwards.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $dropped = qr/server closed the connection unexpectedly/;
my $late = qr/25006: the monitor of pgha has not been heard of for too long, commit refused/;

my ($cluster, $primary);

# One session, each statement a query of its own, that goes on while the test does.
# Its commands' tags are shown, too.
sub start_telling
{
	my $log = "$cluster->{base}/log/start-" . ++$cluster->{starts};
	my $command = [
		$primary->program('psql'), '-XAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
		'-d', $primary->conninfo, map { ('-c', $_) } @_
	];
	return $cluster->adopt(
		PghaCluster::Child->new(pid => PghaCluster::spawn($command, log => $log), log => $log, signal => 'TERM'));
}

sub start { return start_telling('\set QUIET on', @_); }

# What a started session said, once it has ended.
sub outcome
{
	my ($session) = @_;
	$cluster->wait_for('a session to end', sub { !$session->is_running });
	return PghaCluster::slurp($session->{log});
}

sub present { my ($v) = @_; return $primary->sql("SELECT count(*) FROM probe WHERE v = $v"); }

# A backend whose query is like that waits, and for what.
sub wait_waiting
{
	my ($like, $event) = @_;
	$cluster->wait_for("$like to wait ($event)",
		sub { $primary->sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '$like' AND wait_event = '$event' AND pid <> pg_backend_pid()") == 1 });
}

sub wait_gate
{
	my ($gate) = @_;
	$cluster->wait_for("the gate to be $gate", sub { my $s = $primary->status; $s && $s->{gate} eq $gate });
}

# ---- the dead-man's switch: the monitor is stopped ----

$cluster = PghaCluster->new(
	nodes => 2,
	settings => {
		'pgha.auto_failover' => 'off', 'pgha.failure_timeout' => '4s', 'pgha.heartbeat_interval' => '200ms',
		autovacuum => 'off'
	})->build;
($primary, my $standby) = $cluster->nodes;
my $monitor = $primary->monitor_pid;
sub stop_monitor { kill 'STOP', $monitor; return wait_gate('closed'); }
sub go_on { kill 'CONT', $monitor; return wait_gate('open'); }

start('SELECT pg_advisory_lock(1)', 'SELECT pg_sleep(600)');
$cluster->wait_for('a lock that is held', sub { $primary->sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 1 });
is($primary->error('INSERT INTO probe VALUES (-1)'), undef, 'while the monitor goes round commits pass');

# One query, so that its commit is answered when all of it is done.
my $unsent = start("BEGIN; INSERT INTO probe VALUES (-2); COMMIT; SELECT pg_advisory_lock_shared(1), 'told'");
wait_waiting('BEGIN; INSERT%', 'advisory');
stop_monitor();
like($primary->status->{reason}, qr/monitor has not been heard of for \d+ s, and commits wait for it; it last said: ./,
	'a monitor that is stopped: the gate closes, and pgha_status() says why');
is($primary->error('SELECT 1 FROM probe'), undef, 'reads go on');
my $waiting = start('INSERT INTO probe VALUES (-3)', "SELECT 'told'");
wait_waiting('INSERT%(-3)', 'Extension');
is(present(-3), 0, 'a commit waits before it is written');
go_on();
is(outcome($waiting), "told\n", 'and goes on with the monitor');
ok($unsent->is_running, 'a commit that has not been answered yet');

# The answer of another one has been begun, by a NOTICE; and that of a third one is sent as soon as the buffer is full.
my @begun = (
	start_telling("DO \$\$BEGIN INSERT INTO probe VALUES (-8); COMMIT; RAISE NOTICE 'begun'; PERFORM pg_advisory_lock_shared(1); END\$\$", "SELECT 'told'"),
	start_telling("BEGIN; INSERT INTO probe VALUES (-9); COMMIT; SELECT pg_advisory_lock_shared(1), repeat('told', 10000)"));
wait_waiting('DO%', 'advisory');
wait_waiting('BEGIN; INSERT%(-9)%', 'advisory');

stop_monitor();
my $before = PghaCluster::now();
like($primary->error('INSERT INTO probe VALUES (-4)'), $late, 'a commit that waits in vain is refused');
cmp_ok(PghaCluster::now() - $before, '>', 3.5, 'after failure_timeout');
is(present(-4), 0, 'and has not happened');
my $cancelled = start('INSERT INTO probe VALUES (-5)');
wait_waiting('INSERT%(-5)', 'Extension');
$primary->sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT%(-5)' AND pid <> pg_backend_pid()");
like(outcome($cancelled), qr/57014: canceling statement due to user request/, 'the wait can be cancelled');
$primary->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
my $text = outcome($unsent);
like($text, $dropped, 'what was committed before, and not answered, is not answered after');
unlike($text, qr/told/, 'nor is anything else of its session');
foreach my $session (@begun)
{
	$text = outcome($session);
	like($text, $dropped, 'nor is one whose answer ' . ($session == $begun[0] ? 'was begun with a NOTICE' : 'does not fit the buffer'));
	unlike($text, qr/^(DO|COMMIT)$|told/m, '... not a word of it');
}
like(PghaCluster::slurp($begun[0]{log}), qr/begun/, 'but for that NOTICE, which came before');
go_on();
is(present(-2), 1, 'it is committed nonetheless');
is($primary->sql('SELECT count(*) FROM probe WHERE v IN (-8, -9)'), 2, '... and so are those');

# ---- confirmed by a standby too late ----

$primary->set(synchronous_standby_names => 'b');
$cluster->wait_for('b to be synchronous',
	sub { $primary->sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1 });
$standby->freeze;
my $unconfirmed = start('INSERT INTO probe VALUES (-6)', "SELECT 'told'");
wait_waiting('INSERT%(-6)', 'SyncRep');
stop_monitor();
$standby->thaw;
wait_waiting('INSERT%(-6)', 'Extension');
$text = outcome($unconfirmed);
like($text, $dropped, 'a commit that is confirmed while the monitor is stopped is not acknowledged');
unlike($text, qr/told/, 'nor what comes after it');
go_on();
is(present(-6), 1, 'it is committed nonetheless');
$primary->set(synchronous_standby_names => undef);

# ---- no monitor ----

kill 'TERM', $monitor;
my $status;
$cluster->wait_for('the monitor to be gone', sub { $status = $primary->status; $status && $status->{reason} =~ /^the monitor is not running/ });
is($status->{gate}, 'closed', 'without a monitor the gate is closed');
is($primary->error('INSERT INTO probe VALUES (-7)'), undef, 'commits wait for the next one');
$cluster->cleanup;

# ---- a lease: the voters are silent ----

sub wait_status
{
	my ($what, $field, $pattern) = @_;
	return $cluster->wait_for($what, sub { my $s = $primary->status; $s && ($s->{$field} // '') =~ $pattern });
}

$cluster = PghaCluster->new(
	nodes => 3,
	settings => {
		'pgha.failure_timeout' => '8s', 'pgha.startup_grace' => '9s', 'pgha.heartbeat_interval' => '200ms', autovacuum => 'off'
	})->build;
($primary, my @standbys) = $cluster->nodes;
my ($b, $c) = @standbys;
wait_status('votes to be in force', 'rule', qr/^term 1, epoch \d+, committed; .*need no confirmation/);
wait_gate('open');

start('SELECT pg_advisory_lock(1)', 'SELECT pg_sleep(600)');
$cluster->wait_for('a lock that is held', sub { $primary->sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 1 });
$unsent = start("BEGIN; INSERT INTO probe VALUES (-10); COMMIT; SELECT pg_advisory_lock_shared(1), 'told'");
wait_waiting('BEGIN; INSERT%', 'advisory');
$_->freeze foreach @standbys;
wait_gate('closed');
is($primary->status->{state}, 'primary', 'a majority is silent: the gate closes by itself');
$waiting = start('INSERT INTO probe VALUES (-11)', "SELECT 'told'");
wait_waiting('INSERT%(-11)', 'Extension');
$primary->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
$text = outcome($unsent);
like($text, $dropped, 'what was committed before, and not answered, is not answered without a lease');
unlike($text, qr/told/, 'nor is anything else of its session');
is($primary->sql('SELECT count(*) FROM probe WHERE v IN (-10, -11)'), 1, 'a commit waits before it is written');
$b->thaw;
is(outcome($waiting), "told\n", 'and goes on when one of two is back');
$c->thaw;
is($primary->status->{term}, 1, 'in the same term');

# ---- the voters' monitors are silent, their receivers are not ----

my @voters = map { $_->monitor_pid } @standbys;
$primary->set(synchronous_standby_names => 'FIRST 1 (b)');
wait_status('the rule to know of it', 'rule', qr/committed; .*by 1 of b$/);
my $receiver = $b->receiver_pid;
kill 'STOP', $receiver;
$unconfirmed = start('INSERT INTO probe VALUES (-12)', "SELECT 'told'");
wait_waiting('INSERT%(-12)', 'SyncRep');
kill 'STOP', @voters;
wait_gate('closed');
kill 'CONT', $receiver;
$text = outcome($unconfirmed);
like($text, $dropped, 'a commit that is confirmed after the lease has run out is not acknowledged');
unlike($text, qr/told/, 'nor what comes after it');
kill 'CONT', @voters;
wait_gate('open');
is(present(-12), 1, 'it is committed nonetheless');

# ---- names that have no vote ----

my $mark = $primary->log_mark;
$primary->set(synchronous_standby_names => 'ANY 1 (b, elsewhere, *)');
$primary->wait_log(qr/WARNING: .*contains \*: whatever streams from here/, $mark);
$primary->wait_log(qr/WARNING: .*names what is no data member: "elsewhere"/, $mark);
pass('what confirms commits and has no vote is told in the log');

# ---- the rule asks for more than the setting ----

$primary->set(synchronous_standby_names => 'ANY 1 (b, c)');
wait_status('the rule to know of it', 'rule', qr/committed; .*by 1 of b, c$/);
is($primary->error('INSERT INTO probe VALUES (-13)'), undef, 'ANY 1 of two: commits are confirmed');
my @receivers = map { $_->receiver_pid } @standbys;

# Without the voters no other rule can be committed; and the lease runs for a while yet.
kill 'STOP', @receivers, @voters;
$primary->set(synchronous_standby_names => '');
$cluster->wait_for('the setting to be gone', sub { $primary->sql('SHOW synchronous_standby_names') eq '' });
$waiting = start('INSERT INTO probe VALUES (-14)', "SELECT 'told'");
wait_waiting('INSERT%(-14)', 'Extension');
is(present(-14), 1, 'names are emptied: a commit is written, ...');
ok($cluster->stays_false(sub { !$waiting->is_running }, 1), '... and waits, as the rule that elections go by asks for a confirmation');
is($primary->sql('SET synchronous_commit = local; INSERT INTO probe VALUES (-15) RETURNING v'), -15, 'but for sessions that have opted out');
kill 'CONT', $receivers[1];
is(outcome($waiting), "told\n", 'once one of them has flushed it, it is acknowledged');
kill 'CONT', @receivers, @voters;
wait_status('the rule to follow', 'rule', qr/committed; .*elected: a, b, c; commits need no confirmation$/);
is($primary->error('INSERT INTO probe VALUES (-16)'), undef, 'and nothing is asked for any more');

# ---- for too long ----

$_->freeze foreach @standbys;
wait_gate('closed');
$mark = $primary->log_mark;
$before = PghaCluster::now();
$text = $primary->error('INSERT INTO probe VALUES (-17)') // 'success';
my $took = PghaCluster::now() - $before;
like($text, qr/25006: .*, commit refused|$dropped|terminating connection/, 'a commit that waits for the lease in vain fails');
cmp_ok($took, '>', 6, sprintf 'after failure_timeout (%.1f s)', $took);
$primary->wait_log(qr/gives up: no majority of the voters was heard/, $mark);
$_->thaw foreach @standbys;
$primary = $cluster->wait_single_primary;
$cluster->wait_for('writes to go on', sub { !defined $primary->error('INSERT INTO probe VALUES (-18)') });
is(present(-17), 0, 'it has not happened');
is($primary->sql('SELECT count(*) FROM probe WHERE v IN (-11, -13, -14)'), 3, 'what was told is there');

done_testing();
