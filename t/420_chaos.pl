# A minute or so of random faults on three voting members, and as much on two and
# a witness, with writers on every side (Chaos.pm; ROUNDS, SEED and KINDS choose how
# many, which and where; bench/chaos plays many).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Chaos;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

# What is to be found is found: logs of writers as they must not be.
my $directory = tempdir(CLEANUP => 1);

sub told
{
	my (@lines) = @_;
	my $log = "$directory/" . ++(our $logs);
	PghaCluster::spew($log, join '', map { "$_\n" } @lines);
	return bless { log => $log }, 'PghaCluster::Writer';
}

my $judge = Chaos->new;
my @old = ('1000000 C a:1', '1100000 A 1 1', '1200000 A 2 1');
is(join("\n", $judge->beside(told(@old), told('1000000 C b:1', '1300000 A 1 2', '1400000 A 2 2'))), '', 'one leader after the other');
is(join("\n", $judge->beside(told(@old, '1350000 A 3 1'), told('1000000 C b:1', '1300000 A 1 2', '1400000 A 2 2'))),
	'1 rows were acknowledged beside a later leader, up to 50 ms after its first one', 'a former leader that acknowledges is found');
is(join("\n", $judge->beside(told(@old), told('1000000 C b:1', '1300000 A 1 1'))), 'timeline 1 was acknowledged on by a:1 and b:1', 'two leaders of one timeline are found');

if (!PghaCluster::can_netns())
{
	note 'the rest needs root and network namespaces';
	done_testing();
	exit;
}

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
