# What becomes of a server that was started by somebody else, once the agent has a
# hand in it.  A data directory that is not whole is refused by PostgreSQL itself,
# also after its mode was set right, and nobody is told to do that.  And a server
# that the agent starts goes on logging where it did before: in the file of
# pg_ctl's option -l, in Debian's, or in pgha.server_log.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'rewind' })->build;
my ($a, $b) = $cluster->nodes;
my $pgha = PghaCluster::pgha_program();

sub own_log { my ($node) = @_; return $node->agent_directory . '/postgres.log'; }

# ---- where it logs ----
# Who started it could write to its log.
PghaCluster::give_to_postgres($_->{log}) foreach $a, $b;
PghaCluster::poll_until('the agent to have looked', sub { -e $b->agent_directory . '/server_log' }, 10);
my $mark = $b->log_mark;
$b->kill9;
eventually(sub { defined $b->value('SELECT 1') && $b->log_since($mark) =~ /ready to accept/ }, 30, 'what was killed is started, and logs where it did before');
ok(!-s own_log($b), 'and nowhere else');
$cluster->wait_following($a, $b);

my $chosen = "$cluster->{base}/log/chosen.log";
read_again($b, 'pgha.server_log' => $chosen);
$b->kill9;
eventually(sub { (PghaCluster::slurp($chosen) // '') =~ /ready to accept/ }, 30, 'or where pgha.server_log says');
read_again($b, 'pgha.server_log' => undef);
$cluster->wait_following($a, $b);

# The one that nobody else rotates; who has it open goes on writing into it.
PghaCluster::spew(own_log($b), 'x' x (17 << 20));
PghaCluster::give_to_postgres(own_log($b));
eventually(sub { (-s own_log($b)) == 0 && (-s own_log($b) . '.1') == 17 << 20 }, 10, 'its own log is rotated by the agent');

# ---- pg_control that is damaged ----
$b->stop_agent;
$b->stop('fast');
my $control = "$b->{data}/global/pg_control";
my $whole = PghaCluster::slurp($control);
my $damaged = $whole;
substr($damaged, 40, 1) ^= "\x01";
PghaCluster::spew($control, $damaged);
PghaCluster::give_to_postgres($control);
my $said = $b->agent_mark;
$b->start_agent;
eventually(sub { progress($a, $b, 'server') eq 'unknown' }, 10, 'pg_control is damaged: how the server ended is not known');
eventually(sub { substr($b->agent_text, $said) =~ /pg_control of .* is damaged/ }, 30, 'which the agent says');
ok(!$b->is_running && substr($b->agent_text, $said) !~ /recovery \(/, 'and does nothing');
PghaCluster::spew($control, $whole);
PghaCluster::give_to_postgres($control);
$b->start;
$cluster->wait_following($a, $b);

# ---- a directory that is not whole ----
diverge($a, $b, 4711);
arm($a, 'rewinding');
$a->kill9;
$b->wait_writable;
await_stopped_job($a, 'the rewind has begun');
chmod 0700, $a->{data} or die;
like($a->start_refused, qr/recovery command file/, 'its mode set right: PostgreSQL does not start on it');
my (undef, $out, $err) = PghaCluster::run_command([ $a->here, $pgha, 'doctor', '-D', $a->{data}, $b->conninfo ]);
unlike($out . $err, qr/chmod 0?700/, 'nobody is told to set its mode right');
like($out . $err, qr/is not whole/, 'but that it is not whole');
rename("$a->{data}/recovery.conf", "$cluster->{base}/recovery.conf") or die;
chmod 0701, $a->{data} or die;
like($a->start_refused, qr/invalid permissions/, 'nor without the file, by its mode alone');
rename("$cluster->{base}/recovery.conf", "$a->{data}/recovery.conf") or die;
let_go($a);
eventually(sub { ($b->value(q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'a' AND state = 'streaming'}) // '') eq '1' },
	60, 'it is rewound, and streams') or diag $a->agent_text;
ok(!-e "$a->{data}/recovery.conf" && ((stat $a->{data})[2] & 0777) == 0700, 'and is not marked any more');

# ---- a cluster of Debian's ----
SKIP:
{
	my ($major) = PghaCluster::must_run([ $a->program('postgres'), '-V' ]) =~ /(\d+)/;
	skip 'there is no pg_createcluster for this version', 3
	  unless PghaCluster::is_root() && -x '/usr/bin/pg_createcluster' && -x "/usr/lib/postgresql/$major/bin/postgres";
	my $name = "pgha_test_$$";
	my $log = "/var/log/postgresql/postgresql-$major-$name.log";
	my $conf = "/etc/postgresql/$major/$name";
	my $agent;
	my $data = "$cluster->{base}/debian";

	eval {
		PghaCluster::must_run([ 'pg_createcluster', "--datadir=$data", '--start-conf=manual', $major, $name ], timeout => 60);
		open(my $file, '>>', "$conf/postgresql.conf") or die;
		print $file "pgha.node = 'x'\npgha.members = 'x=127.0.0.1:24499'\npgha.server_log = ''\n";
		close $file;
		like(PghaCluster::must_run([ PghaCluster::as_postgres(), $pgha, 'agent', '--check', '-D', $conf ]), qr/^server_log +\Q$log\E$/m,
			'a cluster of Debian\'s: the log is the one of pg_ctlcluster');
		# As pg_ctlcluster does it, but as our child: not everybody's init reaps.
		my $server = PghaCluster::spawn([ PghaCluster::as_postgres(), $cluster->die_with_us('QUIT'),
			"/usr/lib/postgresql/$major/bin/postgres", '-D', $data, '-c', "config_file=$conf/postgresql.conf" ], log => $log);
		$cluster->wait_for('it to be up', sub { PghaCluster::slurp($log) =~ /ready to accept/ });
		kill 'KILL', PghaCluster::processes_in($data);
		waitpid($server, 0);
		$cluster->wait_for('it to be gone', sub { !PghaCluster::processes_in($data) });
		my $before = () = PghaCluster::slurp($log) =~ /ready to accept/g;
		$agent = PghaCluster::spawn([ PghaCluster::as_postgres(), $cluster->die_with_us('TERM'), $pgha, 'agent', '-D', $conf ], log => "$cluster->{base}/log/debian.log");
		eventually(sub { my $now = () = PghaCluster::slurp($log) =~ /ready to accept/g; $now > $before }, 30,
			'the agent has started it, and it logs there') or diag PghaCluster::slurp("$cluster->{base}/log/debian.log");
		ok(!-s "$data.pgha/postgres.log", 'and nowhere else');
	};
	my $failed = $@;
	if (defined $agent)
	{
		kill 'TERM', $agent;
		$cluster->wait_for('its agent to end', sub { !-d "/proc/$agent" || PghaCluster::process_state($agent) eq 'Z' });
	}
	PghaCluster::run_command([ '/usr/bin/pg_ctlcluster', '--skip-systemctl-redirect', '-m', 'immediate', $major, $name, 'stop' ], timeout => 60);
	PghaCluster::run_command([ 'pg_dropcluster', $major, $name ], timeout => 60);
	die $failed if $failed;
}

done_testing();
