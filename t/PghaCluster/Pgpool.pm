# PghaCluster/Pgpool.pm
#		pgpool-II in front of a cluster of three: examples/pgpool.conf as it is, then
#		what depends on the place (addresses, ports, directories).
package PghaCluster::Pgpool;

use strict;
use warnings;

use Digest::MD5 ();
use IO::Socket::INET;

use PghaCluster::Child;
use PghaCluster::Host qw($ROOT as_postgres bindir give_to_postgres run_command slurp spawn spew);
use PghaCluster::Node;

our @ISA = ('PghaCluster::Child');

sub start
{
	my ($class, $cluster) = @_;
	my $directory = "$cluster->{base}/pgpool";
	my $self = $class->new(
		cluster => $cluster, directory => $directory, log => "$cluster->{base}/log/pgpool.log",
		signal => 'INT', port => $cluster->free_port, pcp_port => $cluster->free_port);
	mkdir $directory;
	give_to_postgres($directory);

	my %local = (
		listen_addresses => '127.0.0.1', port => $self->{port}, recovery_user => 'postgres',
		pcp_listen_addresses => '127.0.0.1', pcp_port => $self->{pcp_port},
		socket_dir => $directory, pcp_socket_dir => $directory, wd_ipc_socket_dir => $directory,
		pid_file_name => "$directory/pgpool.pid", logdir => $directory);
	my $number = 0;
	foreach my $node ($cluster->nodes)
	{
		$local{"backend_hostname$number"} = $node->{host};
		$local{"backend_port$number"} = $node->{port};
		$local{"backend_data_directory$number"} = $node->{data};
		$number++;
	}
	my $conf = slurp("$ROOT/examples/pgpool.conf");
	$conf =~ s/^backend_\w+?(\d+) = .*\n/$1 < $number ? $& : ''/gem;
	spew("$directory/pgpool.conf", "$conf\n" . PghaCluster::Node::settings_text(%local));
	# md5 of the password "pgha" and the user's name
	spew("$directory/pcp.conf", "pgha:" . Digest::MD5::md5_hex('pgha') . "\n");
	spew("$directory/pcppass", "*:*:pgha:pgha\n");
	chmod 0600, "$directory/pcppass";
	spew("$directory/$_", '') foreach qw(pool_hba.conf pool_passwd);
	$self->{pid} = spawn(
		[
			as_postgres(), $cluster->die_with_us('INT'), $class->program('pgpool'), '-n',
			'-f', "$directory/pgpool.conf", '-F', "$directory/pcp.conf", '-a', "$directory/pool_hba.conf"
		],
		log => $self->{log}, cwd => $directory);
	$cluster->adopt($self);
	$cluster->wait_for('pgpool to serve', sub { defined $self->value('SELECT 1') });
	$cluster->wait_for('pgpool to take PCP commands',
		sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{pcp_port}, Proto => 'tcp') });
	return $self;
}

sub program
{
	my ($class, $name) = @_;
	my ($found) = grep { -x } map { "$_/$name" } qw(/usr/sbin /usr/bin /usr/local/bin);
	return $found;
}

sub conninfo
{
	my ($self) = @_;
	return "host=127.0.0.1 port=$self->{port} user=postgres dbname=postgres";
}

sub psql
{
	my ($self, $sql, %option) = @_;
	my ($status, $out, $err) = run_command(
		[ bindir() . '/psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo, '-c', $sql ],
		timeout => $option{timeout} // 5);
	chomp $out;
	return ($status, $out, $err);
}

sub value
{
	my ($self, $sql) = @_;
	my ($status, $out) = $self->psql($sql);
	return $status == 0 ? $out : undef;
}

# What pgpool knows: { port => [status, role] }
sub view
{
	my ($self) = @_;
	my %view;
	foreach my $line (split /\n/, $self->value('SHOW POOL_NODES') // '')
	{
		my @field = split /\|/, $line;
		# id, host, port, status, pg_status, weight, role, ...
		$view{ $field[2] } = [ $field[3], $field[6] ];
	}
	return \%view;
}

# The same when it is to be looked at once: a session that fails says nothing.
sub seen
{
	my ($self) = @_;
	return $self->{cluster}->wait_for('pgpool to tell what it knows', sub { my $view = $self->view; return %$view ? $view : undef });
}

# A pcp command about a node, with what runs it.
sub pcp_command
{
	my ($self, $command, $node, @arguments) = @_;
	my ($number) = grep { ($self->{cluster}->nodes)[$_] == $node } 0 .. $self->{cluster}->nodes - 1;
	return (
		as_postgres(), 'env', "PCPPASSFILE=$self->{directory}/pcppass",
		$self->program($command), '-h', '127.0.0.1', '-p', $self->{pcp_port}, '-U', 'pgha', '-w', '-n', $number, @arguments);
}

# Runs it; returns what the command said.
sub pcp
{
	my ($self, @command) = @_;
	my ($status, $out, $err) = run_command([ $self->pcp_command(@command) ], timeout => 180);
	return "$out$err";
}

sub attach { my ($self, $node) = @_; return $self->pcp('pcp_attach_node', $node); }

# Writes settings and has pgpool read them.
sub set
{
	my ($self, %setting) = @_;
	spew("$self->{directory}/pgpool.conf",
		slurp("$self->{directory}/pgpool.conf") . PghaCluster::Node::settings_text(%setting));
	kill 'HUP', $self->{pid};
	return;
}

1;
