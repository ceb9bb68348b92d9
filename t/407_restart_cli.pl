# pgha switchover, pgha restart, and a promotion by force beside a primary that is
# well: what they print, how they end, and what they leave behind.
use strict;
use warnings;

use FindBin;
use POSIX ':sys_wait_h';
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $writer;
my $cluster = PghaCluster->new(nodes => 3, witnesses => ['w'], agents => 1, settings => { 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '20s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my ($w) = $cluster->witnesses;

# Runs the program against this node.
sub pgha
{
	my ($node, @arguments) = @_;
	return PghaCluster::run_command(
		[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), @arguments, '-h', $node->{socket}, '-p', $node->{port}, '-U', 'postgres', '-d', 'postgres' ],
		timeout => 150);
}

# An agent that is needed has to have found its way back to its own server.
sub wait_agent { my ($node) = @_; $cluster->wait_for("the agent of $node->{name} to be connected to its server", sub { progress($node, $node, 'agent') eq 't' }); return; }

sub started { my ($node) = @_; return $node->value('SELECT pg_postmaster_start_time()::text') // ''; }

# How many statements were cancelled there; a server that the agent has started logs elsewhere.
sub cancelled
{
	my ($node) = @_;
	return scalar(() = join('', map { PghaCluster::slurp($_) // '' } $node->{log}, glob($node->agent_directory . '/*.log')) =~ /canceling statement/g);
}

# The longest time between two acknowledgements since then, in ms.
sub longest_gap
{
	my ($since) = @_;
	my @at = grep { $_ > $since } map { $_->[0] } $writer->acknowledged;
	my $longest = 0;
	foreach my $i (1 .. $#at)
	{
		$longest = $at[$i] - $at[ $i - 1 ] if $at[$i] - $at[ $i - 1 ] > $longest;
	}
	return 1000 * $longest;
}

$writer = $cluster->start_writer;
$writer->wait_acknowledged(20);

# ---- switchover: asked of a standby ----
my ($status, $out, $err) = pgha($b, 'switchover', 'c');
is($status, 0, 'pgha switchover') or diag $out, $err;
like($out, qr/^switched over from "a" to "c": writes were held \d\.\d\d s\n"a" is a standby that streams\.$/, 'says from whom to whom, and for how long writes were held') or diag $err;
like($err, qr/handing over to "c".*writes are held until "c" leads/s, 'and how far it is meanwhile');
is($c->state, 'primary', 'the node that was named leads');
$cluster->wait_following($c, $a, $b);
my ($held) = $out =~ /held (\S+) s/;
cmp_ok($held, '<', 2.5, 'without a wait for failure_timeout');

($status, $out, $err) = pgha($c, 'switchover', 'nobody');
is($status, 1, 'refused: no such node');
like($err, qr/^pgha: error: node "nobody" is not one of pgha\.members\nHINT:  The members are: a, b, c\.$/m, 'with the reason');
($status, $out, $err) = pgha($c, 'switchover', '--timeout=x');
is($status, 2, 'wrong usage');

# ---- a login that does not hold at the other node ----
$c->sql('CREATE ROLE here_only SUPERUSER LOGIN');
foreach my $node ($a, $b)
{
	PghaCluster::spew("$node->{data}/pg_hba.conf", "host all here_only all reject\n" . PghaCluster::slurp("$node->{data}/pg_hba.conf"));
	$node->reload;
	$cluster->wait_for("$node->{name} to refuse it", sub {
		($node->value(q{SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'reject'}) // 0) > 0 &&
		(PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'status',
			'-h', $node->{host}, '-p', $node->{port}, '-U', 'here_only' ]))[2] =~ /rejects|does not exist/ });
}
foreach my $target ([], ['a'])
{
	($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'switchover', @$target,
		'-h', $c->{socket}, '-p', $c->{port}, '-U', 'here_only', '-d', 'postgres' ], timeout => 150);
	is($status, 1, 'a switchover that could not be watched is not begun');
	like($err, qr/pg_hba\.conf rejects.*^pgha: error: "[ab]" could not be asked whether it leads\nHINT: .*Nothing has changed\.$/ms, 'which is said');
	is($c->state, 'primary', 'nothing has');
}

# ---- a promotion by force ----
($status, $out, $err) = pgha($a, 'promote', '--force');
is($status, 1, 'a promotion by force beside a primary that is well needs more');
like($err, qr/"c" leads and answers; what "a" lacks of its commits would be lost: .*\nHINT:  "pgha switchover" moves the primary without a loss/, 'says what would be lost, and what to do instead');
is($c->state, 'primary', '... and nothing has changed');
($status, $out, $err) = pgha($a, 'promote', '--accept-loss');
is($status, 2, '--accept-loss alone is wrong usage');

# ---- restart of one ----
wait_agent($_) foreach $a, $b;
my $before = started($b);
($status, $out, $err) = pgha($c, 'restart', 'b');
is($status, 0, 'pgha restart of another node') or diag $out, $err;
like($out, qr/^restarted "b", which streams again, after \d+\.\d s$/, 'waits until it streams');
isnt(started($b), $before, 'it was restarted');
wait_agent($a);
$before = started($a);
($status, $out, $err) = pgha($a, 'restart');
is($status, 0, 'pgha restart of the node that is connected to') or diag $out, $err;
isnt(started($a), $before, 'it was restarted');
# ---- orders that end the session which gives them ----
wait_agent($a);
$before = started($a);
my $mark = $a->agent_mark;
$a->sql("BEGIN; SELECT $_; ROLLBACK") foreach 'pgha_restart()', q{pgpool_pgctl('restart', '')}, q{pgpool_pgctl('stop', 'immediate')};
$a->sql(q{BEGIN; SAVEPOINT s; SELECT pgpool_pgctl('stop', 'fast'); ROLLBACK TO s; COMMIT});
# The answer would be late if the order was carried out at once.
is($a->sql('SELECT pg_postmaster_start_time()::text, pgha_restart(), pg_sleep(1)'), "$before||", 'what was rolled back is not done; a restart that is ordered is answered');
$cluster->wait_for('a to be restarted', sub { my $now = started($a); $now ne '' && $now ne $before });
is(scalar(() = substr($a->agent_text, $mark) =~ /ordered to restart/g), 1, 'once');
wait_agent($a);
is($a->sql(q{BEGIN; SAVEPOINT s; SELECT pgpool_pgctl('stop', 'fast'), pg_sleep(1); RELEASE s; COMMIT}), 't|', 'so is a stop');
$cluster->wait_for('a to be down', sub { !$a->is_running });
$a->start;
$cluster->wait_following($c, $a, $b);
wait_agent($a);
$b->stop_agent;
$cluster->wait_for('the agent of b to be gone', sub { progress($b, $b, 'agent') ne 't' && progress($c, $b, 'agent') ne 't' });
($status, $out, $err) = pgha($b, 'restart');
is($status, 1, 'refused without an agent');
like($err, qr/no agent of this node is connected/, 'with the reason');

# ---- rolling ----
my %before = map { $_->{name} => started($_) } $cluster->nodes;
($status, $out, $err) = pgha($a, 'restart', '--rolling');
is($status, 1, 'a rolling restart is not begun while an agent is missing');
like($err, qr/"b" has no agent.*\nHINT:  Nothing has been restarted/, 'says which, and that nothing has happened');
is_deeply({ map { $_->{name} => started($_) } $cluster->nodes }, \%before, 'nothing has');
$b->start_agent;
$cluster->wait_for('the agent of b to be back', sub { progress($c, $b, 'agent') eq 't' });
sub sees_witness { my ($expected) = @_; return ($c->value(q{SELECT reachable FROM pgha_cluster() WHERE node = 'w'}) // '') eq $expected; }
$w->stop;
$cluster->wait_for('the witness to be missed', sub { sees_witness('f') });
($status, $out, $err) = pgha($a, 'restart', '--rolling');
is($status, 1, 'nor while a witness is missing');
like($err, qr/^pgha: error: "w" does not answer\nHINT:  Nothing has been restarted/m, 'which is said');
is_deeply({ map { $_->{name} => started($_) } $cluster->nodes }, \%before, 'nothing has been');
$w->start;
$cluster->wait_for('the witness to be back', sub { sees_witness('t') });
wait_agent($_) foreach $cluster->nodes;
my $moment = PghaCluster::now();
($status, $out, $err) = pgha($a, 'restart', '--rolling');
is($status, 0, 'a rolling restart') or diag $out, $err;
like($out, qr/restarted "a".*\n"a" is a standby that streams\.\nrestarted "b".*\n"b" is a standby that streams\.\nswitched over from "c" to "[ab]": writes were held \d\.\d\d s\n"c" is a standby that streams\./, 'the standbys one by one, then the primary');
note $out;
is(scalar(grep { started($_) eq $before{ $_->{name} } } $cluster->nodes), 0, 'all servers were restarted');
my $primary = $cluster->wait_single_primary;
$cluster->wait_following($primary, $cluster->others($primary));
$writer->wait_acknowledged(20, PghaCluster::now());
my $gap = longest_gap($moment);
note sprintf 'rolling restart: longest time without a write %.0f ms', $gap;
cmp_ok($gap, '<', 2500, 'writes were held for the switchover only');
$writer->stop;
is(scalar($writer->missing($primary)), 0, 'nothing that was acknowledged is lost');

# Runs the program beside this test; its output is in the file.
sub spawn_pgha
{
	my ($log, @arguments) = @_;
	my $node = $cluster->primary;
	return PghaCluster::spawn(
		[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), @arguments, '-h', $node->{socket}, '-p', $node->{port}, '-U', 'postgres', '-d', 'postgres' ],
		log => $log);
}

sub exit_code
{
	my ($pid) = @_;
	my $status;
	$cluster->wait_for('the program to end', sub { waitpid($pid, WNOHANG) == $pid ? defined($status = $?) : 0 }, 90);
	return $status >> 8;
}

# ---- Ctrl-C when all that is left is to wait ----
$primary = $cluster->primary;
wait_agent($primary);
my ($target) = $cluster->others($primary);
my $log = "$cluster->{base}/log/waits.log";
my $pid = spawn_pgha($log, 'switchover', $target->{name});
$cluster->wait_for('it to begin', sub { (PghaCluster::slurp($log) // '') =~ /writing a checkpoint/ });
kill 'STOP', $primary->{agent_pid};
$cluster->wait_for('it to wait for the former primary', sub {
		($target->value(q{SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'pgha' AND query LIKE '%upstream IS NOT NULL%'}) // 0) > 0 });
kill 'INT', $pid;
is(exit_code($pid), 130, 'Ctrl-C ends the wait for the former primary, with the exit code for it');
unlike(PghaCluster::slurp($log), qr/does not stream/, 'and nothing is said of a time that has passed');
kill 'CONT', $primary->{agent_pid};
$cluster->wait_following($target, $cluster->others($target));

# ---- a host that is frozen in the middle ----
# A target that receives no WAL keeps the writes held for half of failure_timeout.
$_->set('pgha.failure_timeout' => '12s') foreach $cluster->voters;
$cluster->wait_for('all to know it', sub { !grep { ($_->value('SHOW pgha.failure_timeout') // '') ne '12s' } $cluster->voters });
$primary = $cluster->primary;
wait_agent($primary);
($target) = $cluster->others($primary);
my $receiver = $target->receiver_pid;
kill 'STOP', $receiver;
$log = "$cluster->{base}/log/cancelled.log";
$pid = spawn_pgha($log, 'switchover', $target->{name});
$cluster->wait_for('the writes to be held', sub { (PghaCluster::slurp($log) // '') =~ /writes are held/ });
# The postmaster signals a session twice to cancel its query, and the second signal may meet the next one.
my $session = $primary->value(q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_switchover%' AND pid <> pg_backend_pid()});
my $monitor = $primary->monitor_pid;
my $count = cancelled($primary);
kill 'STOP', $monitor;
kill 'INT', $pid;
$cluster->wait_for('the order to be cancelled', sub { cancelled($primary) > $count });
$count = cancelled($primary);
$cluster->wait_for('a query after it to be cancelled', sub { kill 'INT', $session; cancelled($primary) > $count });
kill 'CONT', $monitor;
is(exit_code($pid), 130, 'Ctrl-C while writes are held') or diag PghaCluster::slurp($log);
like(PghaCluster::slurp($log), qr/canceling statement/, 'calls it off');
ok($primary->state eq 'primary' && $primary->writable, 'and the primary leads on');
$log = "$cluster->{base}/log/frozen.log";
$pid = spawn_pgha($log, 'switchover', $target->{name}, '--timeout=5');
$cluster->wait_for('the writes to be held', sub { (PghaCluster::slurp($log) // '') =~ /writes are held/ });
$primary->freeze;
kill 'CONT', $receiver;
my $code = exit_code($pid);
ok($code == 1 || $code == 3, "a primary that is frozen in the middle does not hold it up for ever (exit code $code)");
like(PghaCluster::slurp($log), qr/the primary has not answered for 5 seconds/, 'and that is said') or diag PghaCluster::slurp($log);
$primary->thaw;
$primary = $cluster->wait_single_primary;
pass('one leads at the end');

done_testing();
