# The page /ui in a real browser: who leads, who follows, votes, events, through a freeze
# and the loss of an agent; in a narrow window, light and dark; text of servers is never
# markup.  Screenshots are kept in build/screenshots.
use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use Browser;
use PghaCluster;
use PghaHttp;
use Test::More;

plan skip_all => 'chromium or chromium-driver is not installed (make test-deps)' unless Browser::is_there();

my $shots = "$PghaCluster::ROOT/build/screenshots";
make_path($shots);
my $cluster = PghaCluster->new(nodes => 3, settings => { 'pgha.failure_timeout' => '2s' });
my ($a, $b, $c) = $cluster->nodes;
foreach my $node ($a, $b, $c)
{
	$node->{http} = $cluster->free_port;
	$node->{settings}{'pgha.http'} = "127.0.0.1:$node->{http}";
}
$cluster->build;
$_->start_agent foreach $a, $b, $c;
codes_become($a, { '/primary' => 200, '/ui' => 200 }, 'the page is there');

my $headers = request($a->{http}, '/ui')->{headers};
like($headers->{'content-type'}, qr{^text/html}, 'as HTML');
like($headers->{'content-security-policy'}, qr/^default-src 'none'; connect-src 'self'; style-src 'sha256-\S+'; script-src 'sha256-\S+';/, 'with a policy that lets nothing else in');
unlike($headers->{'content-security-policy'}, qr/unsafe/, 'nor what the page does not have');
like(request($a->{http}, '/pgha')->{headers}{'content-security-policy'}, qr/^default-src 'none'$/, 'the rest is as before');

my $browser = Browser->start($cluster);

sub shows
{
	my ($what, @patterns) = @_;
	my $text = '';
	my $found = PghaCluster::poll_until('', sub { $text = $browser->text; return !grep { $text !~ $_ } @patterns }, 60);
	return ok($found, $what) || diag $text;
}

sub look { my ($node, $theme) = @_; return $browser->open("http://127.0.0.1:$node->{http}/ui?theme=$theme"); }

# Does all of it fit into the window's width?
sub fits { my ($what) = @_; return ok($browser->run('return document.documentElement.scrollWidth <= window.innerWidth'), "$what: nothing is cut off"); }

# ---- all is well ----
$cluster->wait_for('the members to vote', sub { ($a->status->{quorum} // '') eq 'in force' });
$browser->size(1200, 1000);
look($a, 'light');
shows('all is well', qr/All is well: a leads, b and c follow\./, qr/\ba\nprimary\nthis node/, qr/\bb\nstandby/, qr/3 of 3 for a, 2 needed/, qr/leads for the first time/);
is($browser->run('return document.title'), 'main: a leads', 'the title says it, too');
fits('wide');
$browser->screenshot("$shots/ui-well.png");
my ($left) = $browser->run('return document.getElementsByClassName("streams").length');
is($left, 2, 'two are drawn as followers');

# ---- a narrow window, dark, another node ----
$browser->size(400, 900);
look($b, 'dark');
shows('another node shows the same', qr/All is well: a leads/, qr/\bb\nstandby\nthis node/);
fits('narrow');
my $dark = $browser->run('return getComputedStyle(document.body).backgroundColor');
look($b, 'light');
shows('and again', qr/All is well/);
isnt($browser->run('return getComputedStyle(document.body).backgroundColor'), $dark, 'dark and light differ');
$browser->screenshot("$shots/ui-narrow.png");
$browser->size(1200, 1000);

# ---- what servers say is text ----
my $evil = '<img src=x onerror=document.title="owned"><script>document.title="owned"</script>';
$a->sql(qq{SELECT pgha_agent_event('lost', '$evil')});
look($a, 'light');
shows('markup in an event is text', qr/\Q<img src=x onerror\E/);
is($browser->run('return document.images.length'), 0, 'and nothing else');
unlike($browser->run('return document.title'), qr/owned/, 'which does nothing');

# ---- replay is paused, failover is paused ----
$c->sql('SELECT pg_wal_replay_pause()');
$a->sql('SELECT pgha_pause()');
shows('a pause is told', qr/Automatic failover is paused/);
$a->sql('SELECT pgha_resume()');
$c->sql('SELECT pg_wal_replay_resume()');
shows('and its end', qr/All is well/);

# ---- the primary is frozen: what its own agent shows is old, the others have a new one ----
$a->freeze;
my $primary = $cluster->wait_single_primary(among => [ $b, $c ]);
shows('the page of the frozen one is known to be old', qr/server of a does not answer its agent/, qr/as a sees it, \d+ s ago/);
$browser->screenshot("$shots/ui-frozen.png");
look($primary, 'dark');
shows('the new primary shows who leads', qr/\Q$primary->{name}\E leads\. a is not reachable/, qr/\ba\nunreachable/, qr/a: not heard/, qr/2 of 3 for \Q$primary->{name}\E/, qr/failover/);
$browser->screenshot("$shots/ui-failover.png");
$a->thaw;
$a->wait_streaming(120);
shows('the old one is back', qr/All is well: \Q$primary->{name}\E leads/);

# ---- a node is built anew: its agent starts from the copy of its settings that a recovery makes ----
is($primary->value(q{SELECT pgha_recover_node('a', 'clone')}, timeout => 120), 't', 'it is cloned');
$a->wait_streaming(120);
$a->stop_agent;
$a->stop;
PghaCluster::must_run([ 'rm', '-rf', $a->{data} ]);
$a->start_agent;
$cluster->wait_for('its agent to tell', sub { ($primary->value(q{SELECT server FROM pgha_recovery_progress() WHERE node = 'a'}) // '') eq 'absent' });
shows('a node without data', qr/\ba\b/, qr/a (?:is not reachable|has lost its data directory)/);
my $order = $primary->background(q{SELECT pgha_recover_node('a', 'clone')});
shows('its recovery is shown, or done', qr/RECOVERIES|All is well/i);
$a->wait_streaming(120);
shows('and it follows', qr/All is well: \Q$primary->{name}\E leads/);

# ---- the agent is gone ----
$primary->stop_agent;
shows('an agent that is gone is told', qr/The agent of \Q$primary->{name}\E does not answer: what is shown is of \d+ s ago/);
my @said = grep { !/ERR_CONNECTION_REFUSED|Failed to load resource|favicon/ } $browser->console;
is("@said", '', 'the browser had nothing to complain of');
$browser->end;
done_testing();
