# The standby with the last WAL cannot lead, and votes for nobody who has less: the other
# one gets that WAL from it and is elected, in network namespaces.  First a query holds its
# replay up, and ANY 1 makes sure of each commit; then it has recovery_min_apply_delay, and
# commits go on at once.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(nodes => 3, netns => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', wal_keep_size => '128MB', max_standby_streaming_delay => '-1' })->build(sql => 'CREATE TABLE held (v int)');
my ($old, $one, $two) = $cluster->nodes;

sub writer { my (@nodes) = @_; return $cluster->start_writer(netns => $cluster->{hub}, nodes => [@nodes], timeline => 1); }
sub received { my ($node) = @_; return $node->sql('SELECT pg_last_wal_receive_lsn()'); }

# Only $two receives what is written from now on, until the primary is killed.  Its host
# stays cut off, which would else send $one what the dead server had written to its socket.
sub kill_primary
{
	my ($what, $writer, $goes_on) = @_;
	my $cut = PghaCluster::now();
	$cluster->partition([$old], [$one]);
	$writer->wait_acknowledged(100, $cut);
	$writer->stop unless $goes_on;
	my $end = $old->sql('SELECT pg_current_wal_flush_lsn()');
	$cluster->wait_for("$two->{name} to receive it", sub { $two->value("SELECT pg_last_wal_receive_lsn() >= '$end'") eq 't' });
	$old->kill9;
	$writer->stop;
	my ($less, $more) = map { received($_) } $one, $two;
	is($one->sql("SELECT '$less'::pg_lsn < '$more'::pg_lsn"), 't', "$what: one standby lacks what the other one has ($less, $more)");
	is($two->sql("SELECT pg_last_wal_replay_lsn() < '$end'"), 't', '... which has not replayed it');
	return $more;
}

# It leads, with all that the other one had.
sub takes_over
{
	my ($what, $end, $writer) = @_;
	$cluster->wait_for("$one->{name} to lead", sub { ($one->value('SELECT pg_is_in_recovery()') // '') eq 'f' });
	$cluster->heal;
	is($two->sql('SELECT pg_is_in_recovery()'), 't', "$what: the other one takes over");
	is($two->sql("SELECT pg_last_wal_replay_lsn() < '$end'"), 't', '... and the first one still has not replayed');
	is(lost($one, $writer), 0, '... and nothing is lost of ' . scalar($writer->acknowledged) . ' rows');
	ok(scalar(grep { $_->{node} eq $one->{name} && $_->{what} eq "fetches WAL that only $two->{name} has, without which it would not be elected" } $one->events),
		'... it says where it got them');
	return;
}

# ---- a query, and ANY 1 of the others ----

wait_votes($old, $cluster->nodes);
foreach my $node ($cluster->nodes)
{
	$node->set(synchronous_standby_names => 'ANY 1 (' . join(', ', map { $_->{name} } $cluster->others($node)) . ')');
}
$cluster->wait_for('a rule that asks for a confirmation', sub { ($old->status->{rule} // '') =~ /, committed;.* by 1 of \w, \w$/ });
wait_votes($old, $cluster->nodes);
hold_replay($old, $two);
my $writer = writer($old);
my $end = kill_primary('a query', $writer, 1);
takes_over('a query', $end, $writer);
ok(holds_replay($two), '... as the query still runs');

# It confirms nothing before it has replayed: another one has to.
my $next = writer($one, $two);
is($cluster->rejoin($old, $one) =~ /^(?:standby|diverged)$/, 1, 'the former primary comes back');
$next->wait_acknowledged(50);
ok(holds_replay($two), '... and confirms commits while the query goes on');
let_replay($two);
$cluster->wait_following($one);
$next->stop;
is(beside($writer, $next), 0, 'nothing was acknowledged beside a later leader');
is(lost($one, $writer, $next), 0, '... and nothing is lost');

# ---- recovery_min_apply_delay ----

$_->set(synchronous_standby_names => '') foreach $cluster->nodes;
($old, $one) = ($one, $old);
$cluster->wait_for('a rule that asks for no confirmation', sub { ($old->status->{rule} // '') =~ /, committed/ && $old->status->{rule} !~ / by 1 of / });
$two->set(recovery_min_apply_delay => '1h');
$cluster->wait_for('that to be told', sub { (report($two)->{bar} // '') eq 'apply_delay' });
wait_votes($old, $cluster->nodes);
$writer = writer($old);
$end = kill_primary('apply delay', $writer, 0);
$next = writer($one, $two);
$next->wait_acknowledged(50);
takes_over('apply delay', $end, $writer);
is(beside($writer, $next), 0, '... and nothing was acknowledged beside a later leader');
$next->stop;
$two->set(recovery_min_apply_delay => undef);
$cluster->rejoin($old, $one);
$cluster->wait_following($one);
pass('and all follow it');

done_testing();
