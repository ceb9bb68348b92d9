# The program: subcommands and exit codes, the io child against servers and
# sockets that answer in all sorts of ways, the table of `pgha status` on made-up
# clusters, and at last all of it with a real one.
#
# PGHA names another program than the installed one (say, one with sanitizers).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use IoChild;
use PghaCluster;
use PghaCluster::Host qw(listener listener_end);
use POSIX qw(:sys_wait_h);
use Socket;
use Test::More;
use Time::HiRes qw(time);

my $pgha = $ENV{PGHA} // PghaCluster::pgha_program();

delete $ENV{$_} foreach grep { /^PG(HOST|PORT|DATABASE|USER|SERVICE|OPTIONS|PASS)/ } keys %ENV;

my $plain = PghaCluster->new(nodes => 1, pgha => 0, settings => { max_wal_senders => 1 });
my ($node) = $plain->nodes;
my ($port, $free_port) = ($node->{port}, $plain->free_port);
my $io_errors = "$plain->{base}/log/io";
IoChild::run($pgha, $io_errors);

# ---- what is installed ----

# What only tests may do to the agent is not in it.
{
	my $library = PghaCluster::must_run([ $ENV{PG_CONFIG} // 'pg_config', '--pkglibdir' ]) =~ s/\n//r . '/pgha.so';
	unlike(PghaCluster::slurp($_), qr/PGHA_TEST/, "no test hook in $_") foreach PghaCluster::pgha_program(), $library;
	like(PghaCluster::slurp(PghaCluster::Host::pgha_test_program()), qr/PGHA_TEST_STOP_AT/, 'but in the program for tests');
}

# ---- subcommands, usage, exit codes ----

sub run_pgha { return PghaCluster::run_command([ $pgha, @_ ]); }

sub program_is
{
	my ($arguments, $code, $out, $err, $name) = @_;
	my @got = run_pgha(@$arguments);
	is($got[0], $code, "$name: exit code");
	like($got[1], $out, "$name: output");
	like($got[2], $err, "$name: messages");
	return;
}

my $none = qr/\A\z/;

program_is(['--help'], 0, qr/status .*events .*pause .*resume .*promote .*Exit codes/s, $none, '--help');
program_is(['help'], 0, qr/Usage:/, $none, 'help');
program_is(['--version'], 0, qr/\Apgha \d/, $none, '--version');
foreach my $subcommand (qw(status events pause resume promote io))
{
	program_is([ $subcommand, '--help' ], 0, qr/\AUsage:\n  pgha $subcommand /, $none, "$subcommand --help");
	program_is([ 'help', $subcommand ], 0, qr/\AUsage:\n  pgha $subcommand /, $none, "help $subcommand");
}
program_is([], 2, $none, qr/subcommand is missing.*\nHINT:  .*pgha --help/, 'no subcommand');
program_is(['crown'], 2, $none, qr/no subcommand "crown"/, 'unknown subcommand');
program_is([ 'help', 'crown' ], 2, $none, qr/no subcommand "crown"/, 'help of an unknown subcommand');
program_is([ 'status', '--crown' ], 2, $none, qr/"--crown" is not an option.*pgha status --help/s, 'unknown option');
program_is([ 'status', '--force' ], 2, $none, qr/"--force" is not an option/, 'option of another subcommand');
program_is([ 'status', '-h' ], 2, $none, qr/"-h" needs a value/, 'missing value');
program_is([ 'status', 'a=b', 'c' ], 2, $none, qr/too many arguments.*"c"/, 'too many arguments');
program_is([ 'events', '--limit', 'x' ], 2, $none, qr/limit "x" is not a number/, 'limit is no number');
program_is([ 'events', '--limit', '0' ], 2, $none, qr/limit "0"/, 'limit is out of range');
program_is(['io'], 2, $none, qr/pgha io peer/, 'io without a job');
program_is([ 'status', 'crown=x' ], 1, $none, qr/invalid connection option "crown"/, 'bad connection string');
program_is([ 'status', '-h', '127.0.0.1', '-p', $free_port ], 1, $none,
	qr/error: .*refused.*HINT:  Any member/s, 'nothing listens');
is(system("$pgha --help > /dev/full 2> /dev/null") >> 8, 1, 'output that cannot be written');

# ---- garbage and ends ----

foreach my $garbage (
	"garbage\n", "\n", "conninfo\n", "conninfo\ta\tb\n", "conninfo\tport=1\n\n",
	"conninfo\tport=1\nx\t1\treport\t0\n", "conninfo\tport=1\n1\t-1\treport\t0\n",
	"conninfo\tport=1\n1\t99999999999\treport\t0\n", "conninfo\tport=1\n1\t1\tcrown\t0\n",
	"conninfo\tport=1\n1\t1\treport\t\n", "conninfo\tport=1\n1\t1\thistory\t0\n",
	"conninfo\tport=1\n1\t1\thistory\t4294967296\n", "conninfo\tport=1\n1\t1\treport\t0\t0\n",
	"conninfo\tport=1\0\n", 'x' x 100_000)
{
	my $child = io_start(undef);
	io_send($child, $garbage);
	my $shown = substr($garbage, 0, 40);
	$shown =~ s/[^ -~]/?/g;
	is(io_status($child), 0, "child ends at \"$shown\"");
}
{
	my $child = io_start(undef);
	is(io_end($child), 0, 'child ends at the end of its input');
	$child = io_start('port=1');
	io_send($child, "1\t10");
	is(io_end($child), 0, '... in the middle of a line');
	srand(my $seed = time());
	my $survived = 0;
	for (1 .. 20)
	{
		$child = io_start(undef);
		io_send($child, join '', map { chr(int(rand(256))) } 1 .. int(rand(5000)));
		$survived++ if io_end($child) eq '0';
	}
	is($survived, 20, "... after random bytes (seed $seed)");
}

# ---- the child that asks the archive ----

{
	my $directory = "$plain->{base}/io-archive";
	mkdir $directory;
	mkdir "$directory/pg_wal";
	foreach my $case (
		[ 'test %f = 00000003.history && echo %r%% >%p', 2, qr/^ok no$/, 'not in the archive' ],
		[ 'test %f = 00000003.history && echo %r%% >%p', 3, qr/^ok yes$/, 'in the archive' ],
		[ 'exit 125', 3, qr/^ok no$/, 'any failure' ],
		[ 'exit 127', 3, qr/^error .*exit code 127/, 'no such program: not known' ],
		[ 'kill -9 $$', 3, qr/^error .*signal 9/, 'killed: not known' ],
		[ 'true', 3, qr/^error .*left no file/, 'success without a file: not known' ],
		[ 'sleep 1001 & sleep 1001', 3, qr/^silent .*within 300 ms/, 'no end: not known' ])
	{
		my ($command, $timeline, $answer, $name) = @$case;
		my $child = io_start(undef, $command, $directory);
		my ($outcome, $text) = io_ask($child, $command =~ /^sleep/ ? 300 : 20_000, 'history', $timeline);
		like("$outcome $text", $answer, "restore_command: $name");
		is(io_end($child), 0, '... child ends');
	}
	my $child = io_start(undef, 'sleep 1001', $directory);
	io_send($child, "1\t30000\thistory\t3\n");
	$plain->wait_for('the command to run', sub { grep { PghaCluster::command_line($_) =~ /sleep 1001/ } PghaCluster::processes_in($directory) });
	is(io_end($child), 0, 'child ends while restore_command runs');
	ok(PghaCluster::poll_until('', sub { !PghaCluster::processes_in($directory) }), '... and so does the command');
	is_deeply([ glob("$directory/pg_wal/*") ], [], 'nothing is left in pg_wal');
}

# ---- outcomes without a server ----

my $address = 'user=postgres host=127.0.0.1 application_name=t';

{
	my $child = io_start("$address port=$free_port");
	my ($outcome, $text, $seconds, $where) = io_ask($child, 10_000, 'report', 0);
	is($outcome, 'refused', "nothing listens: refused ($text)");
	is($where, "127.0.0.1 $free_port", '... by that address and port');
	cmp_ok($seconds, '<', 5, '... at once');
	($outcome) = io_ask($child, 2000, 'check', 0);
	is($outcome, 'refused', '... again');
	is(io_end($child), 0, '... child ends');

	$child = io_start("host=$plain->{base} port=$free_port user=x");
	($outcome, $text) = io_ask($child, 2000, 'report', 0);
	is($outcome, 'refused', "no socket file: refused ($text)");
	io_end($child);

	# By a fault of its own the child learns nothing: no such name, no descriptor for a socket.
	foreach my $case ([ 'no-such-host.invalid', 64 ], [ '127.0.0.1', 2 ])
	{
		$child = io_start("user=postgres host=$case->[0] port=$free_port");
		io_ask($child, 10_000, 'report', 0);
		PghaCluster::must_run([ 'prlimit', '--pid', $child->{pid}, "--nofile=$case->[1]:$case->[1]" ]);
		($outcome, $text) = io_ask($child, 10_000, 'report', 0);
		is($outcome, 'unlearnt', "nothing is learnt ($text)");
		io_end($child);
	}
	$child = io_start("$address port=$free_port crown=x");
	($outcome, $text) = io_ask($child, 2000, 'report', 0);
	is($outcome, 'error', "unknown connection option: error ($text)");
	io_end($child);

	local $ENV{PGHOSTADDR} = '127.0.0.99';
	local $ENV{PGOPTIONS} = '-c crown=x';
	$child = io_start("$address port=$free_port");
	($outcome, $text) = io_ask($child, 2000, 'report', 0);
	like($text, qr/127\.0\.0\.1\b/, 'the environment does not change the address');
	io_end($child);
}
{
	my $mute = listener($free_port, sub { });
	my $child = io_start("$address port=$free_port");
	my ($outcome, $text, $seconds) = io_ask($child, 3000, 'report', 0);
	is($outcome, 'silent', "listener that never answers: silent ($text)");
	ok($seconds >= 2.99 && $seconds < 5.9, "... when the limit has passed ($seconds s)");
	($outcome, $text, $seconds) = io_ask($child, 0, 'report', 0);
	is($outcome, 'silent', 'no time at all: silent');

	io_send($child, "77\t60000\treport\t0\n");
	io_connects($child);
	my $start = time();
	is(io_end($child), 0, 'the end of the input ends the child while it connects');
	cmp_ok(time() - $start, '<', 5, '... at once');

	foreach my $signal (qw(TERM INT QUIT))
	{
		$child = io_start("$address port=$free_port");
		io_ask($child, 0, 'report', 0);
		io_send($child, "77\t60000\treport\t0\n");
		io_connects($child);
		$start = time();
		kill $signal, $child->{pid};
		is(io_status($child), 0, "SIG$signal while it connects: exit code 0");
		cmp_ok(time() - $start, '<', 0.9, '... at once');	# not by the alarm, after a second
	}
	$child = io_start("$address port=$free_port");
	io_ask($child, 0, 'report', 0);
	kill 'HUP', $child->{pid};
	is((io_ask($child, 0, 'report', 0))[0], 'silent', 'SIGHUP does not end it');
	kill 'TERM', $child->{pid};
	is(io_status($child), 0, 'SIGTERM while it waits for a request: exit code 0');
	listener_end($mute);
}
{
	my $cut = listener($free_port, sub { close $_[0] });
	my $child = io_start("$address port=$free_port");
	my ($outcome, $text, $seconds) = io_ask($child, 15_000, 'report', 0);
	is($outcome, 'silent', "connection closed at once, twice: silent ($text)");
	cmp_ok($seconds, '<', 10, '... without waiting for the limit');
	io_end($child);
	listener_end($cut);

	# A login that takes longer than the limit: a later request completes it.
	pipe(my $told, my $tell) or die "pipe: $!";
	my $slow = listener($free_port, sub {
		my $c = shift; sysread($c, my $hello, 1000);
		close $tell;
		sysread($told, my $nothing, 1);		# until the first request has had no answer
		syswrite($c, "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
		sysread($c, my $query, 1000);
		syswrite($c, "E\0\0\0\x19SERROR\0CXX000\0Mlate\0\0Z\0\0\0\x05I"); });
	$child = io_start("$address sslmode=disable port=$free_port");
	is((io_ask($child, 300, 'report', 0))[0], 'silent', 'slow login: silent');
	close $tell;
	my $asked = 0;
	do { ($outcome, $text) = io_ask($child, 300, 'report', 0); } while ($outcome eq 'silent' && ++$asked < 100);
	like($text, qr/late/, "... then answered ($outcome)");
	io_end($child);
	listener_end($slow);

	foreach my $answer (
		"HTTP/1.1 400 Bad Request\r\n\r\n", "\0" x 5000, "R\0\0\0\x08\0\0\0\x63",
		"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I" . "D\0\0\0\x0b\0\xff\0\0\0\1x", "E\x7f\xff\xff\xffSFATAL\0")
	{
		my $odd = listener($free_port, sub { my $c = shift; sysread($c, my $hello, 1000); syswrite($c, $answer); });
		$child = io_start("$address sslmode=disable port=$free_port");
		($outcome, $text) = io_ask($child, 700, 'report', 0);
		(my $shown = substr($answer, 0, 12)) =~ s/[^ -~]/?/g;
		like($outcome, qr/^(error|silent)$/, "answer \"$shown\": $outcome ($text)");
		is(io_end($child), 0, '... the child lives');
		listener_end($odd);
	}

	# A text in the message that looks like a SQLSTATE does not count before the real one.
	my $message = "SFATAL\0VFATAL\0C28000\0Mliar:  57P03: no\0\0";
	my $liar = listener($free_port, sub {
		my $c = shift; sysread($c, my $hello, 1000);
		syswrite($c, 'E' . pack('N', 4 + length $message) . $message); });
	$child = io_start("$address sslmode=disable port=$free_port");
	($outcome, $text) = io_ask($child, 10_000, 'report', 0);
	is($outcome, 'error', "the SQLSTATE decides, not the text ($text)");
	io_end($child);
	listener_end($liar);
}

# ---- outcomes with a server ----

$plain->build;
my $server = "$address port=$port";
my $sender = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'};

sub no_sender
{
	return $plain->wait_for('WAL senders to end', sub { ($node->value($sender) // 'x') eq '' });
}

{
	my $child = io_start($server);
	my ($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'error', "server without pgha: error ($text)");
	like($text, qr/unrecognized configuration parameter/, '... with its message');
	my $pid = $node->sql($sender);
	like($pid, qr/^\d+$/, 'the connection is kept');

	my $other = io_start($server);
	($outcome, $text) = io_ask($other, 5000, 'report', 0);
	is($outcome, 'error', "no free WAL sender: error ($text)");
	unlike($text, qr/\b53[0-9A-Z]{3}: |LOCATION/, '... in plain words');
	io_end($other);

	# Two requests at once are answered one after the other.
	io_send($child, "501\t5000\treport\t0\n502\t5000\thistory\t7\n");
	like(io_line($child), qr/^501\terror\t/, 'first of two requests');
	like(io_line($child), qr/^502\terror\t.*00000007\.history/, 'second of two requests');
	is($node->sql($sender), $pid, 'all on one connection');

	# A lost connection is made again within the request.
	$node->sql("SELECT pg_terminate_backend($pid)");
	no_sender();
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'error', 'a connection that was lost is made again');
	like($text, qr/unrecognized/, '... and used');

	# check: disconnects.
	($outcome) = io_ask($child, 5000, 'check', 0);
	is($outcome, 'error', 'check');
	ok(no_sender(), '... disconnects');

	# A frozen server, connected and not.
	io_ask($child, 5000, 'report', 0);
	$node->freeze;
	foreach my $what ('kept', 'new')
	{
		my ($got, undef, $seconds) = io_ask($child, 3000, 'report', 0);
		is($got, 'silent', "frozen server, $what connection: silent");
		ok($seconds >= 2.99 && $seconds < 5.9, "... when the limit has passed ($seconds s)");
	}
	$node->thaw;
	$plain->wait_for('the server to answer again',
		sub { ($outcome, $text) = io_ask($child, 5000, 'report', 0); $text =~ /unrecognized/ });
	is($outcome, 'error', 'the server answers again');
	io_end($child);

	# Login refused.
	my $secret = 'secret' . 'wrong';
	$node->sql(q{SET password_encryption = 'scram-sha-256'; CREATE ROLE locked LOGIN REPLICATION PASSWORD 'right'});
	PghaCluster::spew("$node->{data}/pg_hba.conf", join '',
		"host replication locked 127.0.0.1/32 scram-sha-256\nhost replication nobody 127.0.0.1/32 reject\n",
		PghaCluster::slurp("$node->{data}/pg_hba.conf"));
	$node->reload;
	my $passfile = "$plain->{base}/passfile";
	(my $locked = $server) =~ s/user=postgres/user=locked passfile=$passfile/;
	PghaCluster::spew($passfile, "*:*:*:*:$secret\n");
	chmod 0600, $passfile;
	$plain->wait_for('pg_hba.conf to be read', sub {
		($node->value(q{SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'reject'}) // 0) == 1
		  && $node->log_since(0) =~ /received SIGHUP/ });
	# Sessions ask the server's copy of it, which is made a moment later.
	$plain->wait_for('pg_hba.conf to be in force', sub {
		(PghaCluster::run_command([ $node->program('psql'), '-XAtq', '-d', "host=127.0.0.1 port=$port user=nobody replication=true",
				'-c', 'IDENTIFY_SYSTEM' ]))[2] =~ /pg_hba\.conf rejects/ });
	$child = io_start($locked);
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'error', "wrong password: error ($text)");
	unlike($text, qr/secret/, '... which is not told');
	io_end($child);
	unlink $passfile;
	$child = io_start($locked);
	($outcome, $text, my $seconds) = io_ask($child, 15_000, 'report', 0);
	is($outcome, 'error', "no password: error, nobody is asked ($text)");
	cmp_ok($seconds, '<', 10, '... at once');
	io_end($child);
	(my $nobody = $server) =~ s/user=postgres/user=nobody/;
	$child = io_start($nobody);
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'error', "login rejected: error ($text)");
	io_end($child);

	# Stopped, and started again, between two requests.
	$child = io_start($server);
	($outcome) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'error', 'connected again');
	$node->stop;
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'refused', "stopped between two requests: refused ($text)");
	$node->configure('pgha.report' => 'of an older version');
	$node->start;
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is("$outcome $text", 'ok of an older version', 'started again: answers');

	foreach my $what ('changed', 'soon')
	{
		my @got = io_ask($child, 5000, $what, 0);
		is("@got[0, 1, 3, 4]", "ok of an older version 127.0.0.1 $port plain", "... to what it does not know ($what)");
	}
	is(scalar(() = PghaCluster::slurp($node->{log}) =~ /unrecognized configuration parameter "pgha.report_/g), 1, '... which it refuses once');

	# Killed while connected.
	$node->kill9;
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'refused', "killed between two requests: refused ($text)");

	# In recovery, without hot standby, and in another language.
	PghaCluster::spew("$node->{data}/standby.signal", '');
	$node->configure(hot_standby => 'off', 'pgha.report' => undef);
	$node->start(wait => 0);
	$plain->wait_for('an answer', sub { ($outcome, $text) = io_ask($child, 5000, 'report', 0); $outcome ne 'refused' });
	is($outcome, 'starting', "recovery without hot standby: starting ($text)");
	unlike($text, qr/57P03|LOCATION/, '... in plain words');
	$node->stop('immediate');
	is(io_end($child), 0, 'the child ends');

	# A history file.
	$node->configure(hot_standby => 'on');
	$node->start;
	$node->sql('SELECT pg_promote()');
	$child = io_start($server);
	($outcome, $text) = io_ask($child, 5000, 'history', 2);
	is($outcome, 'ok', 'history of a timeline');
	like($text, qr{^1\\t[0-9A-F]+/[0-9A-F]+\\t[^\t]*\\n$}, "... escaped ($text)");
	($outcome) = io_ask($child, 5000, 'history', 3);
	is($outcome, 'error', 'no such history');
	is(io_end($child), 0, 'the child ends');
}

# ---- status and events, on functions of the same names ----

my @member = ('-h', '127.0.0.1', '-p', $port, '-U', 'postgres');

program_is([ 'status', @member ], 1, $none, qr/extension pgha is not in database "postgres"\nHINT:  Run CREATE EXTENSION pgha;/,
	'no extension');
program_is([ 'status', @member, '-d', 'nodb' ], 1, $none, qr/database "nodb" does not exist/, 'no such database');

$node->sql(q{
SET allow_system_table_mods = on;
CREATE SCHEMA "Ha schema";
INSERT INTO pg_extension VALUES (99999, 'pgha', 10, '"Ha schema"'::regnamespace, false, '1.0', NULL, NULL);
SET search_path = "Ha schema";
CREATE TABLE member (node text, address text, role text, state text, reachable boolean, term bigint, timeline integer,
	lsn pg_lsn, lag_bytes bigint, upstream text, candidate boolean, paused boolean, last_heard timestamptz, error text);
CREATE TABLE self (node text, role text, state text, term bigint, timeline integer, flushed_lsn pg_lsn,
	replayed_lsn pg_lsn, leader text, gate text, sync_state text, candidate boolean, reason text,
	last_change timestamptz, last_change_reason text, paused boolean, config_error text);
CREATE TABLE event (at timestamptz, node text, kind text, term bigint, what text);
CREATE FUNCTION pgha_status() RETURNS SETOF self LANGUAGE sql AS 'SELECT * FROM "Ha schema".self';
CREATE FUNCTION pgha_cluster() RETURNS SETOF member LANGUAGE sql AS 'SELECT * FROM "Ha schema".member ORDER BY node';
CREATE FUNCTION pgha_events() RETURNS SETOF event LANGUAGE sql AS 'SELECT * FROM "Ha schema".event';
CREATE FUNCTION pgha_pause() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION pgha_resume() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	RAISE WARNING 'db-3 has not confirmed' USING HINT = 'It may be down.'; RETURN false; END $$;
CREATE FUNCTION pgha_promote(force boolean) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF NOT force THEN
		RAISE EXCEPTION 'the primary answers' USING DETAIL = 'It is db-1.', HINT = 'Force it.';
	END IF; END $$;
INSERT INTO self VALUES ('db-2', 'standby', 'standby', 4, 5, '0/5000060', '0/5000060', 'db-1', 'closed', 'async', true,
	'follows db-1', '2026-01-02 03:04:05.678901+00', 'followed db-1', false, NULL);
INSERT INTO member VALUES
	('db-1', '10.0.3.21:5432', 'primary', 'primary', true, 4, 5, '0/5000060', 0, NULL, NULL, false, now(), NULL),
	('db-2', '10.0.3.22:5432', 'standby', 'standby', true, 4, 5, '0/4000060', 16777216, 'db-1', true, false, now(), NULL),
	('db-3', '[fd00::1]:5432', 'none', 'unreachable', false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	 'connection refused' || chr(27) || '[2J');
ALTER DATABASE postgres SET pgha.cluster = 'main';
ALTER DATABASE postgres SET pgha.node = 'db-2';
ALTER DATABASE postgres SET timezone = 'UTC';
});

program_is([ 'status', @member ], 0,
	qr/\ACluster\ main:\ primary\ db-1,\ term\ 4,\ timeline\ 5\ \ \(as\ db-2\ sees\ it\)\n\n
	\ +Node\ +Role\ +State\ +Lag\ +Age\ .*\ LSN\ +Address\n
	>\ +db-1\ +primary\ .*\ 10.0.3.21:5432\n
	\ \*\ +db-2\ .*\ 16\.0\ MB\ +now\ +5\ +db-1\ +yes\ .*\n
	\ \ +db-3\ .*\ unreachable\ .*never\ .*\n\n
	db-2:\ follows\ db-1\n
	db-2:\ last\ change\ 2026-01-02\ 03:04:05\.678\+00:00:\ followed\ db-1\n
	db-3:\ connection\ refused\?\[2J\n\z/x, $none, 'status');
note((run_pgha('status', @member))[1]);
program_is([ 'status', "host=127.0.0.1,127.0.0.1 port=$free_port,$port user=postgres" ], 0, qr/primary db-1/, $none,
	'status, second host answers');
program_is([ 'status', "postgresql://postgres\@127.0.0.1:$port/postgres" ], 0, qr/primary db-1/, $none, 'status, URI');
{
	local $ENV{PGHOST} = '127.0.0.1';
	local $ENV{PGPORT} = $port;
	local $ENV{PGUSER} = 'postgres';
	program_is(['status'], 0, qr/primary db-1/, $none, 'status, environment');
}
{
	my ($code, $out) = run_pgha('status', '--json', @member);
	is($code, 0, 'status --json: exit code');
	is($node->sql("SELECT j->>'cluster', j->>'primary', j->>'answered_by', j->'status'->>'leader',
		jsonb_array_length(j->'members'), j->'members'->1->>'lag_bytes', j->'members'->1->>'answered',
		jsonb_typeof(j->'members'->0->'term') FROM (SELECT \$json\$$out\$json\$::jsonb AS j) s"),
		'main|db-1|db-2|db-1|3|16777216|true|number', 'status --json: content');
}

$node->sql(q{UPDATE "Ha schema".member SET reachable = false WHERE node = 'db-1';
	UPDATE "Ha schema".self SET paused = true, config_error = 'pgha.members is empty'});
program_is([ 'status', @member ], 3,
	qr/NO PRIMARY, the last one known is db-1 .*\nPAUSED: .*\nCONFIGURATION ERROR on db-2: pgha\.members/, $none, 'status, no primary');
like((run_pgha('status', '-j', @member))[1], qr/"primary": null/, 'status --json, no primary');
$node->sql(q{UPDATE "Ha schema".member SET reachable = true, role = 'primary', state = 'primary'});
program_is([ 'status', @member ], 3, qr/MORE THAN ONE PRIMARY: db-1, db-2, db-3/, $none, 'status, too many primaries');
$node->sql(q{DELETE FROM "Ha schema".member;
	UPDATE "Ha schema".self SET node = '', state = 'disabled', role = 'none', leader = NULL, gate = NULL, reason = 'pgha.node is empty'});
program_is([ 'status', @member ], 1, qr/pgha does not manage the server .*pgha\.node is empty/s, $none, 'status, not managed');

program_is([ 'events', @member ], 0, qr/\ANo events/, $none, 'no events');
program_is([ 'events', '--json', @member ], 0, qr/\A\[\]\n\z/, $none, 'no events, JSON');
$node->sql(q{INSERT INTO "Ha schema".event SELECT '2026-01-02 03:04:05+00'::timestamptz + i * interval '1 s',
	'db-' || i % 3 + 1, 'promoted', i, 'event ' || i FROM generate_series(1, 60) i});
program_is([ 'events', @member ], 0, qr/\ATime .*What\n2026-01-02 03:04:16\+00:00 .* event 11\n(.*\n){48}.* event 60\n\z/, $none, 'events');
program_is([ 'events', '-n', '2', @member ], 0, qr/\ATime .*\n.*  59  event 59\n.*  60  event 60\n\z/, $none, 'events --limit');
is(scalar(() = (run_pgha('events', '-n', '1000', '--json', @member))[1] =~ /"what"/g), 60, 'events --json');

program_is([ 'pause', @member ], 0, qr/paused on all members/, $none, 'pause');
program_is([ 'resume', @member ], 0, qr/not on all members yet/, qr/WARNING:  db-3 has not confirmed\nHINT:  It may be down/, 'resume');
program_is([ 'promote', @member ], 1, $none, qr/error: the primary answers\nDETAIL:  It is db-1\.\nHINT:  Force it\./, 'promote');
program_is([ 'promote', '--force', '--accept-loss', @member ], 0, qr/db-2 is the primary now/, $none, 'promote --force');

$node->sql(q{CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA "Ha schema" TO reader;
	REVOKE ALL ON FUNCTION "Ha schema".pgha_status() FROM PUBLIC});
program_is([ 'status', @member[ 0 .. 3 ], '-U', 'reader', '-d', 'postgres' ], 1, $none,
	qr/permission denied for function pgha_status\nHINT:  .*pg_monitor/, 'status without privileges');

# What a member says reaches no terminal as it is: in answers, errors, notices, and
# in what it sends before a session has begun.
my $harm = qr/[\x00-\x08\x0b-\x1f\x7f-\x9f\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]/;

# All that the program has printed is UTF-8 without any of it.
sub harmless
{
	my ($name, $out, $err) = @_;
	my $text = $out . $err;
	my $valid = utf8::decode($text);
	ok($valid && $text !~ $harm, "$name: nothing harmful is printed") or diag "$out$err" =~ s/([^ -~\n])/sprintf '\\x%02x', ord $1/ger;
	return;
}

{
	my $bad = q{chr(27) || '[2J' || chr(155) || '31m' || chr(133) || chr(127) || chr(8238) || 'evil' || chr(8236) || chr(8295) || chr(8207) || chr(1564)};
	$node->sql(qq{SET search_path = "Ha schema";
DO \$do\$ BEGIN
	EXECUTE format('ALTER DATABASE postgres SET pgha.cluster = %L', 'cluster' || $bad);
	EXECUTE format('ALTER DATABASE postgres SET pgha.node = %L', 'node' || $bad || chr(10) || 'line');
END \$do\$;
DELETE FROM event;
INSERT INTO event VALUES (now(), 'db' || $bad, 'kind' || $bad, 1, 'what' || $bad);
UPDATE self SET node = 'node' || $bad, role = 'standby', state = 'standby', reason = 'reason' || $bad, config_error = 'error' || $bad, last_change_reason = 'change' || $bad;
INSERT INTO member VALUES ('db' || $bad || chr(10) || 'line', 'host' || $bad || ':1', 'primary', 'primary', true, 4, 5, NULL, 0, 'up' || $bad, NULL, false, now(), 'error' || $bad);
GRANT EXECUTE ON FUNCTION pgha_status() TO PUBLIC;
ALTER TABLE member ADD COLUMN "key\e[2J" text DEFAULT 'hidden';
CREATE OR REPLACE FUNCTION pgha_resume() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN
	RAISE WARNING '%', 'warning' || $bad USING DETAIL = 'detail' || $bad, HINT = 'hint' || $bad; RETURN true; END \$\$;
CREATE OR REPLACE FUNCTION pgha_promote(force boolean) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN
	IF NOT force THEN
		RAISE EXCEPTION '%', 'error' || $bad USING DETAIL = 'detail' || $bad, HINT = 'hint' || $bad; END IF; END \$\$;
CREATE FUNCTION pgha_doctor() RETURNS TABLE (severity text, "check" text, finding text, remedy text) LANGUAGE sql AS
	\$\$ SELECT 'error', 'check' || $bad, 'finding' || $bad, 'remedy' || $bad \$\$;
});
	foreach my $case ([ 'status', qr/error\?/ ], [ 'events', qr/what\?/ ], [ 'resume', qr/WARNING:  warning\?/ ], [ 'promote', qr/error: error\?/ ],
		[ 'promote --force --accept-loss', qr/node\?.*is the primary now/s ], [ 'doctor', qr/finding\?/ ])
	{
		my ($words, $pattern) = @$case;
		foreach my $json ($words =~ /^(?:status|events|doctor)$/ ? ([], ['--json']) : ([]))
		{
			my ($code, $out, $err) = run_pgha(split(' ', $words), @$json, @member);
			harmless("$words @$json", $out, $err);
			like($out . $err, $pattern, '... and the rest of it is');
			unlike($out . $err, qr/hidden/, '... but not what has a name of its own') if $words eq 'status';
		}
	}
	harmless('a database of that name', (run_pgha('status', @member, '-d', "no\e[2J\xc2\x9b\xe2\x80\xaedb\xff"))[ 1, 2 ]);
	my ($code, $out, $err) = run_pgha("sta\xc2\x9btus");
	harmless('a subcommand of that name', $out, $err);
}

# Notices before the login, from what listens at a server's port.
{
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!";
	my $child = fork() // die "fork: $!";
	if ($child == 0)
	{
		my $client = $listener->accept or POSIX::_exit(1);
		my $fields = "SWARNING\0VWARNING\0C01000\0Mhello\e[2J\xc2\x9b2J\xe2\x80\xae\xff\0\0";
		my ($length, $code) = (8, 80877103);
		while ($code == 80877103 || $code == 80877104)	# no TLS, no GSS
		{
			read($client, my $head, 8) or POSIX::_exit(1);
			($length, $code) = unpack('NN', $head);
			read($client, my $rest, $length - 8);
			syswrite($client, 'N') if $code == 80877103 || $code == 80877104;
		}
		syswrite($client, 'R' . pack('NN', 8, 0) . 'N' . pack('N', 4 + length $fields) . $fields
			. 'E' . pack('N', 4 + length $fields) . ($fields =~ s/WARNING/FATAL/gr =~ s/01000/28000/r) x 1 );
		close $client;
		POSIX::_exit(0);
	}
	my ($code, $out, $err) = run_pgha('status', '-h', '127.0.0.1', '-p', $listener->sockport, '-U', 'postgres');
	waitpid($child, 0);
	is($code, 1, 'a server that refuses the login');
	like($err, qr/WARNING:  hello\?\[2J.*error: /s, 'its notice is shown');
	harmless('a notice before the login', $out, $err);
}

# A frozen server.
{
	kill 'STOP', $node->{pid};
	my $start = time();
	program_is([ 'status', "host=127.0.0.1 connect_timeout=2 user=postgres port=$port" ], 1, $none, qr/timeout expired/, 'status, frozen server');
	cmp_ok(time() - $start, '<', 6, '... does not hang');
	kill 'CONT', $node->{pid};
}
$plain->stop_all;

# ---- a cluster ----

# Orders must be confirmed within failure_timeout.
my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($a, $b) = $cluster->nodes;

sub at { my ($node) = @_; return ('-h', $node->{socket}, '-p', $node->{port}, '-U', 'postgres'); }

foreach my $member ($a, $b)
{
	$cluster->wait_for("$member->{name} to see all members",
		sub { my $view = $member->view; keys %$view == 2 && !grep { !$_->{reachable} } values %$view });
}
{
	my $child = io_start("host=127.0.0.1 port=$a->{port} user=pgha application_name=t");
	my ($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'ok', 'report');
	like($text, qr/^pgha-1\\tnode=a\\t.*\\trole=primary\\t/, '... of the primary');
	like($text, qr/\\tevent=\d+/, '... with its events');
	my ($newest) = $text =~ /.*\\tevent=(\d+)/;
	($outcome, $text) = io_ask($child, 5000, 'report', 0);
	is($outcome, 'ok', 'another report');
	unlike($text, qr/\\tevent=/, '... tells no event twice');
	($outcome, $text) = io_ask($child, 5000, 'history', 1);
	is($outcome, 'error', 'the first timeline has no history');
	($outcome, $text) = io_ask($child, 5000, 'check', 0);
	is($outcome, 'ok', 'check');
	($outcome, $text) = io_ask($child, 5000, 'report', $newest);
	unlike($text, qr/\\tevent=/, 'a new session tells no event from before');
	is(io_end($child), 0, 'the child ends');
	$child = io_start("host=127.0.0.1 port=$b->{port} user=pgha application_name=t");
	($outcome, $text) = io_ask($child, 5000, 'report', '18446744073709551615');
	like($text, qr/^pgha-1\\tnode=b\\t.*\\trole=standby\\t.*\\tupstream=a\\t/, 'report of the standby');
	unlike($text, qr/\\tevent=/, '... without events');
	io_end($child);
}

foreach my $member ($a, $b)
{
	my ($code, $out, $err) = run_pgha('status', at($member));
	is($code, 0, "status at $member->{name}: exit code");
	like($out, qr/^Cluster main: primary a, term \d+, timeline 1  \(as $member->{name} sees it\)\n\n.*\n>.  a .*primary.*\n .  b .*standby.*\n\n/,
		"status at $member->{name}");
	like($out, qr/^[> ]\*  $member->{name} /m, '... marks who answered');
	note($out);
}
program_is([ 'status', '--json', at($b) ], 0, qr/"primary": "a"/, $none, 'status --json');
program_is([ 'events', at($b) ], 0, qr/\ATime .*\n.* a /, $none, 'events at the standby');

program_is([ 'pause', at($b) ], 0, qr/paused on all members/, $none, 'pause at the standby');
program_is([ 'status', at($a) ], 0, qr/\nPAUSED: /, $none, 'status at the primary, paused');
program_is([ 'resume', at($a) ], 0, qr/automatic again on all members/, $none, 'resume at the primary');
unlike((run_pgha('status', at($b)))[1], qr/PAUSED/, 'status at the standby, resumed');

program_is([ 'promote', at($b) ], 1, $none, qr/error: .*\n(?:.*\n)*HINT:  pgha promote --force /, 'promote, while the primary answers');
program_is([ 'promote', at($a) ], 1, $none, qr/HINT:  Call pgha promote on /, 'promote, of the primary');
program_is([ 'promote', '--force', at($b) ], 1, $none, qr/error: "a" leads and answers; what "b" lacks of its commits would be lost: .*\nHINT:  .*--accept-loss/, 'promote --force, while the primary answers');
program_is([ 'promote', '--force', '--accept-loss', at($b) ], 0, qr/\Ab is the primary now/, qr//, 'promote --force --accept-loss');
$cluster->wait_for('one primary as both see it', sub {
	my @seen = map { (run_pgha('status', '--json', at($_)))[1] =~ /"primary": "b"/ } $a, $b;
	return @seen == 2 });
program_is([ 'status', at($a) ], 0, qr/Cluster main: primary b, .*\(as a sees it\)/, $none, 'status at the former primary');
program_is([ 'events', '-n', '100', at($a) ], 0, qr/ b .*\n/, $none, 'events at the former primary');

run_pgha('pause', at($b));
$b->stop;
$cluster->wait_for('the loss to be seen', sub { (run_pgha('status', at($a)))[0] == 3 });
program_is([ 'status', at($a) ], 3, qr/NO PRIMARY, the last one known is b /, $none, 'status without a primary');
note((run_pgha('status', at($a)))[1]);
program_is([ 'status', "host=127.0.0.1,127.0.0.1 port=$b->{port},$a->{port} user=postgres" ], 3, qr/as a sees it/, $none,
	'status, asked of any member');
$cluster->stop_all;

is(PghaCluster::slurp($io_errors) // '', '', 'the children wrote nothing to stderr');
# Orphans become ours (PghaCluster.pm): those that have ended wait to be reaped.
ok(PghaCluster::poll_until('', sub {
	my $reaped;
	do { $reaped = waitpid(-1, WNOHANG) } while ($reaped > 0);
	return $reaped < 0 }), 'no process is left');

done_testing();
