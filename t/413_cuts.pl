# Lines that are cut between voting members in network namespaces: packets of one
# direction alone, between the primary and each of the others, among three data
# members and among two and a witness; all lines at once; a witness that is cut off, and the primary
# killed meanwhile; two voters that are silent.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster;
my %SETTINGS = ('pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', wal_keep_size => '128MB');

sub writer { my (@nodes) = @_; return $cluster->start_writer(netns => $cluster->{hub}, nodes => [@nodes], timeline => 1); }

# Packets of one direction are lost; a majority still reaches the primary and is reached by it.
sub one_way
{
	my ($primary, $from, $to, @writers) = @_;
	my $what = "packets from $from->{name} to $to->{name} are lost";
	my $term = $primary->status->{term};
	my ($deaf, $other) = ($to, $from);
	$cluster->block($from, $to);
	$cluster->wait_for("$deaf->{name} to miss $other->{name}", sub { my $view = $deaf->view; $view->{ $other->{name} } && !$view->{ $other->{name} }{reachable} });
	ok($cluster->stays_false(sub { grep { $_ != $primary } $cluster->primaries }, 4), "$what: nobody else leads");
	is($primary->status->{term}, $term, '... in the same term');
	my $before = PghaCluster::now();
	$writers[0]->wait_acknowledged(20, $before);
	$cluster->heal;
	$cluster->wait_following($primary);
	wait_votes($primary, $cluster->voters);
	is($primary->status->{term}, $term, '... nor is it another one once healed');
	return;
}

# ---- three data members ----

$cluster = PghaCluster->new(nodes => 3, netns => 1, settings => \%SETTINGS)->build;
my ($a, $b, $c) = $cluster->nodes;
wait_votes($a, $cluster->nodes);
my $writer = writer($a, $b, $c);
$writer->wait_acknowledged(20);
foreach my $standby ($b, $c)
{
	one_way($a, $a, $standby, $writer);
	one_way($a, $standby, $a, $writer);
}

# The line between the primary and one of two that both see the third.
my $term = $a->status->{term};
$cluster->partition([$a], [$b]);
$cluster->wait_for('b to miss the primary', sub { my $view = $b->view; $view->{a} && !$view->{a}{reachable} });
ok($cluster->stays_false(sub { grep { $_ != $a } $cluster->primaries }, 4), 'the line between the primary and one standby is cut: nobody else leads');
$writer->wait_acknowledged(20, PghaCluster::now());
$cluster->heal;
$cluster->wait_following($a);
wait_votes($a, $cluster->nodes);
is($a->status->{term}, $term, '... in the same term, also afterwards');
$writer->stop;
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, 'clients have noticed nothing');

# Nobody sees anybody.
my $mark = $a->log_mark;
$cluster->partition([$a], [ $b, $c ]);
$cluster->partition([$b], [$c]);
$a->wait_log(qr/gives up: no majority of the voters was heard/, $mark);
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'no member sees another one: the primary steps down, and nobody leads');
$cluster->wait_for('all to say so', sub { !grep { (($_->status // {})->{reason} // '') !~ /too few voters answer to elect anybody/ } $cluster->nodes });
pass('... which all say');
$cluster->heal;
$a = $cluster->wait_single_primary;
($b, $c) = $cluster->others($a);
$cluster->rejoin($_, $a) foreach $b, $c;
wait_votes($a, $cluster->nodes);
pass('... healed: one leads, and the others follow');

# The primary hears nobody, though all hear it: its lease ends, as it reads no promise.
my @writers = (writer($a), writer($b, $c));
$writers[0]->wait_acknowledged(20);
$mark = $a->log_mark;
my $moment = PghaCluster::now();
$cluster->block($_, $a) foreach $b, $c;
$a->wait_log(qr/gives up: no majority of the voters was heard/, $mark);
$writers[1]->wait_acknowledged(20, $moment);
pass('a primary that hears nobody gives up, and another one is elected');
my $begun = ($writers[1]->acknowledged)[0][0];
$cluster->heal;
my $primary = $cluster->wait_single_primary(among => [ $b, $c ]);
$cluster->rejoin($a, $primary);
$_->stop foreach @writers;
is(beside(@writers), 0, '... and nothing is acknowledged beside it');
is(scalar(grep { $_->[0] > $begun } $writers[0]->acknowledged), 0, '... by the old one, from the first one of the new one on');
is(lost($primary, $writers[1]), 0, '... which has all its own');

# The others hear nothing of it, though it hears them: no lease either.
wait_votes($primary, $cluster->nodes);
my @others = $cluster->others($primary);
@writers = (writer($primary), writer(@others));
$writers[0]->wait_acknowledged(20);
$moment = PghaCluster::now();
$cluster->block($primary, $_) foreach @others;
$writers[1]->wait_acknowledged(20, $moment);
pass('a primary that nobody hears is replaced');
$cluster->heal;
my $next = $cluster->wait_single_primary(among => [@others]);
$cluster->rejoin($primary, $next);
$_->stop foreach @writers;
is(beside(@writers), 0, '... and nothing is acknowledged beside the new one');
is(lost($next, $writers[1]), 0, '... which has all its own');
$cluster->cleanup;

# ---- two and a witness ----

$cluster = PghaCluster->new(nodes => 2, witnesses => ['w'], netns => 1, settings => \%SETTINGS)->build;
($a, $b) = $cluster->nodes;
my ($w) = $cluster->witnesses;
wait_votes($a, $cluster->voters);
$writer = writer($a, $b);
$writer->wait_acknowledged(20);
foreach my $other ($b, $w)
{
	one_way($a, $a, $other, $writer);
	one_way($a, $other, $a, $writer);
}
one_way($a, $b, $w, $writer);
one_way($a, $w, $b, $writer);

# The witness is cut off: two of three go on.
$cluster->partition([$w], [ $a, $b ]);
$cluster->wait_for('the witness to be missed', sub { my $view = $b->view; $view->{w} && !$view->{w}{reachable} });
ok($cluster->stays_false(sub { !$a->writable }, 4), 'the witness is cut off: the primary goes on');
$writer->stop;
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, '... and clients have noticed nothing of all that');
$term = $a->status->{term};
$writer = writer($a, $b);
$writer->wait_acknowledged(20);

# The primary dies as well: one of three is no majority.
$a->kill9;
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 6), '... and the primary is killed: nobody is elected');
$cluster->wait_for('the last one to say so', sub { ($b->status->{reason} // '') =~ /too few voters answer to elect anybody/ });
pass('... and pgha_status() says why');
like($b->value(q{SELECT string_agg(concat_ws(' ', node, answer), '; ') FROM pgha_explain()}) // '', qr/\bw would not vote for b: does not answer/, '... pgha_explain() names the witness');
$moment = PghaCluster::now();
$cluster->heal;
$writer->wait_acknowledged(20, $moment);
is($cluster->wait_single_primary, $b, 'the witness is back: the last one is elected');
cmp_ok($b->status->{term}, '>', $term, '... in a later term');
$cluster->rejoin($a, $b);
wait_votes($b, $cluster->voters);
$writer->stop;

# The primary and the witness see each other, the standby is cut off; then the primary from both.
($primary, my $standby) = ($b, $a);
$term = $primary->status->{term};
$cluster->partition([$standby], [ $primary, $w ]);
ok($cluster->stays_false(sub { !$primary->writable || $standby->writable }, 5), 'the standby is cut off: the primary goes on with the witness');
$cluster->heal;
$cluster->wait_following($primary);
wait_votes($primary, $cluster->voters);
is($primary->status->{term}, $term, '... in the same term, also afterwards');
@writers = (writer($primary), writer($standby));
$writers[0]->wait_acknowledged(20);
$moment = PghaCluster::now();
$cluster->partition([$primary], [ $standby, $w ]);
$writers[1]->wait_acknowledged(50, $moment);
$begun = ($writers[1]->acknowledged)[0][0];
$cluster->wait_for('the old one to give up', sub { ($primary->value('SELECT pg_is_in_recovery()') // '') eq 't' });
$cluster->heal;
is($cluster->wait_single_primary, $standby, 'the primary is cut off: the standby leads by the vote of the witness');
$cluster->rejoin($primary, $standby);
$_->stop foreach @writers;
is(beside(@writers), 0, '... and nothing is acknowledged beside it');
is(scalar(grep { $_->[0] > $begun } $writers[0]->acknowledged), 0, '... by the old one, from the first one of the new one on');
is(lost($standby, $writers[1]), 0, '... which has all its own');

done_testing();
