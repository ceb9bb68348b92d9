# The time of day is set on hosts of voting members, by an hour to and fro, as an
# administrator or NTP does: of the primary, of the voters, of a primary that has lost
# its lease, of one that is frozen and replaced.  It never matters.
#
# The servers have libfaketime, and each a time of day of its own (Node.pm).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

plan skip_all => 'needs libfaketime' unless PghaCluster::Node::can_step_clock();

use constant HOUR => 3600;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s', wal_keep_size => '128MB' });
$_->step_clock(0) foreach $cluster->nodes;
$cluster->build;
my ($a, $b, $c) = $cluster->nodes;
my $rule = wait_votes($a, $a, $b, $c);
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);

# The monitor notes by that clock when it has heard of another member; in a new session a server tells what time it is.
sub clock_of
{
	my ($node) = @_;
	my ($server, $monitor) = split /\|/, $node->value(q{SELECT round(extract(epoch FROM clock_timestamp())), round(extract(epoch FROM max(last_heard))) FROM pgha_cluster() WHERE node <> current_setting('pgha.node')}) // '0|0';
	return map { ($_ || 0) - time } $server, $monitor;
}

# Sets these nodes' time of day, and waits until their servers, and the monitors in them, go by it.
sub step
{
	my ($seconds, @nodes) = @_;
	$_->step_clock($seconds) foreach @nodes;
	foreach my $node (@nodes)
	{
		$cluster->wait_for("the time of day of $node->{name} to be set",
			sub { !grep { abs($_ - $seconds) > HOUR / 4 } clock_of($node) });
	}
	return;
}

# ---- of the primary, of the voters, of all ----

foreach my $case ([ 'the primary', $a ], [ 'the voters', $b, $c ])
{
	my ($who, @nodes) = @$case;
	foreach my $seconds (HOUR, -HOUR)
	{
		step($seconds, @nodes);
		my $since = PghaCluster::now();
		my $elected = sub { my $status = $a->status; !$status || $status->{state} ne 'primary' || $status->{term} != $rule->{term} };
		ok($cluster->stays_false($elected, 2.5), sprintf '%s: set by %+d s, no election for longer than a lease', $who, $seconds);
		$writer->wait_acknowledged(20, $since);
	}
}
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, 'clients have noticed nothing');
$cluster->wait_following($a);
wait_votes($a, $a, $b, $c);

# ---- a lease is not made longer by a clock that is set back ----

step(HOUR, $a);
$_->freeze foreach $b, $c;
$a->step_clock(-HOUR);
my $gate = '';
$cluster->wait_for('the gate to close, or the primary to give up', sub {
	$gate = ($a->status // { gate => 'down' })->{gate};
	return $gate ne 'open';
});
isnt($gate, 'open', 'the voters are silent, and the clock of the primary is set back: its lease ends all the same');
$_->thaw foreach $b, $c;
my $primary = $cluster->wait_single_primary;
$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
wait_votes($primary, $cluster->nodes);

# ---- a primary that is frozen, and whose clock is set back meanwhile ----

step(HOUR, $primary);
my @others = $cluster->others($primary);
step(-HOUR, $others[0]);
step(HOUR, $others[1]);
$writer->stop;
my ($near, $far) = ($cluster->start_writer(nodes => [$primary], timeout => 600_000, timeline => 1), $cluster->start_writer(nodes => [@others], timeline => 1));
$near->wait_acknowledged(20);
my $moment = $primary->freeze;
$primary->step_clock(-HOUR);
$far->wait_acknowledged(20, $moment);
pass('members whose clocks are two hours apart elect another one');
my $first = ($far->acknowledged)[0][0];
$primary->thaw;
$cluster->wait_for('the thawed primary to be in recovery', sub { ($primary->value('SELECT pg_is_in_recovery()') // '') eq 't' });
my $next = $cluster->wait_single_primary(among => [@others]);
$_->stop foreach $near, $far;
is(beside($near, $far), 0, '... and the old one, set back to before it was frozen, acknowledges nothing beside it');
is(scalar(grep { $_->[0] > $first } $near->acknowledged), 0, '... nor anything at all');
$cluster->rejoin($primary, $next);
wait_votes($next, $cluster->nodes);
is(lost($next, $far), 0, '... which has all its own');

done_testing();
