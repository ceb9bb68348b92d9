# PghaCluster.pm
#		Clusters of real PostgreSQL servers for tests, demo and measurements.
#
# A cluster is a directory below /tmp with a data directory a node, their logs
# and their sockets.  Servers are children of the calling program, run as the
# user postgres (the caller is that user, or root), listen on 127.0.0.1 with
# ports of their own, or each in a network namespace of its own (root only).
# What is asked of a server goes over its Unix-domain socket, so that a
# partitioned server can still be looked at.
#
# Processes are found by their working directory, which is the data directory
# for a server and for all it started, and are ended by process id.  Nothing
# sleeps for a fixed time: wait_for() polls a condition and dies with the state
# of the cluster and the tails of all logs when its limit has passed.  When the
# program ends, all that it started is ended and removed; PGHA_KEEP=1 keeps the
# directory, and t/run the logs of a test that failed.  (Killed with SIGKILL, it
# leaves directories, but no processes.)
#
# The modules below PghaCluster/ are loaded by this one: Host (commands, files,
# processes), Net (network namespaces), Node (one server and its agent), Child,
# Pgpool and Writer (what runs beside them).
package PghaCluster;

use strict;
use warnings;

use Carp;
use Fcntl qw(:flock);
use File::Basename qw(basename);
use File::Copy qw(move);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;

use PghaCluster::Host qw(:all);
use PghaCluster::Net qw(can_netns);
use PghaCluster::Node;
use PghaCluster::Pgpool;
use PghaCluster::Writer;

our @ISA = ('PghaCluster::Net');

# The function, and the variable behind it, which a test may set.
*bindir = *PghaCluster::Host::bindir;

my @clusters;
my $owner = $$;
my @port_locks;

# ---- waiting ----

sub wait_for
{
	my ($self, $what, $condition, $limit) = @_;
	my $start = now();
	my $result = poll_until($what, $condition, $limit);
	return $result if $result;
	$self->dump(sprintf 'timed out after %.1f s waiting for %s', now() - $start, $what);
	croak "timed out waiting for $what";
}

# The opposite: the condition must stay false for so long.  Used where the
# passing of time itself is what is tested (a failure_timeout that must not
# lead to anything).
sub stays_false
{
	my ($self, $condition, $seconds) = @_;
	return !poll_until('', $condition, $seconds);
}

# ---- cluster ----

# Options: nodes (number) or names; witnesses (names; they are no nodes, but in
# {witness}); settings (all nodes), node_settings (by
# name), pgha (0: plain PostgreSQL), netns (1: a network namespace each), fsync,
# prefix (of the directory), detached (1: may be left running), agents (1: each node has one), wal_segsize, port (first one to try).
sub new
{
	my ($class, %option) = @_;
	my $self = bless {
		pgha => 1,
		settings => {},
		node_settings => {},
		%option,
		writers => [],
		children => [],
		node => [],
		witness => [],
	}, $class;

	my $names = $option{names} // [ ('a' .. 'z')[ 0 .. ($option{nodes} // 3) - 1 ] ];
	my @witnesses = @{ $option{witnesses} // [] };
	my $prefix = $option{prefix} // $ENV{PGHA_TMP_PREFIX} // '/tmp/pgha-test';
	$self->{base} = $option{base} // tempdir("$prefix-XXXXXX", CLEANUP => 0);
	make_path("$self->{base}/log", "$self->{base}/sock");
	give_to_postgres($self->{base}, "$self->{base}/log", "$self->{base}/sock");
	chmod 0755, $self->{base};
	push @clusters, $self;

	$self->setup_network(@$names + @witnesses) if $self->{netns};
	my $index = 0;
	foreach my $name (@$names, @witnesses)
	{
		push @{ $self->{ $index < @$names ? 'node' : 'witness' } },
		  PghaCluster::Node->new(
			cluster => $self,
			name => $name,
			host => $self->{netns} ? "$self->{net}." . (11 + $index) : '127.0.0.1',
			port => $self->{netns} ? 5432 : $self->free_port(),
			netns => $self->{netns} ? "$self->{netname}-$name" : undef);
		$index++;
	}
	$self->{members} = join ', ', map { "$_->{name}=$_->{host}:$_->{port}" } @{ $self->{node} };
	$self->{witness_list} = join ', ', map { "$_->{name}=$_->{host}:$_->{port}" } $self->witnesses;
	$self->connect_network() if $self->{netns};
	return $self;
}

# A port that nobody listens on, kept for this program by a lock.
sub free_port
{
	my ($self) = @_;
	my $first = $self->{port} // $ENV{PGHA_PORT} // 24400;
	foreach my $port ($first .. $first + 199)
	{
		next if grep { $_->{port} == $port } @port_locks;
		open(my $lock, '>>', "/tmp/.pgha-port-$port.lock") or next;
		next unless flock($lock, LOCK_EX | LOCK_NB);
		# Whoever had it may have removed the file meanwhile.
		next unless (stat $lock)[1] == ((stat "/tmp/.pgha-port-$port.lock")[1] // -1);
		my $socket = IO::Socket::INET->new(
			LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 1, ReuseAddr => 1) or next;
		close $socket;
		push @port_locks, { port => $port, lock => $lock };
		return $port;
	}
	croak "no free port from $first on";
}

sub nodes { my ($self) = @_; return @{ $self->{node} }; }
sub witnesses { my ($self) = @_; return @{ $self->{witness} }; }

# All that vote.
sub voters { my ($self) = @_; return ($self->nodes, $self->witnesses); }

sub node
{
	my ($self, $name) = @_;
	my ($node) = grep { $_->{name} eq $name } $self->voters;
	return $node // croak "no node $name";
}

sub others { my ($self, $node) = @_; return grep { $_ != $node } $self->nodes; }

# Makes the data directories: initdb for the first node, base backups for the
# others; starts all.  Options: roles (SQL run on the primary before the
# backups), start (0: leave all stopped).
sub build
{
	my ($self, %option) = @_;
	my ($first, @rest) = $self->nodes;

	$first->initdb;
	$first->start;
	$first->wait_writable if $self->{pgha};
	if ($self->{pgha}) { $first->sql('CREATE EXTENSION pgha; SELECT pgha_setup_role()'); }
	else { $first->sql('CREATE ROLE pgha LOGIN REPLICATION; GRANT pg_monitor TO pgha'); }
	$first->sql('CREATE TABLE probe (v bigint); CREATE TABLE written (writer int, v bigint, PRIMARY KEY (writer, v))');
	$first->sql($option{sql}) if $option{sql};
	$_->clone($first) foreach @rest;
	$_->start(wait => 0) foreach @rest;
	$_->wait_ready foreach @rest;
	$self->wait_following($first) if @rest;
	$_->build_witness foreach $self->witnesses;
	if ($self->{agents}) { $_->start_agent foreach $self->nodes; }
	if (defined $option{start} && !$option{start})
	{
		$_->stop foreach $first, @rest, $self->witnesses;
	}
	return $self;
}

# Running servers that are out of recovery, whatever pgha says.
sub primaries
{
	my ($self) = @_;
	return grep { $_->is_up && ($_->value('SELECT NOT pg_is_in_recovery()') // '') eq 't' } $self->nodes;
}

sub primary
{
	my ($self) = @_;
	my @primaries = $self->primaries;
	return @primaries == 1 ? $primaries[0] : undef;
}

# One node leads, takes writes, and (unless told which) is any of them.
sub wait_single_primary
{
	my ($self, %option) = @_;
	my @among = $option{among} ? @{ $option{among} } : $self->nodes;
	return $self->wait_for(
		'a single primary that takes writes',
		sub {
			my @primaries = $self->primaries;
			return undef unless @primaries == 1;
			my ($primary) = grep { $_ == $primaries[0] } @among;
			return undef unless $primary && $primary->writable;
			# The gate opens a moment before the state is told.
			return !$self->{pgha} || $primary->state eq 'primary' ? $primary : undef;
		},
		$option{timeout});
}

# Every other running node, or the given ones, streams from the primary on its
# timeline, and a row written now arrives.
sub wait_following
{
	my ($self, $primary, @standbys) = @_;
	@standbys = grep { $_->is_up } $self->others($primary) unless @standbys;
	# A primary that has just been thawed refuses until it knows whether it still leads.
	my $value = $self->wait_for("$primary->{name} to take a row",
		sub { $primary->value('INSERT INTO probe VALUES ((random() * 1e15)::bigint + 1) RETURNING v') });
	foreach my $standby (@standbys)
	{
		$self->wait_for(
			"$standby->{name} to follow $primary->{name}",
			sub {
				return ($standby->value("SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM probe WHERE v = $value)"
						  . " AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'"
						  . " AND sender_host = '$primary->{host}' AND sender_port = $primary->{port})") // '') eq 't';
			});
	}
	return 1;
}

# Starts a node that led before it stopped: it has to come up read-only.  If its
# WAL went past the fork it is cloned anew.  Ends with the node following.
sub rejoin
{
	my ($self, $node, $primary) = @_;
	$node->start unless $node->is_running;
	my $state = $self->wait_for("$node->{name} to know where it belongs", sub { $self->settled($node) });
	if ($state eq 'diverged')
	{
		$node->stop;
		$node->clone($primary);
		$node->start;
	}
	$self->wait_following($primary, $node);
	return $state;
}

# "standby" once it streams, "diverged" once it has found that it cannot.
sub settled
{
	my ($self, $node) = @_;
	my $state = $node->state;
	return $state if $state eq 'diverged';
	return undef unless $state eq 'standby';
	my $streams = $node->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") // 0;
	return $streams && $node->state eq 'standby' ? 'standby' : undef;
}

# A fact that everything else rests on: never two servers out of recovery.
sub one_primary { my ($self) = @_; return $self->primaries == 1; }

# pgha_status() of a node, undef while it does not answer.
sub status
{
	my ($self, $node) = @_;
	return (ref $node ? $node : $self->node($node))->status;
}

sub dump
{
	my ($self, $title) = @_;
	my $text = "---- $title\n";
	foreach my $node ($self->voters)
	{
		my $status = $node->is_up ? $node->status : undef;
		$text .= sprintf "%s (port %d, pid %s%s): %s\n", $node->{name}, $node->{port}, $node->{pid} // '-',
		  $node->{frozen} ? ', frozen' : '',
		  defined $status
		  ? join(' ', map { "$_=" . ($status->{$_} // '') } sort keys %$status)
		  : 'no answer';
	}
	foreach my $file (sort(glob("$self->{base}/log/*")), glob("$self->{base}/*.pgha/*.log"))
	{
		my @lines = grep { !/ (fork a new child|child process with pid)/ } split /^/, slurp($file) // '';
		my $keep = $file =~ m{/(writer|session)-} ? 5 : 40;
		splice @lines, 0, @lines - $keep if @lines > $keep;
		$text .= "---- $file\n" . join '', @lines;
	}
	$text =~ s/^/# /mg;
	print STDERR $text, "\n";
}

# ---- writers ----

# Starts build/writer against the nodes (or a given connection string); see
# t/writer.c.  Returns an object with stop(), acknowledged(), gap(), ....
sub start_writer
{
	my ($self, %option) = @_;
	my $number = @{ $self->{writers} } + 1;
	my $log = "$self->{base}/log/writer-$number";
	my @targets = $option{conninfo}
	  ? ('--conninfo', $option{conninfo})
	  : map { ('--conninfo', "host=$_->{host} port=$_->{port} user=postgres dbname=postgres target_session_attrs=read-write") }
	  $option{nodes} ? @{ $option{nodes} } : $self->nodes;
	my @command = (
		$option{netns} ? $self->in_netns($option{netns}) : (),
		writer_program(), '--log', $log, '--writer', $number,
		'--interval', $option{interval} // 5, '--timeout', $option{timeout} // 1000,
		'--pause', $option{pause} // 10, $option{timeline} ? '--timeline' : (), @targets);
	croak writer_program() . ' is missing: run make build/writer' unless -x writer_program();
	my $pid = spawn(\@command, log => "$log.err");
	my $writer = bless { pid => $pid, log => $log, number => $number, cluster => $self }, 'PghaCluster::Writer';
	push @{ $self->{writers} }, $writer;
	return $writer;
}

# ---- cleaning up ----

# A child (pgpool, ...) that cleanup() shall end.
sub adopt { my ($self, $child) = @_; push @{ $self->{children} }, $child; return $child; }

# What a server must not leave behind; compared before and after.
sub inventory
{
	my ($self) = @_;
	opendir(my $shm, '/dev/shm') or croak "/dev/shm: $!";
	my $shm_files = grep { /^PostgreSQL\./ } readdir $shm;
	my $segments = () = must_run([ 'ipcs', '-m' ]) =~ /^0x/mg;
	my $semaphores = () = must_run([ 'ipcs', '-s' ]) =~ /^0x/mg;
	return {
		processes => scalar(map { processes_in($_->{data}) } $self->voters),
		shm_files => $shm_files,
		segments => $segments,
		semaphores => $semaphores,
	};
}

# In front of a server: a signal when this program is gone.
sub die_with_us
{
	my ($self, $signal) = @_;
	return $self->{detached} ? () : ('setpriv', '--pdeathsig', $signal);
}

# Leaves what runs alone when this program ends (option `detached` of new()).
sub leave { my ($self) = @_; $self->{cleaned} = 1; }

sub stop_all
{
	my ($self) = @_;
	$_->stop foreach grep { $_->is_running } reverse $self->voters;
}

sub cleanup
{
	my ($self) = @_;
	return if $self->{cleaned}++;
	$_->end foreach @{ $self->{writers} };
	$_->end foreach reverse @{ $self->{children} };
	foreach my $node (grep { $_->{has_agent} } $self->voters)
	{
		kill 'KILL', $node->{agent_pid} if $node->agent_running;
		$node->kill_job;
	}
	foreach my $node ($self->voters)
	{
		$node->thaw if $node->{frozen};
		kill 'QUIT', $node->{pid} if $node->is_running;
	}
	foreach my $node ($self->voters)
	{
		poll_until('', sub { !$node->is_running }, 10);
		$node->kill_all;
		$node->remove_segments;
	}
	poll_until('', sub { !processes_in($self->{base}) }, 10);
	$self->remove_network if $self->{netns};
	$self->move_logs if $ENV{PGHA_LOG_DIR} && !$ENV{PGHA_KEEP};
	remove_tree($self->{base}) unless $ENV{PGHA_KEEP};
}

# All logs, whole, to where t/run keeps those of a test that failed.
sub move_logs
{
	my ($self) = @_;
	my $directory = "$ENV{PGHA_LOG_DIR}/" . basename($self->{base});
	make_path($directory);
	foreach my $file (grep { -f } map { glob("$self->{base}/$_") } qw(log/* *.pgha/*.log */log/*))
	{
		(my $name = substr($file, length("$self->{base}/"))) =~ s{^log/}{};
		$name =~ tr{/}{-};
		move($file, "$directory/$name") or print STDERR "# $file: $!\n";
	}
	return;
}

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 128 + 15 } foreach qw(INT TERM HUP);

END
{
	if ($$ == $owner)
	{
		my $status = $?;
		foreach my $cluster (@clusters)
		{
			eval { $cluster->cleanup; 1 } or print STDERR $@;
		}
		unlink "/tmp/.pgha-port-$_->{port}.lock" foreach @port_locks;
		$? = $status;
	}
}

1;
