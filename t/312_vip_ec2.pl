# `pgha vip` with the kinds of EC2, against t/fake_ec2.py (root only): both halves
# of the address, EC2 and the interface, are taken and given up together; a half
# that failed is named, and mended by the next call; an address that the host had
# before stays on its interface; --dry-run changes nothing; no secret is shown.
# Two instances are two interfaces of one network namespace.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use JSON::PP;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

delete $ENV{$_} foreach grep { /^AWS_|^PGHA_VIP_|_proxy$/i } keys %ENV;
my $cluster = PghaCluster->new(names => ['host'], netns => 1, pgha => 0);
my ($host) = $cluster->nodes;
my @inside = $cluster->in_netns($host->{netns});
my $pgha = PghaCluster::pgha_program();
my ($vip, $route) = ('10.0.3.10', '10.9.0.1');
my $secret = 'static/secret+0123456789';
my $said = '';

# ---- two interfaces, and EC2 ----

sub ip { return PghaCluster::must_run([ @inside, 'ip', @_ ]); }

ip(qw(link set eth0 address 0e:00:00:00:00:0a));
ip(qw(link add eth1 type veth peer name other1));
ip(qw(link set eth1 address 0e:00:00:00:00:0b));
ip(qw(link set), $_, 'up') foreach qw(eth1 other1);
ip(qw(addr add 10.0.3.21/24 dev eth0));

my $world = {
	region => 'eu-central-1',
	subnets => { 'subnet-1' => '10.0.3.0/24' },
	enis => {
		'eni-a' => { mac => '0e:00:00:00:00:0a', subnet => 'subnet-1', ips => ['10.0.3.21'], instance => 'i-0a' },
		'eni-b' => { mac => '0e:00:00:00:00:0b', subnet => 'subnet-1', ips => ['10.0.3.22'], instance => 'i-0b' } },
	instances => { 'i-0a' => { role => 'pgha' }, 'i-0b' => { role => 'pgha' } },
	addresses => { 'eipalloc-1' => '203.0.113.5' },
	tables => { 'rtb-1' => { "$route/32" => 'eni-b' }, 'rtb-2' => {} },
	keys => { AKIDSTATICSTATIC => $secret } };
PghaCluster::spew("$cluster->{base}/world.json", encode_json($world));
my $log = "$cluster->{base}/log/ec2.log";
my $fake = PghaCluster::spawn(
	[ @inside, 'setpriv', '--pdeathsig', 'KILL', '/usr/bin/python3', "$PghaCluster::ROOT/t/fake_ec2.py", "$cluster->{base}/world.json" ],
	log => $log);
$cluster->adopt(PghaCluster::Child->new(pid => $fake, cluster => $cluster, signal => 'TERM'));
my ($ec2_port, $imds_port) = @{
	$cluster->wait_for('the fake EC2', sub { (PghaCluster::slurp($log) // '') =~ /^ready (\d+) (\d+)/m ? [ $1, $2 ] : undef }) };

# A request to the fake, from inside.
sub fake
{
	my ($path, $body) = @_;
	return PghaCluster::must_run(
		[
			@inside, 'perl', '-MHTTP::Tiny', '-e',
			'my ($url, $body) = @ARGV; my $h = HTTP::Tiny->new; my $r = defined $body ? $h->post($url, { content => $body }) : $h->get($url);'
			  . 'die "$r->{status} $r->{content}" unless $r->{success}; print $r->{content}',
			"http://127.0.0.1:$ec2_port/_control/$path", defined $body ? encode_json($body) : ()
		]);
}

sub state { return decode_json(fake('state')); }
sub actions { return join ' ', map { $_->{action} // () } grep { $_->{service} eq 'ec2' } @{ decode_json(fake('log')) }; }
sub owner { my $enis = state()->{enis}; return join ' ', grep { grep { $_ eq $vip } @{ $enis->{$_}{ips} } } sort keys %$enis; }

# As one of the two instances.
sub vip
{
	my ($instance, @arguments) = @_;
	my ($status, $out, $err) = PghaCluster::run_command(
		[
			@inside, 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--inh-caps=+net_admin', '--ambient-caps=+net_admin',
			'--', $pgha, 'vip', @arguments, "--ec2-endpoint=http://127.0.0.1:$ec2_port", '--insecure',
			"--imds-endpoint=http://127.0.0.1:$imds_port/i-0$instance"
		]);
	$said .= "$out$err";
	return ($status, "$out$err");
}

sub ok_vip
{
	my ($instance, @arguments) = @_;
	my ($status, $text) = vip($instance, @arguments);
	is($status, 0, "$instance: pgha vip @arguments") or diag $text;
	return $text;
}

# Plain http is not spoken unless it is allowed, by whichever way the endpoint was given.
{
	my @arguments = ('up', "ec2:$vip\@lo", "--ec2-endpoint=http://127.0.0.1:$ec2_port", "--imds-endpoint=http://127.0.0.1:$imds_port/i-0a");
	foreach my $more ([], ['PGHA_VIP_INSECURE=off'])
	{
		my ($status, $out, $err) = PghaCluster::run_command([ @inside, 'env', @$more, $pgha, 'vip', @arguments ]);
		is($status, 1, "http:// is refused (@$more)");
		like($err, qr/is not encrypted.*--insecure/, '... and it says how to allow it');
	}
	is(actions(), '', '... and EC2 was not asked');
	my ($status, $out, $err) = PghaCluster::run_command([ @inside, 'env', 'PGHA_VIP_INSECURE=perhaps', $pgha, 'vip', @arguments ]);
	like("$status $err", qr/^1 .*"insecure" is "perhaps": write on or off/, 'on or off, nothing else');
}

sub interfaces
{
	my ($ip) = @_;
	return join ' ', sort map { /^\d+: (\w+) .* \Q$ip\E\/32/ ? $1 : () } split /\n/, ip(qw(-o addr));
}

# ---- a secondary address ----
like(ok_vip('a', 'up', '--dry-run', "ec2:$vip"), qr/nothing was changed/, '--dry-run');
is(owner(), '', '--dry-run moves nothing');
is(interfaces($vip), '', 'and puts nothing on an interface');
my ($status, $text) = vip('a', 'show', "ec2:$vip");
is($status, 3, 'show: not here');

ok_vip('a', 'up', "ec2:$vip");
is(owner(), 'eni-a', 'EC2 delivers it to a');
is(interfaces($vip), 'eth0', 'on the interface with the hardware address of the ENI');
like(ip(qw(-o addr show dev eth0)), qr{ \Q$vip\E/32 .*eth0:pgha}, 'with a label');
like(ok_vip('a', 'show', "ec2:$vip"), qr/^here: /, 'show: here');
fake('clear', {});
ok_vip('a', 'up', "ec2:$vip");
is(interfaces($vip), 'eth0', 'up twice');

# b takes it.  In one namespace, a has to have it off its interface for that.
ok_vip('b', 'up', "ec2:$vip\@eth1");
is(owner(), 'eni-b', 'b takes it from a');
($status, $text) = vip('a', 'show', "ec2:$vip");
is($status, 3, 'a does not have it any more');
like($text, qr/EC2: /, 'and says which half is not there');
ok_vip('a', 'down', "ec2:$vip");
is(owner(), 'eni-b', 'the late down of a does not take it away from b');
ok_vip('b', 'up', "ec2:$vip");
is(interfaces($vip), 'eth1', 'what was missing on the interface is put there');
ok_vip('b', 'down', "ec2:$vip");
is(owner(), '', 'down: EC2 does not deliver it any more');
is(interfaces($vip), '', 'and it is on no interface');
ok_vip('b', 'down', "ec2:$vip");

# ---- one half fails ----
fake('set', { unauthorized => ['AssignPrivateIpAddresses'] });
($status, $text) = vip('a', 'up', "ec2:$vip");
is($status, 1, 'not authorized');
like($text, qr/EC2: .*AssignPrivateIpAddresses/, 'it names the half and the call');
is(interfaces($vip), '', 'and the interface is left alone');
($status, $text) = vip('a', 'up', '--dry-run', "ec2:$vip");
is($status, 1, '--dry-run finds out');
fake('set', { unauthorized => [] });

($status, $text) = vip('a', 'up', "ec2:$vip\@eth7");
is($status, 1, 'an interface that does not exist');
like($text, qr/network interface: there is no interface "eth7"/, 'it names the half');
is(owner(), 'eni-a', 'EC2 has moved it already');
ok_vip('a', 'up', "ec2:$vip");
is(interfaces($vip), 'eth0', 'the next call mends that');
fake('faults', [ { service => 'ec2', mode => '503' } ]);
($status, $text) = vip('a', 'down', "ec2:$vip", '--timeout=8');
isnt($status, 0, 'down while EC2 fails');
is(interfaces($vip), '', 'the interface is done all the same');
fake('faults', []);
ok_vip('a', 'down', "ec2:$vip");
is(owner(), '', 'the next down gives it up');

# ---- an address that the host has from boot ----
ip('addr', 'add', "$route/32", 'dev', 'lo');
my $overlay = "ec2-route:$route/32\@rtb-1,rtb-2";
ok_vip('a', 'up', $overlay);
is_deeply([ map { state()->{tables}{$_}{"$route/32"} } qw(rtb-1 rtb-2) ], [ 'eni-a', 'eni-a' ], 'both route tables lead to a');
is(interfaces($route), 'lo', 'the address stays where it was');
like(ok_vip('a', 'show', $overlay), qr/^here: /, 'show: here');
ok_vip('a', 'down', $overlay);
is(interfaces($route), 'lo', 'down leaves it there');
ip('addr', 'del', "$route/32", 'dev', 'lo');
ok_vip('a', 'up', $route, '--kind=ec2-route', '--tables=rtb-1,rtb-2');
is(interfaces($route), 'eth0', 'one that pgha put there');
ok_vip('a', 'down', $route, '--kind=ec2-route', '--tables=rtb-1,rtb-2');
is(interfaces($route), '', 'is taken off by it');

# ---- an Elastic IP address: no interface, no capability ----
sub associated { my $address = state()->{addresses}{'eipalloc-1'}; return encode_json(ref $address ? $address : [$address]); }
ok_vip('a', 'up', '203.0.113.5', '--kind=ec2-elastic', '--allocation=eipalloc-1');
like(associated(), qr/eni-a/, 'associated with a');
ok_vip('b', 'up', 'ec2-elastic:eipalloc-1');
like(associated(), qr/eni-b/, 'associated with b');
ok_vip('a', 'down', 'ec2-elastic:eipalloc-1');
like(associated(), qr/eni-b/, 'the late down of a changes nothing');
ok_vip('b', 'down', 'ec2-elastic:eipalloc-1');
unlike(associated(), qr/eni-/, 'given up');

# ---- static credentials ----
PghaCluster::spew("$cluster->{base}/credentials", "[other]\naws_access_key_id = AKIDSTATICSTATIC\naws_secret_access_key = $secret\n");
$ENV{AWS_SHARED_CREDENTIALS_FILE} = "$cluster->{base}/credentials";
ok_vip('a', 'up', "ec2:$vip", '--profile=other');
is(owner(), 'eni-a', 'with the credentials of a profile');
ok_vip('a', 'down', "ec2:$vip", '--profile=other');

# ---- EC2 hangs ----
fake('faults', [ { service => 'ec2', mode => 'hang' } ]);
my $start = PghaCluster::now();
($status, $text) = vip('a', 'up', "ec2:$vip", '--timeout=4');
is($status, 1, 'EC2 hangs: failed');
cmp_ok(PghaCluster::now() - $start, '<', 30, 'and within a limit');

my $shown = 0;
foreach my $word ($secret, @{ state()->{secrets} })
{
	$shown++ if length $word > 4 && $word !~ /^AKIDSTATIC/ && index($said, $word) >= 0;
}
is($shown, 0, 'nothing that was said contains a secret');
done_testing();
