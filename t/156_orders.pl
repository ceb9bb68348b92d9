# What a person has ordered holds.  A pause holds when the paused primary itself
# goes down.  A server that was stopped stays stopped, also when its pg_control
# cannot be read for a moment.  A program that has closed its output can be
# cancelled like any other.  Limits and defaults meant for applications
# (statement_timeout and the like) do not end an order.  And who asks for
# everything that helps is not answered with the failure of something weaker.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.heartbeat_interval' => '600ms', 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind' })->build;
my ($a, $b) = $cluster->nodes;

# ---- a program that has closed its output ----
my $tool = "$cluster->{base}/quiet.pl";
PghaCluster::spew($tool, "open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null'); open(my \$f, '>', '$cluster->{base}/quiet'); sleep 600;\n");
read_again($b, 'pgha.clone_command' => "$^X $tool");
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
$cluster->wait_for('the program to have closed its output', sub { -e "$cluster->{base}/quiet" });
$a->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()});
eventually(sub { !$b->job_pids }, 15, 'a program that has closed its output ends when it is cancelled');
$b->kill_job;
$session->end;
$b->stop_agent;
$b->configure('pgha.clone_command' => undef);
$b->reload;
$b->start_agent;
$cluster->wait_for('no recovery to be under way', sub { progress($a, $b, 'outcome') =~ /./ && !$b->job_pids }, 30);
$cluster->wait_following($a, $b);

# ---- settings that are meant for applications ----
my %strict = (default_transaction_isolation => 'serializable', statement_timeout => '1s', lock_timeout => '500ms',
	idle_in_transaction_session_timeout => '1s', default_transaction_read_only => 'on', search_path => 'nowhere');
$strict{transaction_timeout} = '2s' if $a->sql('SHOW server_version_num') >= 170000;
$a->sql("ALTER SYSTEM SET $_ = '$strict{$_}'") foreach sort keys %strict;
$a->reload;
$cluster->wait_for('them to be in force', sub { ($a->value('SHOW statement_timeout') // '') eq '1s' });
my ($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'recover', 'b', '--method=clone', '-h', $a->{socket}, '-p', $a->{port}, '-U', 'postgres', '-d', 'postgres' ], timeout => 40);
is($status, 0, 'pgha recover is not ended by a statement_timeout of the server') or diag $out, $err;
($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'doctor', '-h', $a->{socket}, '-p', $a->{port}, '-U', 'postgres', '-d', 'postgres' ], timeout => 20);
unlike($out . $err, qr/canceling statement|read-only transaction|does not exist/, 'nor is the doctor');
PghaCluster::poll_until('', sub { !$b->job_pids }, 20);
unlink "$a->{data}/postgresql.auto.conf" or die;
PghaCluster::spew("$a->{data}/postgresql.auto.conf", '');
$a->reload;
$cluster->wait_for('them to be gone', sub { ($a->value('SHOW statement_timeout') // '') eq '0' });
$b->start unless $b->is_running;
$cluster->wait_following($a, $b);

# ---- stopped on purpose ----
arm($b, 'starting');
$b->stop('fast');
chmod 0, "$b->{data}/global/pg_control" or die;
my $begun = PghaCluster::poll_until('', sub { stopped_jobs($b) }, 8);
chmod 0600, "$b->{data}/global/pg_control" or die;
let_go($b);
ok($cluster->stays_false(sub { $b->is_running }, 4), 'stopped on purpose, its pg_control cannot be read for a moment: it stays stopped')
  or diag $b->agent_text;
$b->stop_agent;
PghaCluster::poll_until('', sub { let_go($b); !$b->job_pids }, 20);
$b->start unless $b->is_running;
$cluster->wait_following($a, $b);

# ---- stopped on purpose, and ordered up: at once, when the primary has not heard yet that it is down ----
my $monitor = $a->monitor_pid;
$cluster->wait_for('a to see b stream', sub { ($a->view->{b}{upstream} // '') eq 'a' });
kill 'STOP', $monitor;
$b->stop('fast');
arm($b, 'waiting');
$session = $a->background(q{SELECT pgha_recover_node('b')});
await_stopped_job($b, 'ordered up');
kill 'CONT', $monitor;
kill_at($b, 'ordered up');
$b->start_agent;
eventually(sub { session_text($session) =~ /^t$/m }, 60, 'ordered up, and the job killed at once: it is begun again') or diag session_text($session), $b->agent_text;
$session->end;
$b->stop_agent;
PghaCluster::poll_until('', sub { !$b->job_pids }, 20);
$b->start unless $b->is_running;
$cluster->wait_following($a, $b);

# ---- an order for all that helps, while something weaker is under way ----
arm($b, 'starting');
$b->kill9;
# What a server cannot start with, and a rewind does not mend.
PghaCluster::spew("$b->{data}/pg_logical/replorigin_checkpoint", 'damaged ' x 4);
await_stopped_job($b, 'the agent tries a rewind by itself');
$session = $a->background(q{SELECT pgha_recover_node('b')});
$cluster->wait_for('the order to be under way', sub { session_text($session) =~ /NOTICE/ });
my $answer = eventually(sub { let_go($b); my $text = session_text($session); return $text =~ /^t$|ERROR/m ? $text : '' }, 30, 'who orders "auto" gets an answer');
like($answer // session_text($session), qr/^t$/m, 'and the node is cloned, as nothing else helps') or diag session_text($session);
$session->end;
$b->stop_agent;
PghaCluster::poll_until('', sub { let_go($b); !$b->job_pids }, 20);
rebuild($b, $a) unless ($b->value('SELECT 1') // '') eq '1';
$b->start_agent;

# ---- paused ----
$cluster->wait_following($a, $b);
$cluster->wait_for('all to confirm the pause', sub { ($a->value('SELECT pgha_pause()', timeout => 10) // '') eq 't' });
my $paused = $a->agent_mark;
$a->stop('immediate');
ok($cluster->stays_false(sub { $a->is_running }, 12), 'paused: the primary that went down stays down') or diag $a->agent_text;
like(substr($a->agent_text, $paused), qr/not started, as failover is paused: order it with .* or end the pause with .*; where no member is up to be asked, start it by hand/, 'and its agent says why, and what to do');

done_testing();
