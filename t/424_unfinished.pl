# Without votes: a server goes down before its promotion is finished.  It had
# acknowledged nothing, so that the former primary, which has come back meanwhile and
# has taken commits, does not give way to it, whatever PostgreSQL had got done.
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

sub crc32c
{
	my $crc = 0xFFFFFFFF;
	foreach my $byte (unpack 'C*', $_[0])
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 foreach 1 .. 8;
	}
	return $crc ^ 0xFFFFFFFF;
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
my $history = sprintf '%s/pg_wal/%08X.history', $b->{data}, $own;
my $parents = PghaCluster::slurp(sprintf '%s/pg_wal/%08X.history', $b->{data}, $timeline) // '';
PghaCluster::spew($history, "$parents$timeline\t$lsn\tno recovery target specified\n");
my $state = PghaCluster::slurp("$b->{data}/pgha.state");
my ($fork) = $state =~ /^fork_lsn=(\d+)$/m;
$state =~ s/^crc=.*\n//m;
$state =~ s/\Apgha state 1$/pgha state 2/m;
$state =~ s/^role=\d$/role=2/m;
$state =~ s/^term=\d+$/'term=' . ($term + 1)/me;
$state =~ s/^fork_lsn=\d+$/fork_lsn=0/m;
$state =~ s/^leader=.*$/leader=$b->{name}/m;
$state .= join '', map { "$_\n" } "replaced_timeline=$timeline", "replaced_term=$term", "replaced_fork_lsn=$fork",
  "replaced_leader=$a->{name}", 'replaced_role=1', 'replaced_fenced=0', 'replaced_diverged=0', 'replaced_instance=', 'own_from=0';
PghaCluster::spew("$b->{data}/pgha.state", $state . sprintf("crc=%08X\n", crc32c($state)));
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

$cluster->stop_all;
done_testing;
