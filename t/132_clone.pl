# A node is built anew: ordered, because its data is gone, because there is
# nothing to rewind; with storage outside of the data directory; in place; and
# not at all when there is no room.  (As root: it mounts small file systems.)
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Test::More;

plan skip_all => 'mounting needs root' unless PghaCluster::is_root();

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '15s', max_wal_size => '64MB', min_wal_size => '32MB' })->build;
my ($a, $b) = $cluster->nodes;
my $base = $cluster->{base};
my @mounts;
END { system('umount', '-l', $_) foreach @mounts; }

sub directory
{
	my ($path) = @_;
	make_path($path);
	PghaCluster::give_to_postgres($path);
	return $path;
}

sub mount_tmpfs
{
	my ($path, $size) = @_;
	directory($path);
	PghaCluster::must_run([ 'mount', '-t', 'tmpfs', '-o', "size=$size,mode=0700", 'pgha-test', $path ]);
	PghaCluster::give_to_postgres($path);
	push @mounts, $path;
	return $path;
}

# Storage outside: a tablespace on the primary; the standby has it elsewhere, as
# both are on one host, and its WAL in a directory of its own.
my $space_a = directory("$base/space_a");
my $space_b = directory("$base/space_b");
my $wal_b = directory("$base/wal_b");
$b->stop_agent;
$b->stop;
PghaCluster::must_run([ 'rm', '-rf', $b->{data} ]);
$a->sql("CREATE TABLESPACE space LOCATION '$space_a'");
$a->sql('CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) v');
PghaCluster::must_run([ PghaCluster::as_postgres(), $b->program('pg_basebackup'), '-D', $b->{data}, '-h', $a->{host}, '-p', $a->{port},
	'-U', 'postgres', '-c', 'fast', '--no-sync', "--waldir=$wal_b/wal", "--tablespace-mapping=$space_a=$space_b" ]);
PghaCluster::spew("$b->{data}/standby.signal", '');
$b->configure;
$b->start;
$b->start_agent;
$b->wait_streaming;

my ($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
is($out, 't', 'a standby that streams is cloned when that is ordered') or diag $notices, $b->agent_text;
like($notices, qr/NOTICE: .*node "b": (?:cloning|streaming)/, 'with notices');
$b->wait_streaming;
is($b->value('SELECT count(*) FROM spaced'), '1000', 'it has the tablespace');
is($b->value('SHOW port'), $b->{port}, 'its own settings');
like(readlink("$b->{data}/pg_wal"), qr{^\Q$wal_b\E/wal/pgha-}, 'its WAL in a new directory at the old place');
my ($link) = glob("$b->{data}/pg_tblspc/*");
like(readlink($link), qr{^\Q$space_b\E/pgha-}, 'so is the tablespace');
is(scalar(() = glob("$space_b/PG_*")), 0, 'the old copy of the tablespace is gone');
is(scalar(() = glob("$wal_b/wal/0*")), 0, 'so is the old WAL');
is(scalar(() = glob("$b->{data}.old-* $b->{data}.new-*")), 0, 'and the old data directory');
($status, $out) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
is($out, 't', 'again');
is(scalar(() = glob("$space_b/pgha-*")), 1, 'copies do not pile up');
is(scalar(() = glob("$wal_b/wal/pgha-*")), 1, 'of the WAL neither');

# The data directory is gone.
my $mark = $b->agent_mark;
$b->kill9;
# At once: the agent is about to start what has crashed.
rename $b->{data}, "$base/gone" or die "$b->{data}: $!";
PghaCluster::must_run([ 'rm', '-rf', "$base/gone" ]);
$cluster->wait_for('the agent to see it', sub { ($a->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'b'}) // '') eq 'absent' });
($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'rewind')}, timeout => 180);
like($notices, qr/ERROR:  55000: there is no data directory.*HINT:  Use the method clone/s, 'nothing to rewind: an error with a way out');
$b->stop_agent;

# Its configuration was in it: it is given from outside now.
my $conf = directory("$base/conf_b");
$b->{conf} = "$conf/postgresql.conf";
my $text = PghaCluster::slurp("$a->{data}/postgresql.conf");
$text =~ s/^include 'node.conf'.*//m;
PghaCluster::spew($b->{conf}, $text . PghaCluster::Node::settings_text(data_directory => $b->{data}, port => $b->{port},
	listen_addresses => $b->{host}, unix_socket_directories => $b->{socket}, 'pgha.node' => 'b', 'pgha.auto_rejoin' => 'clone',
	hba_file => "$conf/pg_hba.conf"));
PghaCluster::spew("$conf/pg_hba.conf", PghaCluster::slurp("$a->{data}/pg_hba.conf"));
# The primary's tablespace is on this host, too: the new copy goes inside it.
$b->start_agent(arguments => [ '--config', $b->{conf} ]);
($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b')}, timeout => 180);
is($out, 't', 'on an empty host, with a configuration file only, the node is built') or diag $notices, $b->agent_text;
$b->wait_streaming;
is($b->value('SELECT count(*) FROM spaced'), '1000', 'with all its data');
is($b->value('SHOW config_file'), $b->{conf}, 'and its configuration');
unlike(readlink((glob("$b->{data}/pg_tblspc/*"))[0]), qr{^\Q$space_a\E$}, 'not on top of the primary\'s tablespace');

# A data directory that cannot be started.
$mark = $b->agent_mark;
$cluster->wait_for('the recovery to have ended', sub { $b->job_field('outcome') eq 'done' });
$b->kill9;
unlink "$b->{data}/global/pg_control" or die;
$b->wait_streaming(90);
pass('pgha.auto_rejoin = clone: a damaged node is cloned by itself');
like(substr($b->agent_text, $mark), qr/recovery: cloning/, 'and says so');

# No room for a second copy.
my $small = mount_tmpfs("$base/small", '172M');
$cluster->wait_for('the recovery to have ended', sub { $b->job_field('outcome') eq 'done' });
$b->stop_agent;
$b->stop;
PghaCluster::must_run([ 'cp', '-a', $b->{data}, "$small/data" ]);
$text = PghaCluster::slurp($b->{conf});
$text =~ s/^data_directory.*$/data_directory = '$small\/data'/m;
PghaCluster::spew($b->{conf}, $text);
$b->{data} = "$small/data";
mkdir "$base/agent_b"; PghaCluster::give_to_postgres("$base/agent_b");
PghaCluster::spew($b->{conf}, "$text\npgha.agent_directory = '$base/agent_b'\n");
no warnings 'redefine';
*PghaCluster::Node::agent_directory = sub { my ($self) = @_; return $self->{name} eq 'b' ? "$base/agent_b" : "$self->{data}.pgha"; };
$b->start_agent(arguments => [ '--config', $b->{conf} ]);
is($a->value(q{SELECT pgha_recover_node('b')}, timeout => 120), 't', 'a stopped standby starts from there');
($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
like($notices, qr/ERROR:  53100: there is no room for a clone.*MB are needed.*pgha.clone_in_place/s, 'no room: an error that says how much') or diag $b->agent_text;
ok($b->is_running, 'nothing was touched');
$b->wait_streaming;
$mark = $b->agent_mark;
PghaCluster::spew($b->{conf}, PghaCluster::slurp($b->{conf}) . "pgha.clone_in_place = on\n");
$b->wait_agent_log(qr/read the configuration again/, $mark);
($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
is($out, 't', 'pgha.clone_in_place = on: it is cloned where it stands') or diag $notices, $b->agent_text;
like($b->agent_text, qr/in place/, 'in place');
$b->wait_streaming;
is($b->value('SELECT count(*) FROM spaced'), '1000', 'with all its data');

# Cancelled in the middle: the node is as it was.
$mark = $b->agent_mark;
PghaCluster::spew($b->{conf}, PghaCluster::slurp($b->{conf}) . "pgha.clone_in_place = off\n"
	. "pgha.clone_command = '/bin/sleep 600'\n");
$b->wait_agent_log(qr/read the configuration again/, $mark);
PghaCluster::must_run([ 'mount', '-o', 'remount,size=1G', $small ]);
my $session = $a->background(q{SELECT pgha_recover_node('b', 'clone')});
$cluster->wait_for('the clone to be under way', sub { ($a->value(q{SELECT phase FROM pgha_recovery_progress() WHERE node = 'b' AND outcome IS NULL}) // '') eq 'cloning' });
is($a->value(q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()}), '1', 'cancelled');
$cluster->wait_for('the recovery to be given up', sub { ($a->value(q{SELECT outcome FROM pgha_recovery_progress() WHERE node = 'b'}) // '') eq 'cancelled' });
ok($b->is_running, 'the server still runs');
is(scalar(() = glob("$b->{data}.new-*")), 0, 'nothing is left of the clone');
$b->wait_streaming;

# Clones that never come to stream: what was there before them is kept until one does.
$mark = $b->agent_mark;
PghaCluster::spew($b->{conf}, PghaCluster::slurp($b->{conf}) . "pgha.clone_command = ''\npgha.auto_rejoin = off\npgha.start_command = '/bin/false'\n");
$b->wait_agent_log(qr/read the configuration again/, $mark);
PghaCluster::spew("$b->{data}/base/marker", 'of the former one');
foreach my $count (1, 2, 2)
{
	($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
	like($notices, qr/ERROR: .*start_command/s, 'a clone that does not start: an error');
	my @old = sort(glob("$b->{data}.old-*"));
	is(scalar(@old), $count, 'what the clone has replaced is there') or diag "@old";
	ok(-e "$old[0]/base/marker", 'the former data directory first of all');
	ok(!-e "$b->{data}/base/marker", 'the clone is in its place');
}
$mark = $b->agent_mark;
PghaCluster::spew($b->{conf}, PghaCluster::slurp($b->{conf}) . "pgha.start_command = ''\n");
$b->wait_agent_log(qr/read the configuration again/, $mark);
($status, $out, $notices) = $a->psql(q{SELECT pgha_recover_node('b', 'clone')}, timeout => 180);
is($out, 't', 'one streams at last') or diag $notices, $b->agent_text;
is(scalar(() = glob("$b->{data}.old-* $b->{data}.new-*")), 0, 'now all the others are gone');
done_testing();
