# The data directory is lost, with the node's own settings in it.  Of those an earlier
# recovery has saved a copy: the only one that there is.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'clone' })->build;
my ($a, $b) = $cluster->nodes;

like(order($a, $b, 'clone', 90), qr/^t$/m, 'an earlier recovery');
$b->wait_streaming;
ok(-e $b->agent_directory . '/settings/postgresql.conf', 'has saved the settings');
$b->stop;
PghaCluster::must_run([ 'rm', '-rf', $b->{data} ]);
my $mark = $b->agent_mark;
my $answer = order($a, $b, 'clone', 60);
like($answer, qr/^t$/m, 'the node is cloned') or diag $answer;
is(($b->value('SHOW pgha.node') // '') . ($b->value('SHOW port') // ''), $b->{name} . $b->{port}, 'it has its own settings')
  or diag substr($b->agent_text, $mark);

done_testing();
