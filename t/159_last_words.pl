# Whatever a program prints before it fails, byte for byte, and whatever number the
# agent's process has: the caller is told of the failure, and the agent goes on
# talking with both servers.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();

# Process numbers of our own: those of the machine are left alone.
if (!$ENV{PGHA_TEST_PIDS_OF_OUR_OWN})
{
	$ENV{PGHA_TEST_PIDS_OF_OUR_OWN} = 1;
	exec('unshare', '--pid', '--fork', '--mount-proc', '--kill-child', '--', $^X, map({ "-I$_" } @INC), $FindBin::RealBin . '/159_last_words.pl') or die;
}

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'off' })->build;
my ($a, $b) = $cluster->nodes;

sub connected { return progress($a, $b, 'agent') eq 't'; }

# ---- a byte that is no UTF-8 ----
my $tool = "$cluster->{base}/tool.pl";
PghaCluster::spew($tool, qq{print STDERR "error: le r\\xe9pertoire est plein \\xff\\n"; exit 3;\n});
read_again($b, 'pgha.clone_command' => "$^X $tool");
my $answer = order($a, $b, 'clone', 20);
like($answer, qr/ERROR: .*pgha\.clone_command.*pertoire est plein/s, 'the caller is told what the program said, as far as it can be shown') or diag $answer;
ok($cluster->stays_false(sub { !connected() }, 3), 'the agent is connected');
read_again($b, 'pgha.clone_command' => undef);
like(order($a, $b, 'clone', 30), qr/^t$/m, 'and takes the next order');

# ---- a high process number ----
$b->stop_agent;
$b->kill_job;
PghaCluster::must_run([ 'rm', '-f', $b->agent_directory . '/job' ]);
SKIP:
{
	my $number = 2_100_000;
	my ($status) = PghaCluster::run_command([ 'sysctl', '-q', "kernel.ns_last_pid=$number" ]);
	skip 'process numbers cannot be set', 4 if $status != 0;
	my $mark = $b->agent_mark;
	$b->configure('pgha.auto_rejoin' => 'rewind');
	$b->start_agent(wait => 0);
	skip 'process numbers do not go that far', 4 if $b->{agent_pid} < 2_097_152;
	$b->wait_agent;
	pass("the agent is process $b->{agent_pid}");
	$b->kill9;
	$b->wait_agent_log(qr/recovery \(/, $mark);
	eventually(sub { $b->is_running && defined $b->value('SELECT 1') }, 20, 'what has crashed is started by it');
	ok($cluster->stays_false(sub { !connected() }, 3), 'the agent is connected') or diag substr($b->agent_text, $mark);
	like(order($a, $b, 'clone', 30), qr/^t$/m, 'and takes the next order');
}

done_testing();
