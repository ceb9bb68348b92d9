# A minute or so of random faults on three voting members, and as much on two and
# a witness, with writers on every side (Chaos.pm; ROUNDS, SEED and KINDS choose how
# many, which and where; bench/chaos plays many).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Chaos;
use PghaCluster;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $rounds = $ENV{ROUNDS} // 3;
my $seed = $ENV{SEED} // 1 + time % 100_000;
diag "SEED=$seed";
foreach my $kind (split / /, $ENV{KINDS} // 'any1 witness')
{
	my $chaos = Chaos->new(cluster => Chaos::cluster($kind), kind => $kind, seed => $seed);
	foreach my $round (1 .. $rounds)
	{
		my $what = "$kind, round $round of SEED=$seed: " . Chaos::describe($chaos->plan($round));
		my @wrong = $chaos->round($round);
		is(join("\n", @wrong), '', $what) or last;
	}
	note "$kind: $chaos->{count}{acknowledged} rows acknowledged, $chaos->{count}{lost} of them lost";
	$chaos->{cluster}->cleanup;
}
done_testing();
