# t/walls sees each wall that is broken: in a copy of the tree, one after the
# other.  What the tree itself has to answer for is not looked at here, but in
# the suite "walls".
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use PghaCluster::Host qw($ROOT must_run run_command slurp);
use Test::More;

my $copy = tempdir('/tmp/pgha-walls-XXXXXX', CLEANUP => 1);
must_run([ 'cp', '-r', map({ "$ROOT/$_" } qw(src sim sql t examples bench doc README.md)), $copy ]);

sub walls
{
	my ($status, $out, $err) = run_command([ "$ROOT/t/walls", '--root', $copy, @_ ]);
	is($err, '', 't/walls complains of nothing else');
	return ($out, $status);
}

sub add
{
	my ($file, $text) = @_;
	make_path(dirname("$copy/$file"));
	open(my $handle, '>>', "$copy/$file") or die "$file: $!";
	print $handle $text;
	close $handle or die "$file: $!";
	return;
}

my ($before) = walls();
my %known = map { $_ => 1 } split /\n/, $before;
unlike($before, qr/no_such_room/, 'nothing is planted yet');

# What is planted (text at the end of files), and the sentences that are expected
# of it.  All of it is planted at once: a run of t/walls takes a second.
my (%planted, @expected);

sub breaks
{
	my ($what, $files, @sentences) = @_;
	$planted{$_} .= $files->{$_} foreach keys %$files;
	push @expected, [ $what, @sentences ];
	return;
}

# ---- who uses whom ----

# From one wing to another.
my @forbidden = (
	[qw(core common)], [qw(core server)], [qw(common net)], [qw(net host)], [qw(host recovery)], [qw(recovery agent)],
	[qw(agent cli)], [qw(cli agent)], [qw(cli recovery)], [qw(server net)], [qw(agent server)], [qw(server server/doctor)],
	[qw(server server/sql)], [qw(server/sql server/doctor)]);
breaks('an include into a wing above, or beside',
	{
		'sim/no_such_room.c' => "#include \"../src/common/no_such_room.h\"\n",
		map({ ("src/$_->[1]/no_such_room.h" => "\n") } @forbidden, [ '', 'common' ]),
		map({ my $from = $_; ("src/$from/no_such_room.c" => join '', map { "#include \"$_->[1]/no_such_room.h\"\n" } grep { $_->[0] eq $from } @forbidden) }
			map { $_->[0] } @forbidden)
	},
	qr/sim may not use common/,
	map { qr/^# src\/\Q$_->[0]\E\/no_such_room\.c: includes "\Q$_->[1]\E\/no_such_room\.h", but \Q$_->[0] may not use $_->[1]\E$/m } @forbidden);
breaks('... of which comments say nothing',
	{ 'src/net/xml.c' => "/*\n#include \"../cli/no_such_room.h\"\n*/\n#include \"../host/no_such_room.h\"\n",
		'src/cli/no_such_room.h' => "\n", 'src/host/no_such_room.h' => "\n" },
	qr/^(?!.*xml\.c: includes "..\/cli).*xml\.c: includes "..\/host\/no_such_room\.h"/s);
breaks('a function of a wing above, declared on the spot',
	{
		'src/agent/no_such_room.c' => "int\npgha_no_such_room(void)\n{\n\treturn 0;\n}\n",
		'src/net/xml.c' => "extern int pgha_no_such_room(void);\nint (*pgha_no_such_pointer) (void) = pgha_no_such_room;\n"
	},
	qr/src\/net\/xml\.c: names pgha_no_such_room\(\), but net may not use agent/);
breaks('a wing that nobody knows', { 'src/attic/no_such_room.c' => "int no_such_room;\n" }, qr/src\/attic: is no wing/);
breaks('a test that enters the server', { 't/unit/no_such_room.c' => "#include \"../../src/server/state.h\"\n" },
	qr/t\/unit\/no_such_room\.c: includes .* only src\/server may use src\/server/);

# ---- circles ----

breaks('a circle of includes',
	{
		'src/net/no_such_room_a.h' => "#include \"no_such_room_b.h\"\n",
		'src/net/no_such_room_b.c' => "#include \"no_such_room_c.h\"\n",
		'src/net/no_such_room_c.h' => "#include \"no_such_room_a.h\"\n",
		'src/net/no_such_room_b.h' => "\n"
	},
	qr{circle: net/no_such_room_a -> net/no_such_room_b -> net/no_such_room_c -> net/no_such_room_a});
breaks('a circle of calls behind a header that both share',
	{
		'src/host/no_such_room.h' => "extern void no_such_room_a(void);\nextern void no_such_room_b(void);\n",
		'src/host/no_such_room_a.c' => "#include \"no_such_room.h\"\n\nvoid\nno_such_room_a(void)\n{\n\tno_such_room_b();\n}\n",
		'src/host/no_such_room_b.c' => "#include \"no_such_room.h\"\n\nvoid\nno_such_room_b(void)\n{\n\tno_such_room_a();\n}\n"
	},
	qr{circle: host/no_such_room_a -> host/no_such_room_b -> host/no_such_room_a});

# ---- what else ----

breaks('files that are too long',
	{
		'src/core/no_such_long.c' => "\n" x 801, 'sim/no_such_long.c' => "\n" x 801, 't/no_such_long.pm' => "\n" x 802,
		'examples/no_such_long' => "\n" x 801, 'bench/no_such_long' => "\n" x 801, 'doc/no_such_long.md' => "\n" x 401,
		'README.md' => "\n" x 5000
	},
	(map { qr/\Q$_\E: has 80[12] lines, more than 800/ } qw(src/core/no_such_long.c sim/no_such_long.c t/no_such_long.pm
		examples/no_such_long bench/no_such_long)),
	qr/doc\/no_such_long\.md: has 401 lines, more than 400/, qr/README\.md: has \d+ lines, more than 300/);
breaks('a core that reads the clock', { 'src/core/states.c' => "#include <time.h>\n" },
	qr/src\/core\/states\.c: includes time\.h, but the core may include nothing but/);
breaks('server headers elsewhere',
	{ 'src/net/xml.c' => "#include \"postgres.h\"\n#include <utils/guc.h>\n", 'src/host/mark.c' => "#include \"no_such_header.h\"\n" },
	qr/src\/net\/xml\.c: includes postgres\.h, but/, qr/src\/net\/xml\.c: includes utils\/guc\.h, but/,
	qr/src\/host\/mark\.c: includes "no_such_header\.h", which is not in the tree/);
breaks('a version test outside compat.h',
	{ 'src/server/gate.c' => "#if PG_VERSION_NUM >= 170000\n#endif\n", 'src/recovery/lost.c' => "int no_such_room = PGHA_PG_MAJOR;\n" },
	qr/src\/server\/gate\.c:\d+: PG_VERSION_NUM:/, qr/src\/recovery\/lost\.c:\d+: PGHA_PG_MAJOR:/);
breaks('a shell',
	{
		'src/host/process.c' => "int x = system(\"true\");\nint y = popen (\"true\", \"r\");\nint z = execlp(\"true\") + 1;\nexecvp(\"true\", 0);\n",
		'src/host/mark.c' => "/* system() */\nconst char *no_such_room = \"popen(\";\n"
	},
	qr/^(?!.*mark\.c:\d+: (?:system|popen))/s,
	map { qr/src\/host\/process\.c:\d+: $_: runs a shell/ } qw(system popen execlp execvp));
breaks('a text of others on the terminal',
	{
		'src/recovery/lost.c' => "fprintf(stderr, \"%s\\n\", no_such_room);\n",
		'src/net/xml.c' => "perror(\"x\");\n",
		'src/cli/page.c' => "vfprintf(stderr, format, args);\nfprintf(stderr, \"no_such_room\\n\");\nPQconnectdb(\"\");\n"
	},
	qr/^(?!.*page\.c:\d+: fprintf)/s,
	qr/src\/recovery\/lost\.c:\d+: fprintf\(stderr, "",: prints/, qr/src\/net\/xml\.c:\d+: perror\(: prints/,
	qr/src\/cli\/page\.c:\d+: vfprintf\(stderr: prints/, qr/src\/cli\/page\.c:\d+: PQconnectdb: lets libpq print/);
breaks('marks left behind',
	{ 'src/net/xml.c' => '/* TO' . "DO: more */\n", 'sim/wal.c' => '/* X' . "XX */\n", 't/writer.c' => '// FIX' . "ME\n", 'sql/no_such_room.sql' => '-- HA' . "CK\n" },
	map { qr/\Q$_\E:\d+: \w+: a mark left behind/ } qw(src/net/xml.c sim/wal.c t/writer.c sql/no_such_room.sql));

# ---- one run for all of it ----

my %old = map { $_ => -e "$copy/$_" ? slurp("$copy/$_") : undef } keys %planted;
add($_, $planted{$_}) foreach keys %planted;
my ($out, $broken) = walls();
my $new = join "\n", grep { !$known{$_} } split /\n/, $out;
is($broken, 1, 'walls are broken');
foreach my $wall (@expected)
{
	my ($what, @sentences) = @$wall;
	my @missing = grep { $new !~ $_ } @sentences;
	ok(!@missing, $what) or diag "not found: @missing\n$out";
}
foreach my $file (keys %old)
{
	unlink "$copy/$file";
	add($file, $old{$file}) if defined $old{$file};
}

# ---- the module ----

add('no_such_room.c', "int no_such_room;\n");
my @link = ('cc', '-shared', '-fPIC', '-o', "$copy/pgha.so", "$copy/no_such_room.c");
must_run([@link]);
like((walls())[0], qr/^ok \d+ - the server module links no other library$/m, 'a module that links nothing');
must_run([ @link, '-Wl,--no-as-needed', map { "-l$_" } qw(curl ssl crypto pq) ]);
my ($linked) = walls();
like($linked, qr/pgha\.so: is linked with lib$_\./, "one that links $_") foreach qw(curl ssl crypto pq);
unlink "$copy/pgha.so";

# ---- what is printed for people ----

like((walls('--graph'))[0], qr/^### sim\n\n\| room \| uses \|\n.*^\| wal \| (?:\S+, )*world \|$/ms, 'the graph as tables');
my ($largest) = walls('--largest');
is(scalar(split /\n/, $largest), 10, 'ten files') or diag $largest;
my ($after, $status) = walls();
is($after, $before, 'nothing is left of what was planted');
is($status, $before =~ /^not ok/m ? 1 : 0, 'the exit code says whether all walls stand');

done_testing();
