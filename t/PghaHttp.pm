# PghaHttp.pm
#		What tests of pgha.http share: a client that sends what it is told to, byte by
#		byte if need be, and the process that answers.
package PghaHttp;

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use PghaCluster;
use Test::More;

our @EXPORT = qw(connection request raw_request code json codes_become http_pid);

my $LIMIT = 20;

sub connection
{
	my ($port) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp', Timeout => $LIMIT);
}

# Sends the bytes, and reads to the end; undef if nobody listens, '' if nothing came.
sub raw_request
{
	my ($port, $bytes) = @_;
	my $socket = connection($port) or return undef;
	my $text = '';
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $bytes;
	while (IO::Select->new($socket)->can_read($LIMIT))
	{
		last unless sysread($socket, my $more, 65536);
		$text .= $more;
	}
	close $socket;
	return $text;
}

# { code, headers (by lower-case name), body }; code 0 if there is no answer.
sub request
{
	my ($port, $path, %option) = @_;
	my $method = $option{method} // 'GET';
	my $headers = join '', map { "$_: $option{headers}{$_}\r\n" } sort keys %{ $option{headers} // {} };
	my $text = raw_request($port, "$method $path HTTP/1.1\r\nHost: test\r\nConnection: close\r\n$headers\r\n") // '';
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my ($code) = ($head // '') =~ m{^HTTP/1\.[01] (\d+)};
	return {
		code => $code // 0,
		headers => { map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head // '' },
		body => $body // ''
	};
}

sub code { my ($node, $path, %option) = @_; return request($node->{http}, $path, %option)->{code}; }

sub json
{
	my ($node, $path) = @_;
	my $reply = request($node->{http}, $path);
	return eval { JSON::PP::decode_json($reply->{body}) } // diag("$path: $reply->{code} $reply->{body}");
}

# Waits until each path has its code.
sub codes_become
{
	my ($node, $expected, $name) = @_;
	my $found = '';
	my $wanted = join ' ', map { "$_=$expected->{$_}" } sort keys %$expected;
	PghaCluster::poll_until($name,
		sub { $found = join ' ', map { "$_=" . code($node, $_) } sort keys %$expected; return $found eq $wanted });
	return is($found, $wanted, $name);
}

# The child of the agent that answers: it has a socket that listens.
sub http_pid
{
	my ($node) = @_;
	return unless $node->{agent_pid};
	foreach my $file (glob('/proc/[0-9]*/stat'))
	{
		my ($pid, $parent) = (PghaCluster::slurp($file) // '') =~ /^(\d+) \(.*\) \S (\d+)/s or next;
		next unless $parent == $node->{agent_pid};
		return $pid if (() = glob("/proc/$pid/task/*")) > 1;
	}
	return;
}

1;
