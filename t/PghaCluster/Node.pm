# PghaCluster/Node.pm
#		One server of a cluster: its data directory, processes, agent, SQL and log.
package PghaCluster::Node;

use strict;
use warnings;

use Carp;
use File::Path qw(remove_tree);
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Time::HiRes ();

use PghaCluster::Child;
use PghaCluster::Host qw(as_postgres bindir command_line cpu_time cpu_time_with_children give_to_postgres must_run
  now pgha_program poll_until processes_in run_command session_of slurp spawn spew);

sub new
{
	my ($class, %field) = @_;
	my $base = $field{cluster}{base};
	mkdir "$base/sock/$field{name}";
	give_to_postgres("$base/sock/$field{name}");
	return bless {
		%field,
		data => "$base/$field{name}",
		log => "$base/log/$field{name}.log",
		socket => "$base/sock/$field{name}",
		settings => {},
		segments => [],
	}, $class;
}

sub program { my ($self, $name) = @_; return bindir() . "/$name"; }

# In front of what runs on this node's host, as its user; options of setpriv.
sub here
{
	my ($self, @setpriv) = @_;
	my @user = as_postgres();
	splice @user, -1, 0, @setpriv if @user;
	return (($self->{netns} ? $self->{cluster}->in_netns($self->{netns}) : ()), @user);
}

# ---- data directory and configuration ----

sub initdb
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	must_run(
		[
			as_postgres(), $self->program('initdb'), '-D', $self->{data}, '-A', 'trust', '-U', 'postgres',
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
			$cluster->{witness_list} ne '' ? ('pgha.witnesses' => $cluster->{witness_list}) : (),
			'pgha.conninfo' => 'user=pgha',
			'pgha.heartbeat_interval' => '100ms',
			'pgha.failure_timeout' => '1s',
			'pgha.startup_grace' => '5s')
		: (),
		%{ $cluster->{settings} });
	my $conf = slurp("$self->{data}/postgresql.conf");
	spew("$self->{data}/postgresql.conf", $conf . settings_text(%shared) . "include 'node.conf'\n");
	my $hba = slurp("$self->{data}/pg_hba.conf");
	$hba .= "host all,replication all $cluster->{net}.0/24 trust\n" if $cluster->{net};
	spew("$self->{data}/pg_hba.conf", $hba);
	$self->configure;
}

# A witness is a server of its own, with nothing but pgha and its role.
sub build_witness
{
	my ($self) = @_;
	$self->initdb;
	# Its WAL is another system's, and would take the place of the cluster's in an archive.
	$self->configure(archive_mode => 'off');
	$self->start;
	$self->sql('CREATE EXTENSION pgha; SELECT pgha_setup_role()');
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
	spew("$self->{data}/node.conf", settings_text(%all));
}

sub set
{
	my ($self, %setting) = @_;
	$self->configure(%setting);
	$self->reload;
}

sub reload { my ($self) = @_; kill 'HUP', $self->{pid} or croak "$self->{name} is not running"; }

sub state_text { my ($self) = @_; return slurp("$self->{data}/pgha.state") // ''; }

# Changes pgha.state of a node that is down by a function that works on $_, which has no checksum.
sub change_state_text
{
	my ($self, $change) = @_;
	local $_ = $self->state_text;
	s/^crc=.*\n//m;
	$change->();
	my $crc = 0xFFFFFFFF;	# CRC-32C, as PostgreSQL's
	foreach my $byte (unpack 'C*', $_)
	{
		$crc ^= $byte;
		$crc = ($crc >> 1) ^ ($crc & 1 ? 0x82F63B78 : 0) foreach 1 .. 8;
	}
	spew("$self->{data}/pgha.state", $_ . sprintf("crc=%08X\n", $crc ^ 0xFFFFFFFF));
	return;
}

# As after a rewind: names the last checkpoint of this node, which is down.
sub write_backup_label
{
	my ($self) = @_;
	my ($status, $control) = run_command([ $self->program('pg_controldata'), $self->{data} ]);
	my ($file) = $control =~ /REDO WAL file:\s+(\S+)/ or croak "pg_controldata: $control";
	my ($location) = $control =~ /Latest checkpoint location:\s+(\S+)/;
	my ($redo) = $control =~ /Latest checkpoint's REDO location:\s+(\S+)/;
	spew("$self->{data}/backup_label", <<"END");
START WAL LOCATION: $redo (file $file)
CHECKPOINT LOCATION: $location
BACKUP METHOD: pg_rewind
BACKUP FROM: standby
START TIME: 2026-01-01 00:00:00 UTC
END
	return;
}

# Base backup of another node, ready to start as its standby.
sub clone
{
	my ($self, $source) = @_;
	croak "$self->{name} is running" if $self->is_running;
	remove_tree($self->{data});
	$self->remove_segments;
	must_run(
		[
			$self->here, $self->program('pg_basebackup'),
			'-D', $self->{data}, '-h', $source->{host}, '-p', $source->{port}, '-U', 'postgres',
			'-c', 'fast', '-X', 'stream', $self->{cluster}{fsync} ? () : '--no-sync'
		]);
	spew("$self->{data}/standby.signal", '');
	$self->configure($self->{cluster}{pgha} ? ()
		: (primary_conninfo => "host=$source->{host} port=$source->{port} user=postgres application_name=$self->{name}"));
}

# ---- the time of day ----

# Does this host have libfaketime?
sub can_step_clock { return (glob '/usr/lib/*/faketime/libfaketime.so.1')[0]; }

# The environment of a server whose time of day step_clock() sets.  Its clocks that
# only go forward stay the machine's.
sub clock_of_its_own
{
	my ($self) = @_;
	my %env = (
		LD_PRELOAD => can_step_clock(), FAKETIME_TIMESTAMP_FILE => $self->{clock}, FAKETIME_CACHE_DURATION => 1,
		FAKETIME_DONT_FAKE_MONOTONIC => 1, NO_FAKE_STAT => 1);
	return map { "$_=$env{$_}" } sort keys %env;
}

# As settimeofday() would, so many seconds from the machine's time; the first time before
# the server is started.  Each process finds out within a second.
sub step_clock
{
	my ($self, $seconds) = @_;
	$self->{clock} = "$self->{cluster}{base}/$self->{name}.clock";
	spew("$self->{clock}.new", sprintf "%+d\n", $seconds);
	rename "$self->{clock}.new", $self->{clock} or croak "$self->{clock}: $!";
	return;
}

# ---- start, stop, kill ----

sub start
{
	my ($self, %option) = @_;
	croak "$self->{name} is running" if $self->is_running;
	delete $self->{status};
	$self->{pid} = spawn(
		[ $self->here, $self->{cluster}->die_with_us('QUIT'), $self->{clock} ? ('/usr/bin/env', $self->clock_of_its_own) : (),
			$self->program('postgres'), '-D', $self->{data} ],
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
	my $ended = poll_until('', sub { !$self->is_running || defined $self->value('SELECT 1') }, 30);
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
	my ($pid) = (slurp("$self->{data}/postmaster.pid") // '') =~ /^(\d+)/;
	$self->reap($pid) if defined $pid;
	return 0 unless defined $pid && (readlink("/proc/$pid/cwd") // '') eq $self->{data}
		&& command_line($pid) =~ m{^\S*/postgres };
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

sub processes { my ($self) = @_; return processes_in($self->{data}); }

# Stops all processes in their tracks, the postmaster first, so that nothing
# reacts to the death of anything else.
sub stop_processes
{
	my ($self) = @_;
	my @known = $self->processes;
	my $start = now();
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
	my $start = now();
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
	my $start = now();
	my @pids = $self->processes;
	kill 'CONT', @pids;
	$self->{frozen} = 0;
	return $start;
}

sub kill_all
{
	my ($self) = @_;
	kill 'KILL', $self->{pid} if $self->is_running;
	poll_until('', sub { my @left = $self->processes; kill 'KILL', @left; return !@left && !$self->is_running }, 10);
}

# Shared memory of a server that is about to be killed: nobody else could
# remove it when its data directory goes away.
sub note_segments
{
	my ($self) = @_;
	foreach my $pid ($self->processes)
	{
		push @{ $self->{segments} }, (slurp("/proc/$pid/maps") // '') =~ m{(/dev/shm/PostgreSQL\.\d+)}g;
	}
	my $file = slurp("$self->{data}/postmaster.pid") // return;
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
	$self->{agent_pid} = spawn(
		[
			$self->here($option{net_admin} ? ('--inh-caps=+net_admin,+net_raw', '--ambient-caps=+net_admin,+net_raw') : ()),
			$cluster->die_with_us('TERM'), '/usr/bin/env', map({ "$_=$option{env}{$_}" } keys %{ $option{env} // {} }),
			(grep { /^PGHA_TEST_/ } keys %{ $option{env} // {} }) ? PghaCluster::Host::pgha_test_program() : pgha_program(), 'agent',
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
				. " AND query ~ 'agent_(poll|news)' AND backend_start >= to_timestamp($since)) FROM pgha_recovery_progress() WHERE node = '$self->{name}'") // '') eq 't';
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

# The process of a recovery and what it runs.  It has a session of its own; what is in
# that of the agent is the agent's, such as a pg_controldata that it runs now and then.
sub job_pids
{
	my ($self) = @_;
	my $agent = $self->{agent_pid} // 0;
	return grep { my $session = session_of($_); $session != 0 && $session != $agent } processes_in($self->agent_directory);
}

sub kill_job
{
	my ($self) = @_;
	poll_until('', sub { my @left = $self->job_pids; kill 'KILL', @left; return !@left }, 10);
	return;
}

sub agent_text { my ($self) = @_; return slurp($self->{agent_log}) // ''; }

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
	my ($value) = (slurp($self->agent_directory . '/job') // '') =~ /^$field\t(.*)$/m;
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
	  run_command(\@command, timeout => $option{timeout}, env => { PGOPTIONS => $option{options} // '' });
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
	my $pid = spawn(
		[ $self->program('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->conninfo(%option), '-c', $sql ], log => $out);
	return $self->{cluster}->adopt(PghaCluster::Child->new(pid => $pid, log => $out, signal => 'TERM'));
}

# ---- log ----

sub log_mark { my ($self) = @_; return -s $self->{log} // 0; }

sub log_since
{
	my ($self, $mark) = @_;
	my $text = slurp($self->{log}) // '';
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
	my ($pid) = grep { command_line($_) =~ /^postgres: .*pgha monitor/ } $self->processes;
	return $pid;
}

# The io children.  Between fork and exec a child still looks like the monitor.
sub io_pids
{
	my ($self) = @_;
	return grep { command_line($_) =~ m{pgha io\b} } $self->processes;
}

# CPU seconds of the monitor and of all children it has or had.
sub pgha_cpu_time
{
	my ($self) = @_;
	my $sum = cpu_time_with_children($self->monitor_pid);
	$sum += cpu_time($_) foreach $self->io_pids;
	return $sum;
}

sub receiver_pid
{
	my ($self) = @_;
	my ($pid) = grep { command_line($_) =~ /^postgres: .*walreceiver/ } $self->processes;
	return $pid;
}

1;
