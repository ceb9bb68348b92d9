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
# directory.  (Killed with SIGKILL, it leaves directories, but no processes.)
package PghaCluster;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use Digest::MD5;
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

our $TIMEOUT = $ENV{PGHA_TEST_TIMEOUT} // 60;
our $ROOT = abs_path(dirname(__FILE__) . '/..');
our $VERBOSE = $ENV{PGHA_VERBOSE} // 0;

# What a started process leaves behind (a server that an agent started) becomes
# our child, so that it is reaped: prctl(PR_SET_CHILD_SUBREAPER).
my ($machine) = (POSIX::uname())[4];
my %prctl = (x86_64 => 157, aarch64 => 167);
syscall($prctl{$machine}, 36, 1, 0, 0, 0) if $prctl{$machine};

my @clusters;
my $owner = $$;
my @port_locks;

# Where the servers, the program and the writer are.
sub bindir
{
	our $bindir;
	if (!defined $bindir)
	{
		my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
		$bindir = `$pg_config --bindir`;
		croak "cannot run $pg_config" if $?;
		chomp $bindir;
	}
	return $bindir;
}

# PostgreSQL's major version.
sub major
{
	my ($major) = `"@{[ bindir() ]}/postgres" --version` =~ /\(PostgreSQL\) (\d+)/ or croak 'cannot tell the version of postgres';
	return $major;
}

sub pgha_program { return bindir() . '/pgha'; }
sub writer_program { return "$ROOT/build/writer"; }

# Monotonic time in seconds; the clock of the writer's log.
sub now { return clock_gettime(CLOCK_MONOTONIC); }

sub is_root { return $> == 0; }

# In front of a command that must not run as root.  Only programs that replace
# themselves: the process id stays the one that fork() returned.
sub as_postgres
{
	return is_root()
	  ? ('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--reset-env', '--')
	  : ();
}

# ---- commands ----

# Runs a command with a limit; returns (status, stdout, stderr).  Status is the
# exit code, 128 + signal, or -1 if it was killed at the limit.
sub run_command
{
	my ($command, %option) = @_;
	my $limit = now() + ($option{timeout} // $TIMEOUT);

	pipe(my $out_r, my $out_w) or croak "pipe: $!";
	pipe(my $err_r, my $err_w) or croak "pipe: $!";
	my $pid = fork() // croak "fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>&', $out_w);
		open(STDERR, '>&', $err_w);
		chdir($option{cwd} // '/');
		$ENV{$_} = $option{env}{$_} foreach keys %{ $option{env} // {} };
		{ no warnings 'exec'; exec { $command->[0] } @$command; }
		syswrite STDERR, "cannot run $command->[0]: $!\n";
		POSIX::_exit(127);
	}
	close $out_w;
	close $err_w;

	my ($out, $err, $killed) = ('', '', 0);
	my %open = (fileno($out_r) => [ $out_r, \$out ], fileno($err_r) => [ $err_r, \$err ]);
	while (%open)
	{
		my $left = $limit - now();
		if ($left <= 0)
		{
			kill 'KILL', $pid;
			$killed = 1;
			last;
		}
		my $bits = '';
		vec($bits, $_, 1) = 1 foreach keys %open;
		my $ready = $bits;
		select($ready, undef, undef, $left) > 0 or next;
		foreach my $fd (keys %open)
		{
			next unless vec($ready, $fd, 1);
			my ($handle, $text) = @{ $open{$fd} };
			delete $open{$fd} unless sysread($handle, $$text, 65536, length $$text);
		}
	}
	waitpid($pid, 0);
	my $status = $killed ? -1 : ($? & 127) ? 128 + ($? & 127) : $? >> 8;
	return ($status, $out, $err);
}

# The same for commands that must succeed; returns stdout.
sub must_run
{
	my ($command, %option) = @_;
	my ($status, $out, $err) = run_command($command, %option);
	croak "@$command: status $status\n$out$err" if $status != 0;
	return $out;
}

sub slurp
{
	my ($file) = @_;
	open(my $handle, '<', $file) or return undef;
	local $/;
	my $text = <$handle>;
	return $text // '';
}

# Writes a file that the servers can read and replace.
sub spew
{
	my ($file, $text) = @_;
	open(my $handle, '>', $file) or croak "$file: $!";
	print $handle $text;
	close $handle or croak "$file: $!";
	give_to_postgres($file);
}

sub give_to_postgres
{
	my (@files) = @_;
	return unless is_root();
	my (undef, undef, $uid, $gid) = getpwnam('postgres');
	croak 'there is no user postgres' unless defined $uid;
	chown $uid, $gid, @files;
}

# ---- processes ----

# All processes whose working directory is the given one or lies below it.
sub processes_in
{
	my ($directory) = @_;
	my @found;
	opendir(my $proc, '/proc') or croak "/proc: $!";
	foreach my $pid (grep { /^\d+$/ } readdir $proc)
	{
		my $cwd = readlink("/proc/$pid/cwd") // next;
		$cwd =~ s/ \(deleted\)$//;
		push @found, $pid if $cwd eq $directory || index($cwd, "$directory/") == 0;
	}
	@found = sort { $a <=> $b } @found;
	return @found;
}

sub process_state
{
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat") // return '';
	return $stat =~ /^\d+ \(.*\) (\S)/s ? $1 : '';
}

sub command_line
{
	my ($pid) = @_;
	my $text = slurp("/proc/$pid/cmdline") // return '';
	$text =~ tr/\0/ /;
	$text =~ s/ +$//;
	return $text;
}

# utime + stime in seconds.
sub cpu_time
{
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat") // return 0;
	$stat =~ s/^.*\) //s;
	my @field = split / /, $stat;
	return ($field[11] + $field[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# The same, with the children that the process has reaped.
sub cpu_time_with_children
{
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat") // return 0;
	$stat =~ s/^.*\) //s;
	my @field = split / /, $stat;
	return ($field[11] + $field[12] + $field[13] + $field[14]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub resident_kb
{
	my ($pid) = @_;
	my $status = slurp("/proc/$pid/status") // return 0;
	return $status =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}

# Starts a long-running child; output goes to a file.
sub spawn
{
	my ($command, %option) = @_;
	my $log = $option{log} // '/dev/null';
	my $pid = fork() // croak "fork: $!";
	if ($pid == 0)
	{
		POSIX::setsid();
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>>', $log);
		open(STDERR, '>>', $log);
		chdir($option{cwd} // '/');
		$ENV{$_} = $option{env}{$_} foreach keys %{ $option{env} // {} };
		$SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP PIPE);
		{ no warnings 'exec'; exec { $command->[0] } @$command; }
		syswrite STDERR, "cannot run $command->[0]: $!\n";
		POSIX::_exit(127);
	}
	return $pid;
}

# ---- waiting ----

# Polls a condition until it returns true; returns what it returned.  In a
# cluster's wait_for() a timeout tells the state of the cluster.
sub poll_until
{
	my ($what, $condition, $limit) = @_;
	my $end = now() + ($limit // $TIMEOUT);
	my $pause = 5_000;
	for (;;)
	{
		my $result = $condition->();
		return $result if $result;
		return undef if now() > $end;
		usleep($pause);
		$pause = 50_000 if ($pause *= 1.3) > 50_000;
	}
}

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

# Options: nodes (number) or names; settings (all nodes), node_settings (by
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
	}, $class;

	my $names = $option{names} // [ ('a' .. 'z')[ 0 .. ($option{nodes} // 3) - 1 ] ];
	my $prefix = $option{prefix} // $ENV{PGHA_TMP_PREFIX} // '/tmp/pgha-test';
	$self->{base} = $option{base} // tempdir("$prefix-XXXXXX", CLEANUP => 0);
	make_path("$self->{base}/log", "$self->{base}/sock");
	give_to_postgres($self->{base}, "$self->{base}/log", "$self->{base}/sock");
	chmod 0755, $self->{base};
	push @clusters, $self;

	$self->setup_network(scalar @$names) if $self->{netns};
	my $index = 0;
	foreach my $name (@$names)
	{
		push @{ $self->{node} },
		  PghaCluster::Node->new(
			cluster => $self,
			name => $name,
			host => $self->{netns} ? "$self->{net}." . (11 + $index) : '127.0.0.1',
			port => $self->{netns} ? 5432 : $self->free_port(),
			netns => $self->{netns} ? "$self->{netname}-$name" : undef);
		$index++;
	}
	$self->{members} = join ', ', map { "$_->{name}=$_->{host}:$_->{port}" } @{ $self->{node} };
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

sub node
{
	my ($self, $name) = @_;
	my ($node) = grep { $_->{name} eq $name } $self->nodes;
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
	if ($self->{agents}) { $_->start_agent foreach $self->nodes; }
	if (defined $option{start} && !$option{start})
	{
		$_->stop foreach $first, @rest;
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
	foreach my $node ($self->nodes)
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
		'--pause', $option{pause} // 10, @targets);
	croak writer_program() . ' is missing: run make build/writer' unless -x writer_program();
	my $pid = spawn(\@command, log => "$log.err");
	my $writer = bless { pid => $pid, log => $log, number => $number, cluster => $self }, 'PghaCluster::Writer';
	push @{ $self->{writers} }, $writer;
	return $writer;
}

# ---- network namespaces ----

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
	foreach my $node ($self->nodes)
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
	must_run([ $self->in_netns($_->{netns}), 'iptables', '-w', '-F', 'INPUT' ]) foreach $self->nodes;
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
		processes => scalar(map { processes_in($_->{data}) } $self->nodes),
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
	$_->stop foreach grep { $_->is_running } reverse $self->nodes;
}

sub cleanup
{
	my ($self) = @_;
	return if $self->{cleaned}++;
	$_->end foreach @{ $self->{writers} };
	$_->end foreach reverse @{ $self->{children} };
	foreach my $node (grep { $_->{has_agent} } $self->nodes)
	{
		kill 'KILL', $node->{agent_pid} if $node->agent_running;
		$node->kill_job;
	}
	foreach my $node ($self->nodes)
	{
		$node->thaw if $node->{frozen};
		kill 'QUIT', $node->{pid} if $node->is_running;
	}
	foreach my $node ($self->nodes)
	{
		poll_until('', sub { !$node->is_running }, 10);
		$node->kill_all;
		$node->remove_segments;
	}
	poll_until('', sub { !processes_in($self->{base}) }, 10);
	if ($self->{netns})
	{
		run_command([ 'ip', 'netns', 'del', $_ ]) foreach (map { $_->{netns} } $self->nodes), $self->{hub};
	}
	remove_tree($self->{base}) unless $ENV{PGHA_KEEP};
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

# ---------------------------------------------------------------------------
package PghaCluster::Node;

use strict;
use warnings;

use Carp;
use File::Path qw(remove_tree);
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(usleep);

sub new
{
	my ($class, %field) = @_;
	my $base = $field{cluster}{base};
	mkdir "$base/sock/$field{name}";
	PghaCluster::give_to_postgres("$base/sock/$field{name}");
	return bless {
		%field,
		data => "$base/$field{name}",
		log => "$base/log/$field{name}.log",
		socket => "$base/sock/$field{name}",
		settings => {},
		segments => [],
	}, $class;
}

sub program { my ($self, $name) = @_; return PghaCluster::bindir() . "/$name"; }

# In front of what runs on this node's host, as its user; options of setpriv.
sub here
{
	my ($self, @setpriv) = @_;
	my @user = PghaCluster::as_postgres();
	splice @user, -1, 0, @setpriv if @user;
	return (($self->{netns} ? $self->{cluster}->in_netns($self->{netns}) : ()), @user);
}

# ---- data directory and configuration ----

sub initdb
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	PghaCluster::must_run(
		[
			PghaCluster::as_postgres(), $self->program('initdb'), '-D', $self->{data}, '-A', 'trust', '-U', 'postgres',
			'--no-sync', '--locale=C', '--encoding=UTF8',
			$cluster->{wal_segsize} ? "--wal-segsize=$cluster->{wal_segsize}" : ()
		]);
	my %shared = (
		shared_buffers => '16MB',
		max_connections => 50,
		fsync => $cluster->{fsync} ? 'on' : 'off',
		wal_log_hints => 'on',
		max_wal_senders => 12,
		log_line_prefix => '%m %b[%p] ',
		log_checkpoints => 'off',
		lc_messages => 'C',
		$cluster->{pgha}
		? (
			shared_preload_libraries => 'pgha',
			'pgha.members' => $cluster->{members},
			'pgha.conninfo' => 'user=pgha',
			'pgha.heartbeat_interval' => '100ms',
			'pgha.failure_timeout' => '1s',
			'pgha.startup_grace' => '5s')
		: (),
		%{ $cluster->{settings} });
	my $conf = PghaCluster::slurp("$self->{data}/postgresql.conf");
	PghaCluster::spew("$self->{data}/postgresql.conf", $conf . settings_text(%shared) . "include 'node.conf'\n");
	my $hba = PghaCluster::slurp("$self->{data}/pg_hba.conf");
	$hba .= "host all,replication all $cluster->{net}.0/24 trust\n" if $cluster->{net};
	PghaCluster::spew("$self->{data}/pg_hba.conf", $hba);
	$self->configure;
}

sub settings_text
{
	my (%setting) = @_;
	my $text = '';
	foreach my $name (sort keys %setting)
	{
		my $value = $setting{$name} // next;
		$value =~ s/'/''/g;
		$text .= "$name = '$value'\n";
	}
	return $text;
}

# (Re)writes what is this node's own.  Settings given here win over all others;
# undef takes one back.
sub configure
{
	my ($self, %setting) = @_;
	my $cluster = $self->{cluster};
	$self->{settings} = { %{ $self->{settings} }, %setting };
	delete $self->{settings}{$_} foreach grep { !defined $setting{$_} } keys %setting;
	my %all = (
		port => $self->{port},
		listen_addresses => $self->{host},
		unix_socket_directories => $self->{socket},
		$cluster->{pgha} ? ('pgha.node' => $self->{name}) : (),
		%{ $cluster->{node_settings}{ $self->{name} } // {} },
		%{ $self->{settings} });
	PghaCluster::spew("$self->{data}/node.conf", settings_text(%all));
}

sub set
{
	my ($self, %setting) = @_;
	$self->configure(%setting);
	$self->reload;
}

sub reload { my ($self) = @_; kill 'HUP', $self->{pid} or croak "$self->{name} is not running"; }

# Base backup of another node, ready to start as its standby.
sub clone
{
	my ($self, $source) = @_;
	croak "$self->{name} is running" if $self->is_running;
	remove_tree($self->{data});
	$self->remove_segments;
	PghaCluster::must_run(
		[
			$self->here, $self->program('pg_basebackup'),
			'-D', $self->{data}, '-h', $source->{host}, '-p', $source->{port}, '-U', 'postgres',
			'-c', 'fast', '-X', 'stream', $self->{cluster}{fsync} ? () : '--no-sync'
		]);
	PghaCluster::spew("$self->{data}/standby.signal", '');
	$self->configure($self->{cluster}{pgha} ? ()
		: (primary_conninfo => "host=$source->{host} port=$source->{port} user=postgres application_name=$self->{name}"));
}

# ---- start, stop, kill ----

sub start
{
	my ($self, %option) = @_;
	croak "$self->{name} is running" if $self->is_running;
	delete $self->{status};
	$self->{pid} = PghaCluster::spawn(
		[ $self->here, $self->{cluster}->die_with_us('QUIT'), $self->program('postgres'), '-D', $self->{data} ],
		log => $self->{log});
	$self->wait_ready unless defined $option{wait} && !$option{wait};
	return $self;
}

# Accepts connections (a standby: read-only ones).
sub wait_ready
{
	my ($self) = @_;
	$self->{cluster}->wait_for(
		"$self->{name} to accept connections",
		sub {
			if (!$self->is_running)
			{
				$self->{cluster}->dump("$self->{name} ended while starting");
				croak "$self->{name} ended while starting";
			}
			return defined $self->value('SELECT 1');
		});
}

# Starts a server that is expected to refuse; returns what it logged.
sub start_refused
{
	my ($self) = @_;
	my $mark = $self->log_mark;
	$self->start(wait => 0);
	my $ended = PghaCluster::poll_until('', sub { !$self->is_running || defined $self->value('SELECT 1') }, 30);
	return $self->log_since($mark) if $ended && !$self->is_running;
	$self->stop('immediate');
	return undef;
}

# The postmaster's process is there (frozen or not).
sub is_running
{
	my ($self) = @_;
	return $self->find_server unless $self->{pid};
	my $reaped = waitpid($self->{pid}, WNOHANG);
	return 1 if $reaped == 0 || ($reaped < 0 && $self->find_server);
	$self->{status} = $? if $reaped == $self->{pid};
	$self->{pid} = undef;
	$self->{frozen} = 0;
	return $self->find_server;		# another one may have been started meanwhile
}

# A server that the agent has started is not our child.
sub find_server
{
	my ($self) = @_;
	return 0 unless $self->{has_agent};
	my ($pid) = (PghaCluster::slurp("$self->{data}/postmaster.pid") // '') =~ /^(\d+)/;
	$self->reap($pid) if defined $pid;
	return 0 unless defined $pid && (readlink("/proc/$pid/cwd") // '') eq $self->{data}
		&& PghaCluster::command_line($pid) =~ m{^\S*/postgres };
	$self->{pid} = $pid;
	return 1;
}

# Running and not frozen: may be asked.
sub is_up { my ($self) = @_; return $self->is_running && !$self->{frozen}; }

sub stop
{
	my ($self, $mode) = @_;
	my %signal = (smart => 'TERM', fast => 'INT', immediate => 'QUIT');
	return unless $self->is_running;
	kill $signal{ $mode // 'fast' }, $self->{pid};
	$self->{cluster}->wait_for("$self->{name} to stop", sub { !$self->is_running });
	return;
}

sub restart { my ($self, $mode) = @_; $self->stop($mode); $self->start; }

sub processes { my ($self) = @_; return PghaCluster::processes_in($self->{data}); }

# Stops all processes in their tracks, the postmaster first, so that nothing
# reacts to the death of anything else.
sub stop_processes
{
	my ($self) = @_;
	my @known = $self->processes;
	my $start = PghaCluster::now();
	kill 'STOP', $self->{pid} if $self->{pid};
	kill 'STOP', @known;
	my %stopped = map { $_ => 1 } @known;
	while (my @new = grep { !$stopped{$_} } $self->processes)
	{
		kill 'STOP', @new;
		$stopped{$_} = 1 foreach @new;
	}
	return ($start, keys %stopped);
}

# kill -9 of everything at once, as a power failure would.  Returns the time of
# the first signal.
sub kill9
{
	my ($self) = @_;
	$self->note_segments;
	my ($start, @pids) = $self->stop_processes;
	kill 'KILL', @pids;
	$self->{cluster}->wait_for("the processes of $self->{name} to be gone",
		sub { $self->reap(@pids); return !$self->is_running && !$self->processes });
	return $start;
}

# What an agent started has become our child.  A postmaster that is a zombie would
# still hold its lock files in the eyes of the next one.
sub reap
{
	my ($self, @pids) = @_;
	waitpid($_, WNOHANG) foreach grep { $_ != ($self->{pid} // 0) } @pids;
	return;
}

# The postmaster alone; its children notice and leave by themselves.
sub kill_postmaster
{
	my ($self) = @_;
	$self->note_segments;
	my $start = PghaCluster::now();
	kill 'KILL', $self->{pid};
	$self->{cluster}->wait_for("the postmaster of $self->{name} to be gone", sub { !$self->is_running });
	return $start;
}

sub freeze
{
	my ($self) = @_;
	my ($start) = $self->stop_processes;
	$self->{frozen} = 1;
	return $start;
}

sub thaw
{
	my ($self) = @_;
	my $start = PghaCluster::now();
	my @pids = $self->processes;
	kill 'CONT', @pids;
	$self->{frozen} = 0;
	return $start;
}

sub kill_all
{
	my ($self) = @_;
	kill 'KILL', $self->{pid} if $self->is_running;
	PghaCluster::poll_until('', sub { my @left = $self->processes; kill 'KILL', @left; return !@left && !$self->is_running }, 10);
}

# Shared memory of a server that is about to be killed: nobody else could
# remove it when its data directory goes away.
sub note_segments
{
	my ($self) = @_;
	foreach my $pid ($self->processes)
	{
		push @{ $self->{segments} }, (PghaCluster::slurp("/proc/$pid/maps") // '') =~ m{(/dev/shm/PostgreSQL\.\d+)}g;
	}
	my $file = PghaCluster::slurp("$self->{data}/postmaster.pid") // return;
	my (undef, $id) = split ' ', (split /\n/, $file)[6] // '';
	push @{ $self->{segments} }, $id if defined $id;
}

sub remove_segments
{
	my ($self) = @_;
	foreach my $segment (splice @{ $self->{segments} })
	{
		if ($segment =~ m{^/}) { unlink $segment; }
		else { shmctl($segment, 0, 0); }
	}
}

# ---- agent ----

sub agent_directory { my ($self) = @_; return "$self->{data}.pgha"; }

# Options: env; arguments (instead of -D DATA); wait (0: not until it is
# connected); net_admin (1: with the capabilities that an address needs).
sub start_agent
{
	my ($self, %option) = @_;
	my $cluster = $self->{cluster};
	my $since = Time::HiRes::time();
	$self->{has_agent} = 1;
	$self->{agent_log} = "$cluster->{base}/log/$self->{name}.agent.log";
	$self->{agent_pid} = PghaCluster::spawn(
		[
			$self->here($option{net_admin} ? ('--inh-caps=+net_admin,+net_raw', '--ambient-caps=+net_admin,+net_raw') : ()),
			$cluster->die_with_us('TERM'), '/usr/bin/env', map({ "$_=$option{env}{$_}" } keys %{ $option{env} // {} }),
			PghaCluster::pgha_program(), 'agent',
			$option{arguments} ? @{ $option{arguments} } : ('-D', $self->{data})
		],
		log => $self->{agent_log});
	$self->wait_agent($since) unless defined $option{wait} && !$option{wait};
	return $self;
}

# Connected to the primary, whichever that is; `since`: by a session begun after
# that time.  That of an agent that has ended may still be there.
sub wait_agent
{
	my ($self, $since) = @_;
	$since //= 0;
	$self->{cluster}->wait_for(
		"the agent of $self->{name} to be connected",
		sub {
			my $primary = $self->{cluster}->primary // return 0;
			return ($primary->value("SELECT agent AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'pgha agent $self->{name}'"
				. " AND query LIKE '%pgha_agent_poll%' AND backend_start >= to_timestamp($since)) FROM pgha_recovery_progress() WHERE node = '$self->{name}'") // '') eq 't';
		});
	return 1;
}

sub agent_running
{
	my ($self) = @_;
	return 0 unless $self->{agent_pid};
	return 1 if waitpid($self->{agent_pid}, WNOHANG) == 0;
	$self->{agent_pid} = undef;
	return 0;
}

# Ends the agent alone; a recovery goes on.
sub stop_agent
{
	my ($self, $signal) = @_;
	return unless $self->agent_running;
	kill $signal // 'TERM', $self->{agent_pid};
	$self->{cluster}->wait_for("the agent of $self->{name} to end", sub { !$self->agent_running });
	return;
}

# The process of a recovery and what it runs.
sub job_pids
{
	my ($self) = @_;
	return grep { $_ != ($self->{agent_pid} // 0) } PghaCluster::processes_in($self->agent_directory);
}

sub kill_job
{
	my ($self) = @_;
	PghaCluster::poll_until('', sub { my @left = $self->job_pids; kill 'KILL', @left; return !@left }, 10);
	return;
}

sub agent_text { my ($self) = @_; return PghaCluster::slurp($self->{agent_log}) // ''; }

sub agent_mark { my ($self) = @_; return length $self->agent_text; }

sub wait_agent_log
{
	my ($self, $pattern, $mark, $limit) = @_;
	return $self->{cluster}->wait_for("the agent of $self->{name} to log $pattern",
		sub { return substr($self->agent_text, $mark // 0) =~ $pattern }, $limit);
}

# One field of the job file.
sub job_field
{
	my ($self, $field) = @_;
	my ($value) = (PghaCluster::slurp($self->agent_directory . '/job') // '') =~ /^$field\t(.*)$/m;
	return $value // '';
}

# The node streams again, whoever brought that about.
sub wait_streaming
{
	my ($self, $limit) = @_;
	my $cluster = $self->{cluster};
	$cluster->wait_for(
		"$self->{name} to stream",
		sub {
			return $self->is_running
			  && ($self->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") // 0) == 1
			  && $self->state eq 'standby';
		},
		$limit);
	return 1;
}

# ---- SQL ----

sub conninfo
{
	my ($self, %option) = @_;
	my $database = $option{database} // 'postgres';
	my $user = $option{user} // 'postgres';
	return "host=$self->{socket} port=$self->{port} user=$user dbname=$database";
}

# (status, stdout, stderr) of psql; never hangs longer than the limit.
sub psql
{
	my ($self, $sql, %option) = @_;
	my @command = (
		$self->program('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
		'-d', $self->conninfo(%option), '-c', $sql);
	my ($status, $out, $err) =
	  PghaCluster::run_command(\@command, timeout => $option{timeout}, env => { PGOPTIONS => $option{options} // '' });
	chomp $out;
	return ($status, $out, $err);
}

# Must succeed.
sub sql
{
	my ($self, $sql, %option) = @_;
	my ($status, $out, $err) = $self->psql($sql, %option);
	if ($status != 0)
	{
		$self->{cluster}->dump("$self->{name}: $sql");
		croak "$self->{name}: $sql: $err";
	}
	return $out;
}

# A value, or undef if the server does not answer or refuses.
sub value
{
	my ($self, $sql, %option) = @_;
	return undef unless $self->is_up;
	my ($status, $out) = $self->psql($sql, timeout => 5, %option);
	return $status == 0 ? $out : undef;
}

# The error text of a statement, undef if it succeeds.
sub error
{
	my ($self, $sql, %option) = @_;
	my ($status, undef, $err) = $self->psql($sql, %option);
	return $status == 0 ? undef : $err;
}

sub writable
{
	my ($self) = @_;
	return 1 if !$self->{cluster}{pgha};
	return defined $self->value('CREATE TEMP TABLE pgha_probe (v int)');
}

sub wait_writable
{
	my ($self) = @_;
	$self->{cluster}->wait_for("$self->{name} to take writes", sub { $self->writable });
}

sub row
{
	my ($self, $query) = @_;
	my $text = $self->value("SELECT row_to_json(s) FROM ($query) s");
	return defined $text && $text ne '' ? JSON::PP::decode_json($text) : undef;
}

sub rows
{
	my ($self, $query) = @_;
	my $text = $self->value("SELECT coalesce(json_agg(row_to_json(s)), '[]') FROM ($query) s");
	return defined $text ? @{ JSON::PP::decode_json($text) } : ();
}

sub status { my ($self) = @_; return $self->row('SELECT * FROM pgha_status()'); }
sub events { my ($self) = @_; return $self->rows('SELECT * FROM pgha_events() ORDER BY at'); }

# pgha_cluster() as seen from here, by member.
sub view
{
	my ($self) = @_;
	return { map { $_->{node} => $_ } $self->rows('SELECT * FROM pgha_cluster()') };
}

sub state { my ($self) = @_; my $status = $self->status; return $status ? $status->{state} : ''; }

sub wait_state
{
	my ($self, $state, $limit) = @_;
	$self->{cluster}->wait_for("$self->{name} to be $state", sub { $self->state eq $state }, $limit);
}

sub timeline { my ($self) = @_; return $self->value('SELECT timeline FROM pgha_status()'); }

# A session that stays open with a statement running.
sub background
{
	my ($self, $sql, %option) = @_;
	my $out = "$self->{cluster}{base}/log/session-" . (++$self->{cluster}{sessions});
	my $pid = PghaCluster::spawn(
		[ $self->program('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo(%option), '-c', $sql ], log => $out);
	return $self->{cluster}->adopt(PghaCluster::Child->new(pid => $pid, log => $out, signal => 'TERM'));
}

# ---- log ----

sub log_mark { my ($self) = @_; return -s $self->{log} // 0; }

sub log_since
{
	my ($self, $mark) = @_;
	my $text = PghaCluster::slurp($self->{log}) // '';
	return substr($text, $mark // 0);
}

sub wait_log
{
	my ($self, $pattern, $mark, $limit) = @_;
	$self->{cluster}->wait_for("$pattern in the log of $self->{name}", sub { $self->log_since($mark) =~ $pattern }, $limit);
}

# ---- pgha's processes ----

sub monitor_pid
{
	my ($self) = @_;
	my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: .*pgha monitor/ } $self->processes;
	return $pid;
}

# The io children.  Between fork and exec a child still looks like the monitor.
sub io_pids
{
	my ($self) = @_;
	return grep { PghaCluster::command_line($_) =~ m{pgha io\b} } $self->processes;
}

# CPU seconds of the monitor and of all children it has or had.
sub pgha_cpu_time
{
	my ($self) = @_;
	my $sum = PghaCluster::cpu_time_with_children($self->monitor_pid);
	$sum += PghaCluster::cpu_time($_) foreach $self->io_pids;
	return $sum;
}

sub receiver_pid
{
	my ($self) = @_;
	my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: .*walreceiver/ } $self->processes;
	return $pid;
}

# ---------------------------------------------------------------------------
# A child process that is ended by a signal.
package PghaCluster::Child;

use strict;
use warnings;

use POSIX qw(:sys_wait_h);

sub new { my ($class, %field) = @_; return bless {%field}, $class; }

sub is_running
{
	my ($self) = @_;
	return 0 unless $self->{pid};
	my $reaped = waitpid($self->{pid}, WNOHANG);
	return 1 if $reaped == 0;
	$self->{status} = $? if $reaped == $self->{pid};
	$self->{pid} = undef;
	return 0;
}

sub end
{
	my ($self) = @_;
	return unless $self->is_running;
	kill 'CONT', $self->{pid};
	kill $self->{signal} // 'TERM', $self->{pid};
	PghaCluster::poll_until('', sub { !$self->is_running }, 10) and return;
	kill 'KILL', $self->{pid};
	PghaCluster::poll_until('', sub { !$self->is_running }, 10);
}

# ---------------------------------------------------------------------------
# pgpool-II in front of a cluster of three: examples/pgpool.conf as it is, then
# what depends on the place (addresses, ports, directories).
package PghaCluster::Pgpool;

use strict;
use warnings;

our @ISA = ('PghaCluster::Child');

sub start
{
	my ($class, $cluster) = @_;
	my $directory = "$cluster->{base}/pgpool";
	my $self = $class->new(
		cluster => $cluster, directory => $directory, log => "$cluster->{base}/log/pgpool.log",
		signal => 'INT', port => $cluster->free_port, pcp_port => $cluster->free_port);
	mkdir $directory;
	PghaCluster::give_to_postgres($directory);

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
	my $conf = PghaCluster::slurp("$PghaCluster::ROOT/examples/pgpool.conf");
	$conf =~ s/^backend_\w+?(\d+) = .*\n/$1 < $number ? $& : ''/gem;
	PghaCluster::spew("$directory/pgpool.conf", "$conf\n" . PghaCluster::Node::settings_text(%local));
	# md5 of the password "pgha" and the user's name
	PghaCluster::spew("$directory/pcp.conf", "pgha:" . Digest::MD5::md5_hex('pgha') . "\n");
	PghaCluster::spew("$directory/pcppass", "*:*:pgha:pgha\n");
	chmod 0600, "$directory/pcppass";
	PghaCluster::spew("$directory/$_", '') foreach qw(pool_hba.conf pool_passwd);
	$self->{pid} = PghaCluster::spawn(
		[
			PghaCluster::as_postgres(), $cluster->die_with_us('INT'), $class->program('pgpool'), '-n',
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
	my ($status, $out, $err) = PghaCluster::run_command(
		[ PghaCluster::bindir() . '/psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo, '-c', $sql ],
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
		PghaCluster::as_postgres(), 'env', "PCPPASSFILE=$self->{directory}/pcppass",
		$self->program($command), '-h', '127.0.0.1', '-p', $self->{pcp_port}, '-U', 'pgha', '-w', '-n', $number, @arguments);
}

# Runs it; returns what the command said.
sub pcp
{
	my ($self, @command) = @_;
	my ($status, $out, $err) = PghaCluster::run_command([ $self->pcp_command(@command) ], timeout => 180);
	return "$out$err";
}

sub attach { my ($self, $node) = @_; return $self->pcp('pcp_attach_node', $node); }

# Writes settings and has pgpool read them.
sub set
{
	my ($self, %setting) = @_;
	PghaCluster::spew("$self->{directory}/pgpool.conf",
		PghaCluster::slurp("$self->{directory}/pgpool.conf") . PghaCluster::Node::settings_text(%setting));
	kill 'HUP', $self->{pid};
	return;
}

# ---------------------------------------------------------------------------
# A running build/writer and its log.
package PghaCluster::Writer;

use strict;
use warnings;

our @ISA = ('PghaCluster::Child');

# Lines "<microseconds> <letter> <text>" as [seconds, letter, text].
sub lines
{
	my ($self) = @_;
	my $text = PghaCluster::slurp($self->{log}) // '';
	return map { [ $_->[0] / 1e6, $_->[1], $_->[2] ] } map { [ split / /, $_, 3 ] } grep { /^\d+ [A-Z]/ } split /\n/, $text;
}

# Acknowledged values with their times; newest last.
sub acknowledged { my ($self) = @_; return map { [ $_->[0], $_->[2] ] } grep { $_->[1] eq 'A' } $self->lines; }

sub wait_acknowledged
{
	my ($self, $count, $since, $limit) = @_;
	$since //= 0;
	$self->{cluster}->wait_for(
		"writer $self->{number} to have $count rows acknowledged",
		sub { my $n = grep { $_->[0] > $since } $self->acknowledged; return $n >= $count; }, $limit);
}

sub stop { my ($self) = @_; $self->end; return $self; }

# Longest time without an acknowledgement around a moment, in ms: from the last
# one before it (or the moment itself) to the first one after.
sub outage
{
	my ($self, $moment) = @_;
	foreach my $row ($self->acknowledged)
	{
		return 1000 * ($row->[0] - $moment) if $row->[0] > $moment && $self->is_new_connection($moment, $row->[0]);
	}
	return undef;
}

# Was there a new connection between the two times?  Acknowledgements that were
# on their way when the server died do not end an outage.
sub is_new_connection
{
	my ($self, $from, $to) = @_;
	return scalar grep { $_->[1] eq 'C' && $_->[0] > $from && $_->[0] <= $to } $self->lines;
}

# Acknowledged values that a node does not have.
sub missing
{
	my ($self, $node) = @_;
	my @acknowledged = map { $_->[1] } $self->acknowledged;		# first: the writer may go on
	my %present = map { $_ => 1 } split /\n/, $node->sql("SELECT v FROM written WHERE writer = $self->{number}");
	return grep { !$present{$_} } @acknowledged;
}

1;
