# PghaCluster/Writer.pm
#		A running build/writer and its log.
package PghaCluster::Writer;

use strict;
use warnings;

use PghaCluster::Child;
use PghaCluster::Host qw(slurp);

our @ISA = ('PghaCluster::Child');

# Lines "<microseconds> <letter> <text>" as [seconds, letter, text].
sub lines
{
	my ($self) = @_;
	my $text = slurp($self->{log}) // '';
	return map { [ $_->[0] / 1e6, $_->[1], $_->[2] ] } map { [ split / /, $_, 3 ] } grep { /^\d+ [A-Z]/ } split /\n/, $text;
}

# Acknowledged values with their times; newest last.
# With option `timeline` of start_writer() also the timeline of each.
sub acknowledged { my ($self) = @_; return map { [ $_->[0], split / /, $_->[2] ] } grep { $_->[1] eq 'A' } $self->lines; }

# The same, and last in each row the server that acknowledged it.
sub acknowledged_by
{
	my ($self) = @_;
	my ($server, @rows) = ('');
	foreach my $line ($self->lines)
	{
		$server = $line->[2] if $line->[1] eq 'C';
		push @rows, [ $line->[0], (split / /, $line->[2])[ 0, 1 ], $server ] if $line->[1] eq 'A';
	}
	return @rows;
}

sub wait_acknowledged
{
	my ($self, $count, $since, $limit) = @_;
	$since //= 0;
	$self->{cluster}->wait_for(
		"writer $self->{number} to have $count rows acknowledged",
		sub { my $n = grep { $_->[0] > $since } $self->acknowledged; return $n >= $count; }, $limit);
}

sub stop { my ($self) = @_; $self->end; return $self; }

# Longest time without an acknowledgement around a moment, in ms: from the moment to
# the first one on a new connection after it; undef before there is one.
# Acknowledgements that were on their way when the server died do not end an outage.
sub outage
{
	my ($self, $moment) = @_;
	my $connected = 0;
	foreach my $line ($self->lines)
	{
		next if $line->[0] <= $moment;
		return 1000 * ($line->[0] - $moment) if $connected && $line->[1] eq 'A';
		$connected ||= $line->[1] eq 'C';
	}
	return undef;
}

# Longest time between two acknowledgements from a moment on, in ms, on whatever
# connection: a proxy may keep its client's.
sub longest_wait
{
	my ($self, $since) = @_;
	my ($longest, $last) = (0, undef);
	foreach my $row ($self->acknowledged)
	{
		$longest = $row->[0] - $last if defined $last && $row->[0] >= $since && $row->[0] - $last > $longest;
		$last = $row->[0];
	}
	return 1000 * $longest;
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
