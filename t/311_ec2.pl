
# Addresses on EC2 (src/net) against a small EC2 that checks every signature and
# can fail in all sorts of ways: t/fake_ec2.py.  Several processes of the client
# are several instances.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Select;
use IPC::Open3;
use JSON::PP;
use PghaCluster::Host qw(poll_until);
use Symbol qw(gensym);
use Test::More;
use Time::HiRes qw(time);

my $dir = tempdir(CLEANUP => 1);
my $http = HTTP::Tiny->new(timeout => 30, no_proxy => ['127.0.0.1']);
my ($a, $b, $c) = ('i-0a', 'i-0b', 'i-0c');
my $vip = '10.0.3.10';
my (@children, %tool);

delete $ENV{$_} foreach grep { /^AWS_|_proxy$/i } keys %ENV;
$ENV{HOME} = $dir;
$ENV{ASAN_OPTIONS} = 'abort_on_error=0:exitcode=99';

# ---- EC2 ----

my $world = {
	region => 'eu-central-1',
	subnets => { 'subnet-1' => '10.0.3.0/24', 'subnet-2' => '10.0.4.0/23', 'subnet-3' => '10.0.40.0/26' },
	enis => {
		'eni-a' => { mac => '0e:00:00:00:00:0a', subnet => 'subnet-1', ips => ['10.0.3.21'], instance => $a },
		'eni-b' => { mac => '0e:00:00:00:00:0b', subnet => 'subnet-1', ips => ['10.0.3.22'], instance => $b },
		# Listed first, attached second.
		'eni-c1' => { mac => '0a:00:00:00:00:c1', subnet => 'subnet-3', ips => ['10.0.40.5'], instance => $c, device => 1 },
		'eni-c0' => { mac => '0E:00:00:00:00:C0', subnet => 'subnet-2', ips => ['10.0.4.5'], instance => $c, device => 0 },
		'eni-d' => { mac => '0e:00:00:00:00:0d', subnet => 'subnet-1', ips => ['10.0.3.23'], instance => 'i-0d' } },
	instances => { $a => { role => 'pgha' }, $b => { role => 'pgha' }, $c => { role => 'pgha' }, 'i-0d' => {} },
	addresses => { 'eipalloc-1' => '203.0.113.5', 'eipalloc-2' => '203.0.113.6' },
	tables => { 'rtb-1' => { '10.9.0.1/32' => 'eni-b' }, 'rtb-2' => {}, 'rtb-3' => { '10.9.0.1/32' => 'eni-gone' } },
	keys => { AKIDSTATICSTATIC => 'static/secret+0123456789', AKIDOTHEROTHER => 'other/secret+9876543210' } };

sub write_file
{
	my ($name, $text) = @_;
	open(my $file, '>', "$dir/$name") or die "$name: $!";
	print $file $text;
	close $file;
	return "$dir/$name";
}

sub quietly
{
	my @command = @_;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		open(STDOUT, '>', "$dir/output") and open(STDERR, '>&', \*STDOUT);
		exec(@command);
	}
	waitpid $pid, 0;
	die "@command failed" if $? != 0;
	return;
}

quietly('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=fake', '-addext',
	'subjectAltName=IP:127.0.0.1', '-keyout', "$dir/key.pem", '-out', "$dir/cert.pem", '-batch');

# Global, as the end of the scope would wait for the process before END has ended it.
our $fake;
push @children, open($fake, '-|', '/usr/bin/python3', 't/fake_ec2.py', write_file('world.json', encode_json($world)),
	"$dir/cert.pem", "$dir/key.pem");
my (undef, $ec2_port, $imds_port, $tls_port, $imds6_port) = split ' ', <$fake> // die 'the fake EC2 does not start';
my $endpoint = "http://127.0.0.1:$ec2_port";

END
{
	my $status = $?;
	kill 'TERM', @children if @children;
	close $fake if $fake;		# named here, or perl would close it, and wait for ever, before this
	$? = $status;
}

sub control
{
	my ($command, $argument) = @_;
	my $reply = $http->post("$endpoint/_control/$command", { content => encode_json($argument // {}) });
	die "$command: $reply->{status} $reply->{content}" unless $reply->{success};
	return;
}

sub fetch { return decode_json($http->get("$endpoint/_control/$_[0]")->{content}) }
sub setting { my %settings = @_; return control('set', \%settings) }
sub faults { return control('faults', [ map { { service => 'ec2', %$_ } } @_ ]) }
sub fault { my ($mode, %more) = @_; return faults({ mode => $mode, %more }) }
sub state { return fetch('state') }
sub owner { my ($ip) = @_; my $enis = state()->{enis}; return (grep { grep { $_ eq $ip } @{ $enis->{$_}{ips} } } sort keys %$enis)[0] // '' }
sub requests { my ($service) = @_; return grep { $_->{service} eq $service } @{ fetch('log') } }
sub actions { return join ' ', map { $_->{action} } requests('ec2') }
sub codes { return join ' ', map { $_->{code} // $_->{status} // $_->{fault} // '?' } requests('ec2') }

# ---- the client ----

my $everything_said = '';

# Starts a client; keeps it under its name.  Environment as NAME => value.
sub start
{
	my ($name, $instance, $environment, @options) = @_;
	my $stderr = gensym;

	local @ENV{ keys %$environment } = values %$environment;
	my @all = ("imds=http://127.0.0.1:$imds_port/$instance", (grep { /^endpoint=/ } @options) ? () : "endpoint=$endpoint", @options);
	stop($name) if $tool{$name};
	my $pid = open3(my $in, my $out, $stderr, 'build/ec2_tool', @all);
	$tool{$name} = { pid => $pid, in => $in, out => $out, err => $stderr, log => '' };
	return $name;
}

# What it has logged so far.
sub logged
{
	my ($name) = @_;
	my $tool = $tool{$name};
	while (IO::Select->new($tool->{err})->can_read(0))
	{
		sysread($tool->{err}, my $more, 65536) or last;
		$tool->{log} .= $more;
		$everything_said .= $more;
	}
	return $tool->{log};
}

sub ask
{
	my ($name, $command) = @_;
	my $tool = $tool{$name};

	print { $tool->{in} } "$command\n";
	$tool->{in}->flush;
	my $answer = '';
	while ($answer !~ /\n$/)
	{
		IO::Select->new($tool->{out})->can_read(60) or die "no answer to \"$command\"";
		sysread($tool->{out}, $answer, 4096, length $answer) or last;
	}
	$everything_said .= $answer;
	logged($name);
	chomp $answer;
	$answer =~ s/ $//;
	return $answer;
}

# Ends a client; it must end well (sanitizers).
sub stop
{
	my ($name) = @_;
	my $tool = delete $tool{$name};
	close $tool->{in};
	waitpid $tool->{pid}, 0;
	my $status = $?;
	local $/;
	my $rest = readline($tool->{err}) // '';
	$everything_said .= $rest;
	is($status, 0, "$name ended well") or diag $rest;
	return;
}

sub clear { control('clear'); return }
sub calm { faults(); setting(clock_offset => 0, assign_delay => 0, unauthorized => [], expired_code => 'RequestExpired'); clear(); return }

start('a', $a, {});
start('b', $b, {});

# ---- a secondary address ----

is(ask('a', "prepare ec2 $vip"), 'yes', 'prepare');
is_deeply([ requests('ec2') ], [], 'preparing asks nothing of EC2');
is((grep { $_->{method} eq 'GET' && !$_->{token} } requests('imds')), 0, 'the metadata service is asked with a token only');
clear();
is(ask('a', "prepare ec2 $vip"), 'yes', 'prepare again');
is_deeply(fetch('log'), [], 'preparing again asks nobody');
setting(assign_delay => 2);
is(ask('a', "take 10000 -1 ec2 $vip"), 'yes', 'take');
my @log = @{ fetch('log') };
is($log[0]{action}, 'AssignPrivateIpAddresses', 'the first request after preparing takes the address');
is((grep { $_->{service} eq 'ec2' } @log), 1, 'it is the only one to EC2');
is($log[0]{signature}, 'good', 'its signature is good');
is($log[0]{user_agent}, 'pgha', 'its user agent is pgha');
is_deeply($log[0]{params},
	{ Action => 'AssignPrivateIpAddresses', Version => '2016-11-15', NetworkInterfaceId => 'eni-a', 'PrivateIpAddress.1' => $vip,
		AllowReassignment => 'true' }, 'its parameters');
cmp_ok(scalar(grep { ($_->{path} // '') =~ /local-ipv4s/ } @log), '>', 1, 'the metadata service is asked until it shows the address');
is((grep { $_->{service} eq 'imds' && $_->{path} !~ /local-ipv4s/ } @log), 0, 'and for nothing else');
setting(assign_delay => 0);
is(owner($vip), 'eni-a', 'the address is there');
is(ask('a', "check ec2 $vip"), 'held', 'a holds it');
is(ask('b', "check ec2 $vip"), "not_held $vip is not on eni-b", 'b does not');
is(ask('a', "take 5000 -1 ec2 $vip"), 'yes', 'taking what one has');
is(ask('a', "mac ec2 $vip"), 'yes 0e:00:00:00:00:0a', 'MAC');
is(ask('a', 'instance'), "yes $a", 'instance id');

is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', 'b takes it from a');
is(owner($vip), 'eni-b', 'b has it');
is(ask('a', "release ec2 $vip"), 'yes', 'a gives up late');
is(owner($vip), 'eni-b', 'b still has it');
is(ask('b', "release ec2 $vip"), 'yes', 'b gives up');
is(owner($vip), '', 'nobody has it');
is(ask('b', "release ec2 $vip"), 'yes', 'giving up what one does not have');

foreach my $round (1 .. 6)
{
	my ($to, $from) = $round % 2 ? ('a', 'b') : ('b', 'a');
	my $taken = ask($to, "take 5000 -1 ec2 $vip");
	my $given = ask($from, "release ec2 $vip");
	is("$taken $given " . owner($vip), "yes yes eni-$to", "flip-flop, round $round: $to has it");
}
is_deeply([ grep { $_ ne 'good' } map { $_->{signature} } requests('ec2') ], [], 'every signature was good');

# The interface is chosen by its subnet, bit by bit.
start('c', $c, {});
is(ask('c', 'take 5000 -1 ec2 10.0.5.200'), 'yes', 'an address in the upper half of a /23');
is(owner('10.0.5.200'), 'eni-c0', 'is on the interface of that subnet');
is(ask('c', 'take 5000 -1 ec2 10.0.40.60'), 'yes', 'an address in a /26');
is(owner('10.0.40.60'), 'eni-c1', 'is on the interface of that subnet');
clear();
like(ask('c', 'take 5000 -1 ec2 10.0.40.70'), qr/^no no network interface .* contains 10\.0\.40\.70 \(the first one is in 10\.0\.4\.0\/23\)/,
	'an address just outside the /26 is refused');
like(ask('c', 'check ec2 10.0.40.70'), qr/^unknown no network interface/, 'and cannot be checked');
like(ask('c', 'prepare ec2 fd00::1'), qr/^no EC2 cannot move the IPv6 address/, 'a secondary IPv6 address is refused');
is(ask('c', 'mac ec2 10.0.40.60'), 'yes 0a:00:00:00:00:c1', 'MAC of the second interface');
is(ask('c', 'mac elastic eipalloc-1'), 'yes 0e:00:00:00:00:c0', 'MAC of the first one, in lower case');
is(actions(), '', 'without a request');

# ---- an Elastic IP address ----

clear();
is(ask('a', 'prepare elastic eipalloc-1'), 'yes', 'elastic: prepare');
is(ask('a', 'take 5000 -1 elastic eipalloc-1'), 'yes', 'elastic: take');
is(actions(), 'AssociateAddress', 'elastic: one request');
is(state()->{addresses}{'eipalloc-1'}{eni}, 'eni-a', 'elastic: a has it');
is(ask('a', 'check elastic eipalloc-1'), 'held', 'elastic: a holds it');
clear();
is(ask('a', 'check elastic eipalloc-1'), 'held', 'elastic: a still holds it');
is(actions(), '', 'elastic: without a request, as the public address is known');
is(ask('b', 'check elastic eipalloc-1'), 'not_held eipalloc-1 is associated with eni-a', 'elastic: b does not hold it');
is(ask('b', 'take 5000 -1 elastic eipalloc-1'), 'yes', 'elastic: b takes it');
my $association = state()->{addresses}{'eipalloc-1'}{association};
is(ask('a', 'release elastic eipalloc-1'), 'yes', 'elastic: a gives up late');
is(state()->{addresses}{'eipalloc-1'}{association}, $association, "elastic: b's association is untouched");
is(ask('a', 'check elastic eipalloc-1'), 'not_held eipalloc-1 is associated with eni-b', 'elastic: a does not hold it');
clear();
is(ask('b', 'release elastic eipalloc-1'), 'yes', 'elastic: b gives up');
is(actions(), 'DisassociateAddress', 'elastic: by the id that it was given');
is(state()->{addresses}{'eipalloc-1'}{eni}, undef, 'elastic: nobody has it');
is(ask('a', 'take 5000 -1 elastic eipalloc-1'), 'yes', 'elastic: a takes it again');
start('a2', $a, {});
is(ask('a2', 'release elastic eipalloc-1'), 'yes', 'elastic: another process of a gives it up');
is(state()->{addresses}{'eipalloc-1'}{eni}, undef, 'elastic: nobody has it');
is(ask('a2', 'take 5000 -1 elastic eipalloc-1'), 'yes', 'elastic: and takes it');
is(ask('a', 'release elastic eipalloc-1'), 'yes', 'elastic: the first process, whose id is outdated, gives it up');
is(state()->{addresses}{'eipalloc-1'}{eni}, undef, 'elastic: nobody has it');
is(ask('a', 'release elastic eipalloc-1'), 'yes', 'elastic: nothing to give up');
like(ask('a', 'take 5000 -1 elastic eipalloc-9'), qr/^no AssociateAddress: .*InvalidAllocationID\.NotFound/, 'elastic: one that is not there');
setting(public_delay => 3600);
is(ask('a', 'take 5000 -1 elastic eipalloc-2'), 'yes', 'elastic: taken, though the metadata is late');
is(ask('a', 'check elastic eipalloc-2'), 'held', 'elastic: EC2 knows better than the metadata');
is(ask('a', 'check elastic eipalloc-2'), 'held', 'elastic: still');
is(ask('a', 'release elastic eipalloc-2'), 'yes', 'elastic: and given up');
setting(public_delay => 0);

# ---- a route ----

sub targets { my ($block) = @_; my $tables = state()->{tables}; return join ' ', map { $tables->{$_}{$block} // '-' } sort keys %$tables }

is(ask('a', 'prepare route 10.9.0.1 rtb-1'), 'yes', 'route: prepare');
clear();
is(ask('a', 'take 5000 -1 route 10.9.0.1 rtb-1'), 'yes', 'route: take');
is(actions(), 'ReplaceRoute', 'route: one request');
is(targets('10.9.0.1/32'), 'eni-a - eni-gone', 'route: one table changed');
is(ask('a', 'check route 10.9.0.1 rtb-1'), 'held', 'route: a holds it');
is(ask('a', 'check route 10.9.0.1 rtb-1,rtb-2'), 'not_held the route to 10.9.0.1 in rtb-2 leads to nothing', 'route: not in all tables');
is(ask('a', 'check route 10.9.0.1 rtb-3'), 'not_held the route to 10.9.0.1 in rtb-3 leads to eni-gone, which is not active', 'route: a black hole');
foreach my $code ('InvalidParameterValue', 'InvalidRoute.NotFound')
{
	control('set', { route_missing_code => $code });
	my $block = $code =~ /Route/ ? '10.9.0.2' : '10.9.0.1';
	is(ask('a', "take 5000 -1 route $block rtb-1,rtb-2,rtb-3"), 'yes', "route: three tables ($code)");
	is(targets("$block/32"), 'eni-a eni-a eni-a', 'route: all lead here');
}
is(ask('a', 'check route 10.9.0.1 rtb-1,rtb-2,rtb-3'), 'held', 'route: a holds them');
is(ask('b', 'check route 10.9.0.1 rtb-1,rtb-2,rtb-3'), 'not_held the route to 10.9.0.1 in rtb-1 leads to eni-a', 'route: b does not');
clear();
is(ask('a', 'release route 10.9.0.1 rtb-1,rtb-2,rtb-3'), 'yes', 'route: giving up');
is(actions(), '', 'route: does nothing');
like(ask('b', 'take 3000 -1 route 10.9.0.1 rtb-1,rtb-missing,rtb-3'), qr/^no 1 of 3 route tables were not changed: .*InvalidRouteTableID\.NotFound/,
	'route: one table is not there');
is(targets('10.9.0.1/32'), 'eni-b eni-a eni-b', 'route: the others have changed');
like(logged('b'), qr/route table rtb-missing: /, 'route: the log says which');
is(ask('a', 'take 5000 -1 route fd00:9::1 rtb-1,rtb-2'), 'yes', 'route: IPv6');
is(targets('fd00:9::1/128'), 'eni-a eni-a -', 'route: leads here');
is(ask('a', 'check route fd00:9::1 rtb-1,rtb-2'), 'held', 'route: a holds it');
faults({ mode => '503', match => 'ReplaceRoute', times => 2 });
is(ask('b', 'take 8000 -1 route 10.9.0.1 rtb-1,rtb-2,rtb-3'), 'yes', 'route: after two failures');
is(targets('10.9.0.1/32'), 'eni-b eni-b eni-b', 'route: all lead there');

# ---- what EC2 may answer ----

calm();
ask('a', "prepare ec2 $vip");
# Passing trouble: the request is sent again until it succeeds.
foreach my $mode ('throttle', 'throttle 400', '500', '502', '503', 'reset', 'cut', 'oversize', 'html', 'garbage', 'empty', 'lost answer')
{
	calm();
	ask('b', "release ec2 $vip");
	clear();
	fault($mode, times => 2);
	is(ask('a', "take 20000 -1 ec2 $vip"), 'yes', "$mode: overcome");
	cmp_ok(scalar(requests('ec2')), '>=', 3, "$mode: at the third try");
	is(owner($vip), 'eni-a', "$mode: the address is there");
}
calm();
fault('hang', times => 1);
is(ask('a', "take 20000 -1 ec2 $vip"), 'yes', 'hang: overcome');
is(scalar(requests('ec2')), 2, 'hang: at the second try');

# Lasting trouble: one request, one sentence.
calm();
foreach my $case ([ 'redirect', qr/status 302/ ], [ 'malformed', qr/no code, status 400/ ], [ '404', qr/status 404/ ],
	[ 'not found once', qr/not there yet \(InvalidNetworkInterfaceID\.NotFound, status 400\)/ ])
{
	my ($mode, $pattern) = @$case;
	clear();
	fault($mode);
	like(ask('b', "take 5000 -1 ec2 $vip"), qr/^no AssignPrivateIpAddresses: .*$pattern/, "$mode: reported");
	is(scalar(requests('ec2')), 1, "$mode: not tried again, nor followed");
}
calm();
setting(unauthorized => ['AssignPrivateIpAddresses']);
is(ask('b', "take 5000 -1 ec2 $vip"), 'no AssignPrivateIpAddresses: You are not authorized to perform this operation. (UnauthorizedOperation, status 403)',
	'no permission: reported without the encoded part');
is(scalar(requests('ec2')), 1, 'no permission: not tried again');
calm();
setting(max_ips => 1);
like(ask('b', "take 5000 -1 ec2 $vip"), qr/PrivateIpAddressLimitExceeded/, 'too many addresses: reported');
is(scalar(requests('ec2')), 1, 'too many addresses: not tried again');
setting(max_ips => 6);
like(ask('b', 'take 5000 -1 ec2 10.0.3.21'), qr/^no .*primary address 10\.0\.3\.21 cannot be reassigned/, "another instance's primary address");
is(owner('10.0.3.21'), 'eni-a', 'is not taken');

# Until the limit, and more and more slowly.
calm();
fault('throttle');
like(ask('b', "take 6000 -1 ec2 $vip"), qr/^no AssignPrivateIpAddresses: Request limit exceeded\. \(RequestLimitExceeded, status 503\)$/, 'overload: reported when time is up');
my $tries = requests('ec2');
cmp_ok($tries, '>=', 3, 'overload: tried several times');
cmp_ok($tries, '<=', 12, 'overload: but not in a hurry');
like(logged('b'), qr/RequestLimitExceeded, status 503\); trying again in \d+ ms/, 'overload: logged');

# The address is accepted, but does not come.
calm();
setting(assign_delay => 3600);
like(ask('b', "take 4000 -1 ec2 $vip"), qr/^no EC2 has accepted the request for \Q$vip\E, but/, 'not confirmed: reported');
is(scalar(requests('ec2')), 1, 'not confirmed: one request');
calm();
control('set', { assign_delay => 0 });
is(ask('a', "take 5000 -1 ec2 $vip"), 'yes', 'a has it again');

# ---- leadership ----

fault('throttle');
clear();
like(ask('b', "take 5000 0 ec2 $vip"), qr/^no leadership is lost/, 'not the leader: refused');
is(scalar(requests('ec2')), 0, 'not the leader: no request');
like(ask('b', "take 20000 2 ec2 $vip"), qr/^no leadership is lost/, 'leader for two requests: refused then');
is(scalar(requests('ec2')), 2, 'leader for two requests: two requests');
calm();
setting(clock_offset => 7200);
like(ask('b', "take 5000 1 ec2 $vip"), qr/^no leadership is lost/, 'leader for one request, and a wrong clock: refused');
is(scalar(requests('ec2')), 1, 'leader for one request: signing again is another one');
calm();
faults({ mode => '404', match => 'ReplaceRoute' });
like(ask('b', 'take 5000 1 route 10.9.0.1 rtb-1'), qr/^no /, 'leader for one request: no route');
calm();
start('b', $b, {});
is(ask('b', "take 5000 1 ec2 $vip"), 'yes', 'leader for one request: enough');
is(owner($vip), 'eni-b', 'leader: the address is there');

# ---- the clock ----

start('b', $b, {});
foreach my $case ([ 7200, 'RequestExpired' ], [ -7200, 'RequestTimeTooSkewed' ], [ 400_000, 'AuthFailure' ], [ -86400, 'RequestExpired' ], [ 330, 'RequestExpired' ])
{
	my ($offset, $code) = @$case;
	calm();
	ask('b', "prepare ec2 $vip");
	clear();
	setting(clock_offset => $offset, expired_code => $code);
	is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', "EC2's clock is $offset s ahead ($code): taken");
	is(codes(), "$code 200", "clock: signed again once");
	is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', 'clock: and again');
	is(codes(), "$code 200 200", 'clock: the difference is remembered');
}
like(logged('b'), qr/clock of this host and that of EC2 differ by 7200 seconds|clock of this host and that of EC2 differ by 7199 seconds/, 'clock: logged');
calm();
is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', 'clock: right again');

# ---- credentials ----

foreach my $code ('RequestExpired', 'ExpiredToken', 'AuthFailure')
{
	calm();
	setting(expired_code => $code);
	is(ask('b', "prepare ec2 $vip"), 'yes', 'credentials: known');
	control('rotate', { instance => $b, lifetime => 21600 });
	clear();
	is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', "credentials replaced ($code): taken");
	is(codes(), "$code 200", 'credentials: read again, and once more');
}
calm();
control('rotate', { instance => $b, lifetime => 400 });
start('b', $b, {});
is(ask('b', "prepare ec2 $vip"), 'yes', 'credentials near their end: usable');
control('rotate', { instance => $b, lifetime => 21600 });
clear();
is(ask('b', "prepare ec2 $vip"), 'yes', 'credentials near their end: renewed ahead of need');
is(scalar(grep { $_->{path} =~ m{security-credentials/pgha} } requests('imds')), 1, 'credentials: the metadata service was asked');
is(ask('b', "take 5000 -1 ec2 $vip"), 'yes', 'credentials: new ones in use');
is(codes(), '200', 'credentials: at once');
clear();
is(ask('b', "prepare ec2 $vip"), 'yes', 'credentials: fresh');
is_deeply(fetch('log'), [], 'credentials: nobody is asked');
# Nothing newer to be had.
setting(expired_code => 'ExpiredToken');
control('rotate', { instance => $a, lifetime => 2 });
start('a', $a, {});
is(ask('a', "prepare ec2 $vip"), 'yes', 'credentials with two seconds to live');
ok(poll_until('', sub {
	clear();
	ask('a', 'check route 10.9.0.1 rtb-1');
	return codes() =~ /ExpiredToken/ }), 'credentials: they have ended');
clear();
like(ask('a', "take 3000 -1 ec2 $vip"), qr/^no AssignPrivateIpAddresses: .*ExpiredToken/, 'credentials ended: reported');
is(scalar(requests('ec2')), 1, 'credentials ended: nothing to try again with');
control('rotate', { instance => $a, lifetime => 21600 });
is(ask('a', "take 3000 -1 ec2 $vip"), 'yes', 'credentials: there are new ones');

start('d', 'i-0d', {});
like(ask('d', "prepare ec2 $vip"), qr/^no no credentials: this instance has no role/, 'an instance without a role');
my %static = (AWS_ACCESS_KEY_ID => 'AKIDSTATICSTATIC', AWS_SECRET_ACCESS_KEY => 'static/secret+0123456789');
sub signer { clear(); my $answer = ask('d', "take 3000 -1 ec2 $vip"); my ($last) = (requests('ec2'))[-1]; return "$answer by " . ($last->{owner} // 'nobody') }
start('d', 'i-0d', \%static);
is(signer(), 'yes by AKIDSTATICSTATIC', 'credentials from the environment');
start('d', 'i-0d', { %static, AWS_SECRET_ACCESS_KEY => 'wrong/secret+0123456789' });
like(signer(), qr/^no AssignPrivateIpAddresses: The request signature we calculated does not match the signature you provided\. \(SignatureDoesNotMatch/,
	'a wrong secret: reported without what EC2 quotes');
is(scalar(requests('ec2')), 1, 'a wrong secret: not tried again');
start('d', 'i-0d', { AWS_ACCESS_KEY_ID => 'AKIDSTATICSTATIC' });
like(ask('d', "prepare ec2 $vip"), qr/^no AWS_ACCESS_KEY_ID, .* are incomplete/, 'half of the environment variables');
start('d', 'i-0d', { %static, AWS_SESSION_TOKEN => "bad token\nX: y" });
like(ask('d', "prepare ec2 $vip"), qr/^no AWS_ACCESS_KEY_ID, .* malformed/, 'a token that is no word');

mkdir "$dir/.aws" or die;
write_file('.aws/credentials', <<'INI');
# comment
[default]
aws_access_key_id = AKIDSTATICSTATIC
  aws_access_key_id = nested
aws_secret_access_key=static/secret+0123456789

[ other ]
aws_access_key_id	=	AKIDOTHEROTHER
aws_secret_access_key = other/secret+9876543210
[half]
aws_access_key_id = AKIDOTHEROTHER
INI
start('d', 'i-0d', {});
is(signer(), 'yes by AKIDSTATICSTATIC', 'credentials from the shared file, default profile');
start('d', 'i-0d', { AWS_PROFILE => 'other' });
is(signer(), 'yes by AKIDOTHEROTHER', 'credentials from the shared file, AWS_PROFILE');
start('d', 'i-0d', { %static, AWS_PROFILE => 'other' });
is(signer(), 'yes by AKIDSTATICSTATIC', 'the environment goes before AWS_PROFILE');
start('d', 'i-0d', \%static, 'profile=other');
is(signer(), 'yes by AKIDOTHEROTHER', 'a profile that the settings name goes before the environment');
start('d', 'i-0d', {}, 'profile=half');
like(ask('d', "prepare ec2 $vip"), qr/^no the shared credentials file "[^"]+" has an incomplete or malformed key for the profile "half"/, 'an incomplete profile');
start('d', 'i-0d', {}, 'profile=none');
like(ask('d', "prepare ec2 $vip"), qr/^no the shared credentials file "[^"]+" has no aws_access_key_id for the profile "none"/, 'a missing profile');
start('d', 'i-0d', { AWS_SHARED_CREDENTIALS_FILE => "$dir/nowhere", AWS_PROFILE => 'x' });
like(ask('d', "prepare ec2 $vip"), qr/^no the shared credentials file "\Q$dir\E\/nowhere" cannot be read/, 'a missing file');
# The file is replaced while the client runs.
start('d', 'i-0d', {});
is(signer(), 'yes by AKIDSTATICSTATIC', 'credentials from the shared file');
write_file('.aws/credentials', "[default]\naws_access_key_id=AKIDOTHEROTHER\naws_secret_access_key=other/secret+9876543210\n");
fault('echo', times => 1);
is(signer(), 'yes by AKIDOTHEROTHER', 'a new shared file is read when the old credentials are refused');
unlink "$dir/.aws/credentials";

# ---- region and endpoint ----

my %dead_proxy = (https_proxy => 'http://127.0.0.1:9');
# Where the first request goes; there is no second one.
sub host { my ($name) = @_; ask($name, 'take 20000 1 elastic eipalloc-1'); return (logged($name) =~ /no answer from EC2 at (\S+):/)[0] // 'none' }
start('d', $a, \%dead_proxy, 'endpoint=');
is(host('d'), 'ec2.eu-central-1.amazonaws.com', 'endpoint: region and domain from the metadata service');
start('d', $a, { %dead_proxy, AWS_DEFAULT_REGION => 'us-east-2' }, 'endpoint=');
is(host('d'), 'ec2.us-east-2.amazonaws.com', 'endpoint: AWS_DEFAULT_REGION');
start('d', $a, { %dead_proxy, AWS_DEFAULT_REGION => 'us-east-2', AWS_REGION => 'us-east-1' }, 'endpoint=');
is(host('d'), 'ec2.us-east-1.amazonaws.com', 'endpoint: AWS_REGION goes before it');
start('d', $a, { %dead_proxy, AWS_REGION => 'us-east-1' }, 'endpoint=', 'region=us-gov-west-1');
is(host('d'), 'ec2.us-gov-west-1.amazonaws.com', 'endpoint: the settings go before all');
faults({ service => 'imds', match => 'services/domain', mode => '404' });
start('d', $a, \%dead_proxy, 'endpoint=', 'region=cn-north-1');
is(host('d'), 'ec2.cn-north-1.amazonaws.com.cn', 'endpoint: domain of China by the region');
calm();
write_file('.aws/config', "[default]\nregion = sa-east-1\n[profile other]\nregion=ap-south-1\n");
start('d', $a, \%dead_proxy, 'endpoint=');
is(host('d'), 'ec2.sa-east-1.amazonaws.com', 'endpoint: region of the default profile');
start('d', $a, { %dead_proxy, AWS_PROFILE => 'other' }, 'endpoint=');
is(ask('d', 'prepare elastic eipalloc-1') =~ /cannot be read/ ? 'refused' : '', 'refused', 'endpoint: AWS_PROFILE wants credentials as well');
unlink "$dir/.aws/config";
start('d', $a, {}, 'endpoint=', 'region=evil.example.com/');
like(ask('d', "prepare ec2 $vip"), qr/^no "evil\.example\.com\/" is not the name of an AWS region/, 'endpoint: a region that is none');
foreach my $url ('ftp://h', 'https://', 'https://h/path', 'https://user:word@h', '127.0.0.1')
{
	start('d', $a, {}, "endpoint=$url");
	like(ask('d', "prepare ec2 $vip"), qr/^no the EC2 endpoint "\Q$url\E" must /, "endpoint: $url is refused");
}

# ---- proxies ----

calm();
start('d', $a, { http_proxy => $endpoint, no_proxy => '' }, 'endpoint=http://ec2.invalid');
is(ask('d', "take 5000 -1 ec2 $vip"), 'yes', 'proxy: taken');
is_deeply([ map { $_->{proxied} ? "$_->{host}" : 'direct' } requests('ec2') ], ['ec2.invalid'], 'proxy: used for EC2');
is((grep { $_->{proxied} } requests('imds')), 0, 'proxy: never for the metadata service');
calm();
start('d', $a, { http_proxy => 'http://127.0.0.1:9', no_proxy => '127.0.0.1' });
is(ask('d', "take 5000 -1 ec2 $vip"), 'yes', 'proxy: no_proxy is honoured');

# ---- TLS ----

calm();
my $https = "endpoint=https://127.0.0.1:$tls_port";
start('d', $a, {}, $https);
like(ask('d', "take 5000 -1 ec2 $vip"), qr/^no AssignPrivateIpAddresses: no answer from EC2 at 127\.0\.0\.1:$tls_port: SSL certificate problem/,
	'TLS: an unknown certificate is refused');
is(scalar(requests('ec2')), 0, 'TLS: nothing was sent');
start('d', $a, { AWS_CA_BUNDLE => "$dir/cert.pem" }, $https);
is(ask('d', "take 5000 -1 ec2 $vip"), 'yes', 'TLS: one that AWS_CA_BUNDLE knows is not');
start('d', $a, { AWS_CA_BUNDLE => "$dir/cert.pem" }, "endpoint=https://localhost:$tls_port");
like(ask('d', "take 5000 -1 ec2 $vip"), qr/^no .*(subject name|host name)/, "TLS: another host's certificate is refused");
start('d', $a, {}, "endpoint=https://127.0.0.1:$ec2_port");
ask('d', "take 20000 1 ec2 $vip");
like(logged('d'), qr/no answer from EC2 at 127\.0\.0\.1:$ec2_port: /, 'TLS: a server that does not speak it');
like(ask('d', "take 1 -1 ec2 $vip"), qr/^no .*no time left/, 'no time left: no request');

# ---- the metadata service ----

sub imds_fault { my ($mode, %more) = @_; return faults({ service => 'imds', instance => $b, mode => $mode, %more }) }
foreach my $case (
	[ 'v1only', '/api/token', qr/does not know version 2 \(status 405 .*version 1 is not used/ ],
	[ 'hang', '/api/token', qr/does not answer the request for a token: in a container .*hop limit/ ],
	[ '403', '/api/token', qr/is switched off for this instance/ ],
	[ '500', '/api/token', qr/gave no token \(status 500\)/ ],
	[ 'garbage', '/api/token', qr/gave no token \(status 200\)/ ],
	[ 'oversize', '/api/token', qr/the answer is longer than 65536 bytes/ ],
	[ 'empty', '/api/token', qr/gave no token \(status 200\)/ ],
	[ 'redirect', '/api/token', qr/gave no token \(status 302\)/ ],
	[ 'redirect', '/meta-data/', qr/gave no instance-id \(status 302\)/ ],
	[ '401', '/meta-data/', qr/gave no instance-id \(status 401\)/ ],
	[ '500', '/meta-data/', qr/gave no instance-id \(status 500\)/ ],
	[ 'reset', '/meta-data/', qr/gave no instance-id: / ],
	[ 'garbage', 'instance-id', qr/gave no instance-id/ ],
	[ 'html', 'instance-id', qr/gave something else than a instance-id|something else than/ ],
	[ 'empty', 'macs/', qr/knows no network interface/ ],
	[ 'html', 'macs/', qr/knows no network interface/ ],
	[ 'garbage', 'security-credentials/pgha', qr/gave no iam\/security-credentials\/pgha/ ],
	[ 'html', 'security-credentials/pgha', qr/no usable credentials for the role "pgha"/ ],
	[ 'empty', 'security-credentials/pgha', qr/no usable credentials for the role "pgha"/ ],
	[ 'html', 'security-credentials/', qr/something else than/ ],
	[ 'oversize', 'interface-id', qr/the answer is longer than/ ])
{
	my ($mode, $match, $pattern) = @$case;
	calm();
	imds_fault($mode, match => $match);
	start('d', $b, {});
	like(ask('d', "prepare ec2 $vip"), qr/^no .*$pattern/, "metadata: $mode for $match");
	is((grep { $_->{method} eq 'GET' } requests('imds')), 0, 'metadata: nothing is asked without a token') if $match eq '/api/token';
	is((grep { !$_->{token} && $_->{method} eq 'GET' } requests('imds')), 0, 'metadata: never version 1');
	calm();
	is(ask('d', "prepare ec2 $vip"), 'yes', 'metadata: well again');
}
calm();
imds_fault('500', times => 2, match => 'instance-id');
start('d', $b, {});
is(ask('d', "prepare ec2 $vip"), 'yes', 'metadata: two failures are overcome');
control('revoke');
clear();
is(ask('d', "check ec2 $vip"), ask('b', "check ec2 $vip"), 'metadata: a token that is not known any more');
is(scalar(grep { $_->{path} eq '/latest/api/token' } requests('imds')), 2, 'metadata: is replaced, once by each client');
like((grep { $_->{method} eq 'PUT' } requests('imds'))[0]{path}, qr/token/, 'metadata: by a PUT');
# Metadata gone when it counts: what is known ahead is enough to take the address.
imds_fault('hang');
clear();
like(ask('d', "take 6000 -1 ec2 $vip"), qr/^no EC2 has accepted the request for/, 'metadata gone: the request is sent all the same');
is(actions(), 'AssignPrivateIpAddresses', 'metadata gone: one request');
is(owner($vip), 'eni-b', 'metadata gone: the address is there');
like(ask('d', "check ec2 $vip"), qr/^unknown the instance metadata service gave no /, 'metadata gone: who has it is not known');
calm();
# Not there when the move begins, but soon after.
imds_fault('500', times => 4);
start('d', $b, {});
is(ask('d', "take 20000 -1 ec2 $vip"), 'yes', 'metadata late: taken');
start('d', $b, {}, 'secure');
like(ask('d', "prepare ec2 $vip"), qr/^no the EC2 endpoint "http:.*" is not encrypted/, 'http:// is not spoken unless it is allowed');
start('d', $b, {}, 'imds=http://127.0.0.1:9');
like(ask('d', "prepare ec2 $vip"), qr/^no cannot reach the instance metadata service \(is this an EC2 instance\?\)/, 'not on EC2');

SKIP:
{
	skip 'no IPv6', 1 unless $imds6_port;
	start('d', $b, {}, "imds=http://[::1]:$imds6_port/$b");
	is(ask('d', "prepare ec2 $vip"), 'yes', 'metadata: over IPv6');
}

# ---- dry run ----

calm();
start('d', $a, {}, 'dry_run');
ask('b', 'take 5000 -1 elastic eipalloc-1');
clear();
my $before = encode_json(do { my $state = state(); delete $state->{secrets}; $state });
foreach my $command ("take 5000 -1 ec2 $vip", 'take 5000 -1 elastic eipalloc-1', 'take 5000 -1 route 10.9.0.1 rtb-1,rtb-2',
	"release ec2 $vip", 'release elastic eipalloc-1', "stop $b 5000")
{
	is(ask('d', $command), 'yes', "dry run: $command");
}
is((grep { $_->{action} !~ /^Describe/ && ($_->{code} // '') ne 'DryRunOperation' } requests('ec2')), 0, 'dry run: every order with DryRun');
is_deeply(do { my $state = state(); delete $state->{secrets}; $state }, decode_json($before), 'dry run: nothing changed');
setting(unauthorized => ['AssignPrivateIpAddresses']);
like(ask('d', "take 5000 -1 ec2 $vip"), qr/^no .*UnauthorizedOperation/, 'dry run: no permission');

# ---- what is allowed ----

my %address = (AssignPrivateIpAddresses => "ec2 $vip", UnassignPrivateIpAddresses => "ec2 $vip",
	AssociateAddress => 'elastic eipalloc-1', DisassociateAddress => 'elastic eipalloc-1', DescribeAddresses => 'elastic eipalloc-1',
	ReplaceRoute => 'route 10.9.0.1 rtb-1', CreateRoute => 'route 10.9.0.1 rtb-1', DescribeRouteTables => 'route 10.9.0.1 rtb-1');
calm();
setting(source_dest_check => { 'eni-a' => JSON::PP::false });
foreach my $action (sort keys %address)
{
	setting(unauthorized => []);
	like(ask('a', "may $address{$action}"), qr/^(yes EC2 allows to move the address to eni-a$|no CreateRoute: .*RouteAlreadyExists)/, "may: $address{$action}");
	setting(unauthorized => [$action]);
	like(ask('a', "may $address{$action}"), qr/^no .*$action/, "may: not without $action");
}
setting(unauthorized => [], source_dest_check => {});
like(ask('a', 'may route 10.9.0.1 rtb-1'), qr/^no the source\/destination check of eni-a is on/, 'may: source/destination check');
like(ask('a', 'may ec2 10.9.0.1'), qr/^no no network interface/, 'may: address outside the subnet');
setting(clock_offset => -5000);
like(ask('a', "may ec2 $vip"), qr/^yes EC2 allows .*; the clock of this host is \d{4} seconds off$/, 'may: the clock');
calm();
like(ask('a', "may_stop $b"), qr/^yes EC2 allows to stop i-0b \(state running\)$/, 'may: stop another instance');
setting(unauthorized => ['StopInstances']);
like(ask('a', "may_stop $b"), qr/^no EC2 does not allow ec2:StopInstances/, 'may: not without StopInstances');

# ---- stopping an instance ----

calm();
like(ask('a', "stop $a 5000"), qr/^no i-0a is this instance itself/, 'stop: not itself');
like(ask('a', 'stop db-2 5000'), qr/^no "db-2" is not an instance id/, 'stop: not a name');
is(actions(), '', 'stop: without a request');
like(ask('a', 'stop i-0123 2000'), qr/^no StopInstances: .*InvalidInstanceID\.NotFound/, 'stop: an instance that is not there');
setting(stop_delay => 3600);
like(ask('a', "stop $c 4000"), qr/^no the instance i-0c is not stopped yet \(state stopping\)/, 'stop: not in time');
setting(stop_delay => 2);
fault('throttle', times => 2);
clear();
is(ask('a', "stop $b 30000"), 'yes', 'stop: stopped');
is(state()->{instances}{$b}, 'stopped', 'stop: it is');
is((requests('ec2'))[0]{params}{Force}, 'true', 'stop: by force');
is(ask('a', "stop $b 5000"), 'yes', 'stop: one that is stopped');
control('terminate', { instance => $c });
is(ask('a', "stop $c 5000"), 'yes', 'stop: one that is gone');

# ---- secrets ----

calm();
foreach my $mode ('echo', 'echo canonical')
{
	clear();
	fault($mode);
	like(ask('a', "take 3000 -1 ec2 $vip"), qr/^no AssignPrivateIpAddresses: /, "$mode: reported");
	unlike($tool{a}{log}, qr/Signature=[0-9a-f]/, "$mode: no signature in the log");
}
start('d', 'i-0d', \%static);
fault('echo');
like(ask('d', "take 3000 -1 ec2 $vip"), qr/Your request was .*\*\*\*/, 'what EC2 quotes is struck out');
open(my $title, '<', "/proc/$tool{d}{pid}/cmdline") or die;
$everything_said .= do { local $/; <$title> };
close $title;
calm();
my @secrets = @{ state()->{secrets} };
cmp_ok(scalar(@secrets), '>', 100, 'there are secrets to look for');
is_deeply([ grep { index($everything_said, $_) >= 0 } @secrets ], [], 'none of them was said');
cmp_ok(length($everything_said), '>', 10_000, 'though much was said');

# ---- the fake itself ----

my $form = { headers => { 'Content-Type' => 'application/x-www-form-urlencoded; charset=utf-8' }, content => 'Action=DescribeAddresses' };
is($http->post("$endpoint/", $form)->{status}, 401, 'an unsigned request is refused');
$form->{headers}{'X-Amz-Date'} = '20260101T000000Z';
$form->{headers}{Authorization} = 'AWS4-HMAC-SHA256 Credential=AKIDSTATICSTATIC/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=' . '0' x 64;
like($http->post("$endpoint/", $form)->{content}, qr/SignatureDoesNotMatch/, 'a wrong signature is refused');

stop($_) foreach sort keys %tool;
done_testing();
