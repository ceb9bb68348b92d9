# An unmodified pgpool-II with examples/pgpool.conf as it is: writes through it
# go on after the primary was killed, and after the next one was frozen; a node
# that came back is attached, and is there for a second failover.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');

my $cluster = PghaCluster->new(nodes => 3)->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($a, $b, $c) = $cluster->nodes;
my $pgpool = PghaCluster::Pgpool->start($cluster);
my $direct = $cluster->start_writer;
# Each attempt without the primary costs pgpool a process.  On a busy machine it
# would do nothing but make new ones if they came as often as the writer's usually do.
my $through = $cluster->start_writer(conninfo => $pgpool->conninfo, pause => 200);
$_->wait_acknowledged(20) foreach $direct, $through;
$cluster->wait_for('pgpool to know all nodes', sub { my $view = $pgpool->view; 3 == grep { $_->[0] eq 'up' } values %$view });
$cluster->wait_for('pgpool to know the primary', sub { ($pgpool->view->{ $a->{port} }[1] // '') eq 'primary' });
pass('pgpool knows the primary');

# Since the releases of February 2025 its health check waits for a frozen server
# without a limit (doc/pgpool.md).  What an agent tells it is left to the
# administrator here.
my (undef, @said) = PghaCluster::run_command([ PghaCluster::Pgpool->program('pgpool'), '--version' ]);
my ($branch, $release) = "@said" =~ /version (\d+\.\d+)\.(\d+)/;
my %since = ('4.2' => 21, '4.3' => 14, '4.4' => 11, '4.5' => 6);
my $waits_for_ever = $release >= ($since{$branch} // 0);

sub failover
{
	my ($what, $act) = @_;
	my $old = $cluster->primary;
	my $moment = $act->($old);
	my $new = $cluster->wait_single_primary(among => [ $cluster->others($old) ]);
	like($pgpool->pcp('pcp_detach_node', $old), qr/Successful/, "$what: pcp_detach_node") if $old->{frozen} && $waits_for_ever;
	$_->wait_acknowledged(10, $moment + 0.001) foreach $direct, $through;
	note sprintf '%s: outage direct %.0f ms, through pgpool %.0f ms', $what, $direct->outage($moment), $through->outage($moment);
	$cluster->wait_for("pgpool to know the new primary", sub { ($pgpool->view->{ $new->{port} }[1] // '') eq 'primary' });
	pass("$what: pgpool serves writes on the new primary");
	return ($old, $new);
}

sub back
{
	my ($what, $old, $new) = @_;
	$cluster->rejoin($old, $new);
	is($pgpool->seen->{ $old->{port} }[0], 'down', "$what: pgpool has not attached the old primary by itself");
	like($pgpool->attach($old), qr/Successful/, "$what: pcp_attach_node");
	$cluster->wait_for("pgpool to attach $old->{name}", sub { ($pgpool->view->{ $old->{port} }[0] // '') eq 'up' });
	is($pgpool->seen->{ $new->{port} }[1], 'primary', "$what: the new primary stays pgpool's primary");
	is($pgpool->seen->{ $old->{port} }[1], 'standby', "$what: the old one is a standby");
	my $moment = PghaCluster::now();
	$through->wait_acknowledged(20, $moment);
	ok($cluster->one_primary, "$what: one primary");
}

my ($old, $new) = failover('kill -9', sub { $_[0]->kill9 });
back('kill -9', $old, $new);
($old, $new) = failover('freeze', sub { $_[0]->freeze });
$old->thaw;
$cluster->wait_for('the thawed primary to be in recovery', sub { ($old->value('SELECT pg_is_in_recovery()') // '') eq 't' });
back('freeze', $old, $new);

# Only one of the first two is left now: the third failover needs the attached ones.
($old, $new) = failover('second kill -9', sub { $_[0]->kill9 });
back('second kill -9', $old, $new);

# What went through pgpool ended up on the primary.
$through->stop;
$direct->stop;
note sprintf 'acknowledged through pgpool: %d, missing on the last primary: %d (asynchronous)',
  scalar $through->acknowledged, scalar $through->missing($new);
done_testing();
