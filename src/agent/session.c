/*
 * session.c
 *		The agent's sessions with servers.
 *
 * libpq is used in its asynchronous form throughout, and each step has a
 * deadline: a server that is frozen costs the session, and not more.  The
 * server is told to notice quickly when the agent has gone.  For the agent's loop
 * alone; what an answer means is decided there.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/extension.h"
#include "../common/log.h"
#include "../common/text.h"
#include "../net/connect.h"
#include "../net/member.h"

#define CONNECT_LIMIT_MS	5000
#define QUERY_LIMIT_MS		5000
/* A failed session is tried again after this time, doubled each time. */
#define RETRY_MS			500
#define RETRY_MAX_MS		5000
#define UNDEFINED_OBJECT	"42704"

#define OPTIONS \
	"connect_timeout=5 keepalives=1 keepalives_idle=5 keepalives_interval=2 keepalives_count=3" \
	" tcp_user_timeout=10000 " \
	PGHA_SESSION_PARAMETERS("-c client_connection_check_interval=1000 -c tcp_keepalives_idle=5" \
							" -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000")

void
pgha_session_close(PghaSession *session)
{
	pgha_resolve_end(&session->resolve);
	if (session->conn != NULL)
		PQfinish(session->conn);
	session->conn = NULL;
	session->state = PGHA_SESSION_CLOSED;
	session->answered = session->waited = session->waits_in_poll = false;
	session->sent_job = 0;
}

/* Closes a session that has failed; says why unless that was said before. */
static void
fail_session(PghaSession *session, const char *text, const char *hint)
{
	char		complaint[sizeof(session->complaint)];
	int64_t		pause = RETRY_MS;

	(void) snprintf(complaint, sizeof(complaint), "%.*s", (int) strcspn(text, "\n"), text);
	if (strcmp(complaint, session->complaint) != 0)
	{
		pgha_agent_warning("%s: %s%s%s", session->what, complaint, hint != NULL ? "; " : "", hint != NULL ? hint : "");
		(void) snprintf(session->complaint, sizeof(session->complaint), "%s", complaint);
	}
	for (int i = 0; i < session->failures && pause < RETRY_MAX_MS; i++)
		pause *= 2;
	session->failures++;
	session->retry_at = pgha_clock_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
	pgha_session_close(session);
}

/* What an administrator can do about an error of the poll. */
static const char *
hint_for(const char *sqlstate)
{
	if (sqlstate == NULL)
		return NULL;
	if (strcmp(sqlstate, "42883") == 0)
		return "run ALTER EXTENSION pgha UPDATE there";
	if (strcmp(sqlstate, "42501") == 0)
		return "run SELECT pgha_setup_role() there, with the role's name";
	return NULL;
}

/* Begins to connect; `addresses`: what the member's name stands for, NULL if it is none. */
static void
connect_to(PghaSession *session, const char *addresses)
{
	const PghaAgentConf *conf = session->conf;
	const PghaAddress *member = &conf->members.member[session->member];
	char		conninfo[PGHA_MEMBER_CONNINFO_SIZE];
	char		known[PGHA_RESOLVED_SIZE] = "";
	char		options[1536 + sizeof(known)];
	char		application[PGHA_NAME_SIZE + sizeof(PGHA_AGENT_APPLICATION) + 1];

	if (addresses != NULL && !pgha_resolved_parameters(member->host, addresses, known, sizeof(known)))
	{
		fail_session(session, "the name of the member is too long", NULL);
		return;
	}
	(void) snprintf(options, sizeof(options), OPTIONS "%s%s",
					strstr(conf->conninfo, "dbname") == NULL ? " dbname=postgres" : "", known);
	(void) snprintf(application, sizeof(application), PGHA_AGENT_APPLICATION " %s",
					conf->members.member[conf->self].name);
	if (!pgha_conninfo_build(conninfo, sizeof(conninfo), conf->conninfo, member, application, options))
	{
		fail_session(session, "the connection string is too long", "shorten pgha.conninfo");
		return;
	}
	session->conn = pgha_connect_start(conninfo);
	if (session->conn == NULL || PQstatus(session->conn) == CONNECTION_BAD)
	{
		fail_session(session, session->conn != NULL ? PQerrorMessage(session->conn) : "out of memory", NULL);
		return;
	}
	pgha_drop_notices(session->conn);
	session->state = PGHA_SESSION_CONNECTING;
	session->wants = PGRES_POLLING_WRITING;
	session->deadline = pgha_clock_ms() + CONNECT_LIMIT_MS;
}

void
pgha_session_open(PghaSession *session, const PghaAgentConf *conf, int member)
{
	pgha_session_close(session);
	if (session->member != member)
		session->told_job = 0;
	session->member = member;
	session->conf = conf;
	if (!pgha_is_name(conf->members.member[member].host))
		connect_to(session, NULL);
	else if (!pgha_resolve_begin(&session->resolve, conf->members.member[member].host))
		fail_session(session, strerror(errno), NULL);
	else
	{
		session->state = PGHA_SESSION_RESOLVING;
		session->deadline = pgha_clock_ms() + CONNECT_LIMIT_MS;
	}
}

/* Takes what the look-up of the name has found. */
static void
take_addresses(PghaSession *session)
{
	char		addresses[sizeof(session->resolve.answer)];

	switch (pgha_resolve_advance(&session->resolve, addresses, sizeof(addresses)))
	{
		case PGHA_RESOLVE_PENDING:
			break;
		case PGHA_RESOLVE_DONE:
			pgha_resolve_end(&session->resolve);
			connect_to(session, addresses);
			break;
		case PGHA_RESOLVE_FAILED:
			fail_session(session, addresses, NULL);
			break;
	}
}

int
pgha_session_socket(const PghaSession *session, short *events)
{
	*events = POLLIN;
	if (session->state == PGHA_SESSION_RESOLVING)
		return session->resolve.fd;
	*events = session->state == PGHA_SESSION_CONNECTING && session->wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
	return session->state == PGHA_SESSION_CLOSED ? -1 : PQsocket(session->conn);
}

static bool
is_ready(const PghaSession *session)
{
	struct pollfd set = {.events = 0};

	set.fd = pgha_session_socket(session, &set.events);
	return set.fd >= 0 && poll(&set, 1, 0) > 0;
}

static void
go_on_connecting(PghaSession *session)
{
	if (!is_ready(session))
		return;
	session->wants = PQconnectPoll(session->conn);
	if (session->wants == PGRES_POLLING_FAILED)
		fail_session(session, PQerrorMessage(session->conn), NULL);
	else if (session->wants == PGRES_POLLING_OK)
	{
		if (!PQsendQuery(session->conn, PGHA_EXTENSION_SCHEMA_QUERY))
		{
			fail_session(session, PQerrorMessage(session->conn), NULL);
			return;
		}
		session->state = PGHA_SESSION_PREPARING;
		session->deadline = pgha_clock_ms() + QUERY_LIMIT_MS;
	}
}

/* Has the query under way come to its end?  Then *result is how, error or not; NULL if there is none. */
static bool
has_ended(PghaSession *session, PGresult **result)
{
	PGresult   *more;

	if (!PQconsumeInput(session->conn))
	{
		fail_session(session, PQerrorMessage(session->conn), NULL);
		return false;
	}
	if (PQisBusy(session->conn))
		return false;
	*result = PQgetResult(session->conn);
	while (*result != NULL && (more = PQgetResult(session->conn)) != NULL)
		PQclear(more);
	return true;
}

/* The row of such a result; NULL if there is none, and the session failed. */
static PGresult *
row_of(PghaSession *session, PGresult *result)
{
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		return result;
	fail_session(session, result != NULL && *PQresultErrorMessage(result) != '\0' ?
				 PQresultErrorMessage(result) : "the connection was lost",
				 hint_for(result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL));
	PQclear(result);
	return NULL;
}

/* The result of the query under way; NULL if it is not there yet or the session failed. */
static PGresult *
take_result(PghaSession *session)
{
	PGresult   *result;

	return has_ended(session, &result) ? row_of(session, result) : NULL;
}

static void
take_schema(PghaSession *session)
{
	PGresult   *result = take_result(session);

	if (result == NULL)
		return;
	(void) snprintf(session->schema, sizeof(session->schema), "%s", PQgetvalue(result, 0, 0));
	PQclear(result);
	if (session->schema[0] == '\0')
		fail_session(session, "the extension pgha is not in the database that the agent connects to",
					 "run CREATE EXTENSION pgha there, on the primary");
	else
		session->state = PGHA_SESSION_READY;
}

static void
copy_value(const PGresult *result, int column, char *out, size_t size)
{
	(void) snprintf(out, size, "%s", PQgetvalue(result, 0, column));
}

static bool
is_true(const PGresult *result, int column)
{
	return strcmp(PQgetvalue(result, 0, column), "t") == 0;
}

static bool
take_answer(PghaSession *session)
{
	PGresult   *result = take_result(session);
	PghaPoll   *poll = &session->poll;

	if (result == NULL)
		return false;
	copy_value(result, 0, poll->state, sizeof(poll->state));
	poll->in_recovery = is_true(result, 1);
	copy_value(result, 2, poll->leader, sizeof(poll->leader));
	poll->streaming = is_true(result, 3);
	poll->paused = is_true(result, 4);
	poll->order_id = strtoll(PQgetvalue(result, 0, 5), NULL, 10);
	copy_value(result, 6, poll->command, sizeof(poll->command));
	copy_value(result, 7, poll->argument, sizeof(poll->argument));
	poll->cancel = is_true(result, 8);
	poll->pause_generation = PQnfields(result) > 9 ? strtoull(PQgetvalue(result, 0, 9), NULL, 10) : 0;
	PQclear(result);

	if (session->sent_job != 0)
		session->told_job = session->sent_job;
	session->sent_job = 0;
	session->failures = 0;
	session->complaint[0] = '\0';
	session->answered = true;
	session->waited = false;
	session->answer_asked_at = session->asked_at;
	session->state = PGHA_SESSION_READY;
	return true;
}

/* There may be news, or the time is up.  A server of before 1.1 knows no such setting. */
static void
take_news(PghaSession *session)
{
	PGresult   *result;
	const char *sqlstate;

	if (!has_ended(session, &result))
		return;
	sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	session->waits_in_poll = sqlstate != NULL && strcmp(sqlstate, UNDEFINED_OBJECT) == 0;
	if (!session->waits_in_poll && row_of(session, result) == NULL)
		return;
	PQclear(result);
	session->waited = true;
	session->state = PGHA_SESSION_READY;
}

/* The server knows the outcome, whether it still waits for it or not. */
static void
take_told(PghaSession *session)
{
	PGresult   *result = take_result(session);

	if (result == NULL)
		return;
	PQclear(result);
	session->told_order = session->telling;
	session->state = PGHA_SESSION_READY;
}

bool
pgha_session_advance(PghaSession *session)
{
	bool		answered = false;

	switch (session->state)
	{
		case PGHA_SESSION_CLOSED:
		case PGHA_SESSION_READY:
			return false;
		case PGHA_SESSION_RESOLVING:
			take_addresses(session);
			break;
		case PGHA_SESSION_CONNECTING:
			go_on_connecting(session);
			break;
		case PGHA_SESSION_PREPARING:
			take_schema(session);
			break;
		case PGHA_SESSION_POLLING:
			answered = take_answer(session);
			break;
		case PGHA_SESSION_WAITING:
			take_news(session);
			break;
		case PGHA_SESSION_TELLING:
			take_told(session);
			break;
	}
	if (session->state != PGHA_SESSION_CLOSED && session->state != PGHA_SESSION_READY &&
		pgha_clock_ms() > session->deadline)
		fail_session(session, session->state == PGHA_SESSION_RESOLVING ?
					 "the look-up of the member's name takes too long" : "no answer in time", NULL);
	return answered;
}

/* Has the server wait for news; not within the poll, which would hold a snapshot. */
static void
await_news(PghaSession *session, int wait_ms, int limit_ms)
{
	if (!PQsendQuery(session->conn, "SHOW pgha.agent_news"))
	{
		fail_session(session, PQerrorMessage(session->conn), NULL);
		return;
	}
	session->state = PGHA_SESSION_WAITING;
	session->deadline = pgha_clock_ms() + wait_ms + limit_ms;
}

void
pgha_session_poll(PghaSession *session, const PghaAgentConf *conf, PghaServer server,
				  const PghaJobStatus *job, int wait_ms, int limit_ms)
{
	char		query[400];
	char		id[32];
	char		done[32];
	char		total[32];
	char		wait[16];
	char		data[PATH_MAX];
	const char *value[15] = {NULL};
	bool		ended = job->known && job->outcome[0] != '\0';
	bool		tell = job->known && (!ended || session->told_job != job->order.id);

	/* Whoever has something to tell, or would not wait for as long as the server was told, polls at once. */
	if (session->answered && !session->waited && !session->waits_in_poll && session->acknowledge == 0 && !(tell && ended) &&
		wait_ms >= session->wait_ms)
	{
		await_news(session, session->wait_ms, limit_ms);
		return;
	}
	session->wait_ms = wait_ms;
	value[0] = conf->members.member[conf->self].name;
	(void) snprintf(data, sizeof(data), "%s", conf->data);
	pgha_text_clean(data);
	value[1] = data;
	value[2] = pgha_server_word(server);
	value[3] = session->answered ? session->poll.state : "";
	if (session->acknowledge != 0)
	{
		(void) snprintf(id, sizeof(id), "%lld", (long long) session->acknowledge);
		value[4] = id;
		session->acknowledge = 0;
	}
	else if (tell)
	{
		(void) snprintf(id, sizeof(id), "%lld", (long long) job->order.id);
		(void) snprintf(done, sizeof(done), "%lld", (long long) job->done);
		(void) snprintf(total, sizeof(total), "%lld", (long long) job->total);
		value[4] = id;
		value[5] = pgha_method_word(job->order.method);
		value[6] = job->phase;
		value[7] = done;
		value[8] = total;
		value[9] = job->message;
		if (ended)
		{
			value[10] = job->outcome;
			value[11] = job->sqlstate;
			value[12] = job->detail;
			value[13] = job->hint;
			session->sent_job = job->order.id;
		}
	}
	else
		value[9] = PGHA_TAKES_LISTS;
	(void) snprintf(wait, sizeof(wait), "%d", value[10] != NULL ? 0 : session->waits_in_poll ? wait_ms : -wait_ms);
	value[14] = wait;

	(void) snprintf(query, sizeof(query),
					"SELECT * FROM %s.pgha_agent_poll($1, $2, $3, $4, $5::bigint, $6, $7, $8::bigint, $9::bigint,"
					" $10, $11, $12, $13, $14, $15::integer)", session->schema);
	if (!PQsendQueryParams(session->conn, query, 15, NULL, value, NULL, NULL, 0))
	{
		fail_session(session, PQerrorMessage(session->conn), NULL);
		return;
	}
	session->state = PGHA_SESSION_POLLING;
	session->asked_at = pgha_clock_ms();
	session->deadline = session->asked_at + (session->waits_in_poll ? wait_ms : 0) + limit_ms;
}

void
pgha_session_tell(PghaSession *session, int64_t order_id, bool done, const char *message)
{
	char		query[256];
	char		id[32];
	const char *value[3] = {id, done ? "true" : "false", message};

	(void) snprintf(id, sizeof(id), "%lld", (long long) order_id);
	(void) snprintf(query, sizeof(query), "SELECT %s.pgha_agent_done($1::bigint, $2::boolean, $3)", session->schema);
	if (!PQsendQueryParams(session->conn, query, 3, NULL, value, NULL, NULL, 0))
	{
		fail_session(session, PQerrorMessage(session->conn), NULL);
		return;
	}
	session->telling = order_id;
	session->state = PGHA_SESSION_TELLING;
	session->deadline = pgha_clock_ms() + QUERY_LIMIT_MS;
}
