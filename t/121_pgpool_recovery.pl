# Online recovery of an unmodified pgpool-II without a script: pcp_recovery_node
# brings a killed primary back, and one whose data is gone; what fails is told
# to whoever runs it.  No argument of pgpool_recovery() does harm.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');

my $cluster = PghaCluster->new(nodes => 2, agents => 1, settings => { 'pgha.auto_rejoin' => 'off' })
  ->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($a, $b) = $cluster->nodes;
$a->sql('CREATE EXTENSION pgha', database => 'template1');
my $pgpool = PghaCluster::Pgpool->start($cluster);
$cluster->wait_for('pgpool to know all nodes', sub { 2 == grep { $_->[0] eq 'up' } values %{ $pgpool->view } });

like($pgpool->pcp('pcp_recovery_node', $b), qr/is alive/, 'a node that is attached is not recovered');

sub fall
{
	my ($node) = @_;
	$node->kill9;
	my ($other) = $cluster->others($node);
	$cluster->wait_single_primary(among => [$other]);
	$cluster->wait_for('pgpool to follow', sub { ($pgpool->view->{ $other->{port} }[1] // '') eq 'primary'
		&& ($pgpool->view->{ $node->{port} }[0] // '') eq 'down' });
	return $other;
}

sub is_back
{
	my ($what, $node) = @_;
	$cluster->wait_for("pgpool to have attached $node->{name}", sub { ($pgpool->view->{ $node->{port} }[0] // '') eq 'up' });
	is($pgpool->seen->{ $node->{port} }[1], 'standby', "$what: pgpool has it as a standby");
	$cluster->wait_following($cluster->primary, $node);
	return;
}

# A killed primary with commits that nobody else has: rewound.
my $sender = $a->value("SELECT pid FROM pg_stat_replication WHERE application_name = 'b'");
kill 'STOP', $sender;
$a->sql('INSERT INTO probe VALUES (-1)');
my $primary = fall($a);
my $mark = $a->agent_mark;
like($pgpool->pcp('pcp_recovery_node', $a), qr/Command Successful/, 'pcp_recovery_node of a killed primary')
  or diag $a->agent_text;
like(substr($a->agent_text, $mark), qr/rewinding/, 'it was rewound');
is_back('killed primary', $a);
is($a->value('SELECT count(*) FROM probe WHERE v = -1'), '0', 'what the new primary does not have is gone');

# Its data is gone, all but the configuration.
$primary = fall($b);
my $kept = join '', map { PghaCluster::slurp("$b->{data}/$_") } qw(postgresql.conf node.conf);
PghaCluster::must_run([ 'rm', '-rf', "$b->{data}/base", "$b->{data}/global", "$b->{data}/pg_xact" ]);
like($pgpool->pcp('pcp_recovery_node', $b), qr/Command Successful/, 'pcp_recovery_node of a node without data')
  or diag $b->agent_text;
is_back('node without data', $b);
is(join('', map { PghaCluster::slurp("$b->{data}/$_") } qw(postgresql.conf node.conf)), $kept, 'it has its own configuration');

# No agent: said where pcp_recovery_node is run, with what to do.
$primary = fall($a);
$a->stop_agent;
my $said = $pgpool->pcp('pcp_recovery_node', $a);
like($said, qr/no agent of node "a" is connected.*HINT: .*systemctl start pgha-agent.* not reach this server/s, 'without an agent: the reason and what to do');
unlike($said, qr/Successful/, 'and no success');

# A word that is no method.
$pgpool->set(recovery_1st_stage_command => 'recovery_1st_stage');
my $text = $cluster->wait_for(
	'pgpool to use the new setting',
	sub { my $text = $pgpool->pcp('pcp_recovery_node', $a); return $text =~ /not a recovery command/ ? $text : undef; });
like($text, qr/pgha:rewind/, 'a recovery command that is none: the error names those that are');
$pgpool->set(recovery_1st_stage_command => 'pgha:clone');

# Two at once: the second one joins; both by SQL, as pgpool allows one at a time.
$a->start_agent;
my $call = "SELECT pgpool_recovery('pgha:clone', '$a->{host}', '$a->{data}', '$primary->{port}', 0, '$a->{port}', '$primary->{host}')";
my $first = $primary->background($call);
$cluster->wait_for('the recovery to run', sub { ($primary->value(q{SELECT count(*) FROM pgha_recovery_progress() WHERE node = 'a' AND outcome IS NULL AND method = 'clone'}) // '') eq '1' });
my (undef, $out, $notices) = $primary->psql($call, database => 'template1', timeout => 60);
is($out, 't', 'a second call succeeds with the first one');
like($notices, qr/joining the recovery/, 'as it joins it');
$a->wait_streaming;
is($primary->value("SELECT pgpool_remote_start('$a->{host}', '$a->{data}')"), 't', 'pgpool_remote_start() of a node that runs');
like($pgpool->pcp('pcp_recovery_node', $a), qr/Command Successful/, 'pcp_recovery_node of a node that streams already attaches it');
is_back('streams already', $a);

# The primary dies in the middle: a clone goes on only when the file `go` is there.
my $clone = "$cluster->{base}/clone";
PghaCluster::spew($clone, <<"END");
#!/bin/bash
until [ -e $cluster->{base}/go ]; do echo waits; sleep 0.1; done
exec ${\ $a->program('pg_basebackup')} -D "\$1" -h "\$2" -p "\$3" -U pgha -X stream -c fast
END
chmod 0755, $clone;
foreach my $node ($a, $b)
{
	my $mark = $node->agent_mark;
	$node->set('pgha.clone_command' => "$clone %d %h %p");
	$node->wait_agent_log(qr/read the configuration again/, $mark);
}
$primary = fall($primary);
my $fallen = $primary == $a ? $b : $a;
$pgpool->set(recovery_1st_stage_command => 'pgha');
my $recovery = $primary->background("SELECT pgpool_recovery('pgha:clone', '$fallen->{host}', '$fallen->{data}', '$primary->{port}', 0, '$fallen->{port}')");
$cluster->wait_for('the recovery to run', sub { $fallen->job_field('outcome') eq '' && $fallen->job_field('phase') eq 'cloning' });
$primary->kill9;
PghaCluster::spew("$cluster->{base}/go", '');
$cluster->wait_for('the recovery to have ended', sub { $fallen->job_field('outcome') =~ /./ });
is($fallen->job_field('outcome'), 'failed', 'the primary died meanwhile: the recovery failed');
is($fallen->job_field('data_ok'), '1', 'and nothing was touched');
is(scalar(() = glob("$fallen->{data}.new-*")), 0, 'nor left over');
$primary->start;
$primary->wait_writable;
$cluster->wait_for('the recovery to succeed', sub { ($primary->psql("SELECT pgha_recover_node('$fallen->{name}')"))[1] eq 't' || $fallen->state eq 'standby' });
$fallen->wait_streaming;
pass('it is back once there is a primary');

# Odd arguments.
my $seed = $ENV{PGHA_SEED} // int(rand(2**31));
note "seed $seed";
srand($seed);
my @pieces = ("'", "''", '\\', '"', '$(touch /tmp/pgha-pwned)', '`id`', ';', '--', "\n", "\t", '%s%n', '{}', "\xc3\xa9", "\xe2\x98\x83",
	"\xf0\x9f\x90\x98", 'pgha', ':', 'clone', ' ', '/', '..', 'x' x 300, "\x01", 'localhost', '127.0.0.1');
my $sql = '';
foreach (1 .. 1000)
{
	my @argument = map { join '', map { $pieces[ rand @pieces ] } 0 .. rand 6 } 1 .. 6;
	s/'/''/g foreach @argument;
	$sql .= "SELECT pgpool_recovery('$argument[0]', '$argument[1]', '$argument[2]', '$argument[3]', 1, '$argument[4]', '$argument[5]');\n";
}
PghaCluster::spew("$cluster->{base}/odd.sql", $sql);
my ($status, $stdout, $stderr) = PghaCluster::run_command([ $primary->program('psql'), '-XAtq', '-d', $primary->conninfo, '-f', "$cluster->{base}/odd.sql" ], timeout => 120);
is(scalar(() = $stdout =~ /^f$/mg) + scalar(() = $stderr =~ /ERROR:/g), 1000, "1000 odd calls: each returns false or fails (seed $seed)");
unlike($stderr, qr/syntax error|server closed/, 'none is misread, the server goes on');
ok(!-e '/tmp/pgha-pwned', 'nothing was executed');
is($primary->value('SELECT 1'), '1', 'the server is unharmed');
done_testing();
