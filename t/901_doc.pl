# The manual holds together: links and anchors lead somewhere, every page can be
# reached from README.md, is short and says whom it is for, tables are whole; and
# what the code has (settings, functions, columns, examples, messages) is in it.
# Needs no server.
use strict;
use warnings;
use utf8;

use FindBin;
use File::Basename qw(dirname);
use Test::More;

binmode(Test::More->builder->$_, ':encoding(UTF-8)') foreach qw(output failure_output todo_output);

my $root = "$FindBin::RealBin/..";

sub slurp
{
	my ($name) = @_;
	open(my $file, '<:encoding(UTF-8)', "$root/$name") or die "$name: $!";
	local $/ = undef;
	return scalar <$file>;
}

# Names below the root, as they are written in links.
sub names { return sort map { s{^\Q$root\E/}{}r } map { glob "$root/$_" } @_; }

my @pages = names('README.md', 'CHANGELOG.md', 'doc/*.md', 'doc/*/*.md', 'bench/README.md');
my %text = map { $_ => slurp($_) } @pages;

# A page without its blocks of code, or with them emptied.
sub prose { return $_[0] =~ s/^( *)```.*?^\1```$//gmsr; }

# ---- anchors, as GitHub makes them ----

my %anchor;
foreach my $page (@pages)
{
	my %seen;
	foreach my $title (prose($text{$page}) =~ /^#{1,6} +(.*?) *$/mg)
	{
		$title =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
		my $name = lc($title) =~ s/[^\w\- ]//gr =~ tr/ /-/r;
		my $again = $seen{$name}++;
		$anchor{$page}{ $again ? "$name-$again" : $name } = 1;
	}
}

# ---- links ----

# "a/b/../c" without the detour.
sub resolved
{
	my ($page, $target) = @_;
	my @part;
	foreach my $part (split m{/}, (dirname($page) eq '.' ? '' : dirname($page) . '/') . $target)
	{
		if ($part eq '..' && @part) { pop @part }
		elsif ($part ne '.' && $part ne '') { push @part, $part }
	}
	return join '/', @part;
}

my (%links, @broken);
foreach my $page (@pages)
{
	my $prose = prose($text{$page}) =~ s/`[^`\n]*`/`/gr;
	foreach my $link ($prose =~ /\]\(\s*([^)\s]+)\s*\)/g)
	{
		next if $link =~ m{^https?://};
		my ($target, $name) = split /#/, $link, 2;
		my $file = $target eq '' ? $page : resolved($page, $target);
		push @{ $links{$page} }, $file;
		push @broken, "$page: $link: there is no $file" unless -e "$root/$file";
		push @broken, "$page: $link: there is no such title in $file" if defined $name && !$anchor{$file}{$name};
	}
}
cmp_ok(scalar(map { @$_ } values %links), '>', 150, 'there are links');
is(join("\n", @broken), '', 'each leads somewhere');

my %reached = ('README.md' => 1);
my @todo = ('README.md');
while (my $page = shift @todo)
{
	push @todo, grep { exists $text{$_} && !$reached{$_}++ } @{ $links{$page} };
}
is_deeply([ grep { !$reached{$_} } @pages ], [], 'every page is reached from README.md');

# ---- form ----

foreach my $page (@pages)
{
	my $lines = () = $text{$page} =~ /\n/g;
	my $limit = $page eq 'README.md' ? 300 : 399;
	cmp_ok($lines, '<=', $limit, "$page has at most $limit lines");
	my $fences = () = $text{$page} =~ /^ *```/mg;
	is($fences % 2, 0, '... and its blocks of code end');
	next unless $page =~ /^doc\//;
	like($text{$page}, qr/\A# .*\n\n[^#]*?\b[Ff]or whoever /, '... and says whom it is for');
}

sub columns { my $cells = () = $_[0] =~ s/`[^`]*`//gr =~ /(?<!\\)\|/g; return $cells - 1; }

my @torn;
foreach my $page (@pages)
{
	my @line = split /\n/, prose($text{$page});
	foreach my $i (grep { $line[$_] =~ /^ *\|/ } 0 .. $#line)
	{
		my $first = $i == 0 || $line[ $i - 1 ] !~ /^ *\|/;
		push @torn, "$page: $line[$i]" if $first && ($line[ $i + 1 ] // '') !~ /^ *\|( *:?-+:? *\|)+$/;
		push @torn, "$page: $line[$i]" if !$first && columns($line[$i]) != columns($line[ $i - 1 ]);
	}
}
is(join("\n", @torn), '', 'each table has a head, and as many columns in every row');

# ---- what the code has is in the manual ----

sub lacking { my ($page, @word) = @_; return [ grep { $text{$page} !~ /`[^`\n]*\Q$_\E[^`\n]*`/ } @word ]; }
sub unique { my %seen; return sort grep { !$seen{$_}++ } @_; }

my $settings = join '', map { slurp($_) } names('src/server/*.c', 'src/server/*/*.c');
my @setting = unique($settings =~ /\b(?:DefineCustom\w+|define_\w+)\(\s*"(pgha\.\w+)"/g);
cmp_ok(scalar @setting, '>=', 28, 'settings: ' . @setting);
is_deeply(lacking('doc/settings.md', @setting), [], 'each is in the reference');
is_deeply([ grep { my $name = $_; !grep { $_ eq $name } @setting } unique($text{'doc/settings.md'} =~ /^\| `(pgha\.\w+)`/mg) ], [], '... which has no others');

# The first version, then what was changed since.
my $sql = join '', map { slurp($_) } sort { length $a <=> length $b || $a cmp $b } names('pgha--*.sql');
my @function = unique($sql =~ /^CREATE (?:OR REPLACE )?FUNCTION (\w+)\(/mg);
cmp_ok(scalar @function, '>=', 16, 'functions: ' . @function);
is_deeply(lacking('doc/sql.md', @function), [], 'each is in the reference');
foreach my $function (qw(pgha_status pgha_cluster pgha_explain pgha_events pgha_recovery_progress pgha_doctor))
{
	my ($arguments) = (reverse $sql =~ /^CREATE FUNCTION $function\((.*?)\)\nRETURNS/msg)[0];
	my @column = $arguments =~ /^\tOUT "?(\w+)"? /mg;
	my ($part) = $text{'doc/monitoring.md'} =~ /^### $function\(\).*?\n(.*?)(?=^##|\z)/ms;
	($part) = $text{'doc/monitoring.md'} =~ /^## $function\(\).*?\n(.*?)(?=^## |\z)/ms unless defined $part;
	cmp_ok(scalar @column, '>=', 4, "$function(): " . @column . ' columns');
	is_deeply([ grep { ($part // '') !~ /`$_`/ } @column ], [], '... each explained');
}

my $all = join '', values %text;
is_deeply([ grep { $all !~ /\Q$_\E/ } 'examples/aws', names('examples/*.*') ], [], 'each example is mentioned')
  or diag 'README.md or a page of doc/ should say what it is for';

my ($summary) = $text{'doc/rejoin.md'} =~ /^```\n(node: .*?)^```$/ms;
my $lost = slurp('src/recovery/lost.c');
is_deeply([ grep { $lost !~ /\Q$_\E/ } $summary =~ /^([A-Za-z ]+:)/mg ], [], 'summary.txt has the lines that the manual shows');

# ---- messages ----

# All string literals of the source; neighbours are one text.
sub literals
{
	my $source = join "\n", map { slurp($_) } names('src/*/*.c', 'src/*/*/*.c', 'src/*/*.h');
	$source =~ s/\\"/\x01/g;
	$source =~ s/"\s*\n?\s*"//g;
	my $found = join "\n", $source =~ /"([^"\n]*)"/g;
	return $found =~ tr/\x01/"/r;
}

my $literals = literals();
my @unknown;
my $messages = 0;
foreach my $page ('doc/troubleshooting.md', 'doc/rejoin.md', 'doc/clients.md', 'doc/sql.md')
{
	my ($part) = $page eq 'doc/rejoin.md' ? $text{$page} =~ /^## Errors\n(.*?)^## /ms : ($text{$page});
	foreach my $row ($part =~ /^\| (.*)/mg)
	{
		my @cell = split / \| /, $row;
		# PostgreSQL's and pgpool's own messages, the system's, and what EC2 says.
		next if $row =~ /PostgreSQL's\b|Address family not|of an application|\(pgpool's\)/;
		foreach my $message (($page eq 'doc/sql.md' ? $cell[2] // '' : $cell[0]) =~ /`([^`]{25,})`/g)
		{
			next if $message =~ /^(?:no pg_hba|cannot execute|connection to server|source database|pg_|data directory|file |… |…: |permission denied for|function )|password authentication|^SELECT/;
			$messages++;
			push @unknown, map { "$page: $_" } grep { length > 9 && index($literals, $_) < 0 } split /…|: |;|pgha\.\w+ |\d+ seconds|"[^"]*"/, $message;
		}
	}
}
cmp_ok($messages, '>', 70, "messages: $messages");
is(join("\n", @unknown), '', 'each is one of the code');

done_testing();
