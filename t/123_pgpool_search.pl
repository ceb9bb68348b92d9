# pgpool-II looks for the primary, and there is none among the servers that it
# has attached: it has detached the primary, which goes on leading, and a standby
# is attached.  While it looks it does not take the agent's word for anything.  So
# its search has a limit, and in each of these situations it serves writes again
# once the agent has told it.  (The one with a cut network is t/124.)  Without the
# limit it does not, whatever the agent says.
use strict;
use warnings;

use Fcntl;
use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use PghaPgpool;
use POSIX qw(mkfifo);
use Test::More;

plan skip_all => 'pgpool is not installed (make deps)' unless PghaPgpool->program('pgpool');

# A primary in crash recovery is waited for, as it is by default.
my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.startup_grace' => '300s' })
  ->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($a, $b) = $cluster->nodes;
my $pgpool = PghaPgpool->start($cluster);
$pgpool->told_by($a, $b);
$pgpool->wait_serves($a);

# `act` has pgpool detach the primary and look for it; `then` is what ends it.
sub cured
{
	my ($what, $primary, $act, $then) = @_;
	my $mark = $pgpool->log_mark;
	my $start = PghaCluster::now();
	$act->();
	$pgpool->wait_search($mark);
	$then->() if $then;
	$pgpool->wait_serves($primary);
	note sprintf '%s: served again %.0f s after it began', $what, PghaCluster::now() - $start;
	ok($pgpool->wait_log("$primary->{name} to be attached", qr/received failback request for node_id/, $mark), "$what: pgpool serves writes again, told by the agent");
	is($cluster->primary, $primary, "$what: the primary is the same");
	return;
}

cured('pcp_detach_node of the primary', $a, sub { $pgpool->pcp('pcp_detach_node', $a) });

# It detaches the primary and waits for somebody else to promote the other one.
cured('pcp_promote_node --switchover', $a, sub { $pgpool->pcp('pcp_promote_node', $b, '-s') });

cured(
	'maintenance of the primary, paused', $a,
	sub { is($a->value('SELECT pgha_pause()'), 't', 'paused'); $a->stop; },
	sub { $a->start; $a->wait_writable; is($a->value('SELECT pgha_resume()'), 't', 'resumed'); });

# What pgpool remembers over a restart is older than what is.
cured(
	'a status file that calls the primary down', $a,
	sub {
		$pgpool->end;
		PghaCluster::spew("$pgpool->{directory}/pgpool_status", "down\nup\n");
		$pgpool->launch;
	});

# Crash recovery comes to this file at its beginning; a pipe in its place holds it
# up until somebody writes to it.
my $origins = "$a->{data}/pg_logical/replorigin_checkpoint";
my $content;
cured(
	'a long crash recovery of the primary', $a,
	sub {
		$a->background('SELECT pg_sleep(3600)');
		my $victim = $cluster->wait_for('the session', sub { $a->value("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'") });
		$a->sql('CHECKPOINT');
		$content = PghaCluster::slurp($origins);
		rename $origins, "$origins.test" or die "$origins: $!";
		mkfifo($origins, 0600) or die "$origins: $!";
		PghaCluster::give_to_postgres($origins);
		kill 'KILL', $victim;
	},
	sub {
		my $pipe;
		$cluster->wait_for('crash recovery to be held up', sub { sysopen($pipe, $origins, O_WRONLY | O_NONBLOCK) });
		ok(!$a->writable, 'in crash recovery the primary takes no writes');
		unlink "$origins.test";
		syswrite($pipe, $content) == length $content or die "$origins: $!";
		close $pipe;
	});

# It has given up looking when there is a primary at last.  The agent of the old
# one would start it again.
my $mark = $pgpool->log_mark;
is($a->value('SELECT pgha_pause()'), 't', 'paused');
$a->stop_agent;
$a->kill9;
$pgpool->wait_search($mark);
$pgpool->wait_log('pgpool to give up its search', qr/find_primary_node_repeatedly: .*?failover done\. shutdown host/s, $mark, 120);
$b->sql('SELECT pgha_resume()');
is($cluster->wait_single_primary(among => [$b]), $b, 'a late promotion');
$cluster->wait_for('writes to go through pgpool', sub { defined $pgpool->value('INSERT INTO probe VALUES (2)') }, 120);
$b->wait_agent_log(qr/pgpool \S+: told to promote node/);
pass('a late promotion: pgpool serves writes, told by the agent');
$a->start_agent(wait => 0);
$pgpool->wait_serves($b);
pass('and the old primary is its standby');

# A pgpool that searches for ever is not told every second, and the log says what
# may be wrong with it.
$mark = $pgpool->log_mark;
$pgpool->set(search_primary_node_timeout => 0);
$pgpool->wait_log('pgpool to read its configuration', qr/reload config/, $mark);
$mark = $pgpool->log_mark;
my $told = $b->agent_mark;
$pgpool->pcp('pcp_detach_node', $b);
$pgpool->wait_log('pgpool to be told four times', qr/(received failback request for node_id: 1 .*?){4}/s, $mark, 120);
$b->wait_agent_log(qr/told to attach node 1 \("b"\), which it has not done for \d+ s \(is its search_primary_node_timeout/, $told);
is(scalar(() = substr($b->agent_text, $told) =~ /told to attach/g), 3, 'what is told four times is logged the first, the second and the fourth time');

done_testing();
