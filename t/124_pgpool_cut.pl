# pgpool-II is cut off from the primary, and from its agent, for so long that it
# detaches the primary; the servers are not, and the primary leads on.  Once the
# network is whole the agent has pgpool attach it, and writes go through again.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use PghaPgpool;
use Test::More;

plan skip_all => 'pgpool is not installed (make deps)' unless PghaPgpool->program('pgpool');
plan skip_all => 'network namespaces need root and iptables' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(nodes => 2, netns => 1)->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($a, $b) = $cluster->nodes;
my $pgpool = PghaPgpool->start($cluster);
$pgpool->told_by($a, $b);
$pgpool->wait_serves($a);

my $mark = $pgpool->log_mark;
my $told = $a->agent_mark;
my $term = $a->status->{term};
$cluster->block($pgpool, $a);
$pgpool->wait_search($mark);
is($cluster->primary, $a, 'pgpool is cut off from the primary, which leads on');
$cluster->heal;
$pgpool->wait_serves($a);
$a->wait_agent_log(qr/pgpool \S+: told to attach node/, $told);
pass('pgpool serves writes again, told by the agent');
is($a->status->{term}, $term, 'no failover');

done_testing();
