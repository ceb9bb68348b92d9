# Who votes is changed while a writer is at work: the files are the wish, changed node
# by node, and the leader takes it up by one voter at a time, without an election and
# without an outage.  What would leave no majority that answers is not done, and told.
# A witness is added to two nodes, and the members begin to vote.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

# A cluster that begins with fewer nodes than it gets.
my $cluster = PghaCluster->new(nodes => 5, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', wal_keep_size => '128MB' });
my %node = map { $_->{name} => $_ } $cluster->nodes;
my ($a, $b, $c, $d, $e) = $cluster->nodes;

# The text of pgha.members with these.
sub members { return join ', ', map { "$_=$node{$_}{host}:$node{$_}{port}" } @_; }

# Writes these members into the files, one node after the other.
sub write_members
{
	my ($members, @nodes) = @_;
	foreach my $node (@nodes)
	{
		$node->set('pgha.members' => members(split //, $members));
		$cluster->wait_for("$node->{name} to have read it", sub { ($node->value('SHOW pgha.members') // '') eq members(split //, $members) });
	}
	return;
}

# A node that is new in the files, as a standby of this one.
sub add_standby
{
	my ($node, $primary, $members) = @_;
	$node->clone($primary);
	$node->configure('pgha.members' => members(split //, $members));
	$node->start;
	return;
}

# Neither an election nor an interruption so far.
my ($writer, $term);
sub unnoticed
{
	my ($primary, $what) = @_;
	$writer->wait_acknowledged(20, PghaCluster::now());
	is($primary->status->{term}, $term, "$what: no election");
	is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, '... and the writer has noticed nothing');
	return;
}

# ---- three, and two more at once ----

$cluster->{settings}{'pgha.members'} = members(qw(a b c));
$cluster->{node} = [ $a, $b, $c ];
$cluster->build;
my $rule = wait_stored($a, 'a,b,c');
$term = $rule->{term};
$writer = $cluster->start_writer(nodes => [ $a, $b, $c ]);
$writer->wait_acknowledged(20);

my $mark = $a->log_mark;
write_members('abcde', $a, $b, $c);
$a->wait_log(qr/does not let [de] vote yet: it does not answer, or is not ready to/, $mark);
is(names(report($a)->{rule_voters}), 'a,b,c', 'who is in the files and does not answer has no vote yet, which the log tells');
like($a->status->{rule}, qr/, committed; .*; does not let [de] vote yet/, '... and pgha_status()');
unnoticed($a, 'two more in the files');

$cluster->{node} = [ $a, $b, $c, $d, $e ];
add_standby($_, $a, 'abcde') foreach $d, $e;
my $next = wait_stored($a, 'a,b,c,d,e');
is($next->{rule_epoch} // 0, ($rule->{rule_epoch} // 0) + 2, 'they are there: taken in one after the other');
unlike($a->status->{rule}, qr/does not let/, '... and nothing is left to be done');
unnoticed($a, 'five voters');

# Two of five are no obstacle.
my $moment = PghaCluster::now();
$_->kill9 foreach $e, $a;
$writer->wait_acknowledged(20, $moment);
my $primary = $cluster->wait_single_primary(among => [ $b, $c, $d ]);
pass('the primary and another one are killed: three of five elect');
$cluster->rejoin($_, $primary) foreach $a, $e;
$rule = wait_stored($primary, 'a,b,c,d,e');
$writer->stop;

# ---- two of four leave at once ----

# It leads on while the files lose two of the four whose majority it needs.
$term = $primary->status->{term};
my ($far, @rest) = $cluster->others($primary);
my $last = $rest[-1];
$writer = $cluster->start_writer(nodes => [ $cluster->nodes ]);
$writer->wait_acknowledged(20);
my $four = join '', map { $_->{name} } grep { $_ != $last } $cluster->nodes;
write_members($four, $primary, grep { $_ != $primary && $_ != $last } $cluster->nodes);
$next = wait_stored($primary, join ',', split //, $four);
is($next->{rule_epoch} // 0, ($rule->{rule_epoch} // 0) + 1, 'one is out of the files: it has no vote any more');
unnoticed($primary, 'four voters');
$last->stop;
my @left = ($primary, $far);
my $two = join '', sort map { $_->{name} } @left;
my @out = grep { $_ != $last } @rest;
write_members($two, @left);
$rule = wait_stored($primary, join ',', split //, $two);
is($rule->{rule_epoch} // 0, ($next->{rule_epoch} // 0) + 2, 'two of four are taken out of the files at once: they leave one after the other');
ok($cluster->stays_false(sub { !$primary->writable }, 3), '... and the primary goes on, for longer than a lease');
unnoticed($primary, 'two voters');
is(names(join ',', keys %{ $primary->view }), join(',', split //, $two), '... and who has left is not shown any more');
$_->stop foreach @out;

# ---- three again, and a change that would leave no majority ----

my $third = $out[0];
my $three = join '', sort map { $_->{name} } @left, $third;
write_members($three, @left);
$third->configure('pgha.members' => members(split //, $three));
$third->start;
wait_stored($primary, join ',', split //, $three);
unnoticed($primary, 'one is back');

# The third one is down, and the second one is taken out of the files: it is needed.
$cluster->{node} = [ @left, $third ];
$third->kill9;
$mark = $primary->log_mark;
my $without = join '', sort $primary->{name}, $third->{name};
write_members($without, $primary);
$primary->wait_log(qr/lets $far->{name} vote on, though the files do not: without it no majority of the voters would answer/, $mark);
pass('a change that would leave no majority is not done, and the log tells');
like($primary->status->{rule}, qr/, committed; .*; lets $far->{name} vote on, though the files do not/, '... and pgha_status()');
ok($cluster->stays_false(sub { !$primary->writable }, 5), '... the primary goes on with its vote');
is(names(report($primary)->{rule_voters}), join(',', split //, $three), '... under the same rule');
is($primary->view->{ $far->{name} }{witness} ? 1 : 0, 0, '... and it is not shown as a witness');
unnoticed($primary, 'refused');

# Who leaves is done without at last, while the files have a set that cannot be used.
$mark = $primary->log_mark;
$primary->set('pgha.startup_grace' => '1s');
$cluster->wait_for('it to be told', sub { ($primary->status->{config_error} // '') =~ /startup_grace/ });
$third->start;
$cluster->wait_for('the change to be made up for', sub { names(report($primary)->{rule_voters}) eq join(',', split //, $without) });
pass('the third one is back: the change is made');
my $beat = report($primary)->{beat};
$cluster->wait_for('some beats', sub { (report($primary)->{beat} // 0) >= $beat + 4 });
is(scalar(() = $primary->log_since($mark) =~ /configuration is not valid/g), 1, 'what cannot be used in the files is told once');
$primary->set('pgha.startup_grace' => '5s');
$cluster->wait_for('the files to be read', sub { !defined $primary->view->{ $far->{name} } });
pass('... and who has left goes when it is mended');
unnoticed($primary, 'made up for');
$writer->stop;
is(lost($primary, $writer), 0, 'nothing is lost in all that');
$cluster->cleanup;

# ---- a witness is added to two nodes ----

$cluster = PghaCluster->new(nodes => 2, witnesses => ['w'], settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.witnesses' => '', wal_keep_size => '128MB' });
($a, $b) = $cluster->nodes;
my ($w) = $cluster->witnesses;
$cluster->{node_settings}{w} = { 'pgha.witnesses' => $cluster->{witness_list} };
$cluster->build;
like($a->status->{quorum}, qr/^off: there are fewer than three voters/, 'two nodes: nobody votes');
$writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
$term = $a->status->{term};
$_->set('pgha.witnesses' => $cluster->{witness_list}) foreach $b, $a;
wait_stored($a, 'a,b,w');
is($a->status->{quorum}, 'in force', 'a witness is in the files: quorum is in force');
unnoticed($a, 'the first rule');
$moment = PghaCluster::now();
$a->kill9;
$writer->wait_acknowledged(20, $moment);
is($cluster->wait_single_primary, $b, 'the primary is killed: the other one is elected by the vote of the witness');
cmp_ok(report($w)->{support_term} // 0, '>', $term, '... which supports it');
$cluster->rejoin($a, $b);
wait_stored($b, 'a,b,w');
$writer->stop;

done_testing();
