# Browser.pm
#		A headless Chromium, told what to do through ChromeDriver (the protocol of
#		W3C's WebDriver): both are Debian's packages.
package Browser;

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use PghaCluster;

# Where their files are.  A Chromium outlives its ChromeDriver, should the test end in the middle.
my @homes;

END
{
	my $status = $?;
	foreach my $home (@homes)
	{
		kill 'KILL', grep { PghaCluster::command_line($_) =~ /\Q$home\E/ } grep { $_ != $$ } map { m{(\d+)$} } glob('/proc/[0-9]*');
	}
	$? = $status;
}

sub is_there { return -x '/usr/bin/chromium' && -x '/usr/bin/chromedriver'; }

# Starts both; they end with the cluster.  As the user postgres, in a directory of its own.
sub start
{
	my ($class, $cluster) = @_;
	my $home = "$cluster->{base}/browser";
	my $port = $cluster->free_port;
	my $log = "$cluster->{base}/log/browser.log";
	mkdir $home;
	PghaCluster::give_to_postgres($home);
	push @homes, $home;
	my $pid = PghaCluster::spawn(
		[
			PghaCluster::as_postgres(), $cluster->die_with_us('TERM'), '/usr/bin/env', "HOME=$home", "XDG_RUNTIME_DIR=$home", "TMPDIR=$home", '/usr/bin/chromedriver',
			"--port=$port", '--allowed-ips=127.0.0.1'
		],
		log => $log);
	my $self = bless { cluster => $cluster, url => "http://127.0.0.1:$port", http => HTTP::Tiny->new(timeout => 60) }, $class;
	$cluster->adopt(PghaCluster::Child->new(pid => $pid, log => $log));
	$cluster->wait_for('ChromeDriver', sub { $self->{http}->get("$self->{url}/status")->{success} });
	my $session = $self->call('POST', '/session', {
		capabilities => { alwaysMatch => {
			browserName => 'chrome',
			'goog:loggingPrefs' => { browser => 'ALL' },
			'goog:chromeOptions' => { args => [ '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', "--user-data-dir=$home/profile" ] } } } });
	$self->{session} = "/session/$session->{sessionId}";
	return $self;
}

# One call of the protocol; dies with what the other side says.
sub call
{
	my ($self, $method, $path, $body) = @_;
	my $reply = $self->{http}->request($method, "$self->{url}$path",
		{ headers => { 'Content-Type' => 'application/json' }, $method eq 'POST' ? (content => JSON::PP::encode_json($body // {})) : () });
	die "$method $path: $reply->{status} $reply->{content}" unless $reply->{success};
	return JSON::PP::decode_json($reply->{content})->{value};
}

sub open { my ($self, $url) = @_; return $self->call('POST', "$self->{session}/url", { url => $url }); }
sub size { my ($self, $width, $height) = @_; return $self->call('POST', "$self->{session}/window/rect", { width => $width, height => $height }); }
sub run { my ($self, $script) = @_; return $self->call('POST', "$self->{session}/execute/sync", { script => $script, args => [] }); }
sub text { my ($self) = @_; return $self->run('return document.body.innerText'); }

# What the page has put on the browser's console since the last call: errors, and what the policy forbade.
sub console { my ($self) = @_; return map { $_->{message} } @{ $self->call('POST', "$self->{session}/se/log", { type => 'browser' }) }; }

sub screenshot
{
	my ($self, $file) = @_;
	return PghaCluster::spew($file, decode_base64($self->call('GET', "$self->{session}/screenshot")));
}

sub end { my ($self) = @_; return eval { $self->call('DELETE', $self->{session}); 1 }; }

1;
