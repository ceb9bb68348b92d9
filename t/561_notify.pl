# pgha.notify_command: what it is told of a failover and of what comes after it, once
# by the node where it happened; a command that fails, hangs or is too slow; an agent
# that is killed in between; more events than may wait; and who tells for a node that
# has no agent.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' });
my ($a, $b) = $cluster->nodes;
my $command = "$cluster->{base}/tell";
my $told = "$cluster->{base}/told";
my $mode = "$cluster->{base}/mode";

# Writes down what it reads, what it was called with, and how it was told to behave.
PghaCluster::spew($command, <<"EOS");
#!/usr/bin/perl
use strict;
use warnings;
my \$object = do { local \$/; <STDIN> };
my \$mode = '';
if (open(my \$file, '<', '$mode')) { \$mode = <\$file> // ''; chomp \$mode; }
open(my \$called, '>>', '$told.called') or die;
print \$called "\$\$ \$mode\\n";
close \$called;
if (\$mode =~ /^fail (\\d+)\$/)
{
	open(my \$file, '>', '$mode') or die;
	print \$file \$1 > 1 ? 'fail ' . (\$1 - 1) : '';
	close \$file;
	print "no line to the mail server\\n";
	exit 3;
}
if (\$mode eq 'hang') { exec('sleep', 600) unless fork; sleep 600; }
exit 1 if \$mode eq 'never';
open(my \$out, '>>', '$told') or die;
print \$out \$object;
close \$out;
open(my \$environment, '>', '$told.environment') or die;
print \$environment map { "\$_=\$ENV{\$_}\\n" } sort keys %ENV;
print \$environment "ARGV=\@ARGV\\n", 'FD=', join(' ', grep { defined && !m{/proc|/mode\$|/tell\$|/told} } map { readlink } grep { m{/(\\d+)\$} && \$1 > 2 } glob '/proc/self/fd/*'), "\\n";
EOS
chmod 0755, $command or die;
PghaCluster::spew($mode, '');
chmod 0666, $mode or die;
chmod 0777, $cluster->{base} or die;

$cluster->{settings}{'pgha.notify_command'} = "$command \"one argument\"";
$cluster->{settings}{'pgha.notify_timeout'} = '2s';
$cluster->build;

my @objects;
my $read = 0;

sub objects
{
	my @line = split /\n/, PghaCluster::slurp($told) // '';
	return map { my $object = eval { JSON::PP->new->utf8->decode($_) }; fail("an object: $_") unless $object; $object // () } @line;
}

# The objects with these values that were told since the mark.
sub told_of
{
	my ($from, %want) = @_;
	my @all = objects();
	return grep
	{
		my $object = $_;
		!grep { my $value = $object->{$_} // ''; ref $want{$_} ? $value !~ $want{$_} : $value ne $want{$_} } keys %want
	} @all[ $from .. $#all ];
}

sub is_told
{
	my ($what, $from, $limit, %want) = @_;
	my $found = PghaCluster::poll_until($what, sub { told_of($from, %want) }, $limit);
	ok($found, $what) or diag PghaCluster::slurp($told) // 'nothing', $a->agent_text, $b->agent_text;
	return (told_of($from, %want))[0] // {};
}

sub mark { return scalar(my @all = objects()); }
sub behave { my ($how) = @_; PghaCluster::spew($mode, $how); chmod 0666, $mode; return; }
sub calls { return scalar(my @call = split /\n/, PghaCluster::slurp("$told.called") // ''); }

# ---- the first start ----
$_->start_agent foreach $a, $b;
ok(PghaCluster::poll_until('', sub { -e $a->agent_directory . '/notified' && -e $b->agent_directory . '/notified' }, 20), 'the agents write down where they begin');
is(mark(), 0, 'a first start tells nothing of what was before');

# ---- a failover ----
my $from = mark();
$a->kill9;
my $object = is_told('a failover is told', $from, 60, kind => 'failover');
is_deeply([ sort keys %$object ], [ sort qw(version id cluster node reporter kind severity term at text primary) ], 'with all its fields');
is_deeply([ @$object{qw(version node reporter severity primary)} ], [ 1, 'b', 'b', 'warning', 'b' ], 'by the node where it happened');
is($object->{term}, 2, 'with its term');
like($object->{id}, qr/^b:\d{16}$/, 'its id');
like($object->{at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'its time');
like($object->{text}, qr/^promoted to primary of term 2 on timeline \d+ \(primary a crashed/, 'and its sentence');
is_told('that the former primary is brought back', $from, 60, kind => 'recovery', node => 'a', text => qr/^recovery \(\w+\) begun/, reporter => 'a');
is_told('and that it is back', $from, 90, kind => 'recovery', node => 'a', text => qr/^recovery \(\w+\) done/, severity => 'info');
$a->wait_streaming;
is(scalar(told_of($from, kind => 'failover')), 1, 'it is told once, not by each node');
is_deeply([ grep { my $id = $_->{id}; 1 < grep { $_->{id} eq $id } objects() } objects() ], [], 'nor is anything else told twice');
is_deeply([ told_of($from, kind => qr/^(promoting|follow|wait|start)$/) ], [], 'and what is not worth telling is not');

my $environment = PghaCluster::slurp("$told.environment");
is_deeply([ grep { !/^(HOME|LANG|PATH|PGHA_NODE|PGHA_CLUSTER)=/ } grep { !/^(ARGV|FD)=/ } split /\n/, $environment ], [], 'the command has nothing else in its environment');
like($environment, qr/^PGHA_NODE=[ab]$/m, 'but who it is called by');
like($environment, qr/^ARGV=one argument$/m, 'its arguments are those that were written');
like($environment, qr/^FD=$/m, 'and no file is open');

# ---- a node without an agent: what comes of it is looked at below ----
my $without = mark();
$a->stop_agent;
$a->sql("SELECT pgha_agent_event('address', 'happened where no agent is')");

# ---- a command that fails ----
$from = mark();
my $log = $b->agent_mark;
behave('fail 2');
$b->sql('SELECT pgha_pause()');
is_told('a command that fails twice is run a third time', $from, 60, kind => 'pause', node => 'b', text => qr/paused/);
like(substr($b->agent_text, $log), qr/WARNING:  pgha\.notify_command failed for pause \(b:\d+\), is tried again: status 3: no line to the mail server$/m, 'the log has its last line');
is(scalar(() = substr($b->agent_text, $log) =~ /failed for pause/g), 1, 'once');

# ---- one that hangs ----
$from = mark();
$log = $b->agent_mark;
behave('hang');
my $calls = calls();
$b->sql('SELECT pgha_resume()');
ok(PghaCluster::poll_until('', sub { substr($b->agent_text, $log) =~ /failed for pause.*it did not end within 2000 ms/ }, 60), 'one that hangs is ended') or diag $b->agent_text;
behave('');
is_told('and run again', $from, 60, kind => 'pause', node => 'b', text => qr/resumed/);
my @left = grep { my ($pid) = /^(\d+) hang$/; $pid && kill 0, $pid } split /\n/, PghaCluster::slurp("$told.called");
is_deeply(\@left, [], 'nothing of it is left');
is(scalar(grep { /^(\d+) hang$/ && grep { $_ } map { (PghaCluster::slurp("/proc/$_/cmdline") // '') =~ /^sleep\0600/ && (PghaCluster::slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) \S \d+ $1 / } map { m{/(\d+)$} } glob '/proc/[0-9]*' } split /\n/, PghaCluster::slurp("$told.called")), 0, 'nor of its group');

# ---- a node without an agent ----
$object = is_told('what happens on a node without an agent is told by the primary\'s', $without, 60, kind => 'address', node => 'a', text => qr/no agent is/);
is($object->{reporter}, 'b', 'which says so');
is_told('and that the agent is gone', $without, 60, kind => 'absent', text => qr/agent of node "a"/, reporter => 'b', node => 'b');
$from = mark();
$a->start_agent;
is_told('that it is back, too', $from, 60, kind => 'returned', text => qr/agent of node "a"/);
$a->sql("SELECT pgha_agent_event('address', 'happened where one is')");
is_told('from then on its own one tells', $from, 60, kind => 'address', node => 'a', text => qr/where one is/, reporter => 'a');
my %id = map { $_->{id} => $_->{text} } told_of($without, kind => 'address', node => 'a');
is(scalar(keys %id), 2, 'what two agents have told has one id');
$a->stop_agent;
$a->stop('fast');
my $gone = mark();

# ---- an agent that is killed ----
$from = mark();
behave('hang');
$calls = calls();
$b->sql('SELECT pgha_pause()');
PghaCluster::poll_until('the command to be run', sub { calls() > $calls }, 30);
$b->stop_agent('KILL');
behave('');
$b->sql('SELECT pgha_resume()');
$b->start_agent;
is_told('an agent is killed while it tells: the next one tells it', $from, 60, kind => 'pause', node => 'b', text => qr/paused/);
is_told('and what has happened meanwhile', $from, 60, kind => 'pause', node => 'b', text => qr/resumed/);
is(scalar(told_of($from, kind => 'pause', node => 'b')), 2, 'each once');

# ---- a member that is gone ----
is_told('a member that is gone is told', $gone, 60, kind => 'absent', text => qr/^member "a" has not answered for \d+ s: connection refused/, severity => 'warning');

# ---- more than may wait ----
$from = mark();
$log = $b->agent_mark;
behave('never');
$b->sql(q{DO $$ BEGIN FOR i IN 1 .. 25 LOOP
	PERFORM pgha_agent_event('address', 'number ' || n) FROM generate_series(1, 5) n; PERFORM pg_sleep(0.1); END LOOP; END $$});
PghaCluster::poll_until('the events to be written', sub { $b->value("SELECT count(*) FROM pgha_events() WHERE what LIKE 'number %'") == 125 }, 30);
ok(PghaCluster::poll_until('', sub { substr($b->agent_text, $log) =~ /failed for address/ }, 30), 'nothing can be told for a while');
behave('');
$object = is_told('what was too much is told of as a number', $from, 90, kind => 'dropped');
like($object->{text}, qr/^2[45] notification\(s\) were dropped/, 'the right one');
is_deeply([ map { $_->{text} } (told_of($from, kind => 'address'))[-5 .. -1] ], [ map { "number $_" } 1 .. 5 ], 'the latest are told, in their order');

# ---- a command that never works ----
sub notified { my ($word) = @_; return ((PghaCluster::slurp($b->agent_directory . '/notified') // '') =~ /^$word\t(\d+)$/m)[0] // 0; }
sub emit { my ($text) = @_; return $b->sql("SELECT pgha_agent_event('address', '$text')"); }
sub again { my (%env) = @_; $b->stop_agent; $log = $b->agent_mark; $b->start_agent(env => \%env); return; }
behave('never');
again(PGHA_TEST_NOTIFY_PAUSE_MS => 1);
emit("lost $_") foreach 1 .. 2;
my $gave_up = qr/ERROR:  pgha\.notify_command failed 10 times for dropped/;
ok(PghaCluster::poll_until('', sub { substr($b->agent_text, $log) =~ $gave_up }, 60), 'that events were dropped is given up, too') or diag $b->agent_text;
$calls = calls();
ok($cluster->stays_false(sub { calls() > $calls }, 2), 'and not tried for ever');
is(notified('dropped'), 2, 'but not forgotten');
$from = mark();
behave('');
emit('delivered');
is_told('when an event is delivered', $from, 60, kind => 'address', text => qr/^delivered/);
is_told('the number is, too', $from, 60, kind => 'dropped', text => qr/^2 notification/);
is(scalar(() = substr($b->agent_text, $log) =~ /$gave_up/g), 1, 'the log says once that it could not be');

# ---- events that have become too old ----
$from = mark();
$b->stop_agent;
emit("stale $_") foreach 1 .. 2;
PghaCluster::poll_until('them to be too old', sub { $b->value("SELECT max(at) < now() - interval '3 s' FROM pgha_events() WHERE what LIKE 'stale %'") eq 't' }, 30);
again(PGHA_TEST_NOTIFY_MAX_AGE => 2);
is_told('what has waited for too long is counted', $from, 60, kind => 'dropped', text => qr/^[2-4] notification/);
is_deeply([ told_of($from, text => qr/^stale/) ], [], 'and not told');

# ---- settings of the process ----
again();
PghaCluster::spew("$b->{data}/postgresql.conf", PghaCluster::slurp("$b->{data}/postgresql.conf") . "pgha.agent_log_format = 'json'\n");
$b->wait_agent_log(qr/read the configuration again/, $log);
emit('in another format');
$b->wait_agent_log(qr/"process":"notify".*told of address: in another format/, $log, 60);

done_testing();
