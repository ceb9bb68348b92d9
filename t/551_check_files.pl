# What a server would refuse at its start is found before: by `pgha agent --check`
# from the files alone, by a running agent; and a password file that others may read
# is told once.  Doctor finds nothing to warn of in a sound cluster, however it is asked.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $pgha = PghaCluster::pgha_program();

# ---- files without a server ----

my $directory = tempdir(CLEANUP => 1);
chmod 0755, $directory;
mkdir "$directory/data";
my $file = "$directory/postgresql.conf";
my @sound = (
	"data_directory = '$directory/data'", "pgha.node = 'a'",
	"pgha.members = 'a=127.0.0.1:5441, b=127.0.0.1:5442, c=127.0.0.1:5443'", "pgha.conninfo = 'user=pgha'");

# Runs --check on the sound lines and these; the faults as they are printed.
sub check
{
	my (@line) = @_;
	open(my $handle, '>', $file) or die "$file: $!";
	print $handle "$_\n" foreach @sound, @line;
	close $handle;
	my ($status, undef, $err) = PghaCluster::run_command([ $pgha, 'agent', '--check', "--config=$file" ]);
	return ($status, $err);
}

my ($status, $err) = check();
is("$status$err", '0', 'a sound file has no fault') or diag $err;
my $here = @sound + 1;
my @fault = (
	[ [ "pgha.failure_timout = '3s'" ], qr/"pgha.failure_timout" is not a setting of pgha, did you mean "pgha.failure_timeout"\?/ ],
	[ [ "pgha.PRIORTY = 1" ], qr/"pgha.PRIORTY" is not a setting of pgha, did you mean "pgha.priority"\?/ ],
	[ [ "pgha.something_else = 1" ], qr/"pgha.something_else" is not a setting of pgha$/m ],
	[ [ "pgha.failure_timeout = '3 secs'" ], qr/pgha.failure_timeout is "3 secs": write a time with its unit/ ],
	[ [ "pgha.failure_timeout = '3MB'" ], qr/pgha.failure_timeout is "3MB"/ ],
	[ [ "pgha.max_failover_lag = '16mb'" ], qr/pgha.max_failover_lag is "16mb": write a size with its unit/ ],
	[ [ "pgha.priority = 2000" ], qr/pgha.priority is "2000": write a number from 0 to 1000/ ],
	[ [ "pgha.quorum = maybe" ], qr/pgha.quorum is "maybe": write one of auto,on,off/ ],
	[ [ "pgha.auto_failover = o" ], qr/pgha.auto_failover is "o": write on or off/ ],
	[ [ "pgha.failure_timeout = 100" ], qr/pgha.failure_timeout \(100 ms\) is below 500 ms\. Write/ ],
	[ [ "pgha.heartbeat_interval = '1.1s'" ], qr/.*less than three times pgha.heartbeat_interval \(1100 ms\)/ ],
	[ [ "pgha.heartbeat_interval = '900ms'" ], qr/.*shorter than four times pgha.heartbeat_interval \(900 ms\)/ ],
	[ [ "pgha.startup_grace = 2s" ], qr/pgha.startup_grace \(2000 ms\) is less than pgha.failure_timeout \(3000 ms\)/ ],
	[ [ "pgha.lease_ttl = 100ms" ], qr/pgha.lease_ttl \(100 ms\) is below 500 ms/ ],
	[ [ "pgha.fence_timeout = 1ms" ], qr/pgha.fence_timeout \(1 ms\) is below 1 s/ ],
	[ [ "pgha.start_command = 'pg_ctl start'" ], qr/pgha.start_command does not begin with an absolute path/ ],
	[ [ "pgha.server_log = log" ], qr/pgha.server_log is not an absolute path/ ],
	[ [ "pgha.address = 10.0.0.1" ], qr/pgha.address: / ],
	[ [ "pgha.node = d" ], qr/pgha.node "d" is not one of pgha.members/ ],
);
foreach my $case (@fault)
{
	($status, $err) = check(@{ $case->[0] });
	ok($status == 2 && $err =~ /^pgha: error: \Q$file\E:$here: $case->[1]/m && ($err =~ tr/\n//) == 1, "$case->[0][0]: one fault, with file and line")
	  or diag "$status $err";
}
($status, $err) = check("pgha.failure_timeout = 1", "pgha.failure_timeout = '4s'", "pgha.fence_timeout = '90 s '", "PGHA.Priority = 7", "pgha.quorum = OFF", "pgha.heartbeat_interval = '900 ms'");
is("$status$err", '0', 'the last line counts, case does not, and without votes a lease is no matter') or diag $err;
($status, $err) = check("pgha.failure_timout = 1", "pgha.priority = x", "pgha.members = 'a, b'");
is($status, 2, 'several faults');
is(($err =~ tr/\n//), 3, '... are all told') or diag $err;

# ---- the program's table of settings, and the server's ----

my $cluster = PghaCluster->new(names => [ 'db-1', 'db-2', 'db-3' ], fsync => 1, settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($one, $two, $three) = $cluster->nodes;
{
	my $source = PghaCluster::slurp("$PghaCluster::ROOT/src/common/known.c");
	my %known;
	while ($source =~ /^\t\{"(pgha\.\w+)", PGHA_KIND_(\w+), (NULL|"[^"]*"), (\w+), (\w+), (\d+)\},/mg)
	{
		my ($name, $kind, $words, $min, $max, $boot) = ($1, $2, $3, $4, $5, $6);
		my %value = (MAX_MS => 2147483, INT_MAX => 2147483647);
		$known{$name} = join ' ', $kind, $words eq 'NULL' ? '' : $words =~ tr/"//dr, $kind =~ /NUMBER|MS|MB/ ? ($min, $value{$max} // $max, $boot) : ();
	}
	my %server = map { $_->{name} => $_->{what} } $one->rows(q{
		SELECT name, concat_ws(' ', CASE WHEN vartype = 'string' THEN 'TEXT' WHEN vartype = 'bool' THEN 'BOOL'
			WHEN vartype = 'enum' THEN 'WORD' ELSE coalesce(upper(unit), 'NUMBER') END,
			coalesce(array_to_string(enumvals, ','), ''),
			CASE WHEN vartype = 'integer' THEN min_val END, CASE WHEN vartype = 'integer' THEN max_val END,
			CASE WHEN vartype = 'integer' THEN boot_val END) AS what
		FROM pg_settings WHERE name LIKE 'pgha.%'});
	is_deeply(\%known, \%server, 'src/common/known.c has what the server defines');
}

# ---- a running agent, and a start ----

$_->start_agent foreach $one, $two, $three;
my $mark = $two->agent_mark;
$two->configure('pgha.heartbeat_intervall' => '300ms');
$two->wait_agent_log(qr/WARNING:  the server would refuse its next start: \S+node.conf:\d+: "pgha.heartbeat_intervall" is not a setting of pgha, did you mean "pgha.heartbeat_interval"\?/, $mark);
pass('a running agent says what the server would refuse');
ok($two->agent_running, '... and goes on');
$two->stop_agent;
$two->stop;
like($two->start_refused, qr/unrecognized configuration parameter "pgha.heartbeat_intervall".*Did you mean "pgha.heartbeat_interval"\?/s,
	'the server, which does refuse it, says what was meant');
$two->configure('pgha.heartbeat_intervall' => undef);
$two->start;
$two->start_agent;
$cluster->wait_following($one);

# PostgreSQL goes on to take former names of settings; what is beside them is found.
$two->set(sort_mem => '8MB', no_such_setting => 1);
my $refused = $cluster->wait_for('the files to be read', sub { my $error = $two->status->{config_error} // ''; return $error =~ /no_such_setting|sort_mem/ ? $error : undef; });
like($refused, qr{: unrecognized configuration parameter "no_such_setting" \(file "[^"]+", line \d+\)$}, 'a former name of a setting is none that the next start would refuse');
$two->set(sort_mem => undef, no_such_setting => undef);

# ---- a password file that others may read ----

my $passfile = "$cluster->{base}/passfile";
PghaCluster::spew($passfile, "*:*:*:pgha:secret\n");
PghaCluster::give_to_postgres($passfile);
chmod 0644, $passfile;
my @marks = map { [ $_, $_->log_mark, $_->agent_mark ] } $cluster->nodes;
$_->set('pgha.conninfo' => "user=pgha passfile=$passfile") foreach $cluster->nodes;
foreach my $node ($cluster->nodes)
{
	my ($entry) = grep { $_->[0] == $node } @marks;
	$node->wait_log(qr/pgha: password file "\Q$passfile\E" has mode 0644: it is not used/, $entry->[1]);
	$node->wait_agent_log(qr/password file "\Q$passfile\E" has mode 0644: it is not used/, $entry->[2]);
}
# Connections are made anew where the other side was down.
$two->restart;
$cluster->wait_following($one);
foreach my $entry (@marks)
{
	my ($node, $log, $agent) = @$entry;
	next if $node == $two;
	my $server = () = $node->log_since($log) =~ /has mode 0644/g;
	my $said = () = substr($node->agent_text, $agent) =~ /has mode 0644/g;
	is("$server $said", '1 1', "$node->{name}: server and agent say once that others may read the password file");
	my $libpq = () = (substr($node->agent_text, $agent) . $node->log_since($log)) =~ /has group or world access/g;
	is($libpq, 0, '... and libpq is not heard');
}
chmod 0600, $passfile;

# ---- doctor on a sound cluster ----

sub doctor
{
	my (@arguments) = @_;
	my ($s, $out, $e) = PghaCluster::run_command([ $one->here, $pgha, 'doctor', @arguments ]);
	return $s == 0 && $out =~ /^0 errors, 0 warnings/m ? '' : "exit code $s\n$out$e";
}
$_->reload foreach $cluster->nodes;
my @socket = ('-h', $one->{socket}, '-p', $one->{port});
foreach my $how ([ @socket, '-U', 'postgres' ], [ @socket, '-U', 'pgha' ], [ '-D', $one->{data} ])
{
	my $said;
	PghaCluster::poll_until('', sub { ($said = doctor(@$how)) eq '' });
	is($said, '', "doctor has no warning: @$how");
}
# A superuser comes in by the socket, and not over the network.
foreach my $node ($two, $three)
{
	my $hba = "$node->{data}/pg_hba.conf";
	PghaCluster::spew($hba, "host all postgres 127.0.0.1/32 reject\n" . PghaCluster::slurp($hba));
	$node->reload;
}
my $said;
PghaCluster::poll_until('', sub { ($said = doctor(@socket, '-U', 'postgres')) eq '' });
is($said, '', '... nor where the superuser is let in by the socket only: then the others are asked as the members ask');
my (undef, $out) = PghaCluster::run_command([ $one->here, $pgha, 'doctor', @socket, '-U', 'postgres' ]);
like($out, qr/^Node db-2 \([^)]*\): nothing to do, \d\d+ checks$/m, '... and are really asked');

# An agent that comes back after its server's restart is not missed at once.
kill 'STOP', $two->{agent_pid};
$two->restart;
my $row = $cluster->wait_for('a finding about the agent', sub { $two->row(q{SELECT severity, finding FROM pgha_doctor() WHERE "check" = 'agents'}) });
is($row->{severity}, 'info', 'an agent is not missed as soon as its server has started') or diag $row->{finding};
ok(PghaCluster::poll_until('', sub { ($two->value(q{SELECT severity FROM pgha_doctor() WHERE "check" = 'agents'}) // '') eq 'warning' }), '... but is later');
kill 'CONT', $two->{agent_pid};
ok(PghaCluster::poll_until('', sub { ($two->value(q{SELECT severity FROM pgha_doctor() WHERE "check" = 'agents'}) // '') eq 'ok' }), '... until it is back');

done_testing();
