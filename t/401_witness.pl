# Two members and a witness: its vote elects, it remembers it, and without a
# majority nobody leads.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, witnesses => ['w'])->build;
my ($a, $b) = $cluster->nodes;
my ($w) = $cluster->witnesses;

# What a voter, the witness unless told, has durably written down.
sub kept
{
	my ($key, $node) = @_;
	$node //= $w;
	return (PghaCluster::slurp("$node->{data}/pgha.state") // '') =~ /^$key=(.*)$/m ? $1 : '';
}

sub names { return join ',', sort split /,/, $_[0]; }

# The witness has stored the rule of a leader by which it votes.
sub wait_rule
{
	my ($leader) = @_;
	$cluster->wait_for("the witness to support $leader->{name} and its rule",
		sub { kept('support') eq $leader->{name} && kept('rule_term') > 0 && kept('rule_term') eq kept('support_term') && names(kept('rule_voters')) eq 'a,b,w' });
	is(kept('rule_witnesses'), 'w', "under $leader->{name} all three vote, one of them without data");
	is(names(kept('rule_eligible')), 'a,b', 'who is never elected');
}

wait_rule($a);
ok($a->writable, 'a takes writes under its lease');

# ---- it votes ----

my $term = $a->status->{term};
$a->kill9;
is($cluster->wait_single_primary->{name}, 'b', 'with the vote of the witness the other one is elected');
cmp_ok($b->status->{term}, '>', $term, 'in a later term');
is(kept('vote'), 'b', 'the vote is written down');
is(kept('vote_term'), $b->status->{term}, 'with its term');
is($w->status->{state}, 'witness', 'and the witness is what it was');
$cluster->rejoin($a, $b);
wait_rule($b);

# ---- without the witness, two of three are enough ----

$w->kill9;
ok($b->writable, 'without the witness b goes on');
ok($cluster->stays_false(sub { !$b->writable }, 3), 'for longer than a lease');
my $before = join ' ', map { kept($_) } qw(support support_term vote vote_term highest rule_term system_identifier);
$w->start;
$cluster->wait_for('the witness to be back', sub { my $s = $w->status; $s && $s->{state} eq 'witness' });
is(join(' ', map { kept($_) } qw(support support_term vote vote_term highest rule_term system_identifier)), $before, 'a witness that crashed has forgotten nothing');

# ---- without a majority nobody leads ----

$w->stop;
$b->kill9;
ok($cluster->stays_false(sub { $a->writable }, 4), 'with two voters down nobody is elected');
is($a->value('SELECT pg_is_in_recovery()'), 't', 'the last one stays a standby');
like($a->status->{reason}, qr/too few voters|does not answer|waits/, 'and says so');
$w->start;
is($cluster->wait_single_primary->{name}, 'a', 'the witness is enough to elect it');
$cluster->rejoin($b, $a);

# ---- it goes, and comes back ----

$term = $a->status->{term};
$w->stop;
$_->set('pgha.witnesses' => '') foreach $a, $b;
$cluster->wait_for('the rule to be without the witness', sub { names(kept('rule_voters', $a)) eq 'a,b' && names(kept('rule_voters', $b)) eq 'a,b' });
ok($cluster->stays_false(sub { !$a->writable }, 3), 'taken out of the files, it is not missed');
$_->set('pgha.witnesses' => undef) foreach $a, $b;
$w->start;
wait_rule($a);
is($a->status->{term}, $term, 'all that without an election');
done_testing();
