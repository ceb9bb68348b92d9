# pgha.address on EC2, with real servers, agents and t/fake_ec2.py: the address
# follows the primary with one request after the decision to promote; the old
# owner cannot take it away any more; EC2 that fails, hangs or is slow never holds
# up a promotion, and the address comes when it is back.  No secret is shown
# anywhere.  Each node is a host of its own (a network namespace).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use FakeEc2;
use PghaCluster;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();
delete $ENV{$_} foreach grep { /^AWS_|_proxy$/i } keys %ENV;

my $cluster = PghaCluster->new(nodes => 2, netns => 1, settings => { 'pgha.failure_timeout' => '4s', 'pgha.startup_grace' => '20s' });
my ($a, $b) = $cluster->nodes;
my ($secondary, $route) = ("$cluster->{net}.100", '10.9.0.1');
my $ec2 = FakeEc2->start($cluster, addresses => { 'eipalloc-1' => '203.0.113.5' }, tables => { 'rtb-1' => {}, 'rtb-2' => {} },
	settings => { lifetime => 420 });
my %kind = (
	'ec2' => {
		address => "ec2:$secondary", take => ['AssignPrivateIpAddresses'], give_up => 'UnassignPrivateIpAddresses', on_interface => $secondary,
		owners => sub { my $enis = $_[0]->{enis}; return [ grep { grep { $_ eq $secondary } @{ $enis->{$_}{ips} } } sort keys %$enis ]; } },
	'ec2-elastic' => {
		address => 'ec2-elastic:eipalloc-1', take => ['AssociateAddress'], give_up => 'D(?:isassociate|escribe)Address',
		owners => sub { return [ grep { defined } $_[0]->{addresses}{'eipalloc-1'}{eni} ]; } },
	'ec2-route' => {
		address => "ec2-route:$route/32\@rtb-1,rtb-2", take => [ 'ReplaceRoute', 'ReplaceRoute' ], on_interface => $route,
		owners => sub { my $tables = $_[0]->{tables}; return [ grep { defined } map { $tables->{$_}{"$route/32"} } qw(rtb-1 rtb-2) ]; } });
my $kind = $kind{ec2};
my $leader = $a;		# whom the test has seen lead last

sub is_on_interface
{
	my ($node) = @_;
	return PghaCluster::must_run([ $cluster->in_netns($node->{netns}), 'ip', '-o', 'addr', 'show', 'dev', 'eth0' ]) =~ / \Q$kind->{on_interface}\E\//;
}

# EC2 gives it to this node alone.
sub is_owner
{
	my ($node) = @_;
	my $owners = $kind->{owners}->($ec2->state);
	return @$owners == @{ $kind->{take} } && !grep { $_ ne "eni-$node->{name}" } @$owners;
}

sub is_held
{
	my ($node, $what) = @_;
	my ($other) = $cluster->others($node);
	$cluster->wait_for("$node->{name} to hold $kind->{address}",
		sub {
			return is_owner($node) && (!$kind->{on_interface} || (is_on_interface($node) && !is_on_interface($other)))
			  && ($node->view->{ $node->{name} }{address_state} // '') eq 'held';
		});
	pass("$what: $kind->{address} is on $node->{name} alone, and pgha_cluster() says so");
	return;
}

# A server that the agent has started is its child, too.
sub keeper_pid
{
	my ($node) = @_;
	return (grep { (PghaCluster::slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) [^Z] $node->{agent_pid} /s && PghaCluster::command_line($_) =~ m{/pgha agent} }
		map { m{(\d+)$} } glob('/proc/[0-9]*'))[0];
}

# Kills the primary; the other one leads.  Returns both, the new one first.
sub fail_over
{
	my ($old) = ($leader);
	my ($new) = $cluster->others($old);
	$cluster->wait_following($old, $new);
	$ec2->clear;
	$old->kill9;
	$leader = $cluster->wait_single_primary(among => [$new]);
	return ($new, $old);
}

# Its agent brings the old primary back.
sub comes_back
{
	my ($old) = @_;
	$old->wait_streaming(120);
	$cluster->wait_for("$old->{name} to say that it does not hold the address", sub { ($old->view->{ $old->{name} }{address_state} // '') eq 'not held' });
	return;
}

# Times of the events of a node, by their place in the list.
sub event
{
	my ($node, $pattern) = @_;
	my @events = grep { $_->{node} eq $node->{name} } $node->events;
	my ($last) = grep { $events[$_]{what} =~ $pattern } reverse 0 .. $#events;
	return defined $last ? { %{ $events[$last] }, place => $last } : undef;
}

sub epoch { my ($node, $event) = @_; return $node->value("SELECT extract(epoch FROM timestamptz '$event->{at}')"); }

# What the node asked of EC2 until it held the address: one request each, and after the decision.
sub took_directly
{
	my ($node, $what) = @_;
	my @requests = $ec2->requests($node);
	my $count = @{ $kind->{take} };
	is(join(' ', map { $_->{action} } @requests[ 0 .. $count - 1 ]), join(' ', @{ $kind->{take} }), "$what: the first requests take it, without a question before");
	is(scalar(grep { $_->{action} eq $kind->{take}[0] } @requests), $count, "$what: one for each address or table");
	my $decided = event($node, qr/promoting to primary/);
	cmp_ok($requests[0]{time}, '>=', epoch($node, $decided), "$what: not before it was decided to promote");
	return;
}

# The agent and keeper of the old primary sleep through the failover, and give the address up afterwards.
sub late_release
{
	my ($what) = @_;
	my @sleepers = ($leader->{agent_pid}, keeper_pid($leader));
	kill 'STOP', @sleepers;
	my ($new, $old) = fail_over();
	is_held($new, $what) unless $kind->{on_interface};
	$cluster->wait_for("$new->{name} to have it from EC2", sub { is_owner($new) });
	took_directly($new, $what);
	kill 'CONT', @sleepers;
	comes_back($old);
	if ($kind->{give_up})
	{
		$cluster->wait_for('the old owner to give it up', sub { grep { /^$kind->{give_up}/ } $ec2->actions($old) });
	}
	is_held($new, "$what, late release by the old owner");
	ok(!grep({ $_ eq $kind->{take}[0] } $ec2->actions($old)), "$what: the old owner has not taken it again");
	return;
}

# The old owner's keeper finds that it has lost the address before its agent has heard of the crash.
sub late_news
{
	my ($what) = @_;
	my $timeout = $a->value('SHOW pgha.failure_timeout');
	my $asked = sub { my ($node) = @_; return $ec2->requests($node) + $ec2->metadata($node) };
	set_everywhere('pgha.failure_timeout' => '20s');
	my $sleeper = $leader->{agent_pid};
	kill 'STOP', $sleeper;
	my $mark = $leader->agent_mark;
	my ($new, $old) = fail_over();
	$cluster->wait_for("$new->{name} to have it from EC2", sub { is_owner($new) });
	$old->wait_agent_log(qr/has been lost/, $mark);

	# What it does about that comes at once, and the new owner looks for it now and then.
	my $before = $asked->($new);
	$cluster->wait_for("$new->{name} to have looked for it", sub { $asked->($new) >= $before + 2 });
	ok(!grep({ $_ eq $kind->{take}[0] } $ec2->actions($old)), "$what: the old owner, which has not heard of the crash, does not take it back");
	ok(is_owner($new), "$what: the new one has it");
	kill 'CONT', $sleeper;
	comes_back($old);
	set_everywhere('pgha.failure_timeout' => $timeout);
	return;
}

# Keepers start anew with other settings, and ask for the address first.
sub set_everywhere
{
	my ($name, $value) = @_;
	my %before = map { $_->{name} => keeper_pid($_) } $a, $b;
	foreach my $node ($a, $b)
	{
		$node->set($name => $value);
		$cluster->wait_for("$node->{name} to have read $name", sub { ($node->value("SHOW $name") // '') eq $value });
		$cluster->wait_for("a new keeper of $node->{name}", sub { (keeper_pid($node) // $before{ $node->{name} }) != $before{ $node->{name} } });
	}
	is_held($leader, "$name = $value");
	return;
}

sub change_address
{
	my ($name) = @_;
	$kind = $kind{$name};
	$ec2->clear;
	$_->set('pgha.address' => $kind->{address}) foreach $a, $b;

	# What address_state says may still be of the former one: keepers with the new settings begin by asking.
	foreach my $node ($a, $b)
	{
		$cluster->wait_for("the agent of $node->{name} to know the new address", sub { grep { m{/security-credentials/pgha$} } $ec2->metadata($node) });
	}
	is_held($leader, 'configured');
	my ($other) = $cluster->others($leader);
	$cluster->wait_for('the standby to be ready for it', sub { ($other->view->{ $other->{name} }{address_state} // '') eq 'not held' });
	return;
}

# ---- a secondary address ----

$cluster->{settings}{'pgha.address'} = $kind->{address};
$cluster->build;
$_->start_agent(net_admin => 1) foreach $a, $b;
is_held($a, 'start');
$cluster->wait_for('the instances to be known', sub { my $view = $b->view; !grep { ($view->{$_}{instance} // '') eq '' } qw(a b) });
is_deeply({ map { $_->{node} => $_->{instance} } values %{ $b->view } }, { map { $_->{name} => FakeEc2::instance($_) } $a, $b }, 'pgha_cluster() shows the instances');
$cluster->wait_for('the standby to hear of the address', sub { ($b->view->{a}{address_state} // '') eq 'held' });
pass('and, on the standby, the state of the primary\'s address');
comes_back($b);
my (undef, $out) = PghaCluster::run_command([ PghaCluster::pgha_program(), 'status', '-d', $b->conninfo ]);
like($out, qr/^Address \Q$kind->{address}\E: held by a$/m, 'pgha status says who holds it');

# Credentials that are near their end are renewed while nothing happens.
$ec2->clear;
my $reads = sub { my ($node) = @_; return scalar grep { m{/security-credentials/pgha$} } $ec2->metadata($node) };
my %reads;
foreach my $node ($a, $b)
{
	# Just after a reading the next one is half a minute away.
	my $before = $reads->($node);
	$cluster->wait_for("$node->{name} to read its credentials", sub { $reads->($node) > $before });
	$ec2->control('rotate', { instance => FakeEc2::instance($node), lifetime => 6 * 3600 });
	$reads{ $node->{name} } = $reads->($node);
}
foreach my $node ($a, $b)
{
	$cluster->wait_for("$node->{name} to renew its credentials", sub { $reads->($node) > $reads{ $node->{name} } });
}
late_release('ec2');
ok(!grep({ ($_->{code} // '') eq 'RequestExpired' } $ec2->requests), 'the credentials were renewed ahead of need');
late_news('late news');
foreach my $round (1 .. 2)
{
	my ($new, $old) = fail_over();
	is_held($new, "flip-flop $round");
	took_directly($new, "flip-flop $round");
	comes_back($old);
}

# ---- EC2 is down, slow, or wants other credentials ----

foreach my $mode ('hang', '503', 'throttle')
{
	$ec2->faults({ match => 'AssignPrivateIpAddresses', mode => $mode });
	my ($new, $old) = fail_over();
	pass("EC2 down ($mode): promoted all the same");
	$cluster->wait_for('EC2 to have been asked', sub { grep { $_->{action} eq 'AssignPrivateIpAddresses' } $ec2->requests });
	isnt($new->view->{ $new->{name} }{address_state} // '', 'held', "EC2 down ($mode): the address is not held");
	if ($mode eq '503')
	{
		$cluster->wait_for('the state to say why', sub { ($new->view->{ $new->{name} }{address_state} // '') =~ /^error: EC2: / });
		(undef, $out) = PghaCluster::run_command([ PghaCluster::pgha_program(), 'status', '-d', $new->conninfo ]);
		like($out, qr/^Address \Q$kind->{address}\E: NOT HELD by $new->{name}, error: EC2: /m, 'pgha status says why it is not held');
	}
	$ec2->faults();
	is_held($new, "EC2 is back ($mode)");
	$cluster->wait_for('the event', sub { my $taken = event($new, qr/^address \S+ taken in/); $taken && $taken->{place} > event($new, qr/promoting to primary/)->{place} });
	my ($promoted, $taken) = map { event($new, $_) } qr/^promoted/, qr/^address \S+ taken in/;
	cmp_ok($promoted->{place}, '<', $taken->{place}, "EC2 down ($mode): promoted before the address was taken, by pgha_events()");
	comes_back($old);
}

my ($standby) = $cluster->others($leader);
$ec2->control('rotate', { instance => FakeEc2::instance($standby), lifetime => 3600 });
my ($new, $old) = fail_over();
is_held($new, 'credentials have expired ahead of their time');
ok((grep { ($_->{code} // '') eq 'RequestExpired' } $ec2->requests), 'EC2 had refused them');
comes_back($old);

$ec2->set(assign_delay => 2);
($new, $old) = fail_over();
is_held($new, 'EC2 is late');
is(scalar(grep { $_ eq 'AssignPrivateIpAddresses' } $ec2->actions($new)), 1, 'EC2 is late: it was asked once');
$ec2->set(assign_delay => 0);
comes_back($old);

# ---- the keeper, and the agent's sessions ----

my $keeper = keeper_pid($leader);
is((stat "/proc/$keeper/environ")[4], 0, 'the process that has the credentials leaves no core');
sub files { my @files = glob("/proc/$_[0]/fd/*"); return scalar @files; }
my ($agent_files, $keeper_files) = (files($leader->{agent_pid}), files($keeper));
foreach my $round (1 .. 10)
{
	$leader->sql("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name LIKE 'pgha agent %'");
	$cluster->wait_for('the sessions of both agents',
		sub { ($leader->value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgha agent %' AND query ~ 'agent_(poll|news)'") // 0) == 2 });
}
is_held($leader, 'sessions lost');
is(keeper_pid($leader), $keeper, 'it is the same keeper');
$cluster->wait_for('files to be closed', sub { files($leader->{agent_pid}) <= $agent_files && files($keeper) <= $keeper_files });
pass('no file is left open');
is(scalar(grep { (PghaCluster::slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) Z $leader->{agent_pid} /s } map { m{(\d+)$} } glob('/proc/[0-9]*')), 0, 'no zombie');

my $mark = $leader->agent_mark;
kill 'KILL', $keeper;
$leader->wait_agent_log(qr/address keeper has died/, $mark);
$cluster->wait_for('another keeper', sub { my $pid = keeper_pid($leader); $pid && $pid != $keeper });
is_held($leader, 'keeper killed');
foreach my $signal ('TERM', 'KILL')
{
	$ec2->clear;
	$leader->stop_agent($signal);
	ok(is_owner($leader), "agent ended by SIG$signal: the address stays");
	$leader->start_agent(net_admin => 1);
	is_held($leader, "agent started after SIG$signal");
	is(scalar(grep { /^Unassign/ } $ec2->actions($leader)), 0, 'it was not given up meanwhile');
}

# The metadata service is away when the agent starts: what was told before stands.
$ec2->control('faults', [ { service => 'imds', mode => '503' } ]);
$leader->stop_agent;
$mark = $leader->agent_mark;
$leader->start_agent(net_admin => 1);
$leader->wait_agent_log(qr/instance metadata service/, $mark);
is($leader->view->{ $leader->{name} }{instance}, FakeEc2::instance($leader), 'no metadata service at the start of the agent: the instance stays known');
$ec2->faults();
is_held($leader, 'metadata service back');

# ---- the other kinds ----

change_address('ec2-elastic');
late_release('ec2-elastic');
($new, $old) = fail_over();
is_held($new, 'ec2-elastic again');
comes_back($old);

change_address('ec2-route');
late_release('ec2-route');
($new, $old) = fail_over();
is_held($new, 'ec2-route again');
took_directly($new, 'ec2-route again');
comes_back($old);

# ---- an extension that is older than the program ----

$leader->sql('ALTER EXTENSION pgha DROP FUNCTION pgha_agent_host(text, text, text); DROP FUNCTION pgha_agent_host(text, text, text)');
$mark = $leader->agent_mark;
$leader->stop_agent;
$leader->start_agent(net_admin => 1);
$leader->wait_agent_log(qr/own server: .*pgha_agent_host.* does not exist; run ALTER EXTENSION pgha UPDATE and SELECT pgha_setup_role\(\)/, $mark);
$leader->sql('DROP EXTENSION pgha; CREATE EXTENSION pgha; SELECT pgha_setup_role()');
is_held($leader, 'extension updated');
is(scalar(() = substr($leader->agent_text, $mark) =~ /pgha_agent_host/g), 1, 'older extension: said once');

# ---- secrets ----

ok($ec2->signatures_good, 'every signature was good');
is_deeply([ $ec2->leaks ], [], 'no key, token or signature is in a log, a command line, pgha_events(), pgha_status() or pgha_cluster()');
done_testing();
