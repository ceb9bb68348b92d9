# The commit gate and pgha.commit_guard: what a server that does not lead
# refuses, and what synchronous replication did not confirm is never told to be
# committed.
#
# a leads, b is the standby for the synchronous cases.  c runs under the name of
# a: when a is told that its own address is that of c, it finds itself there twice
# and stands back, so that its gate is shut for as long as a case needs it.  Without
# quorum: with it the gate has a lease (t/403_lease.pl), and a majority decides.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(
	nodes => 3,
	settings => {
		'pgha.quorum' => 'off',
		max_prepared_transactions => 20,
		# Its commits would be counted among those that wait.
		autovacuum => 'off',
		# A gate that waits for a frozen member waits for a third of it: that long
		# some cases have to be seen.
		'pgha.failure_timeout' => '9s', 'pgha.startup_grace' => '9s', 'pgha.heartbeat_interval' => '200ms',
		# What a lease adds is tested in 403_lease.pl.
		'pgha.quorum' => 'off'
	});
$cluster->build(
	sql => q{
		CREATE TABLE t (v int, PRIMARY KEY (v));
		CREATE PROCEDURE many(first int, n int) LANGUAGE plpgsql AS
			$$BEGIN FOR i IN 0 .. n - 1 LOOP INSERT INTO t VALUES (first + i); COMMIT; END LOOP; END$$});
my ($a, $b, $c) = $cluster->nodes;

my $dropped = qr/server closed the connection unexpectedly/;
my $refused = qr/ERROR:  25006: this server does not hold the lead of the cluster, commit refused/;

# One session, each statement a query of its own: (status, stdout, stderr).
sub session
{
	return PghaCluster::run_command(command(@_), timeout => 30);
}

# The same, going on while the test does.
sub start
{
	my $log = "$cluster->{base}/log/start-" . ++$cluster->{starts};
	return $cluster->adopt(
		PghaCluster::Child->new(pid => PghaCluster::spawn(command(@_), log => $log), log => $log, signal => 'TERM'));
}

sub command
{
	return [
		$a->program('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
		'-d', $a->conninfo, map { ('-c', $_) } @_
	];
}

# What a started session said, once it has ended.
sub outcome
{
	my ($session, $limit) = @_;
	$cluster->wait_for('a session to end', sub { !$session->is_running }, $limit // $PghaCluster::TIMEOUT);
	return PghaCluster::slurp($session->{log});
}

sub refused_ok
{
	my ($what, @statements) = @_;
	my ($status, $out, $err) = session(@statements);
	like($err, $refused, "$what is refused");
}

sub present { my ($v) = @_; return $a->sql("SELECT count(*) FROM t WHERE v = $v"); }
sub waiting { my ($n) = @_; return $a->sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == $n; }
sub backend { my ($like) = @_; return $a->sql("SELECT pid FROM pg_stat_activity WHERE query LIKE '$like' AND pid <> pg_backend_pid()"); }

sub wait_waiting { my ($n) = @_; $cluster->wait_for("$n waiting for a standby", sub { waiting($n) }); }

# Sets synchronous_standby_names and waits until it is in force.
sub synchronous
{
	my ($names) = @_;
	$a->set(synchronous_standby_names => $names);
	$cluster->wait_for('the new synchronous_standby_names',
		sub { $a->sql('SHOW synchronous_standby_names') eq $names });
	$cluster->wait_for("$names to be synchronous",
		sub { $a->sql("SELECT count(*) FROM pg_stat_replication WHERE application_name = '$names' AND sync_state = 'sync'") == 1 })
	  if $names eq 'b';
}

my $swapped = "a=127.0.0.1:$c->{port}, b=127.0.0.1:$b->{port}, c=127.0.0.1:$a->{port}";

# Told without waiting for a standby.
sub gate_is_shut
{
	return ($a->error('CREATE TEMP TABLE x (v int)', options => '-c synchronous_commit=local') // '') =~ $refused;
}

# A server asks its own address some seconds after its start: what is done until
# then is done with the gate open.
sub shut_gate_soon
{
	$a->set('pgha.members' => undef);
	restart_processes($a->monitor_pid);
	$a->wait_writable;		# before it knows: once shut, the gate does not open again
	$a->set('pgha.members' => $swapped);
}

sub wait_gate_shut { $cluster->wait_for('the gate of a to be shut', \&gate_is_shut); }

sub open_gate
{
	$a->set('pgha.members' => undef);
	restart_processes($a->monitor_pid);
	$a->wait_writable;
	$cluster->wait_following($a, $b);
}

# Kills a process, and with it all others; returns when clients can connect.
sub restart_processes
{
	my ($victim) = @_;
	my $mark = $a->log_mark;
	kill 'KILL', $victim;
	$a->wait_log(qr/all server processes terminated; reinitializing/, $mark);
	$a->wait_ready;
}

$b->set('pgha.auto_failover' => 'off');
$c->stop;
$c->configure('pgha.node' => 'a');
$c->start;

# ---- a server that does not lead ----

session('BEGIN', 'INSERT INTO t VALUES (1)', "PREPARE TRANSACTION 'p1'");
session('BEGIN', 'INSERT INTO t VALUES (2)', "PREPARE TRANSACTION 'p2'");
is($a->sql('SELECT count(*) FROM pg_prepared_xacts'), 2, 'with the gate open transactions are prepared');
$a->sql($_) foreach 'CREATE SEQUENCE s', 'CREATE DATABASE victim';
my $directories = join ' ', sort glob("$a->{data}/base/*");
shut_gate_soon();
wait_gate_shut();

refused_ok('INSERT', 'INSERT INTO t VALUES (10)');
refused_ok('a transaction block', 'BEGIN', 'INSERT INTO t VALUES (10)', 'COMMIT');
refused_ok('a subtransaction', 'BEGIN', 'SAVEPOINT x', 'INSERT INTO t VALUES (10)', 'COMMIT');
refused_ok('COPY', "COPY t FROM PROGRAM 'echo 10'");
refused_ok('DDL', 'CREATE TABLE u (v int)');
refused_ok('a temporary table', 'CREATE TEMP TABLE u (v int)');
refused_ok('SELECT FOR UPDATE', 'SELECT * FROM probe FOR UPDATE');
refused_ok('a logged nextval', "SELECT nextval('s')");
refused_ok('a transactional logical message', "SELECT pg_logical_emit_message(true, 'a', 'b')");
refused_ok('PREPARE TRANSACTION', 'BEGIN', 'INSERT INTO t VALUES (10)', "PREPARE TRANSACTION 'p3'");
refused_ok('COMMIT PREPARED', "COMMIT PREPARED 'p1'");
refused_ok('ROLLBACK PREPARED', "ROLLBACK PREPARED 'p2'");
refused_ok('COMMIT in a procedure', 'CALL many(10, 3)');
refused_ok('COMMIT in DO', 'DO $$BEGIN INSERT INTO t VALUES (10); COMMIT; INSERT INTO t VALUES (11); END$$');
refused_ok('NOTIFY', 'NOTIFY n');
like((session("SELECT pg_notify('n', '')"))[2], $dropped, 'pg_notify(), seen only afterwards, loses its client');
refused_ok('CREATE DATABASE', 'CREATE DATABASE x');
refused_ok('DROP DATABASE', 'DROP DATABASE victim');
refused_ok('CREATE TABLESPACE', "CREATE TABLESPACE x LOCATION '$cluster->{base}'");
refused_ok('CREATE SUBSCRIPTION', "CREATE SUBSCRIPTION x CONNECTION 'dbname=x' PUBLICATION x");

is($a->sql('SELECT count(*) FROM t'), 0, 'reads go on; nothing was written');
is($a->sql('SELECT count(*) FROM pg_prepared_xacts'), 2, 'prepared transactions are as they were');
is(join(' ', sort glob("$a->{data}/base/*")), $directories, 'no directory of a refused database is left or missing');
is((session("SELECT pg_advisory_lock(1); SHOW work_mem"))[0], 0, 'what writes nothing works');

open_gate();
is($a->error('INSERT INTO t VALUES (20)'), undef, 'the gate is open again');
is($a->error("COMMIT PREPARED 'p1'"), undef, 'COMMIT PREPARED works');
is($a->error("ROLLBACK PREPARED 'p2'"), undef, 'ROLLBACK PREPARED works');
is($a->sql('SELECT string_agg(v::text, $$ $$ ORDER BY v) FROM t'), '1 20', 'with the right outcome');
is($a->error('DROP DATABASE victim'), undef, 'the database that was not dropped is whole');

# ---- the gate shuts during a commit ----

my ($late, $mark);
foreach (1 .. 5)
{
	shut_gate_soon();
	synchronous('b');
	$mark = $a->log_mark;
	$b->freeze;
	$late = start('INSERT INTO t VALUES (30)', 'SELECT 31');
	PghaCluster::poll_until('the commit to wait', sub { waiting(1) || !$late->is_running });
	last if $late->is_running;

	# On a slow machine the gate may have been shut before.
	$b->thaw;
}
wait_gate_shut();
ok($late->is_running, 'a commit waits for its standby while the gate is shut');
$b->thaw;
my $text = outcome($late);
like($text, $dropped, 'once confirmed, its client is not told so by a server that does not lead');
unlike($text, qr/^31$/m, 'later statements do not run');
is(present(30), 1, 'it is committed nonetheless');
unlike($a->log_since($mark), qr/PANIC/, 'no PANIC');
open_gate();

# ---- a primary that was asleep asks again before it acknowledges ----

synchronous('b');
$_->freeze foreach $b, $c;
my $parked = start('INSERT INTO t VALUES (35)', "SELECT 'told'");
wait_waiting(1);
my $sleeper = $a->monitor_pid;
kill 'STOP', $sleeper;
# For longer than failure_timeout.
ok($cluster->stays_false(sub { !$parked->is_running }, 10), 'nothing is acknowledged while the monitor is asleep');
kill 'CONT', $sleeper;
$cluster->wait_for('the gate to be suspended', sub { $a->status->{gate} ne 'open' });
$b->thaw;
$cluster->wait_for('the commit to wait for the decision',
	sub { $a->sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%(35)' AND wait_event = 'Extension'") == 1 });
pass('a confirmed commit waits for the decision');
$c->thaw;
is(outcome($parked), "told\n", 'and is acknowledged when the server leads on');

# ---- cancelled waits ----

synchronous('b');
$b->freeze;
my $cancelled = start('INSERT INTO t VALUES (40)', "SELECT 'next'");
wait_waiting(1);
$a->sql('SELECT pg_cancel_backend(' . backend('INSERT%(40)') . ')');
ok($cluster->stays_false(sub { !waiting(1) }, 0.5), 'a cancelled commit waits on');
is(present(40), 0, 'and is not visible');
my $timeout = start('SET statement_timeout = 2000',
	'DO $$BEGIN INSERT INTO t VALUES (41); COMMIT; INSERT INTO t VALUES (42); COMMIT; END$$');
wait_waiting(2);
ok($cluster->stays_false(sub { !waiting(2) }, 2.5), 'so does a commit in DO past its statement_timeout');
$b->thaw;
is(outcome($cancelled), "next\n", 'the cancelled commit succeeds when it is confirmed, and the session goes on');
like(outcome($timeout), qr/57014: canceling statement due to statement timeout/, 'the timeout strikes after the commit');
is($a->sql('SELECT count(*) FROM t WHERE v IN (40, 41, 42)'), 2, 'what was committed is there, what came later is not');

synchronous('nobody');
my $terminated = start('INSERT INTO t VALUES (43)');
wait_waiting(1);
$a->sql('SELECT pg_terminate_backend(' . backend('INSERT%(43)') . ')');
like(outcome($terminated), $dropped, 'a terminated wait is no success');
is((session('BEGIN', 'INSERT INTO t VALUES (44)', 'ROLLBACK', "SET synchronous_commit = local", 'INSERT INTO t VALUES (45)'))[0],
	0, 'synchronous_commit = local does not wait');

# ---- emptied synchronous_standby_names ----

session('SET synchronous_commit = local', 'BEGIN', 'INSERT INTO t VALUES (50)', "PREPARE TRANSACTION 'p4'");
session('SET synchronous_commit = local', 'BEGIN', 'INSERT INTO t VALUES (51)', "PREPARE TRANSACTION 'p5'");
my %waiter = (
	'INSERT' => start('INSERT INTO t VALUES (52)'),
	'a procedure' => start('CALL many(60, 20)'),
	'DO' => start('DO $$BEGIN FOR i IN 80 .. 99 LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END$$'),
	'PREPARE TRANSACTION' => start('BEGIN', 'INSERT INTO t VALUES (53)', "PREPARE TRANSACTION 'p6'"),
	'COMMIT PREPARED' => start("COMMIT PREPARED 'p4'"),
	'ROLLBACK PREPARED' => start("ROLLBACK PREPARED 'p5'"));
wait_waiting(6);
$a->set(synchronous_standby_names => '');
like(outcome($waiter{$_}), $dropped, "emptied names: waiting $_ is not told success") foreach sort keys %waiter;
is($a->sql('SELECT count(*) FROM t WHERE v BETWEEN 60 AND 99'), 2, 'loops ended with the commit that waited');
is((session('INSERT INTO t VALUES (54)'))[0], 0, 'later commits are asynchronous');
$a->sql("ROLLBACK PREPARED 'p6'");

synchronous('nobody');
$a->set('pgha.commit_guard' => 'off');
$cluster->wait_for('the guard to be off', sub { $a->sql('SHOW pgha.commit_guard') eq 'off' });
my $unguarded = start('INSERT INTO t VALUES (55)');
wait_waiting(1);
$a->sql('SELECT pg_cancel_backend(' . backend('INSERT%(55)') . ')');
like(outcome($unguarded), qr/WARNING.*canceling wait for synchronous replication/, 'without pgha.commit_guard it is as in PostgreSQL');
$a->set('pgha.commit_guard' => 'on');
$cluster->wait_for('the guard to be on', sub { $a->sql('SHOW pgha.commit_guard') eq 'on' });

# ---- temporary tables at exit ----

is((session('SET synchronous_commit = local', 'CREATE TEMP TABLE x AS SELECT 1', 'RESET synchronous_commit'))[0], 0,
	'a session leaves a temporary table behind');
ok($cluster->stays_false(sub { waiting(1) }, 0.5), 'its drop at exit waits for nobody');
my $stuck = start('INSERT INTO t VALUES (56)');
wait_waiting(1);
my $holder = start('SET synchronous_commit = local', 'CREATE TEMP TABLE y AS SELECT 1', 'RESET synchronous_commit', 'SELECT pg_sleep(600)');
$cluster->wait_for('the holder of a temporary table', sub { backend('SELECT pg_sleep(600)') ne '' });
my $before = PghaCluster::now();
$a->stop('fast');
cmp_ok(PghaCluster::now() - $before, '<', 10, 'a fast shutdown with both ends');
like(outcome($stuck), $dropped, 'the waiting commit is no success');
$a->configure(synchronous_standby_names => '');
$a->start;
$a->wait_writable;
$cluster->wait_following($a, $b);

# ---- a crash restart ----

$c->freeze;
$a->background('SELECT pg_sleep(3600)');
$cluster->wait_for('a victim', sub { backend('SELECT pg_sleep(3600)') ne '' });
restart_processes(backend('SELECT pg_sleep(3600)'));
my $early = start('INSERT INTO t VALUES (100)');
my $impatient = start('INSERT INTO t VALUES (101)');
$cluster->wait_for('two commits at the shut gate',
	sub { $a->sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND wait_event = 'Extension'") == 2 });
pass('after a crash restart commits wait for the decision, reads do not');
$a->sql('SELECT pg_cancel_backend(' . backend('INSERT%(101)') . ')');
like(outcome($impatient), qr/57014: canceling statement due to user request/, 'the wait can be cancelled');
is(outcome($early), '', 'the gate opens again by itself');
is($a->sql('SELECT count(*) FROM t WHERE v IN (100, 101)'), 1, 'with the right outcome');

restart_processes($a->monitor_pid);
my $monitor = $a->monitor_pid;
kill 'STOP', $monitor;
$before = PghaCluster::now();
like($a->error('INSERT INTO t VALUES (102)'), qr/25006: it is not decided yet whether this server leads/,
	'without a decision a commit is refused after failure_timeout');
cmp_ok(PghaCluster::now() - $before, '>', 8, 'and not before');
kill 'CONT', $monitor;
$c->thaw;
$a->wait_writable;

# ---- an orphaned backend ----

my $orphan = start(
	q{SET client_min_messages = error},
	q{DO $$BEGIN WHILE (pg_stat_file('go_on', true)).size IS NULL LOOP END LOOP; INSERT INTO t VALUES (110); END$$},
	q{SELECT 'acknowledged'});
$cluster->wait_for('the busy session', sub { backend('DO%(110)%') ne '' });
$a->kill_postmaster;
ok($orphan->is_running, 'a busy backend outlives its postmaster');
PghaCluster::spew("$a->{data}/go_on", '');
unlike(outcome($orphan), qr/acknowledged/, 'a backend without postmaster acknowledges nothing');

done_testing();
