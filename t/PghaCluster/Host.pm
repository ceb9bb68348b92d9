# PghaCluster/Host.pm
#		This host as the tests use it: commands, files, processes, waiting.
#
# Nothing here knows of clusters.  PghaCluster takes all of it in, so that tests
# write PghaCluster::run_command() and so on.
package PghaCluster::Host;

use strict;
use warnings;

use IO::Socket::INET;

use Carp;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

our @EXPORT_OK = qw(listener listener_end $TIMEOUT $ROOT $VERBOSE bindir major pgha_program writer_program now is_root as_postgres
  run_command must_run slurp spew give_to_postgres
  processes_in process_state session_of command_line cpu_time cpu_time_with_children resident_kb spawn poll_until);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

our $TIMEOUT = $ENV{PGHA_TEST_TIMEOUT} // 60;
our $ROOT = abs_path(dirname(__FILE__) . '/../..');
our $VERBOSE = $ENV{PGHA_VERBOSE} // 0;

# What a started process leaves behind (a server that an agent started) becomes
# our child, so that it is reaped: prctl(PR_SET_CHILD_SUBREAPER).
my ($machine) = (POSIX::uname())[4];
my %prctl = (x86_64 => 157, aarch64 => 167);
syscall($prctl{$machine}, 36, 1, 0, 0, 0) if $prctl{$machine};

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

# The program built with the tests' hooks.  It looks for PostgreSQL's programs
# where it is itself, so that it is put there.
my $test_program_installed;

sub pgha_test_program
{
	my $path = bindir() . '/pgha-test';
	must_run([ 'install', '-m', '0755', "$ROOT/build/pgha-test", $path ]) unless $test_program_installed++;
	return $path;
}

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

# The session that a process belongs to; 0 if there is no such process.
sub session_of
{
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat") // return 0;
	return $stat =~ /^\d+ \(.*\) \S \d+ \d+ (\d+)/s ? $1 : 0;
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

# A process that listens and treats each connection with the function.
sub listener
{
	my ($port, $treat) = @_;
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => $port,
		Listen => 10, ReuseAddr => 1) or die "listen: $!";
	my $pid = fork();
	if ($pid == 0)
	{
		$SIG{TERM} = 'DEFAULT';
		my @kept;
		while (my $client = $socket->accept)
		{
			$treat->($client);
			push @kept, $client if defined fileno($client);
		}
		POSIX::_exit(0);
	}
	close $socket;
	return $pid;
}

sub listener_end
{
	my ($pid) = @_;
	kill 'KILL', $pid;
	waitpid($pid, 0);
	return;
}

1;
