# IoChild.pm
#		A `pgha io` child as the monitor runs it: requests on a socket, a line for
#		each answer.
package IoChild;

use strict;
use warnings;

use Carp;
use Exporter qw(import);
use PghaCluster;
use POSIX qw(:sys_wait_h);
use Socket;
use Time::HiRes qw(time);

our @EXPORT = qw(io_start io_send io_line io_ask io_connects io_status io_end);

my ($pgha, $io_errors);

# Which program children are of, and where they write what they should not.
sub run { ($pgha, $io_errors) = @_; return; }

# Starts a child with the connection string; an undefined one is not sent.  Or
# one with a restore_command, in a directory.
sub io_start
{
	my ($conninfo, $command, $directory) = @_;
	my $child = { buffer => '' };

	socketpair($child->{socket}, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
	  or die "socketpair: $!";
	$child->{pid} = fork();
	die "fork: $!" unless defined $child->{pid};
	if ($child->{pid} == 0)
	{
		close $child->{socket};
		open(my $log, '>>', $io_errors) or POSIX::_exit(99);
		POSIX::dup2(fileno($theirs), 0);
		POSIX::dup2(fileno($theirs), 1);
		POSIX::dup2(fileno($log), 2);
		!defined $directory or chdir $directory or POSIX::_exit(97);
		exec($pgha, 'io', defined $command ? 'archive' : 'peer') or POSIX::_exit(98);
	}
	close $theirs;
	$child->{socket}->autoflush(1);
	io_send($child, "conninfo\t$conninfo\n") if defined $conninfo;
	io_send($child, "archive\t$command\n") if defined $command;
	return $child;
}

sub io_send
{
	my ($child, $text) = @_;
	local $SIG{PIPE} = 'IGNORE';
	print { $child->{socket} } $text;
	return;
}

# Waits for a line; undefined at the end or after the time limit.
sub io_line
{
	my ($child, $limit) = @_;
	my $deadline = time() + ($limit // 20);

	while (1)
	{
		my $end = index($child->{buffer}, "\n");
		if ($end >= 0)
		{
			my $line = substr($child->{buffer}, 0, $end + 1, '');
			chomp $line;
			return $line;
		}
		my $bits = '';
		vec($bits, fileno($child->{socket}), 1) = 1;
		my $left = $deadline - time();
		return if $left <= 0 || select($bits, undef, undef, $left) <= 0;
		my $got = sysread($child->{socket}, $child->{buffer}, 65536, length $child->{buffer});
		return if !$got;
	}
}

# Sends a request and returns outcome, text, seconds that it took, and of a member
# where that came from, and how.
my $request_id = 0;

sub io_ask
{
	my ($child, $limit_ms, $what, $argument) = @_;
	my $id = ++$request_id;
	my $start = time();

	io_send($child, "$id\t$limit_ms\t$what\t$argument\n");
	my $line = io_line($child);
	my $seconds = time() - $start;
	return ('none', '', $seconds) unless defined $line;
	my ($answered, $outcome, $text, $where, $how, @more) = split /\t/, $line, -1;
	return ('bad', $line, $seconds) if $answered ne $id || @more;
	return ($outcome, $text, $seconds, $where, $how);
}

# Waits until the child has read all that it was sent and has a socket besides the
# one to us (SIOCOUTQ; it is its input and output): it connects.
sub io_connects
{
	my ($child) = @_;
	my $connects = PghaCluster::poll_until('', sub {
		my $unread = pack('i', 0);
		ioctl($child->{socket}, 0x5411, $unread) or die "ioctl: $!";
		return unpack('i', $unread) == 0 && 2 < grep { (readlink($_) // '') =~ /^socket:/ } glob("/proc/$child->{pid}/fd/*") });
	croak 'timed out waiting for the child to connect' unless $connects;
	return;
}

# Exit status of the child, or 'running' if it does not end in time.
sub io_status
{
	my ($child, $limit) = @_;

	return $? if PghaCluster::poll_until('', sub { waitpid($child->{pid}, WNOHANG) != 0 }, $limit);
	kill 'KILL', $child->{pid};
	waitpid($child->{pid}, 0);
	return 'running';
}

sub io_end
{
	my ($child) = @_;
	close $child->{socket};
	return io_status($child);
}

1;
