# A planned switchover: writes are held for a moment, nothing that was acknowledged
# is lost, nothing is rewound, and the former primary comes back by itself as a
# standby that streams.  It is refused, with the reason, where it could not go well,
# and called off as long as that is possible.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, settings => { 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '20s' })->build;
my ($a, $b) = $cluster->nodes;

# What becomes of an order: its text, and whether the session outlived it.
sub order_switchover
{
	my ($node, $target) = @_;
	my ($status, $out, $err) = $node->psql('SELECT pgha_switchover(' . (defined $target ? "'$target'" : '') . ')', timeout => 30);
	return ($out, $err);
}

# Without an agent that is connected it is refused, and one connects anew once its server is back.
sub wait_agent
{
	my ($node) = @_;
	return $cluster->wait_for("the agent of $node->{name} to be connected", sub { progress($node, $node, 'agent') eq 't' });
}

# ---- to and fro, under load ----
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
my @held;
foreach my $round (1 .. 4)
{
	my $old = $cluster->primary;
	my ($new) = $cluster->others($old);
	wait_agent($old);
	my $mark = $old->agent_mark;
	my $before = $new->status;
	my $moment = PghaCluster::now();
	my ($out, $err) = order_switchover($old, $round == 1 ? undef : $new->{name});
	like("$out$err", qr/NOTICE:  00000: handing over to "$new->{name}"/, "round $round: says to whom") or diag $out, $err;
	is($out, $new->{name}, "round $round: the session has its answer before it is ended") or diag $err;
	$cluster->wait_for("$new->{name} to lead", sub { $new->state eq 'primary' });
	$writer->wait_acknowledged(20, PghaCluster::now());
	push @held, $writer->outage($moment);
	note sprintf 'round %d: writes held for %.0f ms', $round, $held[-1];
	$cluster->wait_following($new, $old);
	is($new->status->{term}, $before->{term} + 1, "round $round: the next term");
	like(substr($old->agent_text, $mark), qr/has handed over the lead, and is started again/, "round $round: the agent starts the former primary");
	unlike(substr($old->agent_text, $mark), qr/recovery \(/, "round $round: nothing is recovered");
	ok(!-e "$old->{data}.pgha/pgha_lost", "round $round: and nothing is lost");
}
cmp_ok((sort { $a <=> $b } @held)[1], '<', 2500, 'no failure_timeout is waited for');
$writer->stop;
is(scalar($writer->missing($cluster->primary)), 0, 'nothing that was acknowledged is lost');
is($cluster->primary, $a, 'the first one leads again');

# ---- refused ----
sub refused
{
	my ($target, $expected, $what) = @_;
	my ($out, $err) = order_switchover($a, $target);
	like($err, $expected, "refused: $what") or diag $out;
	is($a->state, 'primary', '... and nothing has changed');
	return;
}

refused('nobody', qr/ERROR:  \w+: node "nobody" is not one of pgha.members.*HINT:  The members are: a, b/s, 'no member');
refused('a', qr/ERROR:  \w+: node "a" is the primary already/, 'the primary itself');
like((order_switchover($b))[1], qr/not the primary.*Call pgha_switchover\(\) on "a"/s, 'refused on a standby, which says where');
$a->stop_agent;
$cluster->wait_for('the agent of a to be gone', sub { progress($a, $a, 'agent') ne 't' });
refused(undef, qr/no agent of node "a" is connected.*systemctl start pgha-agent/s, 'nobody would start it again');
$a->start_agent;
wait_agent($a);
$b->set('pgha.priority' => 0);
$cluster->wait_for('b to be no candidate', sub { ($a->value(q{SELECT candidate FROM pgha_cluster() WHERE node = 'b'}) // '') eq 'f' });
refused('b', qr/b may not be promoted: pgha\.priority is 0/, 'not a candidate');
refused(undef, qr/no standby that streams from this server may be promoted/, 'there is no candidate');
$b->set('pgha.priority' => 100);
$cluster->wait_for('b to be one again', sub { ($a->value(q{SELECT candidate FROM pgha_cluster() WHERE node = 'b'}) // '') eq 't' });
$b->stop_agent;
$b->stop;
refused('b', qr/b does not stream from this server/, 'the target is down');
$b->start;
$b->start_agent;
$cluster->wait_following($a, $b);

# ---- given up, and called off ----
# A target that is frozen hears of nothing; commits go on meanwhile.
$writer = $cluster->start_writer;
$writer->wait_acknowledged(10);
$b->freeze;
my $session = $a->background(q{SELECT pgha_switchover('b')});
$cluster->wait_for('it to begin', sub { session_text($session) =~ /handing over to "b"/ });
$a->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_switchover%' AND pid <> pg_backend_pid()});
eventually(sub { session_text($session) =~ /canceling statement/ }, 10, 'it can be cancelled');
$session->end;
eventually(sub { grep { $_->{what} =~ /the switchover to b was called off/ } $a->events }, 10, '... and is called off');
my $moment = PghaCluster::now();
my ($out, $err) = order_switchover($a, 'b');
like($err, qr/was given up: this server goes on leading|does not stream/, 'a target that is frozen: it is given up') or diag $out;
$writer->wait_acknowledged(10, $moment);
is($a->state, 'primary', '... and the primary leads on');
$b->thaw;
$cluster->wait_following($a, $b);

# ---- called off by the session that has ordered it, whatever others do meanwhile ----
$_->set('pgha.failure_timeout' => '60s') foreach $a, $b;
$b->freeze;
my $called_off = grep { $_->{what} =~ /the switchover to b was called off/ } $a->events;
$session = $a->background(q{SELECT pgha_switchover('b')});
$cluster->wait_for('it to begin', sub { session_text($session) =~ /handing over to "b"/ });
my $orders = q{pg_stat_activity WHERE query LIKE 'SELECT pgha_switchover%' AND wait_event = 'Extension'};
my $by = $a->sql("SELECT pid FROM $orders");
my $monitor = $a->monitor_pid;
kill 'STOP', $monitor;
my $second = $a->background(q{SELECT pgha_switchover('b')});
$cluster->wait_for('a second order', sub { $a->sql("SELECT count(*) FROM $orders") == 2 });
foreach my $pid ($by, $a->sql("SELECT pid FROM $orders AND pid <> $by"))
{
	$a->sql("SELECT pg_cancel_backend($pid)");
	$cluster->wait_for('it to be cancelled', sub { session_text($pid == $by ? $session : $second) =~ /canceling statement/ });
}
kill 'CONT', $monitor;
eventually(sub { $called_off < grep { $_->{what} =~ /the switchover to b was called off/ } $a->events },
	20, 'two are cancelled at once: the one that had begun is called off');
$_->end foreach $session, $second;
$b->thaw;
$_->set('pgha.failure_timeout' => '3s') foreach $a, $b;
$cluster->wait_following($a, $b);

# ---- what it has decided cannot be written ----
mkdir "$a->{data}/pgha.state.new";
$session = $a->background(q{SELECT pgha_switchover('b')});
my $log = "$a->{data}.pgha/postgres.log";	# its agent has started it
$cluster->wait_for('the monitor to give up', sub { PghaCluster::slurp($log) =~ /could not make a decision durable/ });
rmdir "$a->{data}/pgha.state.new";
$moment = PghaCluster::now();
$a->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_switchover%' AND pid <> pg_backend_pid()});
$session->end;
$writer->wait_acknowledged(10, $moment);
is($a->state, 'primary', 'the decision cannot be made durable: the primary leads on');
ok(!-e "$a->{data}/standby.signal", '... and will not start as a standby');

# ---- paused: by hand it goes ----
wait_agent($a);
$cluster->wait_for('the pause to be confirmed', sub { ($a->value('SELECT pgha_pause()', timeout => 10) // '') eq 't' });
order_switchover($a, 'b');
$cluster->wait_for('b to lead', sub { $b->state eq 'primary' });
$cluster->wait_following($b, $a);
pass('paused: a switchover by hand is carried out, and the former primary comes back');
$cluster->wait_for('the end of the pause', sub { ($b->value('SELECT pgha_resume()', timeout => 10) // '') eq 't' });

# ---- a start that hangs is not begun again and again ----
{
	my $starts = "$cluster->{base}/starts";
	PghaCluster::spew("$cluster->{base}/start", "#!/bin/sh\necho \$\$ >> $starts\nexec sleep 1000\n");
	chmod 0755, "$cluster->{base}/start";
	my $tries = sub { return split /\n/, PghaCluster::slurp($starts) // '' };
	my $mark = $b->agent_mark;
	$b->set('pgha.start_command' => "$cluster->{base}/start");
	$b->wait_agent_log(qr/read the configuration again/, $mark);
	wait_agent($b);
	order_switchover($b, 'a');
	$cluster->wait_for('the agent to try', sub { $tries->() > 0 });
	ok($cluster->stays_false(sub { $tries->() > 1 }, 8), 'a start that hangs is waited for');
	PghaCluster::spew("$cluster->{base}/start", "#!/bin/sh\necho \$\$ >> $starts\nexit 1\n");
	kill 'KILL', $tries->();
	ok($cluster->stays_false(sub { $tries->() > 2 }, 13), '... and after one that fails the pause grows');
	is(scalar($tries->()), 2, 'it is tried again');
	$b->configure('pgha.start_command' => undef);
	$cluster->wait_following($a, $b);
}

# ---- killed in the middle ----
foreach my $point ('handing over to', 'writes are held')
{
	my $old = $cluster->primary;
	my ($new) = $cluster->others($old);
	wait_agent($old);
	$cluster->wait_for('the primary to know of a candidate', sub { ($old->value('SELECT bool_or(candidate) FROM pgha_cluster()') // '') eq 't' });
	$session = $old->background('SELECT pgha_switchover()');
	$cluster->wait_for("\"$point\"", sub { session_text($session) =~ /$point/ });
	$old->kill9;
	$session->end;
	my $leader = $cluster->wait_single_primary;
	note "killed at \"$point\": $leader->{name} leads";
	$cluster->wait_following($leader, $cluster->others($leader));
	$writer->wait_acknowledged(10, PghaCluster::now());
	pass("killed at \"$point\": one leads, the other follows");
	ok(1 == grep({ $_->writable } $cluster->nodes), '... and one accepts writes');
}
$writer->stop;

done_testing();
