# The agent and its job are killed at each point of a rewind, of a clone beside
# the old data directory and of a clone in place.  At none may there be a data
# directory that would start as a wrong primary; restarted, the agent finishes
# the job, or says what only an administrator can do; nothing is left over.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'mounting needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '16MB', min_wal_size => '4MB', 'pgha.auto_rejoin' => 'clone', 'pgha.slot_keep_size' => '64MB' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};

# The standby is the one that is worked on; it has a tablespace elsewhere.
$_->stop_agent foreach $cluster->nodes;
my %space = tablespace_elsewhere($a, $b);
$_->start_agent foreach $a, $b;
$b->wait_streaming;

# What the data directory would become if somebody started it now.
sub would_be
{
	my ($node) = @_;
	return 'runs' if $node->is_running;
	return 'nothing' unless -e "$node->{data}/global/pg_control" && -e "$node->{data}/PG_VERSION";
	return 'refused' if (stat $node->{data})[2] & 01;
	return 'standby' if -e "$node->{data}/standby.signal";
	return 'primary';
}

# The mark is what PostgreSQL itself refuses.
sub is_refused
{
	my ($node) = @_;
	my (undef, undef, $err) = PghaCluster::run_command(
		[ PghaCluster::as_postgres(), $node->program('postgres'), '-D', $node->{data}, '-C', 'data_directory' ]);
	my (undef, $out, $error) = PghaCluster::run_command(
		[ PghaCluster::as_postgres(), $node->program('postgres'), '-D', $node->{data}, '-c', 'shared_preload_libraries=' ], timeout => 20);
	return "$out$error" =~ /invalid permissions/;
}

sub leftovers
{
	my ($node) = @_;
	my @left = grep { -e } glob("$node->{data}.new-* $node->{data}.old-* $node->{data}.pgha/copies $node->{data}.pgha/*.new");
	my %linked = map { (readlink($_) // '') => 1 } glob("$node->{data}/pg_tblspc/*");
	push @left, grep { !$linked{$_} } glob("$space{ $node->{name} }/pgha-*");
	push @left, glob("$space{ $node->{name} }/PG_*") unless $linked{ $space{ $node->{name} } };
	return join ' ', @left;
}

sub finish
{
	my ($node, $what) = @_;
	my $state = would_be($node);
	isnt($state, 'primary', "$what: would not start as a primary ($state)");
	ok(is_refused($node), "$what: PostgreSQL refuses it") if $state eq 'refused';
	$node->start_agent(wait => 0);
	$node->wait_streaming(90);
	$cluster->wait_for("$what: the job to have ended", sub { $node->job_field('outcome') =~ /./ && !$node->job_pids });

	# Before the primary has heard of that, an order would join the old job.
	$cluster->wait_for("$what: the primary to know", sub {
		my $primary = $cluster->primary // return 0;
		return ($primary->value("SELECT outcome FROM pgha_recovery_progress() WHERE node = '$node->{name}' AND agent") // '') =~ /./ });
	is($node->job_field('outcome'), 'done', "$what: streams again, without a manual step");
	is(leftovers($node), '', "$what: nothing is left over");
	is($node->value('SHOW pgha.node') . $node->value('SHOW port'), $node->{name} . $node->{port}, "$what: it has its own settings");
	return;
}

# ---- rewind ----
# The two take turns.
my ($primary, $other) = ($a, $b);
foreach my $point ('starting', 'stopping', 'saving lost WAL', 'rewinding', 'copying')
{
	my $what = "rewind, $point";
	arm($primary, $point);
	diverge($primary, $other, -1);
	$primary->kill9;
	is($cluster->wait_single_primary(among => [$other]), $other, "$what: the other node leads");
	kill_at($primary, $what);
	# pg_rewind empties the files that it is going to copy; which ones stay so is chance.
	truncate "$primary->{data}/pgha.state", 0 or die "pgha.state: $!" if $point eq 'copying';
	finish($primary, $what);
	$cluster->wait_following($other, $primary);
	is($primary->value('SELECT count(*) FROM probe WHERE v = -1'), '0', "$what: no foreign row");
	($primary, $other) = ($other, $primary);
}

# auto_rejoin = rewind does not clone: it says what is to be done.
$primary->set('pgha.auto_rejoin' => 'rewind');
arm($primary, 'copying');
diverge($primary, $other, -1);
$primary->kill9;
$cluster->wait_single_primary(among => [$other]);
kill_at($primary, 'only rewind');
is(would_be($primary), 'refused', 'auto_rejoin = rewind, killed while it copied: the directory is marked');
my $mark = $primary->agent_mark;
$primary->start_agent;
$primary->wait_agent_log(qr/is not whole.*pgha.auto_rejoin = clone/, $mark);
pass('and the agent says what to do');
is($other->value(qq{SELECT server FROM pgha_recovery_progress() WHERE node = '$primary->{name}'}), 'marked', 'the primary is told so');
like($other->error(qq{SELECT pgha_recover_node('$primary->{name}', 'rewind')}), qr/is not whole.*clone/s, 'so is who orders a rewind');
is($other->value(qq{SELECT pgha_recover_node('$primary->{name}', 'clone')}, timeout => 120), 't', 'a clone mends it');
$primary->wait_streaming;

# ---- the agent alone ----
arm($primary, 'cloning');
my $session = $other->background(qq{SELECT pgha_recover_node('$primary->{name}', 'clone')});
$cluster->wait_for('the job to be there', sub { grep { PghaCluster::process_state($_) eq 'T' } $primary->job_pids });
my @job = $primary->job_pids;
$primary->stop_agent('KILL');
$primary->start_agent;
kill 'CONT', @job;
$cluster->wait_for('the recovery to be told as done', sub {
	($other->value(qq{SELECT outcome FROM pgha_recovery_progress() WHERE node = '$primary->{name}'}) // '') eq 'done' });
$primary->wait_streaming;
is(leftovers($primary), '', 'the agent alone was killed: the job went on, and the next agent told of its end');

# From here on b is the standby.
$primary->set('pgha.auto_rejoin' => 'clone');
if ($other == $b)
{
	$b->kill9;
	$cluster->wait_single_primary(among => [$a]);
	$b->wait_streaming;
	$cluster->wait_for('the job to have ended', sub { !$b->job_pids });
}

# ---- clone beside ----
foreach my $point ('waiting', 'stopping', 'swapping', 'streaming', 'cleaning up')
{
	arm($b, $point);
	my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
	kill_at($b, "clone, $point");
	finish($b, "clone, $point");
}

# pg_basebackup in the middle, with the tablespace copied and not yet linked.
$a->sql('INSERT INTO spaced SELECT generate_series(1, 300000)');
$cluster->wait_following($a, $b);
$session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
$cluster->wait_for('the tablespace to be copied', sub {
	my ($stamp) = join(' ', glob("$b->{data}.new-*")) =~ /\.new-(\S+)$/;
	my @files = defined $stamp ? glob("$space{b}/pgha-$stamp/PG_*/*") : ();
	return @files > 0;
});
kill 'STOP', $b->job_pids;
kill_at($b, 'clone, tablespace');
finish($b, 'clone, tablespace');
is($b->value('SELECT count(*) FROM spaced'), '301000', 'the tablespace is whole');

# ---- clone in place ----
$b->set('pgha.clone_in_place' => 'on');
foreach my $point ('swapping', 'cloning', 'starting')
{
	no_place_beside($cluster, 1);
	arm($b, $point);
	my $mark = $b->agent_mark;
	my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
	kill_at($b, "in place, $point");
	like(substr($b->agent_text, $mark), qr/in place|empties/, 'in place');
	finish($b, "in place, $point");
}
no_place_beside($cluster, 0);

done_testing();
