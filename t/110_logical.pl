# Logical replication uses the functions that pgha wraps: subscriptions on the
# same server work as ever, before and after a failover.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $publisher = PghaCluster->new(nodes => 1, names => ['p'], pgha => 0, settings => { wal_level => 'logical' })->build;
my ($p) = $publisher->nodes;
my $cluster = PghaCluster->new(nodes => 3, settings => { wal_level => 'logical' })->build;
my ($a, $b, $c) = $cluster->nodes;

$p->sql('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 100); CREATE PUBLICATION pub FOR TABLE orders');
$a->sql('CREATE TABLE orders (id int PRIMARY KEY)');
$a->sql("CREATE SUBSCRIPTION sub CONNECTION 'host=$p->{host} port=$p->{port} user=postgres dbname=postgres' PUBLICATION pub");
sub arrives
{
	my ($node, $count, $what) = @_;
	$cluster->wait_for("$count rows on $node->{name}", sub { ($node->value('SELECT count(*) FROM orders') // 0) == $count });
	pass($what);
}
arrives($a, 100, 'initial copy');
$p->sql('INSERT INTO orders SELECT generate_series(101, 200)');
arrives($a, 200, 'changes');
arrives($b, 200, 'and on to the standbys');

$a->kill9;
my $new = $cluster->wait_single_primary(among => [ $b, $c ]);
$p->sql('INSERT INTO orders SELECT generate_series(201, 300)');
arrives($new, 300, 'the subscription goes on on the new primary');
$cluster->rejoin($a, $new);
$p->sql('INSERT INTO orders SELECT generate_series(301, 310)');
arrives($new, 310, 'and still does when the old one is back');

# The other direction: a subscriber of the cluster, on the new primary.
$new->sql('CREATE TABLE items (id int PRIMARY KEY); CREATE PUBLICATION items FOR TABLE items');
$p->sql('CREATE TABLE items (id int PRIMARY KEY)');
$p->sql("CREATE SUBSCRIPTION items CONNECTION 'host=$new->{host} port=$new->{port} user=postgres dbname=postgres' PUBLICATION items");
$new->sql('INSERT INTO items SELECT generate_series(1, 50)');
$publisher->wait_for('items to arrive', sub { ($p->value('SELECT count(*) FROM items') // 0) == 50 });
pass('a publication works');
ok($new->value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'items'"), 'the slot of a subscription is left alone');
done_testing();
