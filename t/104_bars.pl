# Nodes that may not be promoted: priority 0, paused, auto_failover off, delayed
# replay, settings lower than the primary's.  One that lacks nothing but what a
# segment switch left empty may.  And what an administrator may order.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '2s' })->build;
my ($a, $b) = $cluster->nodes;

# The primary dies; the standby must not lead while `forbid` holds, must say
# why, and leads once it is taken back.
sub barred
{
	my ($what, $forbid, $pattern, $allow) = @_;
	my $primary = $cluster->primary;
	my ($standby) = $cluster->others($primary);
	$forbid->($primary, $standby);
	$cluster->wait_for("$standby->{name} to know that it is barred ($what)", sub { my $s = $standby->status; $s && !$s->{candidate} });
	$primary->kill9;
	ok($cluster->stays_false(sub { scalar $cluster->primaries }, 5), "$what: not promoted");
	like($standby->status->{reason}, $pattern, "$what: says why");
	$allow->($primary, $standby);
	is($cluster->wait_single_primary, $standby, "$what: promoted once it is allowed");
	$cluster->rejoin($primary, $standby);
}

barred('priority 0',
	sub { $_[1]->set('pgha.priority' => 0) },
	qr/priority/,
	sub { $_[1]->set('pgha.priority' => undef) });
barred('auto_failover off',
	sub { $_[1]->set('pgha.auto_failover' => 'off') },
	qr/auto_failover/,
	sub { $_[1]->set('pgha.auto_failover' => undef) });
barred('recovery_min_apply_delay',
	sub { $_[1]->set(recovery_min_apply_delay => '100ms') },
	qr/recovery_min_apply_delay/,
	sub { $_[1]->set(recovery_min_apply_delay => undef) });
barred('paused',
	sub {
		my ($primary, $standby) = @_;
		$primary->sql('SELECT pgha_pause()');
		$cluster->wait_for('the pause to be known everywhere', sub { my $s = $standby->status; $s && $s->{paused} });
	},
	qr/paused/,
	sub { $_[1]->sql('SELECT pgha_resume()') });

# The pause travelled by generation: nobody is paused now.
$cluster->wait_for('nobody to be paused', sub { !grep { my $s = $_->status; !$s || $s->{paused} } $cluster->nodes });
pass('the resume reached the node that was down');

# A segment switch leaves up to a segment empty.  A standby that has not got that yet lacks nothing.
my $primary = $cluster->primary;
my ($standby) = $cluster->others($primary);
sub lag { my ($node) = @_; return $primary->value("SELECT lag_bytes FROM pgha_cluster() WHERE node = '$node->{name}'") // 0; }
$primary->sql('CREATE TABLE t (v int)');
$_->set('pgha.max_failover_lag' => '1MB') foreach $primary, $standby;
foreach my $end ('the leader tells where its segment ends', 'the WAL here ends in what is empty')
{
	$cluster->wait_following($primary, $standby);
	my $receiver = $standby->sql('SELECT pid FROM pg_stat_wal_receiver');
	kill STOP => $receiver;
	foreach (1 .. 3)
	{
		$primary->sql('INSERT INTO t VALUES (1)');
		my $mark = $primary->sql('SELECT pg_switch_wal()');
		$primary->sql('INSERT INTO t VALUES (1)');
		$cluster->wait_for('the standby to know of the switch', sub {
			($standby->value("SELECT lsn > '$mark'::pg_lsn + 8192 FROM pgha_cluster() WHERE node = '$primary->{name}'") // '') eq 't' });
	}
	cmp_ok(lag($standby), '>', 30 << 20, 'a standby is segments behind');
	ok($cluster->stays_false(sub { !$standby->status->{candidate} }, 2), 'which are empty: it can be promoted') or diag $standby->status->{reason};
	if ($end =~ /leader/)
	{
		$primary->sql('INSERT INTO t SELECT generate_series(1, 100000)');
		$cluster->wait_for('a standby that lacks much to be none that can be promoted', sub { !$standby->status->{candidate} });
		like($standby->status->{reason}, qr/max_failover_lag/, 'WAL counts, also behind a switch');
		kill CONT => $receiver;
		next;
	}
	$primary->kill9;
	kill CONT => $receiver;
	is($cluster->wait_single_primary, $standby, "promoted: $end");
	$cluster->rejoin($primary, $standby);
}
$_->set('pgha.max_failover_lag' => undef) foreach $primary, $standby;

# PostgreSQL stops the replay of a standby whose settings are lower than the primary's, and takes no promotion there.
($primary, $standby) = ($standby, $primary);
$primary->sql('SELECT pgha_pause()');
$cluster->wait_for('the pause to be known', sub { my $s = $standby->status; $s && $s->{paused} });
$primary->configure(max_connections => 80);
$primary->restart;
$primary->wait_writable;
$primary->sql('SELECT pgha_resume()');
$cluster->wait_for('the standby to know that its settings are too low', sub { my $s = $standby->status; $s && !$s->{paused} && $s->{reason} =~ /max_connections/ });
is($standby->status->{candidate}, 0, 'settings too low: it is no candidate');
$cluster->wait_for('the primary to know', sub {
	($primary->value("SELECT candidate FROM pgha_cluster() WHERE node = '$standby->{name}'") // '') eq 'f' });
pass('nor for the primary');
foreach my $order ('pgha_promote()', 'pgha_promote(true)')
{
	my $refusal = $standby->error("SELECT $order") // '';
	like($refusal, qr/ERROR:.*refused.*max_connections/, "settings too low: $order is refused");
	like($refusal, qr/DETAIL:  max_connections is \d+ here and 80 on the primary.*HINT:  Raise it/s, 'with what is to be done');
	unlike($refusal, qr/force/, 'which force is not');
}
$primary->kill9;
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 5), 'settings too low: not promoted');
ok(!($standby->log_since(0) =~ /promotion is not possible/), 'PostgreSQL was not told to');
$standby->configure(max_connections => 80);
$standby->restart;
is($cluster->wait_single_primary, $standby, 'promoted once they are raised');
$cluster->rejoin($primary, $standby);

# Orders.
($primary, $standby) = ($standby, $primary);
my $term = $primary->status->{term};
like($standby->error('SELECT pgha_promote()') // '', qr/ERROR/, 'pgha_promote() is refused while the primary answers');
is($primary->status->{term}, $term, 'and changes nothing');
like($primary->error('SELECT pgha_promote(true)') // '', qr/ERROR/, 'a primary cannot be promoted');
$standby->sql('SELECT pgha_promote(true)');
is($cluster->wait_single_primary, $standby, 'pgha_promote(true) promotes');
$cluster->rejoin($primary, $standby);
is($primary->value('SELECT pg_is_in_recovery()'), 't', 'the old primary fenced itself');

# By hand while paused.
$standby->sql('SELECT pgha_pause()');
$cluster->wait_for('the pause to be known', sub { my $s = $primary->status; $s && $s->{paused} });
$standby->kill9;
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'paused: not promoted by itself');
$primary->sql('SELECT pgha_promote()');
is($cluster->wait_single_primary, $primary, 'paused: promoted by hand');

# By hand behind pgha's back: taken note of.
$cluster->rejoin($standby, $primary);
$primary->sql('SELECT pgha_resume()');
done_testing();
