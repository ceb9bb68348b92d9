/*
 * check.c
 *		`pgha check`: one line, performance data and an exit code, for Nagios, Icinga,
 *		Zabbix and cron.
 *
 * One server is asked, for all at once; the checks (check_cluster.c,
 * check_server.c) judge its answer.  Whatever happens there is an answer within
 * --timeout: an alarm ends the program, from wherever it waits.  What cannot be
 * found out is UNKNOWN, never OK.  It changes nothing, and needs a role in
 * pg_monitor only.
 */
#include "subcommands.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check_items.h"
#include "client.h"
#include "cluster.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

#define DEFAULT_TIMEOUT	10
/* Between two looks at sessions that seem to wait. */
#define LOOK_AGAIN_MS	300

/*
 * A session that waits for a standby.  One held back by the gate shows as an extension's
 * wait, and commits, or is about to change something; not so a query that is running,
 * such as one of a foreign table: it has a snapshot, and has written nothing.
 */
#define WAITS \
	"(SELECT coalesce(json_agg(json_build_object('pid', a.pid, 'began', a.query_start," \
	"  'seconds', extract(epoch FROM clock_timestamp() - a.query_start)::float8)), '[]')" \
	" FROM pg_stat_activity a WHERE a.state = 'active' AND (a.wait_event = 'SyncRep'" \
	"  OR (a.wait_event = 'Extension' AND a.backend_type = 'client backend'" \
	"   AND a.application_name NOT LIKE 'pgha%' AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NULL" \
	"    OR a.query !~* '^\\s*(select|with|values|table|fetch|execute)\\M'))))"

/* What the checks need beside what `pgha status` shows. */
static const char server_query[] =
"SELECT json_build_object("
" 'slot_keep_size', pg_size_bytes(current_setting('pgha.slot_keep_size', true)),"
" 'replay', CASE WHEN pg_is_in_recovery() THEN (SELECT json_build_object("
"   'paused', pg_is_wal_replay_paused(),"
"   'bytes', (SELECT CASE WHEN max(c.lsn) IS NOT NULL AND pg_last_wal_replay_lsn() IS NOT NULL THEN"
"      greatest(0, greatest(pg_last_wal_receive_lsn(), max(c.lsn)) - pg_last_wal_replay_lsn())::float8 END"
"     FROM pgha_cluster() c WHERE c.reachable AND c.role = 'primary'),"
"   'seconds', CASE WHEN pg_last_xact_replay_timestamp() IS NOT NULL THEN"
"      greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))::float8 END)) END,"
" 'senders', (SELECT coalesce(json_agg(json_build_object('name', r.application_name,"
"    'bytes', CASE WHEN NOT pg_is_in_recovery() AND r.replay_lsn IS NOT NULL THEN"
"      greatest(0, pg_current_wal_lsn() - r.replay_lsn)::float8 END,"
"    'seconds', extract(epoch FROM r.replay_lag)::float8)), '[]')"
"   FROM pg_stat_replication r WHERE r.state IN ('streaming', 'catchup')),"
" 'slots', (SELECT coalesce(json_agg(json_build_object('name', s.slot_name, 'active', s.active,"
"    'wal_status', s.wal_status, 'bytes', CASE WHEN NOT pg_is_in_recovery() AND s.restart_lsn IS NOT NULL"
"      THEN greatest(0, pg_current_wal_lsn() - s.restart_lsn)::float8 END)), '[]')"
"   FROM pg_replication_slots s WHERE NOT s.temporary),"
" 'agents', (SELECT coalesce(json_agg(json_build_object('node', p.node, 'server', p.server,"
"    'running', p.job IS NOT NULL AND p.outcome IS NULL)), '[]') FROM pgha_recovery_progress() p WHERE p.agent),"
" 'paused_seconds', (SELECT extract(epoch FROM clock_timestamp() - min(e.at))::float8 FROM pgha_events() e"
"   WHERE e.kind = 'pause' AND e.what LIKE '%is paused%' AND NOT EXISTS (SELECT FROM pgha_events() l"
"     WHERE l.kind = 'pause' AND l.what LIKE '%is resumed%' AND l.node = e.node AND l.at > e.at)),"
" 'lost', (SELECT coalesce(json_agg(l), '[]') FROM (SELECT e.node, e.what,"
"    greatest(0, extract(epoch FROM clock_timestamp() - e.at))::float8 AS seconds_ago"
"   FROM pgha_events() e WHERE e.kind = 'lost' ORDER BY e.at DESC LIMIT 20) l),"
" 'findings', (SELECT coalesce(json_agg(d), '[]') FROM pgha_doctor() d WHERE d.severity IN ('warning', 'error')"
"   AND d.\"check\" IN ('configuration', 'configuration_same', 'pending_restart', 'extension_version',"
"     'synchronous_standbys', 'synchronous_standby_names')),"
" 'waits', " WAITS ")";

static const char waits_query[] = "SELECT " WAITS;

typedef struct Item
{
	const char *name;			/* of the option */
	int			argument;		/* as getopt_long() has it */
	int			units;			/* that its limits may have, 1 << unit; 0: it has none */
	bool		published;		/* it judges what the monitor has last published */
	void		(*run) (PghaCheckContext *check);
} Item;

static const Item items[PGHA_CHECK_COUNT] = {
	[PGHA_CHECK_ROLE] = {"role", required_argument, 0, true, pgha_check_role},
	[PGHA_CHECK_PRIMARY] = {"primary", no_argument, 0, true, pgha_check_primary},
	[PGHA_CHECK_STATE] = {"state", no_argument, 0, true, pgha_check_state},
	[PGHA_CHECK_GATE] = {"gate", no_argument, 0, false, pgha_check_gate},
	[PGHA_CHECK_QUORUM] = {"quorum", no_argument, 0, true, pgha_check_quorum},
	[PGHA_CHECK_MEMBERS] = {"members", no_argument, 0, true, pgha_check_members},
	[PGHA_CHECK_REDUNDANCY] = {"redundancy", required_argument, 1 << PGHA_LIMIT_COUNT, true, pgha_check_redundancy},
	[PGHA_CHECK_REPLAY_LAG] = {"replay-lag", required_argument, 1 << PGHA_LIMIT_BYTES | 1 << PGHA_LIMIT_SECONDS, true, pgha_check_replay_lag},
	[PGHA_CHECK_SYNC] = {"sync", optional_argument, 1 << PGHA_LIMIT_SECONDS, false, pgha_check_sync},
	[PGHA_CHECK_SLOTS] = {"slots", optional_argument, 1 << PGHA_LIMIT_BYTES, false, pgha_check_slots},
	[PGHA_CHECK_AGENTS] = {"agents", no_argument, 0, false, pgha_check_agents},
	[PGHA_CHECK_RECOVERIES] = {"recoveries", no_argument, 0, false, pgha_check_recoveries},
	[PGHA_CHECK_LOST] = {"lost", optional_argument, 1 << PGHA_LIMIT_SECONDS, false, pgha_check_lost},
	[PGHA_CHECK_ADDRESS] = {"address", no_argument, 0, true, pgha_check_address},
	[PGHA_CHECK_SETTINGS] = {"settings", no_argument, 0, false, pgha_check_settings},
	[PGHA_CHECK_PAUSE] = {"pause", optional_argument, 1 << PGHA_LIMIT_SECONDS, true, pgha_check_pause},
};

/* getopt_long() returns this and more for the options of the table. */
#define FIRST_ITEM		1000

typedef struct CheckOptions
{
	PghaClientOptions client;
	bool		chosen[PGHA_CHECK_COUNT];
	bool		any_chosen;
	bool		all;
	bool		verbose;
} CheckOptions;

/* ---- options ---- */

/* Limits that are not given here come from the settings of the server, later. */
static void
set_defaults(PghaCheckContext *check)
{
	memset(check, 0, sizeof(*check));
	for (int i = 0; i < PGHA_CHECK_COUNT; i++)
		check->limits[i] = (PghaLimits) {PGHA_LIMIT_BYTES, -1, -1};
	check->limits[PGHA_CHECK_REDUNDANCY] = (PghaLimits) {PGHA_LIMIT_COUNT, 1, 1};
	check->limits[PGHA_CHECK_SYNC] = (PghaLimits) {PGHA_LIMIT_SECONDS, 5, 30};
	check->limits[PGHA_CHECK_LOST] = (PghaLimits) {PGHA_LIMIT_SECONDS, 3 * 86400, -1};
	check->limits[PGHA_CHECK_PAUSE] = (PghaLimits) {PGHA_LIMIT_SECONDS, 86400, -1};
}

/* Takes an option of the table; false after an error message. */
static bool
take_item(const char *subcommand, int which, const char *value, CheckOptions *options, PghaCheckContext *check)
{
	const Item *item = &items[which];

	options->chosen[which] = options->any_chosen = true;
	if (value == NULL)
		return true;
	if (which == PGHA_CHECK_ROLE)
	{
		check->role = value;
		if (strcmp(value, "primary") == 0 || strcmp(value, "standby") == 0 || strcmp(value, "any") == 0)
			return true;
		pgha_usage_error(subcommand, "role \"%s\" is not primary, standby or any", value);
		return false;
	}
	if (!pgha_check_limits_parse(value, item->units, item->units == 1 << PGHA_LIMIT_SECONDS, &check->limits[which]))
	{
		pgha_usage_error(subcommand, "--%s: \"%s\" is not WARN or WARN,CRIT: %s", item->name, value,
						 item->units == 1 << PGHA_LIMIT_COUNT ? "numbers" :
						 item->units == 1 << PGHA_LIMIT_BYTES ? "sizes with their units, such as 4GB" :
						 item->units == 1 << PGHA_LIMIT_SECONDS ? "times with their units, such as 30s" :
						 "sizes or times with their units, such as 16MB or 5s");
		return false;
	}
	/* None at all is always critical. */
	if (which == PGHA_CHECK_REDUNDANCY && check->limits[which].critical < 0)
		check->limits[which].critical = check->limits[which].warning < 1 ? 0 : 1;
	return true;
}

static bool
read_options(int argc, char **argv, CheckOptions *options, PghaCheckContext *check)
{
	static const struct option common[] = {
		PGHA_CLIENT_LONG_OPTIONS,
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"all", no_argument, NULL, 'a'},
		{"verbose", no_argument, NULL, 'v'},
	};
	struct option known[LENGTH(common) + PGHA_CHECK_COUNT + 1] = {{0}};
	int			c;

	memcpy(known, common, sizeof(common));
	for (int i = 0; i < PGHA_CHECK_COUNT; i++)
		known[LENGTH(common) + i] = (struct option) {items[i].name, items[i].argument, NULL, FIRST_ITEM + i};
	memset(options, 0, sizeof(*options));
	options->client.timeout = DEFAULT_TIMEOUT;

	/* Another member must not stand in for the server that is meant and down. */
	options->client.here = true;
	set_defaults(check);
	opterr = 0;
	while ((c = getopt_long(argc, argv, PGHA_CLIENT_SHORT_OPTIONS "jt:av", known, NULL)) != -1)
	{
		if (c == 'a')
			options->all = true;
		else if (c == 'v')
			options->verbose = true;
		else if (c >= FIRST_ITEM ? !take_item(argv[0], c - FIRST_ITEM, optarg, options, check) :
				 !pgha_client_take_option(argv, c, &options->client))
			return false;
	}
	return pgha_client_parse_arguments(argc, argv, 0, &options->client);
}

/* ---- the time limit ---- */

/* What the alarm writes, made beforehand: a handler may not do much. */
static char late[256];

static void
handle_alarm(int number)
{
	(void) number;
	if (write(STDOUT_FILENO, late, strlen(late)) < 0)
		_exit(PGHA_CHECK_UNKNOWN);
	_exit(PGHA_CHECK_UNKNOWN);
}

static void
set_alarm(int seconds, bool json)
{
	struct sigaction action = {.sa_handler = handle_alarm};
	char		text[16];

	(void) snprintf(late, sizeof(late), json ?
					"{\"state\": \"UNKNOWN\", \"exit_code\": 3, \"title\": \"no answer within %d s\", \"checks\": [], \"values\": []}\n" :
					"PGHA UNKNOWN - no answer within %d s\n", seconds);
	(void) sigemptyset(&action.sa_mask);
	(void) sigaction(SIGALRM, &action, NULL);
	(void) alarm((unsigned) seconds);

	/* So that of several hosts the third one is reached, too. */
	(void) snprintf(text, sizeof(text), "%d", seconds < 9 ? 2 : seconds / 3 - 1);
	(void) setenv("PGCONNECT_TIMEOUT", text, 0);
}

/* ---- what cannot be asked ---- */

/* What was said of an error, in one line, without hints. */
static void
shorten(char *said, char *out, size_t size)
{
	size_t		length = 0;
	char	   *rest = said;
	char	   *line;

	out[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		line += strspn(line, " \t");
		if (strncmp(line, "pgha: error: ", 13) == 0)
			line += 13;
		if (*line != '\0' && strncmp(line, "HINT:", 5) != 0 && strncmp(line, "Is the server running", 21) != 0 &&
			strncmp(line, "WARNING:", 8) != 0 && length < size)
			length += (size_t) snprintf(out + length, size - length, "%s%s", length > 0 ? "; " : "", line);
	}
}

/*
 * A server that refuses connections is not there: CRITICAL.  One that is silent,
 * and one that does not let us in, may be well.
 */
static PghaCheckState
state_of_failure(const char *said)
{
	static const char *const down[] = {
		"Connection refused", "No such file or directory", "the database system is", "server closed the connection"
	};

	if (strstr(said, "timeout expired") != NULL || strstr(said, "timed out") != NULL)
		return PGHA_CHECK_UNKNOWN;
	for (int i = 0; i < LENGTH(down); i++)
		if (strstr(said, down[i]) != NULL)
			return PGHA_CHECK_CRITICAL;
	return PGHA_CHECK_UNKNOWN;
}

static void
report_failure(PghaCheckContext *check, const char *name, PghaCheckState state, const char *what, char *said)
{
	char		text[700];

	shorten(said, text, sizeof(text));
	pgha_check_find(&check->report, name, state, "%s: %s", what, text);
}

/* ---- asking ---- */

/* Those of the first look that still wait in the second one, for the same statement. */
static json_t *
still_waiting(const json_t *first, const json_t *second)
{
	json_t	   *both = json_array();
	size_t		i;
	size_t		j;
	const json_t *a;
	json_t	   *b;

	json_array_foreach(first, i, a)
		json_array_foreach(second, j, b)
			if (json_equal(json_object_get(a, "pid"), json_object_get(b, "pid")) &&
				json_equal(json_object_get(a, "began"), json_object_get(b, "began")))
				(void) json_array_append(both, b);
	return both;
}

/* A statement that has run for long and waits just now need not have waited for long: look again. */
static json_t *
fetch_waits(PGconn *conn, const json_t *server, double limit, int limit_ms, FILE *errors)
{
	const json_t *first = json_object_get(server, "waits");
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
	bool		suspect = false;
	size_t		index;
	const json_t *wait;
	json_t	   *second;
	json_t	   *both;

	json_array_foreach(first, index, wait)
		suspect |= json_number_value(json_object_get(wait, "seconds")) > limit;
	if (!suspect)
		return json_array();
	(void) nanosleep(&pause, NULL);
	second = pgha_client_try_query_json(conn, waits_query, NULL, limit_ms, errors);
	if (second == NULL)
		return NULL;
	both = still_waiting(first, second);
	json_decref(second);
	return both;
}

/* Limits that follow from the settings of the server, where the options give none. */
static void
limits_of_settings(PghaCheckContext *check)
{
	const json_t *lag = json_object_get(check->cluster, "max_failover_lag");
	const json_t *keep = json_object_get(check->server, "slot_keep_size");
	PghaLimits *replay = &check->limits[PGHA_CHECK_REPLAY_LAG];
	PghaLimits *slots = &check->limits[PGHA_CHECK_SLOTS];

	if (replay->warning < 0 && json_is_integer(lag))
		*replay = (PghaLimits) {PGHA_LIMIT_BYTES, json_number_value(lag), 8 * json_number_value(lag)};
	if (slots->warning < 0 && json_is_integer(keep))
		*slots = (PghaLimits) {PGHA_LIMIT_BYTES, json_number_value(keep) / 2, json_number_value(keep)};
}

/*
 * The last that a monitor has published goes on being shown when it hangs, or is gone: as
 * the reason says then, with what it last said behind it.
 */
static bool
is_monitor_lost(const json_t *status)
{
	const char *reason = pgha_check_text(status, "reason");

	return strncmp(reason, "the monitor is not running", 26) == 0 || strncmp(reason, "the monitor has not been heard of", 33) == 0;
}

static void
run_item(int which, bool lost, PghaCheckContext *check)
{
	if (!lost || !items[which].published)
		items[which].run(check);
	else if (which == PGHA_CHECK_STATE)
		pgha_check_find(&check->report, "state", PGHA_CHECK_CRITICAL, "nothing watches over %s: %s", check->node,
						pgha_check_text(check->status, "reason"));
	else
		pgha_check_find(&check->report, items[which].name, PGHA_CHECK_UNKNOWN, "%s: not known, as the monitor of %s does not work",
						items[which].name, check->node);
}

static void
run_items(const CheckOptions *options, PghaCheckContext *check)
{
	bool		lost;

	check->status = json_object_get(check->cluster, "status");
	check->members = json_object_get(check->cluster, "members");
	check->node = pgha_check_text(check->status, "node");
	check->primary = pgha_has_text(check->status, "role", "primary");
	check->witness = pgha_has_text(check->status, "role", "witness");
	lost = is_monitor_lost(check->status);
	limits_of_settings(check);
	if (pgha_has_text(check->status, "state", "disabled"))
	{
		pgha_check_find(&check->report, "state", PGHA_CHECK_UNKNOWN, "pgha does not manage this server: pgha.node is empty");
		return;
	}
	for (int i = 0; i < PGHA_CHECK_COUNT; i++)
	{
		check->named = options->chosen[i];
		if (options->chosen[i] || options->all || !options->any_chosen)
			run_item(i, lost, check);
	}
}

/* Asks, and lets the checks judge; all that goes wrong becomes a finding. */
static void
ask(CheckOptions *options, PghaCheckContext *check, FILE *errors, char **said, json_t **owned)
{
	int			limit_ms = options->client.timeout * 1000;
	bool		found = pgha_client_find_local(0, &options->client, errors);
	PGconn	   *conn = found ? pgha_client_try_connect(&options->client, NULL, errors) : NULL;
	bool		connected = conn != NULL;

	if (connected)
	{
		check->cluster = owned[0] = pgha_status_fetch(conn, limit_ms, errors);
		if (owned[0] != NULL)
			check->server = owned[1] = pgha_client_try_query_json(conn, server_query, NULL, limit_ms, errors);
		if (owned[1] != NULL)
			check->waits = owned[2] = fetch_waits(conn, owned[1], check->limits[PGHA_CHECK_SYNC].warning, limit_ms, errors);
	}
	PQfinish(conn);
	(void) fflush(errors);
	if (owned[2] != NULL)
		run_items(options, check);
	else if (!found)
		report_failure(check, "cluster", PGHA_CHECK_UNKNOWN, "it cannot be told which server is meant", *said);
	else if (connected)
		report_failure(check, "answer", PGHA_CHECK_UNKNOWN, "the server cannot be asked", *said);
	else
		report_failure(check, "connection", state_of_failure(*said), "no connection", *said);
}

/* ---- the line ---- */

/* What is said where all is in order: of single checks what they found. */
static void
make_title(const CheckOptions *options, const PghaCheckContext *check, char *title, size_t size)
{
	size_t		length = 0;
	size_t		index;
	const json_t *finding;

	title[0] = '\0';
	json_array_foreach(check->report.findings, index, finding)
	{
		const char *name = pgha_check_text(finding, "check");
		bool		wanted = options->any_chosen ? true : strcmp(name, "role") == 0 || strcmp(name, "primary") == 0 || strcmp(name, "redundancy") == 0;

		if (wanted && length < size)
			length += (size_t) snprintf(title + length, size - length, "%s%s", length > 0 ? "; " : "", pgha_check_text(finding, "text"));
	}
}

int
pgha_check_main(int argc, char **argv)
{
	CheckOptions options;
	PghaCheckContext check;
	json_t	   *owned[3] = {NULL, NULL, NULL};
	char	   *said = NULL;
	size_t		size = 0;
	char		title[600];
	FILE	   *errors;
	int			code;

	/* Wrong usage must not look like a state of the cluster. */
	if (!read_options(argc, argv, &options, &check))
	{
		printf("PGHA UNKNOWN - wrong usage\n");
		return PGHA_CHECK_UNKNOWN;
	}
	set_alarm(options.client.timeout, options.client.json);
	errors = open_memstream(&said, &size);
	if (errors == NULL)
	{
		printf("PGHA UNKNOWN - out of memory\n");
		return PGHA_CHECK_UNKNOWN;
	}
	pgha_check_report_init(&check.report);
	ask(&options, &check, errors, &said, owned);
	(void) fclose(errors);
	free(said);
	make_title(&options, &check, title, sizeof(title));
	code = pgha_check_print(&check.report, title, options.verbose, options.client.json);
	pgha_check_report_free(&check.report);
	for (int i = 0; i < LENGTH(owned); i++)
		json_decref(owned[i]);
	return code;
}
