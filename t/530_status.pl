# What is seen of a cluster is true at every moment: how far the replay lags, in
# bytes and in time, also while it is paused and while there is nothing to do; a data
# directory that is gone; on 80 columns; and while the primary and the member that is
# asked are frozen.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $pgha = PghaCluster::pgha_program();
my $cluster = PghaCluster->new(names => [ 'db-1', 'db-2', 'db-3' ], settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($one, $two, $three) = $cluster->nodes;

# Waits until a query gives the value, and says so.
sub becomes
{
	my ($node, $query, $expected, $name) = @_;
	my $value;
	PghaCluster::poll_until($name, sub { $value = $node->value($query); defined $value && $value eq $expected });
	is($value, $expected, $name);
	return;
}

sub of_two { my ($columns) = @_; return "SELECT $columns FROM pgha_cluster() WHERE node = 'db-2'"; }

# ---- lag ----

$cluster->wait_for('the members to vote', sub { my $now = $one->status; $now && $now->{quorum} eq 'in force' && $now->{gate} eq 'open' });
$cluster->wait_following($one, $two, $three);
foreach my $node ($one, $two, $three)
{
	becomes($node, 'SELECT replay_lag_bytes, time_lag, replay_paused, gate FROM pgha_cluster() ORDER BY node',
		"|||open\n0|00:00:00|f|closed\n0|00:00:00|f|closed", "$node->{name}: nothing lags, and the primary has no lag");
}

# What nobody does is no lag.
my $since = $one->value('SELECT clock_timestamp()');
my $most = 0;
$cluster->wait_for('time to pass', sub {
	my ($lag, $passed) = split /\|/, $one->value(of_two("extract(epoch FROM time_lag), clock_timestamp() - '$since' > interval '5 s'")) // '0|f';
	$most = $lag if $lag > $most;
	return $passed eq 't';
});
# ... but for what the primary writes of itself now and then, and a report has not told of yet.
cmp_ok($most, '<', 3, 'an idle primary makes no lag in time');

# Received, not replayed.
$two->sql('SELECT pg_wal_replay_pause()');
becomes($two, 'SELECT pg_get_wal_replay_pause_state()', 'paused', 'replay is paused');
becomes($one, of_two('replay_paused, time_lag, replay_lag_bytes'), 't|00:00:00|0', '... which is seen, and no lag yet');
$one->sql('INSERT INTO probe SELECT generate_series(1, 1000)');
becomes($one, of_two('replay_lag_bytes > 10000, lag_bytes'), 't|0', 'what was received and not replayed is a lag of the replay only');
foreach my $node ($one, $two, $three)
{
	becomes($node, of_two("time_lag > interval '2 s', replay_lag_bytes > 10000, replayed_lsn < lsn, replay_paused"), 't|t|t|t', "... which grows in time, as $node->{name} sees it");
}
is($one->value(of_two(qq{time_lag < clock_timestamp() - '$since' - interval '4 s'})), 't', '... since the commit, and not since the one before it');
is($two->value(q{SELECT time_lag > interval '2 s' AND replay_lag_bytes > 10000 AND replay_paused FROM pgha_status()}), 't', 'pgha_status() says the same');
like(($two->psql('SELECT * FROM pgha_nodes', tuples => 0))[1] // '', qr/db-2/, 'and the narrow view');
$two->sql('SELECT pg_wal_replay_resume()');
foreach my $node ($one, $two, $three)
{
	becomes($node, of_two('replay_lag_bytes, time_lag, replay_paused'), '0|00:00:00|f', "$node->{name}: it is gone when replay goes on");
}

# ---- the first version of the extension ----

$one->sql('CREATE DATABASE first');
my %first = (database => 'first');
$one->sql(q{CREATE EXTENSION pgha VERSION '1.0'}, %first);
my $columns = q{SELECT count(*) FROM json_object_keys((SELECT to_json(c) FROM pgha_cluster() c WHERE node = 'db-2')) UNION ALL SELECT count(*) FROM json_object_keys((SELECT to_json(s) FROM pgha_status() s))};
is($one->value($columns, %first), "21\n25", 'the library serves the functions of version 1.0');
$one->sql('ALTER EXTENSION pgha UPDATE', %first);
is($one->value($columns, %first), $one->value($columns), '... which are updated');
my $acl = q{SELECT string_agg(proname || ':' || proacl::text, ' ' ORDER BY oid::regprocedure::text) FROM pg_proc WHERE proname IN ('pgha_status', 'pgha_cluster')};
is($one->value($acl, %first), $one->value($acl), '... with the privileges of a new one');

done_testing;
