# No secret is in any command line or environment, where each user of the host can
# see it (root only): the password of pgha.conninfo's passfile, pgpool's, EC2's keys
# and tokens.  All processes of the host are looked at all the time during a clone,
# a rewind, a failover and `pgha vip`; a canary shows that they are seen.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Digest::MD5;
use FakeEc2;
use PghaCluster;
use PghaPgpool;
use POSIX ();
use Recoveries;
use Test::More;

plan skip_all => 'needs root' unless PghaCluster::is_root();
plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');
delete $ENV{$_} foreach grep { /^AWS_|^PGPASS|_proxy$/i } keys %ENV;

# Not in any text that a process of this test is started with.
sub make_secret { return join '', $_[0], map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. 24; }

my ($password, $pcp_password, $static_key) = map { make_secret($_) } qw(Rp Pc Ak);
my $cluster = PghaCluster->new(nodes => 2,
	settings => { 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '8s', 'pgha.auto_rejoin' => 'off' });
my ($a, $b) = $cluster->nodes;
my $ec2 = FakeEc2->start($cluster, keys => { AKIDSTATICSTATIC => $static_key }, settings => { lifetime => 420 });
my $base = $cluster->{base};

# ---- who looks ----

# Writes a line for each place where one of the secrets in the file stands; ends with us.
sub watch
{
	my ($secrets, $found, $rounds) = @_;
	my $parent = $$;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	my %told;
	open(my $out, '>>', $found) or POSIX::_exit(1);
	$out->autoflush(1);
	for (my $round = 1; getppid() == $parent; $round++)
	{
		my @secrets = split /\n/, PghaCluster::slurp($secrets) // '';
		foreach my $file (map { ("$_/cmdline", "$_/environ") } glob('/proc/[0-9]*'))
		{
			open(my $handle, '<', $file) or next;
			local $/;
			my $text = <$handle> // next;
			foreach my $n (0 .. $#secrets)
			{
				next if index($text, $secrets[$n]) < 0 || $told{"$file $n"}++;
				my ($command) = $file =~ /environ$/ ? PghaCluster::command_line($file =~ m{(\d+)}) : $text =~ tr/\0/ /r;
				print $out "secret $n in $file of: $command\n" =~ s/\Q$secrets[$n]\E/(secret)/gr;
			}
		}
		PghaCluster::spew("$rounds.new", $round) if $round % 10 == 0;
		rename "$rounds.new", $rounds if $round % 10 == 0;
	}
	POSIX::_exit(0);
}

# Secrets of EC2 come as they are asked for.
my $secrets = "$base/secrets";
my $found = "$base/found";
sub write_secrets { return PghaCluster::spew($secrets, join '', map { "$_\n" } $password, $pcp_password, $static_key, grep { length > 8 } @{ $ec2->state->{secrets} }); }

sub rounds { return PghaCluster::slurp("$base/rounds") // 0; }

# ---- a cluster that has secrets ----

$cluster->build;
PghaCluster::spew("$base/password.sql", "ALTER ROLE pgha PASSWORD '$password'");
PghaCluster::must_run([ PghaCluster::bindir() . '/psql', '-XAtq', '-d', $a->conninfo, '-f', "$base/password.sql" ]);
PghaCluster::spew("$base/passfile", "*:*:*:pgha:$password\n");
chmod 0600, "$base/passfile";
$cluster->wait_following($a, $b);
my $pgpool = PghaPgpool->start($cluster);
PghaCluster::spew("$pgpool->{directory}/pcp.conf", 'pgha:' . Digest::MD5::md5_hex($pcp_password) . "\n");
PghaCluster::spew("$pgpool->{directory}/secretpass", "*:*:pgha:$pcp_password\n");
chmod 0600, "$pgpool->{directory}/secretpass";
foreach my $node ($a, $b)
{
	PghaCluster::spew("$node->{data}/pg_hba.conf", join '', map { "$_\n" } 'local all postgres trust', 'host all postgres,pgpool 127.0.0.1/32 trust',
		map { "host $_ pgha 127.0.0.1/32 scram-sha-256" } qw(replication postgres));
	$node->set('pgha.conninfo' => "user=pgha passfile=$base/passfile", 'pgha.pgpool' => "127.0.0.1:$pgpool->{pcp_port}",
		'pgha.pgpool_passfile' => "$pgpool->{directory}/secretpass", 'pgha.address' => 'ec2:10.0.3.10@lo');
}
write_secrets();
PghaCluster::spew("$base/credentials", "[default]\naws_access_key_id = AKIDSTATICSTATIC\naws_secret_access_key = $static_key\n");
chmod 0600, "$base/credentials";

# ---- the canary ----

my $watcher = watch($secrets, $found, "$base/rounds");
foreach my $canary ([ 'a command line', [ 'perl', '-e', 'sleep 60', $password ] ], [ 'an environment', [ 'perl', '-e', 'sleep 60' ], env => { CANARY => $pcp_password } ])
{
	my ($where, $command, @option) = @$canary;
	my $pid = PghaCluster::spawn($command, @option);
	ok(PghaCluster::poll_until('', sub { (PghaCluster::slurp($found) // '') =~ m{^secret \d+ in /proc/$pid/}m }, 30), "what is in $where is found");
	kill 'KILL', $pid;
	waitpid($pid, 0);
}
# And one that is there for a moment only.
my $brief = PghaCluster::poll_until('', sub {
	my $pid = PghaCluster::spawn([ 'perl', '-e', 'select undef, undef, undef, 0.1', $static_key ]);
	waitpid($pid, 0);
	return (PghaCluster::slurp($found) // '') =~ m{^secret \d+ in /proc/$pid/}m;
}, 30);
ok($brief, 'what is there for a tenth of a second is found');
my $canaries = PghaCluster::slurp($found);

# ---- what must not be found ----

my $from = rounds();
$_->start_agent foreach $a, $b;
$cluster->wait_for('the role to log in with the password', sub { ($a->value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgha'") // 0) >= 3 });
like(order($a, $b, 'clone'), qr/^t$/m, 'a clone');
write_secrets();
diverge($a, $b, -1);
$a->kill9;
$cluster->wait_single_primary(among => [$b]);
$cluster->wait_for('the agent to be connected', sub { progress($b, $a, 'agent') eq 't' });
like(order($b, $a, 'rewind'), qr/^t$/m, 'a rewind');
write_secrets();

my @vip = (PghaCluster::pgha_program(), 'vip');
my @at = ("--ec2-endpoint=$ec2->{url}", '--insecure', map { s/^/--imds-endpoint=/r } $cluster->{node_settings}{a}{'pgha.imds_endpoint'});
foreach my $command (map { [ $_, 'ec2:10.0.3.11@lo', @at ] } qw(up show announce down))
{
	PghaCluster::run_command([ @vip, @$command ]);
	PghaCluster::run_command([ @vip, @$command ], env => { AWS_SHARED_CREDENTIALS_FILE => "$base/credentials" });
}
write_secrets();
PghaCluster::run_command([ @vip, 'show', 'ec2:10.0.3.11@lo', @at ]) foreach 1 .. 5;
PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'doctor', '-D', $a->{data}, '--pgpool-conf', "$pgpool->{directory}/pgpool.conf" ]);
my $last = rounds();
$cluster->wait_for('all processes to be looked at once more', sub { rounds() > $last });

# The secrets were used.
my @requests = $ec2->requests;
ok(scalar(grep { ($_->{access_key} // $_->{key} // '') ne '' || ($_->{signature} // '') eq 'good' } @requests), 'requests to EC2 were signed') or diag explain $requests[0];
like(PghaCluster::slurp($pgpool->{log}) // '', qr/PCP process|pcp/i, 'pgpool was spoken to');
unlike($_->agent_text, qr/authentication failed/, "the agent of $_->{name} has logged in everywhere") foreach $a, $b;
cmp_ok(rounds() - $from, '>', 100, 'the processes were looked at again and again');
kill 'KILL', $watcher;
waitpid($watcher, 0);
is(substr(PghaCluster::slurp($found), length $canaries), '', 'no secret was in any command line or environment');

# Nor in what is kept and told.
my @told = grep { -f $_ && -r _ } glob("$base/log/* $base/*.pgha/*");
foreach my $secret (split /\n/, PghaCluster::slurp($secrets))
{
	my @places = grep { index(PghaCluster::slurp($_) // '', $secret) >= 0 } @told;
	is("@places", '', 'a secret in a log or a file of the agent') if @places;
}
ok(scalar @told, 'logs and the files of the agents were looked at, too');

done_testing();
