# The program finds the cluster of its host: by -D, --config, PGDATA, Debian's clusters;
# as postgres, as root, as somebody else; with its server up and down; and goes to the
# member that a word names.  Who may give orders, and `pgha uri`.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use JSON::PP;
use PghaCluster;
use PghaCluster::Host qw(:all);
use Test::More;

delete $ENV{$_} foreach grep { /^PG(?!_CONFIG|HA)/ } keys %ENV;

my $pgha = PghaCluster::pgha_program();
my $cluster = PghaCluster->new(names => [qw(db-1 db-2 db-3)], agents => 1, witnesses => ['w-1'])->build;
my ($one, $two, $three) = $cluster->nodes;
my ($witness) = $cluster->witnesses;
$cluster->wait_following($one);

# Debian's directories: 15/one and 15/plain at first.
my $root = "$cluster->{base}/etc";
my $major = PghaCluster::Host::major();

sub debian_cluster
{
	my ($name, $text) = @_;
	must_run([ 'mkdir', '-p', "$root/$major/$name" ]);
	spew("$root/$major/$name/postgresql.conf", $text);
	must_run([ 'chown', '-R', 'postgres', "$root/$major/$name" ]) if is_root();
	return;
}
debian_cluster('plain', "port = 1\n");
debian_cluster('one', "data_directory = '$one->{data}'\ninclude '$one->{data}/node.conf'\npgha.members = '$cluster->{members}'\npgha.witnesses = '$cluster->{witness_list}'\npgha.conninfo = 'user=pgha'\n");

my @postgres = as_postgres();

# (status, stdout, stderr) as this user, with this environment.
sub run_as
{
	my ($user, $env, @arguments) = @_;
	my @as = $user eq 'root' ? () : ('setpriv', "--reuid=$user", '--regid=' . ($user eq 'nobody' ? 'nogroup' : $user), '--init-groups');
	@as = () unless is_root();
	return run_command([ @as, 'env', "PG_CLUSTER_CONF_ROOT=$root", (map { "$_=$env->{$_}" } keys %$env), $pgha, @arguments ], timeout => 60);
}

sub answers
{
	my ($what, $node, $user, $env, @arguments) = @_;
	my ($status, $out, $err) = run_as($user, $env, 'status', '--json', @arguments);
	my $document = eval { decode_json($out) } // {};
	is($document->{answered_by}, $node, "$what: $node answers") or diag "$status: $out$err";
	return $err;
}

sub refuses
{
	my ($what, $code, $pattern, $user, $env, @arguments) = @_;
	my ($status, $out, $err) = run_as($user, $env, @arguments);
	is($status, $code, "$what: exit code $code") or diag "$out$err";
	like($err, $pattern, '... and says why');
	return;
}

# db-2 lets in by peer only: root for this test's own questions.
spew("$two->{data}/pg_ident.conf", "t root postgres\nt postgres postgres\n");
spew("$two->{data}/pg_hba.conf", "local all all peer map=t\nhost all,replication all 127.0.0.1/32 trust\n");
$two->reload;
$cluster->wait_for('db-2 to let in by peer', sub { ($two->error('SELECT 1', user => 'pgha') // '') =~ /Peer authentication failed/ });

# ---- which cluster, and as whom ----

is(answers('-D', 'db-2', 'postgres', {}, '-D', $two->{data}), '', 'and nothing is said');
answers('--pgdata', 'db-3', 'postgres', {}, "--pgdata=$three->{data}");
answers('--config', 'db-2', 'postgres', {}, '--config', "$two->{data}/postgresql.conf");
answers('PGDATA', 'db-3', 'postgres', { PGDATA => $three->{data} });
answers('-D before PGDATA', 'db-2', 'postgres', { PGDATA => $three->{data} }, '-D', $two->{data});
answers('the only cluster with pgha', 'db-1', 'postgres', {});
answers('--cluster', 'db-1', 'postgres', {}, '--cluster', "$major/one");
answers('PGCLUSTER', 'db-1', 'postgres', { PGCLUSTER => "$major/one" });
answers("what pg_wrapper sets", 'db-1', 'postgres', { PGCLUSTER => "$major/one", PGHOST => $one->{socket}, PGPORT => $one->{port} });
answers('PGHOST and PGPORT win over all that is found', 'db-3', 'postgres', { PGDATA => $two->{data}, PGHOST => $three->{socket}, PGPORT => $three->{port}, PGUSER => 'postgres' });
answers('a connection string wins', 'db-3', 'postgres', { PGDATA => $two->{data} }, $three->conninfo);
refuses('a cluster that is not there', 2, qr/none" cannot be used: No such file or directory\nHINT:  pg_lsclusters/, 'postgres', {}, 'status', '--cluster', "$major/none");
refuses('the same for doctor', 2, qr/none" cannot be used/, 'postgres', {}, 'doctor', '--cluster', "$major/none");
refuses('no cluster at all', 2, qr/"\.\.\/x" is not a cluster\nHINT:  Write VERSION\/NAME/, 'postgres', {}, 'status', '--cluster', '../x');
refuses('both', 2, qr/exclude a connection/, 'postgres', {}, 'status', '-D', $two->{data}, '-h', '/tmp');

# What others may read of a node's configuration.
sub conf_of
{
	my ($node, $more) = @_;
	my $file = "$cluster->{base}/$node->{name}.conf";
	spew($file, "data_directory = '$node->{data}'\nport = $node->{port}\nunix_socket_directories = '$node->{socket}'\npgha.node = '$node->{name}'\n" . ($more // ''));
	return $file;
}
refuses('the first of several socket directories', 1, qr{on socket "/no where/\.s\.PGSQL\.$two->{port}"}, 'postgres', {}, 'status',
	'-c', conf_of($two, qq{unix_socket_directories = ' "/no where" , /tmp'\n}));
refuses('one below the data directory', 1, qr{on socket "\Q$two->{data}\E/run/\.s\.PGSQL\.$two->{port}"}, 'postgres', {}, 'status',
	'-c', conf_of($two, "unix_socket_directories = 'run'\n"));

SKIP:
{
	skip 'needs root', 10 unless is_root();

	# Somebody else's server at the place of the socket gets no login.
	my $place = "$cluster->{base}/sock/other";
	mkdir $place;
	my $server = IO::Socket::UNIX->new(Local => "$place/.s.PGSQL.$two->{port}", Listen => 1) or die "listen: $!";
	chmod 0777, "$place/.s.PGSQL.$two->{port}";
	refuses('a server of another user', 1, qr/requirepeer specifies "postgres", but actual peer user name is "root"/, 'postgres', {}, 'status',
		'-c', conf_of($two, "unix_socket_directories = '$place'\n"));
	close $server;

	answers('root', 'db-2', 'root', {}, '-D', $two->{data});
	answers("root, by Debian's cluster", 'db-1', 'root', {});
	my $seen = $two->sql(q{SELECT count(*) FROM pg_roles WHERE rolname = 'root'});
	is($seen, 0, 'there is no role for root: it came in the name of the owner');
	my ($status, $out) = run_as('root', { HOME => '/root' }, 'explain', '-D', $two->{data});
	is($status, 0, 'root explains');

	# A file of the owner that only root could read.
	my $secret = "$cluster->{base}/secret";
	spew($secret, "pgha.node = 'stolen'\n");
	chown 0, 0, $secret;
	chmod 0600, $secret;
	debian_cluster('two', "data_directory = '$two->{data}'\ninclude '$secret'\n");
	refuses('what the owner may not read', 2, qr/could not open file "\Q$secret\E": Permission denied/, 'root', {}, 'status', '--cluster', "$major/two");
	must_run([ 'rm', '-r', "$root/$major/two" ]);

	refuses('nobody, by peer', 1, qr/Peer authentication failed for user "postgres"\nHINT:  Run it as the user "postgres" or as root, or name a role/, 'nobody', {}, 'status', '-U', 'postgres',
		'-c', conf_of($two));
	refuses('nobody, a directory that it may not read', 2, qr/could not open file .*Permission denied/, 'nobody', {}, 'status', '-D', $two->{data});
}

# With --auth=trust a missing role is what refuses somebody.
$one->set('pgha.conninfo' => "user=pgha passfile=$cluster->{base}/passfile");
debian_cluster('one', "data_directory = '$one->{data}'\nport = $one->{port}\nunix_socket_directories = '$one->{socket}'\npgha.node = 'db-1'\n"
	  . "pgha.members = '$cluster->{members}'\npgha.conninfo = 'user=pgha passfile=$cluster->{base}/passfile'\n");
spew("$cluster->{base}/passfile", "*:*:*:pgha:none\n");
give_to_postgres("$cluster->{base}/passfile");
chmod 0600, "$cluster->{base}/passfile";
SKIP:
{
	skip 'needs root', 4 unless is_root();
	refuses('nobody', 1, qr/role "nobody" does not exist\nHINT:  Run it as the user "postgres" or as root, or name a role that may log in with -U\.\n\z/,
		'nobody', {}, 'status');
	answers('nobody with -U', 'db-1', 'nobody', {}, '-U', 'pgha');
	refuses('nobody may give no orders', 1, qr/permission denied.*pgha_pause/, 'nobody', {}, 'pause', '-U', 'pgha');
}

debian_cluster('other', "data_directory = '$two->{data}'\ninclude '$two->{data}/node.conf'\n");
refuses('several clusters', 2, qr{several clusters with pgha: $major/one \(db-1\), $major/other \(db-2\)\nHINT:  Say which: --cluster}, 'postgres', {}, 'status');
answers('several, and one is named', 'db-2', 'postgres', {}, '--cluster', "$major/other");
must_run([ 'rm', '-r', "$root/$major/other" ]);
debian_cluster('broken', "pgha.node = 'db-2\n");
refuses('one of two cannot be read', 2, qr{a cluster of this host cannot be read: .*broken/postgresql\.conf.*\nHINT:  Correct it, or say which cluster is meant: --cluster},
	'postgres', {}, 'pause');
answers('... and the other is named', 'db-1', 'postgres', {}, '--cluster', "$major/one");
must_run([ 'mv', "$root/$major/one", "$cluster->{base}/one.away" ]);
refuses('nothing is left but one that cannot be read', 2, qr{a cluster of this host cannot be read: }, 'postgres', {}, 'status');
must_run([ 'mv', "$cluster->{base}/one.away", "$root/$major/one" ]);
must_run([ 'rm', '-r', "$root/$major/broken" ]);

SKIP:
{
	skip 'needs root', 5 unless is_root();

	# Whose files these are is not known: as root they would be read, and their login used.
	my $above = tempdir(CLEANUP => 1);
	chmod 0755, $above;
	my $strange = "$above/strange";
	mkdir $strange;
	spew("$strange/postgresql.conf", "data_directory = '$strange'\npgha.node = 'db-1'\npgha.members = '$cluster->{members}'\npgha.conninfo = 'user=pgha'\n");
	chown 54321, 54321, $strange, "$strange/postgresql.conf";
	my ($status, $out, $err) = run_as('root', {}, 'doctor', '-D', $strange);
	is("$status$out", '2', 'doctor does not go on as root');
	like($err, qr/it is not known whose "\Q$strange\E" is, and root does not connect\nHINT:  Run it as the user/, '... and says why');

	# What is wrong in the files of somebody else is still a finding, looked at with that user's rights.
	my $faulty = "$cluster->{base}/faulty";
	mkdir $faulty;
	spew("$cluster->{base}/secret", "pgha.node = 'stolen\n");
	chown 0, 0, "$cluster->{base}/secret";
	chmod 0600, "$cluster->{base}/secret";
	spew("$faulty/postgresql.conf", "include '$cluster->{base}/secret'\n");
	must_run([ 'chown', '-R', 'postgres', $faulty ]);
	($status, $out, $err) = run_as('root', {}, 'doctor', '-D', $faulty);
	is($status, 3, 'what is wrong is a finding') or diag $err;
	like($out, qr/could not open file "\Q$cluster->{base}\E\/secret": Permission denied/, '... with the rights of the owner');
	unlike("$out$err", qr/stolen/, '... who does not see what root may read');
}

answers("a witness's host", 'w-1', 'postgres', { PGDATA => $witness->{data} });
answers('... which tells of a member', 'db-3', 'postgres', { PGDATA => $witness->{data} }, 'db-3');
answers('... and the other way round', 'w-1', 'postgres', { PGDATA => $three->{data} }, 'w-1');

# ---- words ----

my %here = (PGDATA => $one->{data});
answers("a member's name", 'db-2', 'postgres', \%here, 'db-2');
answers('its own name', 'db-1', 'postgres', \%here, 'db-1');
answers("a member's name, of the one that a connection string leads to", 'db-3', 'postgres', {}, 'db-3', $one->conninfo);
refuses('a word that is neither', 2, qr/"db-9" is neither a member \(db-1, db-2, db-3, w-1\) nor a connection string\nHINT:  A database is named with -d/,
	'postgres', \%here, 'status', 'db-9');
refuses('the same, as the server says', 1, qr/"db-9" is neither a member \(db-1, db-2, db-3, w-1\) nor a connection string/, 'postgres', {}, 'events', 'db-9', $one->conninfo);
refuses('the node of an order', 2, qr/"db-9" is neither a member/, 'postgres', \%here, $_, 'db-9') foreach qw(switchover restart recover);
{
	my ($status, $out) = run_as('postgres', \%here, 'doctor', '--json');
	my @groups = map { "$_->{source} $_->{node}" } @{ (eval { decode_json($out) } // {})->{groups} };
	is("@groups", 'server db-1 server db-2 server db-3 server w-1 host db-1', 'doctor looks at all, and at this host, without being told');
	my @asked = grep { $_->{check} eq 'asked' } map { @{ $_->{findings} } } @{ decode_json($out)->{groups} };
	is(scalar @asked, 0, 'and gets in everywhere');
}
foreach my $watch ([ '--watch', 5 ], [ '-w', 5 ], ['--watch=5'], [ '--watch', 'db-2' ])
{
	my $child = spawn([ as_postgres(), 'env', %here ? "PGDATA=$one->{data}" : (), $pgha, 'status', @$watch ], log => "$cluster->{base}/watch.log");
	my $node = $watch->[1] // '' eq 'db-2' ? 'db-[12]' : 'db-1';
	ok($cluster->wait_for("watch @$watch", sub { (slurp("$cluster->{base}/watch.log") // '') =~ /as $node sees it/ }), "@$watch");
	kill 'TERM', $child;
	waitpid $child, 0;
	is($?, 0, '... until it is told to end');
	unlink "$cluster->{base}/watch.log";
}
{
	# libpq passes on what it was given; JSON, by which the watch's parts talk, takes only UTF-8.
	my $child = spawn([ as_postgres(), $pgha, 'status', '--watch', "host=$cluster->{base}/caf\xe9" ], log => "$cluster->{base}/watch.log");
	ok($cluster->wait_for('a failure', sub { (slurp("$cluster->{base}/watch.log") // '') =~ /No answer from any member since .*caf\?.*: No such file/ }),
		'a failure that is no UTF-8 is shown');
	kill 'TERM', $child;
	waitpid $child, 0;
	unlink "$cluster->{base}/watch.log";
}
refuses('an interval that is none', 2, qr/is not a number of seconds/, 'postgres', \%here, 'status', '--watch', '0.0.1');

# ---- orders ----

sub done
{
	my ($what, $pattern, @arguments) = @_;
	my ($status, $out, $err) = run_as('postgres', { PGDATA => $one->{data} }, @arguments);
	is($status, 0, $what) or diag "$out$err";
	like("$out$err", $pattern, '... and says so');
	return;
}
done('pause', qr/is paused on all/, 'pause');
done('resume', qr/automatic again on all/, 'resume');
done("a switchover on the primary's host needs nothing but its socket", qr/switched over from "db-1" to "db-2".*"db-1" is a standby/s, 'switchover', 'db-2');
# Now the primary is elsewhere.  Where no login may give the order, nothing is done.
$two->sql(q{CREATE ROLE dba LOGIN IN ROLE pg_monitor});
$cluster->wait_for('the role to arrive', sub { $one->value(q{SELECT 1 FROM pg_roles WHERE rolname = 'dba'}) });
refuses('a role that was not granted it', 1, qr/role "dba" may not call pgha_switchover\(text\) at .*\nHINT:  .*pgha_setup_operator/,
	'postgres', \%here, 'switchover', 'db-1', '-U', 'dba');
$two->sql(q{SELECT pgha_setup_operator('dba')});
$cluster->wait_for('the grant to arrive', sub { ($one->value(q{SELECT has_function_privilege('dba', 'pgha_switchover(text)', 'EXECUTE')}) // '') eq 't' });
done('the operator switches over', qr/switched over from "db-2" to "db-1"/, 'switchover', 'db-1', '-U', 'dba');
done('the operator pauses', qr/is paused on all/, 'pause', '-U', 'dba');
done('and resumes', qr/automatic again on all/, 'resume', '-U', 'dba');
done('the operator restarts a standby', qr/restarted "db-3", which streams again/, 'restart', 'db-3', '-U', 'dba');
$cluster->wait_following($one);
refuses('promote means the member that is named', 1, qr/pgha_promote\(\) was refused.*"?db-1/, 'postgres', \%here, 'promote', 'db-2', '-U', 'dba');

# ---- uri ----

sub uri { my (@arguments) = @_; my ($status, $out, $err) = run_as('postgres', \%here, 'uri', @arguments); is("$status$err", 0, "uri @arguments"); chomp $out; return $out; }

my $hosts = join ',', map { "127.0.0.1:$_->{port}" } $one, $two, $three;
is(uri(), "postgresql://$hosts/?target_session_attrs=read-write&connect_timeout=2", '... for libpq');
is(uri('--jdbc', '-U', 'a b', '-d', 'x/y'), "jdbc:postgresql://$hosts/x%2Fy?user=a%20b&targetServerType=primary&connectTimeout=2&hostRecheckSeconds=2&tcpKeepAlive=true", '... for JDBC');
like(uri('--jdbc', '--read-only'), qr/targetServerType=preferSecondary&loadBalanceHosts=true&/, '... for a standby');
is(uri('--names'), "db-1\ndb-2\ndb-3", '... names');
is(uri('--names', $two->conninfo), "db-1\ndb-2\ndb-3", '... by a connection');
$one->sql(q{CREATE ROLE "o'dd @/\ name" LOGIN});
$one->sql(q{CREATE DATABASE "d?b&=%"});
sub connected
{
	my ($what, $string, $recovery) = @_;
	my ($status, $out, $err) = run_command([ $one->program('psql'), '-XAtq', '-d', $string, '-c', q{SELECT current_user, current_database(), pg_is_in_recovery()} ]);
	is("$out$err", "o'dd \@/\\ name|d?b&=%|$recovery\n", $what);
	return;
}
my @odd = ('-U', q{o'dd @/\ name}, '-d', 'd?b&=%');
connected('libpq goes to the primary by the URI', uri(@odd), 'f');
connected('and by the keywords', uri('--dsn', @odd), 'f');
$cluster->wait_for('the database at a standby', sub { $two->value(q{SELECT 1 FROM pg_database WHERE datname = 'd?b&=%'}) && $three->value(q{SELECT 1 FROM pg_database WHERE datname = 'd?b&=%'}) });
connected('and to a standby', uri('--standby', @odd), 't');
{
	my $config = "$cluster->{base}/six.conf";
	spew($config, "pgha.node = 'a'\npgha.members = 'a=[fd00::1]:5433, b=host-b'\npgha.address = 'local:10.0.3.10/24\@eth0'\nport = 5433\n");
	is(uri('-c', $config), 'postgresql://[fd00::1]:5433,host-b:5432/?target_session_attrs=read-write&connect_timeout=2', '... IPv6 in brackets');
	is(uri('-c', $config, '--address'), 'postgresql://10.0.3.10:5433/?target_session_attrs=read-write&connect_timeout=2', '... the address');
	refuses('an address that is not set', 1, qr/pgha\.address is not set/, 'postgres', \%here, 'uri', '--address');
	refuses('two forms', 2, qr/exclude each other/, 'postgres', \%here, 'uri', '--jdbc', '--dsn');
}

SKIP:
{
	my ($jar) = grep { -e $_ } '/usr/share/java/postgresql.jar';
	my ($modules, $list) = run_command([ 'java', '--list-modules' ]);
	skip 'needs a JDK and libpostgresql-jdbc-java', 2 unless $jar && $modules == 0 && $list =~ /^jdk\.compiler/m;
	spew("$cluster->{base}/Ask.java", <<'END');
import java.sql.*;
class Ask {
	public static void main(String[] urls) throws Exception {
		for (String url : urls)
			try (Connection c = DriverManager.getConnection(url);
					ResultSet r = c.createStatement().executeQuery("SELECT current_user || '|' || current_database() || '|' || pg_is_in_recovery()")) {
				r.next();
				System.out.println(r.getString(1));
			}
	}
}
END
	my ($status, $out, $err) = run_command([ 'java', '-cp', $jar, "$cluster->{base}/Ask.java", uri('--jdbc', @odd), uri('--jdbc', '--standby', @odd) ], timeout => 120);
	is($out, "o'dd \@/\\ name|d?b&=%|false\no'dd \@/\\ name|d?b&=%|true\n", 'JDBC goes to the primary, and to a standby') or diag $err;
}

# ---- completion ----

{
	my ($status, $out, $err) = run_command(
		[ 'bash', '--norc', '-c', 'source "$1"; shift; COMP_WORDS=("$@" ""); COMP_CWORD=$#; _pgha; printf "%s " "${COMPREPLY[@]}"',
			'bash', "$PghaCluster::ROOT/completions/pgha.bash", $pgha, 'switchover' ], env => { PGDATA => $one->{data} });
	is("$out$err", 'db-1 db-2 db-3 ', "completion: the members of this host's files");
}

# ---- the server of this host is down ----

$three->stop_agent;
$three->stop('fast');
{
	my %down = (PGDATA => $three->{data});
	like(answers('its server is down', 'db-1', 'postgres', \%down), qr/^pgha: the server of this host, "db-3", does not answer; asks "db-1" at its address\n\z/, 'it says whom it asked');
	my ($status, $out, $err) = run_as('postgres', \%down, 'explain');
	is($status, 0, 'explain, too') or diag $err;
	refuses('its own name means that one', 1, qr/failed: .*\n(?:.*\n)*HINT:  It is the server of "\Q$three->{data}\E": start it/, 'postgres', \%down, 'status', 'db-3');
	refuses('promote means this very server', 1, qr/HINT:  It is the server of/, 'postgres', \%down, 'promote');
	refuses('and so does restart', 1, qr/HINT:  It is the server of/, 'postgres', \%down, 'restart');
	refuses('orders take a login that may give them', 1, qr/role "regular" may not call pgha_pause\(\) at/, 'postgres', \%down, 'pause', '-U', 'regular')
	  if $one->sql(q{CREATE ROLE regular LOGIN IN ROLE pg_monitor}) eq '';
	done('a standby that is down is no obstacle', qr/is paused/, 'pause', '-D', $three->{data}, '-U', 'dba');
	done('nor for the end of it', qr/automatic again/, 'resume', '-U', 'dba');
}
refuses('nobody listens, and no other is known', 1, qr/HINT:  Any member can be asked/, 'postgres', {}, 'status', '-h', '127.0.0.1', '-p', $cluster->free_port);
{
	my (undef, undef, $err) = run_as('postgres', {}, 'status', '-h', $one->{socket}, '-p', $one->{port}, '-U', 'nobody-there');
	unlike($err, qr/Any member/, 'a login that is refused is no reason to ask another');
}

done_testing();
