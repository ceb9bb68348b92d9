# What people see of the program: `pgha recover` with its bar, `pgha status
# --watch`, colour, on a pseudo terminal and without one; and that help, man page
# and completion say the same.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Pty;
use JSON::PP;
use PghaCluster;
use POSIX qw(:sys_wait_h :termios_h);
use Test::More;
use Time::HiRes qw(usleep);

my $pgha = $ENV{PGHA} // PghaCluster::pgha_program();
my $root = $PghaCluster::ROOT;

delete $ENV{$_} foreach 'NO_COLOR', grep { /^PG(HOST|PORT|DATABASE|USER|SERVICE|OPTIONS|PASS)/ } keys %ENV;

sub run_pgha { return PghaCluster::run_command([ $pgha, @_ ]); }

# ---- help, man page and completion ----

my $page = PghaCluster::slurp("$root/doc/pgha.1");
my $script = PghaCluster::slurp("$root/completions/pgha.bash");

sub unique { my %seen; return join ' ', sort grep { !$seen{$_}++ } @_; }

# Long and short options; "-" is written "\-" in a page.
sub options_of
{
	my ($text) = @_;
	$text =~ s/\\-/-/g;
	$text =~ s/\\f[A-Z]//g;
	return unique($text =~ /(?<![\w-])(--[a-z][a-z0-9-]*|-[a-zA-Z?])(?![\w-])/g);
}

my (undef, $help) = run_pgha('--help');
my ($list) = $help =~ /^Subcommands:\n(.*?)\n\n/ms;
my @subcommands = $list =~ /^  (\S+)/mg;
my ($connection_help) = $help =~ /^(Connection options:.*?\n)\n/ms;
my %section;
{
	my ($part) = $page =~ /^\.SH SUBCOMMANDS\n(.*?)^\.SH/ms;
	%section = map { /^"pgha (\w+)(.*)"\n/ ? ($1 => $_) : () } split /^\.SS /m, $part;
}
# The reference for people, doc/cli.md: a chapter for each subcommand, or for two.
my $reference = PghaCluster::slurp("$root/doc/cli.md");
my %reference;
foreach my $chapter (split /^## /m, $reference)
{
	$reference{$_} = $chapter foreach ($chapter =~ /^(.*)/)[0] =~ /\bpgha (\w+)/g;
}
delete $reference{pgha};
is(unique(grep { !/^# / } keys %reference), unique(@subcommands), 'doc/cli.md has the subcommands that --help has');
is(unique(grep { $_ ne 'io' } keys %section), unique(@subcommands), 'the man page has the subcommands that --help has');
foreach my $subcommand (@subcommands)
{
	my (undef, $text) = run_pgha($subcommand, '--help');
	my ($usage) = $text =~ /^  pgha (.*)$/m;
	$text =~ s/^Connection options:.*//ms;
	my $text_options = options_of($text);
	is(options_of($section{$subcommand} // ''), $text_options, "the man page has the options of $subcommand");
	my ($title) = ($section{$subcommand} // '') =~ /^"pgha (.*)"$/m;
	$title =~ s/\\-/-/g;
	is($title, $usage, '... and its usage');
	like($script, qr/^\t\t.*\b$subcommand\b.*\) value=/m, '... and so has the completion');
	is(options_of($reference{$subcommand} // ''), $text_options, "the reference has the options of $subcommand");
	like($reference{$subcommand} // '', qr/^`pgha \Q$usage\E`|, `pgha \Q$usage\E`$/m, '... and its usage');
	my ($line) = $script =~ /^\t\t\w*[ |]*$subcommand[ |]*\w*\) value=(.*)$/m;
	my @long = grep { /^--/ } split ' ', $text_options;
	is(unique(($line // '') =~ /(--[\w-]+)/g), unique(@long), "... with the long options of $subcommand");
}
my ($options_part) = $page =~ /^\.SH OPTIONS\n(.*?)^\.SH/ms;
is(options_of($options_part), unique(split(' ', options_of($connection_help)), '--help', '--version', '-V'),
	'the man page has the options of all');
my ($connection_part) = $reference =~ /^## Connection\n(.*?)^## /ms;
is(options_of($connection_part), unique(split ' ', options_of($connection_help)), 'doc/cli.md has the options of CONNECTION');
like($reference, qr/`$_`/, "... and $_") foreach 'pgha --help', 'pgha --version', '-V';

# Exit codes, as the help of all and of each subcommand names them.
my %code;
foreach my $text ($help, map { (run_pgha($_, '--help'))[1] } @subcommands)
{
	my ($sentence) = $text =~ /^(Exit codes?:? .*?)(?:\n\n|\z)/ms;
	next unless defined $sentence;
	$code{$_} = 1 foreach ($sentence =~ s/\([^)]*\)//gr) =~ /\b(\d+)\b/g;
}
is(unique(keys %code), unique(0 .. 4, 130), 'the exit codes that help names');
my ($codes_part) = $reference =~ /^## Exit codes\n(.*?)^## /ms;
is(unique($codes_part =~ /^\| (\d+) \|/mg), unique(keys %code), 'doc/cli.md has them');
my ($status_part) = $page =~ /^\.SH "EXIT STATUS"\n(.*?)^\.SH/ms;
is(unique($status_part =~ /^\.B (\d+)$/mg), unique(keys %code), 'and so has the man page');

foreach my $check ([qw(mandoc -Tlint -W style)], [qw(man --warnings -E UTF-8 -l -Tutf8 -Z)])
{
	my ($status, $out, $err) = PghaCluster::run_command([ @$check, "$root/doc/pgha.1" ], env => { LC_ALL => 'C.UTF-8' });
	my $complaints = $check->[0] eq 'man' ? $err : $out . $err;
	is("$status $complaints", '0 ', "$check->[0] has no complaint about the man page");
}

# ---- installation ----

my $cluster = PghaCluster->new(nodes => 2, agents => 1)->build;
my ($a, $b) = $cluster->nodes;
{
	my @make = ('make', '-s', '-C', $root, "DESTDIR=$cluster->{base}/root", "PG_CONFIG=" . ($ENV{PG_CONFIG} // 'pg_config'));
	my $installed = sub { return unique(split ' ', PghaCluster::must_run([ 'find', "$cluster->{base}/root", '-type', 'f', '-printf', '%f ' ])) };
	PghaCluster::must_run([ @make, 'install-help' ]);
	is($installed->(), 'pgha pgha.1', 'man page and completion are installed');
	PghaCluster::must_run([ @make, 'install-help', 'COMPLETIONSDIR=/elsewhere' ]);
	ok(-e "$cluster->{base}/root/elsewhere/pgha", 'COMPLETIONSDIR chooses the place');
	PghaCluster::must_run([ @make, 'uninstall', 'COMPLETIONSDIR=/elsewhere' ]);
	PghaCluster::must_run([ @make, 'uninstall' ]);
	is($installed->(), '', 'and removed');
}

# ---- completion ----

# Completes the last of the words, as bash splits them.
sub completed
{
	my (@words) = @_;
	my ($status, $out, $err) = PghaCluster::run_command(
		[
			'bash', '--norc', '-c', 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pgha; printf "%s\n" "${COMPREPLY[@]}"',
			'bash', "$root/completions/pgha.bash", $pgha, @words
		]);
	is($err, '', "completion of \"@words\" is quiet");
	return join ' ', split /\s+/, $out;
}

my @at_a = ('-h', $a->{socket}, '-p', $a->{port}, '-U', 'postgres');
my @at_b = ('-h', $b->{socket}, '-p', $b->{port}, '-U', 'postgres');
my $members = "host=127.0.0.1,127.0.0.1 port=$a->{port},$b->{port} user=postgres connect_timeout=2";

is(unique(split ' ', completed('')), unique(@subcommands, 'help', '--help', '--version'), 'completion: subcommands');
is(completed('re'), 'resume restart recover', 'completion: beginning of a subcommand');
is(completed('status', '--wa'), '--watch', 'completion: option');
is(completed('recover', '--method', '=', 'c'), 'clone', 'completion: --method=');
is(completed('recover', '--method', '=', ''), 'auto start rewind clone', 'completion: all methods');
is(completed('recover', '-m', 'r'), 'rewind', 'completion: -m');
is(completed('status', '--color', '=', 'a'), 'auto always', 'completion: --color=');
is(completed('recover', @at_a, ''), 'b', 'completion: nodes but the primary');
is(completed('recover', '-m', 'clone', "'$members'", ''), '', 'completion: after the node there is none');
is(completed('recover', '-h', '127.0.0.1', '-p', $cluster->free_port, ''), '', 'completion: nobody answers');
is(completed('vip', ''), 'up down show announce', 'completion: what to do with an address');
is(completed('vip', 'up', '--kind', '=', 'ec2-'), 'ec2-elastic ec2-route', 'completion: --kind=');
is(completed('vip', 'up', '-i', 'l'), 'lo', 'completion: interfaces');
is(completed('vip', 'up', '-n', '--time'), '--timeout=', 'completion: -n has no value there');
{
	# The connection may follow.
	my ($status, $out) = PghaCluster::run_command(
		[
			'bash', '--norc', '-c', 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=2; _pgha; echo "${COMPREPLY[@]}"',
			'bash', "$root/completions/pgha.bash", $pgha, 'recover', '', "'$members'"
		]);
	is($out, "b\n", 'completion: nodes by a connection string that follows');
}

# Nothing that comes from elsewhere is evaluated, or put on the command line.
{
	my $planted = "$cluster->{base}/planted";
	my $fake = "$cluster->{base}/fake-pgha";
	my @names = ("x\$(touch $planted)", "x`touch $planted`", "x;touch $planted", "x\${IFS}y", "x'y", 'x\\"y', "x\x1b[2J", '-x', 'x y', "x\$((a[\$(touch $planted)]))", 'xa');
	my $json = join ",\n", map { qq(    {\n      "node": "$_"\n    }) } @names;
	PghaCluster::spew($fake, "#!/bin/sh\ncat << 'END'\n{\n  \"primary\": \"\$(touch $planted)\",\n  \"members\": [\n$json\n  ]\n}\nEND\n");
	chmod 0755, $fake;
	foreach my $begin ('', 'x', '$', 'x$')
	{
		my ($status, $out, $err) = PghaCluster::run_command(
			[ 'bash', '--norc', '-c', 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pgha; printf "<%s>" "${COMPREPLY[@]}"',
				'bash', "$root/completions/pgha.bash", $fake, 'recover', $begin ]);
		is("$out$err", $begin =~ /\$/ ? '<>' : '<xa>', "completion: hostile names for \"$begin\" are not offered");
	}
	my ($status, $out, $err) = PghaCluster::run_command(
		[ 'unshare', '-nm', 'bash', '--norc', '-c', 'mount -t sysfs sysfs /sys && ip link add "w\$(>p)" type bridge && ip link add wa type bridge && cd "$2" || exit 1;'
			  . 'source "$1"; COMP_WORDS=(pgha vip up -i w); COMP_CWORD=4; _pgha; printf "<%s>" "${COMPREPLY[@]}"; ls p',
			'bash', "$root/completions/pgha.bash", $cluster->{base} ]);
	is($out, '<wa>', 'completion: a hostile name of an interface is not offered') or diag $err;
	ok(!-e $planted && !-e "$cluster->{base}/p", 'completion: and nothing of the names was run');
}

# ---- a pseudo terminal ----

# Starts a command on a terminal of its own.
sub on_terminal
{
	my ($command, %option) = @_;
	my $pty = IO::Pty->new;
	my $slave = $pty->slave;
	$pty->set_winsize($option{rows} // 30, $option{columns} // 100);
	my $before = termios($slave);
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		$pty->make_slave_controlling_terminal;
		open(STDIN, '<&', $slave);
		open(STDOUT, '>&', $slave);
		open(STDERR, '>&', $slave);
		close $pty;
		$SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP PIPE);
		$ENV{TERM} = $option{TERM} // 'xterm';
		$ENV{NO_COLOR} = $option{NO_COLOR} if defined $option{NO_COLOR};
		exec @$command or POSIX::_exit(127);
	}
	return { pty => $pty, slave => $slave, pid => $pid, text => '', before => $before };
}

sub termios
{
	my ($slave) = @_;
	my $termios = POSIX::Termios->new;
	$termios->getattr(fileno $slave) or die "tcgetattr: $!";
	return join ' ', $termios->getiflag, $termios->getoflag, $termios->getcflag, $termios->getlflag;
}

# Reads what the terminal has shown; true if anything came.
sub pump
{
	my ($terminal) = @_;
	my $bits = '';
	vec($bits, fileno $terminal->{pty}, 1) = 1;
	return 0 unless select($bits, undef, undef, 0.02) > 0;
	return sysread($terminal->{pty}, $terminal->{text}, 65536, length $terminal->{text}) // 0;
}

sub shows
{
	my ($terminal, $pattern, $name) = @_;
	my $mark = $terminal->{mark} // 0;
	my $seen = PghaCluster::poll_until('', sub { pump($terminal); substr($terminal->{text}, $mark) =~ $pattern });
	ok($seen, $name) or diag substr($terminal->{text}, $mark) =~ s/\e/^[/gr =~ s/.*(.{1500})\z/$1/sr;
	return $seen;
}

# What follows is what shows() looks at.
sub mark { my ($terminal) = @_; 1 while pump($terminal); $terminal->{mark} = length $terminal->{text}; return; }

sub type { my ($terminal, $keys) = @_; syswrite($terminal->{pty}, $keys); return; }

# Waits for the end; exit code, or 128 + signal.
sub ended
{
	my ($terminal) = @_;
	my $reaped = 0;
	my $status;
	PghaCluster::poll_until('', sub {
		1 while pump($terminal);
		$reaped = waitpid($terminal->{pid}, WNOHANG);
		$status = $? if $reaped;
		return $reaped });
	if (!$reaped)
	{
		kill 'KILL', $terminal->{pid};
		waitpid($terminal->{pid}, 0);
		return 'running';
	}
	1 while pump($terminal);
	return ($status & 127) ? 128 + ($status & 127) : $status >> 8;
}

my $escape = qr/\e\[[0-9;?]*[A-Za-z]/;

# The text without escape sequences, and without what differs from call to call.
sub plain
{
	my ($text) = @_;
	$text =~ s/$escape//g;
	$text =~ s/\r//g;
	$text =~ s/\b\d+(?:\.\d)? s\b/N s/g;
	$text =~ s/[0-9A-F]+\/[0-9A-F]+/LSN/g;
	$text =~ s/\b\d+(\.\d)? [kMGT]?B\b/LAG/g;
	$text =~ s/ +/ /g;
	return $text;
}

# ---- status: agents, colour ----

my $seen_all = sub { my $view = $a->view; keys %$view == 2 && !grep { !$_->{reachable} || !$_->{agent} } values %$view };
$cluster->wait_for('all members and agents to be seen', $seen_all);
my ($code, $out, $err) = run_pgha('status', @at_a);
like($out, qr/ Agent +Age +TL +.*\n.*\n .  b .* yes +\d+\.\d s +\d/, 'status shows whose agent is connected');
unlike($out, qr/\e/, 'no colour where there is no terminal');
my $uncoloured = plain($out);
($code, $out) = run_pgha('status', '--json', @at_a);
my $document = decode_json($out);
ok((grep { $_->{node} eq 'b' && $_->{agent} } @{ $document->{members} }), 'so does status --json');
is(ref $document->{recoveries}, 'ARRAY', 'which has the recoveries, too');
($code, $out) = run_pgha('status', '--color=always', @at_a);
like($out, qr/\e\[32mprimary a\e\[0m.*\e\[32mprimary\e\[0m/s, '--color=always colours the primary');
is(plain($out), $uncoloured, '... and leaves the text as it is');
foreach my $case (
	[ 'on a terminal', 1 ],
	[ 'NO_COLOR', 0, NO_COLOR => 1 ],
	[ 'TERM=dumb', 0, TERM => 'dumb' ],
	[ '--color=never', 0 ],
	[ '--color=always in spite of NO_COLOR', 1, NO_COLOR => 1 ])
{
	my ($title, $coloured, %option) = @$case;
	my $terminal = on_terminal([ $pgha, 'status', '--wide', $title =~ /^(--\S+)/ ? $1 : (), @at_a ], %option);
	is(ended($terminal), 0, "status, $title");
	is($terminal->{text} =~ /\e\[3\dm/ ? 1 : 0, $coloured, $coloured ? '... has colours' : '... has none');
	is(plain($terminal->{text}), $uncoloured, '... and the same text');
}

# ---- wrong usage ----

sub program_is
{
	my ($arguments, $expected, $messages, $name) = @_;
	my @got = run_pgha(@$arguments);
	is($got[0], $expected, "$name: exit code");
	like($got[2], $messages, "$name: message");
	return;
}

program_is(['recover'], 2, qr/name of the node is missing.*pgha recover --help/s, 'recover without a node');
program_is([ 'recover', 'b', '--method=magic' ], 2, qr/method "magic" is not auto, rewind, clone or start/, 'no such method');
program_is([ 'status', '--method=auto' ], 2, qr/"--method=auto" is not an option/, 'option of another subcommand');
program_is([ 'status', '--color=pink' ], 2, qr/color "pink"/, 'no such colour');
program_is([ 'status', '--watch=0' ], 2, qr/"0" is not a number of seconds/, 'watch without a pause');
program_is([ 'status', '--watch', '--json' ], 2, qr/exclude each other/, 'watch and json');
program_is([ 'status', '--watch', 'crown=x' ], 1, qr/invalid connection option "crown"/, 'watch, with a bad connection string');
program_is([ 'recover', 'x', @at_a ], 1, qr/error: node "x" is not one of pgha.members\nHINT:  .*a, b/, 'recover an unknown node');
program_is([ 'recover', 'a', @at_a ], 1, qr/error: node "a" is the primary/, 'recover the primary');
program_is([ 'recover', 'b', @at_b ], 1, qr/goes on at the primary, 127\.0\.0\.1:$a->{port}\n.*error: node "b" is a standby that streams/s,
	'recover by way of a standby');
(my $reversed = $members) =~ s/port=(\d+),(\d+)/port=$2,$1/;
program_is([ 'recover', 'b', $reversed ], 1, qr/\Apgha: error: node "b" is a standby that streams/, 'recover finds the primary among several hosts');

# ---- recover ----

# Clones as slowly as the test wants: it says 10 of 100 MB for two seconds, in which
# the agent looks at least once, then 40 until the file `go` is there.  With the file `deaf` it does not end when it is told to.
my $clone = "$cluster->{base}/clone";
PghaCluster::spew($clone, <<"END");
#!/bin/bash
[ -e $cluster->{base}/deaf ] && trap '' INT
for i in {1..8}; do echo "10240/102400 kB (10%), 0/1 tablespace"; sleep 0.25; done
until [ -e $cluster->{base}/go ]; do echo "40960/102400 kB (40%), 0/1 tablespace"; sleep 0.1; done
exec ${\ $b->program('pg_basebackup')} -D "\$1" -h "\$2" -p "\$3" -U pgha -X stream -c fast
END
chmod 0755, $clone;
sub go { my ($go) = @_; my $file = "$cluster->{base}/go"; if ($go) { PghaCluster::spew($file, ''); } else { unlink $file; } return; }

sub progress { my ($column) = @_; return $a->value("SELECT $column FROM pgha_recovery_progress() WHERE node = 'b'") // ''; }
sub wait_progress { my ($column, $value) = @_; return $cluster->wait_for("$column $value", sub { progress($column) eq $value }); }

my $mark = $b->agent_mark;
$b->set('pgha.clone_command' => "$clone %d %h %p");
$b->wait_agent_log(qr/read the configuration again/, $mark);

go(1);
($code, $out, $err) = PghaCluster::run_command([ $pgha, 'recover', 'b', '--method=clone', @at_b ], timeout => 120);
is($code, 0, 'recover, without a terminal: exit code') or diag $err;
like($out, qr/\ANode "b" is a standby that streams, after \d+ s\.\n\z/, '... its outcome');
like($err, qr/\Apgha: this is a standby.*\n(NOTICE:  .*\n)+\z/, '... notices, a line each');
like($err, qr/^NOTICE:  node "b": cloning: /m, '... that tell the progress');
unlike($out . $err, qr/[\e\r]/, '... nothing that only a terminal understands');
$b->wait_streaming;
wait_progress(outcome => 'done');
go(0);

# On a terminal; Ctrl-C.
my $terminal = on_terminal([ $pgha, 'recover', 'b', '--method=clone', @at_a ]);
shows($terminal, qr/(\A|\r|\n|\e\[J)NOTICE:  /, 'recover, on a terminal: notices');
shows($terminal, qr{cloning  \[#+-+\]   40\.0 %  40/100 MB  \d+\.\d MB/s}, '... and a bar');
mark($terminal);
$terminal->{pty}->set_winsize(24, 44);
shows($terminal, qr{cloning  \[#+-+\]   40\.0 %  40/100 MB}, '... narrower, on a narrow terminal');
mark($terminal);
shows($terminal, qr/\r.*\r.*\r/s, '... drawn again and again');
my @wide = grep { length > 43 } map { s/$escape//gr } split /[\r\n]+/, substr($terminal->{text}, $terminal->{mark});
is("@wide", '', '... never wider than the terminal');
$terminal->{pty}->set_winsize(24, 12);
mark($terminal);
shows($terminal, qr/\r\e\[Jcloning/, '... nor on a very narrow one');
mark($terminal);		# what was on its way when it became narrow is past now
shows($terminal, qr/\r.*\r.*\r/s, '... again and again');
@wide = grep { length > 11 } map { s/$escape//gr } split /[\r\n]+/, substr($terminal->{text}, $terminal->{mark});
is("@wide", '', '... never wider');
$terminal->{pty}->set_winsize(24, 100);
type($terminal, "\003");
is(ended($terminal), 130, 'Ctrl-C cancels: exit code 130') or diag substr($terminal->{text}, -500);
like($terminal->{text}, qr/Cancels the recovery.*The recovery of node "b" was cancelled/s, '... the outcome is told');
is(progress('outcome'), 'cancelled', '... the agent has given it up');
$b->wait_streaming;
is(scalar(() = glob("$b->{data}.new-*")), 0, '... nothing is left of the clone, and the node is as it was');

# Without a terminal.
my $log = "$cluster->{base}/log/recover";
my $pid = PghaCluster::spawn([ $pgha, 'recover', 'b', '-m', 'clone', @at_a ], log => $log);
$cluster->wait_for('the clone to be under way', sub { progress('done_bytes') eq 40960 * 1024 });
kill 'INT', $pid;
ok(PghaCluster::poll_until('', sub { waitpid($pid, WNOHANG) > 0 }), 'SIGINT without a terminal');
is($? >> 8, 130, '... exit code 130');
unlike(PghaCluster::slurp($log), qr/[\e\r]/, '... no bar');
is(progress('outcome'), 'cancelled', '... cancelled');

# A second Ctrl-C, while the recovery takes its time to end.
PghaCluster::spew("$cluster->{base}/deaf", '');
$terminal = on_terminal([ $pgha, 'recover', 'b', '--method=clone', @at_a ]);
shows($terminal, qr{40/100 MB}, 'a recovery that does not end at once');
type($terminal, "\003");
shows($terminal, qr/Ctrl-C again/, '... Ctrl-C');
# After ten seconds it would be killed, which would be no wonder.
my @job = $b->job_pids;
kill 'STOP', @job;
type($terminal, "\003");
is(ended($terminal), 130, '... and again: ends at once');
is(progress('outcome'), '', '... although the recovery has not');
kill 'CONT', @job;
unlink "$cluster->{base}/deaf";
$cluster->wait_for('the recovery to be given up', sub { progress('outcome') eq 'cancelled' });

# Joined; and ended by another signal, the recovery goes on.
$pid = PghaCluster::spawn([ $pgha, 'recover', 'b', '-m', 'clone', @at_a ], log => $log);
$cluster->wait_for('the clone to be under way', sub { progress('done_bytes') eq 40960 * 1024 });
$terminal = on_terminal([ $pgha, 'recover', 'b', '--method=clone', $members ]);
shows($terminal, qr/NOTICE:  joining the recovery of node "b"/, 'a second call joins the recovery');
shows($terminal, qr{40/100 MB}, '... and shows how far it is');
kill 'TERM', $pid;
waitpid($pid, 0);
is($? & 127, POSIX::SIGTERM, 'the first is ended by SIGTERM');

# Watched meanwhile, by way of the standby: whose bars are the primary's.
my $watch = on_terminal([ $pgha, 'status', '--watch=0.2', @at_b ]);
shows($watch, qr/\e\[\?1049h/, 'watch takes the screen');
shows($watch, qr/Cluster main: .*\(as b sees it\)/, '... shows the table');
shows($watch, qr{Recovery of b  cloning  \[#+-+\]   40\.0 %}, '... and the recovery with a bar');
go(1);
is(ended($terminal), 0, 'the recovery goes on, and the second call waits for its end');
like(plain($terminal->{text}), qr/Node "b" is a standby that streams/, '... and says so');
$b->wait_streaming;
mark($watch);
shows($watch, qr/Cluster main: .*\(as b sees it\)/, 'watch goes on with the new server');
wait_progress(outcome => 'done');

# A role that may order, but not look.
$a->sql('CREATE ROLE operator LOGIN; GRANT EXECUTE ON FUNCTION pgha_recover_node(text, text) TO operator');
$terminal = on_terminal([ $pgha, 'recover', 'b', '--method=clone', "host=$a->{socket} port=$a->{port} user=operator" ]);
is(ended($terminal), 0, 'without a second session') or diag substr($terminal->{text}, -500);
like($terminal->{text}, qr/NOTICE:  node "b": cloning/, '... the notices tell the progress');
unlike($terminal->{text}, qr/\[#*-*\]|\e\[J/, '... and there is no bar');
$b->wait_streaming;

# ---- watch ----

mark($watch);
shows($watch, qr/Cluster main: .*\(as b sees it\)/, 'watch');
$b->freeze;
mark($watch);
shows($watch, qr/No answer from b since \d\d:\d\d:\d\d, \d+ s ago/, '... says when the member does not answer');
shows($watch, qr/What follows is what a says.*Cluster main: .*\(as a sees it\)/s, '... and what another one says');
$b->thaw;
mark($watch);
shows($watch, qr/every 0\.2 s, q ends\s+\e\[K\s+\e\[KCluster main: .*\(as b sees it\)/, '... until it answers again');
$watch->{pty}->set_winsize(10, 40);
mark($watch);
shows($watch, qr/\e\[H.*\e\[H.*\e\[H/s, '... on a smaller screen');
my ($picture) = substr($watch->{text}, $watch->{mark}) =~ /\e\[H.*\e\[H(.*?)\e\[H/s;
cmp_ok(scalar(split /\r*\n/, $picture), '<=', 10, '... no more lines than it has');
is(join('', grep { length > 40 } map { s/$escape//gr } split /\r*\n/, $picture), '', '... nor wider ones');
type($watch, 'q');
is(ended($watch), 0, 'q ends it');
like($watch->{text}, qr/\e\[\?25h.*\e\[\?1049l\z/s, '... gives the screen back');
is(termios($watch->{slave}), $watch->{before}, '... and the keyboard');

foreach my $way ('Ctrl-C', 'TERM', 'HUP')
{
	$watch = on_terminal([ $pgha, 'status', '--watch', @at_a ]);
	shows($watch, qr/Cluster main/, "watch, $way");
	isnt(termios($watch->{slave}), $watch->{before}, '... takes the keyboard');
	if ($way eq 'Ctrl-C') { type($watch, "\003"); } else { kill $way, $watch->{pid}; }
	is(ended($watch), 0, '... ends it');
	like($watch->{text}, qr/\e\[\?1049l\z/, '... gives the screen back');
	is(termios($watch->{slave}), $watch->{before}, '... and the keyboard');
}

# Stopped by Ctrl-Z, and continued.
$watch = on_terminal([ $pgha, 'status', '--watch=0.2', @at_a ]);
shows($watch, qr/Cluster main/, 'watch');
type($watch, "\032");
ok(PghaCluster::poll_until('', sub { pump($watch); PghaCluster::process_state($watch->{pid}) eq 'T' }), '... stopped by Ctrl-Z');
is(termios($watch->{slave}), $watch->{before}, '... gives the keyboard back');
mark($watch);
kill 'CONT', $watch->{pid};
shows($watch, qr/\e\[\?1049h.*Cluster main/s, '... goes on');
type($watch, 'q');
is(ended($watch), 0, '... to its end');

# Another host takes over, where there is no terminal.
run_pgha('pause', @at_a);
$pid = PghaCluster::spawn([ $pgha, 'status', '--watch=0.2', $members ], log => "$log.watch");
my $tables = sub { return PghaCluster::slurp("$log.watch") // '' };
$cluster->wait_for('two tables', sub { $tables->() =~ /\ACluster main: .*\(as a sees it\).*\n\nCluster main: /s });
pass('watch without a terminal prints one table after the other');
$a->freeze;
$cluster->wait_for('the other host to be asked', sub { $tables->() =~ /as b sees it/ });
pass('... asks another host when the first is gone');
$a->thaw;
kill 'TERM', $pid;
ok(PghaCluster::poll_until('', sub { waitpid($pid, WNOHANG) > 0 }), '... until a signal');
unlike($tables->(), qr/\e/, '... nothing that only a terminal understands');
run_pgha('resume', @at_a);

# Nobody has ever answered.
$pid = PghaCluster::spawn([ $pgha, 'status', '--watch=0.2', '-h', '127.0.0.1', '-p', $cluster->free_port ], log => "$log.nobody");
$cluster->wait_for('a message', sub { (PghaCluster::slurp("$log.nobody") // '') =~ /No answer from any member since .*refused/ });
pass('watch goes on if nobody has ever answered');
kill 'TERM', $pid;
waitpid($pid, 0);
is($?, 0, '... until a signal');

$cluster->stop_all;
done_testing();
