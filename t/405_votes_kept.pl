# What a node has voted in is kept over a rewind and a clone, wherever the job is
# killed; a node that has lost it votes for nobody until none of it can be pending.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'mounting needs root' unless PghaCluster::is_root();

sub state_of { my ($node) = @_; return $node->state_text; }

# ---- recoveries: two nodes, which do not vote but remember that they have ----
my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '16MB', min_wal_size => '4MB', 'pgha.auto_rejoin' => 'clone', 'pgha.slot_keep_size' => '64MB' })->build;
my ($a, $b) = $cluster->nodes;
my $number = 100;

# As if the node had voted, each time in a later term.
sub vote
{
	my ($node) = @_;
	$number++;
	$node->change_state_text(sub {
		s/^(?:support|support_term|vote|vote_term|vote_open|highest|withdrawn|won|won_before|promised_ttl_us|rule_\w+)=.*\n//mg;
		s/\Apgha state \d+/pgha state 2/;
		$_ .= "support_term=7\nsupport=$node->{name}\nvote_term=$number\nvote=db-y\nvote_open=1\nhighest=$number\nwithdrawn=3\nwon=2\nwon_before=1\n";
	});
	return;
}

# Its server has the votes, and will write them with the next thing that it remembers.
sub kept
{
	my ($primary, $node, $what) = @_;
	$node->wait_streaming(90);
	$cluster->wait_for("$what: the votes in pgha.state", sub { state_of($node) =~ /^highest=/m }, 30);
	my $text = state_of($node);
	like($text, qr/^vote_term=$number\nvote=db-y\nvote_open=1\n(?:.*\n)*?highest=$number\nwithdrawn=3\nwon=2\nwon_before=1$/m, "$what: its votes are kept");
	like($text, qr/^node=$node->{name}$/m, "$what: in a file of its own");
	ok(!-e "$node->{data}/pgha.votes", "$what: and nowhere else");
	return;
}

# The server is down for a moment, with the agent away.
sub vote_while_down
{
	my ($node) = @_;
	$node->stop_agent if $node->agent_running;
	$node->stop;
	vote($node);
	$node->start;
	return;
}

# A rewind, whose job is killed; the two take turns.
my ($primary, $other) = ($a, $b);
foreach my $point ('', 'rewinding', 'copying')
{
	my $what = 'rewind' . ($point ? ", killed at $point" : '');
	$_->stop_agent foreach grep { $_->agent_running } $cluster->nodes;
	diverge($primary, $other, -1);
	$primary->kill9;
	is($cluster->wait_single_primary(among => [$other]), $other, "$what: the other node leads");
	vote($primary);
	if ($point)
	{
		arm($primary, $point);
		kill_at($primary, $what);
	}
	$_->start_agent foreach $primary, grep { !$_->agent_running } $other;
	kept($other, $primary, $what);
	$cluster->wait_for("$what: the job to have ended", sub { $primary->job_field('outcome') =~ /./ && !$primary->job_pids });
	($primary, $other) = ($other, $primary);
}

# A clone beside: the old server votes on while the copy is made.
foreach my $point ('stopping', 'swapping', 'exchanging', 'streaming')
{
	my $what = "clone, killed at $point";
	vote_while_down($other);
	arm($other, $point);
	my $session = $primary->background("SELECT pgha_recover_node('$other->{name}', 'clone')");
	await_stopped_job($other, $what);
	my $stopped = !$other->is_running;
	kill_at($other, $what);
	$other->start_agent(wait => 0);
	kept($primary, $other, $what);
	$cluster->wait_for("$what: the job to have ended", sub { $other->job_field('outcome') =~ /./ && !$other->job_pids });
}

# A clone in place.
$other->set('pgha.clone_in_place' => 'on');
foreach my $point ('swapping', 'cloning', 'starting')
{
	my $what = "clone in place, killed at $point";
	vote_while_down($other);
	no_place_beside($cluster, 1);
	arm($other, $point);
	my $session = $primary->background("SELECT pgha_recover_node('$other->{name}', 'clone')");
	kill_at($other, $what);
	$other->start_agent(wait => 0);
	kept($primary, $other, $what);
	$cluster->wait_for("$what: the job to have ended", sub { $other->job_field('outcome') =~ /./ && !$other->job_pids });
	no_place_beside($cluster, 0);
}

# A node that has lost its votes does not get older ones back.
vote_while_down($other);
$other->stop;
unlink "$other->{data}/pgha.state";
$other->start;
$other->start_agent;
$cluster->wait_for('the node to be asked', sub { ($primary->value("SELECT agent FROM pgha_cluster() WHERE node = '$other->{name}'") // '') eq 't' });
like(order($primary, $other, 'clone', 120), qr/^t$/m, 'a node without pgha.state is cloned');
$other->wait_streaming(90);
$cluster->wait_for('its pgha.state', sub { state_of($other) =~ /^leader=$primary->{name}$/m });
unlike(state_of($other), qr/^highest=/m, 'what it knew before it lost its file does not come back');
like(state_of($other), qr/^forgot=1$/m, 'and that it has lost it is remembered');
$cluster->stop_all;
$cluster->cleanup;

# ---- three nodes that vote: pgha.state is lost ----
$cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s', 'pgha.heartbeat_interval' => '200ms' })->build;
($a, $b, my $c) = $cluster->nodes;

sub report
{
	my ($node) = @_;
	return map { /^([^=]+)=(.*)$/ ? ($1 => $2) : () } split /\t/, $node->value('SHOW pgha.report') // '';
}

sub supports
{
	my ($node, $leader) = @_;
	my %report = report($node);
	return ($report{support} // '') eq $leader->{name} && ($report{vote_open} // 'no') ne 'yes' && ($report{rule_term} // 0) != 0;
}

$cluster->wait_for('all to vote', sub { !grep { !supports($_, $a) } $cluster->nodes });
unlike(state_of($_), qr/^forgot=/m, "$_->{name}: new, and votes when all were there once") foreach $cluster->nodes;

# With one that does not answer it is not known whether that one has its vote.
$b->kill9;
unlink "$b->{data}/pgha.state";
$c->kill9;
$b->start;
$cluster->wait_for('b to follow', sub { defined $b->value('SELECT 1') });
$b->wait_log(qr/does not vote: pgha.state is lost or new, and (?:a|c) has not said yet what it knows of former votes/);
pass('a lost pgha.state, one member down: it does not vote, and the log says why');
ok($cluster->stays_false(sub { supports($b, $a) }, 2), 'nor does it promise anything');
like($b->status->{refusal} // '', qr/./, 'pgha_status() says that it does not vote') if exists $b->status->{refusal};
$c->start;
my $primary3 = $cluster->wait_single_primary(timeout => 90);
$cluster->wait_for('b to vote again', sub { supports($b, $primary3) }, 60);
pass("when all have answered it votes again ($primary3->{name} leads)");
$cluster->wait_for('pgha.state to say so', sub { state_of($b) =~ /^highest=/m && state_of($b) !~ /^forgot=/m });
$cluster->wait_following($primary3);

# A former primary that has lost it does not lead as if it were new.
$cluster->wait_for('all to vote', sub { !grep { !supports($_, $primary3) } $cluster->nodes });
$_->kill9 foreach $cluster->others($primary3), $primary3;
unlink "$primary3->{data}/pgha.state";
my $mark = $primary3->log_mark;
$primary3->start;
ok($cluster->stays_false(sub { $primary3->writable }, 4), 'a former primary without pgha.state does not lead alone');
like($primary3->log_since($mark), qr/"pgha.state" is missing, although this server was managed by pgha before/, 'and it says why');
$_->start foreach $cluster->others($primary3);
my $leader = $cluster->wait_single_primary(timeout => 90);
$cluster->rejoin($_, $leader) foreach $cluster->others($leader);
$cluster->wait_for('all to vote again', sub { !grep { !supports($_, $leader) } $cluster->nodes }, 60);
ok($cluster->one_primary, "with the others there is one primary ($leader->{name})");

# A base backup of the node itself in its place: what it says of votes is older than what the node has voted in.
my ($copy) = $cluster->others($leader);
$copy->stop;
$copy->write_backup_label;
like(state_of($copy), qr/^highest=[1-9]/m, 'its pgha.state says what it has voted in');
$mark = $copy->log_mark;
$copy->start;
like($copy->log_since($mark), qr/starts from a base backup, and does not know what it has voted in since/, 'at the start from a base backup that is not taken for all');
$cluster->wait_for('the copy to vote again', sub { supports($copy, $leader) }, 60);
pass('when all have answered it votes');

done_testing();
