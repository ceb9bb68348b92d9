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
use POSIX ();
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

# ---- many kinds at once ----

my $long = 'l' x 255;
my $line = "two\nlines";
my $large = 5 * 1024 * 1024;

sub by_postgres { return PghaCluster::must_run([ PghaCluster::as_postgres(), @_ ]); }

# Puts all of it at the top of the node's data directory, but for what it names.
sub plant
{
	my ($node, %without) = @_;
	my $data = $node->{data};
	my $there = $outside{ $node->{name} };
	by_postgres('ln', '-s', '/nowhere/at/all', "$data/dangling");
	foreach my $name ($long, $line, 'linked', 'vanishing')
	{
		PghaCluster::spew("$data/$name", "of $node->{name}\n");
	}
	link "$data/linked", "$there/linked" or die "link: $!";
	by_postgres('mkdir', '-m', '0750', "$data/certs", "$data/certs/deep");
	PghaCluster::spew("$data/certs/deep/key", "key of $node->{name}\n");
	unless (-d "$there/conf.d")
	{
		by_postgres('mkdir', "$there/conf.d");
		PghaCluster::spew("$there/conf.d/own.conf", "ssl_key_file = 'certs/deep/key'\n");
		by_postgres('ln', '-s', "$there/conf.d", "$data/conf.d");
		PghaCluster::spew("$data/postgresql.conf", PghaCluster::slurp("$data/postgresql.conf") . "include_dir 'conf.d'\n");
		my $mark = $node->agent_mark;
		$node->reload;
		$node->wait_agent_log(qr/read the configuration again/, $mark);
	}
	by_postgres('truncate', '-s', $large, "$data/dump.sql") unless $without{large};
	by_postgres('mkfifo', "$data/pipe") unless $without{fifo};
	return;
}

sub pull_up
{
	my ($node) = @_;
	my $data = $node->{data};
	PghaCluster::must_run([ 'rm', '-rf', map { "$data/$_" } 'dangling', $long, $line, 'linked', 'vanishing', 'certs', 'dump.sql', 'pipe' ]);
	unlink "$outside{$node->{name}}/linked";
	return;
}

# What was planted is there, and as it was.
sub all_there
{
	my ($node, $what) = @_;
	my $data = $node->{data};
	is(readlink "$data/dangling", '/nowhere/at/all', "$what: a link that leads nowhere");
	is(PghaCluster::slurp("$data/$_"), "of $node->{name}\n", "$what: " . ($_ eq $long ? 'a name of 255 bytes' : $_ eq $line ? 'a name of two lines' : 'a file with two names'))
	  foreach $long, $line, 'linked';
	is(PghaCluster::slurp("$outside{$node->{name}}/linked"), "of $node->{name}\n", "$what: its other name has the same content");
	is(PghaCluster::slurp("$data/certs/deep/key"), "key of $node->{name}\n", "$what: a file in a directory");
	is(((stat "$data/certs")[2] // 0) & 07777, 0750, "$what: ... with its mode");
	is(PghaCluster::slurp("$outside{$node->{name}}/conf.d/own.conf"), "ssl_key_file = 'certs/deep/key'\n", "$what: a configuration behind a link");
	is($node->value('SHOW ssl_key_file'), 'certs/deep/key', "$what: ... which the server reads");
	return;
}

# What `pgha doctor` says of it on the node's host.
sub doctor_says
{
	my ($node) = @_;
	my (undef, $out) = PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'doctor', '--all', '-D', $node->{data} ]);
	return join "\n", grep { /host_data_top/ .. /host_agent_directory/ } split /\n/, $out;
}

# Files that come and go while it is looked.
sub flicker
{
	my ($directory) = @_;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	while (getppid() != 1)
	{
		foreach my $n (1 .. 20) { open(my $file, '>', "$directory/flicker.$n") or next; chmod 0644, "$directory/flicker.$n"; close $file; }
		unlink map { "$directory/flicker.$_" } 1 .. 20;
	}
	POSIX::_exit(0);
}

like(doctor_says($b), qr/carries along/, 'the doctor finds nothing in the way');
plant($b);
like(doctor_says($b), qr/"dump\.sql" .*too large/, 'the doctor names a large file');
like(doctor_says($b), qr/"pipe" .*FIFO/, '... and a FIFO');
{
	my $pid = flicker($b->{data});
	my $answer = order($a, $b, 'clone', 60);
	kill 'KILL', $pid;
	waitpid($pid, 0);
	like($answer, qr/^t$/m, 'a clone beside, while files come and go') or diag $answer;
	$cluster->wait_following($a, $b);
	all_there($b, 'clone beside');
	my ($old) = glob("$b->{data}.old-*");
	ok(defined $old && -s "$old/dump.sql" == $large && -p "$old/pipe", 'what is too large, or no file, is kept with the former data directory');
	like($a->value("SELECT string_agg(what, ' ') FROM pgha_events() WHERE kind = 'lost'") // '', qr/"(?:dump\.sql|pipe)" in it/, '... and that is told');
	PghaCluster::must_run([ 'rm', '-rf', $old ]) if defined $old;
	pull_up($b);
	unlink glob("$b->{data}/flicker.*");
}

# pg_wal elsewhere by a relative link: it stays elsewhere.
$b->stop;
by_postgres('mv', "$b->{data}/pg_wal", "$outside{b}/wal");
by_postgres('ln', '-s', "../" . ($outside{b} =~ s{.*/}{}r) . "/wal", "$b->{data}/pg_wal");
$b->start;
$cluster->wait_following($a, $b);
like(order($a, $b, 'clone', 60), qr/^t$/m, 'pg_wal is a relative link: a clone');
like(readlink("$b->{data}/pg_wal") // '', qr{^\Q$outside{b}/wal/pgha-\E}, '... has its WAL there, too');
$cluster->wait_following($a, $b);
$b->stop;
by_postgres('cp', '-a', readlink("$b->{data}/pg_wal"), "$b->{data}/wal_here");
unlink "$b->{data}/pg_wal";
by_postgres('mv', "$b->{data}/wal_here", "$b->{data}/pg_wal");
$b->start;
$cluster->wait_following($a, $b);

# In place nothing can be kept: it is refused, and nothing has changed.
no_place_beside($cluster, 1);
read_again($b, 'pgha.clone_in_place' => 'on');
foreach my $case ([ 'large', 'truncate', '-s', $large, 'dump.sql' ], [ 'FIFO', 'mkfifo', 'pipe' ])
{
	my ($kind, @command) = @$case;
	my $name = pop @command;
	by_postgres(@command, "$b->{data}/$name");
	like(order($a, $b, 'clone', 40), qr/ERROR: .*\Q$name\E.*HINT: .*Move it out/s, "in place, $name: refused by name");
	ok(defined $b->value('SELECT 1'), '... and the server runs');
	unlink "$b->{data}/$name";
}
make_path("$b->{data}/of_root");
PghaCluster::spew("$b->{data}/of_root/note", "x\n");
chown 0, 0, "$b->{data}/of_root", "$b->{data}/of_root/note";
like(order($a, $b, 'clone', 40), qr/ERROR: .*of_root.*HINT: /s, 'in place, a directory of root: refused by name');
like(doctor_says($b), qr/of_root/, '... the doctor names it');
PghaCluster::must_run([ 'rm', '-r', "$b->{data}/of_root" ]);
PghaCluster::spew("$b->{data}/fixed.conf", "x\n");
SKIP:
{
	my ($status) = PghaCluster::run_command([ 'chattr', '+i', "$b->{data}/fixed.conf" ]);
	skip 'the file system has no immutable files', 2 if $status != 0;
	like(order($a, $b, 'clone', 40), qr/ERROR: .*fixed\.conf.*HINT: .*chattr/s, 'in place, an immutable file: refused by name');
	ok(defined $b->value('SELECT 1'), '... and the server runs');
	PghaCluster::run_command([ 'chattr', '-i', "$b->{data}/fixed.conf" ]);
}
unlink "$b->{data}/fixed.conf";
plant($b, large => 1, fifo => 1);
like(order($a, $b, 'clone', 60), qr/^t$/m, 'a clone in place');
all_there($b, 'clone in place');
pull_up($b);
read_again($b, 'pgha.clone_in_place' => undef);
no_place_beside($cluster, 0);
$cluster->wait_following($a, $b);

# What the primary has: a database that pg_basebackup would leave out, a FIFO that
# would catch a backend of it.
by_postgres('mkdir', "$outside{a}/12345");
by_postgres('ln', '-s', "$outside{a}/12345", "$a->{data}/base/12345");
like(order($a, $b, 'clone', 40), qr{ERROR: .*"base/12345".*symbolic link.*HINT: }s, 'a link in base of the primary: refused by name');
unlink "$a->{data}/base/12345";

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

# a falls, and b leads.
plant($_, large => 1) foreach $a, $b;
PghaCluster::spew("$a->{data}/linked", "of a, longer\n");
diverge($a, $b, -2);
$a->kill9;
$cluster->wait_single_primary(among => [$b]);
$cluster->wait_for('the agent to be connected', sub { progress($b, $a, 'agent') eq 't' });
PghaCluster::spew("$a->{data}/linked", "of a\n");
{
	my $answer = order($b, $a, 'rewind', 40);
	like($answer, qr/ERROR: .*"pipe" in the data directory of the primary.*HINT: .*Move it out/s, 'a FIFO of the primary: a rewind is refused by name');
	is($b->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_read_binary_file%' AND pid <> pg_backend_pid()"), 0, '... and no backend has opened it');
	unlink "$b->{data}/pipe";
	by_postgres('truncate', '-s', $large, "$a->{data}/dump.sql");
	like(order($b, $a, 'rewind', 40), qr/ERROR: .*"dump\.sql".*too large.*HINT: .*Move it out/s, 'a large file: a rewind is refused by name');
	unlink "$a->{data}/dump.sql";
	like(order($b, $a, 'rewind', 60), qr/^t$/m, 'a rewind');
	$cluster->wait_following($b, $a);
	all_there($a, 'rewind');
	ok(-p "$a->{data}/pipe", 'rewind: a FIFO');
	pull_up($_) foreach $a, $b;
}
rewind('nothing special', $b, $a, 'server.key', sub { 1 });

make_path("$outside{a}/log", "$b->{data}/log");
PghaCluster::give_to_postgres("$outside{a}/log", "$b->{data}/log");
symlink "$outside{a}/log", "$a->{data}/log" or die;
rewind('a log directory that is elsewhere', $a, $b, 'log"', sub { is_link($_[0], 'log') });

done_testing();
