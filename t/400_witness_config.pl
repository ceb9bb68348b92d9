# A server that is listed in pgha.witnesses: it has a system identifier of its own
# and serves one cluster, takes commits of its own, keeps no slots, refuses to act
# on replication, and is shown as what it is.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, witnesses => ['w'])->build;
my ($a, $b) = $cluster->nodes;
my ($w) = $cluster->witnesses;

sub system_of { my ($node) = @_; return $node->value('SELECT system_identifier FROM pg_control_system()'); }

# ---- which cluster it serves ----

isnt(system_of($w), system_of($a), 'the witness has a system identifier of its own');
$cluster->wait_for('the witness to know its cluster', sub { PghaCluster::slurp("$w->{data}/pgha.state") =~ /^system_identifier=(\d+)$/m && $1 eq system_of($a) });
like(PghaCluster::slurp($w->{log}), qr/serves the cluster with system identifier \d+ from now on/, 'it tells so');
$cluster->wait_for('no error anywhere', sub { !grep { ($w->view->{$_}{error} // '') ne '' } 'a', 'b' });

# ---- what it is ----

is($w->status->{state}, 'witness', 'state');
like($w->status->{reason}, qr/votes, and has no data/, 'reason');
is($w->status->{role}, 'witness', 'role');
$cluster->wait_for('the witness to support a', sub { ($w->status->{term} // 0) == 1 });
is(join('|', map { $_ // '' } @{ $w->status }{qw(timeline flushed_lsn gate sync_state candidate)}), '||||', 'nothing of its own WAL or commits is told as the cluster\'s');
{
	my (undef, $out) = PghaCluster::run_command([ $w->here, PghaCluster::pgha_program(), 'status', '-h', $w->{socket}, '-p', $w->{port}, '-U', 'postgres' ]);
	like($out, qr/^Cluster main: primary a, term 1  \(as w sees it\)$/m, 'pgha status asks a witness, too');
	like($out, qr/^ *\* +w +witness +witness +/m, 'and has a row for it');
}
(undef, my $agent) = PghaCluster::run_command([ $w->here, PghaCluster::pgha_program(), 'agent', '-D', $w->{data}, '--check' ]);
like($agent, qr/^node +w \(a witness: the agent only writes lists of members\)$/m, 'an agent knows what it may do here');
my $http = '127.0.0.1:' . $cluster->free_port;
$w->set('pgha.http' => $http);
(undef, $agent) = PghaCluster::run_command([ $w->here, PghaCluster::pgha_program(), 'agent', '-D', $w->{data}, '--check' ]);
like($agent, qr/^http +\Q$http\E: not used, as the agent of a witness does not answer over HTTP$/m, '... and that pgha.http does nothing here');
$w->start_agent(wait => 0);
$w->wait_agent_log(qr/WARNING:  http: pgha.http is not used/);
$w->stop_agent;
$w->set('pgha.http' => undef);
is($w->value('SELECT count(*) FROM pg_replication_slots'), 0, 'it keeps no slots');
is($a->value(q(SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'pgha\_w%')), 0, 'and none is kept for it');
ok(defined $w->value('CREATE TABLE t (a int); INSERT INTO t VALUES (1); DROP TABLE t'), 'commits of its own are its own matter');
foreach my $call ('pgha_promote()', 'pgha_promote(true)', q(pgha_recover_node('b')), 'pgha_switchover()')
{
	like($w->error("SELECT $call") // '', qr/55000.*this server is a witness.*HINT.*one of the members/s, "$call is refused");
}
ok($cluster->one_primary, 'the members are as they were');

# ---- restarts, reloads ----

$w->restart('immediate');
$cluster->wait_for('the witness to be back', sub { my $s = $w->status; $s && $s->{state} eq 'witness' });
is(scalar(() = PghaCluster::slurp($w->{log}) =~ /serves the cluster with/g), 1, 'it remembers its cluster');
$w->set('pgha.members' => "$cluster->{members}, w=127.0.0.1:1", 'pgha.witnesses' => '');
like($cluster->wait_for('the refusal', sub { my $s = $w->status; $s && $s->{config_error} }),
	qr/pgha.members lists this node, which has started as a witness/, 'a running witness does not become a member');
$w->set('pgha.members' => undef, 'pgha.witnesses' => undef);
$cluster->wait_for('the refusal to go', sub { my $s = $w->status; $s && !$s->{config_error} });

# It may differ in what it does not need.
$w->set('pgha.max_failover_lag' => '1MB', 'pgha.fence' => 'ec2-stop');
ok($cluster->stays_false(sub { ($w->view->{a}{error} // '') ne '' }, 1), 'what only members need may differ');
$w->set('pgha.max_failover_lag' => undef, 'pgha.fence' => undef);

# ---- another cluster ----

my $other = PghaCluster->new(names => ['a'])->build;
my ($foreign) = $other->nodes;
my $mark = $w->log_mark;
$w->set('pgha.members' => "a=127.0.0.1:$foreign->{port}, b=127.0.0.1:$b->{port}");
$cluster->wait_for('the other one to be told', sub { $w->log_since($mark) =~ /member "a" belongs to another database cluster.*and is refused/ });
like($w->view->{a}{error}, qr/another database cluster/, 'and shown');
$w->set('pgha.members' => undef);

# ---- what is no witness ----

$b->stop;
$b->configure('pgha.node' => 'w', 'pgha.members' => "a=127.0.0.1:$a->{port}", 'pgha.witnesses' => "w=127.0.0.1:$b->{port}");
like($b->start_refused // '', qr/FATAL.*one of pgha.witnesses, but has been told to recover.*HINT.*pgha witness init/s, 'a standby is no witness');
unlink "$b->{data}/standby.signal";
like($b->start_refused // '', qr/FATAL.*one of pgha.witnesses, but has the data of a member.*HINT.*pgha witness init/s, 'nor is a copy');
done_testing();
