# Replication slots: every node keeps the WAL that the other members lack, within
# pgha.slot_keep_size, and touches no slot that is not its own.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

# One of three has to lead alone for a while: two witnesses vote, too.
my $cluster = PghaCluster->new(
	names => [ 'db-1', 'Db.2', 'db_3' ],
	witnesses => [ 'w-1', 'w-2' ],
	settings => {
		wal_level => 'logical', max_replication_slots => 6, max_wal_size => '1GB', wal_keep_size => 0, wal_receiver_create_temp_slot => 'on',
		'pgha.failure_timeout' => '5s', 'pgha.heartbeat_interval' => '200ms', 'pgha.slot_keep_size' => '200MB'
	});
$cluster->build(sql => 'CREATE TABLE t (v text)');
my ($a, $b, $c) = $cluster->nodes;
wait_votes($a, $cluster->voters);

sub slots { my ($node) = @_; return $node->value('SELECT string_agg(slot_name, $$ $$ ORDER BY slot_name) FROM pg_replication_slots') // ''; }

sub wait_slots
{
	my ($node, $slots, $what) = @_;
	my $there = PghaCluster::poll_until($what, sub { slots($node) eq $slots });
	ok($there, $what) or diag "$node->{name} has: " . slots($node);
}

sub restart_lsn { my ($node, $slot) = @_; return $node->sql("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = '$slot'"); }

# So many segments of WAL, and a checkpoint that would remove what nobody keeps.
sub write_wal
{
	my ($segments) = @_;
	foreach (1 .. $segments)
	{
		$a->sql('INSERT INTO t SELECT repeat($$x$$, 1000) FROM generate_series(1, 1000)');
		$a->sql('SELECT pg_switch_wal()');
	}
	$a->sql('CHECKPOINT');
	$cluster->wait_following($a, grep { $_->is_up } $b);
	$b->sql('CHECKPOINT');
}

sub lines { my ($node, $mark, $pattern) = @_; my @lines = $node->log_since($mark) =~ /$pattern/g; return scalar @lines; }

# ---- for every other member, on every node ----

wait_slots($a, 'pgha_db_2 pgha_db_3', 'the primary keeps a slot for each standby');
wait_slots($b, 'pgha_db_1 pgha_db_3', 'a standby keeps one for each other member');
wait_slots($c, 'pgha_db_1 pgha_db_2', 'the other standby too');
is($a->sql('SELECT count(*) FROM pg_replication_slots WHERE active'), 2, 'the standbys stream through them');
is(join(' ', map { $_->sql('SELECT count(*) FROM pg_replication_slots WHERE temporary') } $a, $b, $c), '0 0 0', 'and through no temporary ones, which hold WAL without a limit');
is($b->sql('SELECT count(*) FROM pg_replication_slots WHERE restart_lsn IS NULL OR slot_type <> $$physical$$'), 0,
	'slots on a standby keep WAL from the start');

my $lsn = restart_lsn($b, 'pgha_db_3');
write_wal(2);
ok(PghaCluster::poll_until('the slot', sub { $b->sql("SELECT '" . restart_lsn($b, 'pgha_db_3') . "'::pg_lsn > '$lsn'") eq 't' }),
	'a slot on a standby follows what its member has');
is($b->sql('SELECT count(*) FROM pg_replication_slots WHERE restart_lsn > pg_last_wal_replay_lsn()'), 0,
	'but not past the own position');

# ---- slots of others ----

$a->sql("SELECT pg_create_physical_replication_slot('mine', true)");
$a->sql("SELECT pg_create_logical_replication_slot('pgha_logical', 'test_decoding')");
$a->sql("SELECT pg_create_physical_replication_slot('pgha_gone', true)");
my $mark = $a->log_mark;
ok($cluster->stays_false(sub { slots($a) ne 'mine pgha_db_2 pgha_db_3 pgha_gone pgha_logical' }, 3),
	'slots that pgha has not made are not touched, whatever their names are') or diag slots($a), $a->log_since($mark);
like($a->sql(q{SELECT finding FROM pgha_doctor() WHERE "check" = 'other_slots' AND severity = 'warning'}), qr/"pgha_gone", which is not pgha's/,
	'the doctor tells of one that keeps WAL back');
$a->sql("SELECT pg_drop_replication_slot('pgha_gone')");
$a->sql("SELECT pg_create_physical_replication_slot('mine' || i) FROM generate_series(2, 3) i");
$c->stop;
$cluster->wait_for('the slot to be free', sub { $a->sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'pgha_db_3'") eq 'f' });
# The monitor may come between the two, and makes its slot again.
$cluster->wait_for('the last slot to be taken', sub {
	!defined $a->error(q{SELECT (SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE slot_name = 'pgha_db_3'),
		pg_create_physical_replication_slot('mine4')}) });
wait_slots($a, 'mine mine2 mine3 mine4 pgha_db_2 pgha_logical', 'all slots are taken');
$a->wait_log(qr/could not maintain replication slot "pgha_db_3": all replication slots are in use/, $mark);
ok($cluster->stays_false(sub { lines($a, $mark, 'could not maintain') > 1 }, 1.5), 'which is said once');
is($a->error('INSERT INTO t VALUES (1)'), undef, 'and hurts nothing');
$a->sql("SELECT pg_drop_replication_slot(s) FROM unnest(ARRAY['mine2', 'mine3', 'mine4', 'pgha_logical']) s");
wait_slots($a, 'mine pgha_db_2 pgha_db_3', 'the slot comes back when there is room');
$a->sql("SELECT pg_drop_replication_slot('mine')");

# ---- a member that is away ----

$c->start;
$cluster->wait_following($a, $c);
$c->stop;
write_wal(4);
$a->sql('CHECKPOINT');
$c->start;
is(eval { $cluster->wait_following($a, $c) }, 1, 'a member that was away finds its WAL at the primary');

$c->stop;
write_wal(4);
$b->sql('CHECKPOINT');
is(slots($b), 'pgha_db_1 pgha_db_3', 'the standby keeps its slots');
my $standby_lsn = restart_lsn($b, 'pgha_db_3');
my ($mark_a, $mark_b) = ($a->log_mark, $b->log_mark);
$a->set('pgha.slot_keep_size' => '48MB');
$b->set('pgha.slot_keep_size' => '48MB');
my $dropped = qr/dropped replication slot "pgha_db_3": member "db_3" is \d+ MB behind/;
wait_slots($a, 'pgha_db_2', 'beyond pgha.slot_keep_size the slot is dropped');
wait_slots($b, 'pgha_db_1', 'on a standby too');
ok($cluster->stays_false(sub { slots($a) =~ /db_3/ || slots($b) =~ /db_3/ }, 1.5), 'and does not come back');
is(lines($a, $mark_a, $dropped), 1, 'one line in the log tells');
is(lines($b, $mark_b, $dropped), 1, 'on a standby too');

# No checkpoint has passed: the WAL is still there, only not kept.
$c->start;
is(eval { $cluster->wait_following($a, $c) }, 1, 'the member comes back in time');
wait_slots($a, 'pgha_db_2 pgha_db_3', 'and has a slot again');
wait_slots($b, 'pgha_db_1 pgha_db_3', 'on the standby too');
$a->set('pgha.slot_keep_size' => undef);
$b->set('pgha.slot_keep_size' => undef);

# ---- whoever leads next has their WAL ----

$c->stop;
write_wal(4);
$a->kill9;
is($cluster->wait_single_primary, $b, 'the standby is promoted');
$b->sql('CHECKPOINT') foreach 1 .. 2;
$c->start;
is(eval { $cluster->wait_following($b, $c) }, 1, 'a member that was away finds its WAL at the next primary');
wait_slots($b, 'pgha_db_1 pgha_db_3', 'which keeps a slot for its predecessor as well');

# ---- members that are no more ----

my $without = join ', ', grep { !/db-1/ } split /, /, $cluster->{members};
$b->set('pgha.members' => $without);
wait_slots($b, 'pgha_db_3', 'the slot of a removed member is dropped');
$b->set('pgha.members' => undef);
wait_slots($b, 'pgha_db_1 pgha_db_3', 'and made again when it is listed again');

# Nobody else is there to be elected meanwhile.
$c->stop;
$b->restart;
$b->wait_writable;
wait_slots($b, 'pgha_db_1 pgha_db_3', 'slots survive a restart');

# What is pgha's is known over a restart, and also what is not.
$b->sql("SELECT pg_create_physical_replication_slot('pgha_gone', true)");
$b->stop;
$b->configure('pgha.members' => $without);
$b->start;
$b->wait_writable;
wait_slots($b, 'pgha_db_3 pgha_gone', 'removed while the server was down: the slot of the former member is dropped, no other one');
$b->sql("SELECT pg_create_physical_replication_slot('pgha_db_1', true)");
ok($cluster->stays_false(sub { slots($b) ne 'pgha_db_1 pgha_db_3 pgha_gone' }, 3), 'one that somebody makes of the name is not');

done_testing();
