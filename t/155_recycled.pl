# A fallen primary needs WAL from its last checkpoint before the fork on, and has
# it.  The primary that has taken over recycles its own copy of that WAL.  The node
# comes to stream again by itself: rewound with its own WAL, or cloned, and then
# the log says why.  It does not wait for ever.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'clone', 'pgha.slot_keep_size' => '1MB',
		max_wal_size => '1GB', min_wal_size => '2MB', checkpoint_timeout => '1h' })->build;
my ($a, $b) = $cluster->nodes;

# The last checkpoint that both have, and several segments after it.
$a->sql('CREATE TABLE filler (v text)');
$a->sql('CHECKPOINT');
my $redo = $a->value('SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()');
$a->sql(q{INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 6000) i});
$cluster->wait_following($a, $b);
diverge($a, $b, -1);
$a->stop_agent;
$a->kill9;
ok(-e "$a->{data}/pg_wal/$redo", 'the fallen primary has the WAL from its last checkpoint on');
is($cluster->wait_single_primary(among => [$b]), $b, 'the other node leads');
$b->set(max_wal_size => '2MB');
$cluster->wait_for('the new primary to have recycled that WAL', sub {
	$b->sql(q{INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 1000) i; SELECT pg_switch_wal()});
	$b->sql('CHECKPOINT');
	my $segment = substr($redo, 8);
	return ($b->value("SELECT count(*) FROM pg_ls_waldir() WHERE length(name) = 24 AND substr(name, 9) <= '$segment'") // '') eq '0' });

my $mark = $a->agent_mark;
$a->start_agent;
eventually(sub { $a->is_running && ($a->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' && $a->state eq 'standby' },
	40, 'the node streams again, by itself') or diag substr($a->agent_text, $mark), join("\n", (grep { !/not yet accepting|not been yet reached|is starting up/ } split /\n/, PghaCluster::slurp($a->agent_directory . '/postgres.log') // '')),
  join("\n", '', map { PghaCluster::command_line($_) } $a->processes), "\n";
my $text = substr($a->agent_text, $mark);
ok($text !~ /recovery: cloning/ || $text =~ /clones, because .*WAL|clones, because .*segment/, 'and if it was cloned, the log says why');
is($a->value('SELECT count(*) FROM probe WHERE v = -1'), '0', 'it has what the primary has');
ok(lost_commits($a) >= 1, 'what it alone had is saved');

done_testing();
