# What lies in examples/ for an administrator to copy is true: systemd accepts the
# unit, server and agent accept every line of postgresql.conf, also those that are
# commented out, and the server every line of pg_hba.conf; the policies for AWS allow
# what the program asks EC2 for, and nothing else.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use JSON::PP;
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

# The witness's, likewise.
{
	my $witness = PghaCluster::slurp("$PghaCluster::ROOT/examples/pgha-witness.service");
	my ($server) = $witness =~ m{^ExecStart=(/\S+/postgres) -D /var/lib/postgresql/witness$}m;
	is($server, '/usr/lib/postgresql/15/bin/postgres', 'the unit of a witness runs the server of Debian');
	$witness =~ s/\Q$server\E/$program/;
	my (undef, $out, $err) = PghaCluster::run_command([ 'systemd-analyze', 'verify', write_file('pgha-witness.service', $witness) ]);
	is(join("\n", grep { /pgha-witness/ } split /\n/, "$out\n$err"), '', 'systemd accepts it, too');
}

# As its comment says for several clusters.
(my $template = $unit) =~ s{15/main}{%I}g;
$template =~ s{postgresql\@15-main}{postgresql\@%i}g;
is(complaints(write_file('pgha-agent@15-main.service', $template)), '', 'and as an instance of a template');
like(complaints(write_file('pgha-agent.service', "$unit\n[Service]\nKillMod=process\n")), qr/KillMod/, 'this check finds what is wrong');

my ($arguments) = $unit =~ m{^ExecStart=\S+ agent (.*)$}m;
my ($status, undef, $err) = PghaCluster::run_command([ $program, 'agent', split(/ /, $arguments =~ s{/etc}{/nonexistent}r), '--check' ]);
is($status, 2, 'the agent');
like($err, qr{/nonexistent/postgresql/15/main.*No such file}, 'knows the options of the unit');

# The address needs more than the unit allows by itself; the lines for it are there.
(my $with_address = $unit) =~ s/^#(?=(?:CapabilityBoundingSet|AmbientCapabilities|RestrictAddressFamilies)=)//mg;
is(complaints(write_file('pgha-agent.service', $with_address)), '', 'systemd accepts the lines for an address, too');
like($with_address, qr/^$_/m, "they have $_") foreach 'CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW$', 'AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW$',
	'RestrictAddressFamilies=AF_PACKET$';

# ---- policies for AWS ----

# Actions of EC2, as { action => [ files ] }.
my (%allowed, %asked);
foreach my $file (glob "$PghaCluster::ROOT/examples/aws/*.json")
{
	my ($name) = $file =~ m{([^/]+)$};
	my $policy = eval { decode_json(PghaCluster::slurp($file)) } // {};
	is($@, '', "$name is JSON");
	is($policy->{Version}, '2012-10-17', "$name is a policy");
	foreach my $statement (@{ $policy->{Statement} // [] })
	{
		my ($actions, $resources) = map { ref $_ ? $_ : [$_] } @$statement{qw(Action Resource)};
		push @{ $allowed{ s/^ec2://r } }, $name foreach @$actions;
		my $describes = !grep { !/^ec2:Describe/ } @$actions;
		is_deeply([ grep { ($_ eq '*') != $describes } @$resources ], [], "$name, $statement->{Sid}: only what cannot be restricted to resources is not");
		is(exists $statement->{Condition} ? 1 : 0, $describes ? 1 : 0, '... but to a region');
	}
}
foreach my $file (glob "$PghaCluster::ROOT/src/net/*.c")
{
	my $source = PghaCluster::slurp($file);
	$asked{$_} = 1 foreach $source =~ /_form\(&?form, "([A-Z]\w+)"/g, map { /"(\w+)"/g } $source =~ /\bactions\[\] = \{(.*?)\}/gs;
}
cmp_ok(scalar(keys %asked), '>=', 10, 'the actions are found in the source');
is_deeply([ sort keys %allowed ], [ sort keys %asked ], 'the policies allow what is asked for, and nothing else');
is_deeply([ grep { @{ $allowed{$_} } != 1 } sort keys %allowed ], [], 'each in one of them');

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
	# Histories come from the leader only: pgha's guard stands in front of the command.
	my $guard = $name eq 'restore_command' ? 'case %f in *.history) exit 1;; esac; ' : '';
	is($node->value("SHOW $name"), $guard . $setting{$name} =~ s/^(\d+) (\w+)$/$1$2/r, "$name is accepted");
}
is($node->value(q{SELECT string_agg(line_number || ': ' || error, '; ') FROM pg_hba_file_rules WHERE error IS NOT NULL}), '', 'pg_hba.conf has no mistakes');
is($node->value(q{SELECT count(*) FROM pg_hba_file_rules WHERE 'pgha' = ANY(user_name)}), '4', 'and lines for the role');
($status, my $checked, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), $program, 'agent', '-D', $node->{data}, '--check' ]);
is($status, 0, 'the agent reads it, too') or diag $err;
like($checked, qr/^$_/m, "and shows $_") foreach 'auto_rejoin +rewind', 'start_command +\S*/pg_ctlcluster ', 'clone_command +\S*/pgbackrest ', 'pgpool +10';

done_testing();
