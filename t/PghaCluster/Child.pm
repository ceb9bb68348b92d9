# PghaCluster/Child.pm
#		A child process that is ended by a signal.
package PghaCluster::Child;

use strict;
use warnings;

use POSIX qw(:sys_wait_h);

use PghaCluster::Host qw(poll_until);

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
	poll_until('', sub { !$self->is_running }, 10) and return;
	kill 'KILL', $self->{pid};
	poll_until('', sub { !$self->is_running }, 10);
}

1;
