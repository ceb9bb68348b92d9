# WAL that still had to be archived when the primary fell is kept although that
# node is rewound, and gets into the archive where PostgreSQL archives on a
# standby.  And what is given up is saved once, however often the rewind has to be
# tried again, and not without end.
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
# The new primary takes all that it has received for archived.
$cluster->{node_settings} = { $a->{name} => { archive_mode => 'always' } };
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

# What was given up before fills the place for it.
my $lost = $a->agent_directory . '/pgha_lost';
my $filler = "$lost/before/000000010000000000000001";
sub fill
{
	my ($gigabytes) = @_;
	PghaCluster::must_run([ PghaCluster::as_postgres(), 'mkdir', '-p', "$lost/before" ]);
	PghaCluster::must_run([ PghaCluster::as_postgres(), 'truncate', '-s', "${gigabytes}G", $filler ]);
	return;
}
sub saved { return grep { !m{/before$} } glob("$lost/*"); }
sub lost_events { return $b->value("SELECT string_agg(what, E'\\n') FROM pgha_events() WHERE kind = 'lost'") // ''; }

# The primary falls, with a row that nobody else has.
diverge($a, $b, -1);
$a->stop_agent;
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads');
fill(17);
my $mark = $a->agent_mark;
$a->start_agent;
$a->wait_agent_log(qr/recovery failed.*holds 17408 MB of WAL that was given up before/s, $mark);
is_deeply([ saved() ], [], '17 GB were given up before: nothing more is');
like(lost_events(), qr/holds 17408 MB of saved WAL .* gives up nothing more/, 'which is told');

# Its rewind cannot succeed for now, which turns out after the WAL was saved.
my $in_the_way = $a->agent_directory . '/settings.new';
PghaCluster::must_run([ PghaCluster::as_postgres(), 'mkdir', '-p', "$in_the_way/x" ]);
chmod 0500, $in_the_way;
fill(9);
$mark = $a->agent_mark;
$a->wait_agent_log(qr/recovery failed: [^\n]*settings\.new/, $mark);
like(order($b, $a, 'rewind', 60), qr/settings\.new/, "... nor when ordered: $_") foreach 1 .. 2;
is(scalar(saved()), 1, 'tried three times, what is lost is saved once') or diag join ' ', saved();
like(lost_events(), qr/already holds 9216 MB of saved WAL .* from 16384 MB on nothing more/, 'with a warning, as much is there already');
chmod 0700, $in_the_way;
like(order($b, $a, 'rewind', 60), qr/^t$/m, 'it is rewound when that is possible');
is(scalar(saved()), 1, 'what it alone had is saved, once');

# What was not archived is on the node twice: to be archived, and in any case.
my $kept = $a->agent_directory . '/pgha_unarchived';
my @gone = grep { !-s "$kept/handed-on/$_" } @needed;
is("@gone", '', 'what was not archived is kept');
like($b->value("SELECT string_agg(what, E'\\n') FROM pgha_events() WHERE kind = 'archive'") // '',
	qr/node "a" had \d+ WAL file\(s\) that were not archived yet: kept in \Q$kept\E/, 'which is told');

# The archive is back.
PghaCluster::spew($gate, '');
$b->sql('SELECT pg_switch_wal()');
eventually(sub { !grep { !-e "$archive/$_" } @needed }, 60, 'with archive_mode = always there, the archive gets all of it')
  or diag 'missing: ', join(' ', grep { !-e "$archive/$_" } @needed),
  '; ready: ', join(' ', map { m{([^/]+)$} } map { glob("$_->{data}/pg_wal/archive_status/*.ready") } $a, $b);
@gone = grep { PghaCluster::slurp("$archive/$_") ne PghaCluster::slurp("$kept/handed-on/$_") } grep { -e "$archive/$_" } @needed;
is("@gone", '', 'as it was kept');

done_testing();
