# A standby was promoted by hand for a test, out of pgha's sight: its timeline is
# above that of the primary, which has never left the common one.  It is rewound
# like any other.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', max_wal_size => '64MB', min_wal_size => '4MB' })->build;
my ($a, $b) = $cluster->nodes;

$b->stop_agent;
$b->stop;
my @ctl = (PghaCluster::as_postgres(), $b->program('pg_ctl'), '-D', $b->{data}, '-w');
PghaCluster::must_run([ @ctl, '-l', "$b->{data}/logfile", '-o', '-c shared_preload_libraries= -c primary_conninfo=', 'start' ]);
PghaCluster::must_run([ @ctl, 'promote' ]);
PghaCluster::must_run([ PghaCluster::as_postgres(), $b->program('psql'), '-h', $b->{host}, '-p', $b->{port}, '-U', 'postgres', '-c',
	'CREATE TABLE tested (v int)', 'postgres' ]);
PghaCluster::must_run([ @ctl, '-m', 'immediate', 'stop' ]);
$a->sql('INSERT INTO probe VALUES (4711)');
ok(!-e "$b->{data}/standby.signal", 'it was promoted');

my $mark = $b->agent_mark;
$b->start_agent(wait => 0);
eventually(sub { $b->is_running && ($b->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' && $b->state eq 'standby' },
	60, 'it streams again') or diag substr($b->agent_text, $mark);
like(substr($b->agent_text, $mark), qr/recovery: rewinding/, 'by a rewind');
is($b->value('SELECT count(*) FROM probe WHERE v = 4711'), '1', 'it has what the primary has');
is($b->value(q{SELECT count(*) FROM pg_class WHERE relname = 'tested'}), '0', 'and nothing else');
is(lost_commits($b), 1, 'what it alone had is saved');

done_testing();
