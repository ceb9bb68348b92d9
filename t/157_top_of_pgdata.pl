# Whatever an administrator has put at the top of a data directory is there after
# a rewind or a clone, or the recovery is refused before anything is touched, with
# the name of what is in the way and what to do: configuration files that are
# symbolic links, a private key that is read-only, a socket, a log directory that
# is elsewhere, a file that cannot be read.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use IO::Socket::UNIX;
use PghaCluster;
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'off' })->build;
my ($a, $b) = $cluster->nodes;
my %outside;
foreach my $node ($a, $b)
{
	$outside{ $node->{name} } = "$cluster->{base}/etc_$node->{name}";
	make_path($outside{ $node->{name} });
	PghaCluster::give_to_postgres($outside{ $node->{name} });
}

# The recovery is done and the file is there, or it was refused by its name and
# the node is as it was.  In the end the node follows.
sub kept_or_refused
{
	my ($what, $leader, $node, $method, $name, $is_there, $undo) = @_;
	my $answer = order($leader, $node, $method, 40);
	if ($answer =~ /^t$/m) { ok($is_there->(), "$what: it is there after the $method") or diag $answer; }
	else { like($answer, qr/ERROR: .*\Q$name\E.*HINT: /s, "$what: refused by name, with what to do"); }
	my $whole = -e "$node->{data}/PG_VERSION" && ((stat $node->{data})[2] & 01) == 0 && $is_there->();
	if ($whole && !$node->is_running) { $node->start(wait => 0); PghaCluster::poll_until('', sub { !$node->is_running || defined $node->value('SELECT 1') }, 10); }
	ok($whole && defined $node->value('SELECT 1'), "$what: the node is whole") or diag $answer;
	$undo->() if $undo;
	if (!$whole || ($node->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") // '0') eq '0')
	{
		rebuild($node, $leader);
		$node->start_agent;
	}
	$cluster->wait_following($leader, $node);
	return;
}

sub is_link { my ($node, $name) = @_; return (readlink("$node->{data}/$name") // '') eq "$outside{$node->{name}}/$name" && -e "$node->{data}/$name"; }

# ---- clones ----
# Managed alike on all nodes.
foreach my $name ('pg_hba.conf', 'postgresql.conf')
{
	my $text = PghaCluster::slurp("$a->{data}/$name");
	set_outside($_, $name, $outside{ $_->{name} }) foreach $a, $b;
	kept_or_refused("$name is a symbolic link", $a, $b, 'clone', $name, sub { is_link($b, $name) }, sub {
		foreach my $file (map { "$_->{data}/$name" } $a, $b) { unlink $file; PghaCluster::spew($file, $text); } });
}

# Logs elsewhere, on this node alone.
make_path("$outside{b}/log");
PghaCluster::give_to_postgres("$outside{b}/log");
symlink "$outside{b}/log", "$b->{data}/log" or die;
chmod 0750, $b->{data} or die;
kept_or_refused('a log directory that is elsewhere', $a, $b, 'clone', '/log"', sub { is_link($b, 'log') }, sub { unlink "$b->{data}/log" });
is((stat $b->{data})[2] & 07777, 0750, 'what the group could read it can read after a clone');
chmod 0700, $b->{data} or die;

# What only root can read.
open(my $stray, '>', "$b->{data}/notes.txt") or die;
print $stray "of an administrator\n";
close $stray;
chmod 0600, "$b->{data}/notes.txt";
kept_or_refused('a file that only root can read', $a, $b, 'clone', 'notes.txt', sub { -e "$b->{data}/notes.txt" });
unlink "$b->{data}/notes.txt";
$b->stop_agent;
PghaCluster::poll_until('', sub { !$b->job_pids }, 10);
$b->start_agent;

# ---- rewinds, the two take turns ----
sub rewind
{
	my ($what, $leader, $next, $name, $is_there) = @_;
	diverge($leader, $next, -1);
	$leader->kill9;
	$cluster->wait_single_primary(among => [$next]);
	$cluster->wait_for('the agent to be connected', sub { progress($next, $leader, 'agent') eq 't' });
	kept_or_refused($what, $next, $leader, 'rewind', $name, sub { $is_there->($leader) });
	return;
}

foreach my $node ($a, $b)
{
	PghaCluster::spew("$node->{data}/server.key", "key of $node->{name}\n");
	chmod 0400, "$node->{data}/server.key";
}
rewind('a read-only private key', $a, $b, 'server.key', sub { (PghaCluster::slurp("$_[0]{data}/server.key") // '') eq "key of $_[0]{name}\n" });
unlink map { "$_->{data}/server.key" } $a, $b;

# Each on the node where it is in the way: the socket on the one that is copied from.
my $socket = IO::Socket::UNIX->new(Local => "$a->{data}/app.sock", Listen => 1) or die;
rewind('a socket', $b, $a, 'app.sock', sub { -e "$_[0]{data}/PG_VERSION" });
close $socket;
unlink "$a->{data}/app.sock";

make_path("$outside{a}/log", "$b->{data}/log");
PghaCluster::give_to_postgres("$outside{a}/log", "$b->{data}/log");
symlink "$outside{a}/log", "$a->{data}/log" or die;
rewind('a log directory that is elsewhere', $a, $b, 'log"', sub { is_link($_[0], 'log') });

done_testing();
