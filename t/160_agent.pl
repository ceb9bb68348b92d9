# The agent does not wait for others, nor others for it: name servers that are
# silent hold up neither its work nor its end, and a server that is stopped "smart"
# does not wait for its session.  It reads the configuration as the server does,
# and its sessions are not subject to what is set for applications.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use IO::Socket::INET;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();

# Names and name servers of our own, in mounts that nobody else sees.
if (!$ENV{PGHA_TEST_NAMES_OF_OUR_OWN})
{
	$ENV{PGHA_TEST_NAMES_OF_OUR_OWN} = 1;
	exec('unshare', '--mount', '--propagation', 'private', '--', $^X, map({ "-I$_" } @INC), $FindBin::RealBin . '/160_agent.pl') or die;
}

my $cluster = PghaCluster->new(nodes => 2,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'off' });
my ($a, $b) = $cluster->nodes;
my $known = "127.0.0.1 localhost name-of-a name-of-b\n";
my %file = (hosts => $known, 'resolv.conf' => "nameserver 127.0.0.97\noptions timeout:10 attempts:2\n", 'nsswitch.conf' => "hosts: files dns\n");
foreach my $name (sort keys %file)
{
	PghaCluster::spew("$cluster->{base}/$name", $file{$name});
	chmod 0644, "$cluster->{base}/$name" or die;
	PghaCluster::must_run([ 'mount', '--bind', "$cluster->{base}/$name", "/etc/$name" ]);
}
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.97', LocalPort => 53, Proto => 'udp') or die "no silent name server: $!";

# What is written to a file under a mount must keep its inode.
sub set_hosts
{
	my ($text) = @_;
	open(my $hosts, '>', "$cluster->{base}/hosts") or die;
	print {$hosts} $text;
	close $hosts or die;
	return;
}

$_->{host} = "name-of-$_->{name}" foreach $a, $b;
$cluster->{members} = join ', ', map { "$_->{name}=$_->{host}:$_->{port}" } $a, $b;
$cluster->build;

sub connected { my ($node) = @_; return progress($a, $node, 'agent') eq 't'; }

# ---- names ----
$_->start_agent foreach $a, $b;
pass('agents connect to members that are known by name');
$b->stop_agent;
set_hosts("127.0.0.1 localhost\n");
sysread $silent, my $packet, 4096 while IO::Select->new($silent)->can_read(0);
my $mark = $b->agent_mark;
$b->start_agent(wait => 0);
$b->wait_agent_log(qr/data directory/, $mark);
$cluster->wait_for('a look-up to be under way', sub { return IO::Select->new($silent)->can_read(0) });
kill 'HUP', $b->{agent_pid};
eventually(sub { substr($b->agent_text, $mark) =~ /read the configuration again/ }, 3, 'name servers are silent: the agent works on') or diag $b->agent_text;
my $start = PghaCluster::now();
$b->stop_agent;
cmp_ok(PghaCluster::now() - $start, '<', 2, 'and ends at once when it is told to');
my @left = $b->job_pids;
is("@left", '', 'with what it had begun');
$b->start_agent(wait => 0);
set_hosts($known);
eventually(sub { connected($b) }, 30, 'it connects when the name is known again') or diag $b->agent_text;

# ---- settings meant for applications, and for the role ----
$_->set(idle_session_timeout => '300ms', statement_timeout => '700ms', client_min_messages => 'error') foreach $a, $b;
$a->sql(q{CREATE ROLE nobody_at_all; GRANT nobody_at_all TO pgha; ALTER ROLE pgha SET role = nobody_at_all;
	ALTER ROLE pgha SET search_path = nowhere; ALTER ROLE pgha SET default_transaction_read_only = on;
	ALTER ROLE pgha SET default_transaction_isolation = serializable});
$b->stop_agent;
$mark = $b->agent_mark;
$b->start_agent(wait => 0);
eventually(sub { connected($b) }, 20, 'settings meant for applications: the agent connects');
ok($cluster->stays_false(sub { !connected($b) }, 4), 'and stays');
unlike(substr($b->agent_text, $mark), qr/permission denied|canceling|serializable|terminating/, 'and is not disturbed');
my ($status, $out, $err) = $a->psql("SELECT pgha_recover_node('b', 'clone')", timeout => 60);
is($out, 't', 'a general statement_timeout does not cancel what a person has ordered') or diag $err;
($status, $out, $err) = $a->psql("SET statement_timeout = '300ms'; SELECT pgha_recover_node('b', 'clone')", timeout => 60);
like($err, qr/statement timeout/, 'one that the session has chosen does');
$cluster->wait_for('the clone to be given up', sub { !$b->job_pids && progress($a, $b, 'outcome') ne '' });
($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'status', '-h', $b->{socket}, '-p', $b->{port}, '-U', 'postgres', '-d', 'postgres' ],
	timeout => 20, env => { PGOPTIONS => '-c default_transaction_isolation=serializable' });
is($status, 0, 'pgha status on a standby of serializable transactions') or diag $err;
$a->sql('ALTER ROLE pgha RESET ALL');

# ---- a file that may be missing, and cannot be read ----
PghaCluster::spew("$cluster->{base}/unreadable.conf", "pgha.auto_rejoin = clone\n");
chown 0, 0, "$cluster->{base}/unreadable.conf";
chmod 0600, "$cluster->{base}/unreadable.conf" or die;
PghaCluster::spew("$b->{data}/postgresql.conf", PghaCluster::slurp("$b->{data}/postgresql.conf") . "\ninclude_if_exists '$cluster->{base}/unreadable.conf'\n");
($status, $out, $err) = PghaCluster::run_command(
	[ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'agent', '--check', '-D', $b->{data} ], timeout => 20);
is($status, 0, 'include_if_exists of a file that cannot be read stops the agent no more than the server') or diag $err;
like($out, qr/auto_rejoin +off/, 'what it says is not known');

# ---- a smart shutdown ----
$cluster->wait_for('the agents to be connected', sub { connected($a) && connected($b) });
foreach my $node ($b, $a)
{
	$start = PghaCluster::now();
	$node->stop('smart');
	cmp_ok(PghaCluster::now() - $start, '<', 6, "a smart shutdown of $node->{name} does not wait for agents");
}

done_testing();
