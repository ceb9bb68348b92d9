# A clone in place gives the data directory up first.  So what makes the clone
# impossible is found out before: replication is refused, no connection is left,
# the other tool has nothing to restore.  The caller gets an error, and the node
# has its data.  And a tablespace may be anywhere, also where a path contains "=".
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'off', 'pgha.clone_in_place' => 'on' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};
END { no_place_beside($cluster, 0) if defined $cluster && $cluster->{base}; }

# ---- beside, with such a tablespace ----
my $space = "$base/sp=ace";
make_path($space);
PghaCluster::give_to_postgres($space);
$a->sql("CREATE TABLE whole AS SELECT generate_series(1, 1000) v");
$b->stop_agent;
$b->stop;
$a->sql("CREATE TABLESPACE space LOCATION '$space'");
$a->sql('CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) v');
PghaCluster::must_run([ 'rm', '-rf', $b->{data} ]);
make_path("$base/space_b");
PghaCluster::give_to_postgres("$base/space_b");
(my $escaped = $space) =~ s/=/\\=/g;
PghaCluster::must_run([ PghaCluster::as_postgres(), $b->program('pg_basebackup'), '-D', $b->{data}, '-h', $a->{host}, '-p', $a->{port},
	'-U', 'postgres', '-c', 'fast', '--no-sync', "--tablespace-mapping=$escaped=$base/space_b" ]);
PghaCluster::spew("$b->{data}/standby.signal", '');
$b->configure;
$b->start;
$b->start_agent;
$b->wait_streaming;
my $answer = order($a, $b, 'clone', 60);
like($answer, qr/^t$/m, 'a node is cloned whose tablespace has a path with "="') or diag $answer;
eventually(sub { ($b->value('SELECT count(*) FROM spaced') // '') eq '1000' }, 20, 'with what is in that tablespace');

# From here on without it: what follows is about the data directory.
$a->sql('DROP TABLE spaced');
$a->sql('DROP TABLESPACE space');
rebuild($b, $a);
$b->start_agent;

# ---- what is refused, in place ----
# Has an order fail and looks whether the node has lost anything by that.
sub refused
{
	my ($what, $leader, $node, $expected) = @_;
	no_place_beside($cluster, 1);
	my $answer = order($leader, $node, 'clone', 60);
	no_place_beside($cluster, 0);
	like($answer, $expected, "$what: the caller is told") or diag $answer;
	unlike($answer, qr/^t$/m, "$what: not that it is done");
	$node->stop_agent;
	$node->kill_job;
	$node->start(wait => 0) if !$node->is_running && -e "$node->{data}/PG_VERSION";
	ok($node->is_running && PghaCluster::poll_until('', sub { ($node->value('SELECT count(*) FROM whole') // '') eq '1000' }, 10), "$what: the node has its data");
	return;
}

sub restore
{
	my ($node, $leader) = @_;
	if (defined $node->value('SELECT count(*) FROM whole')) { $cluster->wait_following($leader, $node); }
	else { rebuild($node, $leader); }
	$node->start_agent;
	return;
}

# A tool that does nothing.
read_again($b, 'pgha.clone_command' => '/bin/true');
refused('nothing to restore', $a, $b, qr/ERROR: .*HINT: /s);
$b->configure('pgha.clone_command' => undef);
restore($b, $a);

# All connections for replication are taken; the node itself has none.
$b->stop;
my @taken = map { $a->background('SELECT pg_sleep(300)', database => 'postgres replication=database') } 1 .. 16;
$cluster->wait_for('no connection for replication to be left', sub { ($a->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'}) // 0) == 12 });
refused('max_wal_senders is used up', $a, $b, qr/ERROR: .*max_wal_senders/s);
$a->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'});
$cluster->wait_for('them to be gone', sub { ($a->value(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'}) // '') eq '0' });
restore($b, $a);

# The former primary alone has some rows, and may not replicate from the new one.
diverge($a, $b, -1);
$a->sql('INSERT INTO probe VALUES (-2), (-3)');
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads');
my $hba = PghaCluster::slurp("$b->{data}/pg_hba.conf");
PghaCluster::spew("$b->{data}/pg_hba.conf", "host replication pgha 127.0.0.1/32 reject\n$hba");
$b->reload;
$cluster->wait_for('the agent to be connected', sub { progress($b, $a, 'agent') eq 't' });
refused('replication is refused', $b, $a, qr/ERROR: .*pg_hba\.conf.*HINT: /s);
my $kept = $a->value('SELECT count(*) FROM probe WHERE v < 0') // 'no server';
is($kept, '3', 'what only this node has is there') or diag 'commits saved: ', lost_commits($a);

# Allowed again it is cloned, and what it alone had is saved.
PghaCluster::spew("$b->{data}/pg_hba.conf", $hba);
$b->reload;
$a->start_agent;
$answer = order($b, $a, 'clone', 60);
like($answer, qr/^t$/m, 'it is cloned when that is possible again') or diag $answer;
is(lost_commits($a), 2, 'what it alone had is saved');

done_testing();
