# The children that talk to other members may die, close, or send garbage: the
# server does not care, and they are replaced.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
my $term = $a->status->{term};

sub all_children
{
	my ($node) = @_;
	return $cluster->wait_for("the children of $node->{name}", sub { my @pids = $node->io_pids; return @pids >= 2 ? \@pids : undef });
}

# Replaced, every member visible again, server unharmed.
sub recovers
{
	my ($node, $what, $old, $mark) = @_;
	my %old = map { $_ => 1 } @$old;
	$cluster->wait_for("$node->{name} to replace its children ($what)",
		sub { my @pids = $node->io_pids; return @pids >= 2 && !grep { $old{$_} } @pids });
	$cluster->wait_for("$node->{name} to see all members ($what)",
		sub { my $view = $node->view; return keys %$view == 3 && !grep { !$_->{reachable} } values %$view });
	unlike($node->log_since($mark), qr/terminated by signal|exited with exit code|reinitializing|PANIC/, "$what: $node->{name} is unharmed");
	$cluster->wait_for("$node->{name} to reap them ($what)",
		sub { return !grep { PghaCluster::process_state($_) eq 'Z' } $node->processes });
	pass("$what: no zombie");
	is($a->status->{term}, $term, "$what: no failover");
}

foreach my $node ($a, $b)
{
	foreach my $signal ('KILL', 'TERM', 'SEGV')
	{
		my $mark = $node->log_mark;
		my $pids = all_children($node);
		kill $signal, @$pids;
		recovers($node, "SIG$signal", $pids, $mark);
	}

	# Late ones are replaced as well.
	my $mark = $node->log_mark;
	my $pids = all_children($node);
	kill 'STOP', @$pids;
	recovers($node, 'SIGSTOP', $pids, $mark);
}

# Garbage: borrow the child's end of the socket (pidfd_getfd) and write to it.
sub borrow
{
	my ($pid) = @_;
	my $pidfd = syscall(434, $pid, 0);
	return undef if $pidfd < 0;
	my $fd = syscall(438, $pidfd, 1, 0);
	POSIX::close($pidfd);
	return undef if $fd < 0;
	open(my $handle, '+<&=', $fd) or return undef;
	binmode $handle;
	return $handle;
}

my %garbage = (
	'an unknown request' => "99999\tok\tnothing\n",
	'no fields' => "\n\n\n",
	'binary' => join('', map { chr } 0 .. 255) x 20 . "\n",
	'a wrong report' => "1\tok\tpgha-1\\tnode=b\\tterm=zzz\n" x 10,
	'words' => "1\trefused\n2\n\t\t\t\t\t\n3\tsilent\n",
	'a line without an end' => 'x' x 200_000,
	'a flood' => "17\tok\t" . ('y' x 1000) . "\n" x 2000,
);
SKIP:
{
	my $test = borrow(all_children($a)->[0]);
	skip 'pidfd_getfd is not available', 1 unless $test;
	close $test;
	foreach my $node ($a, $b)
	{
		foreach my $what (sort keys %garbage)
		{
			my $mark = $node->log_mark;
			my $pids = all_children($node);
			foreach my $pid (@$pids)
			{
				my $socket = borrow($pid) or next;
				$socket->blocking(0);
				my $end = PghaCluster::now() + 2;
				my $left = $garbage{$what};
				while (length $left && PghaCluster::now() < $end)
				{
					my $written = syswrite($socket, $left, 4096);
					last if !defined $written && !$!{EAGAIN};
					substr($left, 0, $written) = '' if $written;
				}
				close $socket;
			}
			# The child itself goes on, or is replaced: both are fine.
			$cluster->wait_for("$node->{name} to see all members ($what)",
				sub { my $view = $node->view; return keys %$view == 3 && !grep { !$_->{reachable} } values %$view });
			unlike($node->log_since($mark), qr/terminated by signal|exited with exit code|reinitializing|PANIC/, "$what: $node->{name} is unharmed");
			is($a->status->{term}, $term, "$what: no failover");
		}
	}
	my $moment = PghaCluster::now();
	$writer->wait_acknowledged(20, $moment);
	pass('commits go on');
}

# EOF while the child lives: its end of the socket is shut down.
{
	my $mark = $a->log_mark;
	my $pids = all_children($a);
	my $shut = 0;
	foreach my $pid (@$pids)
	{
		my $socket = borrow($pid) or next;
		$shut++ if shutdown($socket, 2);
	}
	recovers($a, 'EOF', $pids, $mark) if $shut;
}

# And the failover still works.
$a->kill9;
my $new = $cluster->wait_single_primary(among => [ $b, $c ]);
ok($new, 'a failover works after all this');
$cluster->wait_for('the children of the killed server to end', sub { !$a->processes });
pass('children of a killed server end by themselves');
done_testing();
