# The units in examples/ are ones that systemd accepts, as a service and as a
# template, and the agent's options in them are ones that it knows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $directory = tempdir(CLEANUP => 1);
my $unit = PghaCluster::slurp("$PghaCluster::ROOT/examples/pgha-agent.service");
my $program = PghaCluster::pgha_program();

sub write_file
{
	my ($name, $text) = @_;
	open(my $file, '>', "$directory/$name") or die "$directory/$name: $!";
	print $file $text;
	close $file;
	return "$directory/$name";
}

# What systemd says about our unit; it also loads others.
sub complaints
{
	my ($file) = @_;
	my (undef, $out, $err) = PghaCluster::run_command([ 'systemd-analyze', 'verify', $file ]);
	return join "\n", grep { /pgha-agent/ } split /\n/, "$out\n$err";
}

my ($command) = $unit =~ m{^ExecStart=(/\S+/pgha)\s}m;
is($command, '/usr/lib/postgresql/15/bin/pgha', 'the unit runs the program where make install puts it on Debian');
$unit =~ s/\Q$command\E/$program/;
is(complaints(write_file('pgha-agent.service', $unit)), '', 'systemd accepts the unit');

# As its comment says for several clusters.
(my $template = $unit) =~ s{15/main}{%I}g;
$template =~ s{postgresql\@15-main}{postgresql\@%i}g;
is(complaints(write_file('pgha-agent@15-main.service', $template)), '', 'and as an instance of a template');
like(complaints(write_file('pgha-agent.service', "$unit\n[Service]\nKillMod=process\n")), qr/KillMod/, 'this check finds what is wrong');

my ($arguments) = $unit =~ m{^ExecStart=\S+ agent (.*)$}m;
my ($status, undef, $err) = PghaCluster::run_command([ $program, 'agent', split(/ /, $arguments =~ s{/etc}{/nonexistent}r), '--check' ]);
is($status, 2, 'the agent');
like($err, qr{/nonexistent/postgresql/15/main.*No such file}, 'knows the options of the unit');

done_testing();
