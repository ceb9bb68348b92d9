# Recoveries.pm
#		What tests of recoveries share: jobs that stop themselves at a point, orders
#		with a limit, conditions that may fail without ending the test.
package Recoveries;

use strict;
use warnings;

use Exporter qw(import);
use File::Path qw(make_path);
use PghaCluster;
use Test::More;

our @EXPORT = qw(arm stopped_jobs await_stopped_job kill_at let_go order session_text
  eventually read_again diverge pause tablespace_elsewhere no_place_beside rebuild lost_commits set_outside progress);

# The agent is started so that its jobs stop themselves at the point.
sub arm
{
	my ($node, $point, %option) = @_;
	$node->stop_agent;
	$node->start_agent(%option, env => { PGHA_TEST_STOP_AT => $point });
	return;
}

sub stopped_jobs
{
	my ($node) = @_;
	return grep { PghaCluster::process_state($_) eq 'T' } $node->job_pids;
}

sub await_stopped_job
{
	my ($node, $what) = @_;
	$node->{cluster}->wait_for("$what: the job to be there", sub { scalar stopped_jobs($node) });
	return stopped_jobs($node);
}

# Waits until the job has stopped itself, and kills it with its agent.
sub kill_at
{
	my ($node, $what) = @_;
	await_stopped_job($node, $what);
	$node->stop_agent('KILL');
	$node->kill_job;
	return;
}

# Has jobs that have stopped themselves go on, now and whenever it is called.
sub let_go { my ($node) = @_; kill 'CONT', stopped_jobs($node); return; }

# An order on a node about another one; what the caller gets to see, with "t" or
# "ERROR" in it.  No answer within the limit: "NO ANSWER" and what was said so far.
sub order
{
	my ($on, $of, $method, $limit) = @_;
	my $arguments = "'$of->{name}'" . (defined $method ? ", '$method'" : '');
	my ($status, $out, $notices) = $on->psql("SELECT pgha_recover_node($arguments)", timeout => $limit // 60);
	return ($status == -1 ? "NO ANSWER\n" : $status == 0 ? "$out\n" : '') . $notices;
}

sub session_text { my ($session) = @_; return PghaCluster::slurp($session->{log}) // ''; }

# A test that the condition comes true within the limit.
sub eventually
{
	my ($condition, $limit, $name) = @_;
	my $result = PghaCluster::poll_until($name, $condition, $limit);
	ok($result, $name);
	return $result;
}

# Settings of a node that its agent has taken in.
sub read_again
{
	my ($node, %setting) = @_;
	my $mark = $node->agent_mark;
	if ($node->is_running) { $node->set(%setting); }
	else { $node->configure(%setting); }
	$node->wait_agent_log(qr/read the configuration again/, $mark);
	return;
}

# Rows that only the primary has; the last of them is $value.
sub diverge
{
	my ($primary, $other, $value) = @_;
	my $sender = $primary->{cluster}->wait_for('the standby to be connected',
		sub { $primary->value("SELECT pid FROM pg_stat_replication WHERE application_name = '$other->{name}' AND state = 'streaming'") });
	kill 'STOP', $sender;
	$primary->sql("INSERT INTO probe VALUES ($value)");
	return;
}

# Pauses failover (1) or ends the pause (0), and waits until the primary has it so.
sub pause
{
	my ($leader, $paused) = @_;
	my ($call, $expected) = $paused ? ('pgha_pause', 't') : ('pgha_resume', 'f');
	$leader->{cluster}->wait_for("$call()", sub {
		$leader->value("SELECT $call()", timeout => 10);
		return ($leader->value("SELECT paused FROM pgha_cluster() WHERE node = '$leader->{name}'") // '') eq $expected });
	return;
}

# As if there were no place for a second directory: the parent cannot be written to.
sub no_place_beside { my ($cluster, $on) = @_; chmod $on ? 0555 : 0755, $cluster->{base}; return; }

# Whatever became of the node: it follows the primary again.
sub rebuild
{
	my ($node, $primary) = @_;
	$node->stop_agent;
	$node->kill_job;
	$node->stop('immediate');
	$node->kill_all;
	PghaCluster::must_run([ 'rm', '-rf', $node->agent_directory ]);
	$node->clone($primary);
	$node->start;
	$node->{cluster}->wait_following($primary, $node);
	return;
}

# How many commits pgha says were saved, over all that it has saved.
sub lost_commits
{
	my ($node) = @_;
	my $sum = 0;
	foreach my $file (glob($node->agent_directory . '/pgha_lost/*/summary.txt'))
	{
		$sum += $1 if (PghaCluster::slurp($file) // '') =~ /^commits: +(\d+)$/m;
	}
	return $sum;
}

# Puts a file of a data directory elsewhere, with a symbolic link in its place.
sub set_outside
{
	my ($node, $name, $directory) = @_;
	rename("$node->{data}/$name", "$directory/$name") or die "$node->{data}/$name: $!";
	PghaCluster::must_run([ PghaCluster::as_postgres(), 'ln', '-s', "$directory/$name", "$node->{data}/$name" ]);
	return;
}

# Has the standby with a tablespace, for which each node has a place of its own: the
# places by node.  The standby is built anew; agents that are to run are the caller's.
sub tablespace_elsewhere
{
	my ($primary, $standby) = @_;
	my $base = $primary->{cluster}{base};
	my %space = map { $_->{name} => "$base/space_$_->{name}" } $primary, $standby;
	foreach my $path (values %space) { make_path($path); PghaCluster::give_to_postgres($path); }
	$standby->stop;
	$primary->sql("CREATE TABLESPACE space LOCATION '$space{$primary->{name}}'");
	$primary->sql('CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) v');
	PghaCluster::must_run([ 'rm', '-rf', $standby->{data} ]);
	PghaCluster::must_run([ PghaCluster::as_postgres(), $standby->program('pg_basebackup'), '-D', $standby->{data},
		'-h', $primary->{host}, '-p', $primary->{port}, '-U', 'postgres', '-c', 'fast', '--no-sync',
		"--tablespace-mapping=$space{$primary->{name}}=$space{$standby->{name}}" ]);
	PghaCluster::spew("$standby->{data}/standby.signal", '');
	$standby->configure;
	$standby->start;
	return %space;
}

# One column of what the given server knows of a node's recovery.
sub progress
{
	my ($on, $of, $column) = @_;
	return $on->value("SELECT $column FROM pgha_recovery_progress() WHERE node = '$of->{name}'") // '';
}

1;
