# The monitor comes and goes, the configuration changes, the server is stopped
# in every state: the stream and the commits are not disturbed, nothing is left.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Copy qw(copy);
use File::Path qw(make_path);
use PghaCluster;
use Test::More;

# A crash restart on a busy machine takes its time, and must not look like silence;
# a former primary returns for no longer than startup_grace.  The last one that is
# left leads: without quorum.
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.quorum' => 'off', 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '15s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(10);
my $term = $a->status->{term};

# Ends the monitor as an administrator might; returns when a new one is there.
sub restart_monitor
{
	my ($node) = @_;
	my $old = $node->monitor_pid;
	kill 'TERM', $old;
	$cluster->wait_for("a new monitor of $node->{name}", sub { my $new = $node->monitor_pid; $new && $new != $old });
}

sub commits_go_on
{
	my ($what) = @_;
	$writer->wait_acknowledged(10, PghaCluster::now());
	is($cluster->wait_single_primary, $a, "$what: commits go on");
	is($a->status->{term}, $term, "$what: in the same term");
}

sub crash_backend
{
	my ($node) = @_;
	my $mark = $node->log_mark;
	my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: checkpointer/ } $node->processes;
	kill 'KILL', $pid;
	$node->wait_log(qr/all server processes terminated; reinitializing/, $mark);
}

# ---- a new monitor ----

my $receiver = $b->receiver_pid;
restart_monitor($b);
$b->wait_state('standby');
$cluster->wait_following($a);
is($b->receiver_pid, $receiver, 'new monitor of a standby: the stream goes on');

restart_monitor($a);
commits_go_on('new monitor of the primary');
$cluster->wait_following($a);
is($b->receiver_pid, $receiver, 'new monitor of the primary: the streams go on');

# ---- configurations that are not valid ----

sub wait_config_error
{
	my ($node, $pattern) = @_;
	$cluster->wait_for("$node->{name} to show the mistake", sub { my $s = $node->status; $s && ($s->{config_error} // '') =~ $pattern });
}

foreach my $node ($a, $b)
{
	# A set that is valid, but not the one that the server started with; then one that is not.
	my $members = "$cluster->{members}, d=127.0.0.1:1";
	my $four = sub { keys %{ $node->view } == 4 };
	$node->set('pgha.members' => $members);
	$cluster->wait_for('the fourth member', $four);
	$node->set('pgha.failure_timeout' => '100ms');
	wait_config_error($node, qr/failure_timeout/);
	commits_go_on("mistake on $node->{name}");

	restart_monitor($node);
	wait_config_error($node, qr/failure_timeout/);
	commits_go_on("mistake on $node->{name} and a new monitor");
	ok($four->(), 'the last valid set is in force');

	crash_backend($node);
	wait_config_error($node, qr/failure_timeout/);
	commits_go_on("mistake on $node->{name} and a crash");
	$cluster->wait_following($a);
	ok($four->(), 'the last valid set is in force');

	$node->set('pgha.failure_timeout' => undef, 'pgha.members' => undef);
	$cluster->wait_for('the mistake to be gone', sub { my $s = $node->status; $s && !$s->{config_error} });
}

# ---- other members ----

$receiver = $b->receiver_pid;
my $members = $cluster->{members};
my $slots = "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots";
sub set_members
{
	my ($what, $text, $count, @nodes) = @_;
	my $moment = PghaCluster::now();
	$_->set('pgha.members' => $text) foreach @nodes;
	foreach my $node (@nodes)
	{
		$cluster->wait_for("$node->{name} to have $count members that agree",
			sub {
				my $view = $node->view;
				return keys %$view == $count && !grep { !$_->{reachable} && $_->{node} ne 'd' } values %$view;
			});
		my @others = map { "pgha_$_" } grep { $_ ne $node->{name} } $text =~ /(\w+)=/g;
		$cluster->wait_for("$node->{name} to have its slots", sub { ($node->value($slots) // '') eq join ' ', sort @others });
	}
	$cluster->wait_following($a, grep { $_ != $a } @nodes);
	$writer->wait_acknowledged(10, $moment);
	is($b->receiver_pid, $receiver, "$what: the stream goes on");
	is($a->status->{term}, $term, "$what: no failover");
}
set_members('a fourth name', "$members, d=127.0.0.1:1", 4, $a, $b, $c);
set_members('another order', 'd=127.0.0.1:1, ' . join(', ', reverse split /, /, $members), 4, $a, $b, $c);
$c->kill9;
set_members('dead ones removed', join(', ', grep { !/^c=/ } reverse split /, /, $members), 2, $a, $b);

# A promotion whose monitor is replaced, with the members as they are now.
my ($startup) = grep { PghaCluster::command_line($_) =~ /^postgres: startup/ } $b->processes;
kill 'STOP', $startup;
$a->kill9;
$b->wait_state('promoting');
$cluster->wait_for('the order to promote', sub { -e "$b->{data}/promote" });
my $old = $b->monitor_pid;
kill 'TERM', $old;
$cluster->wait_for('the monitor to end', sub { ($b->monitor_pid // 0) != $old });
kill 'CONT', $startup;
is($cluster->wait_single_primary, $b, 'new monitor during a promotion: it ends with one primary');
$writer->wait_acknowledged(10, PghaCluster::now());
$writer->stop;

# All three again.
$_->configure('pgha.members' => undef) foreach $a, $b, $c;
$b->reload;
$cluster->rejoin($a, $b);
$cluster->rejoin($c, $b);
ok($cluster->one_primary, 'all three are back');

# ---- stops ----

sub stops
{
	my ($what, $node, $mode) = @_;
	$node->note_segments;
	my @segments = splice @{ $node->{segments} };
	my $start = PghaCluster::now();
	$node->stop($mode);
	my $seconds = PghaCluster::now() - $start;
	cmp_ok($seconds, '<', 15, sprintf "$what, $mode stop: takes %.1f s", $seconds);
	# Those that nobody waits for in an immediate stop end by themselves.
	PghaCluster::poll_until('', sub { !$node->processes });
	my @left = map { "$_ " . PghaCluster::command_line($_) } $node->processes;
	push @left, grep { m{^/} ? -e : defined shmctl($_, 2, my $buffer = "\0" x 256) } @segments;
	push @left, glob("$node->{socket}/.s.*");
	is("@left", '', "$what, $mode stop: nothing is left");
}

foreach my $mode (qw(smart fast immediate))
{
	my $primary = $cluster->wait_single_primary;
	my ($standby, $third) = $cluster->others($primary);
	$cluster->wait_following($primary);
	stops('standby', $standby, $mode);
	$standby->start;
	$cluster->wait_following($primary, $standby);
	$primary->sql('SELECT pgha_pause()');
	$cluster->wait_for('the pause to be known', sub { !grep { my $s = $_->status; !$s || !$s->{paused} } $cluster->nodes });
	stops('primary', $primary, $mode);
	$cluster->wait_for('a standby to know that it is barred', sub { ($standby->status->{reason} // '') =~ /paused/ });
	stops('standby without a primary', $standby, $mode);
	$third->stop($mode);
	$primary->start;
	$primary->wait_state('returning');
	stops('former primary that returns', $primary, $mode);
	$_->start foreach $cluster->nodes;
	my $leader = $cluster->wait_single_primary;
	$leader->sql('SELECT pgha_resume()');
	$cluster->wait_following($leader);
}

# ---- recovery that is not pgha's ----

my $primary = $cluster->wait_single_primary;
my ($standby) = $cluster->others($primary);
$standby->stop;
$standby->configure(
	recovery_target_time => '2099-01-01 00:00:00',
	primary_conninfo => "host=127.0.0.1 port=$primary->{port} user=pgha application_name=mine");
$standby->start;
$standby->wait_state('passive');
like($standby->status->{reason}, qr/recovery target/, 'a recovery target: says so');
$cluster->wait_following($primary, $standby);
is($primary->value("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'mine' AND state = 'streaming'"),
	1, 'the WAL receiver works as the administrator wrote');
stops('passive', $standby, 'fast');

# Archive recovery of a base backup that has reached its target and waits.
$standby->clone($primary);
$standby->configure(recovery_target_time => undef, primary_conninfo => undef,
	recovery_target => 'immediate', recovery_target_action => 'pause', restore_command => 'false');
rename "$standby->{data}/standby.signal", "$standby->{data}/recovery.signal" or die $!;
$standby->start;
$standby->wait_state('passive');
like($standby->status->{reason}, qr/recovery.signal/, 'recovery.signal: says so');
is($standby->value('SELECT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver)'), 't', 'and is left alone');
is($primary->state, 'primary', 'nobody is fenced');
stops('archive recovery', $standby, 'fast');
rename "$standby->{data}/recovery.signal", "$standby->{data}/standby.signal" or die $!;
$standby->configure(recovery_target => undef, recovery_target_action => undef, restore_command => undef);
$standby->start;
$cluster->wait_following($primary, $standby);
pass('managed again');

# ---- an installation without the program ----

{
	my $bindir = PghaCluster::bindir();
	my $prefix = "$cluster->{base}/usr";
	my $copy = "$prefix/lib/postgresql/15/bin";
	SKIP:
	{
		skip 'not a Debian installation of PostgreSQL 15', 2 unless $bindir eq '/usr/lib/postgresql/15/bin';
		make_path($copy);
		symlink '/usr/lib/postgresql/15/lib', "$prefix/lib/postgresql/15/lib";
		symlink '/usr/share', "$prefix/share";
		copy("$bindir/postgres", "$copy/postgres") or die $!;
		chmod 0755, "$copy/postgres";
		$standby->stop;
		my $log;
		{
			local $PghaCluster::bindir = $copy;
			symlink "$bindir/psql", "$copy/psql";
			$log = $standby->start_refused;
		}
		like($log, qr{FATAL: .*could not find the program "\Q$copy\E/pgha"}, 'without the program: no start');
		like($log, qr/HINT: .*make install/, 'without the program: says what to do');
		$standby->start;
		$cluster->wait_following($primary, $standby);
	}
}
$cluster->cleanup;

# ---- IPv6 ----

SKIP:
{
	require IO::Socket::IP;
	my $socket = IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 1);
	skip 'no IPv6 here', 2 unless $socket;
	close $socket;
	my $six = PghaCluster->new(nodes => 2, settings => { 'pgha.startup_grace' => '3s' });
	$_->{host} = '::1' foreach $six->nodes;
	$six->{members} = join ', ', map { "$_->{name}=[::1]:$_->{port}" } $six->nodes;
	$six->build;
	my ($first, $second) = $six->nodes;
	like($first->view->{b}{address}, qr/^\[::1\]:\d+$/, 'IPv6: shown as it was written');
	$first->kill9;
	is($six->wait_single_primary, $second, 'IPv6: failover');
	$six->rejoin($first, $second);
}
done_testing();
