# A fallen primary comes back by itself: rewound, with what it alone had saved.
# A server that an administrator has stopped stays stopped.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s' })->build;
my ($a, $b) = $cluster->nodes;

# Rows that the standby never gets: nothing is sent while they are committed.
my $sender = $a->value("SELECT pid FROM pg_stat_replication WHERE application_name = 'b'");
kill 'STOP', $sender;
$a->sql('INSERT INTO probe SELECT -i FROM generate_series(1, 7) i') foreach 1 .. 3;
my $mark = $a->agent_mark;
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads');
$a->wait_streaming;
pass('the killed primary streams again, without a manual step');
$cluster->wait_following($b, $a);
is($a->value('SELECT count(*) FROM probe WHERE v < 0'), '0', 'what the new primary never had is gone');
is($a->value('SHOW port'), $a->{port}, 'it has its own port');
is($a->value('SHOW pgha.node'), 'a', 'and its own name');
like(substr($a->agent_text, $mark), qr/rewinding/, 'it was rewound');

my ($lost) = glob($a->agent_directory . '/pgha_lost/*/summary.txt');
ok(defined $lost, 'the WAL that is lost was saved');
my $summary = PghaCluster::slurp($lost // '/dev/null');
like($summary, qr/^commits: +3$/m, 'the summary counts the commits') or diag $summary;
ok($cluster->wait_for('pgha_events() to tell of it', sub { grep { $_->{kind} eq 'lost' && $_->{what} =~ /3 commit/ } $b->events }), 'pgha_events() tells what was lost');
my ($first) = $summary =~ /-s (\S+)$/m;
my ($timeline) = $summary =~ /-t (\d+)/;
(my $directory = $lost) =~ s{/summary.txt$}{};
my (undef, $dump) = PghaCluster::run_command([ $b->program('pg_waldump'), '-p', $directory, '-t', $timeline, '-s', $first ]);
like($dump, qr/COMMIT/, 'and pg_waldump can read it');

is($cluster->wait_for('the own server to know of the recovery',
	sub { $a->value(q{SELECT outcome FROM pgha_recovery_progress() WHERE node = 'a'}) }), 'done', 'and that is well');
is(scalar(() = glob("$a->{data}.old-* $a->{data}.new-*")), 0, 'no other directory is left');

# Stopped on purpose.
$a->stop('fast');
ok($cluster->stays_false(sub { $a->is_running }, 5), 'a server that was stopped stays stopped');
$cluster->wait_for('the primary to be told', sub { ($b->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'a'}) // '') eq 'stopped' });
pass('and the primary is told so');
my (undef, $out, $notices) = $b->psql(q{SELECT pgha_recover_node('a')}, timeout => 180);
is($out, 't', 'an order starts it') or diag $notices;
like($notices, qr/node "a": /, 'with notices');
$a->wait_streaming;

# A standby that crashes.
$a->kill9;
$a->wait_streaming;
pass('a crashed standby is started again');

# Nothing by itself.
$cluster->wait_for('the recovery to have ended', sub { $a->job_field('outcome') eq 'done' });
$mark = $a->agent_mark;
$a->set('pgha.auto_rejoin' => 'off');
$a->wait_agent_log(qr/read the configuration again/, $mark);
$a->kill9;
ok($cluster->stays_false(sub { $a->is_running }, 6), 'auto_rejoin = off: a crashed server stays down');
is($b->value(q{SELECT pgha_recover_node('a')}, timeout => 120), 't', 'until it is ordered up');
$a->wait_streaming;

# Cancelled in the middle of a rewind: before it changes anything the node is
# left as it was; afterwards it is carried through.
$mark = $b->agent_mark;
$b->set('pgha.auto_rejoin' => 'off');
$b->wait_agent_log(qr/read the configuration again/, $mark);
$sender = $cluster->wait_for('the standby to be connected',
	sub { $b->value("SELECT pid FROM pg_stat_replication WHERE application_name = 'a' AND state = 'streaming'") });
kill 'STOP', $sender;
$b->sql('INSERT INTO probe VALUES (-1)');
$b->kill9;
is($cluster->wait_single_primary(among => [$a]), $a, 'the other node leads again');
my $calls = q{FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()};
my $outcome = q{SELECT outcome FROM pgha_recovery_progress() WHERE node = 'b'};
foreach my $point ('stopping', 'saving lost WAL', 'rewinding', 'copying')
{
	$b->stop_agent;
	$b->start_agent(env => { PGHA_TEST_STOP_AT => $point });
	my $session = $a->background(q{SELECT pgha_recover_node('b', 'rewind')});
	# The job itself, which leads the session; a program that it runs is stopped, too.
	my $job = $cluster->wait_for("$point: the job to be there", sub {
		(grep { PghaCluster::process_state($_) eq 'T' && PghaCluster::session_of($_) == $_ } $b->job_pids)[0] });
	# An order that is not known to be taken is just withdrawn.
	$cluster->wait_for("$point: the primary to know of the job", sub {
		($a->value(q{SELECT phase FROM pgha_recovery_progress() WHERE node = 'b' AND outcome IS NULL}) // 'waiting') !~ /^(waiting)?$/ });
	$a->value("SELECT pg_cancel_backend(pid) $calls");
	$cluster->wait_for("$point: the agent to be told", sub { (PghaCluster::slurp("/proc/$job/status") // '') =~ /^ShdPnd:\s+0*[1-9a-f]/m });
	let_go($b);
	my $end = $cluster->wait_for("$point: the recovery to end", sub { my $end = $a->value($outcome) // ''; $end ne '' && !$b->job_pids ? $end : undef });
	is($end, $point eq 'copying' ? 'done' : 'cancelled', "cancelled while $point: $end");
	$b->wait_state($end eq 'done' ? 'standby' : 'diverged');
	is($b->value('SELECT count(*) FROM probe WHERE v = -1'), $end eq 'done' ? '0' : '1', "... it has the data that belongs to that");
}

# A primary that dies before the first checkpoint after its promotion: its last
# one is on a timeline that all have, and pg_rewind would see no difference.
$b->stop_agent;
$b->start_agent;
foreach my $node ($a, $b)
{
	$mark = $node->agent_mark;
	$node->set('pgha.auto_rejoin' => 'rewind');
	$node->wait_agent_log(qr/read the configuration again/, $mark);
}
$cluster->wait_following($a, $b);
kill 'STOP', $b->value(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads, but makes no checkpoint');
$a->wait_streaming;
$cluster->wait_following($b, $a);
kill 'STOP', $b->value("SELECT pid FROM pg_stat_replication WHERE application_name = 'a'");
$b->sql('INSERT INTO probe VALUES (-2)');
$mark = $b->agent_mark;
$b->kill9;
is($cluster->wait_single_primary(among => [$a]), $a, 'its successor leads');
$b->wait_streaming;
my $finishing = PghaCluster::major() <= 15 ? qr/recovery: finishing recovery: .*/s : qr//;
$b->wait_agent_log(qr/${finishing}recovery: rewinding: .*recovery done/s, $mark);
is($b->value('SELECT count(*) FROM probe WHERE v = -2'), '0', 'it has been rewound');
like(substr($b->agent_text, $mark), qr/node "b" gives up 1 commit/, 'and what it gave up was told');

done_testing();
