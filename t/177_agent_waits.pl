# An agent waits for news in its server without a snapshot: on a standby one would hold
# up the replay of whatever removes rows, and with it a promotion.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, settings => { 'pgha.failure_timeout' => '3s', autovacuum => 'off' })->build;
my ($a, $b) = $cluster->nodes;

# The wait that the agent's session is in, told by when it began; else empty.
sub wait_of
{
	my ($node) = @_;
	return $node->value(q{SELECT query_start FROM pg_stat_activity WHERE application_name = 'pgha agent b' AND state = 'active'
		AND wait_event = 'Extension' AND datname = current_database()}) // '';
}

$cluster->wait_for('the agent to wait', sub { wait_of($b) ne '' });
$cluster->wait_for('no agent to hold a snapshot', sub {
	my ($held, $waits) = split /\|/, $b->value(q{SELECT count(backend_xmin), count(*) FROM pg_stat_activity WHERE application_name = 'pgha agent b' AND wait_event = 'Extension'}) // '1|0';
	return $held == 0 && $waits == 1 });
pass('it holds none, on the standby');
is($a->value(q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgha agent%' AND wait_event = 'Extension' AND backend_xmin IS NOT NULL}), '0', 'nor on the primary');

# In one and the same wait: rows go on the standby that a snapshot of the agent would need.
$a->sql('CREATE TABLE vanishing (v int); INSERT INTO vanishing SELECT generate_series(1, 1000)');
$cluster->wait_following($a, $b);
$cluster->wait_for('rows to vanish while the agent waits', sub {
	my $wait = wait_of($b);
	return 0 if $wait eq '';
	$a->sql('DELETE FROM vanishing WHERE v % 2 = (SELECT min(v) % 2 FROM vanishing); INSERT INTO vanishing SELECT generate_series(1, 1000)');
	$a->sql('VACUUM vanishing');
	my $end = $a->value('SELECT pg_current_wal_flush_lsn()');
	PghaCluster::poll_until('', sub { ($b->value("SELECT pg_last_wal_replay_lsn() >= '$end'") // '') eq 't' });
	return wait_of($b) eq $wait;
});
pass('the agent does not hold up the replay');
is($b->value('SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = current_database()'), '0', 'and nobody is in its way');

# News come at once all the same.
my $wait = wait_of($b);
$a->value('SELECT pgha_pause()');
$cluster->wait_for('the agent to be told', sub { wait_of($b) ne $wait });
$a->kill9;
is($a->value('SELECT 1'), undef, 'the primary is down');
$a->stop_agent;
$a->start(wait => 0);
$cluster->wait_single_primary(among => [$a]);
pass('a pause is heeded as ever');
done_testing();
