# The primary is killed twenty times over, with a writer at work.  Each time the
# other node takes over and the killed one comes back by itself, with no manual
# step.  Replication is asynchronous: what was acknowledged and is not there
# afterwards must be in what pgha_lost tells, and nothing else may be missing.
#
# Then a few rounds of recoveries with random faults in them (RecoveryLoop.pm; LOOPS
# and SEED choose how many and which; bench/recovery_loop plays many).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use RecoveryLoop;
use Test::More;

my $ROUNDS = 20;
my $loops = $ENV{LOOPS} // 4;
my $seed = $ENV{SEED} // 1 + time % 100_000;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '16MB', min_wal_size => '4MB', 'pgha.slot_keep_size' => '64MB' })->build;
my @nodes = $cluster->nodes;
my $before = $cluster->inventory;
my $writer = $cluster->start_writer;
my $primary = $cluster->primary;

my $start = PghaCluster::now();
my $came_back = 0;
foreach my $round (1 .. $ROUNDS)
{
	my ($other) = $cluster->others($primary);
	$writer->wait_acknowledged(scalar($writer->acknowledged) + 20);
	$primary->kill9;
	last unless $cluster->wait_single_primary(among => [$other]) == $other;
	eval { $primary->wait_streaming; 1 } or do
	{
		diag "$primary->{name} in round $round: ", ($primary->psql('SELECT * FROM pgha_cluster()'))[1];
		die $@;
	};
	$came_back++;
	$primary = $other;
}
is($came_back, $ROUNDS, "killed, failed over, came back: $ROUNDS times");
note sprintf '%.0f s', PghaCluster::now() - $start;

$writer->wait_acknowledged(scalar($writer->acknowledged) + 20);
$writer->stop;
my ($other) = $cluster->others($primary);
$cluster->wait_following($primary, $other);
$cluster->wait_for('the last recovery to have ended', sub { !grep { $_->job_pids } @nodes });

# Commits that were given up, as the summaries count them: the writer's, and none of anybody else.
my $given_up = 0;
my $summaries = 0;
foreach my $file (map { glob($_->agent_directory . '/pgha_lost/*/summary.txt') } @nodes)
{
	my ($commits) = PghaCluster::slurp($file) =~ /^commits: +(\d+)$/m;
	$given_up += $commits;
	$summaries++;
}
my @missing = $writer->missing($primary);
note sprintf '%d acknowledged, %d missing, %d commits given up in %d summaries',
  scalar($writer->acknowledged), scalar(@missing), $given_up, $summaries;
cmp_ok(scalar(@missing), '<=', $given_up, 'no more acknowledged rows are missing than pgha_lost tells of');
is($primary->value('SELECT count(*) - count(DISTINCT (writer, v)) FROM written'), '0', 'no row is there twice');
is($other->value('SELECT pg_is_in_recovery()'), 't', 'the other node is a standby');

# Nothing piles up.
my $after;
PghaCluster::poll_until('', sub { $after = $cluster->inventory; return $after->{processes} <= $before->{processes} + 4 });
cmp_ok($after->{processes}, '<=', $before->{processes} + 4, 'no processes are left over');
my %used = map { ((split ' ', (split /\n/, PghaCluster::slurp("$_->{data}/postmaster.pid"))[6])[1] => 1) } @nodes;
my $table = PghaCluster::must_run([ 'ipcs', '-m' ]);
is(join(' ', grep { !$used{$_} && $table =~ /^0x\S+\s+$_\s/m } grep { /^\d+$/ } map { @{ $_->{segments} } } @nodes), '', 'no shared memory');
is(scalar(grep { -e } map { glob("$_->{data}.old-* $_->{data}.new-* $_->{data}.pgha/*.new $_->{data}.pgha/copies") } @nodes), 0, 'no directories');
foreach my $node (@nodes)
{
	my ($peer) = $cluster->others($node);
	$cluster->wait_for("$node->{name} to have one slot", sub { ($node->value('SELECT string_agg(slot_name, $$,$$) FROM pg_replication_slots') // '') eq "pgha_$peer->{name}" });
	is(scalar(() = $node->agent_text =~ /recovery failed/g), 0, "no recovery of $node->{name} failed") or diag $node->agent_text;
	my ($agent) = grep { $_ == $node->{agent_pid} } PghaCluster::processes_in($node->agent_directory);
	cmp_ok(PghaCluster::resident_kb($agent), '<', 20_000, "the agent of $node->{name} has not grown");
}
$cluster->cleanup;

# ---- random faults ----
SKIP:
{
	skip 'pg_waldump does not show what a message says', 1 if PghaCluster::major() < 14;
	diag "SEED=$seed";
	my $loop = RecoveryLoop->new(cluster => RecoveryLoop::cluster(), seed => $seed);
	foreach my $round (1 .. $loops)
	{
		my $what = "round $round of SEED=$seed: " . RecoveryLoop::describe($loop->plan($round));
		my @wrong = $loop->round($round);
		is(join("\n", @wrong), '', $what) or last;
		note "$loop->{count}{acknowledged} rows acknowledged, $loop->{count}{missing} of them given up and told";
	}
}
done_testing();
