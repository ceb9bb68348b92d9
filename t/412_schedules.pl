# The schedules that broke pgha before its members voted, on three data members in
# network namespaces.  Asynchronous: a standby that is cut off, a monitor that
# hangs, a candidate that cannot finish.  With ANY 1: a primary that is killed and
# started again where it is cut off; a promotion that a query holds up, while a voter
# sees the old primary again.  Nothing acknowledged is lost, and nobody acknowledges beside a
# later leader.  (Stale nodes that boot first: 404; two and a witness, one-way cuts: 413.)
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(nodes => 3, netns => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', wal_keep_size => '128MB', max_standby_streaming_delay => '-1' })->build(sql => 'CREATE TABLE held (v int)');
my $primary = ($cluster->nodes)[0];

sub writer { my (@nodes) = @_; return $cluster->start_writer(netns => $cluster->{hub}, nodes => [@nodes], timeline => 1); }

# One leads, and the others have come back to it.
sub settle
{
	my (%option) = @_;
	$primary = $cluster->wait_single_primary(%option);
	$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
	wait_votes($primary, $cluster->nodes);
	return $primary;
}

# The writers' end: what each schedule must not do.
sub judge
{
	my ($what, @writers) = @_;
	$_->stop foreach @writers;
	is(beside(@writers), 0, "$what: nothing is acknowledged beside a later leader");
	return @writers;
}

wait_votes($primary, $cluster->nodes);

# ---- a standby that is cut off ----

my $term = $primary->status->{term};
my ($one, $two) = $cluster->others($primary);
my $writer = $cluster->start_writer(netns => $cluster->{hub}, timeline => 1);
$writer->wait_acknowledged(20);
$cluster->partition([$one], [ $primary, $two ]);
$cluster->wait_for('the standby to miss the others', sub { my $view = $one->view; $view->{ $primary->{name} } && !$view->{ $primary->{name} }{reachable} && !$view->{ $two->{name} }{reachable} });
ok($cluster->stays_false(sub { grep { $_ != $primary } $cluster->primaries }, 5), 'a standby that is cut off: nobody else leads');
is($primary->status->{term}, $term, '... in the same term');
$writer->wait_acknowledged(50, PghaCluster::now());
pass('... and writes go on');
$cluster->heal;
$cluster->wait_following($primary);
wait_votes($primary, $cluster->nodes);
is($primary->status->{term}, $term, 'healed: the same term');
is($cluster->primary, $primary, '... and the same primary');
$writer->stop;
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, '... whose clients have noticed nothing');

# ---- the primary's monitor hangs ----

my $monitor = $primary->monitor_pid;
my @writers = (writer($primary), writer($one, $two));
$writers[0]->wait_acknowledged(20);
kill 'STOP', $monitor;
my $hung = PghaCluster::now();
$writers[1]->wait_acknowledged(50, $hung);
my $new = $cluster->wait_for('another one to lead', sub { my ($new) = grep { $_->state eq 'primary' && $_->writable } $one, $two; $new });
is($primary->state, 'primary', 'a monitor that hangs: the server is what it was, ...');
ok($primary->value('SELECT NOT pg_is_in_recovery()') eq 't', '... out of recovery, ...');
my $begun = ($writers[1]->acknowledged)[0][0];
is(scalar(grep { $_->[0] > $begun } $writers[0]->acknowledged), 0, '... and acknowledges nothing beside the new one');
kill 'CONT', $monitor;
$cluster->wait_for('the old one to give up', sub { ($primary->value('SELECT pg_is_in_recovery()') // '') eq 't' });
is($cluster->wait_single_primary, $new, 'it goes on: it gives way');
judge('hung monitor', @writers);
is(lost($new, $writers[1]), 0, '... and the new one has what it acknowledged');
settle();

# ---- a candidate that cannot finish its promotion ----

($one, $two) = $cluster->others($primary);
$one->set('pgha.priority' => 200);
$cluster->wait_for('the priority to be told', sub { (report($one)->{priority} // 0) == 200 });
my $old = $primary;
my $near = writer($old);
$near->wait_acknowledged(50);
$near->stop;
hold_replay($primary, $one);

# With one of three dead the other two must agree, and none votes for who has less.
my $end = $old->value('SELECT pg_current_wal_flush_lsn()');
$cluster->wait_for('all WAL to be received',
	sub { ($old->value("SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '$end'") // 0) == 2 });
$term = $old->status->{term};
$old->kill9;
$writer = writer($one, $two);
$writer->wait_acknowledged(50);
is($cluster->primary, $two, 'the better candidate cannot replay: the other one takes over');
ok(holds_replay($one), '... while the query still runs');
my $report = report($one);
cmp_ok($report->{withdrawn} // 0, '>', $term, '... the first one has stood, and given up');
is($report->{candidacy} // 0, 0, '... and does not stand any more');
let_replay($one);
settle();
judge('candidate held up', $near, $writer);
is(lost($primary, $near, $writer), 0, '... and nothing is lost of what both had');
$one->set('pgha.priority' => undef);

# ---- from here on ANY 1 of the others ----

foreach my $node ($cluster->nodes)
{
	$node->set(synchronous_standby_names => 'ANY 1 (' . join(', ', map { $_->{name} } $cluster->others($node)) . ')');
}
$cluster->wait_for('a rule that asks for a confirmation', sub { ($primary->status->{rule} // '') =~ /, committed;.* by 1 of \w, \w$/ });
wait_votes($primary, $cluster->nodes);

# ---- killed and started again where it is cut off ----

foreach my $when ('at once', 'when another one leads')
{
	$old = $primary;
	my @others = $cluster->others($old);
	@writers = (writer($old), writer(@others));
	$writers[0]->wait_acknowledged(100);
	my $cut = PghaCluster::now();
	$cluster->partition([$old], [@others]);
	$writers[1]->wait_acknowledged(20, $cut) if $when ne 'at once';
	$old->kill9;
	$old->start;
	$writers[1]->wait_acknowledged(50, $cut);
	ok($cluster->stays_false(sub { $old->writable }, 7), "cut off, killed and started again $when: it takes no writes, not even after startup_grace");
	is($old->value('SELECT pg_is_in_recovery()'), 't', '... and is a standby');
	is(scalar(grep { $_->[0] > ($writers[1]->acknowledged)[0][0] } $writers[0]->acknowledged), 0, '... and has acknowledged nothing since the other one leads');
	$cluster->heal;
	settle();
	isnt($primary, $old, 'healed: the new one leads on');
	judge("killed $when", @writers);
	is(lost($primary, @writers), 0, '... and has all that was acknowledged (' . scalar($writers[0]->acknowledged) . ' and ' . scalar($writers[1]->acknowledged) . ' rows)');
}

# ---- a promotion is held up, and a voter sees the old primary again ----

$old = $primary;
($one, $two) = $cluster->others($old);
@writers = (writer($old), writer($one, $two));
$writers[0]->wait_acknowledged(50);
hold_replay($primary, $one, $two);
# Both have the same WAL when the line is cut: who lacks some could not fetch it while its replay is held up, and nobody would stand.
my @at_work = map { $_->{pid} // die 'a writer has ended' } @writers;
kill 'STOP', @at_work;
$cluster->wait_for('both to have all WAL', sub {
	my $end = $old->value('SELECT pg_current_wal_flush_lsn()') // return 0;
	return !grep { ($_->value('SELECT pg_last_wal_receive_lsn()') // '') ne $end } $one, $two });
$cluster->partition([$old], [ $one, $two ]);
kill 'CONT', @at_work;
my ($candidate, $voter);
$cluster->wait_for('a candidate that has the vote of the other one', sub {
	my %report = map { $_->{name} => report($_) } $one, $two;
	foreach my $pair ([ $one, $two ], [ $two, $one ])
	{
		my ($c, $v) = map { $report{ $_->{name} } } @$pair;
		next unless ($c->{candidacy} // 0) > 0 && ($v->{vote} // '') eq $pair->[0]{name} && ($v->{vote_open} // '') eq 'yes';
		($candidate, $voter) = @$pair;
		return 1;
	}
	return 0;
});
# The line to the voter is whole again, that to the candidate is not.
$cluster->heal;
$cluster->partition([$old], [$candidate]);
$cluster->wait_for('the voter to see the old primary', sub { my $view = $voter->view; $view->{ $old->{name} } && $view->{ $old->{name} }{reachable} });
is($candidate->value('SELECT pg_is_in_recovery()'), 't', 'a promotion is held up: the candidate is still a standby');
ok($cluster->stays_false(sub { beside(@writers) }, 6), '... and whatever the voter does, nobody acknowledges beside a later leader');
ok(!$candidate->writable, '... nor does the candidate, which cannot replay');
let_replay($one, $two);
$cluster->heal;
settle();
my $count = $writers[0]->acknowledged + $writers[1]->acknowledged;
judge('promotion held up', @writers);
is(lost($primary, @writers), 0, "... and nothing is lost ($count rows)");
$writer = $cluster->start_writer(netns => $cluster->{hub}, timeline => 1);
$writer->wait_acknowledged(50);
pass('and writes go on');

# ---- nobody can replay ----

$old = $primary;
($one, $two) = $cluster->others($old);
hold_replay($primary, $one, $two);
$old->kill9;
$cluster->wait_for('one of them to stand', sub { grep { (report($_)->{candidacy} // 0) > 0 } $one, $two });
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 6), 'no candidate can replay: nobody leads, ...');
my $moment = PghaCluster::now();
let_replay($two);
$cluster->wait_for('one that leads', sub { ($two->value('SELECT pg_is_in_recovery()') // '') eq 'f' });
is($cluster->primary, $two, '... until one of them can');

# Who confirms its commits has to replay before it streams.
let_replay($one);
$writer->wait_acknowledged(50, $moment);
$writer->stop;
settle();
judge('nobody can replay', $writer);
is(lost($primary, $writer), 0, '... and nothing is lost');

done_testing();
