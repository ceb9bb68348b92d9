# `pgha doctor -D` on an address that EC2 moves, against t/fake_ec2.py: the server
# need not run for that.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP;
use PghaCluster;
use Test::More;

my $pgha = $ENV{PGHA} // PghaCluster::pgha_program();
my $dir = tempdir(CLEANUP => 1);
my $http = HTTP::Tiny->new(timeout => 30, no_proxy => ['127.0.0.1']);
my %environment = map { $_ => '' } grep { /^AWS_|_proxy$/i } keys %ENV;
# As root `pgha doctor` becomes the owner of the data directory.
mkdir "$dir/data", 0700;
PghaCluster::give_to_postgres("$dir/data");
chmod 0755, $dir;

PghaCluster::spew("$dir/world.json", encode_json({
	region => 'eu-central-1', subnets => { 'subnet-1' => '10.0.3.0/24' },
	enis => { 'eni-a' => { mac => '0e:00:00:00:00:0a', subnet => 'subnet-1', ips => ['10.0.3.21'], instance => 'i-0a' } },
	instances => { 'i-0a' => { role => 'pgha' } }, addresses => { 'eipalloc-1' => '203.0.113.5' },
	tables => { 'rtb-1' => {} } }));
my $fake_pid = open(my $fake, '-|', '/usr/bin/python3', "$PghaCluster::ROOT/t/fake_ec2.py", "$dir/world.json") // die;
my (undef, $ec2, $imds) = split ' ', <$fake> // die 'the fake EC2 does not start';

END { my $status = $?; kill 'TERM', $fake_pid if $fake_pid; close $fake if $fake; $? = $status; }

# The findings about the address, as { check => finding }.
sub findings
{
	my ($address, %setting) = @_;
	PghaCluster::spew("$dir/data/postgresql.conf", PghaCluster::Node::settings_text(
		'pgha.node' => 'a', 'pgha.members' => 'a=127.0.0.1:1', 'pgha.address' => $address,
		'pgha.ec2_endpoint' => "http://127.0.0.1:$ec2", 'pgha.ec2_insecure' => 'on', 'pgha.imds_endpoint' => "http://127.0.0.1:$imds/i-0a", %setting));
	my (undef, $out, $err) = PghaCluster::run_command([ $pgha, 'doctor', '--json', '-D', "$dir/data" ], env => \%environment);
	my $document = eval { decode_json($out) } // die "$out$err";
	return { map { $_->{check} => $_ } grep { $_->{check} =~ /^(?:host_address|host_fence|agent_configuration)/ } map { @{ $_->{findings} } } @{ $document->{groups} } };
}

sub is_fine
{
	my ($address) = @_;
	my $found = findings($address);
	is_deeply([ map { "$_ $found->{$_}{severity}" } sort keys %$found ],
		[ map { "host_address$_ ok" } '', '_metadata', '_network', '_permission' ], "$address: in order")
	  or diag explain $found;
	return;
}

sub finds
{
	my ($found, $check, $severity, $pattern, $name) = @_;
	ok(($found->{$check}{severity} // '') eq $severity && $found->{$check}{finding} =~ $pattern && $found->{$check}{remedy}, $name)
	  or diag explain $found;
	return;
}

is_fine('ec2:10.0.3.10');
is_fine('ec2-elastic:eipalloc-1');
is_deeply([ sort keys %{ findings('') } ], ['host_address'], 'no address');
finds(findings('ec2:nonsense'), 'agent_configuration', 'error', qr/pgha\.address/, 'an address that is none');
finds(findings('ec2:10.0.9.10'), 'host_address_network', 'error', qr/10\.0\.9\.10/, 'outside of the subnet');
finds(findings('ec2:10.0.3.10', 'pgha.imds_endpoint' => 'http://127.0.0.1:1'), 'host_address_metadata', 'error', qr/./, 'no metadata service');
finds(findings('', 'pgha.fence' => 'ec2-stop'), 'host_fence_permission', 'warning', qr/instance is known/, 'nobody could be stopped');
$http->post("http://127.0.0.1:$ec2/_control/set", { content => encode_json({ unauthorized => ['AssignPrivateIpAddresses'] }) });
finds(findings('ec2:10.0.3.10'), 'host_address_permission', 'error', qr/does not allow ec2:AssignPrivateIpAddresses/, 'no permission');

done_testing();
