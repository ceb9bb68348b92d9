# Timelines that a test restore has left in a shared archive: no node goes onto
# one of them, neither at a promotion nor at a restart.  And what an archive is
# for still works: WAL that the leader does not have any more, also over a change
# of timeline.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 3, witnesses => [ 'w-1', 'w-2' ], wal_segsize => 1);
my ($a, $b, $c) = $cluster->nodes;
my $base = $cluster->{base};
my $archive = "$base/archive";
my $slow = "$base/slow";
mkdir $archive;
PghaCluster::give_to_postgres($archive);

# As PostgreSQL's manual has it.  While there is the file "slow", histories take for ever.
my $archive_command = "test ! -f $archive/%f && cp %p $archive/%f";
my $restore_command = "case %f in *.history) test ! -e $slow || exec sleep 1000;; esac; cp $archive/%f %p";
# One of three has to lead alone: two witnesses vote, too.
$cluster->{settings} = { 'pgha.failure_timeout' => '2s', 'pgha.slot_keep_size' => '2MB', min_wal_size => '2MB', max_wal_size => '4MB',
	archive_mode => 'on', archive_command => $archive_command, restore_command => $restore_command };
$cluster->build;
wait_votes($a, $cluster->voters);

# A backup, restored on a server without pgha that archives to the same place: it
# goes as far as the archive does, and begins a timeline of its own.
my $backups = 0;
sub backup
{
	my $data = "$base/backup-" . ++$backups;
	PghaCluster::must_run([ PghaCluster::as_postgres(), $a->program('pg_basebackup'), '-D', $data, '-h', $a->{host}, '-p', $a->{port},
		'-U', 'postgres', '-c', 'fast', '-X', 'fetch', '--no-sync' ]);
	return $data;
}

sub restore_by_mistake
{
	my ($data, $sql) = @_;
	my $socket = "$data/socket";
	mkdir $socket;
	PghaCluster::give_to_postgres($socket);
	PghaCluster::spew("$data/recovery.signal", '');
	PghaCluster::give_to_postgres("$data/recovery.signal");
	my $pid = PghaCluster::spawn([ PghaCluster::as_postgres(), 'setpriv', '--pdeathsig', 'QUIT', $a->program('postgres'), '-D', $data, '-c', 'shared_preload_libraries=', '-c', 'listen_addresses=',
			'-c', "unix_socket_directories=$socket" ], log => "$base/log/restore.log");
	my $query = sub {
		my ($status, $out) = PghaCluster::run_command([ PghaCluster::as_postgres(), $a->program('psql'), '-XAtq', '-h', $socket, '-p', $a->{port},
				'-U', 'postgres', '-c', $_[0] ]);
		chomp $out;
		return $status == 0 ? $out : undef;
	};
	$cluster->wait_for('the restore to be done', sub { ($query->('SELECT NOT pg_is_in_recovery()') // '') eq 't' });
	my $timeline = hex $query->('SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)');
	$query->($sql);
	my $segment = $query->('SELECT pg_walfile_name(pg_switch_wal() - 1)');
	$cluster->wait_for('its WAL to be archived', sub { -e "$archive/$segment" });
	kill 'INT', $pid;
	$cluster->wait_for('the restore to stop', sub { waitpid($pid, 1) != 0 });
	return $timeline;
}

sub archived
{
	my ($node) = @_;
	my $segment = $node->value('SELECT pg_walfile_name(pg_switch_wal() - 1)');
	$cluster->wait_for("$segment to be archived", sub { -e "$archive/$segment" });
	return;
}

sub timeline { return hex $_[0]->value('SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)'); }

# ---- a standby restarts beside an orphan ----

$c->stop;
my $needed = $a->value('SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
my @backup = map { backup() } 1 .. 3;
archived($a);
$cluster->wait_following($a, $b);
archived($a);
$cluster->wait_for('all to be replayed', sub { ($b->value('SELECT pg_last_wal_replay_lsn()') // '') eq $a->value('SELECT pg_current_wal_insert_lsn()') });
$b->stop;
is(restore_by_mistake($backup[0], 'INSERT INTO probe VALUES (-2)'), 2, 'a test restore has taken timeline 2 in the archive');
$b->start;
is($b->value('SELECT count(*) FROM probe WHERE v = -2'), '0', 'a standby that restarts does not replay it');
ok(eval { $cluster->wait_following($a, $b); 1 }, 'and follows the primary') or $cluster->rejoin($b, $a);
is($b->value('SELECT count(*) FROM probe WHERE v = -2'), '0', 'still without the foreign row');

# Whatever the operator writes: the histories come from the leader.
my $mark = $b->log_mark;
$b->set(restore_command => "$restore_command # again", recovery_target_timeline => 'current');
$cluster->wait_for('the new restore_command', sub { $b->value('SHOW restore_command') =~ /# again$/ });
like($b->value('SHOW restore_command'), qr/^case %f in \*\.history\) exit 1;; esac; \Q$restore_command\E/, 'restore_command can be changed, and is not asked for histories');

# ---- a promotion beside orphans ----

is(restore_by_mistake($backup[1], 'INSERT INTO probe VALUES (-3)'), 3, 'another one has taken timeline 3');
is(restore_by_mistake($backup[2], 'INSERT INTO probe VALUES (-4)'), 4, 'and timeline 4');
my %before = map { $_ => PghaCluster::slurp("$archive/$_") } map { "0000000$_.history" } 2 .. 4;
$mark = $b->log_mark;
$b->restart;
is($b->value('SHOW recovery_target_timeline'), 'latest', 'recovery_target_timeline is set by pgha');
$cluster->wait_following($a, $b);
$b->wait_log(qr/the archive has a history of timeline 4, /, $mark);
$a->kill9;
is($cluster->wait_single_primary(among => [$b]), $b, 'the primary falls: the standby leads');
is(timeline($b), 5, 'on the next timeline, which the archive has not');
archived($b);
is_deeply({ map { $_ => PghaCluster::slurp("$archive/$_") } keys %before }, \%before, 'what the archive had is as it was');
is($b->value('SELECT count(*) FROM probe WHERE v < 0'), '0', 'no foreign row');
$cluster->rejoin($a, $b);
pass('the former primary follows');

# ---- WAL that the leader does not have any more ----

foreach (1 .. 6) { $b->sql('INSERT INTO probe VALUES (1)'); archived($b); $b->sql('CHECKPOINT'); }
$cluster->wait_for('the leader to have removed what c needs', sub { !-e "$b->{data}/pg_wal/$needed" });
$mark = $c->log_mark;
$c->start;
$cluster->wait_following($b, $c);
like($c->log_since($mark), qr/restored log file "\Q$needed\E" from archive.*restored log file "00000005/s,
	'a standby that was away gets it from the archive, over the change of timeline');
is($c->value('SELECT count(*) FROM probe WHERE v < 0'), '0', 'without a foreign row');

# ---- an archive that does not answer ----

PghaCluster::spew($slow, '');
$mark = $a->log_mark;
$a->restart;
$cluster->wait_following($b, $a);
$a->wait_log(qr/could not ask the archive for the history of timeline \d+: restore_command has not ended within 10000 ms/, $mark);
is(scalar(grep { PghaCluster::command_line($_) =~ /sleep 1000/ } $a->processes), 0, 'restore_command hangs: it is ended');
$c->stop;
$b->kill9;
is($cluster->wait_single_primary(among => [$a]), $a, 'and holds up no promotion');

done_testing();
