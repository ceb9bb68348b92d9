# Another tool makes the copy (pgha.clone_command) and puts a tablespace where the
# former one was, by another path to the same place.  What is cleaned up after
# the clone is the former data, never the tablespace that is in use.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};

my %space = map { $_->{name} => "$base/space_$_->{name}" } $cluster->nodes;
foreach my $path (values %space) { make_path($path); PghaCluster::give_to_postgres($path); }
$b->stop_agent;
$b->stop;
$a->sql("CREATE TABLESPACE space LOCATION '$space{a}'");
$a->sql('CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) v');
PghaCluster::must_run([ 'rm', '-rf', $b->{data} ]);
PghaCluster::must_run([ PghaCluster::as_postgres(), $b->program('pg_basebackup'), '-D', $b->{data}, '-h', $a->{host}, '-p', $a->{port},
	'-U', 'postgres', '-c', 'fast', '--no-sync', "--tablespace-mapping=$space{a}=$space{b}" ]);
PghaCluster::spew("$b->{data}/standby.signal", '');
$b->configure;
$b->start;
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
