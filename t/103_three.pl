# Three nodes: the most advanced standby is promoted, whatever its name and
# priority; the laggard follows it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, node_settings => { b => { 'pgha.priority' => 200 } })->build;
my ($a, $b, $c) = $cluster->nodes;

# All the same: priority decides.
my $received = 'SELECT pg_last_wal_receive_lsn()';
$cluster->wait_for('b and c to be equally advanced', sub { ($b->value($received) // '-') eq ($c->value($received) // '') });
$a->kill9;
is($cluster->wait_single_primary, $b, 'equally advanced: the higher priority is promoted');
$cluster->wait_following($b, $c);
$cluster->rejoin($a, $b);
$cluster->wait_following($b);

# Now a and c are standbys; a would win by its name.
my $receiver = $a->receiver_pid;
kill 'STOP', $receiver;
$b->sql("INSERT INTO probe SELECT 100000 + g FROM generate_series(1, 1000) g");
$cluster->wait_for('c to have what a lacks',
	sub { ($c->value('SELECT count(*) FROM probe WHERE v BETWEEN 100001 AND 101000') // 0) == 1000 });
is($a->value('SELECT count(*) FROM probe WHERE v BETWEEN 100001 AND 101000'), 0, 'a lags behind');
$b->kill9;
is($cluster->wait_single_primary, $c, 'the most advanced one is promoted');
kill 'CONT', $receiver;
$cluster->wait_following($c, $a);
is($a->value('SELECT count(*) FROM probe WHERE v BETWEEN 100001 AND 101000'), 1000, 'the laggard has everything now');
$cluster->rejoin($b, $c);
ok($cluster->one_primary, 'one primary');

# Each member can be asked for all.
foreach my $node ($cluster->nodes)
{
	$cluster->wait_for(
		"$node->{name} to see all members",
		sub {
			my $view = $node->view;
			return keys %$view == 3 && $view->{c}{role} eq 'primary'
			  && !grep { !$_->{reachable} } values %$view;
		});
	pass("$node->{name} sees all members");
}

# Every node keeps a slot for each other member, and lets it advance.
foreach my $node ($cluster->nodes)
{
	my @want = sort map { "pgha_$_->{name}" } $cluster->others($node);
	$cluster->wait_for("the slots of $node->{name}",
		sub { ($node->value("SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots") // '') eq "@want" });
	pass("$node->{name} keeps a slot for each other member");
}
$c->sql('SELECT pg_switch_wal(); INSERT INTO probe VALUES (1); CHECKPOINT');
my $lsn = $c->sql('SELECT pg_current_wal_lsn()');
$cluster->wait_following($c);
foreach my $node ($cluster->nodes)
{
	# Slots do not pass the last checkpoint (on a standby: restartpoint).
	$node->sql('CHECKPOINT');
	$cluster->wait_for(
		"the slots of $node->{name} to advance",
		sub { ($node->value("SELECT count(*) FROM pg_replication_slots WHERE pg_wal_lsn_diff('$lsn', restart_lsn) < 1024 * 1024") // 0) == 2 });
	pass("the slots of $node->{name} advance");
}
done_testing();
