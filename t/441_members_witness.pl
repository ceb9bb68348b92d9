# Where a witness has an agent, that one writes the list of members, too, and does nothing
# else; where it has none, the call that changes the members says what to write there.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 2, witnesses => ['w'], agents => 1, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' });
my $told = "$cluster->{base}/told";
chmod 0777, $cluster->{base} or die;
$cluster->{settings}{'pgha.notify_command'} = "/usr/bin/tee -a $told";
$cluster->{settings}{'pgha.notify_events'} = 'pause';
$cluster->build;
my ($a, $b) = $cluster->nodes;
my ($w) = $cluster->witnesses;
my $two = $cluster->{members};
my $three = "$two, c=127.0.0.1:9";
wait_stored($a, 'a,b,w');

sub call
{
	my ($call) = @_;
	my ($status, $out, $err) = $a->psql("SELECT $call", timeout => 120);
	return ($status == 0 ? $out : 'error', $err);
}
sub agents { return join ' ', split /\n/, $a->value('SELECT node || CASE WHEN agent THEN server ELSE NULL END FROM pgha_recovery_progress() ORDER BY 1') // ''; }

# ---- without an agent ----

my ($out, $err) = call(q{pgha_add_member('c', '127.0.0.1:9')});
is($out, 't', 'a member is added') or diag $err;
like($err, qr/WARNING:  01000: witnesses without an agent that could write it: w\nHINT:  Write there, and reload: pgha.members = '\Q$three\E'/,
	'the witness has no agent: what to write there is said');
is($w->value('SHOW pgha.members'), $two, '... and is not written');
($out, $err) = call(q{pgha_add_member('c', '127.0.0.1:9')});
is($out, 'f', 'once more: nothing is to be done');
like($err, qr/witnesses without an agent .*: w\n/, '... but on the witness, as it shows');

# ---- with one ----

$w->start_agent;
is(agents(), 'arunning brunning wrunning', 'the witness has an agent, which tells how its server is');
$a->sql('SELECT pgha_pause()');
$cluster->wait_for('the witness to pause', sub { $a->value(q{SELECT bool_and(paused) FROM pgha_cluster() WHERE node IN ('a', 'b', 'w')}) eq 't' });
$a->sql('SELECT pgha_resume()');
($out, $err) = call(q{pgha_add_member('c', '127.0.0.1:9')});
is($out, 't', 'the same call completes it') or diag $err, $w->agent_text;
like($err, qr/NOTICE: .*node "w": changed pgha.members in file /, '... there');
unlike($err, qr/without an agent/, '... and nothing is left to be written');
is($w->value('SHOW pgha.members'), $three, 'the witness has the list');
($out, $err) = call(q{pgha_remove_member('c')});
is($out, 't', 'it is removed') or diag $err, $w->agent_text;
is(join('|', map { $_->value('SHOW pgha.members') } $a, $b, $w), "$two|$two|$two", '... from all lists');
is(report($a)->{rule_term}, report($w)->{rule_term}, 'the witness votes as before');

# ---- it touches no server ----

my $mark = $w->agent_mark;
$w->kill9;
$cluster->wait_for('the crash to be told', sub { agents() =~ /wcrashed/ });
ok($cluster->stays_false(sub { $w->is_running }, 5), 'the agent starts no witness that has crashed: its service does');
unlike(substr($w->agent_text, $mark), qr/recovery|crashed|start/, '... nor does it say anything of it');
like($a->error(q{SELECT pgha_recover_node('w')}), qr/node "w" is not one of pgha.members/, '... nor can it be ordered to');
($out, $err) = call(q{pgha_remove_member('w')});
is($out, 't', 'a witness that is down is removed') or diag $err;
is($b->value('SHOW pgha.witnesses'), '', '... from the list that it is in');

# ---- it tells nobody: the primary's agent does ----

my $event = qr/"node":"w","reporter":"a","kind":"pause"/;
ok(PghaCluster::poll_until('', sub { (PghaCluster::slurp($told) // '') =~ $event }, 25), "what happens on a witness is told by the agent of the primary")
	or diag $a->value(q{SELECT string_agg(e::text, chr(10)) FROM pgha_events() e}), $a->agent_text;

done_testing();
