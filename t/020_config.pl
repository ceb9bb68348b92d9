# Bad configurations: refused at start with a message that tells what to write,
# at a reload kept out and shown; warnings for what is missing; no-ops.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($a, $b) = $cluster->nodes;
my $members = $cluster->{members};
my $conninfo = 'user=pgha';

# Settings on top of a good set; what the log must say; whether a reload can bring it.
my @bad = (
	[ 'an unknown name', { 'pgha.failure_timeuot' => '3s' }, qr/unrecognized configuration parameter "pgha.failure_timeuot"/, 0 ],
	[ 'a time that is none', { 'pgha.failure_timeout' => 'soon' }, qr/invalid value for parameter "pgha.failure_timeout": "soon"/, 0 ],
	[ 'a time without sense', { 'pgha.heartbeat_interval' => '-5' }, qr/pgha.heartbeat_interval/, 0 ],
	[ 'a boolean that is none', { 'pgha.auto_failover' => 'perhaps' }, qr/invalid value for parameter "pgha.auto_failover": "perhaps"/, 0 ],
	[ 'a priority out of range', { 'pgha.priority' => '100000' }, qr/pgha.priority/, 0 ],
	[ 'no members', { 'pgha.members' => '' }, qr/pgha.members is empty/, 1 ],
	[ 'not a member', { 'pgha.members' => 'x=127.0.0.1:1, y=127.0.0.1:2' }, qr/"a" is not one of pgha.members/, 1 ],
	[ 'an invalid name', { 'pgha.node' => 'a b' }, qr/not a valid name/, 0 ],
	[ 'a name like an option', { 'pgha.node' => '-a' }, qr/not a valid name/, 0 ],
	[ 'a command in a member\'s name', { 'pgha.members' => "$members, x\$(id)=127.0.0.1:2" }, qr/other characters than letters/, 1 ],
	[ 'a space in a member\'s name', { 'pgha.members' => "$members, x y=127.0.0.1:2" }, qr/"x y" contains other characters than letters, digits, "-", "_" and "\."/, 1 ],
	[ 'a quote in a member\'s name', { 'pgha.members' => "$members, x\"y=127.0.0.1:2" }, qr/other characters than letters/, 1 ],
	[ 'a command in a node\'s name', { 'pgha.node' => 'a$(id)' }, qr/not a valid name/, 0 ],
	[ 'a quote in a node\'s name', { 'pgha.node' => 'a"b' }, qr/not a valid name/, 0 ],
	[ 'a command in the cluster\'s name', { 'pgha.cluster' => '$(id)' }, qr/pgha.cluster is not a valid name/, 0 ],
	[ 'a secret of TLS', { 'pgha.conninfo' => 'user=pgha sslpassword=geheim' }, qr/"sslpassword" must not be given/, 1 ],
	[ 'a secret of OAuth', { 'pgha.conninfo' => 'user=pgha oauth_client_secret=geheim' }, qr/"oauth_client_secret" must not be given/, 1 ],
	[ 'a member without address', { 'pgha.members' => 'a, b=127.0.0.1:2' }, qr/name=host:port/, 1 ],
	[ 'a port out of range', { 'pgha.members' => 'a=127.0.0.1:70000, b=127.0.0.1:2' }, qr/70000/, 1 ],
	[ 'a member twice', { 'pgha.members' => 'a=127.0.0.1:1, a=127.0.0.1:2' }, qr/listed twice/, 1 ],
	[ 'an address twice', { 'pgha.members' => 'a=127.0.0.1:1, b=127.0.0.1:1' }, qr/same address/, 1 ],
	[ 'names that share a slot', { 'pgha.members' => "$members, db-1=127.0.0.1:5, DB_1=127.0.0.1:6" }, qr/pgha_db_1/, 1 ],
	[ 'two commas', { 'pgha.members' => 'a=127.0.0.1:1,, b=127.0.0.1:2' }, qr/comma/, 1 ],
	[ 'a bare IPv6 address', { 'pgha.members' => 'a=::1, b=127.0.0.1:2' }, qr/bracket|\[address\]/, 1 ],
	[ 'too many members', { 'pgha.members' => join(', ', 'a=127.0.0.1:1', map { "n$_=127.0.0.1:" . (100 + $_) } 1 .. 16) }, qr/more than 16/, 1 ],
	[ 'a password', { 'pgha.conninfo' => 'user=pgha password=geheim' }, qr/"password" must not be given.*passfile/, 1 ],
	[ 'a host in conninfo', { 'pgha.conninfo' => 'user=pgha host=10.0.0.1' }, qr/"host" must not be given/, 1 ],
	[ 'an application_name', { 'pgha.conninfo' => 'application_name=x' }, qr/"application_name" must not be given/, 1 ],
	[ 'a URI', { 'pgha.conninfo' => 'postgresql://pgha@10.0.0.1/' }, qr/URI/, 1 ],
	[ 'broken quoting', { 'pgha.conninfo' => q(user='pgha) }, qr/closing quote/, 1 ],
	[ 'an arbiter', { 'pgha.arbiter' => 'etcd://10.0.0.1:2379' }, qr/pgha.arbiter is set, but this version of pgha has no arbiter/, 1 ],
	[ 'a hasty failure_timeout', { 'pgha.failure_timeout' => '200ms' }, qr/below 500 ms/, 1 ],
	[ 'a failure_timeout of few heartbeats', { 'pgha.failure_timeout' => '1s', 'pgha.heartbeat_interval' => '900ms' }, qr/less than three times pgha.heartbeat_interval/, 1 ],
	[ 'a hasty heartbeat', { 'pgha.heartbeat_interval' => '1ms' }, qr/below 10 ms/, 1 ],
	[ 'an address of no kind', { 'pgha.address' => '10.0.0.1' }, qr/pgha.address cannot be read: .*ec2:/, 1 ],
	[ 'an address without interface', { 'pgha.address' => 'local:10.0.0.1/24' }, qr/pgha.address cannot be read/, 1 ],
	[ 'an endpoint that is none', { 'pgha.ec2_endpoint' => 'ec2.amazonaws.com' }, qr/pgha.ec2_endpoint is not an endpoint/, 1 ],
	[ 'an endpoint that is not encrypted', { 'pgha.ec2_endpoint' => 'http://127.0.0.1:1' }, qr/pgha.ec2_endpoint is not encrypted/, 1 ],
	[ 'an address that is a member\'s', { 'pgha.members' => "$members, x=10.0.3.10:5432", 'pgha.address' => 'ec2:10.0.3.10' }, qr/pgha.address is the address of member "x"/, 1 ],
	[ 'an endpoint with a path', { 'pgha.ec2_endpoint' => 'https://ec2.amazonaws.com/' }, qr/pgha.ec2_endpoint is not an endpoint/, 1 ],
	[ 'an endpoint with a user', { 'pgha.imds_endpoint' => 'http://me:x@127.0.0.1' }, qr/pgha.imds_endpoint is not an endpoint/, 1 ],
	[ 'a port of an endpoint', { 'pgha.imds_endpoint' => 'http://[::1]:70000' }, qr/pgha.imds_endpoint is not an endpoint/, 1 ],
	[ 'a format of the log that is none', { 'pgha.agent_log_format' => 'xml' }, qr/invalid value for parameter "pgha.agent_log_format": "xml".*Write text or json/s, 0 ],
	[ 'a command without a path', { 'pgha.notify_command' => 'mail dba' }, qr/pgha.notify_command does not begin with an absolute path/, 1 ],
	[ 'a command that does not end', { 'pgha.notify_command' => '/bin/mail "dba' }, qr/pgha.notify_command cannot be read: a quote/, 1 ],
	[ 'a kind of event that is none', { 'pgha.notify_events' => 'failover, party' }, qr/pgha.notify_events cannot be read: "party" is not a kind of event/, 1 ],
	[ 'a hasty command', { 'pgha.notify_timeout' => '20ms' }, qr/pgha.notify_timeout \(20 ms\) is below 1 s/, 1 ],
	[ 'a fence that is none', { 'pgha.fence' => 'stonith' }, qr/invalid value for parameter "pgha.fence": "stonith".*Write off or ec2-stop/s, 0 ],
	[ 'a hasty fence_timeout', { 'pgha.fence_timeout' => '100ms' }, qr/pgha.fence_timeout .* is below 1 s/, 1 ],
	[ 'a witness that is a member', { 'pgha.witnesses' => 'b=127.0.0.1:3' }, qr/"b" is one of pgha.members and of pgha.witnesses.*leave it out/, 1 ],
	[ 'a witness twice', { 'pgha.witnesses' => 'w=127.0.0.1:3, w=127.0.0.1:4' }, qr/pgha.witnesses cannot be read: Witness "w" is listed twice/, 1 ],
	[ 'a witness at a member\'s address', { 'pgha.members' => 'a=127.0.0.1:1, b=127.0.0.1:2', 'pgha.witnesses' => 'w=127.0.0.1:2' }, qr/Witness "w" has the address of "b"/, 1 ],
	[ 'a witness without address', { 'pgha.witnesses' => 'w' }, qr/pgha.witnesses cannot be read: .*name=host:port/, 1 ],
	[ 'too many voters', { 'pgha.witnesses' => join(', ', map { "w$_=127.0.0.1:" . (100 + $_) } 1 .. 15) }, qr/more than 16 members and witnesses/, 1 ],
	[ 'neither member nor witness', { 'pgha.members' => 'x=127.0.0.1:1, y=127.0.0.1:2', 'pgha.witnesses' => 'w=127.0.0.1:3' }, qr/"a" is one of neither pgha.members nor pgha.witnesses/, 1 ],
	[ 'a quorum that is none', { 'pgha.quorum' => 'three' }, qr/invalid value for parameter "pgha.quorum": "three".*Write auto, on or off/s, 0 ],
	[ 'a hasty lease_ttl', { 'pgha.lease_ttl' => '400ms' }, qr/pgha.lease_ttl \(400 ms\) is below 500 ms/, 1 ],
	[ 'a lease of few beats', { 'pgha.lease_ttl' => '600ms', 'pgha.heartbeat_interval' => '200ms' }, qr/pgha.lease_ttl = 600 ms\) is shorter than four times pgha.heartbeat_interval/, 1 ],
	[ 'a lease of few beats where three vote', { 'pgha.witnesses' => 'w=127.0.0.1:3', 'pgha.heartbeat_interval' => '900ms' }, qr/pgha.failure_timeout = 3000 ms\) is shorter than four times pgha.heartbeat_interval/, 1 ],
	[ 'an address that is a witness\'s', { 'pgha.witnesses' => 'w=10.0.3.10:5432', 'pgha.address' => 'ec2:10.0.3.10' }, qr/pgha.address is the address of witness "w"/, 1 ],
	[ 'a refusal that is none', { 'pgha.refused_is_down' => 'maybe' }, qr/invalid value for parameter "pgha.refused_is_down": "maybe"/, 0 ],
	[ 'an address of HTTP that is none', { 'pgha.http' => '127.0.0.1:80800' }, qr/pgha.http cannot be read: /, 1 ],
	[ 'an address of HTTP with a path', { 'pgha.http' => 'http://127.0.0.1' }, qr/pgha.http cannot be read: .*write "host:port"/, 1 ],
	[ 'an address of HTTP twice', { 'pgha.http' => '127.0.0.1, 127.0.0.1:8008' }, qr/pgha.http cannot be read: .*is listed twice/, 1 ],
	[ 'a certificate without a key', { 'pgha.http_tls_cert' => '/etc/http.crt' }, qr/Only one of pgha.http_tls_cert and pgha.http_tls_key is set/, 1 ],
	[ 'a key that is nowhere', { 'pgha.http_tls_cert' => '/etc/http.crt', 'pgha.http_tls_key' => 'http.key' }, qr/pgha.http_tls_key is not an absolute path/, 1 ],
	[ 'a short startup_grace', { 'pgha.startup_grace' => '500ms' }, qr/less than pgha.failure_timeout/, 1 ],
);

# ---- reload: the last valid set stays in force ----

my $term = $a->status->{term};
foreach my $case (grep { $_->[3] } @bad)
{
	my ($what, $settings, $pattern) = @$case;
	my %old = map { $_ => undef } keys %$settings;
	my $mark = $a->log_mark;
	$a->set(%$settings);
	my $error = $cluster->wait_for("config_error ($what)", sub { my $s = $a->status; $s && $s->{config_error} });
	like($error, $pattern, "reload, $what: shown");
	like($a->log_since($mark), $pattern, "reload, $what: logged");
	unlike($error . $a->log_since($mark), qr/geheim/, "reload, $what: no secret is repeated");
	$a->set(%old);
	$cluster->wait_for("config_error to go ($what)", sub { my $s = $a->status; $s && !$s->{config_error} });
}
is($a->status->{term}, $term, 'no reload led to a failover');
$cluster->wait_following($a);
is_deeply([ sort keys %{ $a->view } ], [ 'a', 'b' ], 'the members are what they were');

# A good reload is taken over.
my %good = ('pgha.failure_timeout' => '1500ms', 'pgha.startup_grace' => '6s', 'pgha.fence' => 'ec2-stop', 'pgha.fence_timeout' => '2min',
	'pgha.address' => 'ec2:10.0.3.10', 'pgha.ec2_endpoint' => 'https://ec2.eu-central-1.amazonaws.com', 'pgha.imds_endpoint' => 'http://[fd00:ec2::254]:80');
$_->set(%good) foreach $a, $b;
ok($cluster->stays_false(sub { my $s = $a->status; $s && $s->{config_error} }, 1), 'a good reload is taken over');

# Voters come and go at a reload; a member does not turn into a witness.
my $witness = 'w=127.0.0.1:' . $cluster->free_port;
$_->set('pgha.witnesses' => $witness) foreach $a, $b;
ok($cluster->stays_false(sub { my $s = $a->status; $s && $s->{config_error} }, 1), 'a witness is taken up at a reload');
$a->set('pgha.members' => 'b=127.0.0.1:2', 'pgha.witnesses' => 'a=127.0.0.1:1');
like($cluster->wait_for('config_error (turned into a witness)', sub { my $s = $a->status; $s && $s->{config_error} }),
	qr/lists this node, which has started as a member/, 'a running member does not become a witness');
$a->set('pgha.members' => undef, 'pgha.witnesses' => undef);
$b->set('pgha.witnesses' => undef);
$cluster->wait_for('config_error to go', sub { my $s = $a->status; $s && !$s->{config_error} });

# The same on both nodes: where it is not, the other one says so.
$b->set('pgha.fence' => 'off');
$cluster->wait_for('the difference to be shown', sub { ($a->view->{b}{error} // '') =~ /configuration differs/ });
$b->set('pgha.fence' => 'ec2-stop', 'pgha.address' => 'ec2:10.0.3.11');
ok($cluster->stays_false(sub { ($a->view->{b}{error} // '') eq '' }, 1), 'another pgha.address on another node is shown');
$_->set(map { $_ => undef } keys %good) foreach $a, $b;

# Who may see what.
$a->sql('CREATE ROLE nobody LOGIN');
like($a->error('SHOW pgha.conninfo', user => 'nobody') // '', qr/permission denied|must be superuser|must have privileges/, 'pgha.conninfo is not for everybody');
like($a->error("SET pgha.failure_timeout = '1h'") // '', qr/cannot be changed now/, 'settings are for the configuration file');

# ---- start ----

$a->stop;
foreach my $case (@bad)
{
	my ($what, $settings, $pattern) = @$case;
	$a->configure(%$settings);
	my $log = $a->start_refused;
	$a->configure(map { $_ => undef } keys %$settings);
	if (!defined $log)
	{
		fail("start, $what: refused");
		next;
	}
	like($log, qr/FATAL/, "start, $what: refused");
	like($log, $pattern, "start, $what: says what is wrong");
	like($log, qr/HINT/, "start, $what: says what to write");
}

# No background worker is left: the gate would never open.
$a->configure(max_worker_processes => 0);
my $log = $a->start_refused;
like($log // '', qr/FATAL.*no background worker slot is left for pgha.*HINT.*max_worker_processes/s, 'no free worker: refused');
$a->configure(max_worker_processes => undef);

# ---- warnings ----

my @warnings = (
	[ { restart_after_crash => 'off' }, qr/WARNING.*restart_after_crash/ ],
	[ { max_wal_senders => 2 }, qr/WARNING.*max_wal_senders/ ],
	[ { max_replication_slots => 0 }, qr/WARNING.*max_replication_slots/ ],
	[ { wal_log_hints => 'off' }, qr/WARNING.*wal_log_hints/ ],
	[ { hot_standby => 'off' }, qr/WARNING.*hot_standby/ ],
	[ { 'pgha.quorum' => 'on' }, qr/WARNING.*pgha.quorum is on, but 2 voters are too few/ ],
	[ { 'pgha.quorum' => 'off', 'pgha.witnesses' => 'w=127.0.0.1:3' }, qr/WARNING.*pgha.quorum is off: two halves/ ],
	[ { wal_level => 'minimal', max_wal_senders => 0, max_replication_slots => 0 }, qr/WARNING.*wal_level/ ],
);
$b->stop;

# PostgreSQL itself refuses to start with more slots than it may have.
sub drop_slots
{
	$a->configure('pgha.node' => '');
	unlink "$a->{data}/standby.signal";
	$a->start;
	$a->sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
	$a->stop;
	$a->configure('pgha.node' => undef);
}
foreach my $case (@warnings)
{
	my ($settings, $pattern) = @$case;
	my $name = join ', ', sort keys %$settings;
	drop_slots() if exists $settings->{max_replication_slots};
	my $mark = $a->log_mark;
	$a->configure(%$settings);
	$a->start(wait => 0);
	$cluster->wait_for('the server to speak', sub { $a->log_since($mark) =~ /LOG:  listening/ || !$a->is_running });
	like($a->log_since($mark), $pattern, "warning: $name");
	$a->stop('immediate');
	$a->configure(map { $_ => undef } keys %$settings);
}

# ---- where it does nothing ----

unlink "$a->{data}/standby.signal";
my @postgres = (PghaCluster::as_postgres(), PghaCluster::bindir() . '/postgres');
my ($status, $out, $err) = PghaCluster::run_command([ @postgres, '-D', $a->{data}, '-C', 'port' ]);
is($status, 0, 'postgres -C works');
($status, $out, $err) = PghaCluster::run_command([ @postgres, '-D', $a->{data}, '-C', 'shared_memory_size' ]);
is($status, 0, 'postgres -C of a computed setting works');
($status, $out, $err) = PghaCluster::run_command([ @postgres, '--single', '-D', $a->{data}, 'postgres' ]);
is($status, 0, 'single-user mode works') or diag "$out$err";

$a->configure('pgha.node' => '');
my $mark = $a->log_mark;
$a->start;
is($a->value('SELECT pg_is_in_recovery()'), 'f', 'pgha.node empty: the server is what it was');
ok(defined $a->value('CREATE TABLE t (a int); DROP TABLE t'), 'pgha.node empty: takes writes');
is(scalar(grep { defined } $a->monitor_pid), 0, 'pgha.node empty: no monitor');
is($a->status->{state}, 'disabled', 'pgha.node empty: pgha_status() says so');
is(scalar($a->io_pids), 0, 'pgha.node empty: no children');
$a->stop;
$a->configure('pgha.node' => undef);

# Not preloaded: the functions say what is missing.
$a->configure(shared_preload_libraries => '');
$a->start;
my $error = $a->error('SELECT * FROM pgha_status()') // '';
like($error, qr/55000/, 'not preloaded: object_not_in_prerequisite_state');
like($error, qr/HINT.*shared_preload_libraries/s, 'not preloaded: with a hint');
ok(defined $a->value("LOAD 'pgha'"), 'LOAD works');
$a->stop;
$a->configure(shared_preload_libraries => undef);

# The example is a good set as it is, but for names that depend on the place.
my $example = PghaCluster::slurp("$PghaCluster::ROOT/examples/postgresql.conf");
my $conf = PghaCluster::slurp("$a->{data}/postgresql.conf");
PghaCluster::spew("$a->{data}/postgresql.conf", "$conf\n$example\n");
$mark = $a->log_mark;
$a->start;
unlike($a->log_since($mark), qr/WARNING|postmaster.*FATAL/, 'examples/postgresql.conf is good as it is');
is($a->status->{node}, 'db-1', 'and is what is in force');
$a->stop;
done_testing();
