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
$a->start_agent;
codes_become($a, { '/primary' => 200, '/replica' => 503 }, 'a server alone');

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
# One that sends a byte now and then, all the time from here on.
my $slow = connection($a->{http});
syswrite $slow, "GET /primary HTTP/1.1\r\nX: ";
local $SIG{PIPE} = 'IGNORE';

# False once the other side has ended it.
sub drip
{
	syswrite $slow, 'x';
	return !IO::Select->new($slow)->can_read(0.5);
}

my @idle = map { connection($port) } 1 .. 200;
is(scalar(grep { defined } @idle), 200, '200 connections that say nothing');
is(request($port, '/primary')->{code}, 200, '... do not keep others from being answered');
push @idle, map { connection($port) } 1 .. 500;
drip();
undef @idle;
eventually(sub { request($port, '/primary')->{code} == 200 }, 20, 'nor do 700, when they have gone');
is(request($port, '/primary')->{code}, 200, '... again') foreach 1 .. 3;
eventually(sub { !drip() }, 30, 'a request that comes drop by drop is ended');

# ---- a port that is in use, and one that changes ----
my $holder = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $second, Listen => 1, ReuseAddr => 1) or die;
my $mark = $a->agent_mark;
set_http('pgha.http' => "127.0.0.1:$a->{http}, 127.0.0.1:$second");
$a->wait_agent_log(qr/http: cannot answer on 127.0.0.1:$second, is tried again: Address already in use/, $mark);
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
set_http('pgha.http_tls_cert' => undef, 'pgha.http_tls_key' => undef);
codes_become($a, { '/primary' => 200 }, 'without TLS again');
unlike($a->agent_text, qr/PRIVATE/, 'no key in the log');

# ---- the process ----
my $pid = http_pid($a);
kill 'KILL', $pid;
eventually(sub { my $next = http_pid($a); $next && $next != $pid && request($a->{http}, '/primary')->{code} == 200 }, 20, 'a process that dies is started again');
like($a->agent_text, qr/http: the process has died, and is started again/, '... and the log says so');
$pid = http_pid($a);
$a->stop_agent('KILL');
eventually(sub { $a->reap($pid); return !-e "/proc/$pid" }, 20, 'it ends with the agent, however that ends');
ok(!listens($a->{http}), '... and nobody listens any more');
$a->start_agent;
codes_become($a, { '/primary' => 200 }, 'it is back with the next agent');
$pid = http_pid($a);
set_http('pgha.http' => undef);
eventually(sub { !http_pid($a) && !-e "/proc/$pid" && !listens($a->{http}) }, 20, 'without pgha.http there is none');
$a->stop_agent;

done_testing();
