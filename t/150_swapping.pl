# A clone that was interrupted before it took the place of the data directory is
# not put there later on when the world has changed: the node was promoted
# meanwhile and holds the only copy of new rows.  Nor is a server started that
# was stopped on purpose, while failover is paused.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' })->build;
my ($a, $b) = $cluster->nodes;

arm($b, 'swapping');
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
kill_at($b, 'clone');
$session->end;

# What was there before the clone goes on, and takes over.
$b->start unless $b->is_running;
$cluster->wait_following($a, $b);
$a->stop_agent;
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the node whose clone was interrupted is the primary now');
$b->sql('CREATE TABLE precious AS SELECT generate_series(1, 5000) v');
$b->value('SELECT pgha_pause()', timeout => 10);
$cluster->wait_for('failover to be paused', sub { ($b->value(q{SELECT paused FROM pgha_cluster() WHERE node = 'b'}) // '') eq 't' });
$b->stop('fast');

$b->start_agent(wait => 0);
ok($cluster->stays_false(sub { $b->is_running }, 20), 'paused, and stopped on purpose: it stays stopped');

# The other one comes back, too, and may by now lead in the old term.
$a->start(wait => 0) unless $a->is_running;
$a->start_agent(wait => 0);
$cluster->wait_for('the other node to be up', sub { defined $a->value('SELECT 1') });
PghaCluster::poll_until('', sub { $b->is_running }, 10);

# An administrator starts what he has stopped.
$b->start(wait => 0) unless $b->is_running;
eventually(sub { ($b->value('SELECT count(*) FROM precious') // '') eq '5000' }, 15, 'the rows that only this node had are there');
# Alone, with no member to ask, the other one may have led again (two nodes have no quorum): it gives up once it sees this one.
eventually(sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' || defined $a->value('SELECT count(*) FROM precious') }, 30,
	'no primary goes on leading without them');

done_testing();
