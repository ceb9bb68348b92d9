# pgha.state has versions: what a voter must not forget is in the second one, and
# outlives each write; one that a later pgha wrote is refused, not ignored.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;

my $cluster = PghaCluster->new(nodes => 2)->build;
my ($a, $b) = $cluster->nodes;

sub state_of { return $b->state_text; }

# The file with another version and more lines.
sub write_state
{
	my ($version, @lines) = @_;
	$b->change_state_text(sub { s/\Apgha state \d+/pgha state $version/; $_ .= join '', map { "$_\n" } @lines });
	return;
}

like(state_of(), qr/\Apgha state 1\n/, 'where nobody votes the file is one that older versions can read');

my @votes = ('support_term=7', 'support=db-x', 'vote_term=9', 'vote=db-y', 'vote_open=1', 'highest=9', 'withdrawn=3', 'won=2', 'won_before=1', 'promised_ttl_us=0',
	'rule_term=0', 'rule_epoch=0', 'rule_voters=', 'rule_witnesses=', 'rule_eligible=', 'rule_sync=', 'rule_k=0');
$b->stop;
write_state(2, @votes);
$b->start;
$cluster->wait_following($a);
$a->sql('SELECT pgha_pause()');
$cluster->wait_for('the pause in pgha.state', sub { state_of() =~ /^paused=1$/m });
like(state_of(), qr/\Apgha state 2\n/, 'votes are written in the second version');
like(state_of(), qr/^\Q@{[ join "\n", @votes ]}\E$/m, 'and are as they were');
$a->sql('SELECT pgha_resume()');

$b->stop;
write_state(3);
my $mark = $b->log_mark;
$b->start(wait => 0);
$cluster->wait_for('the refusal', sub { $b->log_since($mark) =~ /FATAL/ });
like($b->log_since($mark), qr/FATAL:.*"pgha.state" was written by a later version of pgha/, 'a later version is refused');
like($b->log_since($mark), qr/HINT:.*Install the later version/, 'and it says what to do');
like(state_of(), qr/\Apgha state 3\n/, 'the file is left as it is');

# The second version again, and it goes on.
$cluster->wait_for('the server to be gone', sub { !$b->is_running });
write_state(2);
$b->start;
$cluster->wait_following($a);
like(state_of(), qr/^vote=db-y$/m, 'nothing was forgotten');

$cluster->stop_all;
done_testing;
