# Nodes that may not be promoted: priority 0, paused, auto_failover off, delayed
# replay.  And what an administrator may order.
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

# Orders.
my $primary = $cluster->primary;
my ($standby) = $cluster->others($primary);
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
