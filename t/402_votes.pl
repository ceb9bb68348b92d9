# Three data nodes elect their primary: the first rule, a killed and a frozen
# primary, two voters of three that are down.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3)->build;
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

done_testing();
