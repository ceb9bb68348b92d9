# PghaCluster/Net.pm
#		A cluster whose nodes each have a network namespace of their own: what
#		PghaCluster inherits for it.
#
# All are joined by a bridge in a namespace of its own (the hub), so that nothing
# leaves the test, and lines can be cut.
package PghaCluster::Net;

use strict;
use warnings;

use Carp;
use Exporter qw(import);

use PghaCluster::Host qw(is_root run_command must_run);

our @EXPORT_OK = qw(can_netns);

# Can this program have them?
sub can_netns
{
	return 0 unless is_root();
	my ($status) = run_command([ 'ip', 'netns', 'add', "pgha-try-$$" ]);
	return 0 if $status != 0;
	run_command([ 'ip', 'netns', 'del', "pgha-try-$$" ]);
	($status) = run_command([ 'iptables', '-w', '-L', '-n' ]);
	return $status == 0;
}

sub setup_network
{
	my ($self) = @_;
	croak 'network namespaces need root' unless is_root();
	$self->{netname} = "pgha$$";
	$self->{net} = '10.211.' . (1 + $$ % 250);
	$self->{hub} = "$self->{netname}-hub";
	must_run([ 'ip', 'netns', 'add', $self->{hub} ]);
	must_run([ 'ip', '-n', $self->{hub}, 'link', 'add', 'hub', 'type', 'bridge' ]);
	must_run([ 'ip', '-n', $self->{hub}, 'addr', 'add', "$self->{net}.1/24", 'dev', 'hub' ]);
	must_run([ 'ip', '-n', $self->{hub}, 'link', 'set', $_, 'up' ]) foreach 'hub', 'lo';
}

sub connect_network
{
	my ($self) = @_;
	my $index = 0;
	foreach my $node ($self->voters)
	{
		my $inside = "v$$-$index";
		must_run([ 'ip', 'netns', 'add', $node->{netns} ]);
		must_run([ 'ip', '-n', $node->{netns}, 'link', 'add', 'eth0', 'type', 'veth',
				'peer', 'name', "port$index", 'netns', $self->{hub} ]);
		must_run([ 'ip', '-n', $self->{hub}, 'link', 'set', "port$index", 'master', 'hub', 'up' ]);
		must_run([ 'ip', '-n', $node->{netns}, 'addr', 'add', "$node->{host}/24", 'dev', 'eth0' ]);
		must_run([ 'ip', '-n', $node->{netns}, 'link', 'set', $_, 'up' ]) foreach 'eth0', 'lo';
		$index++;
	}
}

sub in_netns
{
	my ($self, $namespace) = @_;
	return ('nsenter', "--net=/run/netns/$namespace", '--');
}

# Packets that come to $to from $from are dropped, without an answer.
sub block
{
	my ($self, $from, $to) = @_;
	must_run([ $self->in_netns($to->{netns}), 'iptables', '-w', '-A', 'INPUT', '-s', $from->{host}, '-j', 'DROP' ]);
}

# No packets between the nodes of one group and those of the other.
sub partition
{
	my ($self, $left, $right) = @_;
	foreach my $l (@$left)
	{
		foreach my $r (@$right)
		{
			$self->block($l, $r);
			$self->block($r, $l);
		}
	}
}

sub heal
{
	my ($self) = @_;
	must_run([ $self->in_netns($_->{netns}), 'iptables', '-w', '-F', 'INPUT' ]) foreach $self->voters;
}

sub remove_network
{
	my ($self) = @_;
	run_command([ 'ip', 'netns', 'del', $_ ]) foreach (map { $_->{netns} } $self->voters), $self->{hub};
	return;
}

1;
