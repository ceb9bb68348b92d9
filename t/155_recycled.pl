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

# What the agent of b runs, in a directory of its own.  pg_rewind empties a file of
# pg_wal that both nodes have before it asks for the primary's, and removes it if the
# primary has recycled its own meanwhile.  That moment is too short for a test: what
# it does to the files that are named in "recycled" is done here, after it.
my $bin = "$cluster->{base}/bin";
mkdir $bin;
symlink $_, "$bin/" . (split m{/})[-1] foreach grep { !m{/(pgha|pg_rewind)$} } glob(PghaCluster::bindir() . '/*');
PghaCluster::must_run([ 'cp', PghaCluster::pgha_program(), "$bin/pgha" ]);
PghaCluster::spew("$bin/pg_rewind", join("\n", '#!/bin/sh', PghaCluster::bindir() . '/pg_rewind "$@" || exit',
	"case \"\$*\" in *--dry-run*) exit 0;; esac",
	"for file in \$(cat $cluster->{base}/recycled); do",
	"\trm $a->{data}/pg_wal/\$file && : > $b->{data}/pg_wal/\$file && rm $b->{data}/pg_wal/\$file && echo \$file >> $cluster->{base}/removed", 'done', ''));
chmod 0755, "$bin/pg_rewind";
PghaCluster::spew("$cluster->{base}/$_", '') foreach qw(recycled removed);
PghaCluster::give_to_postgres("$cluster->{base}/removed");

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

# The primary recycles it while pg_rewind is at work.
$cluster->wait_following($b, $a);
$cluster->wait_for('the recovery to have ended', sub { $a->job_field('outcome') eq 'done' });
$b->stop_agent;
{
	no strict 'refs';
	no warnings 'redefine';
	*{'PghaCluster::Node::pgha_program'} = sub { return "$bin/pgha"; };
}
$b->set(max_wal_size => '1GB');
$a->set(wal_keep_size => '1GB');	# until then it has it
$b->sql('CHECKPOINT');
$redo = $b->value('SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()');
$b->sql(q{INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 3000) i});
my $fork = $b->value('SELECT pg_walfile_name(pg_current_wal_lsn())');
$cluster->wait_following($b, $a);
diverge($b, $a, -2);
$b->kill9;
my @before = sort grep { /^[0-9A-F]{24}$/ && $_ ge $redo && $_ lt $fork } map { (split m{/})[-1] } glob("$b->{data}/pg_wal/*");
cmp_ok(scalar @before, '>', 1, 'there is WAL between the last checkpoint and the fork');
is($cluster->wait_single_primary(among => [$a]), $a, 'the first one leads again');
PghaCluster::spew("$cluster->{base}/recycled", join("\n", @before) . "\n");
$b->start_agent;
eventually(sub { $b->is_running && ($b->value(q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'}) // '') eq '1' },
	60, 'the node streams again') or diag $b->agent_text;
is(PghaCluster::slurp("$cluster->{base}/removed"), join("\n", @before) . "\n", 'pg_rewind has removed all of that WAL');
unlike($b->agent_text, qr/recovery: cloning/, 'it was rewound, with its own WAL');
is($b->value('SELECT count(*) FROM probe WHERE v = -2'), '0', 'it has what the primary has');
ok(!-e $b->agent_directory . '/rewind_wal', 'nothing that was put aside is left');

done_testing();
