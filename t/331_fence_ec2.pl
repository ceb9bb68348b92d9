# pgha.fence = 'ec2-stop' with real servers, agents and t/fake_ec2.py.  A "machine"
# is a server with its agent; once EC2 says that its instance is stopped, the test
# kills what is frozen there, so that it never wakes up.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use FakeEc2;
use PghaCluster;
use Test::More;

delete $ENV{$_} foreach grep { /^AWS_|_proxy$/i } keys %ENV;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.fence' => 'ec2-stop', 'pgha.fence_timeout' => '60s' });
my ($a, $b) = $cluster->nodes;
my $ec2 = FakeEc2->start($cluster);
$cluster->build;
$_->start_agent foreach $a, $b;

sub reason { my ($node) = @_; return ($node->status // {})->{reason} // ''; }
sub stops { return grep { $_->{action} eq 'StopInstances' } $ec2->requests; }
sub state_of { my ($node) = @_; return $ec2->state->{instances}{ FakeEc2::instance($node) }; }

sub stays_standby
{
	my ($node, $what) = @_;
	ok($cluster->stays_false(sub { ($node->value('SELECT pg_is_in_recovery()') // 't') ne 't' }, 5), $what);
	return;
}

# The agent and what it has started.
sub agent_pids
{
	my ($node) = @_;
	return ($node->{agent_pid},
		grep { (PghaCluster::slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) \S $node->{agent_pid} /s && PghaCluster::command_line($_) =~ m{/pgha agent} }
		map { m{(\d+)$} } glob('/proc/[0-9]*'));
}

# The standby knows what it would have to stop.
sub ready
{
	my ($primary, $standby) = @_;
	my $instance = FakeEc2::instance($primary);
	$cluster->wait_following($primary, $standby);
	$cluster->wait_for("$standby->{name} to know the instance of $primary->{name}",
		sub { (PghaCluster::slurp("$standby->{data}/pgha.state") // '') =~ /^leader_instance=$instance$/m });
	$standby->wait_agent;
	$ec2->clear;
	return;
}

sub freeze_machine { my ($node) = @_; kill 'STOP', agent_pids($node); $node->freeze; return; }
sub thaw_machine { my ($node) = @_; $node->thaw; kill 'CONT', agent_pids($node); return; }

# EC2 has stopped it.
sub kill_machine
{
	my ($node) = @_;
	my @agent = agent_pids($node);
	$node->kill9;
	kill 'KILL', @agent;
	$cluster->wait_for("the agent of $node->{name} to be gone", sub { !$node->agent_running });
	return;
}

sub start_machine
{
	my ($node, $primary) = @_;
	$ec2->control('start', { instance => FakeEc2::instance($node) });
	$node->start(wait => 0);
	$node->start_agent(wait => 0);
	$cluster->wait_for("$node->{name} to be settled", sub { $node->is_up && $cluster->settled($node) }, 120);
	$node->wait_streaming(120);
	$node->wait_agent;
	return;
}

# ---- frozen: stopped first; the agent's session is lost meanwhile ----

ready($a, $b);
$ec2->set(stop_delay => 1000);
my $mark = $b->agent_mark;
freeze_machine($a);
$cluster->wait_for('the instance to be stopping', sub { state_of($a) ne 'running' });
my ($stop) = stops();
is("$stop->{params}{'InstanceId.1'} $stop->{params}{Force} $stop->{owner}", FakeEc2::instance($a) . ' true ' . FakeEc2::instance($b),
	'a frozen primary: the agent of the standby has its instance stopped by force');
$cluster->wait_for('pgha_status() to say so', sub { reason($b) =~ /waits until the instance of a is stopped/ });
pass('pgha_status() says so');

# A session that is lost: the order is handed out again, and the outcome told when the server lets the agent in.
my $hba = PghaCluster::slurp("$b->{data}/pg_hba.conf");
my $log_mark = $b->log_mark;
$b->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgha agent%'");
$b->wait_log(qr/agent of node "b" has connected/, $log_mark);
PghaCluster::spew("$b->{data}/pg_hba.conf", "host all pgha all reject\n$hba");
$b->reload;
$cluster->wait_for('b to let no agent in', sub { $b->log_since($log_mark) =~ /received SIGHUP/ });
stays_standby($b, 'not promoted while the instance is stopping');
$ec2->control('stopped', { instance => FakeEc2::instance($a) });
$b->wait_agent_log(qr/could not tell it that/, $mark);
stays_standby($b, 'not promoted before the outcome is told');
PghaCluster::spew("$b->{data}/pg_hba.conf", $hba);
$b->reload;
$cluster->wait_for('b to lead', sub { $b->writable });
pass('promoted then');
kill_machine($a);
is(scalar(stops()), 1, 'EC2 was asked once');
is(scalar(() = substr($b->agent_text, $mark) =~ /stopping EC2 instance/g), 1, 'the order that was handed out twice was begun once');
$cluster->wait_for('the event', sub { grep { $_->{node} eq 'b' && $_->{what} =~ /^the instance of a is stopped/ } $b->events });
pass('pgha_events() tells of it');

# ---- killed: its host refuses connections, as a firewall may: stopped, too ----

start_machine($a, $b);
ready($b, $a);
kill_machine($b);
$cluster->wait_for('the instance to be stopping', sub { state_of($b) ne 'running' });
$ec2->control('stopped', { instance => FakeEc2::instance($b) });
$cluster->wait_single_primary(among => [$a]);
is(scalar(stops()), 1, 'a killed primary: stopped first');
start_machine($b, $a);

# ---- not allowed ----

ready($a, $b);
$ec2->set(stop_delay => 0.3, unauthorized => ['StopInstances']);
freeze_machine($a);
my $why = $cluster->wait_for('b to say why', sub { my $reason = reason($b); $reason =~ /could not be stopped: .*StopInstances/ && $reason });
like($why, qr/is not promoted: the instance of a could not be stopped: .*(?:UnauthorizedOperation|not authorized|not allow)/i, 'not allowed: pgha_status() says why');
stays_standby($b, 'not allowed: nobody is promoted');
is(state_of($a), 'running', 'it still runs');
$ec2->set(unauthorized => []);
$cluster->wait_for('the instance to be stopped', sub { state_of($a) eq 'stopped' });
kill_machine($a);
$cluster->wait_single_primary(among => [$b]);
pass('allowed meanwhile: stopped and promoted');

# ---- EC2 does not answer ----

start_machine($a, $b);
ready($b, $a);
$mark = $a->agent_mark;
$_->set('pgha.fence_timeout' => '8s') foreach $a, $b;
$a->wait_agent_log(qr/read the configuration again/, $mark);
$ec2->faults({ match => 'StopInstances', mode => 'hang' });
freeze_machine($b);
$cluster->wait_for('a to say why', sub { reason($a) =~ /the instance of b (?:could not be stopped|was not stopped within)/ });
pass('EC2 hangs: there is a limit, and pgha_status() says so');
stays_standby($a, 'EC2 hangs: nobody is promoted');
thaw_machine($b);
$cluster->wait_following($b, $a);
is($b->status->{role}, 'primary', 'the primary answers again, and leads on');

ok($ec2->signatures_good, 'every signature was good');
is_deeply([ $ec2->leaks ], [], 'no secret is shown');
done_testing();
