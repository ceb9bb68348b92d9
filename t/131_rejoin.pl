# A fallen primary comes back by itself: rewound, with what it alone had saved.
# A server that an administrator has stopped stays stopped.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1)->build;
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
ok((grep { $_->{kind} eq 'lost' && $_->{what} =~ /3 commit/ } $b->events), 'pgha_events() tells what was lost');
my ($first) = $summary =~ /-s (\S+)$/m;
my ($timeline) = $summary =~ /-t (\d+)/;
(my $directory = $lost) =~ s{/summary.txt$}{};
my (undef, $dump) = PghaCluster::run_command([ $b->program('pg_waldump'), '-p', $directory, '-t', $timeline, '-s', $first ]);
like($dump, qr/COMMIT/, 'and pg_waldump can read it');

is($a->value('SELECT outcome FROM pgha_recovery_progress() WHERE node = \'a\''), 'done', 'the own server knows of the recovery');
is(scalar(() = glob("$a->{data}.old-* $a->{data}.new-*")), 0, 'no other directory is left');

# Stopped on purpose.
$a->stop('fast');
ok($cluster->stays_false(sub { $a->is_running }, 5), 'a server that was stopped stays stopped');
is($b->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'a'}), 'stopped', 'and the primary is told so');
my (undef, $out, $notices) = $b->psql(q{SELECT pgha_recover_node('a')});
is($out, 't', 'an order starts it') or diag $notices;
like($notices, qr/node "a": /, 'with notices');
$a->wait_streaming;

# A standby that crashes.
$a->kill9;
$a->wait_streaming;
pass('a crashed standby is started again');

# Nothing by itself.
$cluster->wait_for('the recovery to have ended', sub { $a->job_field('outcome') eq 'done' });
$a->set('pgha.auto_rejoin' => 'off');
$a->wait_agent_log(qr/read the configuration again/);
$a->kill9;
ok($cluster->stays_false(sub { $a->is_running }, 6), 'auto_rejoin = off: a crashed server stays down');
is($b->value(q{SELECT pgha_recover_node('a')}, timeout => 120), 't', 'until it is ordered up');
$a->wait_streaming;

# Cancelled in the middle of a rewind: before it changes anything the node is
# left as it was; afterwards it is carried through.
$b->set('pgha.auto_rejoin' => 'off');
$b->wait_agent_log(qr/read the configuration again/);
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
	$cluster->wait_for("$point: the job to be there", sub { grep { PghaCluster::process_state($_) eq 'T' } $b->job_pids });
	my ($job) = grep { PghaCluster::process_state($_) eq 'T' } $b->job_pids;
	$a->value("SELECT pg_cancel_backend(pid) $calls");
	$cluster->wait_for("$point: the agent to be told", sub { (PghaCluster::slurp("/proc/$job/status") // '') =~ /^ShdPnd:\s+0*[1-9a-f]/m });
	kill 'CONT', $job;
	my $end = $cluster->wait_for("$point: the recovery to end", sub { my $end = $a->value($outcome) // ''; $end ne '' && !$b->job_pids ? $end : undef });
	is($end, $point eq 'copying' ? 'done' : 'cancelled', "cancelled while $point: $end");
	$b->wait_state($end eq 'done' ? 'standby' : 'diverged');
	is($b->value('SELECT count(*) FROM probe WHERE v = -1'), $end eq 'done' ? '0' : '1', "... it has the data that belongs to that");
}

done_testing();
