# Another tool makes the copy (pgha.clone_command) and puts a tablespace where the
# former one was, by another path to the same place.  What is cleaned up after
# the clone is the former data, never the tablespace that is in use.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};

$b->stop_agent;
my %space = tablespace_elsewhere($a, $b);
$b->start_agent;
$b->wait_streaming;

# The tool writes into the node's tablespace, as the primary's own place for it
# would be on another host, and names it by a directory that is a link.
symlink $base, "$base/by_link" or die;
my $tool = "$base/tool.pl";
PghaCluster::spew($tool, <<"EOT");
my (\$target) = \@ARGV;
system('rm', '-rf', glob('$space{b}/PG_*')) == 0 or die;
exec('${\$b->program('pg_basebackup')}', '-D', \$target, '-h', '$a->{host}', '-p', '$a->{port}', '-U', 'postgres', '-c', 'fast', '--no-sync',
	'--tablespace-mapping=$space{a}=$base/by_link/space_b');
EOT
read_again($b, 'pgha.clone_command' => "$^X $tool %d");
$b->stop;
my $answer = order($a, $b, 'clone', 90);
like($answer, qr/^t$/m, 'the clone was made') or diag $answer, $b->agent_text;
$b->restart if $b->is_running;
is($b->value('SELECT count(*) FROM spaced'), '1000', 'the tablespace that the new copy uses has its rows')
  or diag $b->error('SELECT count(*) FROM spaced');
is($a->value('SELECT count(*) FROM spaced'), '1000', 'so has the primary');

done_testing();
