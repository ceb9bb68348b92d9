# kill -9 of a primary, whole and postmaster alone; the third node follows, the
# old primary comes back read-only; killed standbys change nothing.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);

is($cluster->primary, $a, 'the first node leads');
is($a->state, 'primary', 'and says so');
is($_->state, 'standby', "$_->{name} is a standby") foreach $b, $c;
my $term = $a->status->{term};

# One round: the primary dies in some way, another one takes over.
sub failover
{
	my ($what, $kill) = @_;
	my $old = $cluster->primary;
	my $moment = $kill->($old);
	my $new = $cluster->wait_single_primary(among => [ $cluster->others($old) ]);
	isnt($new, $old, "$what: another node leads");
	$writer->wait_acknowledged(10, $moment + 0.001);
	my ($third) = grep { $_ != $old && $_ != $new } $cluster->nodes;
	$cluster->wait_following($new, $third);
	pass("$what: the third node follows");
	note sprintf '%s: outage of a direct client %.0f ms, %d acknowledged rows missing (asynchronous)',
	  $what, $writer->outage($moment), scalar $writer->missing($new);

	my $status = $new->status;
	is($status->{state}, 'primary', "$what: status of the new primary");
	cmp_ok($status->{term}, '>', $term, "$what: the term is higher");
	$term = $status->{term};
	my @events = $new->events;
	ok((grep { $_->{kind} eq 'failover' && $_->{node} eq $new->{name} } @events), "$what: pgha_events() tells the failover");

	$cluster->wait_for("the processes of $old->{name} to end", sub { !$old->processes });
	my $mark = $old->log_mark;
	my $state = $cluster->rejoin($old, $new);
	note "$what: the old primary came back as $state";
	unlike($old->log_since($mark), qr/selected new timeline/, "$what: the old primary did not lead again");
	ok($cluster->one_primary, "$what: one primary");
	is($cluster->primary, $new, "$what: still the new one");
	return $new;
}

failover('kill -9 of everything', sub { $_[0]->kill9 });
failover('kill -9 of the postmaster', sub { $_[0]->kill_postmaster });
failover('kill -9 of everything again', sub { $_[0]->kill9 });

# A standby that dies and comes back is nobody's business.
my $primary = $cluster->primary;
my ($standby) = $cluster->others($primary);
$standby->kill9;
my $moment = PghaCluster::now();
$writer->wait_acknowledged(20, $moment);
$standby->start;
$cluster->wait_following($primary, $standby);
is($primary->status->{term}, $term, 'a standby that was killed and came back: no failover');
is($cluster->primary, $primary, 'the same primary');

# Only the WAL receiver dies: the primary answers, so it is started again.
my $receiver = $cluster->wait_for('a WAL receiver', sub { $standby->receiver_pid });
kill 'TERM', $receiver;
$cluster->wait_for('another WAL receiver', sub { my $pid = $standby->receiver_pid; return $pid && $pid != $receiver });
$cluster->wait_following($primary, $standby);
is($primary->status->{term}, $term, 'a WAL receiver that was ended: no failover');

$writer->stop;
$cluster->stop_all;
is(scalar(map { $_->processes } $cluster->nodes), 0, 'no process is left');
done_testing();
