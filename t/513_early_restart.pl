# A cluster that is still being made: a node that is on the list has never joined, and
# the primary is restarted.  It does not lead by itself, as that node might know more;
# by order it does, nothing is lost, and the last node joins a cluster that votes.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '1s', 'pgha.startup_grace' => '3s' });
my ($a, $b, $c) = $cluster->nodes;
$cluster->{node} = [ $a, $b ];
$cluster->build;
is($a->status->{quorum}, 'not yet: no answer of c', 'a member has never been there: nobody votes yet');
$a->sql('INSERT INTO probe VALUES (4711)');
$cluster->wait_following($a, $b);
$_->stop foreach $a, $b;
$_->start foreach $a, $b;
$cluster->wait_for('the former primary to say what it waits for', sub { ($a->status->{reason} // '') =~ /^does not vote: .*, and c has not said yet/ });
is($a->status->{gate}, 'closed', 'the former primary does not lead by itself');
my (undef, undef, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'promote', $a->conninfo ]);
like($err, qr/pgha promote --force/, 'without force an order is refused, and says what to do');
my ($status, undef, $said) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'promote', '--force', $a->conninfo ], timeout => 120);
is($status, 0, 'by order it leads') or diag $said;
$cluster->wait_following($a, $b);
is($b->value('SELECT count(*) FROM probe WHERE v = 4711'), '1', 'with all it had');

$cluster->{node} = [ $a, $b, $c ];
$c->clone($a);
$c->start;
$cluster->wait_following($a, $b, $c);
foreach my $node ($a, $b, $c)
{
	$cluster->wait_for("votes to be in force on $node->{name}", sub { ($node->status->{quorum} // '') eq 'in force' });
}
pass('the last one joins, and the members vote');
$a->kill9;
my $primary = $cluster->wait_single_primary(among => [ $b, $c ]);
is($primary->value('SELECT count(*) FROM probe WHERE v = 4711'), '1', 'and elect a successor, which has all');
done_testing();
