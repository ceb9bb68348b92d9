# FakeEc2.pm
#		t/fake_ec2.py beside a cluster of real servers: each node is an instance
#		of it (node "a" is i-0aaaaaaaaaaaaaaaa, with the network interface eni-a).
package FakeEc2;

use strict;
use warnings;

use JSON::PP;
use PghaCluster;

# Starts it, in the hub of the cluster's network or on 127.0.0.1, and gives the
# nodes the settings that lead to it: before the cluster is built.  Options go
# into the world: addresses, tables, settings.
sub start
{
	my ($class, $cluster, %world) = @_;
	my $self = bless { cluster => $cluster, host => $cluster->{net} ? "$cluster->{net}.1" : '127.0.0.1' }, $class;
	my $subnet = $cluster->{net} ? "$cluster->{net}.0/24" : '10.0.3.0/24';
	my (%enis, %instances);

	foreach my $node ($cluster->nodes)
	{
		my $name = $node->{name};
		my $mac = sprintf '0e:00:00:00:00:%02x', ord $name;
		$enis{"eni-$name"} = { mac => $mac, subnet => 'subnet-1', ips => [ $node->{host} ], instance => instance($node) };
		$instances{ instance($node) } = { role => 'pgha' };
		PghaCluster::must_run([ $cluster->in_netns($node->{netns}), 'ip', 'link', 'set', 'eth0', 'address', $mac ]) if $node->{netns};
	}
	my $log = "$cluster->{base}/log/ec2.log";
	PghaCluster::spew("$cluster->{base}/world.json", encode_json({
		region => 'eu-central-1', imds_ports => JSON::PP::true, listen => $self->{host}, subnets => { 'subnet-1' => $subnet },
		enis => \%enis, instances => \%instances, %world }));
	$self->{inside} = [ $cluster->{hub} ? $cluster->in_netns($cluster->{hub}) : () ];
	my $pid = PghaCluster::spawn(
		[
			@{ $self->{inside} }, 'setpriv', '--pdeathsig', 'KILL', '--',
			'/usr/bin/python3', "$PghaCluster::ROOT/t/fake_ec2.py", "$cluster->{base}/world.json"
		],
		log => $log);
	$cluster->adopt(PghaCluster::Child->new(pid => $pid, cluster => $cluster, signal => 'TERM'));
	my $said = $cluster->wait_for('the fake EC2', sub { my $text = PghaCluster::slurp($log) // ''; $text =~ /^ready .*\n/m && $text });
	my ($port) = $said =~ /^ready (\d+)/m;
	my %imds = $said =~ /^imds (\S+) (\d+)$/mg;

	$self->{url} = "http://$self->{host}:$port";
	$cluster->{settings}{'pgha.ec2_endpoint'} = $self->{url};
	$cluster->{settings}{'pgha.ec2_insecure'} = 'on';
	$cluster->{node_settings}{ $_->{name} }{'pgha.imds_endpoint'} = "http://$self->{host}:$imds{ instance($_) }" foreach $cluster->nodes;
	return $self;
}

# The instance that is a node's host.
sub instance { my ($node) = @_; return 'i-0' . $node->{name} x 16; }

# One request, from where the fake is: `path` below /_control/.
sub control
{
	my ($self, $path, $body) = @_;
	return PghaCluster::must_run(
		[
			@{ $self->{inside} }, '/usr/bin/env', '-u', 'http_proxy', 'perl', '-MHTTP::Tiny', '-e',
			'my ($url, $body) = @ARGV; my $h = HTTP::Tiny->new(timeout => 30);'
			  . 'my $r = defined $body ? $h->post($url, { content => $body }) : $h->get($url);'
			  . 'die "$r->{status} $r->{content}" unless $r->{success}; print $r->{content}',
			"$self->{url}/_control/$path", defined $body ? encode_json($body) : ()
		]);
}

sub set { my ($self, %setting) = @_; return $self->control('set', \%setting); }
sub faults { my ($self, @faults) = @_; return $self->control('faults', [ map { { service => 'ec2', %$_ } } @faults ]); }
sub clear { my ($self) = @_; return $self->control('clear', {}); }
sub state { my ($self) = @_; return decode_json($self->control('state')); }

# Requests to the API so far, of one node's instance if it is given.
sub requests
{
	my ($self, $node) = @_;
	return grep { $_->{service} eq 'ec2' && (!$node || ($_->{owner} // '') eq instance($node)) } @{ decode_json($self->control('log')) };
}

# What a node's instance has asked the metadata service for.
sub metadata
{
	my ($self, $node) = @_;
	return map { $_->{path} } grep { $_->{service} eq 'imds' && ($_->{instance} // '') eq instance($node) } @{ decode_json($self->control('log')) };
}

# Names of the actions that were requested.
sub actions { my ($self, $node) = @_; return map { $_->{action} } $self->requests($node); }

# Every request that was answered as it deserved had a good signature.
sub signatures_good
{
	my ($self) = @_;
	return !grep { defined $_->{status} && !$_->{fault} && ($_->{signature} // '') ne 'good' && ($_->{code} // '') ne 'RequestExpired' } $self->requests;
}

# Places where a secret of the fake's clients is shown.
sub leaks
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	my %text;

	$text{$_} = PghaCluster::slurp($_) // '' foreach glob("$cluster->{base}/log/*"), glob("$cluster->{base}/*.pgha/*");
	$text{"command line of $_"} = PghaCluster::command_line($_) foreach map { m{(\d+)$} } glob('/proc/[0-9]*');
	foreach my $node (grep { $_->is_up } $cluster->nodes)
	{
		$text{"$_ on $node->{name}"} = encode_json([ $node->rows("SELECT * FROM $_()") ]) foreach qw(pgha_events pgha_status pgha_cluster);
	}
	my %leaks;
	my @secrets = grep { length > 8 } @{ $self->state->{secrets} };
	die 'there are no secrets to look for' unless @secrets;
	foreach my $secret (@secrets)
	{
		$leaks{$_} = 1 foreach grep { index($text{$_}, $secret) >= 0 } keys %text;
	}
	return sort keys %leaks;
}

1;
