# A standby that is ahead of the new leader's fork, and sees that leader's WAL in
# an archive that all share: it must not replay any of it before the two were
# compared.  What it alone has would be gone without a word.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

# One of three has to lead alone: two witnesses vote, too.
my $cluster = PghaCluster->new(nodes => 3, witnesses => [ 'w-1', 'w-2' ], wal_segsize => 1);
my ($a, $b, $c) = $cluster->nodes;
my $archive = "$cluster->{base}/archive";
mkdir $archive;
PghaCluster::give_to_postgres($archive);
my $store = "$cluster->{base}/store.pl";
my $fetch = "$cluster->{base}/fetch.pl";
PghaCluster::spew($store, <<"EOT");
use File::Copy;
my (\$path, \$name) = \@ARGV;
exit 0 if -e '$archive/\$name';
copy(\$path, "$archive/\$name.new") or exit 1;
rename("$archive/\$name.new", "$archive/\$name") or exit 1;
EOT
PghaCluster::spew($fetch, "use File::Copy; exit(copy('$archive/' . \$ARGV[0], \$ARGV[1]) ? 0 : 1);\n");
$cluster->{settings} = { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '3s', archive_mode => 'on', max_wal_size => '1GB', checkpoint_timeout => '1h',
	archive_command => "$^X $store %p %f", restore_command => "$^X $fetch %f %p" };
$cluster->build;
wait_votes($a, $cluster->voters);

# Rows that a and c have, and b has not: its WAL sender is stopped, so that not even the socket holds them.
sub ahead
{
	my ($primary, $behind, $ahead, $rows) = @_;
	my ($sender) = $primary->sql("SELECT pid FROM pg_stat_replication WHERE application_name = '$behind->{name}' AND state = 'streaming'");
	kill STOP => $sender;
	$primary->sql("INSERT INTO probe SELECT -g FROM generate_series(1, $rows) g");
	$cluster->wait_following($primary, $ahead);
	$ahead->kill9;
	$primary->kill9;
	$cluster->wait_single_primary(among => [$behind]);
}

ahead($a, $b, $c, 300);
is($b->value('SELECT count(*) FROM probe WHERE v < 0'), 0, 'the new primary does not have the rows');
my $timeline = $b->status->{timeline};
$b->sql("INSERT INTO probe SELECT g FROM generate_series(10001, 10300) g; SELECT pg_switch_wal()") foreach 1 .. 3;
$cluster->wait_for('its WAL to be in the archive', sub { 3 <= (() = glob(sprintf('%s/%08X0*', $archive, $timeline))) });
ok(-e sprintf('%s/%08X.history', $archive, $timeline), 'so is its history');

my $mark = $c->log_mark;
$c->start;
$c->wait_state('diverged');
pass('a standby with WAL past the fork says so');
is($c->value('SELECT count(*) FROM probe WHERE v < 0'), 300, 'and has what it alone has');
is($c->value('SELECT count(*) FROM probe WHERE v BETWEEN 10001 AND 10300'), 0, 'nothing of the new leader was replayed');
my $restored = sprintf('restored log file "%08X0', $timeline);
unlike($c->log_since($mark), qr/\Q$restored\E/, 'nor restored');

$c->restart;
$c->wait_state('diverged');
is($c->value('SELECT count(*) FROM probe WHERE v < 0'), 300, 'the same after a restart');

done_testing();
