# A recovery whose primary dies in the middle of it, so that a third node leads;
# and two nodes promoted by hand, out of pgha's sight, onto the same timeline
# number: they are never rewound onto each other.  Two witnesses vote, so that one of
# three may lead alone.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 3, witnesses => [ 'w-1', 'w-2' ], agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '64MB', min_wal_size => '4MB', 'pgha.slot_keep_size' => '1GB', 'pgha.max_failover_lag' => '1GB' });
$cluster->build(sql => 'CREATE TABLE big AS SELECT g, repeat(md5(g::text), 20) AS t FROM generate_series(1, 30000) g');
wait_votes($cluster->primary, $cluster->voters);

sub arm { my ($node, $point) = @_; $node->stop_agent; $node->start_agent(env => { PGHA_TEST_STOP_AT => $point }); return; }

sub stopped_job
{
	my ($node, $what) = @_;
	$cluster->wait_for("$what: the job to be there", sub { grep { PghaCluster::process_state($_) eq 'T' } $node->job_pids });
	return $node->job_pids;
}

# The node falls, diverged; its rewind is under way when the next primary dies.
# Returns the one that is primary then.
sub fall_twice
{
	my ($node, $what) = @_;
	$cluster->wait_for("$what: both to stream", sub { ($node->value(q{SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name <> 'pgha io'}) // 0) == 2 });
	# One that was cloned just now has no WAL before the segment that it begins with.
	$cluster->wait_following($node);
	arm($node, 'copying');
	my @senders = split /\n/, $node->sql(q{SELECT pid FROM pg_stat_replication WHERE state = 'streaming' AND application_name <> 'pgha io'});
	kill 'STOP', @senders;
	$node->sql('UPDATE big SET g = g + 1');
	$node->kill9;

	# The job stops itself, and pg_rewind with it.
	stopped_job($node, $what);
	kill 'STOP', $node->job_pids;
	my $next = $cluster->wait_single_primary(among => [ $cluster->others($node) ]);
	my ($third) = grep { $_ != $next } $cluster->others($node);
	$cluster->wait_for("$what: the third to follow", sub { ($third->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // 0) == 1 });
	$next->kill9;
	is($cluster->wait_single_primary(among => [$third]), $third, "$what: the primary dies, the third node leads");
	kill 'CONT', $node->job_pids;
	return ($next, $third);
}

# ---- auto_rejoin = rewind: a clear end, and an order mends it ----
my ($a) = $cluster->nodes;
my $mark = $a->agent_mark;
my ($next, $third) = fall_twice($a, 'rewind only');
$a->wait_agent_log(qr/is not whole.*pgha.auto_rejoin = clone/, $mark);
$cluster->wait_for('the new primary to know', sub { ($third->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'a'}) // '') eq 'marked' });
pass('the node is marked, and its agent says what to do');
$next->wait_streaming(90);
pass('the second primary that died is back');

# The clone's source dies, too.
arm($a, 'cloning');
my $session = $third->background(q{SELECT pgha_recover_node('a', 'clone')});
stopped_job($a, 'clone');
$third->kill9;
is($cluster->wait_single_primary(among => [$next]), $next, 'the source of a clone dies, another node leads');
kill 'CONT', $a->job_pids;
$cluster->wait_for('the clone to have ended', sub { $a->job_field('outcome') =~ /./ && !$a->job_pids });
$third->wait_streaming(90);
$a->stop_agent;
$a->start_agent;
is($next->value(q{SELECT pgha_recover_node('a', 'clone')}, timeout => 120), 't', 'ordered again, it is cloned from the new primary');
$a->wait_streaming;

# ---- auto_rejoin = clone: by itself ----
$cluster->wait_for('the recoveries to have ended', sub { !grep { $_->job_pids } $cluster->nodes });
$next->set('pgha.auto_rejoin' => 'clone');
my (undef, $leader) = fall_twice($next, 'rewind, else clone');
$next->wait_streaming(90);
$cluster->wait_following($leader, $next);
is($next->value('SELECT count(*) FROM big'), '30000', 'it is cloned by itself from the third node');
is($next->value('SELECT min(g) FROM big'), $leader->value('SELECT min(g) FROM big'), 'with that one\'s data');

# ---- the same timeline number, twice ----
$_->wait_streaming(90) foreach grep { $_ != $leader } $cluster->nodes;
$cluster->wait_for('the recoveries to have ended', sub { !grep { $_->job_pids } $cluster->nodes });
$_->stop_agent foreach $cluster->nodes;
my ($left, $right) = ($next, $leader);
my ($other) = grep { $_ != $left && $_ != $right } $cluster->nodes;
$cluster->wait_following($right, $other);
$right->stop;
$_->stop foreach grep { $_->is_running } $left, $other;

# Starts it without pgha, promotes it so many times, lets it write.
sub promote_by_hand
{
	my ($node, $times, $rows) = @_;
	$node->configure(shared_preload_libraries => '', restore_command => '');
	foreach (1 .. $times)
	{
		PghaCluster::spew("$node->{data}/standby.signal", '');
		PghaCluster::give_to_postgres("$node->{data}/standby.signal");
		$node->start(wait => 0);
		$cluster->wait_for("$node->{name} to be up", sub { $node->value('SELECT 1') });
		is($node->sql('SELECT pg_promote()'), 't', "$node->{name} is promoted by hand");
		$node->sql("INSERT INTO probe SELECT -i - 1000 * ascii('$node->{name}') FROM generate_series(1, $rows) i; CHECKPOINT");
		$node->stop;
	}
	$node->configure(shared_preload_libraries => undef, restore_command => undef);
	return;
}
promote_by_hand($left, 1, 900);
promote_by_hand($right, 2, 9);
$mark = $left->agent_mark;
$right->start(wait => 0);
$right->start_agent(wait => 0);
is($cluster->wait_single_primary(among => [$right]), $right, 'one of them leads');

$left->set('pgha.auto_rejoin' => 'rewind') if $left->is_running;
$left->configure('pgha.auto_rejoin' => 'rewind');
$left->start(wait => 0);
$left->start_agent;
$left->wait_agent_log(qr/recovery failed.*timeline/, $mark);
# No attempt of its own that an order would join, meanwhile.
$right->value('SELECT pgha_pause()');
$cluster->wait_for('the primary to know how that ended', sub { !$left->job_pids
	&& ($right->value("SELECT outcome FROM pgha_recovery_progress() WHERE node = '$left->{name}'") // '') eq 'failed' });
unlike(substr($left->agent_text, $mark), qr/recovery: rewinding/, 'auto_rejoin = rewind: it is refused');
is($right->value("SELECT pgha_recover_node('$left->{name}', 'auto')", timeout => 120), 't', 'auto: it is built anew');
unlike(substr($left->agent_text, $mark), qr/recovery: rewinding/, 'by cloning, never rewound');
$right->value('SELECT pgha_resume()');
$left->wait_streaming;
my @lost;
$cluster->wait_for('pgha_events() to tell of it', sub {
	@lost = map { $_->{what} } grep { $_->{kind} eq 'lost' && $_->{what} =~ /"$left->{name}" gives up/ } $right->events; @lost > 0 });
like($lost[-1] // '', qr/gives up [1-9]\d* commit/, 'what it wrote on its own timeline is counted');
is($left->value('SELECT count(*) FROM probe WHERE v < 0'), $right->value('SELECT count(*) FROM probe WHERE v < 0'), 'no foreign rows');
done_testing();
