# keepalived with examples/keepalived.conf, on two hosts of a subnet of EC2 (a fake one):
# keepalived decides who has the address, `pgha vip` in its notify lines has EC2 follow.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use FakeEc2;
use PghaCluster;
use PghaRouting;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();
my $keepalived = program('keepalived');
plan skip_all => 'keepalived is not installed (make test-deps)' unless $keepalived;

delete $ENV{$_} foreach grep { /^AWS_|^PGHA_VIP_|_proxy$/i } keys %ENV;
my $cluster = PghaCluster->new(nodes => 2, netns => 1, pgha => 0);
my ($a, $b) = $cluster->nodes;
my $address = "$cluster->{net}.100";
my $fake = FakeEc2->start($cluster);

sub ready_file { my ($node) = @_; return "$cluster->{base}/pgpool-runs-$node->{name}"; }

# One host's keepalived; what it asks of pgpool is whether a file is there.
sub start_keepalived
{
	my ($node) = @_;
	my ($other) = $cluster->others($node);
	my $conf = example($cluster, 'keepalived.conf',
		'10.0.3.31' => $node->{host}, '10.0.3.32' => $other->{host},
		'/usr/lib/postgresql/15/bin/pgha' => PghaCluster::pgha_program(),
		'/usr/bin/pg_isready -q -h 127.0.0.1 -p 9990' => '/usr/bin/test -e ' . ready_file($node));
	my $own = "$cluster->{base}/keepalived-$node->{name}.conf";
	rename $conf, $own or die "$own: $!";
	chmod 0600, $own;
	chown 0, 0, $own;
	my $log = "$cluster->{base}/log/keepalived-$node->{name}.log";
	my $pid = PghaCluster::spawn(
		[
			$cluster->in_netns($node->{netns}), $cluster->die_with_us('TERM'), $keepalived, '--dont-fork', '--log-console', '--vrrp',
			'--use-file', $own, '--pid', "$own.pid", '--vrrp_pid', "$own.vrrp"
		],
		log => $log,
		env => {
			PGHA_VIP_EC2_ENDPOINT => $fake->{url}, PGHA_VIP_INSECURE => 'on',
			PGHA_VIP_IMDS_ENDPOINT => $cluster->{node_settings}{ $node->{name} }{'pgha.imds_endpoint'} });
	return $cluster->adopt(PghaCluster::Child->new(pid => $pid, log => $log));
}

sub on_interface
{
	my ($node) = @_;
	return PghaCluster::must_run([ $cluster->in_netns($node->{netns}), 'ip', '-o', 'addr', 'show', 'dev', 'eth0' ]) =~ /inet \Q$address\E\//;
}

sub owner
{
	my $enis = $fake->state->{enis};
	return join ' ', grep { grep { $_ eq $address } @{ $enis->{$_}{ips} } } sort keys %$enis;
}

sub is_at
{
	my ($what, $node) = @_;
	my ($other) = $cluster->others($node);
	$cluster->wait_for("the address to be on $node->{name}", sub { on_interface($node) && !on_interface($other) && owner() eq "eni-$node->{name}" });
	return pass("$what: keepalived has the address on $node->{name}, and EC2 knows it there");
}

PghaCluster::spew(ready_file($_), '') foreach $a, $b;
my %running = (a => start_keepalived($a));
is_at('alone', $a);
$running{b} = start_keepalived($b);
$cluster->wait_for('the other one to wait', sub { (PghaCluster::slurp($running{b}{log}) // '') =~ /Entering BACKUP STATE/ });
is_at('both run', $a);
unlink ready_file($a) or die;
is_at('pgpool is gone on its host', $b);
PghaCluster::spew(ready_file($a), '');
$cluster->wait_for('the first one to be ready again', sub { (PghaCluster::slurp($running{a}{log}) // '') =~ /pgpool_runs.*succeeded.*pgpool_runs.*failed.*pgpool_runs.*succeeded/s });
is_at('it is back', $b);
$running{b}->end;
is_at('the other keepalived is stopped', $a);
$running{a}->end;
$cluster->wait_for('EC2 to know nobody', sub { owner() eq '' && !on_interface($a) });
pass('no keepalived is left: EC2 knows the address nowhere');
done_testing();
