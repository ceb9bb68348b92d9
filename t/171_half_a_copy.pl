# The machine crashes in the middle of a clone, and another primary leads when it
# is up again: what is left of the copy cannot be compared with anything.  The
# node has its former data directory, and comes back with that.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' })->build;
my ($a, $b) = $cluster->nodes;

# As the crash leaves it: with files that have lost what was in them.
sub interrupt
{
	my ($what, $damage) = @_;
	arm($b, 'swapping');
	my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
	kill_at($b, $what);
	$session->end;
	$b->start;
	$b->wait_streaming;
	$b->kill9;
	my ($copy) = glob("$b->{data}.new-*");
	$damage->("$copy/global/pg_control");
	my $record = PghaCluster::slurp($b->agent_directory . '/job');
	foreach my $change ([ new_whole => 0 ], [ source_term => 99 ], [ stopped => 0 ], [ phase => 'cloning' ], [ order_at => 1 ])
	{
		$record =~ s/^$change->[0]\t\K.*$/$change->[1]/m or die $change->[0];
	}
	PghaCluster::spew($b->agent_directory . '/job', $record);
	my $mark = $b->agent_mark;
	$b->start_agent(wait => 0);
	eventually(sub { $b->is_running && ($b->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' }, 40,
		"$what: the node streams") or diag substr($b->agent_text, $mark);
	return ($copy, $mark);
}

my ($copy, $mark) = interrupt('pg_control is empty', sub { truncate $_[0], 0 or die $! });
eventually(sub { !-e $copy }, 10, 'what is surely no copy is deleted') or diag substr($b->agent_text, $mark);
eventually(sub { $b->job_field('outcome') =~ /./ && !$b->job_pids }, 30, 'the job ends');

($copy, $mark) = interrupt('pg_control is zeros', sub { PghaCluster::spew($_[0], "\0" x 8192) });
# The server streams before the job that has started it comes to its end, and says why.
$b->wait_agent_log(qr/\Q$copy\E.*move it away/, $mark);
pass('the agent says what to do with what may be a copy');
ok(-e $copy, 'and it stays');

done_testing();
