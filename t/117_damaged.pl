# pgha.state that cannot be used is not "never led": who may have led takes no
# commit before it has asked.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.startup_grace' => '10s' })->build;
my ($a, $b) = $cluster->nodes;
my $value = 0;

sub damage
{
	my ($node) = @_;
	my $file = "$node->{data}/pgha.state";
	my $text = PghaCluster::slurp($file);
	$text =~ s/^term=(\d+)$/'term=' . ($1 + 1)/me or die 'no term';
	PghaCluster::spew($file, $text);
}

# Isolated: the other one may lead.
$b->stop;
$a->stop;
damage($a);
my $mark = $a->log_mark;
$a->start;
ok($cluster->stays_false(sub { $a->writable }, 4), 'damaged pgha.state, nobody answers: no commit');
like($a->log_since($mark), qr/"pgha.state" is damaged.*it may have led/s, 'and it says why');
is($a->state, 'returning', 'it waits as a former primary does');
is($cluster->wait_single_primary(among => [$a]), $a, 'after startup_grace it leads again');
$cluster->rejoin($b, $a);

# The other one has taken over: it is followed.
$a->kill9;
is($cluster->wait_single_primary, $b, 'the other one leads');
$b->sql('INSERT INTO probe VALUES (1)');
damage($a);
$a->start;
$cluster->rejoin($a, $b);
is($a->status->{term}, $b->status->{term}, 'damaged pgha.state: the leader that it hears of is followed');

# Its own claim is what the other one remembers: it goes on with that.
my $term = $b->status->{term};
$_->kill9 foreach $a, $b;
damage($b);
$_->start(wait => 0) foreach $a, $b;
$_->wait_ready foreach $a, $b;
is($cluster->wait_single_primary, $b, 'damaged pgha.state: its own claim comes from the other one');
$cluster->wait_following($b);
is($b->status->{term}, $term, 'in the same term');

# While it runs: a new monitor goes on with what the former one has published.
$term = $b->status->{term};
damage($b);
my $old = $b->monitor_pid;
kill 'TERM', $old;
$cluster->wait_for('a new monitor', sub { my $new = $b->monitor_pid; $new && $new != $old });
is($cluster->wait_single_primary, $b, 'damaged while it leads: a new monitor leads on');
is($b->status->{term}, $term, 'in the same term');

# The crash of a backend, with a damaged file.
damage($b);
my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: checkpointer/ } $b->processes;
$mark = $b->log_mark;
kill 'KILL', $pid;
$b->wait_log(qr/all server processes terminated; reinitializing/, $mark);
my $primary = $cluster->wait_single_primary;
$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
ok($cluster->one_primary, 'damaged at a crash restart: one primary');
$cluster->stop_all;
$cluster->cleanup;
done_testing();
