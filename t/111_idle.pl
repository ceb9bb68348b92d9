# At rest: no line in any log, no growth, little CPU.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(
	nodes => 3,
	settings => { log_min_messages => 'info', log_connections => 'off', autovacuum => 'off' })->build;
my @nodes = $cluster->nodes;
$cluster->wait_for('all to see all',
	sub { !grep { my $view = $_->view; keys %$view != 3 || grep { !$_->{reachable} } values %$view } @nodes });

# That the members begin to vote is told, and told on.
wait_votes($nodes[0], @nodes);
$cluster->wait_for('all to have heard of that', sub { !grep { my $node = $_; !grep { $_->{what} =~ /the members vote from now on/ } $node->events } @nodes });

my @marks = map { $_->log_mark } @nodes;
my @events = map { scalar $_->events } @nodes;
my @cpu = map { $_->pgha_cpu_time } @nodes;
my @monitors = map { $_->monitor_pid } @nodes;
$cluster->stays_false(sub { 0 }, 10);
foreach my $i (0 .. $#nodes)
{
	my $node = $nodes[$i];
	is($node->log_since($marks[$i]), '', "$node->{name}: no line at rest");
	is(scalar $node->events, $events[$i], "$node->{name}: no event at rest");
	is($node->monitor_pid, $monitors[$i], "$node->{name}: the same monitor");
	note sprintf '%s: %.2f %% of a core', $node->{name}, ($node->pgha_cpu_time - $cpu[$i]) * 10;
}

# With one member away: one line, not one a try.
$nodes[2]->stop;
$cluster->wait_for('the standby to be missed', sub { my $view = $nodes[0]->view; $view->{c} && !$view->{c}{reachable} });
@marks = map { $_->log_mark } @nodes;
$cluster->stays_false(sub { 0 }, 5);
is($_->log_since($marks[ $_ == $nodes[0] ? 0 : 1 ]), '', "$_->{name}: no line while a member is away") foreach @nodes[ 0, 1 ];

# A reload without a change, too, is nothing to talk about but PostgreSQL's own line.
$nodes[0]->reload;
$cluster->stays_false(sub { 0 }, 1);
unlike($nodes[0]->log_since($marks[0]), qr/pgha/, 'a reload without a change says nothing of pgha');
done_testing();
