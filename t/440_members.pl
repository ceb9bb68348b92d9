# Members come and go everywhere by one call on the primary: the agents write the lists,
# in whatever file and form they stand.  A node is added, built by its agent, and removed.
# Nothing is written while one member cannot; what broke off is completed by the same call.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(make_path);
use PghaCluster;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 4, settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s' });
my %node = map { $_->{name} => $_ } $cluster->nodes;
my ($a, $b, $c, $d) = $cluster->nodes;
my $base = $cluster->{base};

sub address { my ($name) = @_; return "$node{$name}{host}:$node{$name}{port}"; }
sub members { return join ', ', map { "$_=" . address($_) } @_; }
my $three = members(qw(a b c));
my $four = members(qw(a b c d));

# Calls a function on the primary; what it returns, or its error, and what it said.
sub call
{
	my ($call, $node) = @_;
	my ($status, $out, $err) = ($node // $a)->psql("SELECT $call", timeout => 120);
	return ($status == 0 ? $out : 'error', $err);
}
sub add { my ($rest, $node) = @_; return call(qq{pgha_add_member('d', '} . address('d') . q{'} . ($rest // '') . ')', $node); }

sub read_by { my ($value, @nodes) = @_; return join ' ', map { ($_->value('SHOW pgha.members') // '') eq $value ? 'yes' : "no ($_->{name})" } @nodes; }
sub texts { return join "\0", map { my $name = $_; map { PghaCluster::slurp("$name->{data}/$_") // '' } qw(postgresql.conf node.conf postgresql.auto.conf) } $a, $b, $c; }
sub copies { my ($text, $old, $new) = @_; return join $new, split /\Q$old\E/, $text, -1; }

$cluster->{settings}{'pgha.members'} = $three;
$cluster->{node} = [ $a, $b, $c ];
$cluster->build;
wait_stored($a, 'a,b,c');

# ---- in how many ways it may be written ----

# b: a directory that is included, with a link to a file elsewhere, of a mode of its own.
my %own;
make_path("$b->{data}/conf.d", "$base/elsewhere");
PghaCluster::spew("$b->{data}/node.conf", PghaCluster::slurp("$b->{data}/node.conf") . "include_dir 'conf.d'\n");
$own{b} = "$base/elsewhere/pgha";
PghaCluster::spew($own{b}, "# ours, it''s by hand\r\ncluster_name = 'it''s'\r\n\tPGHA.Members= '$three'\t# 'the' list\r\n\r\n# end");
PghaCluster::spew("$b->{data}/conf.d/10-other.conf", "pgha.members = 'overridden=127.0.0.1:1, b=127.0.0.1:2'\n");
symlink $own{b}, "$b->{data}/conf.d/20-pgha.conf" or die;
PghaCluster::give_to_postgres("$b->{data}/conf.d", "$base/elsewhere");
chmod 0640, $own{b};

# c: without the equals sign, as the last line, without a line break; a value that another one overrides before.
$own{c} = "$c->{data}/node.conf";
PghaCluster::spew($own{c}, PghaCluster::slurp($own{c}) . "pgha.members 'a=127.0.0.1:1, c=127.0.0.1:2'\nsearch_path = '''\$user'', public'\npgha.members '$three'");
my %before = map { $_ => PghaCluster::slurp($own{$_}) } keys %own;
$_->start_agent foreach $a, $b, $c;
$_->reload foreach $b, $c;
$cluster->wait_for('the files to be read', sub { ($a->value('SELECT bool_and(reachable) FROM pgha_cluster()') // '') eq 't' });

# ---- what is refused ----

my ($out, $err) = call(q{pgha_add_member('d', '10.0.0.1:1')}, $b);
like($err, qr/ERROR:  55000: this server is not the primary, and does not change the members\nHINT:  Call this on "a"/, 'a standby says who the primary is');
foreach my $wrong (
	[ q{'d,e', '10.0.0.1'}, qr/22023: "d,e" is not a valid name of a node/, 'a name that is none' ],
	[ q{'d', '10.0.0.1, e=10.0.0.2'}, qr/22023: "10.0.0.1, e=10.0.0.2" is not the address of a node/, 'two nodes in one' ],
	[ q{'d', '10.0.0.1:70000'}, qr/DETAIL:  Port "70000"/, 'a port that is none' ],
	[ q{'A', '10.0.0.1'}, qr/would share the replication slot/, 'a name that differs in case only' ],
	[ q{'d', '} . address('b') . q{'}, qr/Members "b" and "d" have the same address/, 'the address of another one' ],
	[ q{'b', '10.0.0.1'}, qr/42710: node "b" is a member already, at 127.0.0.1:$b->{port}/, 'a member at another address' ],
	[ q{'b', '10.0.0.1', true}, qr/42710: node "b" is a member already/, 'a member as a witness' ],
	[ q{'d', NULL}, qr/22004: .* must not be null/, 'no address' ])
{
	($out, $err) = call("pgha_add_member($wrong->[0])");
	like($err, $wrong->[1], "refused: $wrong->[2]");
}
my $texts = texts();
($out, $err) = call(q{pgha_remove_member('a')});
like($err, qr/node "a" is the primary, and cannot be removed\nHINT:  .*pgha_switchover/, 'the primary cannot be removed');
($out, $err) = call(q{pgha_remove_member('b')});
like($err, qr/the server of node "b" is running\n/, 'nor a node whose server runs');
($out, $err) = call(q{pgha_remove_member('nobody')});
is($out, 'f', 'one that is in no list') or diag $err;
like($err, qr/NOTICE: .*"nobody" is not in pgha.members on all nodes already/, '... which is said');

$b->sql("ALTER SYSTEM SET pgha.members = '$three'");
$b->reload;
($out, $err) = add();
like($err, qr/node "b" cannot change pgha.members: pgha.members is set in postgresql.auto.conf, .* ALTER SYSTEM alone\nDETAIL:  Nothing was changed.*yourself and reload: pgha.members = '\Q$four\E'/s,
	'a value in postgresql.auto.conf');
$b->sql('ALTER SYSTEM RESET pgha.members');

my $other = members(qw(a c b));
PghaCluster::spew($own{c}, copies($before{c}, $three, $other));
($out, $err) = add();
like($err, qr/node "c" cannot change pgha.members: pgha.members is '\Q$other\E' here, and differs from '\Q$four\E' in more than that "d" comes.*Nothing was changed/s,
	'another list than the primary has: both are named');
PghaCluster::spew($own{c}, $before{c});

chown 0, -1, $own{b};
($out, $err) = add();
like($err, qr/node "b" cannot change pgha.members: file "\Q$own{b}\E" belongs to another user\n/, 'a file of another user');
PghaCluster::give_to_postgres($own{b});

sub end_agent
{
	my ($node) = @_;
	$node->stop_agent;
	$cluster->wait_for('its session to be gone', sub { ($a->value("SELECT agent FROM pgha_recovery_progress() WHERE node = '$node->{name}'") // 'f') ne 't' });
	return;
}
end_agent($c);
($out, $err) = add();
like($err, qr/ERROR:  55000: the list cannot be changed on all nodes: c \(no agent of it is connected\)\nDETAIL:  Nothing was changed.*\nHINT: .*force/, 'an agent that is not there');
is(texts(), $texts, 'nothing was written in all that');
is(join(' ', map { PghaCluster::slurp($own{$_}) eq $before{$_} ? 'same' : 'changed' } sort keys %own), 'same same', '... nowhere');
is(scalar(() = glob("$base/elsewhere/*.pgha-new $b->{data}/conf.d/*.pgha-new $c->{data}/*.pgha-new")), 0, '... and nothing lies about');

# ---- an agent is killed in the middle ----

$c->start_agent(env => { PGHA_TEST_STOP_AT => 'list' });
my $call = $a->background(q{SELECT pgha_add_member('d', '} . address('d') . q{')});
my ($worker) = $cluster->wait_for('the agent of c to be about to write', sub {
	my @stopped = grep { (PghaCluster::slurp("/proc/$_/stat") // '') =~ /\) T / } PghaCluster::Host::processes_in($c->agent_directory);
	return @stopped ? $stopped[0] : undef;
});
$cluster->wait_for('b to have written', sub { (PghaCluster::slurp($own{b}) // '') =~ /\Q$four\E/ });
$c->stop_agent('KILL');
kill 'KILL', $worker;
($out, $err) = add();
like($err, qr/55P03: another session \(process \d+\) is changing the members/, 'one call at a time');
$cluster->wait_for('the call to end', sub { !$call->is_running });
my $text = PghaCluster::slurp($call->{log});
like($text, qr/NOTICE: .*node "b": changed pgha.members in file "\Q$own{b}\E", line 3\n/, 'it says how far it is');
like($text, qr/node "c" has not changed pgha.members: its agent has not answered\nDETAIL:  Written on: b\. Not, or not known to be, written on: c, a\.\nHINT:  .*call the function again/,
	'an agent is killed before it writes: what was written where');
is(PghaCluster::slurp($own{c}), $before{c}, '... and not there');
$c->start_agent;
($out, $err) = add();
is($out, 't', 'the same call completes it') or diag $err, $c->agent_text;
like($err, qr/node "b": unchanged/, '... leaving alone what was done');
like($err, qr/"d" becomes a voter when its server is there/, '... and says what comes next');
is(read_by($four, $a, $b, $c), 'yes yes yes', 'all have read it');
foreach my $name (sort keys %own)
{
	is(PghaCluster::slurp($own{$name}), copies($before{$name}, "'$three'", "'$four'"), "$name: nothing but the value has changed");
}
is((stat $own{b})[2] & 07777, 0640, 'b: its mode is kept');
ok(-l "$b->{data}/conf.d/20-pgha.conf", '... and the link to it');
is((stat $own{b})[4], (stat $b->{data})[4], '... and its owner');
like($b->agent_text, qr/pgha.members changed in file "\Q$own{b}\E", line 3, by order of the primary, from '\Q$three\E' to '\Q$four\E'/, 'the log of the agent has the former list');
($out, $err) = add();
is($out, 'f', 'once more: nothing is to be done') or diag $err;
like($err, qr/"d" is in pgha.members on all nodes already/, '... which is said');

# ---- it is built ----

my $etc = "$base/etc_d";
make_path($etc, "$base/host_d");
PghaCluster::give_to_postgres($etc, "$base/host_d");
$d->{data} = "$base/host_d/main";
$d->{conf} = "$etc/postgresql.conf";
my $common = PghaCluster::slurp("$a->{data}/postgresql.conf") =~ s/^include 'node.conf'.*//mr;
PghaCluster::spew("$etc/pg_hba.conf", PghaCluster::slurp("$a->{data}/pg_hba.conf"));
PghaCluster::spew($d->{conf}, $common . PghaCluster::Node::settings_text(
		data_directory => $d->{data}, hba_file => "$etc/pg_hba.conf", port => $d->{port}, listen_addresses => $d->{host},
		unix_socket_directories => $d->{socket}, 'pgha.node' => 'd'));
push @{ $cluster->{node} }, $d;
$d->start_agent(arguments => [ '--config', $d->{conf} ]);
($out, $err) = call(q{pgha_recover_node('d')});
is($out, 't', 'the new node is built by its agent') or diag $err, $d->agent_text;
wait_stored($a, 'a,b,c,d');
pass('... and votes');
$cluster->wait_following($a, $d);

# ---- a witness ----

($out, $err) = call(q{pgha_add_member('w', '127.0.0.1:9', witness => true)});
is($out, 't', 'a witness is added') or diag $err;
like(PghaCluster::slurp("$a->{data}/node.conf"), qr/^pgha.node = 'a'\npgha.witnesses = 'w=127.0.0.1:9'$/m, '... below the name of the node, where the setting stood nowhere');
is(join(' ', map { $_->value('SHOW pgha.witnesses') // '' } $a, $b, $c, $d), join(' ', ('w=127.0.0.1:9') x 4), '... everywhere, on the new node as well');
($out, $err) = call(q{pgha_remove_member('w')});
is($out, 't', '... and removed') or diag $err;
is($a->value('SHOW pgha.witnesses'), '', '... from the same list');

# ---- it goes ----

($out, $err) = call(q{pgha_remove_member('d')});
like($err, qr/the server of node "d" is running\n/, 'a node that runs is not removed');
$d->stop;
end_agent($d);
($out, $err) = call(q{pgha_remove_member('d')});
is($out, 't', 'it is stopped, and removed') or diag $err;
like($err, qr/"d" has no vote any more/, '... as a voter, too');
is(names(report($a)->{rule_voters}), 'a,b,c', '... by the rule');
is(read_by($three, $a, $b, $c), 'yes yes yes', 'all have read it');
foreach my $name (sort keys %own)
{
	like(PghaCluster::slurp($own{$name}), qr/'\Q$three\E'/, "$name: the former list stands where it stood");
}
($out, $err) = call(q{pgha_remove_member('d')});
is($out, 'f', 'once more: nothing is to be done') or diag $err;

# ---- written here, and not read ----

# What a call leaves that ends between the primary's file and its reload.
PghaCluster::spew($own{$_}, copies(PghaCluster::slurp($own{$_}), "'$three'", "'$four'")) foreach sort keys %own;
PghaCluster::spew("$a->{data}/postgresql.conf", copies(PghaCluster::slurp("$a->{data}/postgresql.conf"), "'$three'", "'$four'"));
$_->reload foreach $b, $c;
$cluster->wait_for('b and c to read it', sub { read_by($four, $b, $c) eq 'yes yes' });
is(read_by($three, $a), 'yes', 'all have it in their files, and the primary has not read it');
($out, $err) = add();
is($out, 't', '... the same call has it read') or diag $err;
is(read_by($four, $a), 'yes', '... by the primary, too');

# Something else may refuse in its place.
$_->set('pgha.refused_is_down' => 'off') foreach $a, $b, $c;
$cluster->wait_for('the setting to be read', sub { !grep { ($_->value('SHOW pgha.refused_is_down') // '') ne 'off' } $a, $b, $c });
($out, $err) = call(q{pgha_remove_member('d')});
like($err, qr/it is not known whether the server of node "d" is down\n/, 'a refused connection proves nothing where pgha.refused_is_down is off');
$_->set('pgha.refused_is_down' => 'on') foreach $a, $b, $c;
$cluster->wait_for('the setting to be read', sub { !grep { ($_->value('SHOW pgha.refused_is_down') // '') ne 'on' } $a, $b, $c });
($out, $err) = call(q{pgha_remove_member('d')});
is($out, 't', '... and enough where it is on') or diag $err;

# The administrator's own setting.
sub set_sync
{
	my ($value) = @_;
	$a->set(synchronous_standby_names => $value);
	$cluster->wait_for('the setting to be read', sub { ($a->value('SHOW synchronous_standby_names') // '?') eq $value });
	return;
}
set_sync('ANY 1 (b, c, "D")');
($out, $err) = call(q{pgha_remove_member('d')});
like($err, qr/WARNING:  01000: synchronous_standby_names names "D"\nDETAIL: .*\nHINT: .*Take it out/, 'it is named in synchronous_standby_names, which is said');
set_sync('');

# ---- by force, and where it must not help ----

$cluster->{node} = [ $a, $b, $c ];
end_agent($c);
$c->kill9;
$cluster->wait_for('c to be missed', sub { ($a->value(q{SELECT reachable FROM pgha_cluster() WHERE node = 'c'}) // '') eq 'f' });
($out, $err) = add(', force => true');
is($out, 't', 'by force without one that is down') or diag $err;
like($err, qr/WARNING:  01000: left out were: c \(its server does not answer\)\nHINT:  Write there, and reload: pgha.members = '\Q$four\E'/, '... with what to write there');
is(read_by($four, $a, $b), 'yes yes', 'the others have it');
$c->start;
$c->start_agent;
($out, $err) = add();
is($out, 't', 'it is back: the same call completes it') or diag $err;
is(read_by($four, $a, $b, $c), 'yes yes yes', '... there, too');
end_agent($c);
$c->kill9;
$cluster->wait_for('c to be missed', sub { ($a->value(q{SELECT reachable FROM pgha_cluster() WHERE node = 'c'}) // '') eq 'f' });
($out, $err) = call(q{pgha_remove_member('b', true)});
like($err, qr/without node "b" no majority of the voters answers\nDETAIL:  Of the other voters only 1 answer/, 'whom the majority needs is not removed, by force neither');
($out, $err) = call(q{pgha_add_member('b', '} . address('b') . q{', force => true)});
is($out, 'f', 'but one that is added again counts among those that answer') or diag $err;

done_testing();
