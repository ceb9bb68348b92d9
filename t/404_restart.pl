# Former leaders where the members vote: a restarted primary leads on when a
# majority confirms that it still supports it, whatever a minority does; one that
# was replaced does not, whoever boots first.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Time::HiRes qw(time);
use Test::More;

# A restart that takes longer than this is a failover, as it should be.
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '4s', 'pgha.heartbeat_interval' => '200ms' })->build;
my ($a, $b, $c) = $cluster->nodes;

sub report
{
	my ($node) = @_;
	return map { /^([^=]+)=(.*)$/ ? ($1 => $2) : () } split /\t/, $node->value('SHOW pgha.report') // '';
}

# All of these support the primary, under its rule.
sub wait_supported
{
	my ($primary, @nodes) = @_;
	$cluster->wait_for("$primary->{name} to be supported by " . join(',', map { $_->{name} } @nodes), sub {
		my %leader = report($primary);
		return 0 unless ($leader{leased} // '') eq 'yes' && $leader{rule_term} == $leader{term};
		foreach (@nodes)
		{
			my %report = report($_);
			return 0 unless ($report{rule_term} // 0) == $leader{rule_term} && ($report{support} // '') eq $primary->{name}
			  && $report{support_term} == $leader{term} && ($report{vote_open} // 'no') ne 'yes';
		}
		return 1;
	});
	return;
}

# The primary is restarted; how long it took from then on until it took writes.
sub restart
{
	my ($primary) = @_;
	$primary->stop;
	$primary->start;
	my $start = time;
	$primary->wait_writable;
	return time - $start;
}

wait_supported($a, $a, $b, $c);

# ---- one is down ----
$c->kill9;
wait_supported($a, $a, $b);
my $timeline = $a->timeline;
my $took = restart($a);
diag(sprintf('one down: writes back %.2f s after the restart', $took));
cmp_ok($took, '<', 5, 'restarted with one of three down: takes writes soon');
is($a->timeline, $timeline, 'on the same timeline');
wait_supported($a, $a, $b);
$a->kill9;
$a->start;
$a->wait_writable;
is($a->timeline, $timeline, 'killed and started again with one of three down: the same');
$c->start;
wait_supported($a, $a, $b, $c);

# ---- one refuses the login ----
my $hba = PghaCluster::slurp("$c->{data}/pg_hba.conf");
$c->stop;
PghaCluster::spew("$c->{data}/pg_hba.conf", "host all pgha all reject\nhost replication pgha all reject\n$hba");
$c->start;
$cluster->wait_for('c to be refused', sub { ($a->value("SELECT reachable FROM pgha_cluster() WHERE node = 'c'") // '') eq 'f' });
$took = restart($a);
diag(sprintf('one refuses the login: writes back %.2f s after the restart', $took));
cmp_ok($took, '<', 5, 'restarted with one of three that refuses the login: takes writes soon');
is($a->timeline, $timeline, 'on the same timeline');
PghaCluster::spew("$c->{data}/pg_hba.conf", $hba);
$c->reload;
wait_supported($a, $a, $b, $c);

# ---- no lease: it steps down, and is elected again ----
$_->set('pgha.failure_timeout' => '2s') foreach $cluster->nodes;
$cluster->wait_for('all to know it', sub { !grep { ($_->value('SHOW pgha.failure_timeout') // '') ne '2s' } $cluster->nodes });
wait_supported($a, $a, $b, $c);
$_->kill9 foreach $b, $c;
$a->wait_log(qr/no majority of the voters was heard for pgha.failure_timeout/);
$cluster->wait_for('a to be a standby', sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' });
ok(!$a->writable, 'without a majority it steps down to a read-only standby');
$b->start;
my $primary = $cluster->wait_single_primary;
ok($cluster->one_primary, "with a majority there is a primary again ($primary->{name})");
$c->start;
$cluster->wait_following($primary);
wait_supported($primary, $cluster->nodes);

# ---- none is missing ----
$primary->stop;
$primary->start;
$primary = $cluster->wait_single_primary;
$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
wait_supported($primary, $cluster->nodes);
ok($cluster->one_primary, 'restarted with all there: one primary');

# ---- promoted past the votes ----
my ($other) = $cluster->others($primary);
my $mark = $other->log_mark;
my $leads = $primary->{name};
$other->psql('SELECT pg_promote()');
$other->wait_log(qr/was promoted without the votes of the members/, $mark);
$cluster->wait_for('it to be a standby again', sub { ($other->value('SELECT pg_is_in_recovery()') // '') eq 't' });
is($cluster->wait_single_primary->{name}, $leads, 'pg_promote() on a standby: it gives up, and the primary leads on');
$cluster->rejoin($other, $primary);
wait_supported($primary, $cluster->nodes);

# ---- promoted by an administrator, by force ----
$cluster->wait_following($primary);
$other->sql('SELECT pgha_promote(true)');
is($cluster->wait_single_primary(among => [$other]), $other, 'whom an administrator forces to lead does, and the former primary steps down');
$cluster->rejoin($_, $other) foreach $cluster->others($other);
$primary = $other;
wait_supported($primary, $cluster->nodes);

# ---- a stale former primary boots first ----
my $value = $primary->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
$cluster->wait_following($primary);
my $stale = $primary;
$stale->kill9;
my $next = $cluster->wait_single_primary(among => [ $cluster->others($stale) ]);
$cluster->wait_following($next);
my ($third) = grep { $_ != $stale && $_ != $next } $cluster->nodes;
wait_supported($next, $next, $third);
my $later = $next->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
$cluster->wait_following($next);
$_->kill9 foreach $third, $next;
$stale->start;
ok($cluster->stays_false(sub { $stale->writable }, 4), 'a stale former primary that boots first does not lead alone');

# ---- two former primaries ----
$next->start;
is($cluster->wait_single_primary, $next, 'two former primaries: the later one is elected');
is($next->value("SELECT count(*) FROM probe WHERE v IN ($value, $later)"), 2, 'with all that it acknowledged');
$third->start;
$cluster->rejoin($_, $next) foreach $stale, $third;
wait_supported($next, $cluster->nodes);

# ---- power cut of all ----
$value = $next->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
$cluster->wait_following($next);
$_->kill9 foreach $cluster->others($next), $next;
$_->start(wait => 0) foreach $cluster->nodes;
$_->wait_ready foreach $cluster->nodes;
$primary = $cluster->wait_single_primary;
is($primary->value("SELECT count(*) FROM probe WHERE v = $value"), 1, 'power cut of all: comes back with everything');
$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
ok($cluster->one_primary, 'and with one primary');

done_testing();
