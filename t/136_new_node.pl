# A member that has never been there is built on an empty host, from nothing but
# a configuration file: by pg_basebackup, and by pgBackRest from its repository.
# What lies in its place and is not PostgreSQL's is left alone.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s' }, node_settings => { a => { archive_mode => 'on' } });
my ($a, $b, $c) = $cluster->nodes;
my $base = $cluster->{base};

sub directory
{
	my ($path, $mode) = @_;
	make_path($path);
	PghaCluster::give_to_postgres($path);
	chmod $mode // 0755, $path;
	return $path;
}

sub mode { return (stat $_[0])[2] & 0777; }

$cluster->{node} = [ $a, $b ];
$cluster->build;

# The extension may be in any schema.
$a->sql('CREATE SCHEMA ha');
$a->sql('ALTER EXTENSION pgha SET SCHEMA ha');
$a->sql('ALTER ROLE postgres SET search_path = public, ha');
$a->sql('SELECT pgha_setup_role()');
# Settings of the primary: one of its own, and one for all.
$a->sql(q{ALTER SYSTEM SET cluster_name = 'mine'});
$a->sql(q{ALTER SYSTEM SET work_mem = '5MB'});
$_->start_agent foreach $a, $b;

# ---- the empty host ----

my $host = directory("$base/host_c/15");
my $etc = directory("$base/etc_c");
$c->{data} = "$host/main";
$c->{conf} = "$etc/postgresql.conf";
push @{ $cluster->{node} }, $c;
my $common = PghaCluster::slurp("$a->{data}/postgresql.conf");
$common =~ s/^include 'node.conf'.*//m;
PghaCluster::spew("$etc/pg_hba.conf", PghaCluster::slurp("$a->{data}/pg_hba.conf"));

sub configure_c
{
	my (%setting) = @_;
	PghaCluster::spew($c->{conf}, $common . PghaCluster::Node::settings_text(
			data_directory => $c->{data}, hba_file => "$etc/pg_hba.conf", port => $c->{port}, listen_addresses => $c->{host},
			unix_socket_directories => $c->{socket}, 'pgha.node' => 'c', 'pgha.auto_rejoin' => 'off', %setting));
	return unless $c->agent_running;
	my $mark = $c->agent_mark;
	kill 'HUP', $c->{agent_pid};
	$c->wait_agent_log(qr/read the configuration again/, $mark);
}

sub recover
{
	my ($method) = @_;
	# An order would join a recovery that is about to end.
	$cluster->wait_for('no recovery to be under way', sub { !$c->job_pids
		&& ($a->value(q{SELECT count(*) FROM pgha_recovery_progress() WHERE node = 'c' AND job IS NOT NULL AND outcome IS NULL}) // '') eq '0' });
	my ($status, $out, $err) = $a->psql("SELECT pgha_recover_node('c', '$method')", timeout => 180);
	return $status == 0 ? ($out, $err) : ('error', $err);
}

sub check_built
{
	my ($what) = @_;
	my ($out, $err) = recover('auto');
	is($out, 't', "$what: the node is built") or diag $err, $c->agent_text;
	$c->wait_streaming;
	$cluster->wait_following($a, $c);
	is($c->value('SHOW data_directory'), $c->{data}, 'where its configuration says');
	is(mode($c->{data}), 0700, 'with a private data directory');
	is(mode($host), 0755, 'the directory around it is as it was');
	is($c->value('SHOW pgha.node') . $c->value('SHOW port'), "c$c->{port}", 'it has its own name and port');
	is($c->value('SHOW cluster_name'), '', "and not the primary's");
	is($c->value('SHOW work_mem'), '5MB', 'but what was set for all by ALTER SYSTEM');
	is($a->value(q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'c' AND usename = 'pgha'}), '1', 'it streams as the role pgha');
}

# The host is empty again.
sub destroy
{
	$cluster->wait_for('the recovery to have ended', sub { $c->job_field('outcome') ne '' });
	$c->stop_agent;
	$c->kill9;
	PghaCluster::must_run([ 'rm', '-rf', $c->{data}, $c->agent_directory ]);
}

configure_c();
my @agent = (arguments => [ '--config', $c->{conf} ]);

# The directory around the data directory is the administrator's to make.
PghaCluster::must_run([ 'rmdir', $host ]);
my ($status, undef, $err) = PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'agent', @{ $agent[1] } ]);
is($status, 2, 'without the directory that the data directory is to be in the agent does not start');
like($err, qr/directory "\Q$host\E" cannot be used: No such file/, 'and says what is missing');
directory($host);

# ---- somebody else's directory ----

directory($c->{data});
PghaCluster::spew("$c->{data}/precious", "do not delete\n");
$c->start_agent(@agent);
foreach my $method (qw(auto clone rewind start))
{
	my ($out, $text) = recover($method);
	like($text, qr/ERROR:  55000: "\Q$c->{data}\E" is not a data directory of PostgreSQL.*HINT:  Correct data_directory/s,
		"$method: a directory with other contents is refused");
}
my $mark = $c->agent_mark;
configure_c('pgha.auto_rejoin' => 'clone');
$c->wait_agent_log(qr/recovery failed again, for the same reason/, $mark);
is(join(' ', sort map { s{.*/}{}r } glob("$c->{data}/{*,.??*}")), 'precious', 'nor does pgha.auto_rejoin = clone touch it');
is(scalar(() = glob("$c->{data}?*")), 1, 'nothing but the directory of the agent is beside it');

# ---- pg_basebackup ----

configure_c();
unlink "$c->{data}/precious";
check_built('an empty directory');
is(mode($c->agent_directory), 0700, "the agent's directory is private");
is(scalar(() = glob("$c->{data}.old-* $c->{data}.new-*")), 0, 'no other directory is left');
destroy();

$c->start_agent(@agent);
$cluster->wait_for('the primary to be told', sub { ($a->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'c'}) // '') eq 'absent' });
pass('no directory: the primary is told that there is none');
my ($out, $text) = recover('rewind');
like($text, qr/there is no data directory.*HINT:  Use the method clone/s, 'nothing can be rewound');
check_built('no directory');

# ---- what a command can do wrong ----

configure_c('pgha.clone_command' => q{/bin/sh -c 'test -z "$(ls -A %d)" && echo "%%: %h %p %n" >&2; exit 3'});
($out, $text) = recover('clone');
like($text, qr/pgha.clone_command failed with status 3.*DETAIL:  %: 127.0.0.1 $a->{port} c$/ms,
	'a command that fails: its status and last words; its directory is empty') or diag $c->agent_text;
configure_c('pgha.clone_command' => '/bin/true');
($out, $text) = recover('clone');
like($text, qr/is not a data directory after the clone.*HINT:  It must fill the directory that %d stands for/s, 'one that does nothing');
directory("$base/used/PG_15_202209061");
directory("$base/used/pgha-20200101T000000Z");
configure_c('pgha.clone_command' => qq{/bin/sh -c 'mkdir %d/pg_tblspc && ln -s $base/used %d/pg_tblspc/16999}
	. qq{ && ln -s $base/used/pgha-20200101T000000Z %d/pg_wal; exit 1'});
($out, $text) = recover('clone');
like($text, qr/failed with status 1/, 'one that fails after it has made links to what is in use');
is(scalar(() = glob("$base/used/*")), 2, 'what the links of a failed copy point to is not touched');
PghaCluster::must_run([ PghaCluster::as_postgres(), $c->program('initdb'), '-D', "$base/other", '-A', 'trust', '--no-sync' ]);
configure_c('pgha.clone_command' => "/bin/cp -a $base/other/. %d");
($out, $text) = recover('clone');
like($text, qr/the clone is not one of the primary "a".*HINT:  See what pgha.clone_command copies from/s, 'one that copies another cluster');
is(scalar(() = glob("$c->{data}.old-* $c->{data}.new-*")), 0, 'no directory is left of them');
$c->wait_streaming;
destroy();

# ---- another cluster's data directory ----

PghaCluster::must_run([ 'cp', '-a', "$base/other", $c->{data} ]);
configure_c();
$c->start_agent(@agent);
($out, $text) = recover('clone');
is($out, 't', 'the data directory of another cluster is replaced if that is ordered') or diag $text, $c->agent_text;
my ($kept) = glob("$c->{data}.old-*");
ok(defined $kept && -e "$kept/PG_VERSION", 'and kept');
$c->wait_streaming;
PghaCluster::must_run([ 'rm', '-rf', $kept // '/nonexistent' ]);
destroy();

# ---- pgBackRest ----

my $rest = "$base/pgbackrest";
directory("$rest/$_", 0700) foreach qw(repo lock spool log);
PghaCluster::spew("$rest/pgbackrest.conf", <<"END");
[global]
repo1-path=$rest/repo
lock-path=$rest/lock
spool-path=$rest/spool
log-path=$rest/log

[main]
pg1-path=$a->{data}
pg1-port=$a->{port}
pg1-socket-path=$a->{socket}
pg1-user=postgres
END
my $pgbackrest = "/usr/bin/pgbackrest --config=$rest/pgbackrest.conf --stanza=main";
my @on_primary = (PghaCluster::as_postgres(), split / /, $pgbackrest);
PghaCluster::must_run([ @on_primary, 'stanza-create' ]);
$a->set(archive_command => "$pgbackrest archive-push %p");
PghaCluster::must_run([ @on_primary, '--start-fast', '--type=full', 'backup' ], timeout => 180);
# What comes after the backup is in the archive.
$a->sql('CREATE TABLE after_backup AS SELECT 1 v');
my $segment = $a->value('SELECT pg_walfile_name(pg_switch_wal() - 1)');
$cluster->wait_for('the segment to be archived', sub { ($a->value('SELECT last_archived_wal FROM pg_stat_archiver') // '') ge $segment });

configure_c(
	'pgha.clone_command' => "$pgbackrest --pg1-path=%d restore",
	restore_command => "$pgbackrest --pg1-path=$c->{data} archive-get %f \"%p\"");
$c->start_agent(@agent);
check_built('pgBackRest');
is($c->value('SELECT v FROM after_backup'), '1', 'with what came after the backup');
like(PghaCluster::slurp($c->agent_directory . '/postgres.log'), qr/restored log file "\w+" from archive/, 'from the archive');
unlike(PghaCluster::slurp("$c->{data}/postgresql.auto.conf"), qr/restore_command =/, "the tool's restore_command, which names a directory that is gone, is not kept");
is(-e "$c->{data}/recovery.signal" ? 1 : 0, 0, 'nor its recovery.signal');
($out, $text) = recover('clone');
is($out, 't', 'a node that runs is cloned that way, too') or diag $text, $c->agent_text;
$c->wait_streaming;

done_testing();
