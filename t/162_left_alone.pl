# What a clone that fails, or vanishes, is cleaned up of: never the former data
# directory, the tablespaces of the new one, or what somebody else has made.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use POSIX qw(strftime);
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '64MB', min_wal_size => '4MB' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};

# The node has a tablespace elsewhere.
$b->stop_agent;
my %space = tablespace_elsewhere($a, $b);
$b->start_agent;
$b->wait_streaming;

sub make_directory
{
	my ($path) = @_;
	make_path($path);
	PghaCluster::spew("$path/precious", "x\n");
	PghaCluster::give_to_postgres($path);
	PghaCluster::give_to_postgres("$path/precious");
	return;
}

# ---- the places of its tablespaces are taken ----
my @taken = map { "$space{b}/pgha-" . strftime('%Y%m%dT%H%M%SZ', gmtime(time + $_)) } 0 .. 30;
make_directory($_) foreach @taken;
my $answer = order($a, $b, 'clone', 90);
like($answer, qr/ERROR.*could not create directory/s, 'a directory that is not pgha\'s is in the way: refused') or diag $answer;
is(scalar(grep { -e "$_/precious" } @taken), scalar @taken, 'and nothing that is in it was deleted');
PghaCluster::must_run([ 'rm', '-rf', @taken ]);
like(order($a, $b, 'clone', 90), qr/^t$/m, 'without it the clone is made');
$b->wait_streaming;

# ---- clones that follow each other within a second, or over a clock that was set back ----
@taken = map { "$space{b}/pgha-" . strftime('%Y%m%dT%H%M%SZ', gmtime(time + $_)) } 0 .. 120;
make_directory($_) foreach @taken;
my $objects = $b->agent_directory . '/objects';
PghaCluster::spew($objects, PghaCluster::slurp($objects) . join('', map { sprintf "%d %d %s\n", (stat)[ 0, 1 ], $_ } @taken));
PghaCluster::give_to_postgres($objects);
like(order($a, $b, 'clone', 90), qr/^t$/m, 'what an earlier clone has made is not in the way of the next one');
PghaCluster::must_run([ 'rm', '-rf', @taken ]);
$b->wait_streaming;

# ---- the exchange is done, the former data directory cannot be renamed ----
# It is one that pgha made, too.
arm($b, 'swapping');
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
await_stopped_job($b, 'exchange');
my $new = $b->job_field('new_directory');
my $old = $b->job_field('old_directory');
make_directory($old);
let_go($b);
$cluster->wait_for('the job to have ended', sub { $b->job_field('outcome') =~ /./ && !$b->job_pids });
$session->end;
like($b->job_field('message'), qr/could not rename/, 'the former data directory cannot get its name');
ok(-e "$new/PG_VERSION", 'it is there nevertheless') or diag $b->agent_text;
ok(-d "$old" && -e "$old/precious", 'so is what was in the way');
$b->stop_agent;
$b->wait_streaming(60);
is($b->value('SELECT count(*) FROM spaced'), '1000', 'the clone is in use, with its tablespace') or diag $b->error('SELECT count(*) FROM spaced');
PghaCluster::must_run([ 'rm', '-rf', $old ]);
my $mark = $b->agent_mark;
$b->start_agent;
like(order($a, $b, 'clone', 90), qr/^t$/m, 'the next recovery finishes it');
$b->wait_streaming;
# The agent may have come before the order, which then has a weaker job given up, and makes a clone of its own.
unlike((split /LOG:  recovery (?:done$|cancelled)/m, substr($b->agent_text, $mark))[0], qr/recovery: cloning/, 'without another clone');
is(join(' ', glob("$b->{data}.new-* $b->{data}.old-*")), '', 'and nothing is left over');

# ---- an administrator moves the clone away ----
arm($b, 'swapping');
$session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
kill_at($b, 'clone');
$session->end;
my ($clone) = glob("$b->{data}.new-*");
ok(rename($clone, "$base/saved"), 'the clone was moved away');
$b->start_agent(wait => 0);
$b->wait_streaming(90);
$cluster->wait_for('the job to have ended', sub { $b->job_field('outcome') =~ /./ && !$b->job_pids });
my ($linked) = glob("$base/saved/pg_tblspc/*/PG_*");
ok(defined $linked && -d $linked, 'its tablespaces are still there') or diag join ' ', map { readlink } glob("$base/saved/pg_tblspc/*");
is($b->value('SELECT count(*) FROM spaced'), '1000', 'so are those of the node');

# ---- a clone is given up: what the next one replaces is the node's data all the same ----
read_again($b, 'pgha.keep_old_data' => 'on');
arm($b, 'swapping');
$session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
kill_at($b, 'clone');
$session->end;
$b->start;
$b->wait_streaming;
$b->kill9;
$b->start_agent(wait => 0);
$cluster->wait_for('the job to have ended', sub { $b->job_field('outcome') =~ /./ && !$b->job_pids });
is($b->job_field('outcome'), 'done', 'it is cloned after all');
is(scalar(grep { -e "$_/PG_VERSION" } glob("$b->{data}.old-*")), 1, 'and the former data directory is kept, as is wanted') or diag $b->agent_text;

done_testing();
