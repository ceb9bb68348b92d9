# HAProxy and PgBouncer, with the configurations of examples/, in front of a cluster whose
# nodes are hosts of their own: clients that know only their ports write again after a
# kill, a freeze, and a switchover, and reads go to the standbys.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use PghaRouting;
use Test::More;

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();
my %program = map { $_ => program($_) } qw(haproxy pgbouncer);
foreach my $name (sort keys %program)
{
	plan skip_all => "$name is not installed (make test-deps)" unless $program{$name};
}

my $cluster = routed_cluster(address => 1);
my ($a) = $cluster->nodes;
my $hub = "$cluster->{net}.1";

# ---- the programs, with what the examples say ----
my $haproxy = example($cluster, 'haproxy.cfg', "global\n" => "global\n    log stdout format raw local0\n");
PghaCluster::must_run([ PghaCluster::as_postgres(), $program{haproxy}, '-c', '-f', $haproxy ]);
pass('HAProxy takes the example');
run_in_hub($cluster, 'haproxy', $program{haproxy}, '-db', '-f', $haproxy);
PghaCluster::spew("$cluster->{base}/userlist.txt", qq("postgres" ""\n));
PghaCluster::give_to_postgres("$cluster->{base}/userlist.txt");
my $bouncer = example($cluster, 'pgbouncer.ini',
	'/etc/pgbouncer/userlist.txt' => "$cluster->{base}/userlist.txt", 'auth_type = scram-sha-256' => "auth_type = trust\nunix_socket_dir =");
run_in_hub($cluster, 'pgbouncer', $program{pgbouncer}, $bouncer);

my %port = (HAProxy => 5000, PgBouncer => 6432);
my %writer;
foreach my $name (sort keys %port)
{
	$cluster->wait_for("$name to lead to the primary", sub { (answers($cluster, $port{$name}, 'SHOW pgha.node') // '') eq $a->{name} });
	$writer{$name} = $cluster->start_writer(netns => $cluster->{hub}, conninfo =>
		"host=$hub port=$port{$name} user=postgres dbname=postgres connect_timeout=3 tcp_user_timeout=3000");
	$writer{$name}->wait_acknowledged(20);
	pass("clients write through $name");
}
$writer{direct} = $cluster->start_writer(netns => $cluster->{hub}, conninfo => 'host=' . join(',', map { $_->{host} } $cluster->nodes)
	. ' port=5432 user=postgres dbname=postgres connect_timeout=2 tcp_user_timeout=3000 target_session_attrs=read-write');
$writer{direct}->wait_acknowledged(20);

sub reads_from_standbys
{
	my ($primary) = @_;
	my %seen;
	$cluster->wait_for('reads to go to both standbys and nowhere else', sub {
		%seen = () if ($seen{ $primary->{name} });
		$seen{ answers($cluster, 5001, 'SHOW pgha.node') // 'nobody' } = 1;
		return keys %seen == 2 && !$seen{nobody} && !$seen{ $primary->{name} };
	});
	return pass('reads go to the standbys: ' . join ' ', sort keys %seen);
}
reads_from_standbys($a);

# All write again; with how long they waited.
sub all_write
{
	my ($what, $moment, $limit) = @_;
	foreach my $name ('direct', 'HAProxy', 'PgBouncer')
	{
		$writer{$name}->wait_acknowledged(20, $moment, $limit);
		diag sprintf '%s, %s: %d ms', $what, $name, $writer{$name}->longest_wait($moment);
	}
	return pass("$what: clients write again, through HAProxy and PgBouncer as well");
}

# ---- killed ----
my $moment = $a->kill9;
my $primary = $cluster->wait_single_primary(among => [ $cluster->others($a) ]);
all_write('killed', $moment, 60);
$a->wait_streaming(120);
reads_from_standbys($primary);

# ---- frozen ----
$cluster->wait_following($primary);
my $frozen = $primary;
$moment = PghaCluster::now();
$frozen->freeze;
$primary = $cluster->wait_single_primary(among => [ $cluster->others($frozen) ]);
all_write('frozen', $moment, 120);
$frozen->thaw;
$frozen->wait_streaming(120);

# ---- switched over ----
$cluster->wait_following($primary);
$moment = PghaCluster::now();
my (undef, $target, $told) = $primary->psql('SELECT pgha_switchover()', timeout => 60);
my ($next) = grep { $_->{name} eq $target } $cluster->nodes;
ok($next, 'a switchover') or BAIL_OUT("no switchover: $told");
$cluster->wait_single_primary(among => [$next]);
all_write('switchover', $moment, 60);
$cluster->wait_following($next);
reads_from_standbys($next);

# ---- a majority is gone ----
foreach my $name (sort keys %writer)
{
	$writer{$name}->stop;
	my $since = grep { $_->[0] > $moment } $writer{$name}->acknowledged;
	my %there = map { $_ => 1 } split /\n/, $next->sql("SELECT v FROM written WHERE writer = $writer{$name}{number}");
	is(scalar(grep { $_->[0] > $moment && !$there{ $_->[1] } } $writer{$name}->acknowledged), 0, "all $since rows acknowledged since the switchover, $name: they are there");
}
$_->stop_agent, $_->stop foreach $cluster->others($next);
$cluster->wait_for('HAProxy to find no server for writes', sub { !defined answers($cluster, 5000, 'SHOW pgha.node') });
pass('without a majority nobody is taken for a primary');
done_testing();
