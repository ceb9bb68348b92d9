# Everything between members goes over TLS with verified certificates, by a role
# that is no superuser: with a password, then with client certificates.  What is
# refused says why where it is asked for, and no secret shows up anywhere.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Find;
use PghaCluster;
use Test::More;

# The times are the defaults: on a busy machine a handshake may take longer than
# what other tests allow a member to be silent.
my $cluster = PghaCluster->new(nodes => 2, settings => {
	log_connections => 'on', 'pgha.auto_rejoin' => 'rewind',
	'pgha.heartbeat_interval' => '500ms', 'pgha.failure_timeout' => '3s', 'pgha.startup_grace' => '10s' });
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};
my $password = join '', map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. 24;

# ---- certificates ----

my $tls = "$base/tls";
mkdir $tls;
PghaCluster::give_to_postgres($tls);

sub openssl { PghaCluster::must_run([ PghaCluster::as_postgres(), 'openssl', @_ ], cwd => $tls); }

sub make_ca
{
	my ($name) = @_;
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
		'-subj', "/CN=$name", '-keyout', "$name.key", '-out', "$name.crt");
}

sub make_certificate
{
	my ($name, $ca, $subject, $alternative) = @_;
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
		'-subj', "/CN=$subject", '-keyout', "$name.key", '-out', "$name.csr");
	PghaCluster::spew("$tls/$name.ext", $alternative ? "subjectAltName = $alternative\n" : "keyUsage = digitalSignature\n");
	openssl('x509', '-req', '-in', "$name.csr", '-days', '2', '-CA', "$ca.crt", '-CAkey', "$ca.key", '-CAcreateserial',
		'-extfile', "$name.ext", '-out', "$name.crt");
	chmod 0600, "$tls/$name.key";
}

make_ca($_) foreach 'ca', 'stranger';
make_certificate($_->{name}, 'ca', "node $_->{name}", 'IP:127.0.0.1') foreach $a, $b;
make_certificate('misnamed', 'ca', 'elsewhere.example', 'DNS:elsewhere.example');
make_certificate('foreign', 'stranger', 'node x', 'IP:127.0.0.1');
make_certificate('client', 'ca', 'pgha');

# The server's certificate and key lie in the data directory, where a rewind or
# a clone would bring another node's.
sub install_certificate
{
	my ($node, $name) = @_;
	foreach my $kind (qw(crt key))
	{
		PghaCluster::spew("$node->{data}/server.$kind", PghaCluster::slurp("$tls/$name.$kind"));
	}
	chmod 0600, "$node->{data}/server.key";
}

sub set_hba
{
	my ($node, @lines) = @_;
	PghaCluster::spew("$node->{data}/pg_hba.conf", join '', map { "$_\n" } 'local all postgres trust', @lines);
	$node->reload if $node->is_running;
}

my @scram = map { "hostssl $_ pgha 127.0.0.1/32 scram-sha-256" } qw(replication postgres);
my @cert = map { "hostssl $_ pgha 127.0.0.1/32 cert clientcert=verify-full" } qw(replication ops);
my $passfile = "$tls/passfile";

sub write_passfile { PghaCluster::spew($passfile, "*:*:*:pgha:$_[0]\n"); chmod $_[1] // 0600, $passfile; }

my $verify = "user=pgha sslmode=verify-full sslrootcert=$tls/ca.crt";
my $with_password = "$verify passfile=$passfile channel_binding=require";
my $with_certificate = "$verify sslcert=$tls/client.crt sslkey=$tls/client.key passfile=$tls/none dbname=ops";

# ---- what the agent runs ----

# Its programs are run by one that writes down arguments and environment.
my $bin = "$base/bin";
my $argv = "$base/argv";
mkdir $bin;
symlink $_, "$bin/" . (split m{/})[-1] foreach grep { !m{/(pgha|pg_rewind|pg_basebackup)$} } glob(PghaCluster::bindir() . '/*');
PghaCluster::must_run([ 'cp', PghaCluster::pgha_program(), "$bin/pgha" ]);
foreach my $program (qw(pg_rewind pg_basebackup))
{
	PghaCluster::spew("$bin/$program", "#!/bin/sh\n{ echo \"\$0 \$*\"; env; cat /proc/\$PPID/cmdline; } >> $argv\n"
		. 'exec ' . PghaCluster::bindir() . "/$program \"\$@\"\n");
	chmod 0755, "$bin/$program";
}
PghaCluster::spew($argv, '');
{
	no strict 'refs';
	no warnings 'redefine';
	*$_ = sub { return "$bin/pgha"; } foreach qw(PghaCluster::pgha_program PghaCluster::Node::pgha_program);
}

# ---- the cluster, moved to TLS ----

$cluster->build;
is($a->value(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'pgha'}), 'f', 'the role is no superuser');
$a->sql("ALTER ROLE pgha PASSWORD '$password'");
write_passfile($password);
$cluster->wait_following($a, $b);
$_->stop foreach $b, $a;
foreach my $node ($a, $b)
{
	install_certificate($node, $node->{name});
	PghaCluster::spew("$node->{data}/ca.crt", PghaCluster::slurp("$tls/ca.crt"));
	set_hba($node, @scram);
	$node->configure(ssl => 'on', ssl_ca_file => 'ca.crt', 'pgha.conninfo' => $with_password);
	$node->{tls_since} = $node->log_mark;
}
$a->start;
$b->start;
$a->wait_writable;
$cluster->wait_following($a, $b);
$_->start_agent foreach $a, $b;

# Sessions of the role on a server: "all/over TLS/with the role's certificate".
sub sessions
{
	my ($node) = @_;
	return $node->value(q{SELECT concat_ws('/', count(*), count(*) FILTER (WHERE s.ssl), count(*) FILTER (WHERE s.client_dn = '/CN=pgha'))}
		. q{ FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.usename = 'pgha'});
}

# Agents of both, both monitors, the WAL receiver; the latter and the agents come by themselves.
sub check_sessions
{
	my ($primary, $standby, $certificates) = @_;
	$cluster->wait_for('a session with the standby', sub { (sessions($standby) // '') =~ m{^[1-9]} });
	$cluster->wait_for('all sessions to be there', sub { (sessions($primary) // '') =~ m{^(\d+)/} && $1 >= 4 });
	like(sessions($primary), qr{^(\d+)/\1/@{[ $certificates ? '\1' : '0' ]}$}, "pg_stat_ssl: all sessions with the primary use TLS, $certificates with a certificate");
	like(sessions($standby), qr{^([1-9]\d*)/\1/}, 'and those with the standby');
	foreach my $node ($primary, $standby)
	{
		my @lines = grep { /connection authorized: user=pgha/ } split /\n/, $node->log_since($node->{tls_since});
		cmp_ok(scalar(@lines), '>', 0, "$node->{name} has logged the role's logins");
		is(scalar(grep { !/SSL enabled/ } @lines), 0, 'none of them without TLS');
	}
}

# The primary dies with commits that the standby has not got.  Returns the new
# primary and the old one, which streams again.
sub fail_over
{
	my ($primary, $standby) = @_;
	my $mark = $primary->agent_mark;
	my $sender = $primary->value("SELECT pid FROM pg_stat_replication WHERE application_name = '$standby->{name}'");
	kill 'STOP', $sender;
	$primary->sql('INSERT INTO probe VALUES (-1)');
	$primary->kill9;
	is($cluster->wait_single_primary(among => [$standby]), $standby, "$standby->{name} leads");
	$primary->wait_streaming;
	$cluster->wait_following($standby, $primary);
	$primary->wait_agent_log(qr/recovery done/, $mark);
	like(substr($primary->agent_text, $mark), qr/rewinding/, 'by a rewind');
	return ($standby, $primary);
}

sub recover
{
	my ($primary, $node, $method) = @_;
	# An order would join a recovery that is about to end.
	$cluster->wait_for("no recovery of $node->{name} to be under way", sub { !$node->job_pids
		&& ($primary->value("SELECT count(*) FROM pgha_recovery_progress() WHERE node = '$node->{name}' AND job IS NOT NULL AND outcome IS NULL") // '') eq '0' });
	my ($status, $out, $err) = $primary->psql("SELECT pgha_recover_node('$node->{name}', '$method')", timeout => 180);
	return $status == 0 ? ($out, $err) : ('error', $err);
}

sub check_clone
{
	my ($primary, $node) = @_;
	my ($out, $err) = recover($primary, $node, 'clone');
	is($out, 't', "$node->{name} is cloned") or diag $err, $node->agent_text;
	unlike($err, qr/joining/, 'by a job of its own');
	$node->wait_streaming;
	$cluster->wait_following($primary, $node);
	is(PghaCluster::slurp("$node->{data}/server.crt"), PghaCluster::slurp("$tls/$node->{name}.crt"), 'it has its own certificate');
	is((stat "$node->{data}/server.key")[2] & 0777, 0600, 'and its key is as private as before');
}

# A recovery that cannot log in: the message tells the cause, the node is left alone.
sub check_refused
{
	my ($primary, $node, $what, $pattern) = @_;
	my $pid = $node->value('SELECT pg_postmaster_start_time()');
	my ($out, $err) = recover($primary, $node, 'clone');
	is($out, 'error', "$what: an error");
	like($err, $pattern, 'that names the cause');
	is($node->value('SELECT pg_postmaster_start_time()'), $pid, "$node->{name} was left alone");
}

# ---- with a password ----

check_sessions($a, $b, 0);
my ($primary, $standby) = fail_over($a, $b);
check_clone($primary, $standby);
check_sessions($primary, $standby, 0);

install_certificate($primary, 'misnamed');
$primary->reload;
check_refused($primary, $standby, 'certificate of another name', qr/could not connect to the primary.*DETAIL: .*server certificate for "elsewhere.example".* does not match host name "127.0.0.1"/s);
install_certificate($primary, 'foreign');
$primary->reload;
check_refused($primary, $standby, 'certificate of another CA', qr/could not connect to the primary.*DETAIL: .*certificate verify failed/s);
install_certificate($primary, $primary->{name});
$primary->reload;

# What the monitor sees of a member whose certificate is wrong.
install_certificate($standby, 'foreign');
$standby->restart;
$cluster->wait_for('the primary to see the wrong certificate',
	sub { ($primary->view->{ $standby->{name} }{error} // '') =~ /certificate verify failed/ });
pass('pgha_cluster() names a certificate of another CA');
install_certificate($standby, 'misnamed');
$standby->restart;
$cluster->wait_for('the primary to see the wrong name',
	sub { ($primary->view->{ $standby->{name} }{error} // '') =~ /"elsewhere.example".* does not match host name "127.0.0.1"/ });
pass('and one of another name');
install_certificate($standby, $standby->{name});
$standby->restart;
$cluster->wait_following($primary, $standby);
$standby->wait_agent;

$primary->sql("ALTER ROLE pgha PASSWORD 'other'");
check_refused($primary, $standby, 'wrong password', qr/DETAIL: .*password authentication failed for user "pgha"/s);
$primary->sql("ALTER ROLE pgha PASSWORD '$password'");
write_passfile($password, 0644);
check_refused($primary, $standby, 'passfile that others can read', qr/DETAIL: .*no password supplied.*HINT: .*passfile.*0600/s);
write_passfile($password);
set_hba($primary, grep { !/ postgres / } @scram);
check_refused($primary, $standby, 'no line for the database', qr/DETAIL: .*no pg_hba.conf entry for host "127.0.0.1", user "pgha", database "postgres", SSL encryption.*HINT: .*pg_hba.conf/s);
set_hba($primary, grep { !/ replication / } @scram);
check_refused($primary, $standby, 'no line for replication', qr/DETAIL: .*no pg_hba.conf entry for replication connection from host "127.0.0.1", user "pgha", SSL encryption.*HINT: .*pg_hba.conf/s);
set_hba($primary, @scram);

# An agent that cannot log in to the primary says why in its log.
my $mark = $standby->agent_mark;
$standby->stop_agent;
$primary->sql("ALTER ROLE pgha PASSWORD 'other'");
$standby->start_agent(wait => 0);
$standby->wait_agent_log(qr/primary: .*password authentication failed for user "pgha"/, $mark);
my ($out, $err) = recover($primary, $standby, 'clone');
like($err, qr/the agent of node "$standby->{name}" is refused the login: password authentication failed for user "pgha"\n.*DETAIL: .* from 127\.0\.0\.\d.*HINT: .*pgha\.conninfo/s,
	'an agent that cannot log in: the caller is told what it was told');
like($primary->value(q{SELECT finding FROM pgha_doctor() WHERE "check" = 'agents'}, timeout => 60), qr/the agent of "$standby->{name}" is refused the login.*password authentication failed/, 'pgha_doctor() says so, too');
# As the server of a node that is down cannot say what its agent sees.
$standby->stop;
$primary->sql("ALTER ROLE pgha PASSWORD '$password'");
set_hba($primary, grep { !/ postgres / } @scram);
$standby->wait_agent_log(qr/primary: .*no pg_hba.conf entry/, $mark);
($out, $err) = recover($primary, $standby, 'start');
like($err, qr/is refused the login: no pg_hba.conf entry for host "127\.0\.0\.\d", user "pgha", database "postgres"/, 'its server is down: all the same');
set_hba($primary, @scram);
$standby->wait_agent;
($out, $err) = recover($primary, $standby, 'start');
is($out, 't', 'it is let in, and its node started') or diag $err, $standby->agent_text;
$standby->wait_streaming;


# ---- with client certificates, and in another database ----

$primary->sql('CREATE DATABASE ops');
$primary->sql('CREATE EXTENSION pgha', database => 'ops');
$primary->sql('SELECT pgha_setup_role()', database => 'ops');
$cluster->wait_following($primary, $standby);
my %mark = map { $_->{name} => $_->agent_mark } $a, $b;
foreach my $node ($a, $b)
{
	set_hba($node, @cert);
	$node->set('pgha.conninfo' => $with_certificate);
}
$_->wait_agent_log(qr/read the configuration again/, $mark{ $_->{name} }) foreach $a, $b;
$_->restart foreach $standby;
$cluster->wait_following($primary, $standby);
($primary, $standby) = fail_over($primary, $standby);
check_clone($primary, $standby);
check_sessions($primary, $standby, 1);

chmod 0644, "$tls/client.key";
check_refused($primary, $standby, 'key that others can read', qr/DETAIL: .*private key file ".*client.key" has group or world access/s);
chmod 0600, "$tls/client.key";
$primary->sql('ALTER ROLE pgha RENAME TO somebody');
check_refused($primary, $standby, 'the role is not there', qr/DETAIL: .*role "pgha" does not exist/s);
$primary->sql('ALTER ROLE somebody RENAME TO pgha');

# ---- no secret anywhere ----

my @secrets = ($password, map { my @lines = split /\n/, PghaCluster::slurp($_); @lines[ 1 .. $#lines - 1 ] } glob("$tls/*.key"));
my %seen;

sub search
{
	my ($where, $text) = @_;
	$seen{$where} = 1 if grep { index($text, $_) >= 0 } @secrets;
}

foreach my $pid (map { m{(\d+)$} } glob('/proc/[0-9]*'))
{
	search("command line of $pid", PghaCluster::slurp("/proc/$pid/cmdline") // '');
}
like(PghaCluster::slurp($argv), qr/$_/, "arguments of $_ were written down") foreach qw(pg_rewind pg_basebackup);
my @files = ($argv, glob("$base/log/*"), glob("$base/*/pgha.events"), glob("$base/*/pgha.state"));
find({ no_chdir => 1, wanted => sub { push @files, $_ if -f && !m{/settings/server\.key$} } }, glob("$base/*.pgha"));
search($_, PghaCluster::slurp($_) // '') foreach @files;
is(join(' ', sort keys %seen), '', 'no secret in a log, command line, environment, job file or event');
search('report', join ' ', map { $_->value('SHOW pgha.report') // '' } $a, $b);
is(join(' ', sort keys %seen), '', 'nor in a report');
foreach my $node ($a, $b)
{
	is((stat $node->agent_directory)[2] & 0777, 0700, "the agent's directory of $node->{name} is private");
}

done_testing();
