# Partitions between real servers in network namespaces (root only): a standby
# that still streams vetoes; a primary that is cut off is replaced and, once
# the network is whole again, fences itself, and what can be lost without an
# arbiter is counted; two standbys that cannot see each other both promote, and
# the loser is found diverged.  Without quorum: with it none of this can happen.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(nodes => 3, netns => 1, settings => { 'pgha.quorum' => 'off', 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '3s', wal_keep_size => '128MB' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer(netns => $cluster->{hub});
$writer->wait_acknowledged(20);
my $term = $a->status->{term};

# ---- one standby cannot see the primary, the other one can ----
$cluster->partition([$a], [$b]);
$cluster->wait_for('b to miss the primary', sub { my $view = $b->view; $view->{a} && !$view->{a}{reachable} });
ok($cluster->stays_false(sub { scalar grep { $_ != $a } $cluster->primaries }, 8), 'a standby that still streams vetoes');
is($a->status->{term}, $term, 'the term is the same');
$cluster->wait_for('b to say why it waits', sub { (($b->status // {})->{reason} // '') =~ /c still receives/ });
pass('the other standby says why it waits');
my $moment = PghaCluster::now();
$writer->wait_acknowledged(20, $moment);
$cluster->heal;
$cluster->wait_following($a);
pass('healed: all as before');

# ---- asymmetric: the primary's packets do not reach b, b's reach the primary ----
$cluster->block($a, $b);
ok($cluster->stays_false(sub { scalar grep { $_ != $a } $cluster->primaries }, 8), 'loss in one direction: vetoed too');
$cluster->heal;
$cluster->wait_following($a);

# ---- the primary is cut off from both; clients still reach it ----
$cluster->partition([$a], [ $b, $c ]);
my $faithful = $cluster->start_writer(netns => $cluster->{hub}, nodes => [$a]);
my $new = $cluster->wait_for('a new primary on the other side',
	sub { my ($new) = grep { $_ != $a && $_->writable } $cluster->primaries; $new });
my ($third) = grep { $_ != $a && $_ != $new } $cluster->nodes;
$cluster->wait_following($new, $third);
pass('the side with both standbys promotes one of them');
my $other = $cluster->start_writer(netns => $cluster->{hub}, nodes => [ $b, $c ]);
$other->wait_acknowledged(50);
$faithful->wait_acknowledged(50);
note 'without an arbiter both sides take writes while they cannot see each other';
my $mark = $a->log_mark;
my $healed = PghaCluster::now();
$cluster->heal;
$cluster->wait_for('the old primary to fence itself', sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' });
is($cluster->wait_single_primary, $new, 'healed: the new primary leads alone');
like($a->log_since($mark), qr/gives up/, 'the old one says why it gave up');
$a->wait_state('diverged');
pass('the old primary is past the fork, and says so');
my @late = $faithful->acknowledged;
my $last = @late ? $late[-1][0] - $healed : 0;
note sprintf 'last acknowledgement of the old primary %.0f ms after healing', 1000 * $last;
$_->stop foreach $faithful, $other;
note sprintf 'lost: %d of %d rows that only the old primary acknowledged', scalar $faithful->missing($new), scalar $faithful->acknowledged;
is(scalar($other->missing($new)), 0, 'the side that promoted loses nothing');
is($a->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"), 0, 'the diverged node has no upstream');
$cluster->rejoin($a, $new);
$cluster->wait_following($new);

# ---- two standbys that see neither the primary nor each other ----
my $primary = $cluster->wait_single_primary;
my ($s, $t) = $cluster->others($primary);
$cluster->partition([$s], [$t]);
$cluster->partition([$primary], [ $s, $t ]);
$cluster->wait_for('both standbys to promote', sub { $s->writable && $t->writable });
my ($ts, $tt) = map { $_->value("SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int") } $s, $t;
isnt($ts, $tt, "two promotions never use the same timeline ($ts, $tt)");
is($s->status->{term}, $t->status->{term}, 'the same term') if $s->status->{term} == $t->status->{term};
$_->sql('INSERT INTO probe SELECT -g FROM generate_series(1, 100) g') foreach $s, $t;
$cluster->heal;
my $winner = $cluster->wait_single_primary;
isnt($winner, $primary, 'the primary that was cut off does not win');
my ($loser) = grep { $_ != $winner && $_ != $primary } $cluster->nodes;
$loser->wait_state('diverged');
pass('the loser is found diverged');
is($winner->value('SELECT count(*) FROM probe WHERE v < 0'), 100, 'the winner has its own rows only');

# pg_rewind must see the difference.  It takes the timelines from the control
# files, so that both servers need a checkpoint on theirs; a loser that had none
# before it was fenced cannot be rewound by PostgreSQL 15 and is cloned.
$winner->sql('CHECKPOINT');
$loser->stop;
my ($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::bindir() . '/pg_rewind', '-D', $loser->{data}, '--source-server=' . $winner->conninfo, '--no-sync' ]);
note "pg_rewind: $err";
unlike("$out$err", qr/no rewind required/, 'never "no rewind required"');
if ($status == 0)
{
	PghaCluster::spew("$loser->{data}/standby.signal", '');
	$loser->configure;
}
else
{
	$loser->clone($winner);
}
$loser->start;
$cluster->wait_following($winner, $loser);
is($loser->value('SELECT count(*) FROM probe WHERE v < 0'), 100, 'the loser has the rows of the winner');
$cluster->rejoin($primary, $winner);
ok($cluster->one_primary, 'one primary at the end');
done_testing();
