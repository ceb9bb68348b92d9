# experiments
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

# ---- promoted for a test, without pgha: its timeline is above the primary's ----
$b->stop_agent;
$b->stop;
my $pg = PghaCluster::bindir();
PghaCluster::must_run([ PghaCluster::as_postgres(), "$pg/pg_ctl", '-D', $b->{data}, '-w', '-l', "$cluster->{base}/alone.log", '-o', '-c shared_preload_libraries= -c primary_conninfo=', 'start' ]);
PghaCluster::must_run([ PghaCluster::as_postgres(), "$pg/pg_ctl", '-D', $b->{data}, '-w', 'promote' ]);
PghaCluster::must_run([ PghaCluster::as_postgres(), "$pg/psql", '-h', $b->{host}, '-p', $b->{port}, '-d', 'postgres', '-U', 'postgres', '-c', 'CREATE TABLE tested (v int)' ]);
PghaCluster::must_run([ PghaCluster::as_postgres(), "$pg/pg_ctl", '-D', $b->{data}, '-w', '-m', 'immediate', 'stop' ]);
$a->sql('INSERT INTO probe VALUES (4711)');
my $mark = $b->agent_mark;
$b->start_agent(wait => 0);
my $up = eventually(sub { $b->is_running && ($b->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' && $b->state eq 'standby' }, 60, 'it streams');
diag substr($b->agent_text, $mark);
diag $cluster->status;

done_testing();
