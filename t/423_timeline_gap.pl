# The number of a timeline is the term it was begun in, and each candidacy in vain
# takes a term.  However many there were, the next leader can be promoted, others
# follow it through the gap, and what fills it is no burden.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

use constant IN_VAIN => 5000;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($a, $b, $c) = $cluster->nodes;
$cluster->wait_for('the members to vote', sub { PghaCluster::slurp("$b->{data}/pgha.state") =~ /^rule_term=1$/m });

# b has voted in that many terms.
$b->stop;
$b->change_state_text(sub { s/^highest=\d+$/'highest=' . IN_VAIN/me or die $_ });
$b->start;
$cluster->wait_following($a, $b);
$cluster->wait_following($a, $c);
is($b->status->{forgot} // 'f', 'f', 'what b has voted in is read');

$a->kill9;
my $primary = $cluster->wait_single_primary(among => [ $b, $c ]);
my ($standby) = grep { $_ != $primary } $b, $c;
cmp_ok($primary->timeline, '>', IN_VAIN, 'promoted past all terms that had no leader');
my $first = sprintf "$primary->{data}/pg_wal/%08X.history", 2;
cmp_ok((stat $first)[3], '>=', IN_VAIN - 1, 'the gap is filled with names of one file');
$cluster->wait_following($primary, $standby);
pass('the other one follows through the gap');

# All that is looked through at a start.
$primary->stop;
$primary->start;
is($cluster->wait_single_primary, $cluster->primary, 'a primary restarts with it');
ok(-e $first, 'and what fills the gap below a timeline stays');

done_testing();
