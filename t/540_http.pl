# The agent answers over HTTP what Patroni would: who leads, who follows, with what lag;
# through freezes and crashes of the servers, where nobody is ever said to lead beside
# another; to programs that were written for Patroni and Prometheus, which are unchanged.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use PghaHttp;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s' });
my ($a, $b, $c) = $cluster->nodes;
foreach my $node ($a, $b, $c)
{
	$node->{http} = $cluster->free_port;
	$node->{settings}{'pgha.http'} = "127.0.0.1:$node->{http}";
}
$cluster->build;
$_->start_agent foreach $a, $b, $c;

# ---- codes ----
my %no = map { $_ => 503 } qw(/standby-leader /synchronous /sync /quorum /read-only-quorum?x=1);
my %primary = (
	%no, '/read-only-quorum?x=1' => 200,
	(map { $_ => 200 } qw(/ /primary /master /leader /read-write /read-only /read-only-sync /health /liveness /readiness /patroni /cluster /history /config /pgha /metrics)),
	(map { $_ => 503 } qw(/replica /replica?lag=1GB /async /asynchronous)),
	(map { $_ => 404 } qw(/nothing /replicas /primary/x)));
my %standby = (
	%no,
	(map { $_ => 503 } qw(/ /primary /master /leader /read-write /read-only-sync /replica?tag_zone=a /replica?replication_state=none)),
	(map { $_ => 200 } qw(/replica /replica?lag=1048576 /replica?lag=10MB /replica?lag=1gb /replica?replication_state=streaming
		  /replica/ /read-only /async /asynchronous?lag=1MB /health /liveness /readiness /readiness?lag=1MB&mode=write /patroni)),
	'/replica?lag=much' => 400);
codes_become($a, \%primary, 'the primary');
codes_become($_, \%standby, "standby $_->{name}") foreach $b, $c;
is(code($a, '/primary', method => 'OPTIONS'), 200, 'OPTIONS, as HAProxy asks');
is(request($b->{http}, '/primary', method => 'HEAD')->{body}, '', 'HEAD');

# ---- documents ----
my $document = json($a, '/patroni');
is_deeply([ @$document{qw(state role timeline server_version)} ], [ 'running', 'primary', 1, 0 + $a->value('SHOW server_version_num') ], '/patroni');
is_deeply($document->{patroni}, { name => 'a', scope => 'main', version => '4.0.0', pgha => $document->{patroni}{pgha} }, '... with its name');
is(join(' ', sort map { "$_->{application_name}=$_->{state}" } @{ $document->{replication} }), 'b=streaming c=streaming', '... and who streams');
cmp_ok($document->{xlog}{location}, '>', 0, '... and its position');
is($document->{database_system_identifier}, $a->value('SELECT system_identifier FROM pg_control_system()'), '... and the system identifier');
$document = json($b, '/patroni');
is("$document->{role} $document->{replication_state} " . ($document->{xlog}{paused} ? 1 : 0), 'replica streaming 0', '/patroni of a standby');
cmp_ok($document->{xlog}{replayed_location}, '>', 0, '... and its position');
foreach my $node ($a, $c)
{
	$document = json($node, '/cluster');
	is(join(' ', map { "$_->{name}:$_->{role}:$_->{state}:$_->{port}" } @{ $document->{members} }),
		"a:leader:running:$a->{port} b:replica:streaming:$b->{port} c:replica:streaming:$c->{port}", "/cluster of $node->{name}");
}
is_deeply(json($a, '/history'), [], 'there is no history yet');
$document = json($a, '/pgha');
is("$document->{node} $document->{primary} $document->{server} $document->{status}{state}", 'a a running primary', '/pgha');
cmp_ok($document->{valid_ms}, '>', 0, '... says for how long that holds');
cmp_ok(scalar @{ $document->{events} }, '>', 0, '... and has events');
unlike(join('', map { request($a->{http}, $_)->{body} } grep { $primary{$_} != 404 } keys %primary), qr/passfile|conninfo|user=/, 'no connection string anywhere');

# ---- synchronous standbys ----
$a->set(synchronous_standby_names => 'FIRST 1 (b, c)');
codes_become($b, { '/sync' => 200, '/synchronous' => 200, '/read-only-sync' => 200, '/async' => 503, '/quorum' => 503 }, 'FIRST: the synchronous standby');
codes_become($c, { '/sync' => 503, '/async' => 200 }, 'FIRST: the other one');
eventually(sub { json($a, '/cluster')->{members}[1]{role} eq 'sync_standby' }, 10, '... and the primary says so');
$a->set(synchronous_standby_names => 'ANY 1 (b, c)');
codes_become($b, { '/quorum' => 200, '/read-only-quorum' => 200, '/sync' => 503, '/async' => 503 }, 'ANY');
$a->set(synchronous_standby_names => undef);
codes_become($b, { '/quorum' => 503, '/async' => 200 }, 'none');

# ---- lag ----
$c->sql('SELECT pg_wal_replay_pause()');
$a->sql('INSERT INTO probe SELECT generate_series(1, 20000)');
codes_become($c, { '/replica?lag=100kB' => 503, '/replica?lag=1GB' => 200, '/replica' => 200, '/readiness?lag=100kB' => 503, '/readiness?lag=100kB&mode=write' => 200 },
	'a standby that does not replay');
like(request($c->{http}, '/metrics')->{body}, qr/^pgha_replay_paused\{.*\} 1$/m, '... says so');
$c->sql('SELECT pg_wal_replay_resume()');
codes_become($c, { '/replica?lag=100kB' => 200 }, '... until it does');

# ---- programs of others ----
sub promtool
{
	my ($path, $name) = @_;
	my $file = "$cluster->{base}/metrics";
	PghaCluster::spew($file, request($a->{http}, $path)->{body});
	open(my $in, '<', $file) or die;
	my $pid = open(my $out, '-|') // die;
	if ($pid == 0) { open(STDIN, '<&', $in); open(STDERR, '>&', \*STDOUT); exec('promtool', 'check', 'metrics') or exit 127; }
	my $text = join '', <$out>;
	close $out;
	return is("$? $text", '0 ', $name);
}

SKIP:
{
	skip 'promtool is not installed', 2 unless grep { -x "$_/promtool" } split /:/, $ENV{PATH};
	promtool('/metrics', 'promtool finds nothing wrong with the metrics');
	my $patroni = request($a->{http}, '/metrics?names=patroni')->{body};
	is(join(' ', $patroni =~ /^patroni_(?:primary|replica|postgres_running|postgres_timeline)\{scope="main",name="a"\} (\d+)$/mg), '1 1 0 1', 'nor are Patroni\'s wrong')
	  or diag $patroni;
}
# A Prometheus of its own, which takes what it can parse only.
SKIP:
{
	skip 'prometheus is not installed', 3 unless -x '/usr/bin/prometheus';
	my $port = $cluster->free_port;
	my $base = "$cluster->{base}/prometheus";
	mkdir $base;
	PghaCluster::give_to_postgres($base);
	my $targets = join ', ', map { "'127.0.0.1:$_->{http}'" } $a, $b, $c;
	PghaCluster::spew("$base/prometheus.yml", <<"END");
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: pgha, static_configs: [ { targets: [ $targets ] } ] }
  - { job_name: patroni, params: { names: [ patroni ] }, static_configs: [ { targets: [ $targets ] } ] }
END
	my $log = "$cluster->{base}/log/prometheus";
	my $prometheus = $cluster->adopt(PghaCluster::Child->new(signal => 'TERM', log => $log, pid => PghaCluster::Host::spawn(
		[ PghaCluster::as_postgres(), '/usr/bin/prometheus', "--config.file=$base/prometheus.yml", "--storage.tsdb.path=$base/data",
			"--web.listen-address=127.0.0.1:$port" ], log => $log)));
	my $query = sub {
		my ($what) = @_;
		my $answer = eval { JSON::PP::decode_json(request($port, "/api/v1/query?query=$what")->{body}) } // return '';
		return join ' ', map { $_->{value}[1] } @{ $answer->{data}{result} // [] };
	};
	eventually(sub { $query->('sum(up)') eq '6' }, 40, 'Prometheus takes all, under both names') or diag PghaCluster::slurp($log);
	is($query->('sum(pgha_primary)') . ' ' . $query->('sum(pgha_following)') . ' ' . $query->('count(pgha_events_total)'), '1 2 57',
		'... one leads, two follow, and events are counted');
	is($query->('sum(patroni_primary)') . ' ' . $query->('sum(patroni_replica)') . ' ' . $query->('max(patroni_version)'), '1 2 40000', '... as with Patroni');
	$prometheus->end;
}
my $reply = request($a->{http}, '/metrics', headers => { Accept => 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' });
like($reply->{headers}{'content-type'}, qr{^application/openmetrics-text}, 'OpenMetrics for those who ask for it');
like($reply->{body}, $_, "... with $_") foreach qr/^# UNIT pgha_valid_seconds seconds\n/m, qr/^# TYPE pgha_events counter\n/m, qr/^pgha_events_total\{/m, qr/\n# EOF\n\z/;
is(scalar(grep { !/^(?:#|[a-z_]+\{[a-z]+="[^"]*"(?:,[a-z_]+="[^"]*")*\} -?[0-9.]+$)/ } split /\n/, $reply->{body}), 0, '... and no line that is none');

my ($check_patroni) = grep { -e } $ENV{PGHA_CHECK_PATRONI} // (), "$FindBin::RealBin/../build/trixie/usr/bin/check_patroni", '/usr/bin/check_patroni';
sub check_patroni
{
	my ($node, @argument) = @_;
	my ($root) = $check_patroni =~ m{^(.*)/usr/bin/check_patroni$};
	my ($status, $out, $err) = PghaCluster::run_command([ '/usr/bin/python3', $check_patroni, '-e', "http://127.0.0.1:$node->{http}", @argument ],
		timeout => 30, env => { PYTHONPATH => ($root // '') ne '' ? "$root/usr/lib/python3/dist-packages" : '', LC_ALL => 'C.UTF-8' });
	chomp $out;
	return ($status, "$out$err");
}

# Arguments, node, exit code.
my $version = json($a, '/patroni')->{patroni}{version};
my @checks = (
	[ [ 'cluster_has_leader' ], $a, 0 ], [ [ 'cluster_has_leader' ], $c, 0 ],
	[ [ 'cluster_has_replica', '-w', '2:', '-c', '1:' ], $a, 0 ], [ [ 'cluster_has_replica', '-c', '3:' ], $a, 2 ],
	[ [ 'cluster_has_replica', '-w', '2:', '-c', '1:', '--max-lag', '10MB' ], $b, 0 ],
	[ [ 'cluster_node_count', '-w', '3:', '-c', '2:', '--healthy-warning', '3:', '--healthy-critical', '2:' ], $a, 0 ],
	[ [ 'cluster_is_in_maintenance' ], $a, 0 ], [ [ 'cluster_has_scheduled_action' ], $a, 0 ],
	[ [ 'cluster_config_has_changed', '--hash', 'x' ], $a, 2 ],
	[ [ 'node_is_alive' ], $a, 0 ], [ [ 'node_is_alive' ], $b, 0 ],
	[ [ 'node_is_primary' ], $a, 0 ], [ [ 'node_is_primary' ], $b, 2 ],
	[ [ 'node_is_leader' ], $a, 0 ], [ [ 'node_is_leader', '--is-standby-leader' ], $a, 2 ],
	[ [ 'node_is_replica' ], $b, 0 ], [ [ 'node_is_replica' ], $a, 2 ],
	[ [ 'node_is_replica', '--max-lag', '1MB' ], $b, 0 ], [ [ 'node_is_replica', '--is-async' ], $b, 0 ], [ [ 'node_is_replica', '--is-sync' ], $b, 2 ],
	[ [ 'node_is_pending_restart' ], $a, 0 ], [ [ 'node_patroni_version', '--patroni-version', $version ], $a, 0 ],
	[ [ 'node_tl_has_changed', '--timeline', '1' ], $b, 0 ], [ [ 'node_tl_has_changed', '--timeline', '7' ], $b, 2 ]);
SKIP:
{
	skip 'check_patroni is not there: see tools/check-patroni', @checks + 2 unless $check_patroni;
	foreach my $check (@checks)
	{
		my ($arguments, $node, $expected) = @$check;
		my ($status, $text) = check_patroni($node, @$arguments);
		is($status, $expected, "check_patroni @$arguments on $node->{name}: $text");
	}
	$a->sql('SELECT pgha_pause()');
	eventually(sub { (check_patroni($b, 'cluster_is_in_maintenance'))[0] == 2 }, 15, 'a pause is maintenance');
	$a->sql('SELECT pgha_resume()');
	$a->set(max_connections => 60);
	eventually(sub { (check_patroni($a, 'node_is_pending_restart'))[0] == 2 }, 15, 'a restart is pending');
	$a->set(max_connections => undef);
}

# ---- a switchover ----
foreach my $kind (qw(quorum stuck absent returned address_lost start)) { like(request($b->{http}, '/metrics')->{body}, qr/^pgha_events_total\{.*kind="$kind"\} \d+$/m, "events of the kind $kind are counted"); }
my $xmin = q{SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE application_name = 'pgha agent http'};
my @held = map { $b->value($xmin) } 1 .. 12;
cmp_ok(scalar(grep { $_ eq 't' } @held), '<', 8, "the session with a standby does not hold up replay: @held");
foreach my $way ([ $a, $b ], [ $b, $a ])
{
	my ($from, $to) = @$way;
	$cluster->wait_for('all to be well', sub { code($from, '/primary') == 200 && code($to, '/replica') == 200 && code($c, '/replica') == 200 });
	$cluster->wait_for('the members to vote', sub { ($from->status->{quorum} // '') eq 'in force' });
	my $session = $from->background("SELECT pgha_switchover('$to->{name}')");
	my ($leads, $both) = await_new_primary($from, $to);
	is($both, 0, "a switchover to $to->{name}: the old primary is not said to lead beside the new one");
	eventually(sub { !$session->is_running }, 60, '... and it is done');
	$cluster->wait_single_primary(among => [ $to ]);
}
$_->wait_streaming(120) foreach $b, $c;

# ---- a frozen primary ----
sub none_beside { my (@nodes) = @_; return join ' ', map { code($_, '/primary') } @nodes; }

sub await_new_primary
{
	my ($old, @others) = @_;
	my $both = 0;
	my $answered = 1;
	my $new;
	$cluster->wait_for('another node to lead', sub {
		# The new one first: what the old one says after that must be no.
		($new) = grep { code($_, '/primary') == 200 } @others;
		my $says = code($old, '/primary');
		$both++ if $new && $says == 200;
		$answered &&= $says != 0;
		return $new;
	});
	return ($new, $both, $answered);
}

$cluster->wait_for('all to be well', sub { code($a, '/primary') == 200 && code($b, '/replica') == 200 });
$a->freeze;
my ($new, $both, $answered) = await_new_primary($a, $b, $c);
is($both, 0, 'a frozen server is not said to lead beside another one');
ok($answered, '... and questions about it are answered all the time');
codes_become($a, { map { $_ => 503 } qw(/ /primary /replica /read-only /health /readiness) }, '... which is no to all else, too');
is(code($a, '/liveness'), 200, '... though the agent lives');
is(json($a, '/patroni')->{state}, 'unknown', '... its state is not known');
like(request($a->{http}, '/metrics')->{body}, qr/^pgha_up\{.*\} 0$/m, '... and it is not up');
$a->thaw;
codes_become($a, { '/primary' => 503, '/replica' => 200 }, 'thawed it follows');
$a->wait_streaming;

# ---- a killed one ----
my ($third) = grep { $_ != $a && $_ != $new } $b, $c;
$cluster->wait_for('the lead to be told', sub { code($new, '/primary') == 200 });
$new->kill9;
codes_become($new, { '/primary' => 503 }, 'a killed server is not said to lead any more');
(my $newest, $both, $answered) = await_new_primary($new, $a, $third);
is($both, 0, '... nor beside another one');
ok($answered, '... and questions are answered');
codes_become($new, { '/primary' => 503, '/replica' => 200, '/health' => 200 }, '... until its agent has brought it back');
is(scalar(grep { defined $_->[3] && $_->[2] ne '' } @{ json($newest, '/history') }), 4, 'four timelines have ended');
eventually(sub { request($newest->{http}, '/metrics')->{body} =~ /^pgha_promotions_total\{.*\} [1-9]\d*$/m }, 20, 'a promotion was counted');
eventually(sub { request($new->{http}, '/metrics')->{body} =~ /^pgha_recoveries_total\{.*outcome="done"\} [1-9]\d*$/m }, 20, '... and a recovery');
eventually(sub { (json($newest, '/pgha')->{primary} // '') eq $newest->{name} }, 10, '/pgha names the leader');

# ---- one that is stopped on purpose ----
$third->stop;
codes_become($third, { '/health' => 503, '/replica' => 503, '/liveness' => 200 }, 'a stopped server');
eventually(sub { json($third, '/patroni')->{state} eq 'stopped' }, 10, '... is said to be stopped');
eventually(sub { (grep { $_->{name} eq $third->{name} } @{ json($newest, '/cluster')->{members} })[0]{state} eq 'unknown' }, 15, '... and the others do not know');

done_testing();
