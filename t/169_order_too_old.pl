# An ordered clone is interrupted by a crash of the machine, and nothing is to
# begin by itself (pgha.auto_rejoin = off).  The order does not hold any more; the
# agent says that the node waits for another one.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'off' })->build;
my ($a, $b) = $cluster->nodes;

arm($b, 'swapping');
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
kill_at($b, 'clone');
$session->end;
ok(!$b->is_running, 'the job had stopped the server');

# As if the machine had been started anew since.
my $job = PghaCluster::slurp($b->agent_directory . '/job');
ok($job =~ s/^boot\t\K.*$/another/m, 'the record tells of the boot');
PghaCluster::spew($b->agent_directory . '/job', $job);
my $mark = $b->agent_mark;
$b->start_agent(wait => 0);
eventually(sub { substr($b->agent_text, $mark) =~ /interrupted.*pgha.auto_rejoin = off.*pgha_recover_node/ }, 30, 'the agent says what to do')
  or diag substr($b->agent_text, $mark);
eventually(sub { $a->value(q{SELECT outcome || ': ' || message FROM pgha_recovery_progress() WHERE node = 'b'}) =~ /^failed: .*interrupted/ }, 10, 'the primary is told')
  or diag $a->rows(q{SELECT * FROM pgha_recovery_progress()});
ok($cluster->stays_false(sub { $b->is_running || substr($b->agent_text, $mark) =~ /recovery \(/ }, 5), 'and nothing begins by itself');
my @told = substr($b->agent_text, $mark) =~ /pgha_recover_node/g;
is(scalar @told, 1, 'it says so once');
like(order($a, $b, 'auto', 90), qr/^t$/m, 'an order mends it') or diag $b->agent_text;
$b->wait_streaming;

done_testing();
