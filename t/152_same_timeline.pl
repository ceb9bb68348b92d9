# Both nodes were promoted by hand, at the same place and onto a timeline of the
# same number.  Neither numbers nor positions tell them apart, but each has a
# table that the other one does not have, and one of them has less WAL.  The node that does not lead ends
# streaming or says that it cannot; and when it is cloned, what it alone had is
# kept: as saved WAL with its commits counted, or as the former data directory.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind' })->build;
my ($a, $b) = $cluster->nodes;

# By hand, without pgha.
$a->stop;
$b->stop;
foreach my $node ($a, $b)
{
	PghaCluster::spew("$node->{data}/standby.signal", '');
	$node->configure(shared_preload_libraries => '');
	$node->start;
	$node->sql('SELECT pg_promote()');
	$node->sql("CREATE TABLE only_$node->{name} AS SELECT generate_series(1, 1000) v");
	$node->sql('CREATE TABLE more AS SELECT generate_series(1, 100000) v') if $node == $b;
	$node->stop;
	$node->configure(shared_preload_libraries => undef);

	# As where pgha is put to use afterwards.
	unlink "$node->{data}/pgha.state";
}
my @forks = map { (PghaCluster::slurp("$_->{data}/pg_wal/00000002.history") // '') =~ /^1\s+(\S+)/m } $a, $b;
is($forks[0], $forks[1], 'both were promoted at the same place, onto timeline 2');

$_->start foreach $a, $b;
my $leader = $cluster->wait_single_primary;
my ($other) = $cluster->others($leader);
diag "$leader->{name} leads";
foreach my $node ($a, $b) { $node->{has_agent} = 1; $node->start_agent(wait => 0); }
$_->wait_agent foreach $a, $b;

# Does it say so?  A standby that follows, and never streams, says nothing.
my $told = eventually(sub {
	my $state = $other->state;
	return $state eq 'diverged' || $other->agent_text =~ /not the primary's|diverged|cannot be proven/;
}, 25, 'the node says that it cannot follow');

# An order for a clone is one for a clone, whatever else goes on.
my $auto = $told ? undef : $leader->background("SELECT pgha_recover_node('$other->{name}')");
PghaCluster::poll_until('the other order to be under way, or refused', sub { $other->job_pids > 0 || session_text($auto) =~ /ERROR/ }, 10) if $auto;
my $answer = order($leader, $other, 'clone', 30);
like($answer, qr/^t$/m, 'it is cloned when that is ordered') or diag $answer;
if ($answer !~ /^t$/m)
{
	$leader->value("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()");
	$cluster->wait_for('the other job to have ended', sub { !$other->job_pids });
	$answer = order($leader, $other, 'clone', 30);
	diag $answer;
}
my @kept = grep { -e "$_/global/pg_control" } glob("$other->{data}.old-*");
ok(lost_commits($other) > 0 || @kept > 0, 'what only this node had is kept, as WAL or as a data directory')
  or diag 'commits saved: ', lost_commits($other), "; directories: @kept";
eventually(sub { $other->is_running && ($other->value("SELECT count(*) FROM only_$leader->{name}") // '') eq '1000' }, 15, 'it has what the primary has');

done_testing();
