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

# ---- two members and a witness that vote ----

{
	my $cluster = PghaCluster->new(nodes => 2, witnesses => ['w'], settings => { 'pgha.failure_timeout' => '2s' })->build;
	my ($one, $two) = $cluster->nodes;
	my ($witness) = $cluster->witnesses;

	foreach my $node ($cluster->voters)
	{
		my $status;
		ok(PghaCluster::poll_until('', sub {
			$status = $node->status;
			return $status && $status->{quorum} eq 'in force' && ($status->{voters} // '') =~ /^a, b, w: for a \(term \d+\)$/;
		}), "$node->{name}: quorum is in force, all voters are for a") or diag explain $status;
	}
	becomes('the leader shows its lease and its rule', sub {
		my $status = $one->status;
		return $status->{lease_ms} > 0 && $status->{lease_ms} <= 2000
		  && $status->{rule} =~ /^term \d+, epoch \d+, committed; voters: a, b, w \(witness\); may be elected: a, b; commits need no confirmation$/;
	});
	becomes('a standby its promise', sub { ($two->status->{promise} // '') =~ /^to a \(term \d+\), for \d+ ms$/ });
	my $status = $witness->status;
	is("$status->{role} $status->{state}", 'witness witness', 'the witness is one');
	is($status->{lease_ms}, undef, '... and has no lease');
	is("$status->{term} " . ($status->{timeline} // 'none'), '1 none', '... knows the term, and has no WAL to speak of');
	foreach my $node ($cluster->voters)
	{
		becomes("$node->{name}: pgha_cluster() shows who votes for whom", sub {
			($node->value(q{SELECT string_agg(concat_ws(':', node, role, witness, votes, split_part(supports, ' ', 1)), ' ' ORDER BY node)
				FROM pgha_cluster()}) // '') eq 'a:primary:f:t:a b:standby:f:t:a w:witness:t:t:a' });
	}
	my ($code, $out) = PghaCluster::run_command([ $pgha, 'status', '-h', $two->{socket}, '-p', $two->{port}, '-U', 'postgres' ]);
	is($code, 0, 'pgha status');
	like($out, qr/ Supports .*^b: quorum in force\nb: voters: a, b, w: for a/ms, '... says so, too');

	all_say($cluster, 'b', $cluster->voters);
	my $answer = explained($witness);
	is($answer->{killed}{time}{amount}, 0, 'killed: the election begins at once');
	cmp_ok($answer->{silent}{time}{amount}, '>', 2000, 'silent: when the promises are over');
	is($answer->{killed}{votes}{amount}, 2, 'two votes');
	is($answer->{silent}{primary}{a}{amount}, 2000, 'a primary that is cut off: no commits after its lease');
	like($answer->{killed}{other}{w}{answer}, qr/a witness/, 'the witness never leads');

	$one->set('synchronous_standby_names' => 'ANY 1 (a, b)');
	$one->reload;
	becomes('synchronous: the rule says who confirms, and nothing is lost', sub {
		my $said = explained($one);
		return ($one->status->{rule} // '') =~ /committed; .*commits are confirmed by \d of / && $said->{killed}{loss}{amount} == 0
		  && $said->{killed}{loss}{answer} =~ /^nothing that was acknowledged/;
	}) or diag explain [ $one->status, explained($one) ];
	$one->set('synchronous_standby_names' => '');
	$one->reload;
	becomes('asynchronous again', sub { ($one->status->{rule} // '') =~ /may be elected: a, b; commits need no confirmation/ });

	$witness->stop;
	all_say($cluster, 'nobody', $cluster->nodes);
	like(explained($two)->{killed}{other}{b}{answer}, qr/too few voters answer/, 'without the witness: too few voters');
	like(explained($two)->{killed}{voter}{w}{answer}, qr/does not answer/, '... as it does not answer');
	like(explained($two)->{killed}{votes}{answer}, qr/^1 of 3 voters would vote for b, 2 are needed$/, '... and b has its own vote only');
	like($two->status->{voters}, qr/w: no answer/, 'pgha_status() knows');
	$witness->start;
	all_say($cluster, 'b', $cluster->voters);

	$one->kill9;
	is($cluster->wait_single_primary, $two, 'b is elected, as all have said');
	becomes('now nobody is left', sub { next_of(explained($witness), 'silent') eq 'nobody' });
	like(explained($witness)->{silent}{other}{a}{answer}, qr/does not answer/, '... as a does not answer');
}

done_testing();
