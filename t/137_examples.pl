# What lies in examples/ for an administrator to copy is true: systemd accepts the
# unit, server and agent accept every line of postgresql.conf, also those that are
# commented out, and the server every line of pg_hba.conf.
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

# ---- postgresql.conf and pg_hba.conf ----

my $cluster = PghaCluster->new(names => ['db-1']);
my ($node) = $cluster->nodes;
$node->initdb;
my $conf = PghaCluster::slurp("$PghaCluster::ROOT/examples/postgresql.conf");
$conf =~ s/^#(?=[a-z_.]+ = )//mg;
my %setting = $conf =~ /^([a-z_.]+) = (.*?)(?:\t+#.*)?$/mg;
s/^'(.*)'$/$1/ foreach values %setting;
cmp_ok(scalar(keys %setting), '>', 20, 'postgresql.conf has settings');
# The last one of each counts; what depends on the place is put right after it.
PghaCluster::spew("$node->{data}/examples.conf", $conf);
PghaCluster::spew("$node->{data}/postgresql.conf", PghaCluster::slurp("$node->{data}/postgresql.conf")
	. "include 'examples.conf'\n" . PghaCluster::Node::settings_text(
		port => $node->{port}, 'pgha.members' => "db-1=127.0.0.1:$node->{port}, db-2=10.0.3.22:5432, db-3=10.0.3.23:5432",
		'pgha.conninfo' => 'user=pgha', synchronous_standby_names => '',
		ssl => 'on', ssl_ca_file => 'server.crt'));
PghaCluster::must_run([ PghaCluster::as_postgres(), 'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=db-1',
		'-keyout', "$node->{data}/server.key", '-out', "$node->{data}/server.crt" ]);
my $hba = PghaCluster::slurp("$PghaCluster::ROOT/examples/pg_hba.conf");
$hba =~ s/^#(?=hostssl)//mg;
PghaCluster::spew("$node->{data}/pg_hba.conf", "local all postgres trust\n$hba");
$node->start;
delete @setting{qw(pgha.members pgha.conninfo synchronous_standby_names)};
foreach my $name (sort keys %setting)
{
	is($node->value("SHOW $name"), $setting{$name} =~ s/^(\d+) (\w+)$/$1$2/r, "$name is accepted");
}
is($node->value(q{SELECT string_agg(line_number || ': ' || error, '; ') FROM pg_hba_file_rules WHERE error IS NOT NULL}), '', 'pg_hba.conf has no mistakes');
is($node->value(q{SELECT count(*) FROM pg_hba_file_rules WHERE 'pgha' = ANY(user_name)}), '4', 'and lines for the role');
($status, my $checked, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), $program, 'agent', '-D', $node->{data}, '--check' ]);
is($status, 0, 'the agent reads it, too') or diag $err;
like($checked, qr/^$_/m, "and shows $_") foreach 'auto_rejoin +rewind', 'start_command +\S*/pg_ctlcluster ', 'clone_command +\S*/pgbackrest ', 'pgpool +10';

done_testing();
