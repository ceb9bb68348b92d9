# The manual's set-ups, done as a reader does them (Manual.pm): between the steps the
# test waits, and looks whether what the manual promises has come true.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use Manual;
use PghaCluster;
use Test::More;

# All ports that the manual's examples use.
my @PORTS = (5441, 5442, 5443, 5444, 9990, 9991, 9890, 9891, 9000, 9001, 9694, 9695);

plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');
foreach my $port (@PORTS)
{
	IO::Socket::INET->new(Listen => 1, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $port)
	  or plan skip_all => "port $port, which the manual uses, is taken on this machine";
}

# A member's line in `pgha status`.
sub member { my ($node, $role, $state) = @_; return qr/^[> ][* ]\s+\Q$node\E\s+$role\s+$state\s/m; }

sub pool_nodes { my ($port) = @_; return "psql -h 127.0.0.1 -p $port -U app postgres -AtXqc 'SHOW pool_nodes' 2>&1"; }

sub quorum { return q{psql postgres -AtXqc 'SELECT quorum, rule FROM pgha_status()' 2>&1}; }

# The lines of pool_nodes: node 0's role, then node 1's, both up.
sub pool_knows
{
	my ($what, @role) = @_;
	foreach my $pool ([ 'pool-1', 9990 ], [ 'pool-2', 9991 ])
	{
		my $pattern = join '.*', map { "^$_\\|[^|]*\\|[^|]*\\|up\\|[^|]*\\|[^|]*\\|$role[$_]\\|" } 0, 1;
		wait_said($pool->[0], pool_nodes($pool->[1]), qr/$pattern/ms, "$pool->[0] knows: $what");
	}
	return;
}

# ---- a cluster of three in one shell: by commands, and file by file ----

foreach my $way ([ 'README.md', 'A cluster of three in four commands' ], [ 'doc/by-hand.md', 'A cluster of three, file by file' ])
{
	my ($page, $title) = @$way;
	begin();
	my @three = blocks($page, $title);
	my ($look, $end) = splice @three, -2;
	run_block($_, "three nodes, $page") foreach @three;
	my $status = wait_said('one', 'pgha status', member('db-1', 'standby', 'standby'), 'the killed primary is back by itself');
	SKIP:
	{
		# Either may have received more; the sample shows what is usual.
		skip 'db-3 leads', 1 if $status =~ member('db-3', 'primary', 'primary');
		check_sample({ kind => 'output', names => ['one'], command => 'PGHOST=127.0.0.1 PGPORT=5443 pgha status | head -n 6', text => sample_of('README.md', 'Cluster main:') }, 'three nodes');
	}
	run_block($look, "three nodes, $page");
	run_block($end, "three nodes, $page");
	ok(!-e home() . "/pgha", 'nothing is left');
	finish();
}

# ---- the tutorial: two nodes, and a third one ----

begin();
run_block($_, 'two nodes') foreach blocks('doc/tutorial.md', 'Two nodes, step by step');
wait_said('db-1', 'pgha status', member('db-1', 'standby', 'standby'), 'the killed primary is back by itself');
wait_said('db-1', 'pgha status', member('db-2', 'primary', 'primary'), 'and follows the new one');
run_block($_, 'samples') foreach blocks('doc/agent.md', 'Start'), blocks('doc/agent.md', 'Its log'), blocks('doc/monitoring.md', 'Process titles and log');

my @third = blocks('doc/tutorial.md', 'A third node');
my @leaves = splice @third, -2;
run_block($_, 'a third node') foreach @third;
wait_said('db-3', 'pgha status', member('db-3', 'standby', 'standby'), 'the third node follows');
wait_said('db-3', quorum(), qr/^in force\|.*voters: db-1, db-2, db-3;/m, 'and the members vote');
run_block($_, 'a member leaves') foreach @leaves;
my $gone = wait_said('db-1', 'pgha status', qr/\A(?!.*^[ *>]+db-3 )/ms, 'the third node is gone');
wait_said($_, quorum(), qr/^in force\|.*voters: db-1, db-2;/m, "and the two vote on, says $_") foreach 'db-1', 'db-2';

# ---- pgpool, in front of the two ----

my $kills = 0;
foreach my $block (blocks('doc/pgpool.md', 'Set-up'))
{
	my $text = $block->{text};
	my $recovers = $text =~ /^pcp_recovery_node/m;
	if ($text =~ /^SHOW pool_nodes/m)
	{
		pool_knows('db-2 is the primary', 'standby', 'primary');
	}
	if ($text =~ /^kill -9/m)
	{
		$kills++;
		wait_said($_, quorum(), qr/^in force\|.*voters: db-1, db-2, w-1 \(witness\);/m, "the witness votes, too, says $_") foreach 'db-1', 'db-2';
	}
	elsif ($kills == 1)
	{
		pool_knows('db-1 is the primary, the killed db-2 is back', 'primary', 'standby');
	}
	elsif ($recovers)
	{
		wait_said('pool-1', pool_nodes(9990), qr/^0\|[^|]*\|[^|]*\|down\|.*^1\|[^|]*\|[^|]*\|up\|[^|]*\|[^|]*\|primary\|/ms,
			'pgpool has found db-2, and db-1 is gone');
	}
	my $said = run_block($block, 'pgpool');
	like($said, qr/Command Successful/, 'pcp_recovery_node says so') if $recovers;
}
is($kills, 2, 'both failures were tried');
pool_knows('db-2 is the primary, db-1 has been made anew', 'standby', 'primary');
wait_said('db-1', 'pgha status', member('db-1', 'standby', 'standby'), 'pgha says the same');
wait_said('db-1', 'pgha status', member('w-1', 'witness', 'witness'), 'with the witness');
unlike(type('pool-1', 'PGPASSFILE=/dev/null PGPASSWORD=wrong psql -h 127.0.0.1 -p 9990 -U app postgres -c "SELECT 1" 2>&1'),
	qr/1 row/, 'pgpool lets nobody in without the password');
run_block($_, 'samples') foreach blocks('doc/rejoin.md', 'By order');
finish();

# A sample may stand on two pages, if it is the same.  Pages of others' tests are theirs.
foreach my $page ('README.md', map { s{^\Q$PghaCluster::ROOT\E/}{}r } glob("$PghaCluster::ROOT/doc/*.md $PghaCluster::ROOT/doc/*/*.md"))
{
	next if $page =~ m{^doc/from-};
	is_deeply([ leftovers($page) ], [], "$page: all that is marked was typed or compared");
}
done_testing();
