# PghaRouting.pm
#		What the tests of examples for routing share: programs from Debian's packages
#		with the example's configuration, in the network of a cluster in namespaces.
package PghaRouting;

use strict;
use warnings;

use Exporter qw(import);
use PghaCluster;

our @EXPORT = qw(program routed_cluster example run_in_hub answers);

# Where Debian has it, or undef.
sub program
{
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" } qw(/usr/sbin /usr/bin /usr/local/sbin);
	return $path;
}

# Nodes that are hosts of their own, whose agents answer over HTTP where the examples ask.
sub routed_cluster
{
	my (%option) = @_;
	my $cluster = PghaCluster->new(netns => 1, settings => { 'pgha.failure_timeout' => '2s', %{ $option{settings} // {} } }, nodes => $option{nodes} // 3);
	$cluster->{node_settings}{ $_->{name} } = { listen_addresses => '*', 'pgha.http' => "$_->{host}:8008" } foreach $cluster->nodes;
	$cluster->{settings}{'pgha.address'} = "local:" . address($cluster) . '/24@eth0' if $option{address};
	$cluster->build;
	$_->start_agent(net_admin => 1) foreach $cluster->nodes;
	return $cluster;
}

sub address { my ($cluster) = @_; return "$cluster->{net}.100"; }

# An example with the addresses of this network in place of those that it has.
sub example
{
	my ($cluster, $name, %other) = @_;
	my $text = PghaCluster::slurp("$PghaCluster::ROOT/examples/$name");
	my $number = 21;
	foreach my $node ($cluster->nodes)
	{
		$text =~ s/\b10\.0\.3\.$number\b/$node->{host}/g;
		$number++;
	}
	my $address = address($cluster);
	$text =~ s/\b10\.0\.3\.10\b/$address/g;
	foreach my $from (sort keys %other)
	{
		$text =~ s/\Q$from\E/$other{$from}/g or die "$from is not in examples/$name\n";
	}
	my $path = "$cluster->{base}/$name";
	PghaCluster::spew($path, $text);
	PghaCluster::give_to_postgres($path);
	chmod 0644, $path;
	return $path;
}

# A program beside the nodes, as the user postgres; ended with the cluster.
sub run_in_hub
{
	my ($cluster, $name, @command) = @_;
	my $log = "$cluster->{base}/log/$name.log";
	my $pid = PghaCluster::spawn([ $cluster->in_netns($cluster->{hub}), PghaCluster::as_postgres(), $cluster->die_with_us('TERM'), @command ], log => $log);
	return $cluster->adopt(PghaCluster::Child->new(pid => $pid, log => $log));
}

# What a query through a port at the hub's address returns, undef if nothing.
sub answers
{
	my ($cluster, $port, $query) = @_;
	my ($status, $out) = PghaCluster::run_command([ $cluster->in_netns($cluster->{hub}), PghaCluster::as_postgres(),
			PghaCluster::bindir() . '/psql', "host=$cluster->{net}.1 port=$port user=postgres dbname=postgres connect_timeout=3", '-XAtqc', $query ], timeout => 30);
	return if $status != 0;
	chomp $out;
	return $out;
}

1;
