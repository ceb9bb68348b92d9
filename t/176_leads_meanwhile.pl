# A clone is in its place and streams, its job is killed, and then the node leads: for
# years, perhaps.  What has become of the former data directory is decided on all the
# same: it goes if the new primary has all of it, and if not it is kept, which is told.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', max_wal_size => '16MB', min_wal_size => '4MB' })->build;
my ($a, $b) = $cluster->nodes;

# How many former data directories are there?
sub former { my ($node) = @_; return scalar(() = glob("$node->{data}.old-*")); }

# b is cloned from a, whose job is killed when it streams, and leads then, as a falls with its agent.
sub lead_in_between
{
	my ($what) = @_;
	my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
	kill_at($b, $what);
	$session->end;
	is(former($b), 1, "$what: its former data directory is there");
	$cluster->wait_following($a, $b);
	$a->stop_agent;
	$a->kill9;
	is($cluster->wait_single_primary(among => [$b]), $b, "$what: the clone leads");
	return;
}

sub come_back
{
	my ($node) = @_;
	$node->start_agent(wait => 0);
	$node->wait_streaming(90);
	return $cluster->wait_for('the recoveries to have ended', sub { !grep { $_->job_pids } $cluster->nodes });
}

# The one leads that followed; nothing is lost.
sub change_places
{
	my ($next) = @_;
	my $former = $cluster->primary;
	$cluster->wait_following($former, $next);
	# The primary may not have heard of it yet.
	$cluster->wait_for('the switchover', sub { my ($status, undef, $told) = $former->psql("SELECT pgha_switchover('$next->{name}')", timeout => 60); diag $told if $status; return $status == 0 });
	is($cluster->wait_single_primary(among => [$next]), $next, "$next->{name} leads");
	$former->wait_streaming(90);
	return $cluster->wait_for('its agent to be connected', sub { progress($next, $former, 'agent') eq 't' });
}

# b leads, and keeps its former data directory, which the agent that is started now says.
sub kept
{
	my ($what) = @_;
	my $mark = $b->agent_mark;
	$b->start_agent;
	$b->wait_agent_log(qr/the former data directory is kept as "\Q$b->{data}\E\.old-/, $mark);
	$cluster->wait_for('the job to have ended', sub { $b->job_field('outcome') eq 'done' && !$b->job_pids });
	is(former($b), 1, "$what: it is kept, and told");
	is($b->job_field('old_directory'), '', '... and not asked about any more');
	PghaCluster::must_run([ 'rm', '-rf', glob("$b->{data}.old-*") ]);
	return;
}

# ---- the new primary has all of it; it falls while that is deleted, and nobody else is there ----
arm($b, 'streaming');
lead_in_between('nothing to lose');
my $mark = $b->agent_mark;
$b->start_agent(env => { PGHA_TEST_STOP_AT => 'cleaning up' });
await_stopped_job($b, 'the former directory is about to go');
unlike(substr($b->agent_text, $mark), qr/recovery: (starting|stopping|cloning)/, 'the server was not touched');
$b->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'a primary that falls meanwhile is started again, and leads');
await_stopped_job($b, 'the directory is decided on again');
is(former($b), 1, 'the former data directory is still there');
eventually(sub { let_go($b); !former($b) && $b->job_field('outcome') eq 'done' && !$b->job_pids }, 60, 'it is deleted, as the new primary has all of it') or diag $b->agent_text;
is($b->state, 'primary', '... which goes on leading');

# ---- a copy that was not put into place ----
come_back($a);
change_places($a);
arm($b, 'stopping');
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
kill_at($b, 'a whole copy');
$session->end;
$cluster->wait_following($a, $b);
$a->stop_agent;
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the node leads that was to be replaced');
my $started = $b->value('SELECT pg_postmaster_start_time()::text');
$mark = $b->agent_mark;
$b->start_agent;
$b->wait_agent_log(qr/"\Q$b->{data}\E\.new-\w+" was to take the place of the data directory of this node, which leads by now/, $mark);
$cluster->wait_for('the job to have ended', sub { $b->job_field('outcome') eq 'done' && !$b->job_pids });
my ($copy) = glob("$b->{data}.new-*");
ok(defined $copy && -e "$copy/PG_VERSION", 'its copy is left, and told');
is($b->job_field('new_directory'), '', 'and not asked about any more');
is($b->value('SELECT pg_postmaster_start_time()::text'), $started, 'the server was not touched');
PghaCluster::must_run([ 'rm', '-rf', $copy ]);

# ---- it has commits of its own ----
come_back($a);
read_again($b, 'pgha.auto_rejoin' => 'off');
$b->stop_agent;
diverge($b, $a, 4711);
$b->kill9;
is($cluster->wait_single_primary(among => [$a]), $a, 'the primary falls, with a commit that nobody else has');
$b->start_agent(env => { PGHA_TEST_STOP_AT => 'streaming' }, wait => 0);
lead_in_between('a commit of its own');
$mark = $b->agent_mark;
$b->start_agent;
$b->wait_agent_log(qr/a recovery was interrupted, and is not begun again: pgha.auto_rejoin = off/, $mark);
is(former($b), 1, 'auto_rejoin = off: it says so, and leaves the directory alone');
$b->stop_agent;
$b->set('pgha.auto_rejoin' => 'rewind');
kept('what the new primary does not have');
come_back($a);
is($a->value('SELECT count(*) FROM probe WHERE v = 4711'), '0', 'the commit that was given up is on neither');

# ---- it cannot be compared: the clone has no WAL of before, and that it led under the same name proves nothing ----
$b->stop_agent;
$b->stop('fast');
is($cluster->wait_single_primary(among => [$a]), $a, 'the primary is stopped');
$a->sql("INSERT INTO probe SELECT g + 100000 * $_ FROM generate_series(1, 10) g; SELECT pg_switch_wal(); CHECKPOINT") foreach 1 .. 5;
$b->start_agent(env => { PGHA_TEST_STOP_AT => 'streaming' }, wait => 0);
lead_in_between('not comparable');
kept('what cannot be proven');
done_testing();
