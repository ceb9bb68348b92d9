# Slot synchronisation: a failover slot of a logical subscriber is on the standby,
# before and after a failover, and never holds up a promotion.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

plan skip_all => 'PostgreSQL synchronises slots from version 17 on' if PghaCluster::major() < 17;

my $cluster = PghaCluster->new(nodes => 2, settings => { wal_level => 'logical',
	sync_replication_slots => 'on', hot_standby_feedback => 'on' })->build;
my ($a, $b) = $cluster->nodes;

like($b->value('SHOW primary_conninfo'), qr/dbname='postgres'/, 'primary_conninfo names a database');
is($b->value('SHOW primary_slot_name'), $a->value("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical'"),
	'primary_slot_name is the slot that pgha keeps for the node');

$a->sql(q{SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput', false, false, true)});
$a->sql('CREATE TABLE items (v int); INSERT INTO items SELECT generate_series(1, 100)');

# A standby takes a slot over once its reader has got past what the standby still has.
my $synchronised = PghaCluster::poll_until('the slot on the standby', sub {
	$a->value(q{SELECT pg_log_standby_snapshot(); SELECT pg_replication_slot_advance('subscriber', pg_current_wal_lsn())});
	($b->value(q{SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = 'subscriber'}) // '') eq 't' });
ok($synchronised, 'the slot is synchronised') or diag $b->log_since(0);

# Frozen, the primary answers nothing that is asked by the worker.
$a->freeze;
is($cluster->wait_single_primary(among => [$b]), $b, 'a frozen primary: the standby is promoted');
is($b->value(q{SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'subscriber' AND invalidation_reason IS NULL}), '1', 'it has the slot');
$b->sql(q{SELECT pg_replication_slot_advance('subscriber', pg_current_wal_lsn())});
pass('... and the slot can be used');
done_testing();
