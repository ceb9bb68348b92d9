# Several failovers within one WAL segment: each timeline has a file of that segment,
# and what stands in it behind the point where the next timeline begins is whatever
# was there before, not the same on any two nodes.  The node that falls afterwards is
# rewound all the same.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $FAILOVERS = 4;

# No checkpoint that the nodes do not make for themselves, so that a rewind begins with that segment.
my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind',
		max_wal_size => '1GB', wal_keep_size => '1GB', checkpoint_timeout => '1h' })->build;
my ($primary, $other) = $cluster->nodes;

$primary->sql('SELECT pg_switch_wal()');
$primary->sql('INSERT INTO probe VALUES (0)');
my $segment = substr($primary->value('SELECT pg_walfile_name(pg_current_wal_lsn())'), 8);
foreach my $round (1 .. $FAILOVERS)
{
	$primary->sql("INSERT INTO probe VALUES ($round)");
	$cluster->wait_following($primary, $other);
	$primary->kill9;
	$cluster->wait_single_primary(among => [$other]);
	$primary->wait_streaming(60);
	$cluster->wait_following($other, $primary);
	$cluster->wait_for('the recovery to have ended', sub { !$primary->job_pids });
	($primary, $other) = ($other, $primary);
}
is(substr($primary->value('SELECT pg_walfile_name(pg_current_wal_lsn())'), 8), $segment, 'all that happened within one segment');
my @files = sort map { (split m{/})[-1] } glob("$primary->{data}/pg_wal/????????$segment");
cmp_ok(scalar @files, '>', $FAILOVERS, 'of which each timeline has a file');

# The fork is in the next segment: that one is the newest in front of it.
$primary->sql('SELECT pg_switch_wal()');
$cluster->wait_following($primary, $other);
diverge($primary, $other, -1);
$primary->stop_agent;
$primary->kill9;
my $size = 1 << 20;
foreach my $file (@files[ 0 .. $#files - 1 ])
{
	open(my $wal, '+<', "$primary->{data}/pg_wal/$file") or die "$file: $!";
	seek($wal, $size - 8192, 0);
	print $wal 'recycled' x 1024;
	close $wal or die;
}
is($cluster->wait_single_primary(among => [$other]), $other, 'the other node leads');

my $mark = $primary->agent_mark;
$primary->start_agent;
$primary->wait_agent_log(qr/recovery (done|failed)/, $mark, 90);
like(substr($primary->agent_text, $mark), qr/recovery done/, 'the fallen node is brought back') or diag substr($primary->agent_text, $mark);
like(substr($primary->agent_text, $mark), qr/recovery: rewinding/, 'by a rewind');
$cluster->wait_following($other, $primary);
is($primary->value('SELECT count(*) FROM probe WHERE v = -1'), '0', 'it has what the primary has');

done_testing();
