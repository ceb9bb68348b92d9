# What goes wrong in the middle of things: leftover files, directories that
# cannot be written, crashes during a promotion, members that cannot be read,
# copies of a node, promotion behind pgha's back.  Each time one primary is left,
# and everybody follows it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(remove_tree);
use PghaCluster;
use Test::More;
use Votes;

my $recovery = 'SELECT pg_is_in_recovery()';
my $streaming = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";

# A process of the node by its title.
sub process
{
	my ($node, $title) = @_;
	my ($pid) = grep { PghaCluster::command_line($_) =~ /^postgres: $title/ } $node->processes;
	return $pid;
}

# Rules in front of what pg_hba.conf says; none: as it was.  Connections that
# are there are not asked again, so that they are ended.
sub hba
{
	my ($node, @rules) = @_;
	my $file = "$node->{data}/pg_hba.conf";
	my $text = PghaCluster::slurp($file);
	$text =~ s/^# test\n.*^# end of test\n//ms;
	$text = "# test\n" . join('', map { "$_\n" } @rules) . "# end of test\n" . $text if @rules;
	PghaCluster::spew($file, $text);
	my $mark = $node->log_mark;
	$node->reload;
	$node->wait_log(qr/received SIGHUP/, $mark);
	$node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'pgha%'") if @rules;
}

# The standby promotes itself, but its startup process does not get on.  Returns
# how to let it go on.
sub promotion_that_hangs
{
	my ($cluster, $primary, $standby) = @_;
	my $startup = process($standby, 'startup');
	kill 'STOP', $startup;
	$primary->kill9;
	$standby->wait_state('promoting');
	$standby->{cluster}->wait_for('the order to promote', sub { -e "$standby->{data}/promote" });
	return $startup;
}

# ---- two nodes ----

{
	my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.startup_grace' => '3s' })->build;
	my ($a, $b) = $cluster->nodes;

	# pg_wal of the standby cannot be written when it is to reserve a timeline.
	chmod 0500, "$b->{data}/pg_wal";
	my $mark = $b->log_mark;
	$a->kill9;
	$b->wait_log(qr/could not reserve timeline/, $mark);
	$b->wait_log(qr/promotion given up/, $mark);
	is($b->value($recovery), 't', 'pg_wal not writable: no promotion');
	is(scalar(grep { /\.history$/ } glob("$b->{data}/pg_wal/*")), 0, 'pg_wal not writable: nothing is left of it');

	# The old primary comes back while the standby still cannot lead.
	$a->start;
	is($cluster->wait_single_primary, $a, 'pg_wal not writable: the old primary leads again when it is back');
	chmod 0700, "$b->{data}/pg_wal";
	$cluster->wait_following($a, $b);
	pass('pg_wal not writable: the standby follows it');

	# It does not come back, but the directory is mended.
	chmod 0500, "$b->{data}/pg_wal";
	$mark = $b->log_mark;
	$a->kill9;
	$b->wait_log(qr/promotion given up/, $mark);
	chmod 0700, "$b->{data}/pg_wal";
	is($cluster->wait_single_primary, $b, 'pg_wal writable again: the standby leads');
	$cluster->rejoin($a, $b);

	# The same when no placeholder has to be written.
	chmod 0500, "$a->{data}/pg_wal";
	$mark = $a->log_mark;
	$b->kill9;
	$a->wait_log(qr/promotion given up/, $mark);
	chmod 0700, "$a->{data}/pg_wal";
	is($cluster->wait_single_primary, $a, 'no placeholder needed: given up and made up for as well');
	$cluster->rejoin($b, $a);

	# A leftover order to promote does not take a fenced server out of recovery.
	$mark = $a->log_mark;
	$a->freeze;
	is($cluster->wait_single_primary(among => [$b]), $b, 'the primary is frozen: the standby leads');
	PghaCluster::spew("$a->{data}/promote", '');
	$a->thaw;
	$a->wait_log(qr/all server processes terminated; reinitializing/, $mark);
	$cluster->rejoin($a, $b);
	is($a->value($recovery), 't', 'a leftover file "promote": the fenced server is a standby');
	ok(!-e "$a->{data}/promote", 'a leftover file "promote": removed');

	# Placeholders of a promotion that a crash came between.
	my $timeline = $b->timeline;
	my @files = map { sprintf "$a->{data}/pg_wal/%08X.history", $timeline + $_ } 1 .. 3;
	$a->kill9;
	PghaCluster::spew($files[0], '');
	PghaCluster::spew($files[1], "# pgha placeholder\n");
	PghaCluster::spew($files[2], "# pgha placeholder\n1\t0/3000000\tno recovery target specified\n");
	$a->start;
	$cluster->wait_following($b, $a);
	is(scalar(grep { -e } @files), 0, 'placeholders without a history above them: removed at the start');

	# A backend crash in the middle of a promotion.
	my $startup = promotion_that_hangs($cluster, $b, $a);
	$mark = $a->log_mark;
	kill 'KILL', process($a, 'checkpointer');
	kill 'CONT', $startup;
	$a->wait_log(qr/all server processes terminated; reinitializing/, $mark);
	is($cluster->wait_single_primary, $a, 'crash restart during a promotion: it is made up for');
	$cluster->rejoin($b, $a);

	# The whole server crashes in the middle of a promotion, the old primary is back first.
	$startup = promotion_that_hangs($cluster, $a, $b);
	$b->kill9;
	$_->start(wait => 0) foreach $a, $b;
	my $primary = $cluster->wait_single_primary;
	$cluster->rejoin($_, $primary) foreach $cluster->others($primary);
	ok($cluster->one_primary, "both crash during a promotion: one primary ($primary->{name})");

	# The leader lets nobody read it: the former one must not lead beside it.
	my ($old) = $primary;
	my ($new) = $cluster->others($old);
	$old->kill9;
	is($cluster->wait_single_primary, $new, 'the other one leads');
	hba($new, 'host replication pgha all reject');
	$old->start;
	$old->wait_state('returning');
	ok($cluster->stays_false(sub { ($old->value($recovery) // '') ne 't' }, 5), 'the leader refuses the login: the former one does not lead');
	like($old->status->{reason}, qr/waits for an answer of $new->{name}/, 'the leader refuses the login: says so');
	hba($new);
	$cluster->rejoin($old, $new);
	is($cluster->primary, $new, 'the login is allowed again: the former one follows');

	# The same with a standby that refuses the login.
	$old->set('pgha.priority' => 0);
	$cluster->wait_for('the standby to know that it is barred', sub { my $s = $old->status; $s && !$s->{candidate} });
	$new->kill9;
	hba($old, 'host replication pgha all reject');
	$new->start;
	$new->wait_state('returning');
	ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'a standby refuses the login: the former primary waits');
	hba($old);
	is($cluster->wait_single_primary, $new, 'the login is allowed again: it leads');
	$cluster->wait_following($new, $old);
	$cluster->cleanup;
}

# ---- three nodes, and the best standby cannot lead ----

# At the end c leads, and all follow it.
sub best_cannot_lead
{
	my ($cluster, $how) = @_;
	my ($a, $b, $c) = $cluster->nodes;

	# It cannot make its decision durable.
	mkdir "$b->{data}/pgha.state.new";
	my $mark = $b->log_mark;
	$a->kill9;
	is($cluster->wait_single_primary, $c, "$how: the best standby cannot write pgha.state: another one leads");
	rmdir "$b->{data}/pgha.state.new";
	$cluster->wait_following($c, $b);
	like($b->log_since($mark), qr/could not write file "pgha.state.new"/, 'and it says why');
	$cluster->rejoin($a, $c);

	# Its monitor stands still.
	my $monitor = $b->monitor_pid;
	kill 'STOP', $monitor;
	$c->kill9;
	is($cluster->wait_single_primary, $a, "$how: the monitor of the best standby stands still: another one leads");
	kill 'CONT', $monitor;
	$cluster->wait_following($a, $b);
	is($cluster->primary, $a, 'awake again it follows');
	$cluster->rejoin($c, $a);

	# Its pg_wal cannot be written: the others need not wait for it.
	chmod 0500, "$b->{data}/pg_wal";
	$a->kill9;
	is($cluster->wait_single_primary, $c, "$how: pg_wal of the best standby is not writable: another one leads");
	chmod 0700, "$b->{data}/pg_wal";
	$cluster->wait_following($c, $b);
	pass('writable again: it follows');
	$cluster->rejoin($a, $c);
	return;
}

# With the witnesses there is a majority without those two that cannot.
{
	my $cluster = PghaCluster->new(nodes => 3, witnesses => [ 'w-1', 'w-2' ], node_settings => { b => { 'pgha.priority' => 200 } })->build;
	wait_votes($cluster->primary, $cluster->voters);
	best_cannot_lead($cluster, 'with votes');
	$cluster->cleanup;
}

my $cluster = PghaCluster->new(
	nodes => 3,
	settings => { 'pgha.quorum' => 'off', 'pgha.startup_grace' => '3s' },
	node_settings => { b => { 'pgha.priority' => 200 }, c => { 'pgha.conninfo' => 'user=pghac' } })
  ->build(sql => 'CREATE ROLE pghac LOGIN REPLICATION; GRANT pg_monitor TO pghac');
my ($a, $b, $c) = $cluster->nodes;
best_cannot_lead($cluster, 'without');

# ---- three nodes; one alone decides, as the others cannot ----

# Promoted by hand, behind pgha's back, while the primary lives.
my $term = $c->status->{term};
PghaCluster::must_run([ PghaCluster::as_postgres(), $b->program('pg_ctl'), '-D', $b->{data}, '-w', 'promote' ]);
is($cluster->wait_single_primary(among => [$b]), $b, 'promoted with pg_ctl: leads');
cmp_ok($b->status->{term}, '>', $term, 'in a later term');
$cluster->rejoin($_, $b) foreach $c, $a;	# may have received more than b when it was promoted
is($c->value($recovery), 't', 'the old primary fenced itself');

# The new leader cannot be read by one standby: it is not to go on with the
# demoted former primary, nor to lead itself.
hba($a, 'host replication pghac all reject');
$cluster->wait_for('c not to be able to read a', sub { my $v = $c->view->{a}; $v && !$v->{reachable} });
$a->sql('SELECT pgha_promote(true)');
is($cluster->wait_single_primary(among => [$a]), $a, 'promoted by order');
$cluster->rejoin($b, $a);
$cluster->wait_for('c to have lost its stream', sub { ($c->value($streaming) // '') eq '0' });
ok($cluster->stays_false(sub { ($c->value($recovery) // '') ne 't' || $c->value($streaming) ne '0'
		|| $b->value('SELECT count(*) FROM pg_stat_replication WHERE state = $$streaming$$') ne '0' }, 3),
	'a standby that cannot read the leader neither leads nor receives from the former one');
hba($a);
$cluster->rejoin($c, $a);
pass('it follows when it can');

# A fenced server that must not come back by itself.
$a->set(restart_after_crash => 'off');
$cluster->wait_for('the setting', sub { ($a->value('SHOW restart_after_crash') // '') eq 'off' });
$a->freeze;
$cluster->wait_single_primary(among => [ $b, $c ]);
my $thawed = $a->thaw;
$cluster->wait_for('the fenced server to go down', sub { !$a->is_running });
cmp_ok(PghaCluster::now() - $thawed, '<', 15, 'restart_after_crash = off: the fenced server goes down at once');
ok(-e "$a->{data}/standby.signal", 'to be a standby');
$cluster->rejoin($a, $cluster->primary);
$a->set(restart_after_crash => undef);

# Copies of running nodes under the same name.
sub copy
{
	my ($node) = @_;
	my $copy = PghaCluster::Node->new(cluster => $cluster, name => "copy$node->{name}", host => '127.0.0.1', port => $cluster->free_port);
	push @{ $cluster->{node} }, $copy;
	$copy->clone($node);
	$copy->configure('pgha.node' => $node->{name}, %{ $cluster->{node_settings}{ $node->{name} } // {} });
	return $copy;
}
my $primary = $cluster->primary;
my ($standby) = grep { $_ != $a } $cluster->others($primary);
my $copy = copy($primary);
unlink "$copy->{data}/standby.signal";
$copy->start;
$copy->wait_state('passive');
is($copy->value($recovery), 't', 'a copy of the primary: a standby');
like($copy->status->{reason}, qr/name/, 'that says why');
is($cluster->wait_single_primary, $primary, 'the primary leads on');
$copy->stop;

$copy = copy($standby);
$standby->stop;
$copy->start;
$cluster->wait_for('the copy to stream', sub { ($copy->value($streaming) // '') eq '1' });
$standby->start;
kill 'TERM', $copy->monitor_pid;
$copy->wait_state('passive');
$cluster->wait_following($primary, $standby);
is($copy->value($streaming), '0', 'a copy of a standby: leaves the stream to the member');
$copy->stop;

$primary->kill9;
ok($cluster->wait_single_primary, 'failover works after all this');
done_testing();
