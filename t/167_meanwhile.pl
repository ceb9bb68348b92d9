# A clone is interrupted, with its agent, and the world changes before the agent
# is back: another node leads, failover is paused, somebody has stopped the server
# on purpose.  What was decided before is decided again: no pause and no stop is
# broken, and in the end the node streams, with nothing left over.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;
use Votes;

# One of three has to lead alone for a while: two witnesses vote, too.
my $cluster = PghaCluster->new(nodes => 3, witnesses => [ 'w-1', 'w-2' ], agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '10s', max_wal_size => '16MB', min_wal_size => '4MB',
		'pgha.auto_rejoin' => 'clone', 'pgha.slot_keep_size' => '64MB' })->build;
my ($a, $b, $c) = $cluster->nodes;
wait_votes($a, $cluster->voters);

# b is the one that is worked on, and never leads.
$b->set('pgha.priority' => 0);
$a->sql('CREATE TABLE rounds (v text)');

sub leader { return $cluster->wait_single_primary(among => [ $a, $c ]); }

sub interrupt
{
	my ($point, $what) = @_;
	my $leader = leader();
	$cluster->wait_following($leader, $b);
	$leader->sql("INSERT INTO rounds VALUES ('$what')");
	arm($b, $point);
	my $session = $leader->background(q{SELECT pgha_recover_node('b', 'clone')});
	kill_at($b, $what);
	$session->end;
	return $leader;
}

# The leader falls, and comes back as a standby of the other one.
sub change_leader
{
	my ($leader, $what) = @_;
	my ($next) = grep { $_ != $leader } $a, $c;
	$leader->kill9;
	is($cluster->wait_single_primary(among => [$next]), $next, "$what: another node leads");
	$next->sql("INSERT INTO rounds VALUES ('$what, later')");
	return $next;
}

sub leftovers { return join ' ', grep { -e } glob("$b->{data}.new-* $b->{data}.old-* $b->{data}.pgha/copies"); }

sub check_end
{
	my ($what) = @_;
	my $leader = leader();
	$b->wait_streaming(90);
	$cluster->wait_following($leader, $b);
	is($b->value('SELECT count(*) FROM rounds'), $leader->value('SELECT count(*) FROM rounds'), "$what: streams, and has all rows");
	eventually(sub { $b->job_field('outcome') ne '' && !$b->job_pids && leftovers() eq '' }, 60, "$what: nothing is left over")
	  or diag leftovers();
	$_->wait_streaming foreach grep { $_ != $leader } $cluster->nodes;
	return;
}

# ---- another leader ----
foreach my $point ('cloning', 'stopping', 'swapping', 'starting', 'cleaning up')
{
	my $what = "another leader, $point";
	change_leader(interrupt($point, $what), $what);
	$b->start_agent(wait => 0);
	check_end($what);
}

# ---- paused, under another leader: the order was given on the former one ----
foreach my $point ('swapping', 'starting')
{
	my $what = "paused, $point";
	my $leader = change_leader(interrupt($point, $what), $what);
	pause($leader, 1);
	my $mark = $b->agent_mark;
	$b->start_agent(wait => 0);
	ok($cluster->stays_false(sub { $b->is_running || substr($b->agent_text, $mark) =~ /one is begun again/ }, 12), "$what: nothing begins by itself")
	  or diag substr($b->agent_text, $mark);
	pause($leader, 0);
	check_end($what);
}

# ---- stopped on purpose: while the copy was made, and after the job's own stop ----
foreach my $point ('cloning', 'swapping', 'starting')
{
	my $what = "stopped on purpose, $point";
	interrupt($point, $what);
	$b->start unless $b->is_running;
	$cluster->wait_following(leader(), $b);
	$b->stop('fast');
	my $mark = $b->agent_mark;
	$b->start_agent(wait => 0);
	ok($cluster->stays_false(sub { $b->is_running }, 12), "$what: it stays stopped");
	$b->wait_agent_log(qr/start it|Start the server/, $mark);
	pass("$what: and the agent says what to do");
	$b->start(wait => 0);
	check_end($what);
}

# ---- a pause that has ended, as its own file does not tell, and then no leader: it is started in the end ----
{
	my $what = 'paused, no leader';
	my $leader = leader();
	pause($leader, 1);
	$cluster->wait_for('b to know of the pause', sub { ($b->value('SELECT paused FROM pgha_status()') // '') eq 't' });
	interrupt('swapping', $what);
	pause($leader, 0);
	arm($b, 'waiting');
	await_stopped_job($b, $what);
	$_->stop('immediate') foreach grep { $_ != $leader } $a, $c;
	$leader->stop('immediate');
	$b->stop_agent('KILL');
	let_go($b);
	eventually(sub { $b->job_field('outcome') eq 'failed' }, 60, "$what: the recovery ends");
	ok(!$b->is_running, "$what: it is not started");
	$_->start(wait => 0) foreach $a, $c;
	$b->start_agent(wait => 0);
	check_end($what);
}

done_testing();
