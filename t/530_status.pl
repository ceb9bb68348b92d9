# What is seen of a cluster is true at every moment: how far the replay lags, in
# bytes and in time, also while it is paused and while there is nothing to do; a data
# directory that is gone; on 80 columns; and while the primary and the member that is
# asked are frozen.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Copy qw(move);
use IO::Pty;
use JSON::PP;
use PghaCluster;
use POSIX qw(WNOHANG);
use Test::More;

my $pgha = PghaCluster::pgha_program();
my $cluster = PghaCluster->new(names => [ 'db-1', 'db-2', 'db-3' ], settings => { 'pgha.failure_timeout' => '3s' })->build;
my ($one, $two, $three) = $cluster->nodes;

# Waits until a query gives the value, and says so.
sub becomes
{
	my ($node, $query, $expected, $name) = @_;
	my $value;
	PghaCluster::poll_until($name, sub { $value = $node->value($query); defined $value && $value eq $expected });
	is($value, $expected, $name);
	return;
}

sub of_two { my ($columns) = @_; return "SELECT $columns FROM pgha_cluster() WHERE node = 'db-2'"; }

# ---- lag ----

$cluster->wait_for('the members to vote', sub { my $now = $one->status; $now && $now->{quorum} eq 'in force' && $now->{gate} eq 'open' });
$cluster->wait_following($one, $two, $three);
foreach my $node ($one, $two, $three)
{
	becomes($node, 'SELECT replay_lag_bytes, time_lag, replay_paused, gate FROM pgha_cluster() ORDER BY node',
		"|||open\n0|00:00:00|f|closed\n0|00:00:00|f|closed", "$node->{name}: nothing lags, and the primary has no lag");
}

# What nobody does is no lag.
my $since = $one->value('SELECT clock_timestamp()');
my $most = 0;
$cluster->wait_for('time to pass', sub {
	my ($lag, $passed) = split /\|/, $one->value(of_two("extract(epoch FROM time_lag), clock_timestamp() - '$since' > interval '5 s'")) // '0|f';
	$most = $lag if $lag > $most;
	return $passed eq 't';
});
# ... but for what the primary writes of itself now and then, and a report has not told of yet.
cmp_ok($most, '<', 3, 'an idle primary makes no lag in time');

# A long transaction alone, of which something is always under way.
my $alone = $one->background(q{DO $$ DECLARE until timestamptz := clock_timestamp() + interval '12 s'; BEGIN WHILE clock_timestamp() < until LOOP
	INSERT INTO probe SELECT generate_series(1, 500); END LOOP; RAISE EXCEPTION 'enough'; END $$});
my ($looks, $longest) = (0, 0);
$cluster->wait_for('the transaction to end', sub {
	my ($lag, $old) = split /\|/, $two->value(q{SELECT coalesce(extract(epoch FROM time_lag), 0), now() - pg_last_xact_replay_timestamp() > interval '6 s' FROM pgha_status()}) // '0|f';
	($looks, $longest) = ($looks + 1, $lag > $longest ? $lag : $longest) if $old eq 't' && $alone->is_running;
	return !$alone->is_running;
});
cmp_ok($longest, '<', 5, "a long transaction alone makes none either ($looks looks, up to $longest s)");
becomes($one, of_two('replay_lag_bytes, time_lag'), '0|00:00:00', '... and all is replayed');

# Received, not replayed.
$two->sql('SELECT pg_wal_replay_pause()');
becomes($two, 'SELECT pg_get_wal_replay_pause_state()', 'paused', 'replay is paused');
becomes($one, of_two('replay_paused, time_lag, replay_lag_bytes'), 't|00:00:00|0', '... which is seen, and no lag yet');
$one->sql('INSERT INTO probe SELECT generate_series(1, 1000)');
becomes($one, of_two('replay_lag_bytes > 10000, lag_bytes'), 't|0', 'what was received and not replayed is a lag of the replay only');
foreach my $node ($one, $two, $three)
{
	becomes($node, of_two("time_lag > interval '2 s', replay_lag_bytes > 10000, replayed_lsn < lsn, replay_paused"), 't|t|t|t', "... which grows in time, as $node->{name} sees it");
}
is($one->value(of_two(qq{time_lag < clock_timestamp() - '$since' - interval '4 s'})), 't', '... since the commit, and not since the one before it');
is($two->value(q{SELECT time_lag > interval '2 s' AND replay_lag_bytes > 10000 AND replay_paused FROM pgha_status()}), 't', 'pgha_status() says the same');
like(($two->psql('SELECT * FROM pgha_nodes', tuples => 0))[1] // '', qr/db-2/, 'and the narrow view');
$two->sql('SELECT pg_wal_replay_resume()');
foreach my $node ($one, $two, $three)
{
	becomes($node, of_two('replay_lag_bytes, time_lag, replay_paused'), '0|00:00:00|f', "$node->{name}: it is gone when replay goes on");
}

# ---- on 80 columns ----

sub status_of
{
	my ($columns, @arguments) = @_;
	my (undef, $out, $err) = PghaCluster::run_command([ $pgha, 'status', @arguments ], env => { COLUMNS => $columns });
	return $out . $err;
}

$two->sql('SELECT pg_wal_replay_pause()');
$one->sql('INSERT INTO probe SELECT generate_series(1, 1000)');
becomes($one, of_two('replay_lag_bytes > 10000, lag_bytes'), 't|0', 'lag again');
foreach my $columns (20, 40, 80, 120)
{
	my $text = status_of($columns, $one->conninfo);
	is(join("\n", grep { length > $columns } split /\n/, $text), '', "$columns columns: no line is longer");
	like($text, qr/^ *Node +Role +S/m, '... those that matter most are there');
	like($text, qr/^[> ][* ] +db-2 +standby +standby +0 B +[\d.]+ kB, paused +[\d.]+ s +(?:yes|no|-) +[\d.]+ s +/m, '... the lag, too') if $columns >= 80;
}
like(status_of(80, '--wide', $one->conninfo), qr/ Age +TL +Upstream +Supports +Cand\. +Term +LSN +Address$/m, '--wide: all columns');
like(status_of('', $one->conninfo), qr/ LSN +Address$/m, 'as there are without a terminal');
my $document = JSON::PP::decode_json(status_of('', '--json', $one->conninfo));
my ($row) = grep { $_->{node} eq 'db-2' } @{ $document->{members} };
ok($row->{replay_lag_bytes} > 10000 && $row->{time_lag_seconds} > 0 && $row->{replay_paused} && $row->{lag_bytes} == 0, '--json has it as numbers');
$two->sql('SELECT pg_wal_replay_resume()');

# ---- the primary and the member that is asked are frozen ----

my ($watch, $watcher);
my $seen = '';

sub start_watch
{
	my (@command) = @_;
	$watch = IO::Pty->new;
	$watch->slave->set_winsize(24, 80);
	$watcher = fork() // die "fork: $!";
	if ($watcher != 0)
	{
		$watch->blocking(0);
		return;
	}
	local $ENV{TERM} = 'xterm';
	my $slave = $watch->slave;
	open(STDIN, '<&', $slave);
	open(STDOUT, '>&', $slave);
	open(STDERR, '>&', $slave);
	no warnings 'exec';
	exec @command, '--watch=0.5';
	POSIX::_exit(127);
}

# Forgets what was drawn, and waits for a picture that is all new.
sub draws
{
	my ($pattern, $name) = @_;
	$seen = '';
	my $found = PghaCluster::poll_until($name, sub {
		$seen .= $_ while defined($watch->sysread($_, 65536)) && length;
		$seen =~ /\e\[H/ or return 0;
		return grep { s/\e\[[0-9;?]*[A-Za-z]//gr =~ $pattern } split /(?=\e\[H)/, $seen;
	});
	ok($found, $name) or diag substr($seen, -2000);
	return;
}

sub end_watch
{
	$watch->syswrite('q');
	return ok(PghaCluster::poll_until('', sub { waitpid($watcher, WNOHANG) > 0 }), 'q ends it');
}

start_watch(PghaCluster::as_postgres(), $pgha, 'status', "host=127.0.0.1 port=$two->{port} user=postgres dbname=postgres");
draws(qr/^\d\d:\d\d:\d\d  every 0\.5 s.*primary db-1.*as db-2 sees it/s, 'watched by way of a standby');
$_->freeze foreach $one, $two;
draws(qr/No answer from db-2 since .*What follows is what db-3 says\..*as db-3 sees it/s, 'both frozen: another member is shown');
my %old;
foreach my $what ('soon', 'later', 'and later')
{
	draws(qr/db-2 +standby +unreachable .* [\d.]+ s +\d/, "$what: the one that was asked is unreachable, with the age of its row");
	my $plain = $seen =~ s/\e\[[0-9;?]*[A-Za-z]//gr;
	my ($age) = $plain =~ /.*db-2 +standby +unreachable .*? ([\d.]+) s +\d/s;
	$old{$age // ''}++;
	my $last = sub { my $text = $seen =~ s/\e\[[0-9;?]*[A-Za-z]//gr; return ($text =~ /.*db-2 +standby +unreachable .*? ([\d.]+) s +\d/s)[0] // ''; };
	PghaCluster::poll_until('another age', sub { $seen .= $_ while defined($watch->sysread($_, 65536)) && length; return $last->() ne ($age // ''); });
}
is(scalar keys %old, 3, 'the ages go on: ' . join ', ', sort keys %old);
$three->freeze;
draws(qr/^\d\d:\d\d:\d\d, as of [2-9]\d* s ago  every.*No answer.*What follows is what db-3 said last/s, 'all frozen: what is old is marked, with its age');
$_->thaw foreach $one, $two, $three;
draws(qr/^\d\d:\d\d:\d\d  every 0\.5 s, q ends\s+Cluster main/s, 'it goes on with them');
end_watch();

# The same with nothing named but the data directory: the others are asked with the login of the members.
start_watch($pgha, 'status', '-D', $two->{data});
draws(qr/^\d\d:\d\d:\d\d  every 0\.5 s.*primary db-\d.*as db-2 sees it/s, 'watched on the host of a member');
$two->freeze;
draws(qr/No answer from db-2 since .*What follows is what db-[13] says\./s, 'its server is frozen: another member is shown');
$two->thaw;
draws(qr/^\d\d:\d\d:\d\d  every 0\.5 s, q ends\s+Cluster main/s, 'it goes on with it');
end_watch();

# Frozen from the beginning, and with more patience for a connection than this test has.
$two->freeze;
start_watch('env', 'PGCONNECT_TIMEOUT=3600', $pgha, 'status', '-D', $two->{data});
draws(qr/No answer from db-2 since .*What follows is what db-[13] says\./s, 'its server is frozen before it has answered once: the others are asked at once');
end_watch();
$two->thaw;
my $leader = $cluster->wait_single_primary;

# ---- a data directory is gone ----

my ($lost) = grep { $_ != $leader } $one, $two, $three;
$cluster->wait_for('all to follow', sub { !grep { $_ != $leader && ($_->value('SELECT leader FROM pgha_status()') // '') ne $leader->{name} } $one, $two, $three });
$leader->start_agent;
$lost->start_agent;
$lost->wait_agent;
$lost->stop('immediate');
move($lost->{data}, "$lost->{data}.away") or die "$lost->{data}: $!";
my $name = $lost->{name};
becomes($leader, "SELECT agent, server, state FROM pgha_cluster() WHERE node = '$name'", 't|absent|unreachable', 'the primary knows from the agent that there is no data');
becomes($leader, "SELECT state FROM pgha_nodes WHERE node = '$name'", 'data lost', 'the narrow view says it in words');
like(status_of(80, $leader->conninfo), qr/^[> ][* ] +$name +\S+ +data lost .* absent +[\d.]+ s/m, 'and so does pgha status');

# ---- the first version of the extension ----
$one = $leader;


$one->sql('CREATE DATABASE first');
my %first = (database => 'first');
$one->sql(q{CREATE EXTENSION pgha VERSION '1.0'}, %first);
my $columns = q{SELECT count(*) FROM json_object_keys((SELECT to_json(c) FROM pgha_cluster() c WHERE node = 'db-2')) UNION ALL SELECT count(*) FROM json_object_keys((SELECT to_json(s) FROM pgha_status() s))};
is($one->value($columns, %first), "21\n25", 'the library serves the functions of version 1.0');
# What the first version's library has by the same name must have the same columns.
my $made = q{SELECT json_object_agg(prosrc, coalesce(proallargtypes::text, '')) FROM pg_proc WHERE probin LIKE '%pgha%'};
my $old = JSON::PP::decode_json($one->value($made, %first));
ok($old->{pgha_sql_status} && $old->{pgha_sql_cluster}, '... by names of its own');
$one->sql('ALTER EXTENSION pgha UPDATE', %first);
is($one->value($columns, %first), $one->value($columns), '... which are updated');
my $new = JSON::PP::decode_json($one->value($made, %first));
is(join(' ', grep { defined $old->{$_} && $old->{$_} ne $new->{$_} } sort keys %$new), '',
	'... and a library of the first version has nothing by the names of what has other columns now');
my $acl = q{SELECT string_agg(proname || ':' || proacl::text, ' ' ORDER BY oid::regprocedure::text) FROM pg_proc WHERE proname IN ('pgha_status', 'pgha_cluster')};
is($one->value($acl, %first), $one->value($acl), '... with the privileges of a new one');

done_testing;
