# The crash of a single process (restart_after_crash): neither a failover nor a
# gate that stays shut.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

# A crash restart may take a while on a busy machine: it must not look like silence.
my $cluster = PghaCluster->new(
	nodes => 3,
	settings => { 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '15s' })->build;
my ($a, $b, $c) = $cluster->nodes;
my $writer = $cluster->start_writer;
$writer->wait_acknowledged(20);
my $term = $a->status->{term};

my %victim = (
	backend => sub {
		my ($node) = @_;
		$node->background('SELECT pg_sleep(3600)');
		return $cluster->wait_for('the session', sub { $node->value("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'") });
	},
	checkpointer => sub { $_[0]->value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'") },
	monitor => sub { $_[0]->monitor_pid },
);

foreach my $what (sort keys %victim)
{
	my $mark = $a->log_mark;
	my $pid = $victim{$what}->($a);
	my $moment = PghaCluster::now();
	kill 'KILL', $pid;
	$a->wait_log(qr/all server processes terminated; reinitializing/, $mark);
	$writer->wait_acknowledged(20, $moment + 0.001);
	is($cluster->wait_single_primary, $a, "$what killed: the primary leads on");
	is($a->status->{term}, $term, "$what killed: in the same term");
	note sprintf '%s killed: outage %.0f ms', $what, $writer->outage($moment);
	$cluster->wait_following($a);
	pass("$what killed: standbys follow");
}

# On a standby it is less still.
my $mark = $b->log_mark;
kill 'KILL', $b->monitor_pid;
$b->wait_log(qr/all server processes terminated; reinitializing/, $mark);
$cluster->wait_following($a, $b);
is($a->status->{term}, $term, 'a crash of a standby is no failover');

# The gate opens again after a reload and after a crash of several in a row.
kill 'HUP', $a->{pid};
$writer->wait_acknowledged(20, PghaCluster::now());
pass('commits go on');
$writer->stop;
is(scalar($writer->missing($a)), 0, 'nothing that was acknowledged is missing');
done_testing();
