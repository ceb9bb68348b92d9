/*
 * source.c
 *		The session with the own server, from which all that is answered comes.
 *
 * One query over and over: pgha_agent_view(), and with it the rows of the functions
 * that people read.  A primary answers when there is news.  A standby must not wait
 * within a query, whose snapshot would hold up replay: it answers at once, and is
 * asked again in a second, or when the agent has heard of news.  The plan is prepared
 * once, events are only read when there is a new one, so that an idle server costs
 * next to nothing.
 *
 * This thread waits; those that answer never do.  Each wait has a limit, and ends
 * when the agent does.  libpq is used in its asynchronous form, as its blocking one
 * waits for ever for a server that is stopped in its tracks.  The session's end is
 * the first that is heard of a server that has crashed, so it is told at once.
 */
#include "source.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "../common/clock.h"
#include "../common/extension.h"
#include "../common/log.h"
#include "../common/passfile.h"
#include "../net/connect.h"
#include "../net/member.h"
#include "../net/resolve.h"
#include "history.h"

#define CONNECT_LIMIT_MS	5000
#define QUERY_LIMIT_MS		5000
#define LOOK_UP_LIMIT_MS	2000
#define WAIT_MS				1000
/* What an answer may take beyond the wait. */
#define ANSWER_LIMIT_MS		2000
/* A query that was cancelled, or was in replay's way, is sent again after this time. */
#define AGAIN_MS			250
#define RETRY_FIRST_MS		100
#define RETRY_MAX_MS		2000
#define EVENTS_SHOWN		"50"
#define APPLICATION			PGHA_AGENT_APPLICATION " http"

#define OPTIONS \
	"connect_timeout=5 keepalives=1 keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000 " \
	PGHA_SESSION_PARAMETERS("-c timezone=UTC -c jit=off -c client_connection_check_interval=1000" \
							" -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3")

/* What does not change while the server runs. */
#define FACTS_QUERY \
	PGHA_EXTENSION_SCHEMA_QUERY ", current_setting('server_version_num')," \
	" to_char(pg_postmaster_start_time(), 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'," \
	" extract(epoch FROM pg_postmaster_start_time())," \
	" (SELECT system_identifier::text FROM pg_control_system())"

/* The functions are called after pgha_agent_view(), whose row they stand in. */
#define VIEW_QUERY \
	"SELECT v.key, v.now_us, v.valid_us, v.in_recovery, v.streaming, v.events, v.pending_restart, v.max_failover_lag," \
	" (SELECT row_to_json(s) FROM %1$s.pgha_status() s)," \
	" (SELECT json_agg(c) FROM %1$s.pgha_cluster() c)," \
	" (SELECT json_agg(r) FROM %1$s.pgha_recovery_progress() r)," \
	" CASE WHEN NOT v.in_recovery THEN (SELECT json_agg(json_build_object('usename', usename," \
	" 'application_name', application_name, 'client_addr', client_addr, 'state', state," \
	" 'sync_state', sync_state, 'sync_priority', sync_priority)) FROM pg_stat_replication WHERE application_name <> 'pgha io') END," \
	" CASE WHEN pg_is_in_recovery() THEN json_build_object(" \
	"'time', to_char(pg_last_xact_replay_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'," \
	" 'epoch', extract(epoch FROM pg_last_xact_replay_timestamp())," \
	" 'paused', pg_is_wal_replay_paused()," \
	" 'lag', CASE WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0" \
	" ELSE greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())) END) END," \
	" CASE WHEN v.events <> $3 THEN (SELECT json_agg(e) FROM (SELECT * FROM %1$s.pgha_events()" \
	" ORDER BY at DESC LIMIT " EVENTS_SHOWN ") e) END" \
	" FROM %1$s.pgha_agent_view($1, $2) v"

typedef struct Source
{
	PghaWebView *view;
	int			pipe;
	PGconn	   *conn;
	bool		ended;			/* the agent has gone */
	bool		woken;			/* it has heard of news since the last question */
	bool		standby;		/* by the last answer */
	char		refused[6];		/* SQLSTATE of the last query's error, if the session stands; else empty */
	char		schema[160];	/* of the extension, quoted */
	char		complaint[512]; /* last one logged */
	int			timeline;		/* that the history was read for; 0: none */
} Source;

/* ---- waiting ---- */

/* What the agent says: that it has ended, or that there is news. */
static void
hear_agent(Source *source)
{
	char		drain[16];
	ssize_t		got = read(source->pipe, drain, sizeof(drain));

	source->ended |= got == 0;
	source->woken |= got > 0;
}

/* Waits for the socket (-1: only for time to pass); false when time is up, or the agent has gone. */
static bool
await(Source *source, int fd, short events, int64_t deadline)
{
	for (;;)
	{
		struct pollfd set[2] = {{.fd = source->pipe, .events = POLLIN}, {.fd = fd, .events = events}};
		int64_t		left = deadline - pgha_clock_ms();

		if (left <= 0)
			return false;
		if (poll(set, 2, (int) left) < 0 && errno != EINTR)
			return false;
		if (set[0].revents != 0)
			hear_agent(source);
		if (source->ended)
			return false;
		if (fd >= 0 && set[1].revents != 0)
			return true;
	}
}

/* Lets time pass between two questions, or less if there is news; false if the session or the agent ends meanwhile. */
static bool
rest(Source *source, int ms)
{
	int64_t		deadline = pgha_clock_ms() + ms;

	while (!source->woken)
	{
		struct pollfd set[2] = {{.fd = source->pipe, .events = POLLIN}, {.fd = PQsocket(source->conn), .events = POLLIN}};
		int64_t		left = deadline - pgha_clock_ms();

		if (left <= 0)
			return true;
		if (poll(set, 2, (int) left) < 0 && errno != EINTR)
			return false;
		if (set[0].revents != 0)
			hear_agent(source);
		if (source->ended || (set[1].revents != 0 && (!PQconsumeInput(source->conn) || PQstatus(source->conn) != CONNECTION_OK)))
			return false;
	}
	return true;
}

/* A line in the log, unless it is the last one again; a server that is down the agent tells of itself. */
static void
complain(Source *source, const char *error, const char *hint)
{
	char		line[sizeof(source->complaint)];

	(void) snprintf(line, sizeof(line), "%.*s", (int) strcspn(error, "\n"), error);
	if (strcmp(line, source->complaint) == 0)
		return;
	(void) snprintf(source->complaint, sizeof(source->complaint), "%s", line);
	pgha_agent_warning("http: own server: %s%s%s", line, hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

/* ---- queries ---- */

static const char *
hint_for(const char *sqlstate)
{
	if (strcmp(sqlstate, "42883") == 0)
		return "run ALTER EXTENSION pgha UPDATE on the primary";
	if (strcmp(sqlstate, "42501") == 0)
		return "run SELECT pgha_setup_role() on the primary, with the role's name";
	return NULL;
}

/* Will the same query do if it is sent again: was it cancelled, or in replay's way? */
static bool
passes(const char *sqlstate)
{
	return strncmp(sqlstate, "40", 2) == 0 || strcmp(sqlstate, "57014") == 0;
}

/* Is this worth a line?  Not that the server ends, or has just started. */
static void
judge(Source *source, const PGresult *result)
{
	const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	if (sqlstate != NULL && strncmp(sqlstate, "57", 2) != 0 && !passes(sqlstate))
		complain(source, PQresultErrorMessage(result), hint_for(sqlstate));
}

/* The error of a result whose session goes on. */
static void
note_refusal(Source *source, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (sqlstate != NULL && PQstatus(source->conn) == CONNECTION_OK)
		(void) snprintf(source->refused, sizeof(source->refused), "%s", sqlstate);
}

/* The result of what was sent; NULL if there is none by the deadline, or it is an error (source->refused). */
static PGresult *
take_result(Source *source, int64_t deadline)
{
	PGresult   *result;
	PGresult   *more;
	ExecStatusType status;

	source->refused[0] = '\0';
	while (PQflush(source->conn) > 0)
	{
		if (!await(source, PQsocket(source->conn), POLLOUT, deadline))
			return NULL;
	}
	while (PQisBusy(source->conn))
	{
		if (!await(source, PQsocket(source->conn), POLLIN, deadline) || !PQconsumeInput(source->conn))
			return NULL;
	}
	result = PQgetResult(source->conn);
	status = PQresultStatus(result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		judge(source, result);

	/* The end of the answer is waited for, too, or the next query could not be sent. */
	for (;;)
	{
		while (PQisBusy(source->conn))
		{
			if (!await(source, PQsocket(source->conn), POLLIN, deadline) || !PQconsumeInput(source->conn))
			{
				PQclear(result);
				return NULL;
			}
		}
		more = PQgetResult(source->conn);
		if (more == NULL)
			break;
		PQclear(more);
	}
	if (status == PGRES_COMMAND_OK || (status == PGRES_TUPLES_OK && PQntuples(result) == 1))
		return result;
	note_refusal(source, result);
	PQclear(result);
	return NULL;
}

static json_t *
take_json(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? json_null() : json_loads(PQgetvalue(result, 0, column), JSON_DECODE_ANY, NULL);
}

static bool
is_true(const PGresult *result, int column)
{
	return strcmp(PQgetvalue(result, 0, column), "t") == 0;
}

/*
 * Until when what the server says of itself holds.  Its clock is this host's, and
 * if that shows (its time lies between question and answer) so is its deadline;
 * else it is counted from the question, which is never too late.
 */
static int64_t
valid_until(const PghaWebAnswer *answer, int64_t now_us, int64_t valid_us)
{
	if (valid_us <= 0)
		return 0;
	return (now_us >= answer->asked_us && now_us <= answer->answered_us ? now_us : answer->asked_us) + valid_us;
}

/* Names of settings: what there is no room for is left out, but not a part of a name. */
static void
copy_names(char *out, size_t size, const char *names)
{
	size_t		length = strlen(names);

	if (length >= size)
	{
		for (length = size - 1; length > 0 && names[length] != ','; length--)
			;
	}
	memcpy(out, names, length);
	out[length] = '\0';
}

static bool
read_answer(PghaWebView *view, const PGresult *result, PghaWebAnswer *answer)
{
	answer->valid_until_us = valid_until(answer, strtoll(PQgetvalue(result, 0, 1), NULL, 10),
										 strtoll(PQgetvalue(result, 0, 2), NULL, 10));
	(void) snprintf(answer->key, sizeof(answer->key), "%s", PQgetvalue(result, 0, 0));
	answer->in_recovery = is_true(result, 3);
	answer->streaming = is_true(result, 4);
	answer->events_stamp = strtoll(PQgetvalue(result, 0, 5), NULL, 10);
	copy_names(answer->pending_restart, sizeof(answer->pending_restart), PQgetvalue(result, 0, 6));
	answer->max_failover_lag = strtoll(PQgetvalue(result, 0, 7), NULL, 10);
	answer->status = take_json(result, 8);
	answer->members = take_json(result, 9);
	answer->recoveries = take_json(result, 10);
	answer->replication = take_json(result, 11);
	answer->replay = take_json(result, 12);
	answer->events = PQgetisnull(result, 0, 13) ? NULL : take_json(result, 13);
	return pgha_view_take(view, answer);
}

/* One question and its answer; false if the session is of no use any more. */
static bool
ask(Source *source, char *key, size_t key_size, int64_t *events_stamp)
{
	PghaWebAnswer answer = {.asked_us = pgha_clock_us()};
	char		wait[16];
	char		stamp[32];
	const char *const values[] = {key, wait, stamp};
	PGresult   *result;
	bool		own;

	source->woken = false;
	(void) snprintf(wait, sizeof(wait), "%d", WAIT_MS);
	(void) snprintf(stamp, sizeof(stamp), "%lld", (long long) *events_stamp);
	if (!PQsendQueryPrepared(source->conn, "view", 3, values, NULL, NULL, 0))
		return false;
	result = take_result(source, pgha_clock_ms() + WAIT_MS + ANSWER_LIMIT_MS + source->view->conf->failure_timeout_ms);
	if (result == NULL)
		return passes(source->refused) && rest(source, AGAIN_MS);
	answer.answered_us = pgha_clock_us();
	source->standby = is_true(result, 3);
	own = read_answer(source->view, result, &answer);
	PQclear(result);
	if (!own)
	{
		complain(source, "another node answers there than pgha.members says",
				 "compare pgha.members with pgha.node and the port of the server");
		return false;
	}
	(void) snprintf(key, key_size, "%s", answer.key);
	*events_stamp = answer.events_stamp;
	source->complaint[0] = '\0';
	return true;
}

/* The history of timelines, when that has changed; one that cannot be read is none.  False only if the session is of no use. */
static bool
ask_history(Source *source)
{
	char		number[16];
	const char *const values[] = {number};
	json_t	   *history;
	PGresult   *result;
	int			timeline;

	(void) pthread_mutex_lock(&source->view->lock);
	timeline = (int) json_integer_value(json_object_get(source->view->last.status, "timeline"));
	(void) pthread_mutex_unlock(&source->view->lock);
	if (timeline == source->timeline)
		return true;
	(void) snprintf(number, sizeof(number), "%d", timeline);
	if (!PQsendQueryParams(source->conn, PGHA_HISTORY_QUERY, 1, NULL, values, NULL, NULL, 0))
		return false;
	result = take_result(source, pgha_clock_ms() + QUERY_LIMIT_MS);
	if (result == NULL && source->refused[0] != '\0')
	{
		/* That is no reason to know less of the server; what passes is tried again. */
		if (!passes(source->refused))
			source->timeline = timeline;
		return true;
	}
	if (result == NULL)
		return false;
	history = pgha_history_json(PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1));
	PQclear(result);
	(void) pthread_mutex_lock(&source->view->lock);
	json_decref(source->view->history);
	source->view->history = history;
	(void) pthread_mutex_unlock(&source->view->lock);
	source->timeline = timeline;
	return true;
}

/* ---- the session ---- */

/* The connection has failed: says why, unless the server is down, or just comes or goes, which the agent tells. */
static void
judge_connection(Source *source)
{
	static const int down[] = {ECONNREFUSED, ECONNRESET, ETIMEDOUT, EPIPE};
	const char *error = PQerrorMessage(source->conn);

	if (source->ended || PQstatus(source->conn) != CONNECTION_BAD || *error == '\0')
		return;
	for (size_t i = 0; i < sizeof(down) / sizeof(down[0]); i++)
	{
		if (strstr(error, strerror(down[i])) != NULL)
			return;
	}

	/* No socket in its directory; another file that is not there is worth a line. */
	if (strstr(error, " on socket ") != NULL && strstr(error, strerror(ENOENT)) != NULL)
		return;

	/* With its SQLSTATE, as the server may speak any language; 57P01 to 57P05: it is not there for anybody. */
	if (strstr(error, "  57P0") == NULL && strstr(error, "closed the connection unexpectedly") == NULL)
		complain(source, error, NULL);
}

static bool
connect_to(Source *source, int64_t deadline)
{
	const PghaAgentConf *conf = source->view->conf;
	const PghaAddress *self = &conf->members.member[conf->self];
	char		found[512];
	char		error[400];
	char		addresses[PGHA_RESOLVED_SIZE] = "";
	char		options[2048 + sizeof(addresses)];
	char		conninfo[PGHA_MEMBER_CONNINFO_SIZE];
	PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

	if (pgha_is_name(self->host) &&
		(!pgha_resolve_within(self->host, LOOK_UP_LIMIT_MS, found, sizeof(found)) ||
		 !pgha_resolved_parameters(self->host, found, addresses, sizeof(addresses))))
		return false;

	/* libpq would say at each connection that it is not private; pgha_connect_start() is not for threads. */
	(void) snprintf(options, sizeof(options), OPTIONS "%s%s%s",
					strstr(conf->conninfo, "dbname") == NULL ? " dbname=postgres" : "",
					pgha_passfile_is_open(conf->conninfo, error, sizeof(error)) ? " passfile=/nonexistent/pgpass" : "", addresses);
	if (!pgha_conninfo_build(conninfo, sizeof(conninfo), conf->conninfo, self, APPLICATION, options))
	{
		complain(source, "the connection string is too long", "shorten pgha.conninfo");
		return false;
	}
	source->conn = PQconnectStart(conninfo);
	if (source->conn == NULL)
		return false;
	(void) PQsetErrorVerbosity(source->conn, PQERRORS_VERBOSE);
	pgha_drop_notices(source->conn);
	if (PQstatus(source->conn) == CONNECTION_BAD)
		wants = PGRES_POLLING_FAILED;
	while (wants == PGRES_POLLING_WRITING || wants == PGRES_POLLING_READING)
	{
		if (!await(source, PQsocket(source->conn), wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline))
			return false;
		wants = PQconnectPoll(source->conn);
	}
	if (wants != PGRES_POLLING_OK)
		judge_connection(source);
	(void) PQsetErrorVerbosity(source->conn, PQERRORS_DEFAULT);
	return wants == PGRES_POLLING_OK && PQsetnonblocking(source->conn, 1) == 0;
}

static bool
take_facts(Source *source, const PGresult *result)
{
	PghaWebView *view = source->view;

	(void) snprintf(source->schema, sizeof(source->schema), "%s", PQgetvalue(result, 0, 0));
	if (source->schema[0] == '\0')
	{
		complain(source, "the extension pgha is not in the database that the agent connects to",
				 "run CREATE EXTENSION pgha there, on the primary");
		return false;
	}
	(void) pthread_mutex_lock(&view->lock);
	view->server_version = atoi(PQgetvalue(result, 0, 1));
	(void) snprintf(view->start_time, sizeof(view->start_time), "%s", PQgetvalue(result, 0, 2));
	view->start_epoch = strtod(PQgetvalue(result, 0, 3), NULL);
	(void) snprintf(view->system_identifier, sizeof(view->system_identifier), "%s", PQgetvalue(result, 0, 4));
	(void) pthread_mutex_unlock(&view->lock);
	return true;
}

static bool
prepare(Source *source, int64_t deadline)
{
	char		query[sizeof(VIEW_QUERY) + 5 * sizeof(source->schema)];
	PGresult   *result;
	bool		done;

	if (!PQsendQuery(source->conn, FACTS_QUERY) || (result = take_result(source, deadline)) == NULL)
		return false;
	done = take_facts(source, result);
	PQclear(result);
	if (!done)
		return false;
	(void) snprintf(query, sizeof(query), VIEW_QUERY, source->schema);
	if (!PQsendPrepare(source->conn, "view", query, 0, NULL) || (result = take_result(source, deadline)) == NULL)
		return false;
	PQclear(result);
	return true;
}

/* One session, until it ends; true if it has been of use. */
static bool
run_session(Source *source)
{
	int64_t		deadline = pgha_clock_ms() + CONNECT_LIMIT_MS;
	int64_t		events_stamp = -1;
	char		key[256] = "";
	bool		useful = false;

	source->timeline = 0;
	if (connect_to(source, deadline) && prepare(source, deadline))
	{
		while (ask(source, key, sizeof(key), &events_stamp) && ask_history(source) &&
			   (!source->standby || rest(source, WAIT_MS)))
			useful = true;
	}
	pgha_view_lost(source->view);
	PQfinish(source->conn);
	source->conn = NULL;
	return useful;
}

void
pgha_source_run(PghaWebView *view, int pipe)
{
	Source		source = {.view = view, .pipe = pipe};
	int			pause = RETRY_FIRST_MS;

	while (!source.ended)
	{
		pause = run_session(&source) ? RETRY_FIRST_MS : pause < RETRY_MAX_MS / 2 ? pause * 2 : RETRY_MAX_MS;
		if (!source.ended)
			(void) await(&source, -1, 0, pgha_clock_ms() + pause);
	}
}
