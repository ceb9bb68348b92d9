# A copy takes long, and what was decided before it is decided again after it: a
# node that the agent clones by itself is not exchanged when failover is paused, or
# the server stopped on purpose, in the meantime.  Both end, and it is cloned.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

# Without wal_log_hints there is nothing to rewind.
my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'clone', wal_log_hints => 'off' })->build;
my ($a, $b) = $cluster->nodes;
$cluster->wait_following($a, $b);

sub inode { return (stat $a->{data})[1]; }
sub leftovers { return join ' ', glob("$a->{data}.new-* $a->{data}.old-*"); }

# a is the former primary, and has rows of its own; its agent clones it.
arm($a, 'cloning');
diverge($a, $b, 1);
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the standby leads');
await_stopped_job($a, 'diverged');
my $before = inode();

# Lets the copy be made, and looks how the recovery ends.
sub ends_held
{
	my ($what, $reason) = @_;
	let_go($a);
	eventually(sub { $a->job_field('outcome') eq 'failed' && !$a->job_pids }, 120, "$what: the recovery ends") or diag $a->agent_text;
	like($a->job_field('message'), $reason, "$what: and says why");
	is(inode(), $before, "$what: the data directory is the one it was");
	is(leftovers(), '', "$what: no copy is left");
	return;
}

# ---- a pause ----
ok($a->is_running, 'the diverged server serves reads while it is cloned');
pause($b, 1);
ends_held('paused', qr/failover is paused/);
ok($cluster->stays_false(sub { !$a->is_running || $a->job_pids }, 8), 'paused: it runs on, and nothing begins by itself');
pause($b, 0);
await_stopped_job($a, 'resumed');

# ---- stopped on purpose ----
$a->stop('fast');
ends_held('stopped', qr/stopped on purpose/);
ok($cluster->stays_false(sub { $a->is_running || $a->job_pids }, 8), 'stopped: it stays so');

# ---- in the end ----
$a->stop_agent;
$a->start_agent;
$a->start(wait => 0);
$a->wait_streaming(120);
isnt(inode(), $before, 'started again, it is cloned');
$cluster->wait_following($b, $a);
is($a->value('SELECT count(*) FROM probe'), $b->value('SELECT count(*) FROM probe'), 'and has what the primary has');

# ---- what is deleted is off the list of what pgha has made ----
eventually(sub { leftovers() eq '' && $a->job_field('outcome') eq 'done' }, 60, 'the former data directory is deleted');
my @listed = map { (split ' ')[1] } split /\n/, PghaCluster::slurp($a->agent_directory . '/objects') // '';
is("@listed", inode(), 'and only what is there is listed as made by pgha');

done_testing();
