# A power cut of the site, of two members that do not vote: the primary that was
# dead for long comes back first, leads by the claim that it had, and gives way to
# its successor, which has 5,000 rows more, when that one is back, too.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '3s' })->build;
my $old = $cluster->wait_single_primary;
my ($successor) = $cluster->others($old);
my $term = $old->status->{term};
$cluster->wait_following($old);

$old->kill9;
$cluster->wait_for('the successor to lead', sub { $successor->writable });
my $later = $successor->status->{term};
cmp_ok($later, '>', $term, 'the successor leads in a later term');
$successor->sql('CREATE TABLE replicated AS SELECT generate_series(1, 5000) AS v');

# ---- the power cut; the successor is the last to come back ----

$successor->kill9;
$old->start;
$cluster->wait_for('the former primary to lead', sub { $old->writable });
is($old->status->{term}, $term, 'a long dead primary that comes back alone leads in the term that it had');
$old->kill9;
$old->start;
$cluster->wait_for('it to lead again', sub { $old->writable });
is($old->status->{term}, $term, 'and so it does after another restart');
$old->sql('CREATE TABLE alone AS SELECT 1 AS v');

$successor->start;
my $primary = $cluster->wait_single_primary(among => [$successor]);
is($primary->value('SELECT count(*) FROM replicated'), 5000, 'its successor leads when it is back, with all that it had acknowledged');
is($primary->status->{term}, $later, 'in its own term');
$cluster->wait_for('the other one to be a standby', sub { (($old->status // {})->{state} // '') =~ /^(?:diverged|standby)$/ });
$cluster->rejoin($old, $primary);
is($old->value('SELECT count(*) FROM replicated'), 5000, 'which the other one gets');
done_testing();
