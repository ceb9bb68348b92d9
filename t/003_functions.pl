# The SQL functions on a cluster of three: what primary and standbys say of
# themselves and of each other, pause and resume with members missing, orders
# while the monitor does not answer, and the event log.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

# Orders must be confirmed within failure_timeout.
my $cluster = PghaCluster->new(names => [ 'db-1', 'db-2', 'db-3' ], settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($one, $two, $three) = $cluster->nodes;

# Waits until a query gives the value, and says so.
sub becomes
{
	my ($node, $query, $expected, $name) = @_;
	my $value;
	PghaCluster::poll_until($name, sub { $value = $node->value($query); defined $value && $value eq $expected });
	is($value, $expected, $name);
}

# An order is for those who can be reached.
sub sees_all
{
	my ($node) = @_;
	$cluster->wait_for("$node->{name} to reach all members",
		sub { ($node->value('SELECT bool_and(reachable) FROM pgha_cluster()') // '') eq 't' });
	return;
}

# ---- reading ----

# Just then the members may begin to vote: the gate waits for the lease.
$cluster->wait_for('the members to vote', sub { my $now = $one->status; $now && $now->{quorum} eq 'in force' && $now->{gate} eq 'open' });
my $status = $one->status;
is("$status->{node} $status->{role} $status->{state} $status->{leader} $status->{gate}",
	'db-1 primary primary db-1 open', 'primary: status');
is($status->{replayed_lsn}, undef, 'primary: replays nothing');
is($status->{candidate}, undef, 'primary: no candidate');
becomes($two, 'SELECT node, role, state, leader, gate, candidate FROM pgha_status()',
	'db-2|standby|standby|db-1|closed|t', 'standby: status');
is($two->value('SELECT replayed_lsn <= flushed_lsn FROM pgha_status()'), 't', 'standby: positions');

foreach my $node ($one, $two, $three)
{
	becomes($node, 'SELECT node, role, state, reachable, upstream, candidate, error FROM pgha_cluster()',
		"db-1|primary|primary|t|||\ndb-2|standby|standby|t|db-1|t|\ndb-3|standby|standby|t|db-1|t|",
		"the cluster as $node->{name} sees it");
	becomes($node, 'SELECT sum(lag_bytes) FROM pgha_cluster()', '0', '... without lag');
	is($node->value(q{SELECT string_agg(node || '=' || address, ', ' ORDER BY node) FROM pgha_cluster()}),
		$cluster->{members}, '... and its addresses');
}
is($one->value('SELECT count(DISTINCT term) || count(DISTINCT timeline)::text FROM pgha_cluster()'), '11',
	'all on one term and timeline');

# Lag is told while replay waits for nothing but the network; without receiver it grows.
my $receiver = $three->receiver_pid;
kill 'STOP', $receiver;
$one->sql('INSERT INTO probe SELECT generate_series(1, 1000)');
becomes($one, q{SELECT lag_bytes > 10000 FROM pgha_cluster() WHERE node = 'db-3'}, 't', 'lag is shown');
kill 'CONT', $receiver;
becomes($one, q{SELECT lag_bytes FROM pgha_cluster() WHERE node = 'db-3'}, '0', '... and goes');

# ---- synchronous replication ----

is($one->status->{sync_state}, 'async', 'primary: async');
becomes($two, 'SELECT sync_state FROM pgha_status()', 'async', 'standby: async');
$one->set(synchronous_standby_names => 'FIRST 1 ("db-1", "db-2", "db-3", other)');
becomes($one, 'SELECT sync_state FROM pgha_status()', 'FIRST 1 (db-1, db-2*, db-3, other)', 'FIRST: the primary marks who is synchronous');
becomes($two, 'SELECT sync_state FROM pgha_status()', 'sync', 'FIRST: the first listed is sync');
becomes($three, 'SELECT sync_state FROM pgha_status()', 'potential', 'FIRST: the second is potential');
$one->set(synchronous_standby_names => 'ANY 1 ("db-1", "db-2")');
becomes($one, 'SELECT sync_state FROM pgha_status()', 'ANY 1 (db-1, db-2*)', 'ANY: the primary');
becomes($two, 'SELECT sync_state FROM pgha_status()', 'quorum', 'ANY: a listed standby');
becomes($three, 'SELECT sync_state FROM pgha_status()', 'async', 'ANY: one that is not listed');
$one->set(synchronous_standby_names => '*');
becomes($three, q{SELECT sync_state IN ('sync', 'potential') FROM pgha_status()}, 't', '*: stands for every member');
becomes($one, q{SELECT sync_state ~ '^FIRST 1 \(any: db-[23]\*\)$' FROM pgha_status()}, 't', '*: the primary tells whom it stands for');
$one->set(synchronous_standby_names => undef);
becomes($two, 'SELECT sync_state FROM pgha_status()', 'async', 'async again');

# ---- pause ----

sees_all($two);
is($two->value('SELECT pgha_pause()', timeout => 15), 't', 'a pause ordered on a standby is confirmed by all');
is($_->value('SELECT paused FROM pgha_status()'), 't', "... by $_->{name}") foreach $cluster->nodes;
becomes($one, 'SELECT bool_and(paused) FROM pgha_cluster()', 't', '... and seen');
like($two->status->{reason}, qr/paused/, 'the standby says that it is no candidate');
$three->stop;
becomes($one, q{SELECT state, reachable FROM pgha_cluster() WHERE node = 'db-3'}, 'unreachable|f', 'a stopped member is unreachable');
is($one->value(q{SELECT error <> '' AND last_heard IS NOT NULL AND lsn IS NOT NULL FROM pgha_cluster() WHERE node = 'db-3'}),
	't', '... with the error and what it said last');
my ($code, $out, $warning) = $one->psql('SELECT pgha_resume()');
is($out, 'f', 'with a member missing it is not confirmed');
like($warning, qr/WARNING:.*pgha_resume\(\) is not confirmed by: db-3\n/, '... and the member is named');
is($two->value('SELECT paused FROM pgha_status()'), 'f', 'the others took it over');
$three->start;
becomes($three, 'SELECT paused FROM pgha_status()', 'f', '... and the missing one when it is back');

# ---- orders that nobody answers ----

sees_all($two);
my $monitor = $two->monitor_pid;
kill 'STOP', $monitor;
like($two->error('SELECT pgha_pause()', options => '-c statement_timeout=300ms') // '',
	qr/57014/, 'an order can be cancelled');
my $start = PghaCluster::now();
my $first = $two->background('SELECT pgha_pause()');
my $second = $two->background('SELECT pgha_pause()');
$cluster->wait_for('both to give up', sub { !$first->is_running && !$second->is_running }, 40);
my $passed = PghaCluster::now() - $start;
ok($passed > 9 && $passed < 25, sprintf('orders and those that wait for their turn are bounded (%.1f s)', $passed));
my $told = PghaCluster::slurp($first->{log}) . PghaCluster::slurp($second->{log});
like($told, qr/the pgha monitor did not answer within 10 seconds/, '... and say so');
like($told, qr/HINT:  The server log and pgha_status/, '... with a hint');
my $waiting = $two->background('SELECT pgha_pause()');
$cluster->wait_for('the order to be given',
	sub { $two->value(q{SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pgha_pause()' AND wait_event IS NOT NULL}) eq '1' });
$two->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pgha_pause()'});
$cluster->wait_for('the terminated session to be gone', sub { !$waiting->is_running });
kill 'CONT', $monitor;
becomes($two, 'SELECT state FROM pgha_status()', 'standby', 'the monitor goes on');
is($two->value('SELECT pgha_resume()', timeout => 15), 't', 'no order is stuck');
is($_->value('SELECT paused FROM pgha_status()'), 'f', "$_->{name} is not paused") foreach $cluster->nodes;

# Many sessions at once.
my @sessions = map { $two->background('SELECT pgha_pause(); SELECT pgha_resume()') } 1 .. 6;
$cluster->wait_for('all orders to be done', sub { !grep { $_->is_running } @sessions }, 40);
is(join(' ', map { join ',', split /\n/, PghaCluster::slurp($_->{log}) } @sessions), join(' ', ('t,t') x 6),
	'orders of several sessions are answered one after another');
is($two->value('SELECT paused FROM pgha_status()'), 'f', 'the last order counts');

# ---- events ----

my $kinds = q{SELECT string_agg(DISTINCT node, ' ' ORDER BY node) FROM pgha_events()};
becomes($_, $kinds, 'db-1 db-2 db-3', "$_->{name} has the events of all") foreach $cluster->nodes;
my $digest = q{SELECT count(*) || ' ' || md5(string_agg(at || node || kind || coalesce(term, 0) || what, '|' ORDER BY at, node)) FROM pgha_events()};
$cluster->wait_for('the event logs to be the same', sub { my %d = map { ($_->value($digest) // $_) => 1 } $cluster->nodes; keys %d == 1 });
pass('the event logs of all members are the same');
is($two->value('SELECT count(*) - count(DISTINCT (node, at)) FROM pgha_events()'), '0', 'no event is stored twice');

# A reader gets each event once, oldest first, from where it says.
sub reported
{
	my ($node, $since, $times) = @_;
	my ($status, $out, $err) = PghaCluster::run_command(
		[
			$node->program('psql'), '-XAtq', '-d', $node->conninfo . " replication=true options='-c pgha.events_since=$since'",
			map { ('-c', 'SHOW pgha.report') } 1 .. $times
		]);
	die $err if $status;
	return map { /^event=(\d+)/ ? $1 : () } split /[\t\n]/, $out;
}
my $own = $one->value(q{SELECT count(*) FROM pgha_events() WHERE node = 'db-1'});
my @ids = reported($one, 0, 2 + int($own / 16));
is(scalar(@ids), $own, 'all events of the node, each once');
is("@ids", join(' ', sort { $a <=> $b } @ids), '... oldest first');
ok(!(grep { $_ <= $ids[1] } reported($one, $ids[1], 1)), '... only newer ones than asked for');

# Each of a thousand answers would take its time.
my ($answered) = PghaCluster::run_command(
	[
		$one->program('psql'), '-XAtq', '-d', $one->conninfo(database => 'postgres replication=database'),
		map { ('-c', q{SELECT length(current_setting('pgha.report_changed'))}) } 1 .. 1000
	]);
is($answered, 0, 'a session with a database is answered at once, whatever it asks for');

# A damaged record is skipped, a lost file made anew.
my $file = "$two->{data}/pgha.events";
is(-s $file, 1024 * 1024, 'the file has its full size');
my $before = $two->value('SELECT count(*) FROM pgha_events()');
open(my $events, '+<', $file) or die "$file: $!";
seek $events, 2 * 512 + 60, 0;
print $events 'x';
close $events;
is($two->value('SELECT count(*) FROM pgha_events()'), $before - 1, 'a damaged record is skipped');
$two->restart;
becomes($two, "SELECT count(*) >= $before FROM pgha_events()", 't', 'events survive a restart, new ones are added');
unlink $file;
is($two->value('SELECT count(*) FROM pgha_events()'), '0', 'no file, no events');
$two->wait_state('standby');
sees_all($two);
is($two->value('SELECT pgha_pause()', timeout => 15), 't', 'the monitor does not mind');
becomes($two, q{SELECT count(*) FROM pgha_events() WHERE node = 'db-2' AND kind = 'pause'}, '1', 'the file is made anew');
$two->sql('SELECT pgha_resume()');

# ---- promotion by hand, waited for ----

like($three->error('SELECT pgha_promote()') // '', qr/ERROR:  55000: pgha_promote\(\) was refused: .*db-1.*HINT:  pgha_promote\(force => true\)/s,
	'refused while the primary is there, with the way out');
($code, $out, $warning) = $three->psql('SELECT pgha_promote(force => true)');
is($three->error('CREATE TABLE promoted (v int)'), undef, 'pgha_promote() returns when the server takes writes');
like($warning, qr/NOTICE:.*this server is the primary now/, '... and says so');
becomes($three, 'SELECT state FROM pgha_status()', 'primary', '... and is so');
becomes($two, 'SELECT leader FROM pgha_status()', 'db-3', 'the other standby follows');
$cluster->cleanup;
done_testing();
