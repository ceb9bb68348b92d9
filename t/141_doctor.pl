# pgha_doctor() and `pgha doctor`: a healthy cluster has nothing to do; then each
# mistake is made for real, found, and gone once its remedy is followed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use IO::Socket::INET;
use JSON::PP;
use PghaCluster;
use Test::More;

my $secret = 'Xq7secretZ';
my $cluster = PghaCluster->new(
	names => [ 'db-1', 'db-2' ], agents => 1, fsync => 1,
	settings => {
		'pgha.failure_timeout' => '3s', wal_level => 'logical', tcp_keepalives_idle => 30, 'pgha.slot_keep_size' => '64MB',
		archive_mode => 'always', archive_command => '/bin/true', restore_command => '/bin/false',
	})->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($one, $two) = $cluster->nodes;
my $pgha = PghaCluster::pgha_program();
my $spoken = '';

# ---- helpers ----

# The rows of a check that are not in order, as "severity finding (remedy)".
sub found
{
	my ($node, $check) = @_;
	return { severity => 'error', finding => 'no answer', remedy => '' } unless defined $node->value('SELECT 1');
	my @rows = $node->rows(qq{SELECT * FROM pgha_doctor()} . (defined $check ? qq{ WHERE "check" = '$check'} : ''));
	$spoken .= JSON::PP::encode_json(\@rows);
	# That there are two voters and no witness is how this cluster is.
	return grep { $_->{severity} ne 'ok' && ($_->{check} ne 'voters' || defined $check) } @rows;
}

# The check comes to say so, with a remedy.
sub finds
{
	my ($node, $check, $severity, $finding, $remedy) = @_;
	my @rows;
	my $hit = PghaCluster::poll_until($check, sub {
		@rows = found($node, $check);
		return grep { $_->{severity} eq $severity && $_->{finding} =~ $finding && $_->{remedy} =~ $remedy } @rows;
	});
	ok($hit, "$check on $node->{name}: $severity") or diag explain \@rows;
	return;
}

# It comes to be content again.
sub content
{
	my ($node, @checks) = @_;
	foreach my $check (@checks)
	{
		my @rows;
		my $hit = PghaCluster::poll_until('', sub { @rows = found($node, $check); return !@rows && $node->is_up });
		ok($hit, "... and the finding goes") or diag explain \@rows;
	}
	return;
}

# Makes a mistake in settings that a reload brings in, and takes it back.
sub mistake
{
	my ($node, $setting, $check, $severity, $finding, $remedy) = @_;
	$node->set(%$setting);
	finds($node, $check, $severity, $finding, $remedy);
	$node->set(map { $_ => undef } keys %$setting);
	content($node, $check);
	return;
}

# Runs the program as the server's user; (status, stdout, stderr).
sub doctor
{
	my (@arguments) = @_;
	my ($status, $out, $err) = PghaCluster::run_command([ $one->here, $pgha, 'doctor', @arguments ]);
	$spoken .= $out . $err;
	return ($status, $out, $err);
}

sub program_finds
{
	my ($arguments, $code, $out_pattern, $name) = @_;
	my ($status, $out, $err) = doctor(@$arguments);
	ok($status == $code && $out =~ $out_pattern, $name) or diag "status $status\n$out$err";
	return $out;
}

# ---- healthy ----

foreach my $node ($one, $two)
{
	my @rows;
	PghaCluster::poll_until('a healthy node', sub { @rows = found($node); return !@rows });
	is_deeply(\@rows, [], "$node->{name}: a healthy node has only rows that say ok");
}
my @checks = $one->rows('SELECT "check" AS name FROM pgha_doctor()');
cmp_ok(scalar @checks, '>=', 45, 'of ' . @checks . ' checks');
is($one->value('SELECT count(*) - count(DISTINCT "check") FROM pgha_doctor()'), '0', 'one row each');

my $out = program_finds([ $one->conninfo ], 0,
	qr/\ANode db-1 .*: nothing to do, \d+ checks\n\nNode db-2 \(127\.0\.0\.1:$two->{port}\): nothing to do, \d+ checks\n\n0 errors, 0 warnings/,
	'the program asks both, exit code 0');
unlike($out, qr/wal_level/, 'what is in order is not shown');
program_finds([ '--all', $one->conninfo ], 0, qr/^ok +wal_level +logical$/m, '... but with --all');

my ($status, $json) = doctor('--json', $two->conninfo);
my $document = eval { JSON::PP::decode_json($json) };
is("$status $document->{worst}", '0 info', '--json: worth knowing is that there are two voters');
is_deeply([ map { $_->{node} } @{ $document->{groups} } ], [ 'db-2', 'db-1' ], '... has a group for each node');
ok((grep { $_->{check} eq 'loaded' && $_->{severity} eq 'ok' && !defined $_->{remedy} } @{ $document->{groups}[1]{findings} }),
	'... with all findings');

finds($one, 'voters', 'info', qr/there are two voters/, qr/pgha\.witnesses = /);

# ---- settings that are reloaded ----

mistake($one, { full_page_writes => 'off' }, 'full_page_writes', 'warning', qr/is off: pg_rewind/, qr/full_page_writes = on/);
mistake($one, { restart_after_crash => 'off' }, 'restart_after_crash', 'warning', qr/is off/, qr/restart_after_crash = on/);
mistake($two, { recovery_min_apply_delay => '1h' }, 'recovery_min_apply_delay', 'warning', qr/3600000 ms/, qr/= 0/);
mistake($one, { max_slot_wal_keep_size => '32MB' }, 'max_slot_wal_keep_size', 'warning', qr/32 MB.*64 MB/, qr/'64MB'/);
mistake($one, { log_min_messages => 'fatal' }, 'log_min_messages', 'warning', qr/is fatal/, qr/= warning/);
mistake($one, { wal_sender_timeout => '0' }, 'wal_timeouts', 'warning', qr/wal_sender_timeout is 0/, qr/'60s'/);
mistake($two, { wal_receiver_timeout => '200ms' }, 'wal_timeouts', 'warning', qr/wal_receiver_timeout \(200 ms\)/, qr/'60s'/);
mistake($one, { tcp_keepalives_idle => '0' }, 'client_keepalives', 'info', qr/two hours/, qr/tcp_keepalives_idle = 30/);
mistake($one, { 'pgha.slot_keep_size' => '1000TB' }, 'wal_space', 'warning', qr/up to 1000 TB/, qr/smaller pgha.slot_keep_size/);
mistake($one, { 'pgha.failure_timeout' => '10ms' }, 'configuration', 'error', qr/below 500 ms/, qr/Correct the line/);
mistake($two, { 'pgha.heartbeat_interval' => '90ms' }, 'configuration_same', 'warning', qr/differ on: db-1/, qr/the same/);
mistake($one, { 'pgha.auto_failover' => 'off' }, 'failover', 'warning', qr/auto_failover is off/, qr/= on/);
mistake($one, { 'pgha.auto_rejoin' => 'off' }, 'auto_rejoin', 'info', qr/is off/, qr/= rewind/);
mistake($one, { restore_command => '' }, 'restore_command', 'info', qr/no restore_command/, qr/on every node/);
mistake($one, { max_connections => '60' }, 'pending_restart', 'warning', qr/max_connections/, qr/Restart/);

$_->set('pgha.priority' => 0) foreach $one, $two;
finds($one, 'priority', 'error', qr/on every member/, qr/pgha.priority = 100/);
finds($one, 'candidates', 'error', qr/"db-2": pgha.priority is 0/, qr/Remove what stands/);
$_->set('pgha.priority' => undef) foreach $one, $two;
content($one, 'priority', 'candidates');

$one->sql('SELECT pgha_pause()');
finds($two, 'failover', 'warning', qr/is paused/, qr/pgha_resume\(\)/);
$one->sql('SELECT pgha_resume()');
content($two, 'failover');

# ---- settings that a restart brings in ----

my %changed = (max_connections => 60, wal_log_hints => 'off', archive_mode => 'on');
$two->configure(%changed);
$two->restart;
finds($two, 'standby_limits', 'warning', qr/max_connections is 60 here and 50 on the primary/, qr/same max_connections/);
finds($two, 'rewind', 'warning', qr/neither wal_log_hints nor data checksums/, qr/wal_log_hints = on/);
finds($two, 'archive', 'info', qr/archive_mode is on: .* pgha_unarchived/, qr/archive_mode = always/);
$two->configure(map { $_ => undef } keys %changed);
$two->restart;
content($two, 'standby_limits', 'rewind', 'archive');
$cluster->wait_following($one);

# ---- synchronous replication ----

$one->set(synchronous_standby_names => 'FIRST 1 ("db-1", "db-2", elsewhere)', synchronous_commit => 'local');
finds($one, 'synchronous_standby_names', 'warning', qr/no member: "elsewhere"/, qr/'ANY 1 \("db-1", "db-2"\)'/);
finds($one, 'synchronous_standby_names', 'warning', qr/FIRST 1 of 2/, qr/ANY 1/);
finds($one, 'synchronous_commit', 'warning', qr/is local/, qr/synchronous_commit = on/);
$one->set(synchronous_standby_names => 'ANY 1 ("db-1", "db-2")', synchronous_commit => undef);
content($one, 'synchronous_standby_names', 'synchronous_commit', 'synchronous_standbys');
$one->sql('ALTER ROLE pgha SET synchronous_commit = off');
finds($one, 'synchronous_commit', 'warning', qr/^role pgha has synchronous_commit=off/, qr/RESET/);
$one->sql('ALTER ROLE pgha RESET synchronous_commit');
content($one, 'synchronous_commit');
mistake($one, { 'pgha.commit_guard' => 'off' }, 'commit_guard', 'warning', qr/is off/, qr/= on/);
$one->set(synchronous_standby_names => 'ANY 2 ("db-1", "db-2")');
finds($one, 'synchronous_standbys', 'error', qr/1 of 2 .* commits wait/, qr/ALTER SYSTEM/);
finds($one, 'synchronous_standby_names', 'error', qr/asks for 2 standbys and lists 1/, qr/ANY 1/);
$one->set(synchronous_standby_names => undef);
content($one, 'synchronous_standbys', 'synchronous_standby_names');

make_path("$cluster->{base}/received");
PghaCluster::give_to_postgres("$cluster->{base}/received");
my $copy = $cluster->adopt(PghaCluster::Child->new(
	pid => PghaCluster::spawn([
		$one->here, $one->program('pg_receivewal'), '-D', "$cluster->{base}/received",
		'-d', "host=$one->{host} port=$one->{port} user=postgres application_name=db-2" ]),
	signal => 'INT'));
finds($one, 'standby_names_unique', 'error', qr/2 standbys call themselves "db-2"/, qr/Stop the one/);
$copy->end;
content($one, 'standby_names_unique');

# ---- slots, archive, tables ----

$one->sql(q{SELECT pg_create_physical_replication_slot('forgotten', true)});
finds($one, 'other_slots', 'warning', qr/"forgotten".*can fill the disk/, qr/pg_drop_replication_slot\('forgotten'\)/);
$one->sql(q{SELECT pg_drop_replication_slot('forgotten')});
content($one, 'other_slots');
$one->sql(q{SELECT pg_create_logical_replication_slot('changes', 'test_decoding')});
finds($one, 'logical_slots', 'warning', qr/a failover loses: changes/, qr/create them anew/);
$one->sql(q{SELECT pg_drop_replication_slot('changes')});
content($one, 'logical_slots');
$one->set(archive_command => '/bin/false');
$one->sql('SELECT pg_switch_wal()');
finds($one, 'archive', 'error', qr/archiving fails: /, qr/server log/);
$one->set(archive_command => undef);
$one->sql('INSERT INTO probe VALUES (1); SELECT pg_switch_wal()');
content($one, 'archive');
$one->sql('CREATE UNLOGGED TABLE passing (v int)');
finds($one, 'unlogged_tables', 'info', qr/1 unlogged/, qr/SET LOGGED/);
$one->sql('DROP TABLE passing');
content($one, 'unlogged_tables');

# ---- left by hand ----

$two->sql("ALTER SYSTEM SET primary_conninfo = 'host=10.0.0.9 password=$secret'");
finds($two, 'overridden', 'info', qr/^primary_conninfo is set by hand \(".*postgresql\.auto\.conf", line \d+\)/, qr/ALTER SYSTEM RESET primary_conninfo/);
$two->sql('ALTER SYSTEM RESET primary_conninfo');
content($two, 'overridden');

# ---- who is let in ----

$one->sql('ALTER ROLE pgha SUPERUSER');
finds($one, 'role', 'warning', qr/is a superuser/, qr/pgha_setup_role/);
$one->sql('ALTER ROLE pgha NOSUPERUSER NOREPLICATION');
finds($one, 'role', 'error', qr/lacks REPLICATION/, qr/pgha_setup_role\('pgha'\)/);
$one->sql(q{SELECT pgha_setup_role('pgha')});
content($one, 'role');
$one->sql('REVOKE EXECUTE ON FUNCTION pg_read_binary_file(text) FROM pgha');
finds($one, 'role_grants', 'warning', qr/EXECUTE on pg_read_binary_file\(text\)/, qr/pgha_setup_role\('pgha'\)/);
$one->sql(q{SELECT pgha_setup_role('pgha')});
content($one, 'role_grants');

my $hba = PghaCluster::slurp("$two->{data}/pg_hba.conf");
PghaCluster::spew("$two->{data}/pg_hba.conf", "host replication pgha 127.0.0.1/32 reject\n$hba");
$two->reload;
finds($two, 'pg_hba', 'warning', qr/line 1 of pg_hba.conf rejects role 'pgha' from 127\.0\.0\.1 \("db-1"\) for replication/,
	qr{host replication pgha 127\.0\.0\.1/32 scram-sha-256});
$two->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'pgha io'});
finds($one, 'members', 'error', qr/"db-2" .* cannot be read: .*pg_hba\.conf/, qr/pg_hba\.conf/);
PghaCluster::spew("$two->{data}/pg_hba.conf", $hba);
$two->reload;
content($two, 'pg_hba');
content($one, 'members');

my $passfile = "$cluster->{base}/passfile";
PghaCluster::spew($passfile, "*:*:*:pgha:$secret\n");
chmod 0644, $passfile;
$one->set('pgha.conninfo' => "user=pgha passfile=$passfile");
finds($one, 'passfile', 'error', qr/has mode 0644/, qr/chmod 0600/);
program_finds([ '-D', $one->{data} ], 3, qr/^error +host_passfile +.*0644/m, 'the program finds it on the host, too');
chmod 0600, $passfile;
content($one, 'passfile');

# ---- members and agents ----

$two->stop_agent;
finds($one, 'agents', 'warning', qr/no agent is connected for: db-2/, qr/pgha agent/);
($status, $out) = doctor($one->conninfo);
is($status, 4, 'warnings: exit code 4') or diag $out;
like($out, qr/^warning +agents +no agent .*\n +-> Start "pgha agent/m, 'finding and remedy');
$two->stop;
finds($one, 'members', 'error', qr/"db-2" .* cannot be reached/, qr/Start that server/);
finds($one, 'candidates', 'error', qr/nobody could take over/, qr/Bring a standby up/);
($status, $out) = doctor($one->conninfo);
is($status, 3, 'errors: exit code 3') or diag $out;
like($out, qr/^warning +asked +could not ask it from here: /m, 'what cannot be asked is told');
$one->set('pgha.slot_keep_size' => '1MB');
$one->sql(q{SELECT pg_logical_emit_message(false, 'test', repeat('x', 4000000))});
finds($one, 'slots', 'warning', qr/no slot "pgha_db_2" for member "db-2"/, qr/pgha\.slot_keep_size/);
$one->set('pgha.slot_keep_size' => undef);
# One that comes back before that goes without it until it connects the next time.
$cluster->wait_for('the slot to be there again', sub { ($one->value(q{SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgha_db_2'}) // '') eq '1' });
$two->start;
$two->start_agent;
content($one, 'members', 'candidates', 'agents', 'slots');
content($_, undef) foreach $one, $two;

# ---- this host ----

program_finds([ '-D', $one->{data} ], 0, qr/^This host, node db-1 \(\Q$one->{data}\E\): nothing to do, \d+ checks$/m, 'a healthy host');
program_finds([ '--all', '--config', "$one->{data}/postgresql.conf", '-D', $one->{data} ], 0,
	qr/^ok +host_logins +the agent can log in to "db-2"$/m, '--all shows what was tried');
PghaCluster::must_run([ 'chmod', '0704', $one->{data} ]);
PghaCluster::must_run([ 'chmod', '0500', $one->agent_directory ]);
SKIP:
{
	$out = program_finds([ '-D', $one->{data} ], 3, qr/^error +host_data_directory +.*mode 0704/m, 'a data directory that others may read');
	like($out, qr/^error +host_agent_directory .* cannot be written to/m, 'an agent directory that cannot be written to');
}
PghaCluster::must_run([ 'chmod', '0700', $one->{data}, $one->agent_directory ]);
$one->configure('pgha.start_command' => '/nowhere/start');
program_finds([ '-D', $one->{data} ], 3, qr/^error +host_commands +pgha\.start_command cannot be run: No such file/m, 'a start_command that is not there');
$one->configure('pgha.start_command' => undef);
program_finds([ '-D', "$cluster->{base}/nowhere", $one->conninfo ], 3, qr/^error +agent_configuration +the agent could not start/m, 'no configuration');

# ---- pgpool ----

my $pgpool = PghaCluster::Pgpool->start($cluster);
$one->set('pgha.pgpool' => "127.0.0.1:$pgpool->{pcp_port}", 'pgha.pgpool_passfile' => "$pgpool->{directory}/pcppass");
# Its PCP may listen later than it serves.
$cluster->wait_for('PCP', sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $pgpool->{pcp_port}) });
my @with_pgpool = ('-D', $one->{data}, '--pgpool-conf', "$pgpool->{directory}/pgpool.conf");
$out = program_finds([ '--all', @with_pgpool ], 0, qr/^ok +host_pgpools +127\.0\.0\.1:$pgpool->{pcp_port} answers, 2 backends$/m,
	'pgpool is reached over PCP');
like($out, qr/^ok +pgpool_backends +2 backends, each is a member$/m, 'the example of pgpool.conf has no trap');
PghaCluster::spew("$cluster->{base}/wrongpass", "*:*:pgha:$secret\n");
chmod 0600, "$cluster->{base}/wrongpass";
$one->set('pgha.pgpool_passfile' => "$cluster->{base}/wrongpass");
program_finds([ '-D', $one->{data} ], 3, qr/^error +host_pgpools .*could not log in over PCP/m, 'a wrong password of PCP');
$pgpool->end;
$one->set('pgha.pgpool_passfile' => "$pgpool->{directory}/pcppass");
program_finds([ '-D', $one->{data} ], 3, qr/^error +host_pgpools /m, 'no pgpool');
$one->set('pgha.pgpool' => undef, 'pgha.pgpool_passfile' => undef);

my %trap = (
	failover_command => '/etc/pgpool2/failover.sh %d', follow_primary_command => 'follow.sh', health_check_period => 0,
	search_primary_node_timeout => '300s', sr_check_period => 10, detach_false_primary => 'on', failover_on_backend_error => 'on',
	recovery_1st_stage_command => 'recovery_1st_stage', sr_check_user => 'nobody');
my %check_of = (recovery_1st_stage_command => 'recovery');
foreach my $setting (sort keys %trap)
{
	my $file = "$cluster->{base}/pgpool.conf";
	my $check = 'pgpool_' . ($check_of{$setting} // $setting);
	PghaCluster::spew($file,
		PghaCluster::slurp("$pgpool->{directory}/pgpool.conf") . PghaCluster::Node::settings_text($setting => $trap{$setting}));
	(undef, $out) = doctor('--json', '--pgpool-conf', $file, $one->conninfo);
	my ($group) = grep { $_->{source} eq 'pgpool' } @{ JSON::PP::decode_json($out)->{groups} };
	my @bad = grep { $_->{severity} ne 'ok' } @{ $group->{findings} };
	is_deeply([ map { $_->{check} } @bad ], [$check], "$setting = '$trap{$setting}' is found") or diag explain \@bad;
}
foreach my $case (
	[ qr/search_primary_node_timeout +search_primary_node_timeout is "0": .*until it is restarted/, search_primary_node_timeout => 0 ],
	[ qr/search_primary_node_timeout +search_primary_node_timeout is "1min": .*for so long/, search_primary_node_timeout => '1min' ],
	[ qr/pgpool_watchdog +two pgpools and no witness/, use_watchdog => 'on' ],
	[ qr/pgpool_watchdog +.*enable_consensus_with_half_votes is off/, use_watchdog => 'on', enable_consensus_with_half_votes => 'off' ],
	[ qr/pgpool_watchdog +wd_interval is "10"/, use_watchdog => 'on', trusted_servers => '127.0.0.1', wd_interval => 10 ])
{
	my ($pattern, %setting) = @$case;
	PghaCluster::spew("$cluster->{base}/pgpool.conf",
		PghaCluster::slurp("$pgpool->{directory}/pgpool.conf") . PghaCluster::Node::settings_text(%setting));
	program_finds([ '--pgpool-conf', "$cluster->{base}/pgpool.conf", $one->conninfo ], 4, $pattern,
		join(', ', map { "$_ = $setting{$_}" } sort keys %setting) . ' is warned of');
}
PghaCluster::spew("$cluster->{base}/pgpool.conf", PghaCluster::slurp("$pgpool->{directory}/pgpool.conf")
	  . "backend_flag0 = 'ALWAYS_PRIMARY'\nbackend_port1 = 1\nauto_failback = on\n");
$out = program_finds([ '--pgpool-conf', "$cluster->{base}/pgpool.conf", $one->conninfo ], 3, qr/backend_flag0 is "ALWAYS_PRIMARY"/, 'ALWAYS_PRIMARY');
like($out, qr/backend 1 \(127\.0\.0\.1:1\) is no member/, 'a backend that is no member');
like($out, qr/member "db-2" is no backend/, '... and a member that is no backend');
like($out, qr/auto_failback is on, but sr_check_period is 0/, 'auto_failback without the check that it needs');
program_finds([ '--pgpool-conf', '/nowhere', $one->conninfo ], 3, qr/pgpool_conf +could not open/, 'no pgpool.conf');

# ---- who may not, and where there is no pgha ----

$one->sql('CREATE ROLE plain LOGIN; CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher');
like($one->error('SELECT * FROM pgha_doctor()', user => 'plain'), qr/permission denied/, 'not for everybody');
is($one->value(q{SELECT count(*) FROM pgha_doctor() WHERE "check" = 'pg_hba'}, user => 'watcher'), '0', 'pg_monitor does not see pg_hba.conf');
is($one->value(q{SELECT count(*) FROM pgha_doctor() WHERE severity <> 'ok' AND "check" <> 'voters'}, user => 'watcher'), '0', '... but the rest');

my $plain = PghaCluster->new(nodes => 1, pgha => 0);
my ($bare) = $plain->nodes;
$bare->initdb;
$bare->start;
$bare->sql('CREATE EXTENSION pgha');
finds($bare, 'loaded', 'error', qr/not loaded/, qr/shared_preload_libraries/);
program_finds([ $bare->conninfo ], 3, qr/^error +loaded /m, 'the program on such a server');
$bare->configure(shared_preload_libraries => 'pgha');
$bare->restart;
finds($bare, 'enabled', 'warning', qr/pgha.node is empty/, qr/pgha.node = 'db-1'/);
content($bare, 'loaded');
$bare->configure('pgha.node' => 'a', 'pgha.members' => "a=127.0.0.1:$bare->{port}", 'pgha.conninfo' => 'user=postgres', max_wal_senders => 0);
$bare->restart;
content($bare, 'enabled');
finds($bare, 'max_wal_senders', 'warning', qr/is 0; needed are 1/, qr/max_wal_senders = 10/);
$bare->configure(max_wal_senders => undef);
$bare->restart;
content($bare, 'max_wal_senders');
$plain->wait_for('the bare server to take writes', sub { defined $bare->value('CREATE TEMP TABLE pgha_probe (v int)') });
$bare->sql(q{UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'pgha'});
finds($bare, 'extension_version', 'warning', qr/the extension is version 0\.9 in database "postgres"/, qr/ALTER EXTENSION pgha UPDATE/);
$bare->sql('ALTER EXTENSION pgha DROP FUNCTION pgha_doctor(); DROP FUNCTION pgha_doctor()');
is(join(' ', (doctor($bare->conninfo))[0]), '1', 'an older extension: exit code 1');
like((doctor($bare->conninfo))[2], qr/HINT:  Run ALTER EXTENSION pgha UPDATE/, '... with what to do');
$bare->stop;
is((doctor($bare->conninfo))[0], 1, 'no server: exit code 1');
is((doctor('--crown'))[0], 2, 'wrong usage: exit code 2');
is((doctor('-D'))[0], 2, 'an option without its value');
is((doctor('a', 'b'))[0], 2, 'too many arguments');

# ---- manual and secrets ----

my $manual = PghaCluster::slurp("$PghaCluster::ROOT/doc/monitoring.md");
my %name = map { $_ => 1 } map { PghaCluster::slurp($_) =~ /^\t\{"([a-z_]+)", [^;]*?check_\w+\},?$/mg }
  glob("$PghaCluster::ROOT/src/server/doctor/*.c $PghaCluster::ROOT/src/cli/doctor_*.c");
cmp_ok(scalar keys %name, '>=', 60, 'names of checks: ' . keys %name);
is_deeply([ grep { $manual !~ /`$_`/ } sort keys %name ], [], 'each is in the manual');
unlike($spoken, qr/$secret/, 'no secret was told');
ok(length $spoken > 10000, '... in all that was said');

done_testing();
