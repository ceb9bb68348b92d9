# What pgha_doctor() says of votes: each mistake is made for real, found, and gone
# once its remedy is followed.  Also on a witness.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(
	names => [ 'db-1', 'db-2', 'db-3' ], witnesses => ['w-1'], fsync => 1,
	settings => { 'pgha.failure_timeout' => '3s' }, node_settings => { 'db-3' => { 'pgha.quorum' => 'off' } })->build;
my ($one, $two, $three) = $cluster->nodes;
my ($witness) = $cluster->witnesses;

# ---- helpers ----

sub rows_of { my ($node, $check) = @_; return $node->rows(qq{SELECT * FROM pgha_doctor() WHERE "check" = '$check'}); }

# The check comes to say so, with a remedy.
sub finds
{
	my ($node, $check, $severity, $finding, $remedy) = @_;
	my @rows;
	my $hit = PghaCluster::poll_until($check, sub {
		@rows = rows_of($node, $check);
		return grep { $_->{severity} eq $severity && $_->{finding} =~ $finding && ($_->{remedy} // '') =~ $remedy } @rows;
	});
	ok($hit, "$check on $node->{name}: $severity") or diag explain \@rows;
	return;
}

# It comes to be content.
sub content
{
	my ($node, $check, $finding) = @_;
	my @rows;
	my $hit = PghaCluster::poll_until($check, sub {
		@rows = rows_of($node, $check);
		return @rows == 1 && $rows[0]{severity} eq 'ok' && $rows[0]{finding} =~ $finding;
	});
	ok($hit, "$check on $node->{name}: in order") or diag explain \@rows;
	return;
}

sub change { my ($node, %setting) = @_; $node->set(%setting); $node->reload; return; }

# ---- who votes ----

finds($three, 'quorum', 'warning', qr/is off with 4 voters: two halves/, qr/pgha\.quorum = auto/);
like($three->log_since(0), qr/WARNING:  pgha\.quorum is off: two halves of a divided cluster/, 'db-3 warns of it at its start, too');
finds($_, 'quorum', 'warning', qr/does not vote.*: db-3$/, qr/same version/) foreach $one, $two, $witness;
change($three, 'pgha.quorum' => 'auto');
content($_, 'quorum', qr/^in force, 4 voters$/) foreach $one, $three, $witness;
finds($one, 'voters', 'info', qr/4 voters, an even number: 1 of them may fail, as of 3/, qr/witness/);
finds($one, 'voters_apart', 'info', qr/are the 4 voters in different places\?/, qr/majority/);
change($two, 'pgha.quorum' => 'off');
finds($two, 'quorum', 'info', qr/stays in force/, qr/auto/);
change($two, 'pgha.quorum' => 'auto');
content($two, 'quorum', qr/^in force/);

# ---- the witness ----

content($one, 'witnesses', qr/^1, all answer$/);
is_deeply([ grep { $_->{severity} eq 'error' } $witness->rows('SELECT * FROM pgha_doctor()') ], [], 'the witness is asked, too, and finds no error');
is($witness->value(q{SELECT count(*) FROM pgha_doctor() WHERE "check" IN ('slots', 'candidates', 'wal_level', 'synchronous_commit', 'role_grants')}), '0',
	'... and nothing that it has no data for, nor an agent');

# One that lets in nobody but the members' servers, as `pgha witness init` makes it, is no fault.
$one->sql('CREATE ROLE reader LOGIN IN ROLE pg_monitor');
$one->sql('GRANT EXECUTE ON FUNCTION pgha_doctor() TO reader');
PghaCluster::spew("$witness->{data}/pg_hba.conf", "host all reader all reject\n" . PghaCluster::slurp("$witness->{data}/pg_hba.conf"));
$witness->reload;
my $said;
ok(PghaCluster::poll_until('', sub {
	$said = (PghaCluster::run_command([ PghaCluster::as_postgres(), PghaCluster::pgha_program(), 'doctor', '--all',
		'-h', $one->{socket}, '-p', $one->{port}, '-U', 'reader', '-d', 'postgres' ]))[1];
	return $said =~ /^info +asked +could not ask this witness from here: .*rejects/m;
}), 'a witness that cannot be asked from here is no warning') or diag $said;
change($witness, 'pgha.failure_timeout' => '4s');
finds($one, 'witnesses', 'warning', qr/"w-1" has another list .* or other times/, qr/pgha\.witnesses/);
change($witness, 'pgha.failure_timeout' => '3s');
content($one, 'witnesses', qr/all answer/);
$witness->stop;
finds($two, 'witnesses', 'error', qr/witness "w-1" \(127\.0\.0\.1:\d+\) cannot be read/, qr/vote is missing/);
$witness->start;
content($two, 'witnesses', qr/all answer/);

# ---- who confirms ----

change($one, 'synchronous_standby_names' => 'ANY 1 (*)');
finds($one, 'synchronous_standby_names', 'error', qr/contains \*/, qr/ANY 1 \("db-1"/);
change($one, 'synchronous_standby_names' => 'ANY 1 ("db-1", "db-2", "db-3", backup)');
finds($one, 'synchronous_standby_names', 'error', qr/no member: "backup"/, qr/ANY 1/);
change($one, 'synchronous_standby_names' => 'ANY 1 ("db-1", "db-2", "db-3")');
content($one, 'synchronous_standby_names', qr/^ANY 1/);

# ---- times, and what a refusal proves ----

change($one, 'pgha.lease_ttl' => '5s');
finds($one, 'lease_ttl', 'info', qr/5000 ms, longer than pgha\.failure_timeout \(3000 ms\)/, qr/= 0/);
change($one, 'pgha.lease_ttl' => '0');
content($one, 'lease_ttl', qr/^3000 ms, with a heartbeat every \d+ ms$/);
content($one, 'refused_is_down', qr/^on$/);
change($one, 'pgha.refused_is_down' => 'off');
content($one, 'refused_is_down', qr/^off: a primary that crashes/);

# ---- two that are left vote on ----

$three->stop;
my $two_members = join ', ', grep { !/^db-3=/ } split /, */, $cluster->{members};
change($_, 'pgha.members' => $two_members, 'pgha.witnesses' => '') foreach $one, $two;
finds($_, 'voters', 'warning', qr/two voters are left, and both are needed/, qr/pgha\.witnesses = /) foreach $one, $two;

done_testing();
