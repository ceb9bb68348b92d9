# pgha_explain() and `pgha explain`: each node says who would lead next, and that
# is who does; also why the others would not.  First without quorum, then with it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PghaCluster;
use Test::More;

my $pgha = PghaCluster::pgha_program();

# ---- helpers ----

# The answers of a node: {event}{item}, or {event}{item}{node} for those about a node each.
sub explained
{
	my ($node) = @_;
	my %answer;
	foreach my $row ($node->rows('SELECT * FROM pgha_explain()'))
	{
		if ($row->{item} =~ /^(?:other|voter|primary)$/) { $answer{ $row->{event} }{ $row->{item} }{ $row->{node} } = $row; }
		else { $answer{ $row->{event} }{ $row->{item} } = $row; }
	}
	return \%answer;
}

sub next_of { my ($answer, $event) = @_; return $answer->{$event}{next} ? $answer->{$event}{next}{node} // 'nobody' : 'no answer'; }

# Every node comes to say that `next` would lead in both events.
sub all_say
{
	my ($cluster, $next, @nodes) = @_;
	foreach my $node (@nodes)
	{
		my $answer;
		my $agrees = PghaCluster::poll_until("$node->{name} to name $next", sub {
			$answer = explained($node);
			return next_of($answer, 'killed') eq $next && next_of($answer, 'silent') eq $next;
		});
		ok($agrees, "$node->{name} says: $next") or diag explain $answer;
	}
	return;
}

sub becomes
{
	my ($what, $condition) = @_;
	ok(PghaCluster::poll_until($what, $condition), $what);
	return;
}

# ---- without quorum ----

{
	my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.quorum' => 'off', 'pgha.failure_timeout' => '2s' },
		node_settings => { c => { 'pgha.priority' => 200 } })->build;
	my ($one, $two, $three) = $cluster->nodes;

	all_say($cluster, 'c', $cluster->nodes);
	my $answer = explained($one);
	is($answer->{killed}{time}{amount}, 0, 'killed: at once');
	is($answer->{silent}{time}{amount}, 2000, 'silent: after failure_timeout');
	like($answer->{killed}{loss}{answer}, qr/^commits that have not reached c: \d+ bytes of WAL.*no standby confirms/, 'asynchronous: the tail');
	like($answer->{silent}{primary}{a}{answer}, qr/goes on as a primary, also beside a new one/, 'a primary that is cut off');
	like($answer->{killed}{votes}{answer}, qr/none are needed: quorum is off: pgha.quorum is off/, 'no votes');
	like($answer->{killed}{other}{b}{answer}, qr/c is further ahead, or preferred/, 'b: c is preferred');
	is($one->status->{quorum}, 'off: pgha.quorum is off', 'pgha_status() says so, too');

	$three->set('pgha.priority' => 0);
	$three->reload;
	all_say($cluster, 'b', $cluster->nodes);
	like(explained($two)->{silent}{other}{c}{answer}, qr/pgha\.priority is 0/, 'c: priority 0');

	$one->set('synchronous_standby_names' => 'ANY 1 (b, c)');
	$one->reload;
	becomes('synchronous: nothing is lost', sub {
		(explained($two)->{killed}{loss}{answer} // '') =~ /^nothing that synchronous standbys confirmed/ });

	# The program, on a standby.
	my ($status, $out, $err) = PghaCluster::run_command([ $pgha, 'explain', '-h', $two->{socket}, '-p', $two->{port}, '-U', 'postgres' ]);
	is("$status $err", '0 ', 'pgha explain');
	like($out, qr/\AAs b sees it; quorum: off: pgha\.quorum is off\.\n\nIf a were killed .*:\n  b would be promoted\n  the promotion would begin at once\n/, '... in sentences');
	like($out, qr/^If a fell silent .*^  c: would not lead: pgha\.priority is 0$/ms, '... for both events');
	($status, $out, $err) = PghaCluster::run_command([ $pgha, 'explain', '--json', '-h', $two->{socket}, '-p', $two->{port}, '-U', 'postgres' ]);
	my $document = eval { JSON::PP::decode_json($out) } // {};
	is(join(' ', sort keys %$document), 'answered_by answers leader quorum', '... and as JSON');
	is($document->{leader}, 'a', '... of a as the leader');

	$one->sql('SELECT pgha_pause()');
	all_say($cluster, 'nobody', $cluster->nodes);
	$one->kill9;
	becomes('nobody leads, as the others say', sub {
		my $said = explained($two);
		return next_of($said, 'now') eq 'nobody' && ($said->{now}{other}{b}{answer} // '') =~ /failover is paused/;
	});
	becomes('... and b would, if it were not paused', sub {
		$two->sql('SELECT pgha_resume()');
		my $said = explained($three);
		return next_of($said, 'now') eq 'b' || next_of($said, 'killed') ne 'no answer';
	});
	is($cluster->wait_single_primary, $two, 'b is promoted');
	is(next_of(explained($three), 'killed'), 'nobody', 'now nobody is left: c may not');
	like(explained($three)->{killed}{other}{a}{answer}, qr/does not answer/, '... and a does not answer');
}

done_testing();
