# Nodes that pgha leaves alone, and that say so: a recovery target,
# recovery.signal, a copy of another database cluster, a name that is in use.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s' })->build;
my ($a, $b) = $cluster->nodes;
my $term = $a->status->{term};

sub stays_passive
{
	my ($what, $node, $pattern) = @_;
	$node->wait_state('passive');
	my $status = $node->status;
	like($status->{reason}, $pattern, "$what: says so");
	ok(!$status->{candidate}, "$what: no candidate");
	is($cluster->primary // $a, $a, "$what: the primary leads on");
}

# A recovery target, on a standby.
$b->stop;
$b->configure(recovery_target_lsn => 'F/0');
$b->start;
stays_passive('recovery target', $b, qr/recovery target/);
$a->kill9;
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'recovery target: not promoted');
$a->start;
$cluster->wait_single_primary;
$b->stop;
$b->configure(recovery_target_lsn => undef);
$b->start;
$cluster->wait_following($a, $b);
is($b->state, 'standby', 'managed again without the target');

# recovery.signal: archive recovery that pauses where it is told to.
$b->stop;
unlink "$b->{data}/standby.signal";
PghaCluster::spew("$b->{data}/recovery.signal", '');
$b->configure(restore_command => '/bin/false', recovery_target_lsn => 'F/0', recovery_target_action => 'pause');
$b->start(wait => 0);
# The target is never reached: PostgreSQL ends recovery with an error.  What
# matters is that nothing was promoted in between.
$cluster->wait_for('archive recovery to end', sub { !$b->is_running || $b->state eq 'passive' });
is($cluster->primary, $a, 'recovery.signal: the primary leads on');
is($a->status->{term} >= $term, 1, 'recovery.signal: no new term');
$b->stop if $b->is_running;
unlink "$b->{data}/recovery.signal";
$b->configure(restore_command => undef, recovery_target_lsn => undef, recovery_target_action => undef);
$b->clone($a);
$b->start;
$cluster->wait_following($a, $b);

# The name is in use: a second server with the configuration of b.
my $twin = PghaCluster->new(names => ['b'], pgha => 0);
my ($double) = $twin->nodes;
$double->clone($a);
$double->configure(
	shared_preload_libraries => 'pgha', 'pgha.node' => 'b', primary_conninfo => undef,
	'pgha.members' => $cluster->{members});
$double->start;
$twin->wait_for('the second b to be passive', sub { $double->state eq 'passive' });
like($double->status->{reason}, qr/name/, 'name in use: says so');
is($b->state, 'standby', 'name in use: the first one is what it was');
$cluster->wait_following($a, $b);
$double->stop;

# Another database cluster under the name of a member.
my $other = PghaCluster->new(names => ['p'], pgha => 0)->build(sql => 'CREATE EXTENSION pgha');
my ($p) = $other->nodes;
$b->stop;
$b->clone($p);
PghaCluster::spew("$b->{data}/postgresql.conf", PghaCluster::slurp("$a->{data}/postgresql.conf"));
$b->configure;
$b->start;
stays_passive('another system', $b, qr/another database cluster|system identifier/);
is($a->value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"), 0, 'another system: does not stream');
ok(!defined $a->value("SELECT 1/count(*) FROM pg_stat_replication WHERE state = 'streaming'"), 'another system: nothing is synchronous with it');
done_testing();
