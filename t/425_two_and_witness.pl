# Two members and a witness with their agents: the rows of README's table of failures
# that 401 (killed, too few voters for an election) and 413 (lines that are cut) do not
# have.  The primary frozen, hanging, stopped, restarted while one of the others is down; a
# standby, a backend, all killed; the two others down; WAL that has diverged; a data directory
# lost; a switchover under full load, a rolling restart.  Nobody helps where nobody should have to.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 2, witnesses => ['w'], agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '10s', 'pgha.auto_rejoin' => 'clone', wal_keep_size => '128MB' })->build;
my ($w) = $cluster->witnesses;
my ($primary, $standby) = $cluster->nodes;
my $writer;

# One leads, the other one streams from it, the witness is there, and all vote for it.
sub settle
{
	my ($expected) = @_;
	$primary = $cluster->wait_single_primary($expected ? (among => [$expected]) : ());
	($standby) = $cluster->others($primary);
	$standby->wait_streaming(90);
	$cluster->wait_following($primary, $standby);
	wait_votes($primary, $cluster->voters);
	return $primary->status->{term};
}

# Clients write after this moment.
sub writes_since { my ($moment, $what) = @_; $writer->wait_acknowledged(20, $moment); pass($what); return; }

my $term = settle();

# ---- a switchover under full load ----

my @writers = map { $cluster->start_writer(interval => 0, timeline => 1) } 1 .. 4;
$_->wait_acknowledged(100) foreach @writers;
my ($former, $next) = ($primary, $standby);
$former->wait_agent;
my $mark = $former->agent_mark;
$former->psql('SELECT pgha_switchover()', timeout => 60);
$cluster->wait_for("$next->{name} to lead", sub { $next->state eq 'primary' });
$_->wait_acknowledged(100, PghaCluster::now()) foreach @writers;
$_->stop foreach @writers;
is(settle($next), $term + 1, 'a switchover under full load: the next term');
is(lost($primary, @writers), 0, '... and nothing is lost of ' . (map { $_->acknowledged } @writers) . ' rows');
is(beside(@writers), 0, '... nor acknowledged beside the new one');
unlike(substr($former->agent_text, $mark), qr/recovery \(/, '... and nothing was rewound');

# ---- a rolling restart ----

$writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
my %started = map { $_->{name} => $_->sql('SELECT pg_postmaster_start_time()::text') } $cluster->nodes;
foreach my $node ($cluster->nodes)
{
	$cluster->wait_for("the agent of $node->{name} to be connected to its server", sub { progress($node, $node, 'agent') eq 't' });
}
my ($status, $out, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'restart', '--rolling',
	'-h', $primary->{socket}, '-p', $primary->{port}, '-U', 'postgres', '-d', 'postgres' ], timeout => 150);
is($status, 0, 'a rolling restart under a writer') or diag $out, $err;
$term = settle();
is(scalar(grep { $_->sql('SELECT pg_postmaster_start_time()::text') eq $started{ $_->{name} } } $cluster->nodes), 0, '... of both');
writes_since(PghaCluster::now(), '... who goes on');
is(scalar($writer->missing($primary)), 0, '... and has lost nothing');

# ---- a standby, a backend is killed ----

my $moment = $standby->kill9;
$standby->wait_streaming(90);
is(settle($primary), $term, 'the standby is killed: its agent starts it, and the primary leads on');
writes_since($moment, '... and writes go on');
$primary->background('SELECT pg_sleep(3600)');
my $pid = $cluster->wait_for('the session', sub { $primary->value("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'") });
$moment = PghaCluster::now();
kill 'KILL', $pid;
$writer->wait_acknowledged(20, $moment);
is(settle($primary), $term, 'a backend of the primary is killed: it leads on in the same term');

# ---- the primary is frozen ----

my $faithful = $cluster->start_writer(nodes => [$primary], timeout => 600_000);
$faithful->wait_acknowledged(20);
$former = $primary;
$moment = $former->freeze;
$writer->wait_acknowledged(20, $moment);
my $first = $moment + $writer->outage($moment) / 1000;
pass(sprintf 'the primary is frozen: the other one is elected after %.0f ms', $writer->outage($moment));
$former->thaw;
$cluster->wait_for('the thawed primary to be in recovery', sub { ($former->value('SELECT pg_is_in_recovery()') // '') eq 't' });
$faithful->stop;
is(scalar(grep { $_->[0] >= $first } $faithful->acknowledged), 0, '... and thawed it acknowledges nothing beside it');
settle($standby);

# ---- its monitor hangs ----

my $monitor = $primary->monitor_pid;
$former = $primary;
kill 'STOP', $monitor;
$moment = PghaCluster::now();
$cluster->wait_for('the other one to lead', sub { $standby->state eq 'primary' });
writes_since(PghaCluster::now(), 'its monitor hangs: the other one is elected');
ok(!defined $former->value('INSERT INTO probe VALUES (-1)', timeout => 2), '... and it takes no commit itself');
kill 'CONT', $monitor;
settle($standby);

# ---- it is stopped, and restarted ----

$former = $primary;
$moment = PghaCluster::now();
$former->stop;
$writer->wait_acknowledged(20, $moment);
pass(sprintf 'the primary is stopped: the other one is elected after %.0f ms', $writer->outage($moment));
is($cluster->primary, $standby, '... and leads');
$mark = $former->agent_mark;
$former->start;
$term = settle($standby);
unlike(substr($former->agent_text, $mark), qr/recovery \(/, '... and it comes back without a rewind');

my $timeline = $primary->timeline;
foreach my $down ($standby, $w)
{
	$down->stop;
	$primary->stop;
	$primary->start;
	$moment = PghaCluster::now();
	$writer->wait_acknowledged(20, $moment);
	if ($down == $w)
	{
		# Whichever was faster.
		ok($cluster->wait_single_primary, 'it is restarted while the witness is down: one leads');
	}
	else
	{
		is($cluster->primary, $primary, 'it is restarted while the standby is down: it leads on');
		is($primary->timeline, $timeline, '... on the same timeline');
	}
	$down->start;
	settle();
}

# ---- both others are down ----

$_->stop foreach $standby, $w;
$cluster->wait_for('the primary to step down', sub { ($primary->value('SELECT pg_is_in_recovery()') // '') eq 't' });
pass('the standby and the witness are down: the primary becomes a read-only standby');
$cluster->wait_for('it to say so', sub { ($primary->status // { reason => '' })->{reason} =~ /too few voters/ });
pass('... says why');
ok(defined $primary->value('SELECT count(*) FROM written'), '... and is read');
ok($cluster->stays_false(sub { $primary->writable }, 3), '... and nobody writes');
$w->start;
$moment = PghaCluster::now();
writes_since($moment, 'the witness is back: writes go on');
is($cluster->primary, $primary, '... on the one that is there');
$standby->start;
settle($primary);

# ---- the site loses power ----

my $value = $primary->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
$cluster->wait_following($primary);
$moment = PghaCluster::now();
$_->kill9 foreach $w, $standby, $primary;
$w->start;
settle();
is($primary->value("SELECT count(*) FROM probe WHERE v = $value"), 1, 'all are killed: with the witness back the agents do the rest, and nothing is lost');
writes_since($moment, '... and writes go on');

# ---- the former primary is to be rewound, and its vote is needed ----

$former = $primary;
$former->stop_agent;
diverge($former, $standby, -2);
$former->kill9;
$primary = $cluster->wait_single_primary(among => [$standby]);
$former->start;
$former->wait_state('diverged');
wait_votes($primary, $cluster->voters);
$w->stop;
$former->start_agent(wait => 0);
$cluster->wait_for('the recovery to say what it waits for',
	sub { progress($primary, $former, 'message') =~ /is not stopped yet: the primary "$primary->{name}" would have no majority/ });
$term = $primary->status->{term};
ok($cluster->stays_false(sub { !$former->is_running || !$primary->writable }, 4),
	'a former primary has diverged and the witness is down: it is not stopped for a rewind, as the primary needs its vote');
$w->start;
is(settle($primary), $term, '... the witness is back: it is rewound, and the primary has led on');

# ---- a node loses its data ----

my $lost = $standby;
like(order($primary, $lost, 'clone', 90), qr/^t$/m, 'a standby is built anew by order (and its settings are saved)');
$lost->wait_streaming(90);
$lost->stop;
PghaCluster::must_run([ 'rm', '-rf', $lost->{data} ]);
like(order($primary, $lost, 'clone', 90), qr/^t$/m, 'it loses its data: it is built anew by order');
$term = settle($primary);
writes_since(PghaCluster::now(), '... votes again, and writes have gone on');
$moment = $primary->kill9;
$writer->wait_acknowledged(20, $moment);
$writer->stop;
cmp_ok(settle($lost), '>', $term, '... and is elected when the primary is killed, which its agent brings back');

done_testing();
