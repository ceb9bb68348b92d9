# What the agent says to whoever started it: sd_notify() to the service manager, which
# a datagram socket plays here, and the lines of its log.  Its children speak for
# nobody: neither a recovery nor a server that it has started knows the socket.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use PghaCluster;
use Socket;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' })->build;
my ($a, $b) = $cluster->nodes;

my $path = "$cluster->{base}/notify";
my $manager = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!";
chmod 0777, $path or die;
my @service = (NOTIFY_SOCKET => $path, WATCHDOG_USEC => 1_000_000);

my @heard;

# Reads what has come in, until one that was not read before matches.
sub hears
{
	my ($pattern, $what) = @_;
	my $found = 0;
	PghaCluster::poll_until($what,
		sub {
			while (!$found && IO::Select->new($manager)->can_read(0))
			{
				recv $manager, my $message, 4096, 0;
				push @heard, $message;
				$found = 1 if $message =~ $pattern;
			}
			return $found;
		}, 30);
	ok($found, $what) or diag join "\n", map { s/\n/ | /gr } @heard;
	return;
}

# Of a process.
sub environment { my ($pid) = @_; return join "\n", split /\0/, PghaCluster::slurp("/proc/$pid/environ") // ''; }

# A round of the loop looks at pg_control three times, and starts a recovery twice, at most.
sub constant { my ($file, $name) = @_; return (PghaCluster::slurp("$PghaCluster::ROOT/$file") =~ /^#define $name\s+(\d+)$/m)[0] / 1000; }
my ($limit) = PghaCluster::slurp("$PghaCluster::ROOT/examples/pgha-agent.service") =~ /^WatchdogSec=(\d+)s$/m;
cmp_ok(3 * constant('src/host/control.c', 'READ_LIMIT_MS') + 2 * constant('src/recovery/job.c', 'BEGIN_LIMIT_MS') + $limit / 3, '<', $limit,
	'storage that hangs does not make the service manager kill the agent');

# ---- the service manager ----
$a->start_agent;
$b->start_agent(env => {@service});
hears(qr/\AREADY=1\nSTATUS=b: /, 'the agent says when it is ready, and what it sees');
hears(qr/\ASTATUS=b: standby, streams; a leads\z/, 'and what has changed');
@heard = ();
hears(qr/\AWATCHDOG=1\z/, 'it gives signs of life') for 1 .. 3;
is_deeply([ grep { $_ ne 'WATCHDOG=1' } @heard ], [], 'and says nothing else while nothing happens');

my ($agent) = grep { (PghaCluster::slurp("/proc/$_/comm") // '') eq "pgha\n" && environment($_) =~ /^NOTIFY_SOCKET=/m }
	map { m{^/proc/(\d+)$} ? $1 : () } glob '/proc/[0-9]*';
ok($agent, 'the agent is found') or BAIL_OUT('no agent');
kill 'STOP', $agent or die;
recv $manager, my $message, 4096, 0 while IO::Select->new($manager)->can_read(0.2);
ok(!IO::Select->new($manager)->can_read(2), 'an agent that hangs gives none');
kill 'CONT', $agent or die;
hears(qr/\AWATCHDOG=1\z/, 'until it goes on');

kill 'HUP', $agent or die;
hears(qr/\ARELOADING=1\nMONOTONIC_USEC=\d+\z/, 'a reload is told');
hears(qr/\AREADY=1\nSTATUS=/, 'and its end');

my $mark = $b->agent_mark;
$b->stop('immediate');
hears(qr/\ASTATUS=b: the server is crashed; a leads/, 'a server that has crashed is told');
hears(qr/\ASTATUS=b: .*; recovery: \w+/, 'a recovery is told');
hears(qr/\ASTATUS=b: standby, streams; a leads\z/, 'and its end');
my $postmaster = (split /\n/, PghaCluster::slurp("$b->{data}/postmaster.pid"))[0];
like(environment($agent), qr/^NOTIFY_SOCKET=.*WATCHDOG_USEC=|^WATCHDOG_USEC=.*NOTIFY_SOCKET=/ms, 'the agent has the variables');
unlike(environment($postmaster), qr/^(NOTIFY_SOCKET|WATCHDOG)/m, 'the server that it has started does not speak for it');

# ---- the log ----
my $line = qr/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] (LOG|WARNING|ERROR):  \S/;
is_deeply([ grep { $_ !~ $line } split /\n/, $b->agent_text ], [], 'each line has time, process and severity');
like(substr($b->agent_text, $mark), qr/LOG:  recovery \(\w+\): the server has crashed$/m, 'what is done is LOG');

sub set_format
{
	my ($format) = @_;
	my $from = $b->agent_mark;
	PghaCluster::spew("$b->{data}/postgresql.conf", PghaCluster::slurp("$b->{data}/postgresql.conf") . "pgha.agent_log_format = '$format'\n");
	kill 'HUP', $agent or die;
	$b->wait_agent_log(qr/\n/, $from);
	return $from;
}
$mark = set_format('xml');
like(substr($b->agent_text, $mark), qr/ERROR:  the configuration cannot be used.*pgha.agent_log_format is "xml": write text or json$/m,
	'a format that is none is refused');
$mark = set_format('json');
$mark = set_format('JSON');
my ($json) = split /\n/, substr($b->agent_text, $mark);
my $said = eval { JSON::PP->new->utf8->decode($json) } // {};
like(delete $said->{ts} // '', qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'JSON: a time');
is_deeply($said, { severity => 'LOG', node => 'b', process => 'agent', pid => $agent, message => 'read the configuration again' }, 'and all the rest');

# A member's name and quotes come as they are.
$mark = $b->agent_mark;
kill 'TERM', $agent or die;
hears(qr/\ASTOPPING=1/, 'the end is told');
PghaCluster::poll_until('the agent to end', sub { !$b->agent_running }, 30);

my @file = stat $b->{agent_log};
$mark = $b->agent_mark;
$b->start_agent(env => { JOURNAL_STREAM => "$file[0]:$file[1]" });
my ($first) = split /\n/, substr($b->agent_text, $mark);
like($first, qr/^<6>\{"ts":".*"message":"version [^"]*, node \\"b\\", data directory/, 'in the journal JSON has the priority of systemd, too');
$b->stop_agent;
set_format_of_file('text');
$mark = $b->agent_mark;
$b->start_agent(env => { JOURNAL_STREAM => "$file[0]:$file[1]" });
like(substr($b->agent_text, $mark), qr/\A<6>LOG:  version /, 'and text no time');
$b->stop_agent;
$mark = $b->agent_mark;
$b->start_agent(env => { JOURNAL_STREAM => "$file[0]:1" });
like(substr($b->agent_text, $mark), $line, 'but not where stderr is another file');

sub set_format_of_file
{
	my ($format) = @_;
	PghaCluster::spew("$b->{data}/postgresql.conf", PghaCluster::slurp("$b->{data}/postgresql.conf") . "pgha.agent_log_format = '$format'\n");
	return;
}

done_testing();
