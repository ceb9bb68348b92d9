# What a node must remember is on its disk as it is in its memory: also when
# pgha.members has been put into another order meanwhile.  And who has given up the
# lead does not take it again because it could not make sure to be a standby.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '4s' })->build;
my ($a, $b, $c) = $cluster->nodes;
sub remembered { my ($node, $key) = @_; return (PghaCluster::slurp("$node->{data}/pgha.state") // '') =~ /^$key=(.*)$/m ? $1 : ''; }

# ---- members in another order ----
$a->set(synchronous_standby_names => 'FIRST 1 (b)');
$cluster->wait_for('b to remember that it is synchronous', sub { remembered($b, 'sync_listed') eq 'b' && remembered($b, 'sync_current') eq 'b' });
my %place = map { /^(\w+)=/ ? ($1 => $_) : () } split /, /, $cluster->{members};
my $marks = { map { $_->{name} => $_->log_mark } $a, $b, $c };
$_->set('pgha.members' => join ', ', @place{qw(a c b)}) foreach $a, $b, $c;
$_->wait_log(qr/parameter "pgha.members" changed/, $marks->{ $_->{name} }) foreach $a, $b, $c;
$cluster->wait_for('all to agree', sub { !grep { my $v = $_->view; grep { !$_->{reachable} } values %$v } $a, $b, $c });
is(remembered($b, 'sync_listed'), 'b', 'another order of pgha.members: the same is remembered');
$a->set(synchronous_standby_names => 'FIRST 1 (c)');
$cluster->wait_for('c to be synchronous', sub { ($a->value(q{SELECT sync_state FROM pg_stat_replication WHERE application_name = 'c'}) // '') eq 'sync' });
ok(PghaCluster::poll_until('', sub { remembered($b, 'sync_listed') eq 'c' && remembered($b, 'sync_current') eq 'c' }, 10),
	'then another list, which looks like the former one in the new order: that is what is remembered')
  or diag remembered($b, 'sync_listed'), ' ', remembered($b, 'sync_current');
$a->set(synchronous_standby_names => undef);
$cluster->wait_for('nothing to be synchronous', sub { remembered($b, 'sync_listed') eq '' });

# ---- standby.signal cannot be written ----
my $mark = $a->log_mark;
$a->freeze;
my $new = $cluster->wait_single_primary(among => [ $b, $c ]);
mkdir "$a->{data}/standby.signal" or die;
$a->thaw;
$a->wait_log(qr/could not create file "standby.signal"/, $mark);
is(remembered($a, 'fenced'), 1, 'gave up, and cannot write standby.signal: it remembers that');
my $former = $a->monitor_pid;
kill TERM => $former;
$cluster->wait_for('another monitor', sub { my $pid = $a->monitor_pid; $pid && $pid != $former });
# The other nodes cannot be asked any more: nobody tells of a later leader.
$_->kill9 foreach $b, $c;
ok($cluster->stays_false(sub { defined $a->value('INSERT INTO probe VALUES (-1) RETURNING v') }, 6), 'nor does another monitor lead with it, nobody else being there');
rmdir "$a->{data}/standby.signal" or die;
$cluster->wait_for('it to be a standby', sub { ($a->value('SELECT pg_is_in_recovery()') // '') eq 't' });
pass('it becomes a standby when it can');
$_->start foreach $b, $c;
$cluster->wait_single_primary(among => [ $b, $c ]);
$cluster->rejoin($a, $cluster->primary);

done_testing();
