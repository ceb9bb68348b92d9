# Orderly stops: a quick restart is no failover, a stopped primary is replaced
# after failure_timeout, a standby may come and go.  Without quorum: with it a
# successor is elected at once (t/402_votes.pl).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.quorum' => 'off', 'pgha.failure_timeout' => '3s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
my $term = $a->status->{term};

foreach my $mode ('fast', 'immediate')
{
	my $moment = PghaCluster::now();
	my $mark = $b->log_mark;
	$a->stop($mode);
	$a->start;
	if ($mode eq 'fast')
	{
		is($cluster->wait_single_primary, $a, "quick restart ($mode): the same primary");
		is($a->status->{term}, $term, "quick restart ($mode): the same term");
		$writer->wait_acknowledged(20, $moment);
		note sprintf 'quick restart: outage %.0f ms', $writer->outage($moment);
		$cluster->wait_following($a);
		unlike($b->log_since($mark), qr/promot/, "quick restart ($mode): nobody was promoted");
	}
	else
	{
		# Looks like a crash to the others: either way there must be one primary.
		my $primary = $cluster->wait_single_primary;
		note "immediate restart: $primary->{name} leads";
		$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
		ok($cluster->one_primary, "quick restart ($mode): one primary");
	}
}

# What a crash may have cost is not what is counted from here on.
$writer->stop;
$writer = $cluster->start_writer;
$writer->wait_acknowledged(20);

my $old = $cluster->primary;
my $moment = PghaCluster::now();
$old->stop;
my $stopped = PghaCluster::now();
my $new = $cluster->wait_single_primary(among => [ $cluster->others($old) ]);
$writer->wait_acknowledged(10, $moment);
my $outage = $writer->outage($moment);
note sprintf 'clean stop: outage %.0f ms', $outage;
cmp_ok($outage, '>', 3000, 'a primary that was stopped gets failure_timeout to come back');
my ($third) = grep { $_ != $old && $_ != $new } $cluster->nodes;
$cluster->wait_following($new, $third);
is(scalar($writer->missing($new)), 0, 'a clean stop loses nothing');
is($cluster->rejoin($old, $new), 'standby', 'the stopped primary comes back as a standby without a rewind');

$term = $new->status->{term};
$third->stop;
my $since = PghaCluster::now();
$writer->wait_acknowledged(50, $since);
$third->start;
$cluster->wait_following($new, $third);
is($new->status->{term}, $term, 'a standby that was stopped and came back: no failover');

# The primary is stopped by the administrator, then the standbys: an orderly end.
$writer->stop;
$cluster->stop_all;
is(scalar(map { $_->processes } $cluster->nodes), 0, 'no process is left');
done_testing();
