# The manual's set-ups, done as a reader does them: the shell blocks of README.md
# that are marked with "<!-- shell: NAME ... -->" are taken from the file and
# typed, in its order, into a bash for each NAME, as the user postgres and with a
# home directory of their own.  Nothing is changed in them but the directories of
# PostgreSQL's programs and of pgha's examples, where those are not Debian's.  Between the chapters'
# steps the test waits, and looks whether what the manual promises has come true.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp;
use IO::Socket::INET;
use PghaCluster;
use Test::More;

# All ports that the manual's examples use.
my @PORTS = (5441, 5442, 5443, 9999, 9998, 9898, 9897, 9000, 9001, 9694, 9695);
my $LIMIT = 120;

plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');
foreach my $port (@PORTS)
{
	IO::Socket::INET->new(Listen => 1, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $port)
	  or plan skip_all => "port $port, which the manual uses, is taken on this machine";
}

my $bin = PghaCluster::bindir();
# `make install` puts the examples below a PostgreSQL that is not Debian's.
my ($share) = PghaCluster::must_run([ $ENV{PG_CONFIG} // 'pg_config', '--sharedir' ]) =~ /(.*)/;
my $doc = $share =~ m{^/usr/share/} ? '/usr/share/doc/pgha' : "$share/doc/pgha";

# What the shells leave behind becomes our child (PghaCluster); PostgreSQL does not
# start while the pid in postmaster.pid is a zombie's.
$SIG{CHLD} = 'IGNORE';

my $readme = PghaCluster::slurp("$PghaCluster::ROOT/README.md");
my ($home, %shell);

# ---- blocks ----

# Those of one chapter, in order: [ [names], text ].
sub blocks
{
	my ($title) = @_;
	my ($chapter) = $readme =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms;
	die "README.md has no chapter \"$title\"\n" unless defined $chapter;
	my @block;
	while ($chapter =~ /^<!-- shell: ([^>]*?) -->\n(```|    )\n?(.*?)^```$/gms)
	{
		my ($names, $text) = ($1, $3);
		$text =~ s{/usr/lib/postgresql/15/bin}{$bin}g;
		$text =~ s{/usr/share/doc/pgha}{$doc}g;
		push @block, [ [ split ' ', $names ], $text ];
	}
	die "chapter \"$title\" has no blocks\n" unless @block;
	return @block;
}

# ---- shells ----

sub open_shell
{
	my ($name) = @_;
	pipe(my $in_r, my $in_w) or die "pipe: $!";
	pipe(my $out_r, my $out_w) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<&', $in_r);
		open(STDOUT, '>&', $out_w);
		open(STDERR, '>&', $out_w);
		$SIG{CHLD} = 'DEFAULT';
		setpgrp;
		chdir $home;
		delete @ENV{ grep { /^PG|^PCP|^LC_|^LANG/ } keys %ENV };
		no warnings 'exec';
		exec PghaCluster::as_postgres(), 'env', "HOME=$home", 'PATH=/usr/local/bin:/usr/bin:/bin', 'LC_ALL=C.UTF-8', 'bash', '--norc';
		POSIX::_exit(127);
	}
	close $in_r;
	close $out_w;
	$in_w->autoflush(1);
	return { name => $name, pid => $pid, in => $in_w, out => $out_r };
}

# Types a block and waits until the shell has done it; returns what it printed.
sub type
{
	my ($name, $text) = @_;
	my $shell = $shell{$name} //= open_shell($name);
	my $end = 'end-of-block-' . ++$shell->{count};
	my $said = '';
	my $deadline = PghaCluster::now() + $LIMIT;
	$shell->{status} = undef;
	print { $shell->{in} } $text, "\necho \"$end \$?\"\n";
	until (defined $shell->{status})
	{
		my $bits = '';
		vec($bits, fileno($shell->{out}), 1) = 1;
		my $left = $deadline - PghaCluster::now();
		if ($left <= 0 || (select($bits, undef, undef, $left) && !sysread($shell->{out}, $said, 65536, length $said)))
		{
			diag "shell $name, after typing:\n$text\n", substr($said, -4000);
			show_logs();
			die "the block does not end\n";
		}
		$shell->{status} = $1 if $said =~ s/^\Q$end\E (\d+)\n//m;
	}
	note "[$name] ", $text =~ s/\n(?=.)/\n[$name] /gr, $said;
	return $said;
}

# For whoever has to find out what went wrong.
sub show_logs
{
	foreach my $log (glob("$home/pgha/*/*log"))
	{
		diag "---- $log\n", substr(PghaCluster::slurp($log) // '', -3000);
	}
	return;
}

sub run_block
{
	my ($block, $what) = @_;
	my $said = '';
	foreach my $name (@{ $block->[0] })
	{
		$said .= type($name, $block->[1]);

		# Nobody leads yet: a reader looks again.
		my ($look) = $block->[1] =~ /^(pgha status[^\n]*)\n+\z/m;
		PghaCluster::poll_until('', sub { return 1 if $shell{$name}{status} != 3; $said .= type($name, "$look\n"); return 0; }, $LIMIT)
		  if defined $look;
		is($shell{$name}{status}, 0, "$what, in shell $name") or diag "$block->[1]\n$said";
	}
	return $said;
}

# ---- what is to come true ----

sub wait_said
{
	my ($name, $command, $pattern, $what) = @_;
	my $said;
	my $ok = PghaCluster::poll_until('', sub { $said = type($name, $command); return $said =~ $pattern }, $LIMIT);
	ok($ok, $what) or do { diag $said; show_logs(); };
	return $said;
}

# A member's line in `pgha status`.
sub member { my ($node, $role, $state) = @_; return qr/^[> ][* ]\s+\Q$node\E\s+\S+\s+$role\s+$state\s/m; }

sub pool_nodes { my ($port) = @_; return "psql -h 127.0.0.1 -p $port -U app postgres -AtXqc 'SHOW pool_nodes' 2>&1"; }

# The lines of pool_nodes: node 0's role, then node 1's, both up.
sub pool_knows
{
	my ($what, @role) = @_;
	foreach my $pool ([ 'pool-1', 9999 ], [ 'pool-2', 9998 ])
	{
		my $pattern = join '.*', map { "^$_\\|[^|]*\\|[^|]*\\|up\\|[^|]*\\|[^|]*\\|$role[$_]\\|" } 0, 1;
		wait_said($pool->[0], pool_nodes($pool->[1]), qr/$pattern/ms, "$pool->[0] knows: $what");
	}
	return;
}

sub begin
{
	$home = File::Temp::tempdir('/tmp/pgha-readme-XXXX');
	PghaCluster::give_to_postgres($home);
	return;
}

# Ends all that was started in the home directory, whatever the blocks have ended.
sub finish
{
	return unless defined $home;
	close $_->{in} foreach values %shell;
	my $ours = sub { return (PghaCluster::processes_in($home), grep { in_home($_) } all_processes()); };
	PghaCluster::poll_until('', sub { !$ours->() }, 5);
	foreach my $signal ('INT', 'KILL')
	{
		kill $signal, $ours->();
		PghaCluster::poll_until('', sub { !$ours->() }, 20) and last;
	}
	waitpid $_->{pid}, 0 foreach values %shell;
	%shell = ();
	File::Path::remove_tree($home);
	undef $home;
	return;
}

sub all_processes { return grep { $_ != $$ } map { m{(\d+)$} } glob('/proc/[0-9]*'); }

# By the environment with which it was started: nobody else has this HOME.
sub in_home
{
	my ($pid) = @_;
	my $environment = PghaCluster::slurp("/proc/$pid/environ") // return 0;
	return $environment =~ /(^|\0)HOME=\Q$home\E(\0|$)/;
}

END { my $status = $?; finish(); $? = $status; }

# ---- two nodes, and a third one ----

sub two_nodes
{
	run_block($_, 'two nodes') foreach blocks('Two nodes, step by step');
	wait_said('db-1', 'pgha status', member('db-1', 'standby', 'standby'), 'the killed primary is back by itself');
	wait_said('db-1', 'pgha status', member('db-2', 'primary', 'primary'), 'and follows the new one');
	return;
}

begin();
two_nodes();
run_block($_, 'a third node') foreach blocks('A third node');
wait_said('db-3', 'pgha status', member('db-3', 'standby', 'standby'), 'the third node follows');
finish();
pass('ended');

# ---- pgpool ----

begin();
two_nodes();
my $kills = 0;
foreach my $block (blocks('pgpool-II'))
{
	my $text = $block->[1];
	my $recovers = $text =~ /^pcp_recovery_node/m;
	if ($text =~ /^SHOW pool_nodes/m)
	{
		pool_knows('db-2 is the primary', 'standby', 'primary');
	}
	if ($text =~ /^kill -9/m)
	{
		$kills++;
	}
	elsif ($kills == 1)
	{
		pool_knows('db-1 is the primary, the killed db-2 is back', 'primary', 'standby');
	}
	elsif ($recovers)
	{
		wait_said('pool-1', pool_nodes(9999), qr/^0\|[^|]*\|[^|]*\|down\|.*^1\|[^|]*\|[^|]*\|up\|[^|]*\|[^|]*\|primary\|/ms,
			'pgpool has found db-2, and db-1 is gone');
	}
	my $said = run_block($block, 'pgpool');
	like($said, qr/Command Successful/, 'pcp_recovery_node says so') if $recovers;
}
is($kills, 2, 'both failures were tried');
pool_knows('db-2 is the primary, db-1 has been made anew', 'standby', 'primary');
wait_said('db-1', 'pgha status', member('db-1', 'standby', 'standby'), 'pgha says the same');
unlike(type('pool-1', 'PGPASSFILE=/dev/null PGPASSWORD=wrong psql -h 127.0.0.1 -p 9999 -U app postgres -c "SELECT 1" 2>&1'),
	qr/1 row/, 'pgpool lets nobody in without the password');
finish();
done_testing();
