# Members far apart: 400 ms each way, with failure_timeout = 3 s.  To connect
# and log in takes longer than a member is given to answer; the members find
# each other all the same, follow, do not flap, and fail over.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use IO::Socket::INET;
use PghaCluster;
use Test::More;
use Time::HiRes qw(time);

my $DELAY = 0.4;

my $cluster = PghaCluster->new(nodes => 2,
	settings => { 'pgha.failure_timeout' => '3s', 'pgha.heartbeat_interval' => '500ms', 'pgha.startup_grace' => '10s' });
my ($a, $b) = $cluster->nodes;

# One end of a line and what is on its way to it.
sub carry
{
	my ($line, $select, $of) = @_;
	my $now = time();
	while (@{ $line->{sent} } && $line->{sent}[0][0] <= $now)
	{
		my $text = (shift @{ $line->{sent} })->[1];
		if (defined $text) { syswrite($line->{to}, $text); next; }
		foreach my $end (@$line{qw(from to)})
		{
			$select->remove($end);
			delete $of->{$end};
			close $end;
		}
		$line->{closed} = 1;
		return;
	}
	return;
}

# Serves connections to $listener by others to $port, each way with the delay.
sub forward
{
	my ($listener, $port) = @_;
	my $select = IO::Select->new($listener);
	my (%of, @lines);
	local $SIG{PIPE} = 'IGNORE';
	for (;;)
	{
		foreach my $ready ($select->can_read(0.01))
		{
			if ($ready == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.2', PeerPort => $port);
				if (!$server) { close $client; next; }
				foreach my $pair ([ $client, $server ], [ $server, $client ])
				{
					my $line = { from => $pair->[0], to => $pair->[1], sent => [] };
					$of{ $pair->[0] } = $line;
					push @lines, $line;
				}
				$select->add($client, $server);
				next;
			}
			my $line = $of{$ready} or next;
			my $got = sysread($ready, my $text, 65536);
			push @{ $line->{sent} }, [ time() + $DELAY, $got ? $text : undef ];
			$select->remove($ready) unless $got;
		}
		carry($_, $select, \%of) foreach grep { !$_->{closed} } @lines;
		@lines = grep { !$_->{closed} && defined fileno($_->{to}) } @lines;
	}
}

# The line ends where the others expect the node; its server listens elsewhere.
sub line_to
{
	my ($node) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => $node->{host}, LocalPort => $node->{port}, Listen => 20, ReuseAddr => 1) or die "listen: $!";
	my $parent = $$;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' foreach qw(TERM INT);
		syscall(157, 1, 15, 0, 0, 0);	# PR_SET_PDEATHSIG
		POSIX::_exit(0) if getppid() != $parent;
		forward($listener, $node->{port});
	}
	close $listener;
	$cluster->adopt(PghaCluster::Child->new(pid => $pid, signal => 'TERM'));
	return;
}

$cluster->build(start => 0);
line_to($_) foreach $a, $b;
foreach my $node ($a, $b)
{
	$node->configure(listen_addresses => '127.0.0.2');
	$node->start(wait => 0);
}
is($cluster->wait_single_primary, $a, 'the primary leads again');
$cluster->wait_following($a, $b);
pass('the standby follows');
$cluster->wait_for('each to hear of the other', sub {
	my @members = map { values %{ $_->view // {} } } $a, $b;
	return @members == 4 && !grep { !$_->{reachable} } @members;
});
my ($term, $mark) = ($a->status->{term}, $b->log_mark);
my $sender = $a->value(q{SELECT pid FROM pg_stat_replication WHERE application_name = 'b'});

# A connection that is cut is made anew.
my $since = $a->value('SELECT now()');
$a->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'pgha io'});
$cluster->wait_for('the monitor to be connected again',
	sub { ($a->value(qq{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pgha io' AND backend_start > '$since'}) // 0) > 0 });
$cluster->wait_for('b to hear of a', sub { $b->view->{a}{reachable} });
is($a->status->{term}, $term, 'no failover');
is($a->value(q{SELECT pid FROM pg_stat_replication WHERE application_name = 'b'}), $sender, 'the stream goes on');
unlike($b->log_since($mark), qr/missing|promot/, 'the standby never missed the primary');

$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'a failover works');
$a->start(wait => 0);
$a->wait_streaming;
pass('and the killed node follows');
done_testing();
