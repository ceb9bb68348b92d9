# Recoveries that cannot succeed, or are not wanted any more: the disk fills up
# in the middle, the caller gives up or is ended, the agent hangs, the server
# cannot be started, an administrator wants it otherwise.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Test::More;

plan skip_all => 'mounting needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '16MB', min_wal_size => '4MB', 'pgha.auto_rejoin' => 'off', 'pgha.slot_keep_size' => '64MB' });
my ($a, $b) = $cluster->nodes;

# One of the nodes, with its agent's directory, is on a small disk.
my $disk = "$cluster->{base}/disk";
make_path($disk);
PghaCluster::must_run([ 'mount', '-t', 'tmpfs', '-o', 'size=400M,mode=0700', 'pgha-test', $disk ]);
END { system('umount', '-l', $disk) if defined $disk; }
PghaCluster::give_to_postgres($disk);
$b->{data} = "$disk/b";
$cluster->build(sql => 'CREATE ROLE nobody_special LOGIN; CREATE TABLE big AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 20000) g');

sub fill_disk
{
	my ($leave_kb) = @_;
	my ($kb) = PghaCluster::must_run([ 'df', '--output=avail', '-k', $disk ]) =~ /(\d+)/;
	$kb -= $leave_kb;
	PghaCluster::must_run([ 'dd', 'if=/dev/zero', "of=$disk/filler", 'bs=1k', "count=$kb", 'status=none' ]);
	return;
}

sub empty_disk { unlink "$disk/filler" or die; return; }

sub leftovers { return join ' ', grep { -e } glob("$b->{data}.new-* $b->{data}.old-* $b->{data}.pgha/copies $b->{data}.pgha/*.new"); }

sub arm { my ($node, $point) = @_; $node->stop_agent; $node->start_agent(env => { PGHA_TEST_STOP_AT => $point }); return; }

sub stopped_job
{
	my ($node) = @_;
	$cluster->wait_for('the job to be there', sub { grep { PghaCluster::process_state($_) eq 'T' } $node->job_pids });
	return $node->job_pids;
}

sub session_text { my ($session) = @_; return PghaCluster::slurp($session->{log}) // ''; }

sub outcome { my ($node, $of) = @_; return $node->value("SELECT outcome FROM pgha_recovery_progress() WHERE node = '$of->{name}'") // ''; }

# ---- the disk fills up during a clone ----
arm($b, 'cloning');
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
my @job = stopped_job($b);
fill_disk(2000);
kill 'CONT', @job;
my $text = $cluster->wait_for('the error', sub { my $text = session_text($session); return $text =~ /ERROR/ ? $text : undef });
like($text, qr/ERROR: .*pg_basebackup failed.*No space left.*HINT: .*Make room/s, 'disk full during a clone: the caller is told, with a hint');
$cluster->wait_for('the job to have ended', sub { !$b->job_pids });
is($b->job_field('sqlstate'), '53100', 'as disk_full');
is(leftovers(), '', 'nothing is left over');
empty_disk();
$b->wait_streaming;
pass('the node is as it was');

# ---- the caller gives up ----
sub call { return $a->background(q{SELECT pgha_recover_node('b', 'clone')}); }
my $calls = q{FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()};

arm($b, 'stopping');
my $first = call();
@job = stopped_job($b);
my $second = call();
$cluster->wait_for('two callers', sub { $a->value("SELECT count(*) $calls") == 2 && session_text($second) =~ /joining/ });
$a->value("SELECT pg_cancel_backend(pid) $calls ORDER BY backend_start LIMIT 1");
$cluster->wait_for('the first to be gone', sub { session_text($first) =~ /canceling/ });
kill 'CONT', @job;
$cluster->wait_for('the second to have its answer', sub { session_text($second) =~ /^t$/m });
pass('one caller of two is cancelled: the recovery goes on for the other');
$b->wait_streaming;

arm($b, 'stopping');
$first = call();
@job = stopped_job($b);
$a->value("SELECT pg_terminate_backend(pid) $calls");
$cluster->wait_for('it to be gone', sub { $a->value("SELECT count(*) $calls") == 0 });
kill 'CONT', @job;
$cluster->wait_for('the recovery to be done', sub { outcome($a, $b) eq 'done' });
pass('the only caller is terminated: the recovery goes on');
$b->wait_streaming;

arm($b, 'cloning');
$first = $a->background(q{SELECT pgha_recover_node('b', 'clone')}, options => '-c statement_timeout=2s');
@job = stopped_job($b);
$a->value("SELECT pg_cancel_backend(pid) $calls");
$cluster->wait_for('it to be gone', sub { $a->value("SELECT count(*) $calls") == 0 });
$cluster->wait_for('the agent to be told', sub { (PghaCluster::slurp("/proc/$job[0]/status") // '') =~ /^ShdPnd:\s+0*[1-9a-f]/m });
kill 'CONT', @job;
$cluster->wait_for('the recovery to be cancelled', sub { outcome($a, $b) eq 'cancelled' });
ok($b->is_running, 'the only caller is cancelled: the node is as it was');
is(leftovers(), '', 'nothing is left over');

like($a->error(q{SELECT pgha_recover_node('b')}, user => 'nobody_special') // '', qr/42501|permission denied/, 'a role without the right cannot recover');

# ---- stopped, crashed, paused, broken ----
my $mark = $b->agent_mark;
$b->set('pgha.auto_rejoin' => 'rewind');
$b->wait_agent_log(qr/read the configuration again/, $mark);
ok($cluster->wait_for('all to confirm the pause', sub { ($a->value('SELECT pgha_pause()') // '') eq 't' }), 'failover is paused');
$cluster->wait_for('the agent to know', sub { ($b->value('SELECT paused FROM pgha_cluster() WHERE node = $$b$$') // '') eq 't' });

# A pause ends the poll under way; with the next one it has been taken in.  When
# its server is down, the agent goes by what the primary has told it.
my $since = $a->value('SELECT clock_timestamp()');
$cluster->wait_for('the agent to poll again', sub { ($a->value(
	"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgha agent b' AND query ~ 'agent_(poll|news)' AND query_start > '$since'") // 0) > 0 });
$b->kill9;
ok($cluster->stays_false(sub { $b->is_running }, 5), 'paused: a crashed server stays down');
$a->value('SELECT pgha_resume()');
$b->wait_streaming;
pass('resumed: it is started');
$cluster->wait_for('the job that did it to have ended', sub { $b->job_field('outcome') eq 'done' });

$mark = $b->agent_mark;
PghaCluster::spew("$b->{data}/node.conf", PghaCluster::slurp("$b->{data}/node.conf") . "work_mem = 'nonsense'\n");
$b->kill9;
$b->wait_agent_log(qr/failed again, for the same reason/, $mark);
is(scalar(() = substr($b->agent_text, $mark) =~ /could not be started/g), 1, 'a server that cannot start: the reason is told once');
my $conf = PghaCluster::slurp("$b->{data}/node.conf");
$conf =~ s/^work_mem.*\n//m;
PghaCluster::spew("$b->{data}/node.conf", $conf);
$b->wait_streaming;
pass('it is tried again');
$cluster->wait_for('the job to have ended', sub { !$b->job_pids });

# ---- an agent that hangs ----
kill 'STOP', $b->{agent_pid};
$cluster->wait_for('the primary to notice', sub { ($a->value(q{SELECT agent FROM pgha_recovery_progress() WHERE node = 'b'}) // '') eq 'f' });
like($a->error(q{SELECT pgha_recover_node('b', 'clone')}), qr/no agent of node "b" is connected/, 'an agent that hangs is told as none');
kill 'CONT', $b->{agent_pid};
$b->wait_agent;
done_testing();
