/*
 * tell.c
 *		Calls of the extension's functions on the own server.
 *
 * Each call has a session of its own: there are few of them, and the server may
 * have restarted since the last one.  libpq is used in its asynchronous form, as
 * its blocking one waits for ever for a server that is stopped in its tracks.  For
 * the agent's children, never for its loop: a call lasts for seconds.
 */
#include "tell.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/extension.h"
#include "../net/connect.h"
#include "../net/member.h"
#include "../net/resolve.h"

#define LIMIT_MS	3000
/* Much less than the address of a new primary may be late. */
#define LOOK_UP_LIMIT_MS	500

/* Of the server, too: what is not wanted any more must not go on there. */
#define OPTIONS		PGHA_SESSION_PARAMETERS("-c statement_timeout=3000 -c lock_timeout=3000")

/* Of the own server, when it was last reached. */
static char known_host[PGHA_HOST_SIZE];
static char known_addresses[512];

/* One call under way. */
typedef struct Call
{
	PGconn	   *conn;
	int64_t		deadline;
	char	   *error;
	size_t		error_size;
} Call;

/* The first line of what libpq or the server says. */
static void
keep_error(const Call *call, const char *text)
{
	(void) pgha_fail(call->error, call->error_size, "%.*s", (int) strcspn(text, "\n"),
					 *text != '\0' ? text : "the connection was lost");
}

/* Waits for the socket; false when time is up. */
static bool
await(const Call *call, short events)
{
	struct pollfd set = {.fd = PQsocket(call->conn), .events = events};
	int64_t		left = call->deadline - pgha_clock_ms();

	if (left > 0 && poll(&set, 1, (int) left) > 0)
		return true;
	if (pgha_clock_ms() < call->deadline)
		return true;			/* a signal */
	return pgha_fail(call->error, call->error_size, "the server does not answer");
}

/*
 * Parameters with the addresses of a name; none for what is no name.  They are
 * kept as long as they serve, so that silent name servers hold up little.
 */
static bool
find_addresses(const Call *call, const char *host, char *parameters, size_t size)
{
	char		addresses[sizeof(known_addresses)];

	parameters[0] = '\0';
	if (!pgha_is_name(host))
		return true;
	if (known_addresses[0] == '\0' || strcmp(known_host, host) != 0)
	{
		if (!pgha_resolve_within(host, LOOK_UP_LIMIT_MS, addresses, sizeof(addresses)))
			return pgha_fail(call->error, call->error_size, "%s", addresses);
		(void) snprintf(known_host, sizeof(known_host), "%s", host);
		memcpy(known_addresses, addresses, sizeof(addresses));
	}
	return pgha_resolved_parameters(host, known_addresses, parameters, size) ||
		pgha_fail(call->error, call->error_size, "the name of the member is too long");
}

static bool
connect_to(Call *call, const PghaAgentConf *conf)
{
	const PghaAddress *self = &conf->members.member[conf->self];
	char		conninfo[PGHA_MEMBER_CONNINFO_SIZE];
	char		addresses[PGHA_RESOLVED_SIZE];
	char		options[1536 + sizeof(addresses)];
	PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

	if (!find_addresses(call, self->host, addresses, sizeof(addresses)))
		return false;
	(void) snprintf(options, sizeof(options), "%s%s%s", OPTIONS,
					strstr(conf->conninfo, "dbname") == NULL ? " dbname=postgres" : "", addresses);
	if (!pgha_conninfo_build(conninfo, sizeof(conninfo), conf->conninfo, self, PGHA_AGENT_APPLICATION, options))
		return pgha_fail(call->error, call->error_size, "the connection string is too long");
	call->conn = pgha_connect_start(conninfo);
	if (call->conn == NULL)
		return pgha_fail(call->error, call->error_size, "out of memory");
	pgha_drop_notices(call->conn);
	if (PQstatus(call->conn) == CONNECTION_BAD)
		wants = PGRES_POLLING_FAILED;
	while (wants == PGRES_POLLING_WRITING || wants == PGRES_POLLING_READING)
	{
		if (!await(call, wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN))
			return false;
		wants = PQconnectPoll(call->conn);
	}
	if (wants != PGRES_POLLING_OK)
		keep_error(call, PQerrorMessage(call->conn));
	return wants == PGRES_POLLING_OK;
}

/* Runs a query; NULL with an error if no answer came. */
static PGresult *
run_query(const Call *call, const char *query, int count, const char *const *values)
{
	PGresult   *result;

	if (!PQsendQueryParams(call->conn, query, count, NULL, values, NULL, NULL, 0))
	{
		keep_error(call, PQerrorMessage(call->conn));
		return NULL;
	}
	while (PQisBusy(call->conn))
	{
		if (!await(call, POLLIN))
			return NULL;
		if (!PQconsumeInput(call->conn))
		{
			keep_error(call, PQerrorMessage(call->conn));
			return NULL;
		}
	}
	result = PQgetResult(call->conn);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		keep_error(call, PQresultErrorMessage(result));

	/* The end of the answer is there, or will be read by nobody. */
	while (result != NULL && !PQisBusy(call->conn))
	{
		PGresult   *more = PQgetResult(call->conn);

		if (more == NULL)
			break;
		PQclear(more);
	}
	return result;
}

/* What the server's refusal means, with what to do about it. */
static PghaTold
judge(const Call *call, const PGresult *result)
{
	const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *hint = "";
	size_t		length = strlen(call->error);

	/* No answer, or the server is about to end, or has just started. */
	if (sqlstate == NULL || strncmp(sqlstate, "57", 2) == 0)
		return PGHA_NOT_TOLD;
	if (strcmp(sqlstate, "42883") == 0)
		hint = "; run ALTER EXTENSION pgha UPDATE and SELECT pgha_setup_role() on the primary";
	else if (strcmp(sqlstate, "42501") == 0)
		hint = "; run SELECT pgha_setup_role() on the primary, with the role's name";
	(void) snprintf(call->error + length, call->error_size - length, "%s", hint);
	return PGHA_TOLD_OFF;
}

static PghaTold
call_function(const Call *call, const char *function, int count, const char *const *values)
{
	char		query[512];
	PGresult   *result = run_query(call, PGHA_EXTENSION_SCHEMA_QUERY, 0, NULL);
	PghaTold	told;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		told = judge(call, result);
		PQclear(result);
		return told;
	}
	(void) snprintf(query, sizeof(query), "SELECT %s.%s", PQgetvalue(result, 0, 0), function);
	if (*PQgetvalue(result, 0, 0) == '\0')
	{
		PQclear(result);
		(void) pgha_fail(call->error, call->error_size, "the extension pgha is not in the database that the agent"
						 " connects to; run CREATE EXTENSION pgha there, on the primary");
		return PGHA_TOLD_OFF;
	}
	PQclear(result);
	result = run_query(call, query, count, values);
	told = PQresultStatus(result) == PGRES_TUPLES_OK ? PGHA_TOLD : judge(call, result);
	PQclear(result);
	return told;
}

PghaTold
pgha_tell_own_server(const PghaAgentConf *conf, const char *function, int count, const char *const *values,
					 char *error, size_t error_size)
{
	Call		call = {.deadline = pgha_clock_ms() + LIMIT_MS, .error = error, .error_size = error_size};
	PghaTold	told = PGHA_NOT_TOLD;

	if (connect_to(&call, conf))
		told = call_function(&call, function, count, values);
	else
		known_addresses[0] = '\0';
	PQfinish(call.conn);
	return told;
}

/* `query` with the schema in the place of each "@". */
static void
put_schema(const char *query, const char *schema, char *out, size_t size)
{
	size_t		length = 0;

	for (; *query != '\0' && length + 1 < size; query++)
	{
		if (*query != '@')
			out[length++] = *query;
		else
			length += (size_t) snprintf(out + length, size - length, "%s", schema);
	}
	out[length < size ? length : size - 1] = '\0';
}

PGresult *
pgha_ask_own_server(const PghaAgentConf *conf, const char *query)
{
	char		error[512];
	char		text[2048] = "";
	Call		call = {.deadline = pgha_clock_ms() + LIMIT_MS, .error = error, .error_size = sizeof(error)};
	PGresult   *result = NULL;

	if (connect_to(&call, conf))
	{
		result = run_query(&call, PGHA_EXTENSION_SCHEMA_QUERY, 0, NULL);
		if (PQresultStatus(result) == PGRES_TUPLES_OK && *PQgetvalue(result, 0, 0) != '\0')
			put_schema(query, PQgetvalue(result, 0, 0), text, sizeof(text));
		PQclear(result);
		result = text[0] != '\0' ? run_query(&call, text, 0, NULL) : NULL;
	}
	else
		known_addresses[0] = '\0';
	PQfinish(call.conn);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	PQclear(result);
	return NULL;
}
