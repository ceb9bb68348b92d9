# All connections are used up: "too many clients" is an answer, and pgha does
# not need one of them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(
	nodes => 2,
	settings => { max_connections => 10, superuser_reserved_connections => 0, max_wal_senders => 8 })->build;
my ($a, $b) = $cluster->nodes;
my $term = $a->status->{term};

$a->background('SELECT pg_sleep(3600)') foreach 1 .. 10;
$cluster->wait_for(
	'all connections to be in use',
	sub {
		return 1 if ($a->error('SELECT 1') // '') =~ /too many clients/;
		$a->background('SELECT pg_sleep(3600)');	# one of them came when another was in its place
		return 0;
	});
pass('all connections are in use');
ok($cluster->stays_false(sub { scalar grep { $_ == $b } $cluster->primaries }, 3), 'no failover');
ok(PghaCluster::poll_until('', sub { $b->view->{a}{reachable} }), 'the standby still reads the reports of the primary');
is($b->state, 'standby', 'and stays a standby');

# And if the primary dies in this state, the standby is promoted as usual.
$a->kill9;
is($cluster->wait_single_primary, $b, 'a failover works with all connections in use');
done_testing();
