# WAL that still had to be archived when the primary fell gets into the archive
# although that node is rewound: the archive has no hole.  And what is given up is
# saved once, however often the rewind has to be tried again.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, wal_segsize => 1);
my ($a, $b) = $cluster->nodes;
my $archive = "$cluster->{base}/archive";
my $gate = "$cluster->{base}/gate";
mkdir $archive;
PghaCluster::give_to_postgres($archive);
my $tool = "$cluster->{base}/archive.pl";
PghaCluster::spew($tool, <<"EOT");
# Archives a file while the archive can be reached.
use File::Copy;
my (\$path, \$name) = \@ARGV;
exit 1 unless -e '$gate';
exit 0 if -e '$archive/\$name';
copy(\$path, "$archive/\$name.new") or exit 1;
rename("$archive/\$name.new", "$archive/\$name") or exit 1;
EOT
$cluster->{settings} = { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind',
	archive_mode => 'on', archive_command => "$^X $tool %p %f", max_wal_size => '1GB', checkpoint_timeout => '1h' };
$cluster->{agents} = 1;
PghaCluster::spew($gate, '');
$cluster->build;

# The archive cannot be reached any more.
$a->sql('SELECT pg_switch_wal()');
$cluster->wait_for('the archive to have its first file', sub { glob("$archive/0*") });
unlink $gate;
my $first = $a->value('SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$a->sql('CREATE TABLE filler (v text)');
foreach (1 .. 8) { $a->sql(q{INSERT INTO filler SELECT md5(i::text) FROM generate_series(1, 100) i; SELECT pg_switch_wal()}); }
$cluster->wait_following($a, $b);
my $last = $a->value('SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
my @needed = grep { $_ ge $first && $_ lt $last } map { m{([0-9A-F]{24})$} } glob("$a->{data}/pg_wal/0*");
ok(@needed >= 8, scalar(@needed) . ' complete segments are not archived');
# A standby keeps what its restartpoints allow.
$b->sql('CHECKPOINT');

# The primary falls, with a row that nobody else has.  Its rewind cannot succeed for now.
diverge($a, $b, -1);
$a->stop_agent;
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads');
$b->sql('REVOKE EXECUTE ON FUNCTION pg_read_binary_file(text) FROM pgha');
my $mark = $a->agent_mark;
$a->start_agent;
$a->wait_agent_log(qr/(recovery failed.*){3}/s, $mark);
my @saved = glob($a->agent_directory . '/pgha_lost/*');
ok(@saved <= 1, 'tried three times, what is lost is saved once') or diag "@saved";
$b->sql('GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) TO pgha');
like(order($b, $a, 'rewind', 60), qr/^t$/m, 'it is rewound when that is possible');
@saved = glob($a->agent_directory . '/pgha_lost/*');
is(scalar(@saved), 1, 'and what it alone had is saved, once');

# The archive is back.
PghaCluster::spew($gate, '');
$b->sql('SELECT pg_switch_wal()');
eventually(sub { !grep { !-e "$archive/$_" } @needed }, 20, 'the archive gets all that was complete when the primary fell')
  or diag 'missing: ', join(' ', grep { !-e "$archive/$_" } @needed),
  '; ready: ', join(' ', map { m{([^/]+)$} } map { glob("$_->{data}/pg_wal/archive_status/*.ready") } $a, $b);

done_testing();
