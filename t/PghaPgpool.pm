# PghaPgpool.pm
#		pgpool-II for the tests of what pgpool and the agent do together: it can be
#		started again, and can be in the hub of a cluster with network namespaces.
package PghaPgpool;

use strict;
use warnings;

use PghaCluster;

our @ISA = ('PghaCluster::Pgpool');

# Options: settings (over those of examples/pgpool.conf).
sub start
{
	my ($class, $cluster, %option) = @_;
	my $directory = "$cluster->{base}/pgpool";
	my $self = $class->new(
		cluster => $cluster, directory => $directory, log => "$cluster->{base}/log/pgpool.log", signal => 'INT',
		host => $cluster->{netns} ? "$cluster->{net}.1" : '127.0.0.1',
		port => $cluster->free_port, pcp_port => $cluster->free_port);
	mkdir $directory;
	PghaCluster::give_to_postgres($directory);

	my %local = (
		listen_addresses => $self->{host}, port => $self->{port}, recovery_user => 'postgres',
		pcp_listen_addresses => $self->{host}, pcp_port => $self->{pcp_port}, pid_file_name => "$directory/pgpool.pid",
		map({ $_ => $directory } qw(socket_dir pcp_socket_dir wd_ipc_socket_dir logdir)), %{ $option{settings} // {} });
	my $number = 0;
	foreach my $node ($cluster->nodes)
	{
		@local{ "backend_hostname$number", "backend_port$number", "backend_data_directory$number" } = @$node{qw(host port data)};
		$number++;
	}
	my $conf = PghaCluster::slurp("$PghaCluster::ROOT/examples/pgpool.conf");
	$conf =~ s/^backend_\w+?(\d+) = .*\n/$1 < $number ? $& : ''/gem;
	PghaCluster::spew("$directory/pgpool.conf", "$conf\n" . PghaCluster::Node::settings_text(%local));
	# md5 of the password "pgha" and the user's name
	PghaCluster::spew("$directory/pcp.conf", 'pgha:' . Digest::MD5::md5_hex('pgha') . "\n");
	PghaCluster::spew("$directory/pcppass", "*:*:pgha:pgha\n");
	chmod 0600, "$directory/pcppass";
	PghaCluster::spew("$directory/$_", '') foreach qw(pool_hba.conf pool_passwd);
	$cluster->adopt($self);
	$self->launch;
	$cluster->wait_for('pgpool to know all nodes', sub { $number == grep { /^up / } values %{ $self->view } });
	return $self;
}

# Where it is, and its clients and PCP commands with it.
sub here { my ($self) = @_; return $self->{cluster}{netns} ? $self->{cluster}->in_netns($self->{cluster}{hub}) : (); }

# Its process, without a wait for anything but that it is there.
sub launch
{
	my ($self) = @_;
	my $directory = $self->{directory};
	$self->{pid} = PghaCluster::spawn(
		[
			$self->here, PghaCluster::as_postgres(), $self->{cluster}->die_with_us('INT'), $self->program('pgpool'), '-n',
			'-f', "$directory/pgpool.conf", '-F', "$directory/pcp.conf", '-a', "$directory/pool_hba.conf"
		],
		log => $self->{log}, cwd => $directory);
	return;
}

# What the nodes' agents need to tell it.
sub told_by
{
	my ($self, @nodes) = @_;
	foreach my $node (@nodes)
	{
		$node->set('pgha.pgpool' => "$self->{host}:$self->{pcp_port}", 'pgha.pgpool_passfile' => "$self->{directory}/pcppass");
		$node->start_agent unless $node->agent_running;
	}
	return;
}

sub conninfo { my ($self) = @_; return "host=$self->{host} port=$self->{port} user=postgres dbname=postgres"; }

sub psql
{
	my ($self, $sql, %option) = @_;
	my ($status, $out, $err) = PghaCluster::run_command(
		[ $self->here, PghaCluster::bindir() . '/psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo, '-c', $sql ],
		timeout => $option{timeout} // 5);
	chomp $out;
	return ($status, $out, $err);
}

# By "host:port", since all ports are the same where each node has a namespace.
sub view
{
	my ($self) = @_;
	return { map { my @field = split /\|/; ("$field[1]:$field[2]" => "$field[3] $field[6]") } split /\n/, $self->value('SHOW POOL_NODES') // '' };
}

sub pcp_command
{
	my ($self, @command) = @_;
	my @all = $self->SUPER::pcp_command(@command);
	s/^127\.0\.0\.1$/$self->{host}/ foreach @all;
	return ($self->here, @all);
}

# ---- its log, and what it serves ----

sub log_mark { my ($self) = @_; return -s $self->{log} // 0; }

sub wait_log
{
	my ($self, $what, $pattern, $mark, $limit) = @_;
	return $self->{cluster}->wait_for($what, sub { substr(PghaCluster::slurp($self->{log}), $mark) =~ $pattern }, $limit);
}

# It looks for the primary, and those that it asks are none.
sub wait_search
{
	my ($self, $mark) = @_;
	return $self->wait_log('pgpool to look for the primary', qr/find_primary_node_repeatedly: waiting for finding a primary node/, $mark, 120);
}

# Writes go through, `primary` is its primary, and all others are its standbys.
sub wait_serves
{
	my ($self, $primary) = @_;
	my $cluster = $self->{cluster};
	$cluster->wait_for('writes to go through pgpool', sub { defined $self->value('INSERT INTO probe VALUES (1)') }, 120);
	$cluster->wait_for(
		"pgpool to have $primary->{name} as its primary and all others as its standbys",
		sub {
			my $view = $self->view;
			return !grep { ($view->{"$_->{host}:$_->{port}"} // '') ne ($_ == $primary ? 'up primary' : 'up standby') } $cluster->nodes;
		},
		120);
	return 1;
}

1;
