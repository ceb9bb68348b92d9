# pgha.fence: a primary that may be alive has its instance stopped before a
# standby promotes itself.  The agents are played by this test, over SQL, as the
# role that an agent has; there is no EC2.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PghaCluster;
use Test::More;

# A session that stays open, and what an agent says and asks in it.
package Agent;

sub new
{
	my ($class, $node) = @_;
	my $self = bless { node => $node, in => '', out => '', err => '', timer => IPC::Run::timeout(60) }, $class;
	$self->{run} = IPC::Run::start(
		[ $node->program('psql'), '-XAtq', '-d', $node->conninfo(user => 'pgha') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timer});
	return $self;
}

sub ask
{
	my ($self, $sql) = @_;
	$self->{timer}->start;
	$self->{out} = '';
	$self->{in} .= "$sql;\n\\echo --end--\n";
	$self->{run}->pump until $self->{out} =~ /^--end--$/m;
	my ($answer) = $self->{out} =~ /\A(.*?)\n?--end--\n/s;
	die "$sql: $self->{err}" if $self->{err} ne '';
	return $answer;
}

# What the server has for it: id, command and argument.
sub poll
{
	my ($self, $taken) = @_;
	my $name = $self->{node}{name};
	my $job = $taken // 'NULL';
	return [ split /\|/, $self->ask("SELECT p.order_id, p.command, p.argument FROM pgha_status() s, pgha_agent_poll('$name', '/data', 'running',"
			. " s.state, $job, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0) p WHERE p.order_id IS NOT NULL") ];
}

sub host { my ($self, $instance, $address) = @_; $self->ask("SELECT pgha_agent_host('$self->{node}{name}', '$instance', '$address')"); }

sub done { my ($self, $order, $done, $message) = @_; return $self->ask("SELECT pgha_agent_done($order, $done, '$message')"); }

sub leave { my ($self) = @_; $self->{timer}->start; $self->{in} .= "\\q\n"; $self->{run}->finish; }

package main;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.fence' => 'ec2-stop', 'pgha.fence_timeout' => '60s' })->build;
my ($a, $b) = $cluster->nodes;
my %instance = (a => 'i-0aaaaaaaaaaaaaaaa', b => 'i-0bbbbbbbbbbbbbbbb');
my %agent;

# The agent of a node connects and tells where it runs; the other one hears of it.
sub connect_agent
{
	my ($node, $other) = @_;
	my $name = $node->{name};
	$agent{$name} = Agent->new($node);
	$agent{$name}->poll;
	$agent{$name}->host($instance{$name}, 'not held');
	$cluster->wait_for("$other->{name} to know the instance of $name",
		sub { ($other->value("SELECT instance FROM pgha_cluster() WHERE node = '$name'") // '') eq $instance{$name} });
}

sub order_for
{
	my ($agent) = @_;
	return $cluster->wait_for('an order', sub { my $order = $agent->poll; @$order ? $order : undef });
}

sub reason { my ($node) = @_; return ($node->status // {})->{reason} // ''; }

sub stays_standby
{
	my ($node, $what) = @_;
	ok($cluster->stays_false(sub { ($node->value('SELECT pg_is_in_recovery()') // 't') ne 't' }, 5), $what);
}

connect_agent($a, $b);
connect_agent($b, $a);
is($b->value(q{SELECT address_state FROM pgha_cluster() WHERE node = 'a'}), 'not held', 'so it is with the state of the address');
is($b->status->{address_state}, 'not held', 'and with the own one');
$cluster->wait_for('the instance in pgha.state', sub { (PghaCluster::slurp("$b->{data}/pgha.state") // '') =~ /^leader_instance=\Q$instance{a}\E$/m });
is_deeply($agent{b}->poll, [], 'no order');

# ---- a frozen primary ----

$a->freeze;
my $order = order_for($agent{b});
is("$order->[1] $order->[2]", "stop-instance $instance{a}", 'a frozen primary: its instance is to be stopped');
$cluster->wait_for('pgha_status() to say so', sub { reason($b) =~ /waits until the instance of a is stopped \(\Q$instance{a}\E\)/ });
pass('pgha_status() says so');
$b->wait_state('candidate');
pass('the standby is a candidate');
is_deeply($agent{b}->poll($order->[0]), [], 'an order that is taken is not handed out again');
stays_standby($b, 'nobody is promoted before that is done');
$agent{b}->leave;
$agent{b} = Agent->new($b);
is_deeply(order_for($agent{b}), $order, 'it is handed out again to an agent that connects anew');
is($agent{b}->done($order->[0] + 1, 'true', ''), 'f', 'an outcome of something else is of no account');
stays_standby($b, 'nor does it promote');
is($agent{b}->done($order->[0], 'true', 'stopped'), 't', 'the agent has stopped it');
$cluster->wait_for('b to lead', sub { $b->writable });
pass('then the standby is promoted');
is($agent{b}->done($order->[0], 'false', 'again'), 'f', 'an outcome that is repeated changes nothing');
my @what = map { $_->{what} } grep { $_->{node} eq 'b' } $b->events;
ok((grep { /waits until the instance of a is stopped/ } @what), 'pgha_events() tells of the order');
ok((grep { /^the instance of a is stopped/ } @what), 'and of the outcome');
ok((grep { /promoting to primary of term \d+: primary a is silent/ } @what), 'and why it was promoted');

# ---- a killed primary ----

$a->kill9;
eval { $agent{a}->leave };
$a->start(wait => 0);
$cluster->rejoin($a, $b);
connect_agent($a, $b);
connect_agent($b, $a);
my $mark = $a->log_mark;
my $killed = $b->kill9;
$order = order_for($agent{a});
is($order->[2], $instance{b}, 'a killed primary: its instance is to be stopped');
$agent{a}->done($order->[0], 'true', 'stopped');
$cluster->wait_for('a to lead', sub { $a->writable });
like($a->log_since($mark), qr/instance of b is stopped/, 'a killed primary: a firewall may refuse in its place, so that it is stopped, too');

# ---- it cannot be stopped ----

eval { $agent{b}->leave };
$b->start(wait => 0);
$cluster->rejoin($b, $a);
connect_agent($b, $a);
$cluster->wait_for('the instance of a to be known', sub { (PghaCluster::slurp("$b->{data}/pgha.state") // '') =~ /^leader_instance=\Q$instance{a}\E$/m });
$mark = $b->log_mark;
$a->freeze;
$order = order_for($agent{b});
$agent{b}->done($order->[0], 'false', 'UnauthorizedOperation: not allowed to stop it');
my $why = $cluster->wait_for('b to say why', sub { my $reason = reason($b); $reason =~ /could not be stopped/ && $reason });
like($why, qr/is not promoted: the instance of a could not be stopped: UnauthorizedOperation: not allowed/, 'it cannot be stopped: pgha_status() says why');
like($b->log_since($mark), qr/pgha: is not promoted: the instance of a could not be stopped: Unauthorized/, 'so does the log');
ok((grep { $_->{what} =~ /could not be stopped: Unauthorized/ } $b->events), 'and pgha_events()');
ok(!$b->writable, 'nobody is promoted');
my $second = order_for($agent{b});
isnt($second->[0], $order->[0], 'it is tried again');
stays_standby($b, 'still nobody is promoted');

# The primary is back: the order is taken back.
$a->thaw;
$cluster->wait_following($a, $b);
is_deeply($agent{b}->poll, [], 'it answers again: the order is taken back');
is($agent{b}->done($second->[0], 'true', ''), 'f', 'and its outcome not waited for');
is($a->status->{role}, 'primary', 'it leads on');

# ---- no agent ----

$agent{b}->leave;
$cluster->wait_for('the agent to be gone', sub { ($b->value(q{SELECT agent FROM pgha_cluster() WHERE node = 'b'}) // '') eq 'f' });
$mark = $b->log_mark;
$a->freeze;
$cluster->wait_for('b to say why', sub { reason($b) =~ /no agent is connected here that could stop the instance of a/ });
pass('no agent: pgha_status() says so');
stays_standby($b, 'nobody is promoted');
is(scalar(() = $b->log_since($mark) =~ /pgha: is not promoted: no agent is connected here/g), 1, 'the log says it once');
$agent{b} = Agent->new($b);
$order = order_for($agent{b});
is($order->[2], $instance{a}, 'one that connects has it to do');
$a->thaw;
$cluster->wait_following($a, $b);

# ---- where it runs is not known ----

$agent{a}->host('', 'not held');
$cluster->wait_for('b to hear of it', sub { (PghaCluster::slurp("$b->{data}/pgha.state") // '') !~ /^leader_instance=./m });
$a->freeze;
$cluster->wait_for('b to say why', sub { reason($b) =~ /it is not known which instance a runs on/ });
pass('an unknown instance: pgha_status() says so');
stays_standby($b, 'nobody is promoted');

# An administrator may know that it is dead.
$b->sql('SELECT pgha_promote()');
ok($b->writable, 'pgha_promote() promotes all the same');
eval { $_->leave } foreach values %agent;
done_testing();
