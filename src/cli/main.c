/*
 * main.c
 *		The `pgha` program: subcommands, help, exit codes.
 *
 * Some subcommands are for people, and are clients of the SQL functions of the
 * extension; `pgha io` is for the server, which starts it as its child.  Each
 * lives in a file of its own; a new one is a new line in the table below, which is
 * the program's table of contents: the one place of this wing from where the
 * agent and `pgha io` are called.
 *
 * There is no setlocale() here: `pgha io` relies on the C locale (net/peer.c),
 * and what the others print comes from the server.
 */
#include "subcommands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The entry points of other wings; nothing else here knows what is behind them. */
#include "../agent/agent.h"
#include "../common/log.h"
#include "../net/io.h"

typedef struct Subcommand
{
	const char *name;
	const char *arguments;
	const char *summary;		/* a line in the list; NULL: not listed */
	const char *details;		/* more, for its own help */
	int			(*run) (int argc, char **argv);
} Subcommand;

static const char connection_options[] =
"Connection options:\n"
"  CONNINFO               connection string or URI; several hosts may be given, the\n"
"                         first that answers is asked:\n"
"                         'host=db-1,db-2,db-3 user=postgres'\n"
"  NODE                   name of a member: that one\n"
"  -h, --host=HOST        host name or socket directory\n"
"  -p, --port=PORT        port\n"
"  -U, --username=NAME    user\n"
"  -d, --dbname=DBNAME    database with the extension (default: postgres)\n"
"  -D, --pgdata=DIR       data directory of this host's server\n"
"  -c, --config=FILE      its postgresql.conf, where that is elsewhere\n"
"      --cluster=CLUSTER  Debian's VERSION/NAME, such as 15/main\n"
"Without any of them, and where the environment names no server (PGHOST, PGPORT,\n"
"PGSERVICE), it is the cluster of this host: that of PGDATA, of PGCLUSTER, or the one\n"
"of /etc/postgresql that has pgha; by its socket, as root in the name of its owner.\n"
"Is its server down, commands that only read ask another member.\n"
"libpq's environment variables (PGUSER, PGPASSFILE, ...) hold where no option is given.  A password is never asked for: use a password file.\n";

static const Subcommand subcommands[] = {
	{"create", "--node=NAME --members=LIST [-D DIR | --cluster=VERSION/NAME] [OPTION]...",
		"makes a server the first node of a cluster",
		"Writes settings, lines of pg_hba.conf, a password file, the members' role and the\n"
		"extension, and restarts the server.  A data directory that is missing or empty is\n"
		"made.  Shows each change first, and asks.  Run it as root, or as the user that\n"
		"runs the server; see doc/create.md.\n"
		"\n"
		"  -D, --pgdata=DIR       data directory (default: $PGDATA)\n"
		"      --cluster=VERSION/NAME\n"
		"                         Debian's cluster (default: main, or the only one)\n"
		"  -n, --node=NAME        name of this node, such as db-1\n"
		"  -m, --members=LIST     pgha.members: all nodes, this one, too\n"
		"  -w, --witnesses=LIST   pgha.witnesses, if there are some\n"
		"      --name=NAME        pgha.cluster (default: main)\n"
		"      --allow=LIST       addresses or networks whose hosts may log in beside the\n"
		"                         members, and may add members\n"
		"      --pwfile=FILE      file with the password of the members' role, mode 0600\n"
		"                         (default: one is made)\n"
		"  -s, --set=NAME=VALUE   another setting; may be repeated\n"
		"      --dry-run          only show what would be changed\n"
		"      --yes              do not ask\n"
		"\n"
		"What goes wrong is taken back; what was killed goes on when it is called again.\n",
	pgha_create_main},
	{"join", "--node=NAME --from=NODE [-D DIR | --cluster=VERSION/NAME] [OPTION]...",
		"makes a new standby of a cluster, on its host",
		"Logs in to a member with the password of the members' role, fetches members and\n"
		"settings, has itself added to the members if it is not one yet, copies the data by\n"
		"pg_basebackup, starts, and waits until it streams.  Shows each change first, and\n"
		"asks.  Run it on the new host, as root, or as the user that is to run the server;\n"
		"see doc/create.md.\n"
		"\n"
		"  -D, --pgdata=DIR       data directory (default: $PGDATA)\n"
		"      --cluster=VERSION/NAME\n"
		"                         Debian's cluster (default: main, or the only one)\n"
		"  -n, --node=NAME        name of this node, such as db-2\n"
		"      --from=NODE        a member that runs: HOST, HOST:PORT, or a connection string\n"
		"                         with host and port\n"
		"      --address=HOST[:PORT]\n"
		"                         where the others reach this node, if it is not in\n"
		"                         pgha.members yet (default: the address that is seen there,\n"
		"                         and the port of the cluster here, or 5432)\n"
		"      --pwfile=FILE      file with the password of the members' role, or a copy of the\n"
		"                         passfile of \"pgha create\", mode 0600; on a terminal it is\n"
		"                         asked for otherwise\n"
		"      --allow=LIST       addresses or networks whose hosts may log in beside the\n"
		"                         members\n"
		"  -s, --set=NAME=VALUE   another setting; may be repeated\n"
		"      --replace-data     a data directory with data in it makes room; it is kept\n"
		"                         under another name\n"
		"      --dry-run          only show what would be changed\n"
		"      --yes              do not ask\n"
		"\n"
		"What was killed goes on when it is called again.\n",
	pgha_join_main},
	{"leave", "[-D DIR | --cluster=VERSION/NAME] [--drop] [--force] [--dry-run] [--yes]",
		"takes this node out of its cluster, and removes what was set up",
		"For a node that \"pgha create\" or \"pgha join\" has set up: removes what they have\n"
		"written, and nothing else; a file that was changed since is kept as a copy.  A\n"
		"primary runs on without pgha, a standby is stopped, and the others forget it.  Run\n"
		"it as root, or as the user that runs the server; see doc/create.md.\n"
		"\n"
		"  -D, --pgdata=DIR       data directory (default: $PGDATA)\n"
		"      --cluster=VERSION/NAME\n"
		"                         Debian's cluster (default: main, or the only one)\n"
		"      --drop             of a primary: drop the extension and the role, too, if they\n"
		"                         were made by \"pgha create\"\n"
		"  -f, --force            also while standbys stream from it, which lose their primary\n"
		"      --dry-run          only show what would be changed\n"
		"      --yes              do not ask\n",
	pgha_leave_main},
	{"status", "[--json | --watch[=SECONDS]] [--wide] [--color=WHEN] [CONNECTION]",
		"shows the cluster: who leads, who follows, who could take over",
		"Any running member can be asked.  Each row is a member as that one sees it:\n"
		"\n"
		"  >          the primary             *  the member that answered\n"
		"  State     what it is doing; \"unreachable\": the rest of the row is old;\n"
		"            \"data lost\": its agent finds no data directory\n"
		"  Lag       WAL that it has not received yet\n"
		"  Replay    WAL that it has not replayed yet, and whether replay is paused\n"
		"  Time lag  by how much time queries there are behind\n"
		"  Agent     its agent is connected to the member that answered, or what that\n"
		"            says of a server that does not run; the primary knows of all\n"
		"            agents, a standby of its own\n"
		"  Age       how old the row is\n"
		"  Upstream  whom it streams from\n"
		"  Supports  where the members vote: whom it is for\n"
		"  Cand.     candidate: may be promoted by itself; the lines below say why not\n"
		"\n"
		"A narrow terminal gets the columns that matter first.  Below are the recoveries\n"
		"that run, as far as the member that answered knows.\n"
		"\n"
		"  -j, --json             print one JSON object\n"
		"  -w, --watch[=SECONDS]  again and again (default: every second), until q or\n"
		"                         Ctrl-C; waits for nobody: asks the other members,\n"
		"                         too, and shows what they say while the one that is\n"
		"                         connected to does not answer; also \"--watch 5\"\n"
		"      --wide             all columns, whatever the width of the terminal\n"
		"      --color=WHEN       auto (on a terminal, unless NO_COLOR is set), always\n"
		"                         or never\n"
		"\n"
		"Exit code 3: no member leads, or more than one claims to.  With --watch it is 0.\n",
	pgha_status_main},
	{"explain", "[--json] [CONNECTION]",
		"says what would happen if the primary were lost now",
		"Any running member can be asked, a witness too; the answer is as that one sees it:\n"
		"who would lead next, how soon, what could be lost, why the others would not.\n"
		"Once for a primary that is killed, and once for one that falls silent.\n"
		"\n"
		"  -j, --json             print one JSON object\n",
	pgha_explain_main},
	{"events", "[--json] [--limit=N] [CONNECTION]",
		"shows what happened: promotions, fencings, losses, pauses",
		"Oldest first.  Needs a running member; each knows the events of all.\n"
		"\n"
		"  -n, --limit=N          the newest N events (default: 50)\n"
		"  -j, --json             print one JSON array\n",
	pgha_events_main},
	{"pause", "[CONNECTION]",
		"no automatic failover in the whole cluster, for maintenance",
		"Any running member can be told; the others take it over from there.  A warning\n"
		"names those that have not confirmed it yet.\n",
	pgha_pause_main},
	{"resume", "[CONNECTION]",
		"ends a pause",
		"Any running member can be told; the others take it over from there.  A warning\n"
		"names those that have not confirmed it yet.\n",
	pgha_resume_main},
	{"switchover", "[NODE] [--timeout=SECONDS] [CONNECTION]",
		"makes another node the primary, as planned: nothing is lost",
		"Any running member can be asked; a standby tells where the primary is.  Without\n"
		"NODE the best standby becomes the primary.  Commits are held for some tenths of\n"
		"a second, then connections to the former primary end; its agent starts it again\n"
		"as a standby.  Refused, with the reason, where that could not go well.\n"
		"\n"
		"  -t, --timeout=SECONDS  limit for each wait: for the former primary to tell how\n"
		"                         far it is, for the new one, and for the former one to\n"
		"                         stream (default: 60)\n"
		"\n"
		"Ctrl-C calls it off as long as that is possible; later it only ends the command.\n"
		"\n"
		"Exit codes: 0 done; 1 not done, or not known; 3 done, but the former primary does\n"
		"not stream yet; 130 ended by Ctrl-C.\n",
	pgha_switchover_main},
	{"restart", "[NODE | --rolling [--force]] [--timeout=SECONDS] [CONNECTION]",
		"restarts a server through its agent, or all of them in turn",
		"Without NODE the server that is connected to.  Waits until it streams or leads\n"
		"again.  A primary is restarted as it is, without a switchover: where the members\n"
		"vote another one takes over, else if it takes too long; see --rolling.\n"
		"\n"
		"      --rolling          all servers: each standby, waited for until it streams\n"
		"                         again, then a switchover to the best of them, which\n"
		"                         restarts the former primary\n"
		"  -f, --force            with --rolling: leave out members that are missing, do not\n"
		"                         stream or have no agent, and do without a witness that\n"
		"                         does not answer; without it nothing is begun then\n"
		"  -t, --timeout=SECONDS  limit for each wait (default: 60)\n"
		"\n"
		"Exit codes: 0 done; 1 not done; 3 done, but a server does not stream yet; 130\n"
		"Ctrl-C: what was ordered goes on, nothing else is begun.\n",
	pgha_restart_main},
	{"promote", "[--force [--accept-loss]] [CONNECTION]",
		"makes the standby that is connected to the primary",
		"Refused while a primary answers, and on a standby that must not lead.\n"
		"\n"
		"  -f, --force            even so; a primary that still runs fences itself,\n"
		"                         and commits that have not reached this standby\n"
		"                         are lost.  While one leads and answers, it is only\n"
		"                         told what that would lose\n"
		"      --accept-loss      with --force: do it then, too\n",
	pgha_promote_main},
	{"recover", "NODE [--method=METHOD] [--color=WHEN] [CONNECTION]",
		"brings a fallen node back as a standby, through the agent there",
		"Any running member can be asked; a standby tells where the primary is, which is\n"
		"then connected to with the same options.  Waits until the node streams, and\n"
		"shows on a terminal how far it is.  If it is being recovered already, waits for\n"
		"that.\n"
		"\n"
		"  -m, --method=METHOD    auto (start it, else rewind, else clone; default),\n"
		"                         start, rewind or clone\n"
		"      --color=WHEN       auto (on a terminal, unless NO_COLOR is set), always\n"
		"                         or never\n"
		"\n"
		"Ctrl-C cancels the recovery, and waits until it is given up; again: ends at\n"
		"once.  If the connection is lost or the program is ended by another signal, the\n"
		"recovery goes on.\n"
		"\n"
		"Exit codes: 0 it streams; 1 failed; 2 wrong usage; 130 cancelled.\n",
	pgha_recover_main},
	{"doctor", "[--all] [--json] [-D PGDATA | --config=FILE] [--pgpool-conf=FILE] [--color=WHEN] [CONNECTION]",
		"checks the set-up of all nodes, and says what to do",
		"Asks pgha_doctor() on the member that is connected to, and with the same user\n"
		"and options on each other member, and prints what is not in order: severity,\n"
		"check, finding, and after the arrow what to write or run.\n"
		"\n"
		"  -a, --all              also what is in order, and what is only worth knowing\n"
		"  -j, --json             print one JSON object, with all of it\n"
		"  -D, --pgdata=DIR       also check this host as its agent would: programs,\n"
		"                         directories, password files, logins to all members and\n"
		"                         pgpools, and whether EC2 would move pgha.address here;\n"
		"                         run it as the user that runs the server, or as\n"
		"                         root.  Without CONNECTION and on a member's host this\n"
		"                         is done by itself\n"
		"  -c, --config=FILE      the same, where postgresql.conf is elsewhere\n"
		"      --pgpool-conf=FILE also check this pgpool.conf\n"
		"      --color=WHEN       auto (on a terminal, unless NO_COLOR is set), always\n"
		"                         or never\n"
		"\n"
		"Exit code 0: nothing above \"info\"; 3: errors; 4: warnings, but no errors.\n",
	pgha_doctor_main},
	{"check", "[--role=ROLE] [--replay-lag=WARN[,CRIT]] [--redundancy=WARN[,CRIT]] [OPTION]... [CONNECTION]",
		"one line and an exit code for Nagios, Icinga, Zabbix and cron",
		"Asks the member that is connected to, and says in one line, with performance\n"
		"data, whether all is well.  Without options of this list all is checked:\n"
		"\n"
		"      --role=ROLE        the server is primary, standby or any\n"
		"      --primary          exactly one member leads\n"
		"      --state            the server leads, follows, or votes\n"
		"      --gate             primary: commits are accepted\n"
		"      --quorum           a majority of the voters answers\n"
		"      --members          all members and witnesses answer\n"
		"      --redundancy=WARN[,CRIT]\n"
		"                         so many standbys could take over (default: 1); none is\n"
		"                         critical\n"
		"      --replay-lag=WARN[,CRIT]\n"
		"                         standbys have replayed WAL up to so much, such as 16MB,\n"
		"                         or to so long ago, such as 5s (default:\n"
		"                         pgha.max_failover_lag, and eight times that); replay is\n"
		"                         not paused\n"
		"      --sync[=WARN[,CRIT]]\n"
		"                         primary: no commit waits for a standby for so long\n"
		"                         (default: 5s,30s)\n"
		"      --slots[=WARN[,CRIT]]\n"
		"                         primary: no slot keeps so much WAL (default: half of\n"
		"                         pgha.slot_keep_size, and all), or is left over\n"
		"      --agents           agents are connected: on the primary all\n"
		"      --recoveries       primary: no recovery has failed, no data is missing\n"
		"      --lost[=TIME]      no commits were lost within TIME (default: 3d)\n"
		"      --address          the primary holds pgha.address\n"
		"      --settings         the settings in the files are in force, would be at the\n"
		"                         next start, and are the same on all members\n"
		"      --pause[=TIME]     failover is not paused for longer (default: 1d)\n"
		"\n"
		"  -a, --all              all of them, also where some are given\n"
		"  -t, --timeout=SECONDS  limit for all of it (default: 10)\n"
		"  -v, --verbose          then a line for each check\n"
		"  -j, --json             print one JSON object instead\n"
		"\n"
		"A role in pg_monitor suffices.  What cannot be found out is UNKNOWN: a server that\n"
		"does not answer in time, or refuses the login; one that refuses connections is\n"
		"CRITICAL.\n"
		"\n"
		"Exit codes: 0 OK; 1 WARNING; 2 CRITICAL; 3 UNKNOWN, or wrong usage.\n",
	pgha_check_main},
	{"uri", "[--libpq | --dsn | --jdbc | --names] [--standby] [--address] [CONNECTION]",
		"prints what clients connect with, naming all members",
		"The members are those of this host's files, without a connection, or of the server\n"
		"that is connected to.  -U and -d are the client's: they are put into what is\n"
		"printed.  There is never a password in it.\n"
		"\n"
		"      --libpq            URI for libpq and what is built on it (default)\n"
		"      --dsn              keywords and values, for libpq\n"
		"      --jdbc             URL for JDBC\n"
		"      --names            only the names of the members\n"
		"      --standby          a standby, if there is one, instead of the primary;\n"
		"      --read-only        the same\n"
		"      --address          pgha.address instead of the members\n",
	pgha_uri_main},
	{"agent", "[-D PGDATA] [--config=FILE] [--check]",
		"runs the agent, which brings this host's server back after a failure",
		"A service: it stays in the foreground and logs to stderr.  Run it as the user\n"
		"that runs the server, on the same host; see doc/agent.md.  It also holds\n"
		"pgha.address where its server leads.\n"
		"\n"
		"  -D, --pgdata=DIR       data directory, where postgresql.conf is (default:\n"
		"                         $PGDATA)\n"
		"  -c, --config=FILE      postgresql.conf, where that is elsewhere, or where\n"
		"                         there is no data directory yet; data_directory in it\n"
		"                         says where it is to be\n"
		"      --check            only read the configuration, and say what it comes to, and\n"
		"                         each fault that a server would refuse at its start\n"
		"\n"
		"Signals: SIGHUP: read the configuration again (it also looks by itself whether\n"
		"a file has changed).  SIGTERM, SIGINT: end; a recovery that is under way goes\n"
		"on, and the next agent takes it over.  The server is left alone.\n"
		"\n"
		"Files in pgha.agent_directory (default: PGDATA.pgha, beside the data directory):\n"
		"  agent.lock, job.lock   held by the agent, and by a recovery\n"
		"  job                    the last recovery, and how far it is\n"
		"  pgha_lost/TIME/        WAL that a rewind or clone threw away: segments, and\n"
		"                         summary.txt\n"
		"\n"
		"Exit codes: 0 ended by a signal, or --check found no fault; 1 could not start\n"
		"(run as root or as another user than the owner of the data directory, an agent\n"
		"runs already, its directory cannot be made); 2 wrong usage, or the configuration\n"
		"cannot be used.\n",
	pgha_agent_main},
	{"witness", "init -D DIR --node=NAME --from=NODE|--members=LIST [OPTION]...",
		"makes a witness: a small server that votes and has no data",
		"Runs initdb in a directory that is missing or empty, writes settings and\n"
		"pg_hba.conf, makes the role that the members log in with, and starts the server\n"
		"once to see that it works.  Run it on the witness's host, as the user that is to\n"
		"run it; see doc/witness.md.  With --from what must be the same on all nodes is\n"
		"asked of a member, the witness is left running, and the agents write it into\n"
		"pgha.witnesses of all members; without it no member is asked.\n"
		"\n"
		"  -D, --pgdata=DIR       where it is to be\n"
		"  -n, --node=NAME        its name, such as w-1\n"
		"      --from=NODE        a member that runs: HOST, HOST:PORT, or a connection string\n"
		"                         with host and port; instead of --members, --witnesses,\n"
		"                         --cluster and --conninfo.  --host is by default the\n"
		"                         address of this host that is seen there\n"
		"  -m, --members=LIST     pgha.members of the members\n"
		"  -w, --witnesses=LIST   pgha.witnesses as it is to be on all nodes; it names this\n"
		"                         one, too\n"
		"      --host=HOST        instead of that, if it is the only witness: the address\n"
		"                         that the members reach it at\n"
		"  -p, --port=PORT        port (default: the one in --witnesses, or 5432)\n"
		"      --pwfile=FILE      file with the password of the members' role in its first\n"
		"                         line, mode 0600; on a terminal it is asked for otherwise\n"
		"      --conninfo=OPTIONS pgha.conninfo, if the witness is to log in to the members\n"
		"                         in another way; a password is for its own role then\n"
		"      --cluster=NAME     pgha.cluster (default: main)\n"
		"      --listen=LIST      listen_addresses (default: *)\n"
		"      --allow=LIST       addresses or networks that may log in (default: the hosts\n"
		"                         of members and witnesses)\n"
		"  -s, --set=NAME=VALUE   another setting, such as pgha.failure_timeout=1s, which\n"
		"                         must be the same on all nodes\n"
		"      --start            leave it running\n"
		"\n"
		"What goes wrong before it runs leaves nothing behind; with --from the same command\n"
		"goes on afterwards.  Exit code 3: it runs, but the role pgha may not add it; what\n"
		"a superuser types on the primary is printed.\n",
	pgha_witness_main},
	{"vip", "up|down|show|announce [OPTION]... [ADDRESS]",
		"takes, gives up or shows an address that moves between hosts",
		"Needs no server.  For the watchdog of pgpool-II, for keepalived, and by hand; see\n"
		"doc/vip.md.\n"
		"\n"
		"  up         makes the address this host's, whoever has it, and tells the neighbours\n"
		"  down       gives it up; true also if it was not here\n"
		"  show       tells whether this host has it, and who else answers for it\n"
		"  announce   tells the neighbours again that it is here\n"
		"\n"
		"ADDRESS is one of\n"
		"  local:10.0.3.10/24@eth0       an address on an interface (IPv6, too)\n"
		"  ec2:10.0.3.10                 secondary private address of an EC2 instance\n"
		"  ec2-elastic:eipalloc-0123     Elastic IP address\n"
		"  ec2-route:10.9.0.1/32@rtb-1   route in one or more VPC route tables (rtb-1,rtb-2)\n"
		"  10.0.3.10                     the rest is told by the options\n"
		"\n"
		"Options; each but the first three may also stand, under its name with\n"
		"underscores, in the configuration file (\"interface = eth0\") or in the\n"
		"environment (PGHA_VIP_INTERFACE=eth0).  Options come before the environment,\n"
		"and that before the file.\n"
		"  -c, --config=FILE      configuration file (default: $PGHA_VIP_CONFIG, else\n"
		"                         /etc/pgha/vip.conf if there is one)\n"
		"  -n, --dry-run          only find out whether it would work; EC2 is asked with\n"
		"                         DryRun\n"
		"  -f, --if-free          up: fail if another host answers for the address (kind\n"
		"                         local)\n"
		"      --kind=KIND        local (default), ec2, ec2-elastic or ec2-route, where\n"
		"                         ADDRESS does not say\n"
		"  -i, --interface=NAME   interface for the address; needed for local, otherwise\n"
		"                         found by its hardware address\n"
		"      --prefix=LENGTH    prefix length, kind local (default: 32, IPv6: 128)\n"
		"      --allocation=ID    kind ec2-elastic: the allocation (eipalloc-...)\n"
		"      --tables=LIST      kind ec2-route: the route tables (rtb-...,rtb-...)\n"
		"      --region=REGION    AWS region (default: the instance's)\n"
		"      --profile=NAME     profile in the shared credentials file\n"
		"      --ec2-endpoint=URL, --imds-endpoint=URL\n"
		"                         where EC2 and the instance metadata are, if elsewhere\n"
		"      --insecure         the EC2 endpoint may be http://, which shows requests and\n"
		"                         session token to whoever listens\n"
		"      --timeout=SECONDS  limit for all of it (default: 10)\n"
		"In the file and the environment only: address (PGHA_VIP_ADDRESS), for calls\n"
		"without ADDRESS.\n"
		"\n"
		"Needs not root, but the capabilities CAP_NET_ADMIN (all kinds but ec2-elastic) and\n"
		"CAP_NET_RAW (local only).  Each command may be repeated at any time.\n"
		"\n"
		"Exit code 0: done (show: this host has it); 1: failed; 2: wrong usage; 3 (show\n"
		"only): this host does not have it.\n",
	pgha_vip_main},
	{"io", "peer", NULL, "Started by the server, as its child.\n", pgha_io_main},
};

#define SUBCOMMANDS ((int) (sizeof(subcommands) / sizeof(subcommands[0])))

static const Subcommand *
find_subcommand(const char *name)
{
	for (int i = 0; i < SUBCOMMANDS; i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static void
print_help(void)
{
	printf("pgha: failover for PostgreSQL, done by the servers themselves\n"
		   "\n"
		   "Usage:\n"
		   "  pgha SUBCOMMAND [OPTION]...\n"
		   "  pgha SUBCOMMAND --help\n"
		   "\n"
		   "Subcommands:\n");
	for (int i = 0; i < SUBCOMMANDS; i++)
		if (subcommands[i].summary != NULL)
			printf("  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
	printf("\n%s"
		   "\n"
		   "Other options:\n"
		   "  -V, --version          version\n"
		   "  --help                 this help\n"
		   "\n"
		   "Exit codes: 0 done; 1 no connection, or the server reported an error; 2 wrong\n"
		   "usage; 0 to 3 (check) OK, WARNING, CRITICAL, UNKNOWN; 3 (status) no member leads, or more than one claims to; 3 (vip show) this\n"
		   "host does not have the address; 3 and 4 (doctor) errors, warnings; 3 (switchover,\n"
		   "restart) a server does not stream yet; 130 (recover, switchover, restart) ended by\n"
		   "Ctrl-C.\n",
		   connection_options);
}

static void
print_subcommand_help(const Subcommand *subcommand)
{
	printf("Usage:\n  pgha %s %s\n\n", subcommand->name, subcommand->arguments);
	if (subcommand->summary != NULL)
		printf("%c%s.\n\n", subcommand->summary[0] - 'a' + 'A', subcommand->summary + 1);
	fputs(subcommand->details, stdout);
	if (strstr(subcommand->arguments, "CONNECTION") != NULL)
		printf("\n%s", connection_options);
}

/* Is --help among the options? */
static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0)
			return true;
	return false;
}

/* What was printed must have arrived. */
static int
finish(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		pgha_error(stderr, NULL, "could not write to standard output: %s", strerror(errno));
		return code == EXIT_OK ? EXIT_ERROR : code;
	}
	return code;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const Subcommand *subcommand;

	if (strcmp(name, "--help") == 0 || strcmp(name, "-?") == 0 ||
		(strcmp(name, "help") == 0 && argc == 2))
	{
		print_help();
		return finish(EXIT_OK);
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
	{
		printf("pgha %s\n", PGHA_VERSION);
		return finish(EXIT_OK);
	}
	if (*name == '\0')
		return pgha_usage_error("", "a subcommand is missing");

	subcommand = find_subcommand(strcmp(name, "help") == 0 ? argv[2] : name);
	if (subcommand == NULL)
		return pgha_usage_error("", "there is no subcommand \"%s\"",
								strcmp(name, "help") == 0 ? argv[2] : name);
	if (strcmp(name, "help") == 0 || wants_help(argc - 1, argv + 1))
	{
		print_subcommand_help(subcommand);
		return finish(EXIT_OK);
	}
	return finish(subcommand->run(argc - 1, argv + 1));
}
