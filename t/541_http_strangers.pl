# Whoever reaches pgha.http is a stranger: bad and endless requests, too many connections;
# TLS; a port that is in use; settings that change; and no process is left behind.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use PghaCluster;
use PghaHttp;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 1);
my ($a) = $cluster->nodes;
$a->{http} = $cluster->free_port;
my $second = $cluster->free_port;
$a->{settings}{'pgha.http'} = "127.0.0.1:$a->{http}";
$cluster->build;
$a->start_agent(net_admin => 1);
codes_become($a, { '/primary' => 200, '/replica' => 503 }, 'a server alone');
sub privileges { my ($pid) = @_; return join ' ', (PghaCluster::slurp("/proc/$pid/status") // '') =~ /^(?:CapPrm|CapAmb|NoNewPrivs):\s*(\S+)/mg; }
isnt((split / /, privileges($a->{agent_pid}))[0], '0' x 16, 'the agent has capabilities');
is(privileges(http_pid($a)), ('0' x 16) . ' ' . ('0' x 16) . ' 1', '... but not the process that strangers talk to');

sub set_http
{
	my (%setting) = @_;
	$a->configure(%setting);
	kill 'HUP', $a->{agent_pid};
	return;
}

sub listens { my ($port) = @_; my $socket = connection($port) or return 0; close $socket; return 1; }

# ---- requests ----
my $port = $a->{http};
my $ok = "Host: x\r\nConnection: close\r\n\r\n";
sub first_line { my ($bytes) = @_; my ($line) = (raw_request($port, $bytes) // '') =~ /^([^\r\n]*)/; return $line; }
foreach my $method (qw(POST PUT PATCH DELETE))
{
	my $reply = request($port, '/switchover', method => $method);
	is("$reply->{code} " . ($reply->{headers}{allow} // ''), '405 GET, HEAD, OPTIONS', "$method changes nothing");
}
like(first_line("POST /restart HTTP/1.1\r\nContent-Length: 1000000\r\n$ok" . 'x' x 1000), qr/ 405 /, 'a body that never ends');
like(first_line("GET /primary HTTP/1.1\r\nTransfer-Encoding: chunked\r\n$ok"), qr/ 413 /, 'a GET with a body');
like(first_line("GET /primary HTTP/1.1\r\nX: " . 'x' x 40000 . "\r\n$ok"), qr/ 431 /, 'a header that is too long');
like(first_line("GET /primary HTTP/1.1\r\n" . join('', map { "X$_: y\r\n" } 1 .. 5000) . $ok), qr/ 431 /, 'too many headers');
like(first_line('GET /' . 'x' x 40000 . " HTTP/1.1\r\n$ok"), qr/ (?:414|431) /, 'a path that is too long');
like(first_line('GET /' . 'x' x 1000 . " HTTP/1.1\r\n$ok"), qr/ 414 /, 'one that is long');
like(first_line("GET /primary HTTP/1.0\r\n\r\n"), qr/ 200 /, 'HTTP/1.0');
like(first_line("GET /%70rimary HTTP/1.1\r\n$ok"), qr/ 200 /, 'an escaped path');
like(first_line("GET /primary%00x HTTP/1.1\r\n$ok"), qr/^$| (?:400|404|200) /, 'one with a zero');
like(first_line("GET /../../etc/passwd HTTP/1.1\r\n$ok"), qr/ 404 /, 'one that leads elsewhere');
like(first_line("GET /replica?lag=" . 'x' x 5000 . " HTTP/1.1\r\n$ok"), qr/ 503 /, 'an argument of any length');
like(first_line("\x00\xff\x16\x03\x01 nonsense\r\n\r\n") // '', qr/^$| (?:400|505) /, 'no HTTP at all');
like(first_line("GET /primary HTTP/9.9\r\n$ok"), qr/^$| (?:400|505|200) /, 'HTTP of the future');
my $reply = request($port, '/primary');
is("$reply->{headers}{'cache-control'}, $reply->{headers}{'x-content-type-options'}, $reply->{headers}{'content-security-policy'}, $reply->{headers}{'content-type'}",
	"no-store, nosniff, default-src 'none', application/json", 'headers');
my $kept = connection($port);
foreach my $n (1, 2)
{
	syswrite $kept, "GET /liveness HTTP/1.1\r\nHost: x\r\n\r\n";
	IO::Select->new($kept)->can_read(20);
	sysread $kept, my $text, 4096;
	like($text, qr/^HTTP\/1.1 200 /, "request $n of a connection");
}
close $kept;

# ---- connections ----
local $SIG{PIPE} = 'IGNORE';
my @idle = map { connection($port) } 1 .. 40;
is(scalar(grep { defined } @idle), 40, '40 connections that say nothing');
is(request($port, '/primary')->{code}, 200, '... do not keep others from being answered');
sub code_from
{
	my ($address) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => $address, Timeout => 20) or return 0;
	syswrite $socket, "GET /primary HTTP/1.0\r\n\r\n";
	IO::Select->new($socket)->can_read(20);
	sysread $socket, my $text, 4096;
	return ($text // '') =~ m{^HTTP/1\.\d (\d+)} ? $1 : 0;
}
eventually(sub { @idle = map { connection($port) } 1 .. 100; return code_from('127.0.0.1') == 0 && code_from('127.0.0.2') == 200; }, 30,
	'100 from one address are too many, which others do not feel');
undef @idle;
eventually(sub { request($port, '/primary')->{code} == 200 }, 20, '... and it is answered again when they have gone');
is(request($port, '/primary')->{code}, 200, '... again') foreach 1 .. 3;

# One that sends a byte now and then; false once the other side has ended it.
sub drip
{
	my ($socket) = @_;
	syswrite $socket, 'x';
	return !IO::Select->new($socket)->can_read(0.3);
}
my ($known, $fresh) = map { connection($port) } 1, 2;
syswrite $known, "GET /liveness HTTP/1.1\r\nHost: x\r\n\r\n";
IO::Select->new($known)->can_read(20);
sysread $known, my $answered, 4096;
syswrite $_, "GET /primary HTTP/1.1\r\nX: " foreach $known, $fresh;
my $known_stays = 1;
eventually(sub { return 1 if !drip($fresh); $known_stays = drip($known); return 0; }, 30, 'a first request that comes drop by drop is ended');
ok($known_stays, '... sooner than one of a connection that has had an answer');
eventually(sub { !drip($known) }, 30, '... which is, too');

# ---- the session with the server ----
my $session = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pgha agent http'};
my $backend = $a->value($session);
foreach (1 .. 3) { $a->sql("SELECT pg_cancel_backend($backend)"); codes_become($a, { '/primary' => 200 }, 'a query is cancelled'); }
is($a->value($session), $backend, '... and sent again in the same session');
my $passfile = "$cluster->{base}/pgpass";
PghaCluster::spew($passfile, "*:*:*:*:x\n");
PghaCluster::give_to_postgres($passfile);
chmod 0644, $passfile or die;
my $mark = $a->agent_mark;
set_http('pgha.conninfo' => "user=pgha passfile=$passfile");
eventually(sub { my $now = $a->value($session); $now && $now != $backend && request($port, '/primary')->{code} == 200 }, 30, 'a password file that is open');
unlike(substr($a->agent_text, $mark), qr/has group or world access/, '... libpq says nothing of it');
my $hba = PghaCluster::slurp("$a->{data}/pg_hba.conf");
PghaCluster::spew("$a->{data}/pg_hba.conf", "host all pgha all reject\n$hba");
$a->reload;
$a->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgha agent http'");
$a->wait_agent_log(qr/WARNING:  http: own server: .*28000: .*reject/, $mark);
codes_become($a, { '/primary' => 503 }, 'a login that is refused is told, and nothing is known');
PghaCluster::spew("$a->{data}/pg_hba.conf", $hba);
$a->reload;
codes_become($a, { '/primary' => 200 }, '... until it is not');

# ---- a port that is in use, and one that changes ----
my $holder = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $second, Listen => 1, ReuseAddr => 1) or die;
$mark = $a->agent_mark;
set_http('pgha.http' => "127.0.0.1:$a->{http}, 127.0.0.1:$second");
$a->wait_agent_log(qr/WARNING:  http: cannot answer on 127.0.0.1:$second, is tried again: Address already in use/, $mark);
codes_become($a, { '/primary' => 200 }, 'a port in use: the other one is answered on');
close $holder;
eventually(sub { request($second, '/primary')->{code} == 200 }, 20, 'when it is free it is answered on, too');
is(scalar(() = substr($a->agent_text, $mark) =~ /cannot answer/g), 1, 'that it was not is said once');
set_http('pgha.http' => "127.0.0.1:$second");
eventually(sub { !listens($a->{http}) && request($second, '/primary')->{code} == 200 }, 20, 'a port that changes');
$mark = $a->agent_mark;
set_http('pgha.http' => "127.0.0.1:$second, nonsense:x");
$a->wait_agent_log(qr/the former one stays in force: pgha.http/, $mark);
is(request($second, '/primary')->{code}, 200, 'one that is none changes nothing');
set_http('pgha.http' => "no-such-host.invalid:$a->{http}, 127.0.0.1:$second");
$a->wait_agent_log(qr/WARNING:  http: cannot answer on no-such-host.invalid:$a->{http}, is tried again: .*no-such-host/, $mark);
eventually(sub { request($second, '/primary')->{code} == 200 }, 20, 'a name that is not found holds nobody up');
set_http('pgha.http' => "[::1]:$second");
SKIP:
{
	my $inet6 = PghaCluster::slurp('/proc/net/if_inet6') // '';
	skip 'no IPv6 here', 1 unless $inet6 =~ /^0{31}1 /m;
	my $answer = sub { require IO::Socket::IP; my $socket = IO::Socket::IP->new(PeerHost => '::1', PeerPort => $second) or return 0; syswrite $socket, "GET / HTTP/1.0\r\n\r\n"; sysread($socket, my $text, 4096); return ($text // '') =~ / 200 /; };
	eventually($answer, 20, 'IPv6') or diag $a->agent_text;
}

# ---- TLS ----
my $pki = "$cluster->{base}/pki";
mkdir $pki;
chmod 0755, $pki;
sub openssl { my (@argument) = @_; return PghaCluster::must_run([ 'openssl', @argument ]); }
openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2, '-subj', '/CN=ca', '-keyout', "$pki/ca.key", '-out', "$pki/ca.crt");
PghaCluster::spew("$pki/ext", "subjectAltName=IP:127.0.0.1\n");
sub certify
{
	my ($serial) = @_;
	openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', "/CN=server-$serial", '-keyout', "$pki/new.key", '-out', "$pki/new.csr");
	openssl('x509', '-req', '-in', "$pki/new.csr", '-CA', "$pki/ca.crt", '-CAkey', "$pki/ca.key", '-set_serial', $serial, '-days', 1, '-extfile', "$pki/ext", '-out', "$pki/new.crt");
	PghaCluster::give_to_postgres("$pki/new.key");
	chmod 0644, "$pki/new.crt";
	chmod 0600, "$pki/new.key";
	rename "$pki/new.$_", "$pki/http.$_" or die foreach qw(key crt);
	return;
}
certify(11);
chmod 0644, "$pki/http.key" or die;
my @check = (PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'agent', '--check', '-D', $a->{data});
$mark = $a->agent_mark;
set_http('pgha.http' => "127.0.0.1:$a->{http}", 'pgha.http_tls_cert' => "$pki/http.crt", 'pgha.http_tls_key' => "$pki/http.key");
$a->wait_agent_log(qr/others may read the private key ".*http.key": run chmod 0600/, $mark);
ok(!listens($a->{http}), 'a private key that others may read is not used');
my (undef, $checked) = PghaCluster::run_command(\@check, timeout => 20);
like($checked, qr/^http +127.0.0.1:$a->{http} \(TLS\)\n +others may read the private key/m, '... as agent --check says, too');
chmod 0600, "$pki/http.key" or die;

# The answer, and the serial number of the certificate.
sub over_tls
{
	my (@argument) = @_;
	my ($status, $out, $err) = PghaCluster::run_command(
		[ 'sh', '-c', 'printf "GET /primary HTTP/1.0\r\n\r\n" | openssl s_client -connect "$1" -CAfile "$2" -verify_return_error -verify_ip 127.0.0.1 -ign_eof $3', 'sh',
			"127.0.0.1:$a->{http}", "$pki/ca.crt", "@argument" ], timeout => 20);
	my ($code) = $out =~ m{^HTTP/1\.\d (\d+)}m;
	my ($subject) = $out =~ /subject=CN ?= ?(\S+)/;
	return ($code // 'no answer') . ' ' . ($subject // '');
}
eventually(sub { over_tls() eq '200 server-11' }, 20, 'TLS') or diag over_tls(), $a->agent_text;
is(over_tls('-tls1_2'), '200 server-11', '... 1.2');
unlike(over_tls('-tls1_1'), qr/^200/, '... but not 1.1');
isnt(request($a->{http}, '/primary')->{code}, 200, 'nothing is answered without it');
certify(12);
eventually(sub { over_tls() eq '200 server-12' }, 20, 'a renewed certificate is taken over') or diag over_tls();
$mark = $a->agent_mark;
my $renewed = qr/WARNING:  http: the renewed certificate or key is not used, the former one stays in force: /;
openssl('genrsa', '-out', "$pki/new.key", '2048');
PghaCluster::give_to_postgres("$pki/new.key");
chmod 0600, "$pki/new.key";
rename "$pki/new.key", "$pki/http.key" or die;
$a->wait_agent_log(qr/$renewed.*do not belong together/, $mark);
is(over_tls(), '200 server-12', 'with another key the former pair stays in force');
chmod 0644, "$pki/http.key" or die;
$a->wait_agent_log(qr/$renewed.*others may read/, $mark);
is(over_tls(), '200 server-12', '... with one that others may read, too');
unlink "$pki/http.key" or die;
$a->wait_agent_log(qr/$renewed.*could not open/, $mark);
is(over_tls(), '200 server-12', '... and without any');
(undef, $checked) = PghaCluster::run_command(\@check, timeout => 20);
like($checked, qr/^http +127.0.0.1:$a->{http} \(TLS\)\n +could not open/m, '... which agent --check says');
certify(13);
eventually(sub { over_tls() eq '200 server-13' }, 20, 'until there is a pair') or diag over_tls();
set_http('pgha.http_tls_cert' => undef, 'pgha.http_tls_key' => undef);
codes_become($a, { '/primary' => 200 }, 'without TLS again');
unlike($a->agent_text, qr/PRIVATE/, 'no key in the log');

# ---- the process ----
my $pid = http_pid($a);
kill 'KILL', $pid;
eventually(sub { my $next = http_pid($a); $next && $next != $pid && request($a->{http}, '/primary')->{code} == 200 }, 20, 'a process that dies is started again');
like($a->agent_text, qr/WARNING:  http: the process has died, and is started again/, '... and the log says so');
$pid = http_pid($a);
$a->stop_agent('KILL');
eventually(sub { $a->reap($pid); return !-e "/proc/$pid" }, 20, 'it ends with the agent, however that ends');
ok(!listens($a->{http}), '... and nobody listens any more');
$a->start_agent;
codes_become($a, { '/primary' => 200 }, 'it is back with the next agent');
$mark = $a->agent_mark;
set_http('pgha.agent_log_format' => 'json');
$a->wait_agent_log(qr/"process": ?"http".*answers on/, $mark);
$pid = http_pid($a);
set_http('pgha.http' => undef);
eventually(sub { !http_pid($a) && !-e "/proc/$pid" && !listens($a->{http}) }, 20, 'without pgha.http there is none');
$a->stop_agent;

done_testing();
