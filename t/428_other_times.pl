# Settings differ from node to node while new ones are brought to them, or because one
# set cannot be used: nobody takes another, who lives by other times, for silent, and
# the primary keeps its lease.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(
	nodes => 3,
	settings => { 'pgha.heartbeat_interval' => '2s', 'pgha.failure_timeout' => '8s', 'pgha.startup_grace' => '20s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my %short = ('pgha.heartbeat_interval' => '200ms', 'pgha.failure_timeout' => '1s');
wait_stored($a, 'a,b,c');

# Does somebody see no leader, or does the leader have no lease?
sub unrest
{
	my @state = map { $_->state // 'none' } $b, $c;
	return join ' ', @state if grep { $_ ne 'standby' } @state;
	return (report($a)->{leased} // '') ne 'yes';
}

# All of these have answered to a beat of the primary's by a lease of this length.
sub wait_promises
{
	my ($ttl, @nodes) = @_;
	return $cluster->wait_for("promises for $ttl us",
		sub { return !grep { (report($_)->{promise_ttl} // 0) != $ttl } @nodes; });
}

# ---- the standbys first ----

my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
$_->set(%short) foreach $b, $c;
wait_promises(1_000_000, $b, $c);
ok($cluster->stays_false(\&unrest, 4), 'the standbys live by shorter times than the primary: it leads, and they follow');
my $beat = report($a)->{beat};
$cluster->wait_for('eight beats', sub { (report($a)->{beat} // 0) >= $beat + 8 });
is($a->status->{state}, 'primary', 'it beats as often as they want it to');

# ---- a set that cannot be used ----

$a->set(%short);
$cluster->wait_for('all to have the same', sub { !grep { /configuration differs/ } map { $_->{error} // '' } values %{ $b->view } });
my $mark = $b->log_mark;
$a->set('pgha.heartbeat_interval' => '2s', 'pgha.failure_timeout' => '8s', 'pgha.startup_grace' => '3s');
$cluster->wait_for('it to be told', sub { ($a->status->{config_error} // '') =~ /startup_grace/ });
ok($cluster->stays_false(\&unrest, 4), 'times that cannot be used: it goes on by the former ones');
unlike($b->log_since($mark), qr/is silent/, '... and nobody has taken it for silent');
$a->set(%short, 'pgha.startup_grace' => undef);
$cluster->wait_for('no complaint any more', sub { ($a->status->{config_error} // '') eq '' });
$writer->stop;
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, 'the writer has noticed nothing');

done_testing;
