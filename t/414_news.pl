# What a member says in answer to what another has said travels at the speed of a message:
# who seeks to be elected, and has a question with a member that has nothing new to say, need
# not wait until that one would answer anyway.  heartbeat_interval is so long here that such a
# wait is seen.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

my $heartbeat = 15;
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.startup_grace' => '60s' });
my ($primary, $seeker, $other) = $cluster->nodes;
$cluster->build;
foreach my $node ($cluster->nodes)
{
	$node->configure('pgha.heartbeat_interval' => "${heartbeat}s", 'pgha.failure_timeout' => '60s');
	$node->reload;
}
$cluster->wait_for("$_->{name} to have read that", sub { ($_->value('SHOW pgha.failure_timeout') // '') eq '1min' }) foreach $cluster->nodes;
wait_votes($primary, $cluster->nodes);

# The child by which the seeker asks the primary, found by the port that it comes from.
sub asking
{
	my ($node, $of) = @_;
	my %ours = map { $_ => 1 } $node->io_pids;
	my @ports = split /\n/, $of->value("SELECT string_agg(client_port::text, E'\\n') FROM pg_stat_activity WHERE application_name = 'pgha io'");
	my ($pid) = grep { $ours{$_} } map { `ss -tnpH sport = :$_` =~ /pid=(\d+)/g } @ports;
	return $pid;
}

# The other one seeks to be elected, too, but gives way to the seeker, which cannot know yet.
my $child = asking($seeker, $primary);
ok($child, 'the child that asks the primary was found');
my ($receiver) = grep { PghaCluster::command_line($_) =~ /^postgres: walreceiver/ } $seeker->processes;
ok($receiver, 'its WAL receiver, too');
kill 'STOP', $child, $receiver;
$primary->kill9;
$cluster->wait_for("$other->{name} to seek", sub { ($other->state // '') eq 'candidate' });
$cluster->wait_for("a question that is asked of it after that, and waits",
	sub {
		($other->value(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgha io' AND state = 'active'
			AND query LIKE '%report_changed%'}) // 0) == 1;
	});
my $moment = PghaCluster::now();
kill 'CONT', $child, $receiver;
is($cluster->wait_single_primary(among => [$seeker]), $seeker, 'it is elected');
cmp_ok(PghaCluster::now() - $moment, '<', $heartbeat / 2, '... before the next heartbeat');

done_testing();
