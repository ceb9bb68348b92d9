# The examples of pgha.notify_command, with the programs that they are for: curl as it
# stands against a web server, mail through a sendmail, a chat's webhook, and
# Prometheus' Alertmanager, the real one.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use JSON::PP;
use PghaCluster;
use Test::More;

plan skip_all => 'curl is not installed (make test-deps)' unless -x '/usr/bin/curl';

my $cluster = PghaCluster->new(nodes => 1);
my $directory = $cluster->{base};
my $examples = "$PghaCluster::ROOT/examples/notify";
my $json = JSON::PP->new->utf8;
my $event = {
	version => 1, id => 'b:1764468184123456', cluster => 'main', node => 'b', reporter => 'b', kind => 'failover', severity => 'warning',
	term => 2, at => '2026-11-30T02:03:04.123456Z', text => "promoted: \"a\" is gone; \$(id) `id` \xe4", primary => 'b'
};

sub write_file
{
	my ($name, $text) = @_;
	PghaCluster::spew("$directory/$name", $text);
	chmod 0755, "$directory/$name";
	return "$directory/$name";
}

# Runs a program with the event on stdin; its status.
sub hand
{
	my ($text, @command) = @_;
	open(my $program, '|-', @command) or die "$command[0]: $!";
	print $program $text;
	close $program;
	return $? >> 8;
}

# A web server that writes down what is posted, and answers with the status in a file.
my $posted = "$directory/posted";
my $status = write_file('status', '200 OK');
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "a port: $!";
my $port = $listener->sockport;
my $test = $$;
my $server = fork // die;
if ($server == 0)
{
	$SIG{TERM} = 'DEFAULT';
	while (my $client = $listener->accept)
	{
		my ($head, $body) = ('', '');
		while (my $line = <$client>) { $head .= $line; last if $line =~ /^\r?\n$/; }
		my ($length) = $head =~ /^content-length: *(\d+)/mi;
		read $client, $body, $length if $length;
		open(my $file, '>>', $posted) or die;
		print $file (split(/\r?\n/, $head))[0], "\t", ($head =~ /^content-type: *(\S+)/mi)[0], "\t", $body =~ s/\n\z//r, "\n";
		close $file;
		print $client 'HTTP/1.1 ', PghaCluster::slurp($status), "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
		close $client;
	}
	exit 0;
}
END { if ($test && $$ == $test) { my $code = $?; kill 'TERM', $server; waitpid $server, 0; $? = $code; } }
sub last_posted { my @line = split /\n/, PghaCluster::slurp($posted) // ''; return split /\t/, $line[-1] // '', 3; }

# ---- curl as it stands, run by an agent ----
my $curl = write_file('webhook.curl', qq{url = "http://127.0.0.1:$port/hook?token=secret"\n});
$cluster->{settings}{'pgha.notify_command'} = "/usr/bin/curl --silent --show-error --fail --max-time 20 --config $curl --json \@-";
$cluster->build;
my ($a) = $cluster->nodes;
$a->start_agent(wait => 0);
PghaCluster::poll_until('the agent', sub { -e $a->agent_directory . '/notified' }, 30);
write_file('status', '503 Service Unavailable');
$a->sql("SELECT pgha_agent_event('lost', 'node \"a\" gives up 1 commit')");
$a->wait_agent_log(qr/WARNING:  pgha\.notify_command failed for lost \(a:\d+\), is tried again: status 22: curl: \(22\).*503/, 0, 30);
write_file('status', '200 OK');
$a->wait_agent_log(qr/LOG:  told of lost: /, 0, 30);
my ($request, $type, $body) = last_posted();
is($request, 'POST /hook?token=secret HTTP/1.1', 'curl posts');
is($type, 'application/json', 'JSON');
my $got = eval { $json->decode($body) } // {};
is($got->{text}, 'node "a" gives up 1 commit', 'the object as it is');
is($got->{kind}, 'lost', 'whole');
unlike($a->agent_text, qr/secret/, 'what is in the file of curl is not in the log');
$a->stop_agent;

# ---- a chat ----
is(hand($json->encode($event), "$examples/chat", $curl), 0, 'a chat is told');
is($json->decode((last_posted())[2])->{text}, "main: failover on b: $event->{text}", 'a sentence, as it is');
write_file('status', '404 Not Found');
isnt(hand($json->encode($event), "$examples/chat", $curl), 0, 'and if it does not take it, that is a failure');
write_file('status', '200 OK');

# ---- mail ----
$ENV{PGHA_SENDMAIL} = write_file('sendmail', "#!/bin/sh\nprintf '%s\\n' \"\$@\" > $directory/arguments\ncat > $directory/mail\n");
is(hand($json->encode({ %$event, node => "b\nBcc: x\@example.com" }), "$examples/mail", 'dba@example.com', '-oQ/tmp'), 0, 'a mail is sent');
is(PghaCluster::slurp("$directory/arguments"), "-i\n--\ndba\@example.com\n-oQ/tmp\n", 'to whom it is said, and an address is no option');
my ($header, $text) = split /\n\n/, PghaCluster::slurp("$directory/mail"), 2;
like($header, qr/^Subject: .*\[pgha main\] warning: failover on b|^Subject: =\?/m, 'with a subject');
unlike($header, qr/^Bcc:/m, 'in which nothing can be hidden');
like($text, qr/^promoted: "a" is gone; \$\(id\) `id` \xc3\xa4$/m, 'and the sentence');
write_file('sendmail', "#!/bin/sh\nexit 75\n");
isnt(hand($json->encode($event), "$examples/mail", 'dba@example.com'), 0, 'what sendmail does not take is a failure');

# ---- Alertmanager ----
$curl = write_file('alerts.curl', qq{url = "http://127.0.0.1:$port/api/v2/alerts"\n});
is(hand($json->encode($event), "$examples/alertmanager", $curl), 0, 'Alertmanager is told');
my $alerts = $json->decode((last_posted())[2]);
is(scalar(@$alerts), 1, 'of an alert');
is_deeply($alerts->[0]{labels}, { alertname => 'pgha_failover', cluster => 'main', node => 'b', severity => 'warning' }, 'with its labels');

SKIP:
{
	my $program = '/usr/bin/prometheus-alertmanager';
	skip 'prometheus-alertmanager is not installed (make test-deps)', 3 unless -x $program;
	my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "a port: $!";
	my $its_port = $free->sockport;
	close $free;
	my $config = write_file('alertmanager.yml', "route:\n  receiver: none\nreceivers:\n  - name: none\n");
	my $pid = PghaCluster::Host::spawn([ $program, "--config.file=$config", "--storage.path=$directory/data",
		"--web.listen-address=127.0.0.1:$its_port", '--cluster.listen-address=' ], log => "$directory/alertmanager.log");
	my $url = "http://127.0.0.1:$its_port";
	my $ready = PghaCluster::poll_until('', sub { (PghaCluster::run_command([ 'curl', '-sf', "$url/-/ready" ]))[0] == 0 }, 30);
	ok($ready, 'the real one runs') or diag PghaCluster::slurp("$directory/alertmanager.log");
	$curl = write_file('real.curl', qq{url = "$url/api/v2/alerts"\n});
	is(hand($json->encode($event), "$examples/alertmanager", $curl), 0, 'and takes it');
	my (undef, $out) = PghaCluster::run_command([ 'curl', '-sf', "$url/api/v2/alerts" ]);
	my $list = eval { $json->decode($out) } // [];
	my ($alert) = @$list;
	is_deeply([ $alert->{labels}{alertname}, $alert->{annotations}{description}, $alert->{status}{state} ],
		[ 'pgha_failover', $event->{text}, 'active' ], 'as an alert that is active') or diag $out;
	kill 'TERM', $pid;
	waitpid $pid, 0;
}

done_testing();
