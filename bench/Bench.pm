# Bench.pm
#		What the measurements share: a client in one session, the signal that
#		takes a primary away, the steps of a promotion as the log tells them, and
#		the arithmetic.
#
# Used by what measures in bench/.  The clusters themselves are t/PghaCluster.pm's.
package Bench;

use strict;
use warnings;

use IO::Socket::UNIX;
use List::Util qw(max min);
use PghaCluster;
use POSIX ();
use Time::HiRes qw(usleep);
use Votes;

# A positive number from the environment, or the default.
sub number
{
	my ($name, $default) = @_;
	my $value = $ENV{$name} // return $default;
	die "$name must be a positive number, not \"$value\"\n" unless $value =~ /^\d+(\.\d+)?$/ && $value > 0;
	return $value;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return undef unless @sorted;
	return ($sorted[ int($#sorted / 2) ] + $sorted[ int(@sorted / 2) ]) / 2;
}

sub list { return join ' ', map { defined $_ ? sprintf('%.1f', $_) : '-' } @_; }

sub summary
{
	my (@values) = @_;
	return sprintf 'median %.1f, min %.1f, max %.1f', median(@values), min(@values), max(@values);
}

# ---- the cluster ----

# All stream, all is on disk, the members know of each other, and where they vote
# the primary's rule is stored by all.  `seconds` of rest.
sub settle
{
	my ($cluster, $primary, $seconds) = @_;
	my $count = $cluster->nodes;
	$cluster->wait_following($primary);
	$primary->sql('CHECKPOINT');
	if ($cluster->{pgha})
	{
		$cluster->wait_for(
			'all members to see each other',
			sub { return !grep { my $view = $_->view; $count != grep { $_->{reachable} } values %$view } $cluster->nodes });
		wait_votes($primary, $cluster->nodes) if $count > 2;
	}
	PghaCluster::must_run(['sync']);
	usleep(1_000_000 * $seconds);
}

# A setting that is a time, in ms.
sub milliseconds
{
	my ($node, $name) = @_;
	return $node->value("SELECT setting::int FROM pg_settings WHERE name = '$name' AND unit = 'ms'");
}

# How long, in ms, a primary that says nothing can at most keep voters from electing
# another one: they have to miss it, and to be done with what they promised it.
sub silence
{
	my ($node) = @_;
	my $failure_timeout = milliseconds($node, 'pgha.failure_timeout');
	my $ttl = milliseconds($node, 'pgha.lease_ttl') || $failure_timeout;
	return max($failure_timeout, 1.06 * $ttl + 100);
}

# ---- signals ----

# The wall clock at a moment of the monotonic one.
sub wall { my ($moment) = @_; return $moment + Time::HiRes::time() - PghaCluster::now(); }

# Sends a signal to all processes of a node, the postmaster first, within a
# fraction of a millisecond: who they are is found out before, and looked up
# again only after.  Returns the moment on the monotonic and on the wall clock.
sub strike
{
	my ($signal, $node) = @_;
	$node->note_segments;
	my $postmaster = $node->{pid};
	my @others = grep { $_ != $postmaster } $node->processes;
	my $moment = PghaCluster::now();
	my $wall = Time::HiRes::time();
	kill $signal, $postmaster, @others;
	return ($moment, $wall);
}

# Whatever had been forked at that very moment, and the reaping.
sub finish_off
{
	my ($node) = @_;
	kill 'KILL', $node->processes;
	$node->{frozen} = 0;
	$node->{cluster}->wait_for("the processes of $node->{name} to be gone",
		sub { kill 'KILL', $node->processes; return !$node->is_running && !$node->processes });
}

# ---- the steps, from the log ----

# The log_line_prefix that steps() reads: seconds since 1970, with milliseconds.
our $PREFIX = '%n %b[%p] ';

our @STEP = (
	[ 'the WAL receiver notices',      qr/could not receive data from WAL stream|terminating walreceiver/ ],
	[ 'pgha decides',                  qr/pgha: promoting to primary/ ],
	[ 'promote request taken up',      qr/received promote request/ ],
	[ 'replay ends',                   qr/redo done at|redo is not required/ ],
	[ 'timeline chosen',               qr/selected new timeline ID/ ],
	[ 'recovery complete',             qr/archive recovery complete/ ],
	[ 'pgha opens the gate, tells it', qr/pgha: promoted to primary/ ]);

# Milliseconds from the moment (wall clock) to each step, by its name.
sub steps
{
	my ($text, $wall, @wanted) = @_;
	@wanted = @STEP unless @wanted;
	my %at;
	foreach my $line (split /\n/, $text)
	{
		my ($time) = $line =~ /^(\d+\.\d+) / or next;
		foreach my $step (@wanted)
		{
			$at{ $step->[0] } //= 1000 * ($time - $wall) if $line =~ $step->[1];
		}
	}
	return \%at;
}

# A table of the steps that are wanted, and of the first row: medians.  Columns: a
# title, and what steps() has said in each run.
sub show_steps
{
	my ($title, $wanted, %column) = @_;
	my @columns = sort keys %column;
	printf "%-36s" . ' %10s' x @columns . "\n", $title, @columns;
	foreach my $name ((map { $_->[0] } @$wanted), 'first row acknowledged')
	{
		my @known = map { [ grep { defined } map { $_->{$name} } @{ $column{$_} } ] } @columns;
		printf "%-36s" . ' %10s' x @columns . "\n", $name, map { @$_ ? sprintf '%.1f', median(@$_) : '-' } @known;
	}
	return;
}

# ---------------------------------------------------------------------------
# A process with one session on one server that inserts until it succeeds.  It
# speaks the protocol itself: libpq and psql would add what is not measured.
package Bench::Client;

use strict;
use warnings;

our @ISA = ('PghaCluster::Child');

my $PAUSE_US = 2_000;

# Connected when this returns; begins at go().
sub new
{
	my ($class, $node, $value) = @_;
	pipe(my $go_r, my $go_w) or die "pipe: $!";
	pipe(my $out_r, my $out_w) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
		close $go_w;
		close $out_r;
		my $done = eval { insert($node, $value, $go_r, $out_w); 1 };
		syswrite $out_w, "error $@" unless $done;
		POSIX::_exit(0);
	}
	close $go_r;
	close $out_w;
	my $self = bless { pid => $pid, node => $node, go => $go_w, out => $out_r }, $class;
	$node->{cluster}->adopt($self);
	my $line = $self->line(30) // '';
	die "the client of $node->{name} does not start: $line\n" unless $line eq 'connected';
	return $self;
}

sub go { my ($self) = @_; syswrite $self->{go}, "g"; }

# When the first of them had its row acknowledged, and on which node; ends them all.
sub first_row
{
	my ($cluster, @clients) = @_;
	my ($line, $winner) = first(60, @clients);
	$_->end foreach @clients;
	my ($done, $tries) = ($line // '') =~ /^done ([\d.]+) (\d+)$/;
	if (!defined $done)
	{
		$cluster->dump('no row within a minute');
		die 'no row within a minute', defined $line ? ": $line" : '', "\n";
	}
	return ($done, $winner->{node}, $tries);
}

# The next line of any of some clients, and which: (line, client).
sub first
{
	my ($limit, @clients) = @_;
	my $bits = '';
	vec($bits, fileno($_->{out}), 1) = 1 foreach @clients;
	select($bits, undef, undef, $limit) > 0 or return;
	my ($client) = grep { vec($bits, fileno($_->{out}), 1) } @clients;
	return ($client->line(0), $client);
}

sub line
{
	my ($self, $limit) = @_;
	my $bits = '';
	vec($bits, fileno($self->{out}), 1) = 1;
	return undef unless select($bits, undef, undef, $limit) > 0;
	my $text = '';
	sysread($self->{out}, $text, 1000);
	chomp $text;
	return $text;
}

# ---- in the child ----

sub insert
{
	my ($node, $value, $go, $out) = @_;
	my $session = session($node);
	my $sql = "INSERT INTO probe VALUES ($value)\0";
	my $message = 'Q' . pack('N', 4 + length $sql) . $sql;
	my $tries = 0;

	syswrite $out, "connected\n";
	sysread($go, my $word, 1) or return;
	for (;;)
	{
		$tries++;
		my $answer = defined $session ? ask($session, $message) : undef;
		if (defined $answer && $answer)
		{
			syswrite $out, sprintf("done %.6f %d\n", PghaCluster::now(), $tries);
			return;
		}
		$session = eval { session($node) } unless defined $answer;
		Time::HiRes::usleep($PAUSE_US);
	}
}

sub session
{
	my ($node) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => "$node->{socket}/.s.PGSQL.$node->{port}") or die "connect: $!";
	my $startup = pack('N', 196608) . "user\0postgres\0database\0postgres\0\0";
	ask($socket, pack('N', 4 + length $startup) . $startup) // die 'not accepted';
	return $socket;
}

# Sends a message, reads until the server is ready again: 1 = done, 0 = an
# error, undef = the session is lost.
sub ask
{
	my ($socket, $message) = @_;
	my ($buffer, $error) = ('', 0);
	syswrite($socket, $message) or return undef;
	for (;;)
	{
		sysread($socket, $buffer, 65536, length $buffer) or return undef;
		while (length $buffer >= 5)
		{
			my ($type, $length) = unpack 'aN', $buffer;
			last if length $buffer < 1 + $length;
			substr($buffer, 0, 1 + $length) = '';
			$error = 1 if $type eq 'E';
			return !$error if $type eq 'Z';
		}
	}
}

1;
