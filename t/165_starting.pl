# A standby that does not come up, as the WAL that it needs next is gone, says what it
# waits for, and does not wait for ever: its agent gives the reason, and clones it
# where it may.  Until then it neither leads nor is elected.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind', 'pgha.slot_keep_size' => '1MB',
		max_wal_size => '1GB', min_wal_size => '2MB', checkpoint_timeout => '1h' })->build;
my ($a, $b) = $cluster->nodes;
my $fill = q{INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 3000) i};

$a->sql('CREATE TABLE filler (v text)');
$a->sql('CHECKPOINT');
$cluster->wait_following($a, $b);
$b->stop_agent;
$b->sql('CHECKPOINT');
$a->sql($fill);
$cluster->wait_following($a, $b);
$b->kill9;

# The files of b are ahead of the WAL that is left: in the middle of what it replays first, a segment is missing.
my @own = sort grep { /^[0-9A-F]{24}$/ } map { (split m{/})[-1] } glob("$b->{data}/pg_wal/*");
my (undef, $control) = PghaCluster::run_command([ $b->program('pg_controldata'), $b->{data} ]);
my ($redo) = $control =~ /REDO WAL file:\s+(\S+)/;
ok(defined $redo && scalar(grep { $_ eq $redo } @own), 'b has the WAL of its last checkpoint') or diag $control;
$a->set(max_wal_size => '2MB');
$cluster->wait_for('the primary to have recycled that WAL', sub {
	$a->sql("$fill; SELECT pg_switch_wal()");
	$a->sql('CHECKPOINT');
	return ($a->value("SELECT count(*) FROM pg_ls_waldir() WHERE length(name) = 24 AND name <= '$redo'") // '') eq '0' });

# The first segment is missing: not even the checkpoint record is found.  As after a rewind, backup_label names it.
$b->write_backup_label;
unlink "$b->{data}/pg_wal/$redo" or die "$redo: $!";

my $mark = $b->agent_mark;
$b->start_agent;
my $log = sub { return PghaCluster::slurp($b->agent_directory . '/postgres.log') // ''; };
my $text = sub { return substr($b->agent_text, $mark); };
eventually(sub { $text->() =~ /the server does not come up: its startup process says "[^"]*$redo", and its WAL receiver /; }, 90,
	'the log of the agent says what the server waits for') or diag $text->(), $log->();
eventually(sub { $text->() =~ /recovery failed: the server waits for WAL segment @{[ substr($redo, 8) ]}, which the primary "a" no longer has/ }, 60,
	'the recovery ends, and says why') or diag $text->();
is(PghaCluster::poll_until('', sub { ($a->value(q{SELECT message FROM pgha_recovery_progress() WHERE node = 'b'}) // '') =~ /no longer has/ }, 20) ? 1 : 0, 1,
	'so does pgha_recovery_progress() on the primary');
unlike($text->(), qr/cloning/, 'it was not cloned without leave');
ok($b->is_running, 'the server goes on to try');

# Without a primary: no order for its WAL receiver, which says why.
$a->stop_agent;
$a->stop('immediate');
$b->stop_agent;
$b->stop('immediate');
$b->start(wait => 0);
my $title = sub { return join("\n", map { PghaCluster::command_line($_) } $b->processes); };
eventually(sub { $title->() =~ /walreceiver waits for pgha to name a primary: \S/ }, 60, 'the title of its WAL receiver says what it waits for')
	or diag $title->();
$b->wait_log(qr/WAL receiver waits for pgha to name a primary: \S/, 0);
pass('so does the log of the server');
ok($cluster->stays_false(sub { $title->() !~ /postgres: [^\n]*walreceiver waits/ || ($b->value('SELECT 1') // '') eq '1' }, 8), 'it does not become the primary');
eventually(sub { $b->log_since(0) =~ /the WAL that recovery begins with is missing here: [^\n]*; the last one known here is "a", primary of term 1$/m }, 30,
	'the log says what it lacks, and whom it knew to lead');

# With pgha.fence, a former primary waits for its answer, and says so.  The administrator knows better.
$a->configure('pgha.fence' => 'ec2-stop');
$a->start;
my $waits = qr/former primary: b does not finish starting up or shutting down, and may have taken over: .*pgha_promote\(\)/;
eventually(sub { ($a->value('SELECT reason FROM pgha_status()') // '') =~ $waits }, 60, 'the former primary says whom it waits for, and what to do')
	or diag $a->value('SELECT state, reason FROM pgha_status()');
like($a->log_since(0), $waits, '... in its log, too');
ok($cluster->stays_false(sub { $a->state ne 'returning' }, 8), 'it does not lead by itself');
$a->sql('SELECT pgha_promote()');
is($cluster->wait_single_primary(among => [$a]), $a, 'pgha_promote() ends it');

# The agent may clone it.
$mark = $b->agent_mark;
$b->configure('pgha.auto_rejoin' => 'clone');
$a->start_agent;
$b->start_agent;
eventually(sub { $b->is_running && ($b->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' }, 150,
	'the node streams again, by itself') or diag $text->(), $title->();
like($text->(), qr/clones, because the server waits for WAL segment/, '... cloned, and the log says why');
$cluster->wait_following($a, $b);

done_testing();
