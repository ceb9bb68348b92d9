# Ways to load the library, and the starts in which it must do nothing: without
# preload, with an empty pgha.node, postgres --single, -C and -b.  The extension
# through pg_dump and restore, and dropped.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

# Files of pgha in a data directory.
sub pgha_files
{
	my ($node) = @_;
	opendir(my $dir, $node->{data}) or die "$node->{data}: $!";
	return join ' ', sort grep { /pgha|standby\.signal/ } readdir $dir;
}

# Runs a server program on the (stopped) node's data directory.
sub run_server
{
	my ($node, @arguments) = @_;
	return PghaCluster::run_command(
		[ PghaCluster::as_postgres(), $node->program('postgres'), @arguments ],
		timeout => 30);
}

my @functions = (
	'SELECT * FROM pgha_status()', 'SELECT * FROM pgha_cluster()', 'SELECT * FROM pgha_events()',
	'SELECT pgha_pause()', 'SELECT pgha_resume()', 'SELECT pgha_promote()', 'SELECT pgha_promote(true)');

# ---- not preloaded ----

my $plain = PghaCluster->new(nodes => 1, pgha => 0)->build;
my ($node) = $plain->nodes;

is($node->error(q{LOAD 'pgha'}), undef, 'LOAD without preload is no error');
$node->sql('CREATE EXTENSION pgha');
foreach my $statement (@functions)
{
	my $error = $node->error($statement) // '';
	like($error, qr/ERROR:  55000: pgha must be loaded by the server at its start/, "$statement without preload");
	like($error, qr/HINT:  Add pgha to shared_preload_libraries/, '... with a hint');
}
is($node->error(q{LOAD 'pgha'; CREATE TABLE t (v int); INSERT INTO t VALUES (1); DROP TABLE t}),
	undef, 'a session that loaded it works on');
$node->sql('DROP EXTENSION pgha');
is(pgha_files($node), '', 'no file was made');
$plain->cleanup;

# ---- preloaded, but not told who it is ----

my $disabled = PghaCluster->new(nodes => 1, node_settings => { a => { 'pgha.node' => '' } });
($node) = $disabled->nodes;
$node->initdb;
$node->start;
$node->sql('CREATE EXTENSION pgha');
$node->sql('CREATE TABLE t (v int); INSERT INTO t VALUES (1)');
pass('commits without a monitor');
is($node->monitor_pid // '', '', 'no monitor');
my $status = $node->status;
is($status->{node}, '', 'no name');
is($status->{state}, 'disabled', 'state disabled');
is($status->{role}, 'none', 'no role');
is($status->{gate}, undef, 'no gate');
like($status->{reason}, qr/pgha\.node/, 'says why');
ok($status->{flushed_lsn}, 'live values all the same');
is($node->value('SELECT count(*) FROM pgha_cluster()'), '0', 'no members');
is($node->value('SELECT count(*) FROM pgha_events()'), '0', 'no events');
is($node->value('SHOW pgha.report'), '', 'no report');
foreach my $statement (@functions[ 3 .. 6 ])
{
	my $error = $node->error($statement) // '';
	like($error, qr/ERROR:  55000: pgha does not manage this server/, "$statement while disabled");
	like($error, qr/HINT:  Set pgha\.node/, '... with a hint');
}
is(pgha_files($node), '', 'no file was made');
$disabled->cleanup;

# ---- a managed node, started in other ways ----

my $cluster = PghaCluster->new(nodes => 1)->build;
($node) = $cluster->nodes;
$node->wait_state('primary');
pass('a single node leads');
$node->stop;
my $files = pgha_files($node);
is($files, 'pgha.events pgha.state', 'files of a managed node');

my ($status_code, $out, $err) = run_server($node, '-D', $node->{data}, '-C', 'shared_memory_size');
is($status_code, 0, 'postgres -C shared_memory_size');
like($out, qr/^\d+$/, '... tells it');
($status_code, $out) = run_server($node, '-D', $node->{data}, '-C', 'port');
is($out, "$node->{port}\n", 'postgres -C port');
is(pgha_files($node), $files, '-C changed nothing');

# A server that would not be allowed to lead must still run in single-user mode.
open(my $input, '>', "$cluster->{base}/single.sql") or die $!;
print $input "INSERT INTO probe VALUES (4242);\nSELECT state FROM pgha_status();\nSELECT pgha_pause();\n";
close $input;
($status_code, $out, $err) = PghaCluster::run_command(
	[
		PghaCluster::as_postgres(), 'perl', '-e',
		'open(STDIN, "<", shift) or die; exec @ARGV', "$cluster->{base}/single.sql",
		$node->program('postgres'), '--single', '-D', $node->{data}, 'postgres'
	]);
is($status_code, 0, 'postgres --single');
like($out, qr/state = "disabled"/, 'pgha_status() in single-user mode');
like($err, qr/pgha does not manage this server/, 'no orders in single-user mode');
is(pgha_files($node), $files, '--single changed nothing');

# pg_upgrade starts the server like this.
$node->{pid} = PghaCluster::spawn(
	[ PghaCluster::as_postgres(), $node->program('postgres'), '-D', $node->{data}, '-b' ],
	log => $node->{log});
$node->wait_ready;
is($node->value('SELECT state FROM pgha_status()'), 'disabled', 'disabled under -b');
is($node->monitor_pid // '', '', 'no monitor under -b');
$node->sql('INSERT INTO probe VALUES (4343)');
$node->stop;
is(pgha_files($node), $files, '-b changed nothing');

$node->start;
$node->wait_writable;
is($node->value('SELECT count(*) FROM probe WHERE v IN (4242, 4343)'), '2', 'what was written in these ways is there');

# ---- pg_dump, restore, drop ----

$node->sql('CREATE DATABASE source');
$node->sql('CREATE DATABASE target');
$node->sql('CREATE ROLE operator');
my %in_source = (database => 'source');
my %in_target = (database => 'target');
$node->sql('CREATE SCHEMA ha; CREATE EXTENSION pgha SCHEMA ha; GRANT USAGE ON SCHEMA ha TO operator;'
	  . ' GRANT EXECUTE ON FUNCTION ha.pgha_promote(boolean) TO operator;'
	  . ' CREATE VIEW followers AS SELECT node, lag_bytes FROM ha.pgha_cluster()', %in_source);
my $dump = "$cluster->{base}/dump.sql";
PghaCluster::must_run([ $node->program('pg_dump'), '-d', $node->conninfo(%in_source), '-f', $dump ]);
my $text = PghaCluster::slurp($dump);
like($text, qr/CREATE EXTENSION IF NOT EXISTS pgha WITH SCHEMA ha/, 'dumped as an extension');
unlike($text, qr/CREATE FUNCTION/, '... not as functions');
PghaCluster::must_run([ $node->program('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->conninfo(%in_target), '-f', $dump ]);
is($node->value('SELECT node FROM ha.pgha_status()', %in_target), 'a', 'restored');
is($node->value('SELECT node FROM followers', %in_target), 'a', '... with what depends on it');
my $acl = q{SELECT string_agg(proname || ':' || proacl::text, ' ' ORDER BY proname) FROM pg_proc WHERE proname LIKE 'pgha%'};
is($node->value($acl, %in_target), $node->value($acl, %in_source), '... and all privileges');

like($node->error('DROP EXTENSION pgha', %in_target) // '', qr/2BP01/, 'not dropped under a view');
is($node->error('DROP EXTENSION pgha CASCADE', %in_target), undef, 'dropped');
is($node->value(q{SELECT count(*) FROM pg_proc WHERE proname LIKE 'pgha%'}, %in_target), '0', 'nothing is left');
is($node->status->{state}, 'primary', 'failover does not depend on the extension');

$cluster->cleanup;
done_testing();
