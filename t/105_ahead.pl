# A crashed former primary whose WAL went past the fork: it comes back
# read-only, gets no upstream, says that it diverged, says it once, counts for
# nobody, and pg_rewind finds what to do.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { wal_keep_size => '128MB', 'pgha.failure_timeout' => '2s' })->build;
my ($a, $b, $c) = $cluster->nodes;

# Rows that only a has: its WAL senders are stopped, so that not even the
# sockets hold them.
my @senders;
PghaCluster::poll_until('', sub { 2 == (@senders = split /\n/, $a->sql("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'")) });
is(scalar @senders, 2, 'both standbys stream');
kill 'STOP', @senders;
$a->sql('INSERT INTO probe SELECT -g FROM generate_series(1, 500) g; CHECKPOINT');
$a->sql('INSERT INTO probe SELECT -g FROM generate_series(501, 1000) g');
$a->kill9;
my $new = $cluster->wait_single_primary(among => [ $b, $c ]);
my ($third) = grep { $_ != $a && $_ != $new } $cluster->nodes;
$cluster->wait_following($new, $third);
is($new->value('SELECT count(*) FROM probe WHERE v < 0'), 0, 'the new primary does not have the rows');

my $mark = $a->log_mark;
$a->start;
$a->wait_state('diverged');
is($a->value('SELECT pg_is_in_recovery()'), 't', 'read-only');
is($a->value('SELECT count(*) FROM probe WHERE v < 0'), 1000, 'its own rows can still be read');
is($a->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"), 0, 'no upstream');
is($new->value("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'a' AND state <> 'startup'"), 0, 'acknowledges nothing');
ok(!$a->status->{candidate}, 'no candidate');
like($a->log_since($mark), qr/rewind/i, 'the log says what to do');

# No spinning: nothing more in the log, hardly any CPU.
my $quiet = $a->log_mark;
my $cpu = 0;
$cpu += PghaCluster::cpu_time($_) foreach $a->processes;
$cluster->stays_false(sub { 0 }, 5);
my $more = 0;
$more += PghaCluster::cpu_time($_) foreach $a->processes;
my @lines = grep { !/client backend/ } split /\n/, $a->log_since($quiet);
is(scalar @lines, 0, 'says it once') or diag join "\n", @lines;
cmp_ok($more - $cpu, '<', 1, 'does not spin');

# A restart changes nothing.
$a->restart;
$a->wait_state('diverged');
is($a->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"), 0, 'no upstream after a restart');

# It does not lead, even if it is the only one left beside one standby.
$a->stop;
$a->start;
$a->wait_state('diverged');
my $term = $new->status->{term};

my $source = $new->conninfo;
$new->sql('CHECKPOINT');
$a->stop;

# (Rewinding needs the WAL since the last checkpoint before the fork:
# wal_keep_size above, as CHECKPOINT was called after it.)
my ($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::bindir() . '/pg_rewind', '-D', $a->{data}, "--source-server=$source", '--no-sync' ]);
is($status, 0, 'pg_rewind succeeds') or diag "$out$err";
unlike("$out$err", qr/no rewind required/, 'pg_rewind has something to do');
PghaCluster::spew("$a->{data}/standby.signal", '');
$a->configure;
$a->start;
$cluster->wait_following($new, $a);
is($a->value('SELECT count(*) FROM probe WHERE v < 0'), 0, 'rewound: the rows are gone');
is($a->state, 'standby', 'rewound: a standby');
is($new->status->{term}, $term, 'no failover by all this');
done_testing();
