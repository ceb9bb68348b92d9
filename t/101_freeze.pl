# A frozen primary is replaced; thawed, it acknowledges nothing and fences
# itself.  Nodes that were frozen themselves do not mistake their own sleep for
# the silence of others.  Without quorum; t/402_votes.pl does it with.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.quorum' => 'off' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;

# Knows only the node that will be frozen; patient enough to be still connected
# when it is thawed.
my $faithful = $cluster->start_writer(nodes => [$a], timeout => 600_000);
$_->wait_acknowledged(20) foreach $writer, $faithful;

my $moment = $a->freeze;
my $new = $cluster->wait_single_primary(among => [ $b, $c ]);
$writer->wait_acknowledged(10, $moment);
my $outage = $writer->outage($moment);
note sprintf 'outage %.0f ms with failure_timeout 1 s', $outage;
cmp_ok($outage, '>', 900, 'a frozen primary gets failure_timeout');
my ($third) = grep { $_ != $a && $_ != $new } $cluster->nodes;
$cluster->wait_following($new, $third);
pass('the third node follows');

my $mark = $a->log_mark;
my $thawed = $a->thaw;
$a->wait_log(qr/was stopped for a while/, $mark);
my $noticed = PghaCluster::now();
$cluster->wait_for('the thawed primary to be in recovery',
	sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' });
ok($cluster->one_primary, 'one primary');
is($cluster->primary, $new, 'the new one');
like($a->log_since($mark), qr/gives up|fence/i, 'the log of the old primary says why');

# Without an arbiter the gate has no deadline: what reaches a session before the
# monitor runs again is still acknowledged.
my @late = grep { $_->[0] > $thawed } $faithful->acknowledged;
note sprintf 'acknowledged by the old primary after it was thawed: %d', scalar @late;
is(scalar(grep { $_->[0] > $noticed + 0.5 } @late), 0, 'the old primary does not go on acknowledging');
my $state = $cluster->rejoin($a, $new);
note "the thawed primary became $state";
$faithful->stop;

if ($state ne 'diverged')
{
	$cluster->wait_for('the event of the fencing', sub { grep { $_->{kind} eq 'fence' && $_->{node} eq 'a' } $new->events });
	pass('pgha_events() tells the fencing');
}

# A standby that is frozen and thawed does nothing.
my $term = $new->status->{term};
my ($standby) = grep { $_ != $new } $cluster->nodes;
$standby->freeze;
my $since = PghaCluster::now();
$writer->wait_acknowledged(300, $since);
$standby->thaw;
$cluster->wait_following($new, $standby);
is($new->status->{term}, $term, 'no failover after it was thawed');

# Everything frozen at once, as when the whole host is suspended: who led leads.
$_->freeze foreach $cluster->nodes;
$since = PghaCluster::now();
PghaCluster::poll_until('', sub { PghaCluster::now() - $since > 3 }, 3);
$_->thaw foreach $cluster->nodes;
my $primary = $cluster->wait_single_primary;
$cluster->wait_following($primary);
is($primary, $new, 'all frozen and thawed: the primary leads on');
is($primary->status->{term}, $term, 'in the same term');

# Only the monitor of the primary is stopped: the server streams and answers.
my $monitor = $primary->monitor_pid;
kill 'STOP', $monitor;
$since = PghaCluster::now();
$cluster->stays_false(sub { !$cluster->one_primary }, 2.5);
kill 'CONT', $monitor;
is($cluster->wait_single_primary, $primary, 'a stopped monitor is no failover');
is($primary->status->{term}, $term, 'nor a new term');
$writer->wait_acknowledged(10, PghaCluster::now());
pass('commits go on');
done_testing();
