# A server goes down before its promotion is finished.  Without votes: it had
# acknowledged nothing, so that the former primary, which has come back meanwhile and
# has taken commits, does not give way to it, whatever PostgreSQL had got done.  With
# votes or without, it can follow others when only a history file is left of it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $taken_back = qr/went down before its promotion was finished, which is taken back/;

sub process
{
	my ($node, $title) = @_;
	my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: $title/ } $node->processes;
	return $pid;
}

# The history of a timeline that begins where the WAL of this node, which is down, ends.
sub begin_history
{
	my ($node, $timeline, $own, $lsn) = @_;
	my $file = sprintf '%s/pg_wal/%08X.history', $node->{data}, $own;
	my $parents = PghaCluster::slurp(sprintf '%s/pg_wal/%08X.history', $node->{data}, $timeline) // '';
	PghaCluster::spew($file, "$parents$timeline\t$lsn\tno recovery target specified\n");
	return $file;
}

# pgha.state of a node that is down, with other values of these keys.
sub change_state
{
	my ($node, %value) = @_;
	$node->change_state_text(sub {
		s/\Apgha state \d$/pgha state 2/m;
		foreach my $key (sort keys %value)
		{
			$_ .= "$key=\n" unless /^$key=/m;
			s/^$key=.*$/$key=$value{$key}/m;
		}
	});
	return;
}

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '3s' })->build;
my ($a, $b) = $cluster->nodes;
is($cluster->wait_single_primary, $a, 'the first one leads');
$a->sql('CREATE TABLE alone (v int)');
$cluster->wait_following($a);
my $term = $a->status->{term};
my $rows = 0;

# The standby has been told to promote itself, and its startup process does not get on.
sub begin_promotion
{
	my $startup = process($b, 'startup');
	kill 'STOP', $startup;
	$a->kill9;
	$cluster->wait_for('the order to promote', sub { -e "$b->{data}/promote" });
	return $startup;
}

# The former primary is the first to come back, and takes a commit; then the other one.
sub come_back
{
	my ($how) = @_;
	$a->start;
	$cluster->wait_for("$how: the former primary to lead", sub { $a->writable });
	$a->sql('INSERT INTO alone VALUES (1)');
	$rows++;
	my $mark = $b->log_mark;
	my $state = $cluster->rejoin($b, $a);
	like($b->log_since($mark), $taken_back, "$how: the promotion is taken back");
	is($cluster->primary, $a, "$how: the former primary still leads");
	is($a->status->{term}, $term, "$how: in the term that it had");
	is($b->value('SELECT count(*) FROM alone'), $rows, "$how: what it has acknowledged is on both");
	return $state;
}

# ---- PostgreSQL was told, and nothing was done yet ----

begin_promotion();
$b->kill9;
is(come_back('told'), 'standby', 'told: it follows as it is');

# ---- out of recovery, but the monitor never got to see it ----

my $startup = begin_promotion();
kill 'STOP', $b->monitor_pid;
kill 'CONT', $startup;
$cluster->wait_for('the end of recovery', sub { ($b->value('SELECT pg_is_in_recovery()') // '') eq 'f' });
$b->kill9;
my $mark = $b->log_mark;
is(come_back('out of recovery'), 'diverged', 'out of recovery: it has WAL of its own, and needs a rewind');
like($b->log_since($mark), qr/is part of no other server's history/, 'out of recovery: it says so');

# ---- the history of its timeline is there, and no WAL on it ----

my $timeline = $b->timeline;
my $own = $timeline + 1 + ($timeline + 1 + 1) % 2;	# b is the second of two: odd ones
my $lsn = $b->value('SELECT pg_last_wal_receive_lsn()');
$b->stop;
$a->kill9;
my $history = begin_history($b, $timeline, $own, $lsn);
my ($fork) = PghaCluster::slurp("$b->{data}/pgha.state") =~ /^fork_lsn=(\d+)$/m;
change_state($b,
	role => 2, term => $term + 1, fork_lsn => 0, leader => $b->{name},
	replaced_timeline => $timeline, replaced_term => $term, replaced_fork_lsn => $fork, replaced_leader => $a->{name},
	replaced_role => 1, replaced_fenced => 0, replaced_diverged => 0, replaced_instance => '', own_from => 0);
is(come_back('history'), 'standby', 'history: it follows as it is');
unlike(PghaCluster::slurp($history) // '', qr/^$timeline\t\Q$lsn\E/m, 'history: PostgreSQL does not head for a timeline that has no WAL');
unlike(PghaCluster::slurp("$b->{data}/pgha.state"), qr/^replaced_/m, 'history: nothing is left to take back');
like(PghaCluster::slurp("$b->{data}/pgha.state"), qr/\Apgha state 1\n/, 'history: which older versions can read');

# ---- the other way around: nobody else comes back ----

begin_promotion();
$b->kill9;
$b->start;
is($cluster->wait_single_primary(among => [$b]), $b, 'alone: it is promoted again after startup_grace');
cmp_ok($b->status->{term}, '>', $term, 'alone: in a later term');
is($b->value('SELECT count(*) FROM alone'), $rows, 'alone: with all that there was');
$cluster->rejoin($a, $b);
is($cluster->primary, $b, 'alone: the former primary follows');

$cluster->cleanup;

# ---- with votes: elected, the history is there, and no WAL on it ----

$cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s' })->build;
($a, $b) = $cluster->nodes;
$cluster->wait_for('the members to vote', sub { PghaCluster::slurp("$b->{data}/pgha.state") =~ /^rule_term=1$/m });
$cluster->wait_following($a);
$lsn = $b->value('SELECT pg_last_wal_receive_lsn()');
$b->stop;
$history = begin_history($b, 1, 2, $lsn);
change_state($b, highest => 2, vote_term => 2, vote => $b->{name}, vote_open => 1, won => 2);
$a->sql('CREATE TABLE meanwhile AS SELECT 1 AS v');
$b->start;
$cluster->wait_following($a, $b);
ok(!-e $history, 'votes: a timeline that was not begun is forgotten');
like(PghaCluster::slurp("$b->{data}/pgha.state"), qr/^withdrawn=2$/m, 'votes: the term is withdrawn from');
is($b->value('SELECT count(*) FROM meanwhile'), 1, 'votes: it follows the leader that there was');

$cluster->stop_all;
done_testing;
