# pgha.address, kind local: the agent takes the address as part of a promotion
# and gives it up where its server does not lead.  Each node is a host of its own
# (a network namespace); the client knows nothing but the address.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(nodes => 2, netns => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '20s' },
	node_settings => { map { $_ => { listen_addresses => '*' } } qw(a b) });
my $address = "$cluster->{net}.100";
my $address6 = 'fd00:211::100';
$cluster->{settings}{'pgha.address'} = "local:$address/24\@eth0";
$cluster->build;
my ($a, $b) = $cluster->nodes;
$_->start_agent(net_admin => 1) foreach $a, $b;

sub has_address
{
	my ($node, $wanted) = @_;
	return PghaCluster::must_run([ $cluster->in_netns($node->{netns}), 'ip', '-o', 'addr', 'show', 'dev', 'eth0' ]) =~ /inet6? \Q$wanted\E\//;
}

sub is_at
{
	my ($what, $node, $wanted) = @_;
	my ($other) = $cluster->others($node);
	$wanted //= $address;
	$cluster->wait_for("$wanted to be on $node->{name} alone", sub { has_address($node, $wanted) && !has_address($other, $wanted) });
	pass("$what: the address is on $node->{name} alone");
	$cluster->wait_for("$node->{name} to show it", sub { ($node->view->{ $node->{name} }{address_state} // '') eq 'held' });
	return;
}

is_at('start', $a);
$cluster->wait_for('the standby to say that it has not', sub { ($a->view->{b}{address_state} // '') eq 'not held' });
pass('the standby says that it does not hold it');

# A client that knows only the address.
my $writer = $cluster->start_writer(netns => $cluster->{hub},
	conninfo => "host=$address port=5432 user=postgres dbname=postgres connect_timeout=2 tcp_user_timeout=2000");
$writer->wait_acknowledged(10);
pass('a client writes through the address');

sub is_served
{
	my ($what, $moment) = @_;
	$writer->wait_acknowledged(10, $moment);
	pass("$what: the client that knows only the address writes again");
	return;
}

# Killed: server and agent live on other hosts' clocks; the address moves with the promotion.
my $moment = $a->kill9;
$cluster->wait_single_primary(among => [$b]);
is_at('killed primary', $b);
is_served('killed primary', $moment);
$a->wait_streaming(120);
ok(!has_address($a, $address), 'the old primary comes back without it');
my ($caps) = PghaCluster::slurp("/proc/$a->{pid}/status") =~ /^CapEff:\s+(\S+)/m;
is(hex($caps // 'ff'), 0, 'a server that the agent has started has none of its capabilities');
$b->wait_agent_log(qr/address local:\S+ taken in \d+ ms/);
pass('the agent says so');
$cluster->wait_for('the event', sub { grep { $_->{kind} eq 'address' && $_->{what} =~ /taken/ && $_->{node} eq 'b' } $b->events });
pass('and so does pgha_events()');

# The whole postgres frozen, its agent alive: it gives the address up once it sees the other one lead.
$cluster->wait_following($b, $a);
$moment = PghaCluster::now();
$b->freeze;
$cluster->wait_single_primary(among => [$a]);
is_at('frozen primary', $a);
is_served('frozen primary', $moment);
$b->thaw;
$b->wait_streaming(120);
is_at('thawed', $a);

# An administrator's hand: taken away, it is taken back.
PghaCluster::must_run([ $cluster->in_netns($a->{netns}), 'ip', 'addr', 'del', "$address/24", 'dev', 'eth0' ]);
is_at('removed by hand', $a);
like($a->agent_text, qr/has been lost, is taken again/, 'with a line in the log');

# The agent comes and goes without the client's knowing.
$moment = PghaCluster::now();
$a->stop_agent;
ok(has_address($a, $address), 'the agent has ended: the address stays');
$a->start_agent(net_admin => 1);
is_at('agent restarted', $a);
$a->stop_agent('KILL');
ok(has_address($a, $address), 'the agent was killed: the address stays');
$a->start_agent(net_admin => 1);
is_served('agent restarted', $moment);

# Stopped by an administrator.
$a->stop;
$cluster->wait_single_primary(among => [$b]);
is_at('stopped primary', $b);
$a->start;
$a->wait_streaming(120);
is_at('started again', $b);

# Without the capability: said once, with what to do; the promotion is not delayed.
$a->stop_agent;
my $mark = $a->agent_mark;
$a->start_agent;
$a->wait_agent_log(qr/address .*CAP_NET_ADMIN/, $mark);
$b->stop;
$cluster->wait_single_primary(among => [$a]);
$cluster->wait_for('the state to say why', sub { ($a->view->{a}{address_state} // '') =~ /^error: .*CAP_NET_(?:ADMIN|RAW)/ });
pass('without CAP_NET_ADMIN: promoted all the same, and pgha_cluster() says what is missing');
my %said;
is(scalar(grep { /CAP_NET_/ && $said{$_}++ } split /\n/, substr($a->agent_text, $mark)), 0, 'the log says it once, not at each try');
$a->stop_agent;
$a->start_agent(net_admin => 1);
$b->start;
$b->wait_streaming(120);
is_at('capability given', $a);

# Another address: the old one is given up.
PghaCluster::must_run([ $cluster->in_netns($_->{netns}), 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0' ]) foreach $a, $b;
foreach my $node ($a, $b)
{
	$node->set('pgha.address' => "local:[$address6]/64\@eth0");
}
is_at('changed to IPv6', $a, $address6);
$cluster->wait_for('the former one to be gone', sub { !has_address($a, $address) });
pass('the former address is given up');
$_->set('pgha.address' => undef) foreach $a, $b;
PghaCluster::spew("$_->{data}/postgresql.conf", PghaCluster::slurp("$_->{data}/postgresql.conf") =~ s/^pgha\.address.*\n//mr) foreach $a, $b;
$_->reload foreach $a, $b;
$cluster->wait_for('no address to be left', sub { !grep { has_address($_, $address) || has_address($_, $address6) } $a, $b });
pass('pgha.address removed: nothing is left');

$writer->stop;
done_testing();
