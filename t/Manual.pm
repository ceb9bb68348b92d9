# Manual.pm
#		Types the manual: the shell blocks of README.md and doc/*.md that are marked with
#		"<!-- shell: NAME ... -->" are taken from the pages and typed, in their order, into
#		a bash for each NAME, as the user postgres and with a home directory of their own.
#
# Nothing is changed in them but the directories of PostgreSQL's programs and of the
# examples, where these are not Debian's.
#
# A block marked with "<!-- output: NAME COMMAND -->" is what COMMAND prints there,
# but for numbers, times and the width of columns; "<!-- output-lines: ... -->": its
# lines are among those that are printed, in this order; "<!-- output-phases: ... -->":
# of its NOTICEs, which tell the phases of a recovery, those are missing of phases that
# were over before the session looked; the first one and another one must be there.
package Manual;

use strict;
use warnings;

use Exporter 'import';
use File::Path ();
use File::Temp;
use POSIX ();
use PghaCluster;
use Test::More;

our @EXPORT = qw(begin finish home blocks run_block type wait_said check_sample sample_of leftovers);

my $LIMIT = 120;
my $bin = PghaCluster::bindir();

# Where `make install` has put the examples.
my %config = map { split / = /, $_, 2 } split /\n/, PghaCluster::must_run([ $ENV{PG_CONFIG} // 'pg_config' ]);
my ($doc) = grep { -e "$_/examples/pgpool.conf" } ($config{SHAREDIR} =~ m{^/usr/share/} ? () : "$config{SHAREDIR}/doc/pgha"), "/usr/share/doc/pgha";
die "the examples are not installed\n" unless defined $doc;

# What the shells leave behind becomes our child (PghaCluster); PostgreSQL does not
# start while the pid in postmaster.pid is a zombie's.
$SIG{CHLD} = 'IGNORE';

my ($home, %shell, %page, %typed);

# ---- blocks ----

# Those of one chapter of a page, in order: { kind, names, command, text }.
sub blocks
{
	my ($page, $title) = @_;
	my $text = $page{$page} //= PghaCluster::slurp("$PghaCluster::ROOT/$page");
	my ($level, $chapter) = $text =~ /^(#+) \Q$title\E\n(.*)/ms;
	die "$page has no chapter \"$title\"\n" unless defined $chapter;
	my $depth = length $level;
	my $inside = 0;
	my @line;
	foreach my $line (split /^/, $chapter)
	{
		last if !$inside && $line =~ /^#{1,$depth} /;
		$inside = !$inside if $line =~ /^```/;
		push @line, $line;
	}
	$chapter = join '', @line;
	my @block = marked($chapter);
	die "chapter \"$title\" of $page has no blocks\n" unless @block;
	return @block;
}

sub marked
{
	my ($chapter) = @_;
	my @block;
	while ($chapter =~ /^<!-- (shell|output|output-lines|output-phases): ([^>]*?) -->\n```\n(.*?)^```$/gms)
	{
		my ($kind, $where, $text) = ($1, $2, $3);
		my ($name, $command) = split / /, $where, 2;
		$text =~ s{/usr/lib/postgresql/15/bin}{$bin}g, $text =~ s{/usr/share/doc/pgha}{$doc}g if $kind eq 'shell';
		push @block, { kind => $kind, names => $kind eq 'shell' ? [ split ' ', $where ] : [$name], command => $command, text => $text };
	}
	return @block;
}

# What may differ from one run to the next is made equal.
sub normal
{
	my ($text) = @_;
	$text =~ s/\Q$home\E/\/var\/lib\/postgresql/g;
	$text =~ s/\Q$bin\E/\/usr\/lib\/postgresql\/15\/bin/g;
	$text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?| UTC)?/TIME/g;
	$text =~ s/\d{8}T\d{6}Z/TIME/g;
	$text =~ s/\b[0-9A-F]+\/[0-9A-F]{6,}\b/LSN/g;
	$text =~ s/\d+(\.\d+)?/N/g;
	$text =~ s/-{2,}/-/g;
	$text =~ s/\n-[-+]*\n/\n-\n/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ $//mg;
	return $text =~ s/\A\s+|\s+\z//gr;
}

# What a sample lacks of what is printed; undefined if nothing.
sub differs
{
	my ($block, $said) = @_;
	my ($want, $got) = map { normal($_) } $block->{text}, $said;
	if ($block->{kind} eq 'output')
	{
		return if $want eq $got;
		return "sample:\n$want\nprinted:\n$got\n";
	}
	return differs_in_phases($want, $got) if $block->{kind} eq 'output-phases';
	my $at = 0;
	foreach my $line (grep { length } split /\n/, $want)
	{
		my $found = index($got, $line, $at);
		return "the line\n$line\nis not in what is printed:\n$got\n" if $found < 0;
		$at = $found + length $line;
	}
	return;
}

# Which phases are told depends on how long they last; what is told is in the sample, in
# its order, and all that is no phase is the same.
sub differs_in_phases
{
	my ($want, $got) = @_;
	my @sample = split /\n/, $want;
	my $before = '';
	my %told = map { $_ => 1 } $got =~ /^NOTICE: node "[^"]*": ([a-z ]+)/mg;
	my ($first) = $sample[0] =~ /^NOTICE: node "[^"]*": ([a-z ]+)/;
	return "the phase \"$first\" and one after it are not in what is printed:\n$got\n" unless $told{$first} && keys %told > 1;
	foreach my $line (split /\n/, $got)
	{
		# How far a phase is may be told with it, and again.
		$line =~ s/^(NOTICE: node "[^"]*": [a-z ]+): N % \(N of N MB\), /$1: /;
		next if $line eq $before;
		$before = $line;
		shift @sample while @sample && $sample[0] ne $line && $sample[0] =~ /^NOTICE:/;
		return "the line\n$line\nis not in the sample, or not there:\n$want\nprinted:\n$got\n" unless @sample && $sample[0] eq $line;
		shift @sample;
	}
	return @sample ? "the line\n$sample[0]\nis not in what is printed:\n$got\n" : undef;
}

sub check_sample
{
	my ($block, $what) = @_;
	my ($name) = @{ $block->{names} };
	my $difference;
	my $same = PghaCluster::poll_until('', sub { $difference = differs($block, type($name, "$block->{command}\n")); return !defined $difference }, 30);
	ok($same, "$what: the sample is what \"$block->{command}\" prints in shell $name") or diag $difference;
	return;
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
	$typed{ $block->{text} } = 1;
	if ($block->{kind} ne 'shell')
	{
		check_sample($block, $what);
		return $said;
	}
	foreach my $name (@{ $block->{names} })
	{
		$said .= type($name, $block->{text});

		# Nobody leads yet, or not all is back: a reader looks again.
		my ($look) = $block->{text} =~ /^(pgha (?:status|doctor)[^\n]*)\n+\z/m;
		PghaCluster::poll_until('', sub { return 1 if $shell{$name}{status} < 3; $said .= type($name, "$look\n"); return 0; }, $LIMIT)
		  if defined $look;
		is($shell{$name}{status}, 0, "$what, in shell $name") or diag "$block->{text}\n$said";
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

sub home { return $home; }

# What a page shows as a sample that begins like this.
sub sample_of
{
	my ($page, $beginning) = @_;
	my $text = $page{$page} //= PghaCluster::slurp("$PghaCluster::ROOT/$page");
	my ($sample) = $text =~ /^```\n(\Q$beginning\E.*?)^```$/ms;
	return $sample;
}

# What is marked on a page and was neither typed nor compared.
sub leftovers
{
	my ($page) = @_;
	return map { $_->{text} } grep { !$typed{ $_->{text} } } marked(PghaCluster::slurp("$PghaCluster::ROOT/$page"));
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


1;
