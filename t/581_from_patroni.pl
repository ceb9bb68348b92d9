# A running pair of Patroni, with its etcd, is taken over, as doc/from-patroni.md says: the
# page is typed while clients write.  Nothing is cloned, nothing is lost, and the pair
# fails over.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Manual;
use PghaCluster;
use Takeover;
use Test::More;

# etcd's, and those of Patroni's REST interface
my @PORTS = (25379, 25380, 18008, 18009);

plan skip_all => 'Patroni or etcd is not installed (make test-deps)' if grep { !-x } '/usr/bin/patroni', '/usr/bin/etcd';
plan skip_all => 'the ports of the page are taken' unless ports_are_free(5461, 5462, @PORTS);

begin_pair(5461, 5462);

# ---- the pair, by Patroni ----

type('db-1', <<'END');
etcd --name e --data-dir $HOME/etcd --listen-client-urls http://127.0.0.1:25379 --advertise-client-urls http://127.0.0.1:25379 \
	--listen-peer-urls http://127.0.0.1:25380 --initial-advertise-peer-urls http://127.0.0.1:25380 --initial-cluster e=http://127.0.0.1:25380 > $HOME/etcd.log 2>&1 &
END
foreach my $i (1, 2)
{
	type("db-$i", <<'END');
cat > patroni.yml <<X
scope: main
name: $NODE
restapi: {listen: "127.0.0.1:$((18007 + ${NODE#db-}))", connect_address: "127.0.0.1:$((18007 + ${NODE#db-}))"}
etcd3: {host: "127.0.0.1:25379"}
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 2
    retry_timeout: 5
    postgresql: {use_pg_rewind: true, use_slots: true, parameters: {wal_log_hints: "on", max_connections: 60}}
  initdb: [{auth-host: scram-sha-256}, {auth-local: peer}, {encoding: UTF8}]
postgresql:
  listen: 127.0.0.1:$PGPORT
  connect_address: 127.0.0.1:$PGPORT
  data_dir: $PGDATA
  bin_dir: $(dirname $(which postgres))
  pgpass: $PWD/pgpass
  authentication: {replication: {username: replicator, password: r}, superuser: {username: postgres, password: p}, rewind: {username: rewinder, password: w}}
  parameters: {unix_socket_directories: $PWD}
  pg_hba: ["local all all peer", "host replication replicator 127.0.0.1/32 scram-sha-256", "host all postgres 127.0.0.1/32 trust", "host all rewinder 127.0.0.1/32 scram-sha-256"]
X
END
}
foreach my $at ([ 'db-1', 18008, 'primary' ], [ 'db-2', 18009, 'replica' ])
{
	my ($name, $port, $role) = @$at;
	type($name, "patroni \$PWD/patroni.yml > patroni.log 2>&1 &\n");
	wait_said($name, "curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:$port/$role", qr/^200$/m, "$name runs as $role under Patroni");
}
my $writer = start_writer();
ok(PghaCluster::poll_until('', sub { $writer->acknowledged > 50 }, 60), 'clients write');

# ---- the page ----

foreach my $block (blocks('doc/from-patroni.md', 'The way'))
{
	if ($block->{text} =~ /pg_terminate_backend/)
	{
		wait_said('db-1', "pgha status -d postgres\n", qr/^    db-2 .* standby  standby /m, 'db-2 is a standby of pgha');
		wait_said('db-1', "psql -qAtX postgres -c 'SELECT slot_name FROM pg_replication_slots'\n", qr/^pgha_db_2$/m, 'and has a slot');
	}
	run_block($block, 'from Patroni');
}
wait_said('db-1', "psql -qAtX postgres -c 'SELECT slot_name, active FROM pg_replication_slots'\n", qr/\Apgha_db_2\|t\n\z/,
	'the standby streams with the slot of pgha, and there is no other');
is(type('db-1', "psql -qAtX postgres -c 'SHOW max_connections'\n"), "60\n", 'what Patroni had set for all is still set');
is(type('db-1', "psql -qAtX postgres -c \"SELECT count(*) FROM pg_settings WHERE source = 'command line' AND name <> 'config_file' AND name <> 'data_directory'\"\n"), "0\n",
	'and nothing by the command line');
check_taken_over('Patroni');

# ---- and now it is pgha that watches ----

type('db-1', "kill %1\n");		# etcd
type('db-1', 'kill -9 $(head -1 $PGDATA/postmaster.pid) $(pgrep -P $(head -1 $PGDATA/postmaster.pid))' . "\n");
wait_said('db-2', 'pgha status -d postgres', qr/^>\*  db-2 .* primary .*/m, 'the primary is killed: the other one leads');
wait_said('db-2', 'pgha status -d postgres', qr/^    db-1 .* standby  standby /m, 'and the killed one is back, as its standby');
is_deeply([ leftovers('doc/from-patroni.md') ], [], 'all of the page was typed');
finish();
done_testing();
