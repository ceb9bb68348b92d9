# Three data nodes elect their primary: the first rule; a primary that is killed,
# frozen, stopped, restarted, cut off, or has a new monitor; two voters of three that
# are down.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

# PostgreSQL starts a monitor that has ended again after a second: the lease must last for longer.
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($a, $b, $c) = $cluster->nodes;

# What a member says of itself.
sub report
{
	my ($node) = @_;
	my %field = map { /^([^=]+)=(.*)$/ ? ($1 => $2) : () } split /\t/, $node->value('SHOW pgha.report') // '';
	return \%field;
}

# The members vote: all have stored this primary's rule, and support it.
sub votes_for
{
	my ($primary, @nodes) = @_;
	return $cluster->wait_for(
		"a rule of $primary->{name} that is stored everywhere",
		sub {
			my $leader = report($primary);
			return undef unless ($leader->{leased} // '') eq 'yes' && $leader->{rule_term} == $leader->{term};
			foreach my $node (@nodes)
			{
				my $report = report($node);
				return undef
				  unless ($report->{rule_term} // 0) == $leader->{rule_term}
				  && ($report->{support} // '') eq $primary->{name}
				  && $report->{support_term} == $leader->{term};
			}
			return $leader;
		});
}

my $rule = votes_for($a, $a, $b, $c);
is($rule->{rule_voters}, 'a,b,c', 'the first rule names all members as voters');
is($rule->{term}, 1, 'it is of the term that the primary led in already');

my $writer = $cluster->start_writer;
$writer->wait_acknowledged(50);
$a->kill9;
my $next = $cluster->wait_single_primary(among => [ $b, $c ]);
ok($next, 'one of the others was elected');
$rule = votes_for($next, grep { $_ != $a } $cluster->nodes);
cmp_ok($rule->{term}, '>', 1, 'in a later term');
is($rule->{timeline}, $rule->{term}, "the timeline's number is the term");
is($rule->{won}, $rule->{term}, 'it has won that term');
my $count = $writer->acknowledged;
$writer->wait_acknowledged($count + 50);
pass('writes go on');
$cluster->rejoin($a, $next);
votes_for($next, $cluster->nodes);
ok($cluster->one_primary, 'the old primary is a standby and supports the new one');

# ---- an answer that is cancelled ----

# As by a conflict with recovery: the session is asked for news again, not for plain reports from then on.
my $asking = q{FROM pg_stat_activity WHERE backend_type = 'walsender' AND state = 'active' AND query LIKE '%report\_changed%'};
my $sender = $cluster->wait_for('a question for news', sub { $next->value("SELECT min(pid) $asking") });
my $mark = $next->log_mark;
$cluster->wait_for('it to be cancelled', sub {
	$next->value("SELECT pg_cancel_backend($sender)");
	return $next->log_since($mark) =~ /walsender\[$sender\] ERROR:.*canceling statement/;
});
ok($cluster->wait_for('the next one', sub { ($next->value("SELECT count(*) $asking AND pid = $sender") // 0) == 1 }), 'a question whose answer was cancelled is put again');

# ---- a new monitor: backends go on, and so do the promises ----

my $term = $next->status->{term};
my $instance = report($next)->{instance};
my $beat = report($next)->{beat};
my $old = $next->monitor_pid;
kill 'TERM', $old;
$cluster->wait_for('a new monitor', sub { ($next->monitor_pid // $old) != $old });
$rule = votes_for($next, $cluster->nodes);
is($rule->{term}, $term, 'a new monitor of the primary: the same term');
is($rule->{instance}, $instance, 'the same instance');
cmp_ok($rule->{beat}, '>', $beat, 'beats count on');
$count = $writer->acknowledged;
$writer->wait_acknowledged($count + 20);
pass('writes go on');

# ---- frozen ----

# Knows the primary only, and is patient enough to be still connected when it is thawed.
my $faithful = $cluster->start_writer(nodes => [$next], timeout => 600_000);
$faithful->wait_acknowledged(20);
my $frozen = $next;
my $moment = $frozen->freeze;
$next = $cluster->wait_single_primary(among => [ $cluster->others($frozen) ]);
votes_for($next, grep { $_ != $frozen } $cluster->nodes);
$writer->wait_acknowledged(20, $moment);
note sprintf 'frozen: outage %.0f ms with failure_timeout 3 s', $writer->outage($moment);
# What was on its way when it was frozen still arrives.
my $first = $moment + $writer->outage($moment) / 1000;
$frozen->thaw;
$cluster->wait_for('the thawed primary to be in recovery', sub { ($frozen->value('SELECT pg_is_in_recovery()') // '') eq 't' });
is($cluster->wait_single_primary, $next, 'thawed, the old primary gives way');
$faithful->stop;
is(scalar(grep { $_->[0] >= $first } $faithful->acknowledged), 0,
	'the old primary has acknowledged nothing after the new one did for the first time');
$cluster->rejoin($frozen, $next);
votes_for($next, $cluster->nodes);

# ---- an orderly stop, a restart ----

my $stopped = $next;
$moment = PghaCluster::now();
$stopped->stop;
$next = $cluster->wait_single_primary(among => [ $cluster->others($stopped) ]);
$writer->wait_acknowledged(20, $moment);
note sprintf 'stopped: outage %.0f ms', $writer->outage($moment);
is($cluster->rejoin($stopped, $next), 'standby', 'a stopped primary is replaced, and comes back without a rewind');
votes_for($next, $cluster->nodes);

# ---- two of three are down ----

my ($one, $two) = $cluster->others($next);
$mark = $next->log_mark;
$_->kill9 foreach $one, $two;
$cluster->wait_for('the last one to give up', sub { ($next->value('SELECT pg_is_in_recovery()') // '') eq 't' });
like($next->log_since($mark), qr/no majority/, 'two of three voters are down: the primary says why it gives up');
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 3), 'and nobody leads');
$moment = PghaCluster::now();
$one->start;
$next = $cluster->wait_single_primary;
$writer->wait_acknowledged(20, $moment);
votes_for($next, grep { $_ != $two } $cluster->nodes);
pass('with a majority there is a primary again');
$cluster->rejoin($two, $next);
$cluster->rejoin($one, $next) if $one != $next;
votes_for($next, $cluster->nodes);

# ---- all are stopped, and come back ----

$writer->stop;
$cluster->stop_all;
$_->start(wait => 0) foreach $cluster->nodes;
$next = $cluster->wait_single_primary;
votes_for($next, $cluster->nodes);
$cluster->wait_following($next);
pass('all stopped and started: one leads, and all follow');
$cluster->cleanup;

# ---- cut off ----

SKIP:
{
	skip 'needs root and network namespaces', 4 unless PghaCluster::can_netns();
	my $net = PghaCluster->new(nodes => 3, netns => 1, settings => { wal_keep_size => '128MB' })->build;
	$cluster = $net;
	($a, $b, $c) = $net->nodes;
	votes_for($a, $net->nodes);
	my $near = $net->start_writer(netns => $net->{hub}, nodes => [$a], timeout => 20_000);
	my $far = $net->start_writer(netns => $net->{hub}, nodes => [ $b, $c ]);
	$near->wait_acknowledged(20);

	# A standby that is cut off deposes nobody, nor does one that does not see the primary.
	$net->partition([$c], [ $a, $b ]);
	$net->wait_for('c to miss the others', sub { my $view = $c->view; $view->{a} && !$view->{a}{reachable} && !$view->{b}{reachable} });
	ok($net->stays_false(sub { grep { $_ != $a } $net->primaries }, 4), 'a standby that is cut off does not lead');
	$net->heal;
	$net->wait_following($a);
	is($a->status->{term}, 1, 'and raises no term');

	# The primary, whose clients still reach it.
	votes_for($a, $net->nodes);
	my $cut = PghaCluster::now();
	$net->partition([$a], [ $b, $c ]);
	$far->wait_acknowledged(50, $cut);
	my ($new) = grep { $_ != $a && $_->writable } $net->nodes;
	ok($new, 'the majority has elected another one');
	$net->wait_for('the old one to give up', sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' });
	$net->heal;
	$net->rejoin($a, $new);
	$_->stop foreach $near, $far;
	my ($begin) = $far->acknowledged;
	is(scalar(grep { $_->[0] >= $begin->[0] } $near->acknowledged), 0,
		'the old primary has acknowledged nothing after the new one did for the first time');
}
done_testing();
