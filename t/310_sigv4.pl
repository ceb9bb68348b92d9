
# Signatures for AWS (src/net/sigv4.c), by three witnesses: the vectors that AWS
# publishes, botocore on hundreds of random requests, and libcurl's own signer.
use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Socket::INET;
use IPC::Open2;
use MIME::Base64;
use Test::More;

my $tool = 'build/sigv4_tool';
my $seed = $ENV{PGHA_SEED} // time;
my $dir = tempdir(CLEANUP => 1);

srand($seed);
note "seed $seed (PGHA_SEED repeats it)";

my $pid = open2(my $from_tool, my $to_tool, $tool);

# As fields of COPY text.
sub line
{
	my @fields = @_;
	foreach (@fields)
	{
		s/\\/\\\\/g;
		s/\t/\\t/g;
		s/\n/\\n/g;
		s/\r/\\r/g;
	}
	return join("\t", @fields) . "\n";
}

# ($date, $authorization) for key id, secret, region, service, time, body, headers.
sub sign
{
	print { $to_tool } line(@_);
	$to_tool->flush;
	chomp(my $answer = <$from_tool>);
	return split /\t/, $answer;
}

# ---- AWS's own test suite: its cases that are a POST to "/" without a query ----

my @host = (Host => 'example.amazonaws.com');
my $session = 'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxf'
  . 'pSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0'
  . 'wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj'
  . 'c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==';
my @vectors = (
	[ 'post-vanilla', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b', '', @host ],
	[ 'post-header-key-case', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b', '',
		HOST => 'example.amazonaws.com' ],
	[ 'post-header-key-sort', 'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c', '',
		'My-Header1' => 'value1', @host ],
	[ 'post-header-value-case', 'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d', '',
		'My-Header1' => 'VALUE1', @host ],
	[ 'post-sts-header-after', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b', '', @host ],
	[ 'post-sts-header-before', '85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead', '',
		@host, 'X-Amz-Security-Token' => $session ],
	[ 'post-x-www-form-urlencoded', 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
		'Param1=value1', @host, 'Content-Type' => 'application/x-www-form-urlencoded' ],
	[ 'post-x-www-form-urlencoded-parameters',
		'1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
		'Param1=value1', @host, 'Content-Type' => 'application/x-www-form-urlencoded; charset=utf8' ]);

foreach my $vector (@vectors)
{
	my ($name, $signature, $body, @headers) = @$vector;
	my ($date, $authorization) =
	  sign('AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', 'us-east-1', 'service', 1440938160, $body, @headers);

	is($date, '20150830T123600Z', "$name: date");
	like($authorization,
		qr{^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=$signature$},
		"$name: signature");
}

# ---- botocore ----

my $reference = "$dir/reference.py";
open(my $script, '>', $reference) or die "$reference: $!";
print $script <<'PYTHON';
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for line in sys.stdin:
    r = json.loads(line)
    headers = {}
    for name, value in zip(r['headers'][::2], r['headers'][1::2]):
        headers[name] = value
    headers['X-Amz-Date'] = r['date']
    request = AWSRequest(method='POST', url='https://' + headers['Host'] + '/', data=r['body'].encode('latin-1'), headers=headers)
    request.context['timestamp'] = r['date']
    auth = SigV4Auth(Credentials(r['id'], r['secret']), r['service'], r['region'])
    canonical = auth.canonical_request(request)
    print(auth._inject_signature_to_request(request, auth.signature(auth.string_to_sign(request, canonical), request)).headers['Authorization'], flush=True)
PYTHON
close $script;

sub random_text
{
	my ($length, $characters) = @_;
	my @characters = split //, $characters;
	return join '', map { $characters[ rand @characters ] } 1 .. $length;
}

my $alphanumeric = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9;

sub random_request
{
	my @headers = (Host => random_text(1 + rand 20, $alphanumeric) . (rand() < 0.5 ? ':' . int(1024 + rand 60000) : '.example.com'));
	my %names = ('x-amz-date' => 1);

	push @headers, 'Content-Type' => 'application/x-www-form-urlencoded; charset=utf-8' if rand() < 0.7;
	push @headers, 'X-Amz-Security-Token' => encode_base64(random_text(rand 1500, $alphanumeric), '') . 'x' if rand() < 0.5;
	foreach (1 .. rand 8)
	{
		# Names that are prefixes of each other are where an order goes wrong.
		my $name = 'X-' . random_text(1 + rand 3, 'abAB-');
		next if $name =~ /-$/ || $names{ lc $name }++;
		my $value = random_text(rand 40, "$alphanumeric  \t;=,\"'%&:/");
		$value =~ s/^[ \t]+|[ \t]+$//g;
		push @headers, $name => $value;
	}
	return {
		id => 'AKIA' . random_text(16, $alphanumeric),
		secret => random_text(1 + rand 60, "$alphanumeric+/="),
		region => ('us-east-1', 'eu-central-1', 'cn-north-1', 'us-gov-west-1')[ rand 4 ],
		service => ('ec2', 's3', 'service')[ rand 3 ],
		time => int(rand 4_000_000_000),
		body => random_text(rand(rand() < 0.1 ? 4000 : 200), join('', map { chr } 1 .. 255)),
		headers => \@headers };
}

sub json
{
	my ($value) = @_;
	return '[' . join(',', map { json($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return '{' . join(',', map { json($_) . ':' . json($value->{$_}) } keys %$value) . '}' if ref $value eq 'HASH';
	return '"' . join('', map { sprintf '\\u%04x', ord } split //, $value) . '"';
}

my $reference_pid = open2(my $from_reference, my $to_reference, '/usr/bin/python3', $reference);
my ($same, $different) = (0, undef);
foreach my $number (1 .. 500)
{
	my $request = random_request();
	my ($date, $authorization) = sign(@$request{qw(id secret region service time body)}, @{ $request->{headers} });

	print { $to_reference } json({ %$request, date => $date }) . "\n";
	$to_reference->flush;
	chomp(my $expected = <$from_reference> // 'no answer');
	if (($authorization // '') eq $expected) { $same++ }
	else { $different //= json($request) . "\n$authorization\n$expected" }
}
is($same, 500, 'botocore signs 500 random requests the same way') or diag $different;
close $to_reference;
waitpid $reference_pid, 0;

# ---- libcurl ----

# One request that libcurl signed, as it arrived.
sub from_curl
{
	my ($token, $body) = @_;
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Timeout => 60) or die "listen: $!";
	my $port = $listener->sockport;
	my $child = fork() // die "fork: $!";
	if ($child == 0)
	{
		exec($tool, 'curl', "http://127.0.0.1:$port/", 'eu-central-1', 'ec2', 'AKIDCURL', 'secret/of+curl', $token, $body);
	}
	my $socket = $listener->accept or die "accept: $!";
	my (%headers, $got);
	while (my $header = <$socket>)
	{
		$header =~ s/\r?\n$//;
		last if $header eq '';
		$headers{ lc $1 } = $2 if $header =~ /^([^:]+): ?(.*)/;
	}
	read $socket, $got, $headers{'content-length'} // 0;
	print $socket "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	close $socket;
	waitpid $child, 0;
	return (\%headers, $got);
}

use Time::Local;

foreach my $case ([ '', 'Action=DescribeAddresses&Version=2016-11-15' ], [ 'FwoGZXIvYXdzE//+a==', 'A=b' ], [ 'x' x 800, 'a=' . 'b' x 3000 ])
{
	my ($token, $body) = @$case;
	my ($headers, $got) = from_curl($token, $body);
	my $name = 'libcurl, ' . length($token) . ' bytes of token, ' . length($body) . ' of body';

	is($got, $body, "$name: the body arrived");
	my ($signed) = $headers->{authorization} =~ /SignedHeaders=([^,]+)/;
	my ($year, $month, $day, $hour, $minute, $second) =
	  $headers->{'x-amz-date'} =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
	my (undef, $authorization) = sign('AKIDCURL', 'secret/of+curl', 'eu-central-1', 'ec2',
		timegm($second, $minute, $hour, $day, $month - 1, $year), $body,
		map { $_ => $headers->{$_} } grep { $_ ne 'x-amz-date' } split /;/, $signed);
	my ($theirs) = $headers->{authorization} =~ /Signature=(\w+)/;
	my ($ours) = $authorization =~ /Signature=(\w+)/;
	is($ours, $theirs, "$name: the same signature");
}

# ---- limits ----

is((sign('k', 's', 'r', 's', 1, '', map { ("h$_", 'v') } 1 .. 16))[0], 'error', 'too many headers are refused');
is((sign('k', 's' x 300, 'r', 's', 1, '', @host))[0], 'error', 'a secret that is too long is refused, not cut');
is((sign('k', 's', 'r', 's', 1, '', @host, a => 'v' x 20000))[0], 'error', 'a header that is too long is refused');
is((sign('k' x 1000, 's', 'r', 's', 1, '', @host))[0], 'error', 'a key id that is too long is refused');
is((sign('k', 's', 'r' x 300, 's', 1, '', @host))[0], 'error', 'a region that is too long is refused');
is((sign('k', 's', 'r', 's', 999_999_999_999_999, '', @host))[0], 'error', 'a time beyond year 9999 is refused');

close $to_tool;
waitpid $pid, 0;
is($?, 0, 'the signer ended well');
done_testing();
