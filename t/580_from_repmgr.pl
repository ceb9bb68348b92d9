# A running pair of repmgr is taken over, as doc/from-repmgr.md says: the page is typed
# while clients write.  Nothing is cloned, nothing is lost, and the pair fails over.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Manual;
use PghaCluster;
use Takeover;
use Test::More;

plan skip_all => 'repmgr is not installed (make test-deps)' unless -x PghaCluster::bindir() . '/repmgr';
plan skip_all => 'the ports of the page are taken' unless ports_are_free(5451, 5452);

begin_pair(5451, 5452);

# ---- the pair, by repmgr ----

foreach my $i (1, 2)
{
	type("db-$i", <<'END');
cat > node.conf <<X
listen_addresses = '127.0.0.1'
port = $PGPORT
unix_socket_directories = '$PWD'
wal_log_hints = on
shared_preload_libraries = 'repmgr'
X
cat > repmgr.conf <<X
node_id=${NODE#db-}
node_name='$NODE'
conninfo='host=127.0.0.1 port=$PGPORT user=repmgr dbname=repmgr connect_timeout=2'
data_directory='$PGDATA'
pg_bindir='$(dirname $(which postgres))'
use_replication_slots=yes
failover=automatic
promote_command='repmgr standby promote -f $PWD/repmgr.conf'
follow_command='repmgr standby follow -f $PWD/repmgr.conf -W --upstream-node-id=%n'
repmgrd_pid_file='$PWD/repmgrd.pid'
log_file='$PWD/repmgrd.log'
X
END
}
type('db-1', <<'END');
initdb -D data --auth-local=peer --auth-host=scram-sha-256 > /dev/null
echo "include '../node.conf'" >> data/postgresql.conf
cat >> data/pg_hba.conf <<X
host replication,repmgr repmgr 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
X
sed -i '/^host .*127.0.0.1\/32 *scram/d' data/pg_hba.conf
pg_ctl -w start -l log
psql -q postgres -c 'CREATE ROLE repmgr SUPERUSER LOGIN REPLICATION' -c 'CREATE DATABASE repmgr OWNER repmgr'
repmgr -f repmgr.conf primary register
END
type('db-2', <<'END');
repmgr -h 127.0.0.1 -p 5451 -U repmgr -d repmgr -f repmgr.conf standby clone -c
pg_ctl -w start -l log
repmgr -f repmgr.conf standby register
END
type($_, "repmgrd -f repmgr.conf\n") foreach 'db-1', 'db-2';
wait_said('db-1', 'repmgr -f repmgr.conf service status', qr/db-1 .*primary.*\* running.*\| running.*\n.*db-2 .*standby.* running.*\| running/,
	'a pair of repmgr runs');
my $writer = start_writer();
ok(PghaCluster::poll_until('', sub { $writer->acknowledged > 50 }, 60), 'clients write');

# ---- the page ----

foreach my $block (blocks('doc/from-repmgr.md', 'The way'))
{
	if ($block->{text} =~ /pg_terminate_backend/)
	{
		wait_said('db-1', "pgha status -d postgres\n", qr/^    db-2 .* standby  standby /m, 'db-2 is a standby of pgha');
		wait_said('db-1', "psql -qAtX postgres -c 'SELECT slot_name FROM pg_replication_slots'\n", qr/^pgha_db_2$/m, 'and has a slot');
	}
	run_block($block, 'from repmgr');
}
wait_said('db-1', "psql -qAtX postgres -c 'SELECT slot_name, active FROM pg_replication_slots'\n", qr/\Apgha_db_2\|t\n\z/,
	'the standby streams with the slot of pgha, and there is no other');
check_taken_over('repmgr');

# ---- and now it is pgha that watches ----

type('db-1', 'kill -9 $(head -1 $PGDATA/postmaster.pid) $(pgrep -P $(head -1 $PGDATA/postmaster.pid))' . "\n");
wait_said('db-2', 'pgha status -d postgres', qr/^>\*  db-2 .* primary .*/m, 'the primary is killed: the other one leads');
wait_said('db-2', 'pgha status -d postgres', qr/^    db-1 .* standby  standby /m, 'and the killed one is back, as its standby');
is_deeply([ leftovers('doc/from-repmgr.md') ], [], 'all of the page was typed');
finish();
done_testing();
