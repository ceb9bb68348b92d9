# synchronous_standby_names set by hand: no acknowledged row is lost, and only a
# standby that is sure to have every commit is promoted.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

# The promises without votes: t/403_lease.pl has those of members that vote.
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s', 'pgha.quorum' => 'off' })->build;
my ($a, $b, $c) = $cluster->nodes;

sub synchronous
{
	my ($names) = @_;
	$_->set(synchronous_standby_names => $names) foreach grep { $_->is_running } $cluster->nodes;
	my $primary = $cluster->wait_single_primary;
	my ($method) = $names =~ /^(\w+)/;
	$cluster->wait_for("synchronous replication ($names)",
		sub { my $s = $primary->status; $s && ($names eq '' || $s->{sync_state} =~ /$method.*\*/ || $method eq 'ANY' && $s->{sync_state} =~ /ANY/) });
	# All standbys have heard of it.
	my $value = $primary->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
	$cluster->wait_following($primary);
	my $is = $method eq 'ANY' ? qr/^quorum$/ : qr/^(sync|potential)$/;
	foreach my $standby (grep { $_->is_up } $cluster->others($primary))
	{
		$cluster->wait_for("$standby->{name} to have heard of it ($names)", sub { my $s = $standby->status; $s && ($s->{sync_state} // '') =~ $is });
	}
	return $primary;
}

# ---- load and kills ----
synchronous('ANY 1 (a, b, c)');
foreach my $round (1 .. 4)
{
	my $old = $cluster->wait_single_primary;
	my @writers = map { $cluster->start_writer(interval => 0) } 1 .. 4;
	$_->wait_acknowledged(50) foreach @writers;
	my $moment = $round == 4 ? $old->freeze : $old->kill9;
	my $new = $cluster->wait_single_primary(among => [ $cluster->others($old) ]);
	$_->wait_acknowledged(20, $moment + 0.05) foreach @writers;
	$cluster->wait_for('all to write again', sub { !grep { !defined $_->outage($moment) } @writers });
	$_->stop foreach @writers;
	my ($acknowledged, $missing) = (0, 0);
	foreach my $writer (@writers)
	{
		$acknowledged += $writer->acknowledged;
		$missing += $writer->missing($new);
	}
	is($missing, 0, "round $round: none of $acknowledged acknowledged rows is missing");
	$old->thaw if $old->{frozen};
	$cluster->rejoin($old, $new);
	$cluster->wait_following($new);
}

# ---- a cancelled wait is no success ----
{
	my $primary = $cluster->wait_single_primary;
	$_->stop foreach $cluster->others($primary);
	my $session = $primary->background('INSERT INTO probe VALUES (-7)');
	my $pid = $cluster->wait_for('a commit that waits', sub { $primary->value("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'") });
	$primary->sql("SELECT pg_cancel_backend($pid)");
	ok($cluster->stays_false(sub { !$session->is_running }, 1), 'a cancelled synchronous wait goes on');
	$_->start foreach $cluster->others($primary);
	$cluster->wait_for('the commit to be acknowledged', sub { !$session->is_running });
	is($session->{status}, 0, 'and ends with success once a standby has it');
	$cluster->wait_following($primary);
}

# ---- only a listed standby ----
{
	my $primary = $cluster->wait_single_primary;
	my ($unlisted, $listed) = $cluster->others($primary);
	$primary->set(synchronous_standby_names => "ANY 1 ($listed->{name})");
	$cluster->wait_for('the other one to know', sub { my $s = $unlisted->status; $s && !$s->{candidate} });
	$primary->kill9;
	is($cluster->wait_single_primary, $listed, 'only a listed standby is promoted');
	# The new primary's own list is its own business: without a listed standby it would wait.
	$_->set(synchronous_standby_names => '') foreach grep { $_->is_running } $cluster->nodes;
	$primary->configure(synchronous_standby_names => '');
	$cluster->rejoin($primary, $listed);
	$cluster->wait_following($listed);
}

# ---- ANY 1 of 2: with one of them away nobody can be sure ----
{
	synchronous('ANY 1 (a, b, c)');
	my $primary = $cluster->wait_single_primary;
	my ($stays, $goes) = $cluster->others($primary);
	$goes->kill9;
	$primary->sql('INSERT INTO probe VALUES (-8)');
	$primary->kill9;
	ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'ANY 1 of 2: one standby alone is not promoted');
	$cluster->wait_for('the reason', sub { my $s = $stays->status; $s && ($s->{reason} // '') =~ /too few/ });
	pass('and says why');
	$goes->start;
	my $new = $cluster->wait_single_primary;
	is($new->value('SELECT count(*) FROM probe WHERE v = -8'), 1, 'promoted once both answer, with every commit');
	$cluster->rejoin($primary, $new);
	$cluster->wait_following($new);
}

# ---- FIRST: one that was synchronous when last heard ----
{
	my $primary = $cluster->wait_single_primary;
	my ($first, $second) = $cluster->others($primary);
	synchronous("FIRST 1 ($first->{name}, $second->{name})");
	$cluster->wait_for('the second one to know', sub { my $s = $second->status; $s && !$s->{candidate} });
	$cluster->wait_for('the first one to know', sub { my $s = $first->status; $s && ($s->{sync_state} // '') eq 'sync' });
	my @pids = map { my (undef, @pids) = $_->stop_processes; @pids } $primary, $first;
	$_->note_segments foreach $primary, $first;
	kill 'KILL', @pids;
	$cluster->wait_for('both to be gone', sub { !grep { $_->is_running || $_->processes } $primary, $first });
	ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'FIRST: a potential standby is not promoted');
	$first->start;
	is($cluster->wait_single_primary, $first, 'the synchronous one is');
}
done_testing();
