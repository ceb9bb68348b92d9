# A server that runs is never taken for one that has crashed, nor its directory
# emptied under it, where its process cannot be looked at: it has capabilities
# that the agent has not, is process 1 of a container, or was started with another
# path to the same directory.  A clone stops it first, or is refused.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.clone_in_place' => 'on' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};
my $mounted;
END
{
	no_place_beside($cluster, 0) if defined $cluster;
	system('umount', '-l', "$base/mounted") if $mounted;
}

# The tests' own way to find such a server: by its working directory, as root.
my $find_server = \&PghaCluster::Node::find_server;
sub postmaster_of
{
	my ($node) = @_;
	my ($pid) = grep { PghaCluster::command_line($_) =~ m{^\S*/postgres -D} && PghaCluster::process_state($_) ne 'Z' }
	  map { PghaCluster::processes_in($_) } $node->{data}, "$base/mounted/$node->{name}", "/$node->{name}";
	return $pid;
}
{
	no warnings 'redefine';
	*PghaCluster::Node::find_server = sub {
		my ($self) = @_;
		my $pid = postmaster_of($self) // return $find_server->($self);
		$self->{pid} = $pid;
		return 1;
	};
}

# Starts the node's server by a command of its own; the agent is started afterwards.
sub started_so
{
	my ($node, @command) = @_;
	$node->stop_agent;
	$node->stop;
	PghaCluster::spawn(\@command, log => $node->{log});
	$cluster->wait_for("$node->{name} to be up", sub { postmaster_of($node) && $node->is_running && defined $node->value('SELECT 1') });
	$cluster->wait_following($a, $node) if $node == $b;
	$node->start_agent;
	return;
}

sub not_emptied
{
	my ($what) = @_;
	my $pid = postmaster_of($b);
	my $control = (stat "$b->{data}/global/pg_control")[1];
	my $file = $b->value(q{SELECT pg_relation_filepath('probe')});

	unlike($b->agent_text, qr/the server has crashed/, "$what: not taken for crashed");
	my $known = PghaCluster::poll_until('', sub { progress($a, $b, 'server') =~ /./ }, 5) ? progress($a, $b, 'server') : '';
	unlike($known, qr/^(crashed|stopped|absent|marked)$/, "$what: not told to be down ($known)");

	# The job stops itself once it is about to empty the directory, if it does.
	no_place_beside($cluster, 1);
	my $answer = order($a, $b, 'clone', 15);
	no_place_beside($cluster, 0);
	my $alive = -d "/proc/$pid" && PghaCluster::process_state($pid) !~ /^[ZX]?$/;
	ok(!$alive || (-e "$b->{data}/$file" && ((stat "$b->{data}/global/pg_control")[1] // 0) == $control),
		"$what: the directory is not emptied while the server runs") or diag $answer;
	like($answer, qr/^t$|ERROR: .*HINT: /ms, "$what: it is cloned, or refused with what to do") or diag $answer;
	ok(PghaCluster::poll_until('', sub { defined $b->value('SELECT count(*) FROM probe')
		&& ($b->value('SELECT count(*) FROM pg_stat_wal_receiver WHERE status = $$streaming$$') // '') eq '1' }, 10), "$what: the node streams afterwards");

	# Whatever has become of it, the next case begins with a whole node.
	$b->stop_agent('KILL');
	$b->kill_job;
	my @left = ($pid, PghaCluster::processes_in($b->{data}));
	kill 'KILL', @left;
	$cluster->wait_for('what was left to be gone', sub { $b->reap(@left); !-d "/proc/$pid" || PghaCluster::process_state($pid) eq 'Z' });
	$b->kill_all;
	rebuild($b, $a);
	unlink $b->{agent_log};
	$b->start_agent;
	return;
}

my $postgres = $b->program('postgres');

# As a unit with AmbientCapabilities= starts it: /proc/PID/cwd cannot be read.
started_so($b, $b->here('--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service'), $cluster->die_with_us('QUIT'), $postgres, '-D', $b->{data});
not_emptied('capabilities');

# In a container: postmaster.pid says 1.
started_so($b, $cluster->die_with_us('KILL'), 'unshare', '--pid', '--fork', '--kill-child', '--', $b->here, $postgres, '-D', $b->{data});
like(PghaCluster::slurp("$b->{data}/postmaster.pid"), qr/^1\n/, 'it is process 1');
not_emptied('process 1');

# The same directory, by another path.
mkdir "$base/mounted";
PghaCluster::must_run([ 'mount', '--bind', $base, "$base/mounted" ]);
$mounted = 1;
started_so($b, $b->here, $cluster->die_with_us('QUIT'), $postgres, '-D', "$base/mounted/b");
not_emptied('another path');

done_testing();
