# `pgha vip` in network namespaces (root only): an address of kind local moves
# between two hosts, IPv4 and IPv6, and a client that had the previous owner in
# its neighbour cache reaches the new one at once; it runs as an ordinary user
# with two capabilities; what is there or absent already is no failure, what is
# wrong is said; up and down at once, and a command killed half way; a real pair
# of pgpool-II with watchdog moves its delegate address with it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Test::More;
use Time::HiRes qw(usleep);

plan skip_all => 'needs root and network namespaces' unless PghaCluster::can_netns();

my $cluster = PghaCluster->new(names => [qw(a b client)], netns => 1, pgha => 0);
my ($a, $b, $client) = $cluster->nodes;
my $pgha = PghaCluster::pgha_program();
my $net = $cluster->{net};
my @capabilities = ('--inh-caps=+net_admin,+net_raw', '--ambient-caps=+net_admin,+net_raw');
my $v4 = "$net.100";
my $v6 = 'fd00:211::100';
my $local4 = "local:$v4\@eth0";
my $local6 = "local:[$v6]/64\@eth0";

# ---- hosts ----

sub on
{
	my ($host, @command) = @_;
	return PghaCluster::run_command([ $cluster->in_netns($host->{netns}), @command ]);
}

sub must_on
{
	my ($host, @command) = @_;
	return PghaCluster::must_run([ $cluster->in_netns($host->{netns}), @command ]);
}

# As the user postgres, with what is given in front of the program.
sub as_user
{
	my ($host, $setpriv, @arguments) = @_;
	return on($host, 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', @$setpriv, '--', $pgha, 'vip', @arguments);
}

sub vip { my ($host, @arguments) = @_; return as_user($host, \@capabilities, @arguments); }

sub ok_vip
{
	my ($host, @arguments) = @_;
	my ($status, $out, $err) = vip($host, @arguments);
	is($status, 0, "$host->{name}: pgha vip @arguments") or diag $out . $err;
	return "$out$err";
}

sub addresses { my ($host) = @_; return must_on($host, qw(ip -o addr show dev eth0)); }
sub has { my ($host, $ip) = @_; return addresses($host) =~ / \Q$ip\E\// ? 1 : 0; }

sub mac
{
	my ($host) = @_;
	must_on($host, qw(ip -o link show dev eth0)) =~ m{link/ether (\S+)} or die 'no hardware address';
	return $1;
}

# The hardware address that a host has in its cache for an IP address.
sub cached
{
	my ($host, $ip) = @_;
	return must_on($host, qw(ip neigh show to), $ip) =~ /lladdr (\S+)/ ? $1 : '';
}

# Who answers on a TCP port of the address; '' if nobody does within two seconds.
sub who_answers
{
	my ($ip) = @_;
	my ($status, $out) = on($client, 'perl', '-MIO::Socket::IP', '-e',
		'my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 7777, Timeout => 2) or exit 1; alarm 2; print scalar <$s>', $ip);
	return $status == 0 ? $out : '';
}

# It is this host.  Asked again, as the machine may be busy; what is in the
# client's cache does not expire meanwhile.
sub reaches
{
	my ($host, $ip, $what) = @_;
	ok(PghaCluster::poll_until('', sub { who_answers($ip) eq $host->{name} }, 20), $what) or diag "cached: " . cached($client, $ip);
	return;
}

my $number = 0;
foreach my $host ($a, $b, $client)
{
	$number++;
	must_on($host, 'ip', 'addr', 'add', "fd00:211::$number/64", 'dev', 'eth0', 'nodad');
	# What is in the cache stays there: only an announcement can change it.
	foreach my $family (qw(ipv4 ipv6))
	{
		must_on($host, 'sysctl', '-q', '-w', "net.$family.neigh.eth0.base_reachable_time_ms=3600000");
	}
	next if $host == $client;
	my $pid = PghaCluster::spawn(
		[
			$cluster->in_netns($host->{netns}), 'setpriv', '--pdeathsig', 'KILL', 'perl', '-MIO::Socket::IP', '-e',
			'my $l = IO::Socket::IP->new(LocalHost => "::", LocalPort => 7777, V6Only => 0, Listen => 20, ReuseAddr => 1) or die $@;'
			  . 'while (my $s = $l->accept) { print $s $ARGV[0]; close $s }', $host->{name}
		],
		log => "$cluster->{base}/log/answer-$host->{name}.log");
	$cluster->adopt(PghaCluster::Child->new(pid => $pid, cluster => $cluster, signal => 'TERM'));
	$cluster->wait_for("$host->{name} to answer", sub { who_answers($host->{host}) eq $host->{name} });
}
$cluster->wait_for('link-local addresses to be usable', sub { !grep { addresses($_) =~ /tentative/ } $a, $b, $client });

# ---- up, down, show ----
foreach my $family ([ $v4, $local4 ], [ $v6, $local6 ])
{
	my ($ip, $address) = @$family;
	my ($status, $out, $err) = vip($a, 'show', $address);
	is($status, 3, "$ip: show: not here");
	like($out, qr/^not here: /, "$ip: nobody has it");

	ok_vip($a, 'up', $address);
	ok(has($a, $ip), "$ip: it is on the interface");
	ok_vip($a, 'up', $address);
	is(scalar(() = addresses($a) =~ / \Q$ip\E\//g), 1, "$ip: up twice, there once");
	like(ok_vip($a, 'show', $address), qr/^here: /, "$ip: show: here");
	($status, $out, $err) = vip($b, 'show', $address);
	is($status, 3, "$ip: show on the other host");
	like($out, qr/^elsewhere: .*@{[ mac($a) ]}/, "$ip: it says whose it is");
	reaches($a, $ip, "$ip: a client reaches it");
	is(cached($client, $ip), mac($a), "$ip: and has its owner in its cache");

	($status, $out, $err) = vip($b, 'up', '--if-free', $address);
	is($status, 1, "$ip: not taken from another host with --if-free");
	like($err, qr/in use: .*@{[ mac($a) ]}/, "$ip: and it says why");
	ok(!has($b, $ip), "$ip: and nothing was done");

	ok_vip($a, 'down', $address);
	ok(!has($a, $ip), "$ip: down: it is gone");
	ok_vip($a, 'down', $address);
	($status, $out, $err) = vip($a, 'announce', $address);
	is($status, 1, "$ip: what is not here is not announced");
	ok_vip($a, 'up', '--if-free', $address);
	ok_vip($a, 'down', $address);
}

# ---- the client's cache ----
foreach my $family ([ $v4, $local4, 32 ], [ $v6, $local6, 64 ])
{
	my ($ip, $address, $prefix) = @$family;
	ok_vip($a, 'up', $address);
	$cluster->wait_for("the client to reach a at $ip", sub { who_answers($ip) eq 'a' });

	# Without an announcement the client would go on talking to the previous owner.
	must_on($a, 'ip', 'addr', 'del', "$ip/$prefix", 'dev', 'eth0');
	must_on($b, 'ip', 'addr', 'add', "$ip/$prefix", 'dev', 'eth0', $ip eq $v6 ? 'nodad' : ());
	ok($cluster->stays_false(sub { who_answers($ip) eq 'b' }, 2), "$ip: moved without an announcement, the client does not find it");
	is(cached($client, $ip), mac($a), "$ip: because of its cache");
	ok_vip($b, 'announce', $address);
	reaches($b, $ip, "$ip: announced, it is found");

	# By force: the previous owner still has it, and does not know better.
	ok_vip($a, 'up', $address);
	$cluster->wait_for("the client to stay with a at $ip",
		sub { who_answers($ip) eq 'a' && $cluster->stays_false(sub { who_answers($ip) ne 'a' }, 1) }, 20);
	pass("$ip: taken by force, the client reaches the new owner");
	like(ok_vip($a, 'show', $address), qr/WARNING: .*@{[ mac($b) ]} answers for it, too/, "$ip: show warns of two owners");
	my ($status, $out, $err) = vip($b, 'down', $address);
	is($status, 1, "$ip: what pgha has not put there is not taken off");
	like($err, qr/pgha has not put it there: it stays; take it off with: ip addr del \Q$ip\E\/$prefix dev eth0$/m, "$ip: it says so, and what to do");
	ok(has($b, $ip), "$ip: and it stays");
	like((vip($b, 'show', $address))[1], qr/WARNING: pgha has not put it there/, "$ip: show says so, too");
	must_on($b, 'ip', 'addr', 'del', "$ip/$prefix", 'dev', 'eth0');
	ok_vip($b, 'down', $address);
	reaches($a, $ip, "$ip: the late down of the previous owner changes nothing");

	# Ours and another's, of another length: ours goes (IPv6 has one only).
	ok_vip($b, 'up', $address);
	if ($ip eq $v4)
	{
		must_on($b, 'ip', 'addr', 'add', "$ip/" . ($prefix - 2), 'dev', 'eth0');
		($status, $out, $err) = vip($b, 'down', $address);
		is($status, 1, "$ip: there twice, once from elsewhere");
		like(addresses($b), qr{ \Q$ip\E/@{[ $prefix - 2 ]} }, "$ip: that one stays");
		unlike(addresses($b), qr{ \Q$ip\E/$prefix }, "$ip: ours is gone");
		must_on($b, 'ip', 'addr', 'del', "$ip/" . ($prefix - 2), 'dev', 'eth0');
	}
	ok_vip($b, 'down', $address);
	ok_vip($a, 'announce', $address);
	reaches($a, $ip, "$ip: announced again");

	# To and fro.
	my ($from, $to) = ($a, $b);
	foreach my $round (1 .. 6)
	{
		vip($from, 'down', $address);
		vip($to, 'up', $address);
		$cluster->wait_for("the client to follow in round $round", sub { who_answers($ip) eq $to->{name} }, 20);
		($from, $to) = ($to, $from);
	}
	pass("$ip: to and fro");
	ok(has($from, $ip) && !has($to, $ip), "$ip: one owner at the end");
	ok_vip($from, 'down', $address);
}

# ---- who may, and what is wrong ----
{
	my ($status, $out, $err) = as_user($a, [], 'up', $local4);
	is($status, 1, 'without capabilities: refused');
	like($err, qr/CAP_NET_(RAW|ADMIN) is missing/, 'it says which is missing');
	like($err, qr/AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW/, 'and how to have it');
	($status, $out, $err) = as_user($a, [ '--inh-caps=+net_raw', '--ambient-caps=+net_raw' ], 'up', $local4);
	like($err, qr/CAP_NET_ADMIN is missing/, 'only CAP_NET_RAW');
	($status, $out, $err) = as_user($a, [ '--inh-caps=+net_admin', '--ambient-caps=+net_admin' ], 'up', $local4);
	is($status, 1, 'only CAP_NET_ADMIN: refused');
	like($err, qr/CAP_NET_RAW is missing/, 'it says so');
	ok(!has($a, $v4), 'an address that cannot be announced is not put there');
	($status, $out, $err) = as_user($a, [], 'up', '--dry-run', $local4);
	is($status, 1, '--dry-run finds out');
	like($err, qr/is missing/, 'and says what is missing');
	like(ok_vip($a, 'up', '--dry-run', $local4), qr/nothing was changed/, '--dry-run with the capabilities');
	ok(!has($a, $v4), '--dry-run changes nothing');

	# Capabilities of the file instead of those of the unit.
	PghaCluster::must_run([ 'install', '-m', '0750', '-g', 'postgres', $pgha, "$cluster->{base}/pgha-vip" ]);
	PghaCluster::must_run([ 'setcap', 'cap_net_admin,cap_net_raw+ep', "$cluster->{base}/pgha-vip" ]);
	($status, $out, $err) = on($a, PghaCluster::as_postgres(), "$cluster->{base}/pgha-vip", 'vip', 'up', $local4);
	is($status, 0, 'with file capabilities') or diag $err;
	ok(has($a, $v4), 'the address is there');
	ok_vip($a, 'down', $local4);

	($status, $out, $err) = vip($a, 'up', "local:$v4\@eth9");
	is($status, 1, 'an interface that does not exist');
	like($err, qr/there is no interface "eth9"/, 'it says so');
	($status, $out, $err) = vip($a, 'up', $v4);
	is($status, 2, 'no interface given');
	like($err, qr/--interface=NAME/, 'it says what to write');
	($status, $out, $err) = vip($a, 'up', "local:$net.255/24\@eth0");
	is($status, 2, 'an address that is none');
	must_on($a, qw(ip link add other0 type bridge));
	($status, $out, $err) = vip($a, 'up', "local:$v4\@other0");
	like($err, qr/interface "other0" is down/, 'an interface that is down');
	must_on($a, qw(ip link set other0 up));
	must_on($a, 'ip', 'addr', 'add', "$v4/32", 'dev', 'other0');
	foreach my $command (qw(up down))
	{
		($status, $out, $err) = vip($a, $command, $local4);
		is($status, 1, "$command: it is on another interface");
		like($err, qr/is on interface "other0"/, 'it says where');
	}
	must_on($a, qw(ip link del other0));
	($status, $out, $err) = vip($a, 'up', $local4, '--timeout=0');
	is($status, 2, 'a limit of nothing');
	($status, $out, $err) = vip($a, 'fly', $v4);
	is($status, 2, 'an unknown command');
}

# An address that the kernel found in use elsewhere is of no use: put there again.
must_on($b, 'ip', 'addr', 'add', "$v6/64", 'dev', 'eth0', 'nodad');
must_on($a, 'ip', 'addr', 'add', "$v6/64", 'dev', 'eth0');
$cluster->wait_for('the kernel to refuse the address', sub { addresses($a) =~ /dadfailed/ });
ok_vip($a, 'up', $local6);
unlike(addresses($a), qr/dadfailed/, 'a duplicate IPv6 address is made usable');
reaches($a, $v6, 'and used');
vip($_, 'down', $local6) foreach $a, $b;
must_on($b, 'ip', 'addr', 'del', "$v6/64", 'dev', 'eth0');
ok(!has($a, $v6), 'and it is its own to give up then');

# An IPv6 address that a former version has put there, unmarked: it is taken over where it is wanted.
SKIP:
{
	skip 'the kernel does not mark addresses', 2 if (PghaCluster::slurp('/proc/sys/kernel/osrelease') =~ /^(\d+)\.(\d+)/ and $1 * 1000 + $2 < 5018);
	must_on($a, 'ip', 'addr', 'add', "$v6/64", 'dev', 'eth0', qw(nodad preferred_lft 0));
	is((vip($a, 'down', $local6))[0], 1, 'an unmarked IPv6 address stays');
	ok_vip($a, 'up', $local6);
	ok_vip($a, 'down', $local6);
	ok(!has($a, $v6), 'after an up it is marked, and goes');
}

# ---- a bare address: options, environment, file ----
{
	my $conf = "$cluster->{base}/vip.conf";
	PghaCluster::spew($conf, "# of pgpool's watchdog\ninterface = 'eth0'\nprefix=24\n\naddress = $net.101\n");
	ok_vip($a, 'up', $v4, '-c', $conf);
	like(addresses($a), qr{ \Q$v4\E/24 .* eth0:pgha\b}, 'interface and prefix length of the file; a label');
	ok_vip($a, 'down', $v4, '--interface=eth0');
	ok_vip($a, 'up', $v4, '-c', $conf, '--prefix', 25);
	like(addresses($a), qr{ \Q$v4\E/25 }, 'an option comes before the file');
	ok_vip($a, 'down', "--config=$conf", $v4);
	ok_vip($a, 'up', '-c', $conf);
	ok(has($a, "$net.101"), 'the address of the file');
	local $ENV{PGHA_VIP_CONFIG} = $conf;
	local $ENV{PGHA_VIP_PREFIX} = 26;
	ok_vip($a, 'down');
	ok_vip($a, 'up', $v4);
	like(addresses($a), qr{ \Q$v4\E/26 }, 'the environment comes before the file');
	ok_vip($a, 'down', $v4);

	PghaCluster::spew($conf, "interface = eth0\ninterfaces = eth0\n");
	my ($status, $out, $err) = vip($a, 'up', $v4);
	is($status, 1, 'a wrong line in the file');
	like($err, qr/line 2 of file .* there is no setting "interfaces"/, 'it says which');
	($status, $out, $err) = vip($a, 'up', $v4, '-c', "$conf.none");
	is($status, 1, 'a file that is not there');
}

# ---- at once, and killed ----
{
	# Whoever comes last decides; nothing is left half done, and nothing hangs.
	my @pids;
	foreach my $i (1 .. 10)
	{
		push @pids, PghaCluster::spawn(
			[ $cluster->in_netns($a->{netns}), 'setpriv', '--pdeathsig', 'KILL', $pgha, 'vip', $i % 2 ? 'up' : 'down', $local4 ],
			log => "$cluster->{base}/log/at-once.log");
	}
	my $failed = 0;
	foreach my $pid (@pids)
	{
		waitpid($pid, 0);
		$failed++ if $?;
	}
	is($failed, 0, 'up and down at once: none fails');
	is(scalar(() = PghaCluster::slurp("$cluster->{base}/log/at-once.log") =~ /is (?:not )?here$/mg), 10, 'all have done something');

	# Another user cannot hold it up: neither with the name that was the lock once, nor by the file.
	my $home = (getpwnam 'postgres')[7];
	my $hostile = PghaCluster::spawn(
		[ $cluster->in_netns($a->{netns}), 'setpriv', '--pdeathsig', 'KILL', '--reuid=65534', '--regid=65534', '--clear-groups', 'perl', '-MSocket', '-e',
			'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack("S a*", AF_UNIX, "\0pgha-vip/$ARGV[0]")) or die; listen($s, 1);'
			  . 'for my $d (@ARGV[1 .. 2]) { print "$d opened\n" if opendir(my $h, $d) or mkdir("$d/x") } $| = 1; print "locked\n"; sleep 600',
			$v4, "$home/.pgha-vip", '/run/pgha-vip' ],
		log => "$cluster->{base}/log/hostile.log");
	$cluster->wait_for('the hostile socket', sub { (PghaCluster::slurp("$cluster->{base}/log/hostile.log") // '') =~ /locked/ });
	unlike(PghaCluster::slurp("$cluster->{base}/log/hostile.log"), qr/opened/, 'another user does not get at the directories of the locks');
	ok_vip($a, 'up', '--timeout=1', $local4);
	is((on($a, $pgha, 'vip', 'down', '--timeout=1', $local4))[0], 0, 'nor is root held up');
	kill 'KILL', $hostile;
	waitpid($hostile, 0);

	# One that is stuck, as if it waited for EC2, holds the others up until they give up.
	my $stuck = PghaCluster::spawn(
		[ $cluster->in_netns($a->{netns}), 'setpriv', '--pdeathsig', 'KILL', '--reuid=postgres', '--regid=postgres', '--init-groups', 'perl', '-MFcntl', '-e',
			'my $f = "$ARGV[1]/.pgha-vip/$ARGV[0]." . (stat "/proc/self/ns/net")[1]; open(my $h, "+>", $f) or die $!;'
			  . 'my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl($h, F_SETLK, $l) or die $!; $| = 1; print "locked\n"; sleep 600', $v4, $home ],
		log => "$cluster->{base}/log/stuck.log");
	$cluster->wait_for('the lock', sub { (PghaCluster::slurp("$cluster->{base}/log/stuck.log") // '') =~ /locked/ });
	my ($status, $out, $err) = vip($a, 'up', '--timeout=1', $local4);
	is($status, 1, 'a command waits for the one before it, not for ever');
	like($err, qr/process $stuck of user postgres is still busy/, 'it says who that is');
	ok_vip($b, 'up', '--timeout=1', $local4);
	ok_vip($b, 'down', $local4);
	kill 'KILL', $stuck;
	waitpid($stuck, 0);
	ok_vip($a, 'up', '--timeout=5', $local4);
	is_deeply([ glob "$home/.pgha-vip/$v4.*" ], [], 'and leaves no file behind');

	# Killed at any moment, the next one repairs.  The time is the fault: nothing is waited for.
	foreach my $i (1 .. 15)
	{
		my $pid = PghaCluster::spawn([ $cluster->in_netns($a->{netns}), $pgha, 'vip', $i % 2 ? 'down' : 'up', $local4 ]);
		usleep(3000 * $i);
		kill 'KILL', $pid;
		waitpid($pid, 0);
	}
	ok_vip($a, 'up', $local4);
	reaches($a, $v4, 'killed ones leave nothing that is in the way');
	ok_vip($a, 'down', $local4);
	ok(!has($a, $v4), 'and it can be given up');
}

# ---- the watchdog of pgpool-II ----
SKIP:
{
	skip 'pgpool is not installed (make test-deps)', 1 unless PghaCluster::Pgpool->program('pgpool');

	# A server that both lead to, on the third host.
	$client->initdb;
	$client->start;

	my $delegate = "$net.110";
	my %pgpool;
	my $hosts = 0;
	my %watchdog = map { ("hostname$_->[0]" => $_->[1]{host}, "wd_port$_->[0]" => 9000, "pgpool_port$_->[0]" => 9999,
			"heartbeat_hostname$_->[0]" => $_->[1]{host}, "heartbeat_port$_->[0]" => 9694) } [ 0, $a ], [ 1, $b ];
	my $start = sub {
		my ($host, $id) = @_;
		my $directory = "$cluster->{base}/pgpool-$host->{name}";
		mkdir $directory;
		PghaCluster::give_to_postgres($directory);
		PghaCluster::spew("$directory/pgpool.conf", PghaCluster::Node::settings_text(
				backend_clustering_mode => 'streaming_replication', listen_addresses => '*', port => 9999,
				num_init_children => 4, sr_check_period => 0, sr_check_user => 'postgres',
				backend_hostname0 => $client->{host}, backend_port0 => $client->{port}, backend_flag0 => 'DISALLOW_TO_FAILOVER',
				socket_dir => $directory, pcp_socket_dir => $directory, wd_ipc_socket_dir => $directory,
				pid_file_name => "$directory/pgpool.pid", logdir => $directory,
				use_watchdog => 'on', %watchdog, delegate_IP => $delegate,
				if_up_cmd => "$pgha vip up \$_IP_\$ -i eth0", if_down_cmd => "$pgha vip down \$_IP_\$ -i eth0",
				arping_cmd => "$pgha vip announce \$_IP_\$ -i eth0", ping_path => '/bin',
				enable_consensus_with_half_votes => 'on', wd_lifecheck_method => 'heartbeat', wd_interval => 1,
				wd_heartbeat_keepalive => 1, wd_heartbeat_deadtime => 10));
		PghaCluster::spew("$directory/pgpool_node_id", "$id\n");
		PghaCluster::spew("$directory/$_", '') foreach qw(pcp.conf pool_hba.conf pool_passwd);
		my $log = "$cluster->{base}/log/pgpool-$host->{name}.log";
		my $pid = PghaCluster::spawn(
			[
				$cluster->in_netns($host->{netns}), 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', @capabilities,
				'--pdeathsig', 'INT', '--', PghaCluster::Pgpool->program('pgpool'), '-n', '-f', "$directory/pgpool.conf",
				'-F', "$directory/pcp.conf", '-a', "$directory/pool_hba.conf"
			],
			log => $log, cwd => $directory);
		$pgpool{ $host->{name} } = { pid => $pid, log => $log, directory => $directory };
		$cluster->adopt(PghaCluster::Child->new(pid => $pid, cluster => $cluster, signal => 'INT'));
	};
	my $through = sub {
		my ($status, $out) = on($client, PghaCluster::bindir() . '/psql', '-XAtq', '-d',
			"host=$delegate port=9999 user=postgres dbname=postgres connect_timeout=2", '-c', 'SELECT 42');
		return $status == 0 && $out eq "42\n";
	};
	my $tail = sub { join '', map { my $text = PghaCluster::slurp($pgpool{$_}{log}) // ''; "---- $_ ----\n" . substr($text, -4000) } sort keys %pgpool };
	my $wait = sub {
		my ($what, $condition) = @_;
		my $got = PghaCluster::poll_until($what, $condition, 90);
		ok($got, $what) or diag $tail->();
		return $got;
	};

	$start->($a, 0);
	$wait->('the first pgpool takes the delegate address', sub { has($a, $delegate) });
	$start->($b, 1);
	$wait->('a client reaches the server through it', $through);
	$wait->('the second pgpool joins', sub { (PghaCluster::slurp($pgpool{b}{log}) // '') =~ /now a part of watchdog cluster|joined as|set to standby|STANDBY/i });
	ok(!has($b, $delegate), 'the second pgpool has it not');

	# The leader ends with all its processes, and has no time to give the address up.
	my $killed = PghaCluster::now();
	kill 'KILL', PghaCluster::processes_in($pgpool{a}{directory});
	waitpid($pgpool{a}{pid}, 0);
	$wait->('killed: the other one takes the address', sub { has($b, $delegate) });
	$wait->('the client reaches the server through it', sub { cached($client, $delegate) eq mac($b) && $through->() });
	note sprintf 'kill to reached again: %.1f s', PghaCluster::now() - $killed;
	# What ExecStopPost= of examples/pgpool2-vip.conf does.
	ok_vip($a, 'down', $delegate, '-i', 'eth0');
	$wait->('the late down on the killed one does not take it away', $through);

	# It comes back, and the leader is stopped.
	unlink "$pgpool{a}{directory}/pgpool.pid", glob("$pgpool{a}{directory}/.s.*");
	$start->($a, 0);
	my $mark = 'now a part of watchdog cluster|joined as|set to standby|STANDBY';
	$wait->('the first pgpool is a standby', sub { substr(PghaCluster::slurp($pgpool{a}{log}), -6000) =~ /$mark/ });
	ok(!has($a, $delegate), 'it does not take the address');
	kill 'INT', $pgpool{b}{pid};
	$wait->('stopped: the address is given up', sub { !has($b, $delegate) });
	$wait->('and taken by the other one', sub { has($a, $delegate) });
	$wait->('the client reaches the server through it, again', $through);
	kill 'INT', $pgpool{a}{pid};
	$wait->('the last one stops: nobody has it', sub { !has($a, $delegate) });
}
done_testing();
