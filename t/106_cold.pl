# Cold starts of the whole site: in any order, of one node alone, after clean
# stops and after a power failure.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '3s' })->build;

sub comes_up
{
	my ($what, $stop, @order) = @_;
	my $before = $cluster->wait_single_primary;
	$cluster->wait_following($before);
	my $value = $before->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
	$cluster->wait_following($before);
	$stop->($_) foreach grep { $_ != $before } $cluster->nodes;
	$stop->($before);
	$_->start(wait => 0) foreach @order;
	$_->wait_ready foreach @order;
	my $primary = $cluster->wait_single_primary;
	$cluster->rejoin($_, $primary) foreach grep { $_ != $primary } $cluster->nodes;
	is($primary->value("SELECT count(*) FROM probe WHERE v = $value"), 1, "$what: everything is there");
	ok($cluster->one_primary, "$what: one primary ($primary->{name}, was $before->{name})");
}

my ($a, $b, $c) = $cluster->nodes;
comes_up('clean stop, all at once', sub { $_[0]->stop }, $a, $b, $c);
comes_up('power failure, all at once', sub { $_[0]->kill9 }, $c, $b, $a);
my $leads = $cluster->wait_single_primary;
comes_up('power failure of one after the other, former standbys first', sub { $_[0]->kill9 }, $cluster->others($leads), $leads);

# One after the other, each only when the one before is there for a while.
foreach my $first ('primary', 'standby')
{
	my $before = $cluster->wait_single_primary;
	$cluster->wait_following($before);
	my @order = $before;
	if ($first eq 'primary') { push @order, $cluster->others($before); }
	else { unshift @order, $cluster->others($before); }
	$_->kill9 foreach $cluster->others($before);
	$before->kill9;
	foreach my $node (@order)
	{
		$node->start;
		PghaCluster::poll_until('', sub { $cluster->primaries }, 2);
	}
	my $primary = $cluster->wait_single_primary;
	$cluster->rejoin($_, $primary) foreach grep { $_ != $primary } $cluster->nodes;
	ok($cluster->one_primary, "one after the other, $first first: one primary");
}
$cluster->stop_all;
$cluster->cleanup;

# Two nodes, of which one never comes back.
foreach my $survivor ('primary', 'standby')
{
	my $two = PghaCluster->new(nodes => 2, settings => { 'pgha.startup_grace' => '2s' })->build;
	my $primary = $two->primary;
	my ($standby) = $two->others($primary);
	my ($stays, $goes) = $survivor eq 'primary' ? ($primary, $standby) : ($standby, $primary);
	$_->kill9 foreach $standby, $primary;
	$stays->start;
	is($two->wait_single_primary, $stays, "the former $survivor of two comes up alone");
	$stays->sql('INSERT INTO probe VALUES (42)');
	$two->rejoin($goes, $stays);
	is($two->primary, $stays, "the other one follows the former $survivor");
	$two->cleanup;
}
done_testing();
