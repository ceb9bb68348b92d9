/*
 * leader.c
 *		Sessions of a recovery with the leader and with the own server.
 *
 * A recovery asks, and has events written; it never changes anything on another
 * server.
 */
#include "leader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/extension.h"
#include "../common/log.h"
#include "../common/text.h"

PGconn *
pgha_job_connect(PghaJobRun *run, int member, const char *extra, char *error, size_t error_size)
{
	return pgha_member_connect(run->conf->conninfo, &run->conf->members.member[member], extra, error, error_size);
}

/* What to do about a failed connect. */
static const char *
hint_for(const char *error)
{
	/* libpq ignores a passfile that it thinks is not private, and only warns on stderr. */
	if (strstr(error, "no password supplied") != NULL)
		return "Name a passfile with the role's password in pgha.conninfo; one that others can read"
			" (mode above 0600) is ignored.";
	if (strstr(error, "certificate") != NULL || strstr(error, "private key") != NULL || strstr(error, "SSL error") != NULL)
		return "See the server's certificate and pg_hba.conf there, and the sslmode, sslrootcert, sslcert and"
			" sslkey of pgha.conninfo here.";
	return "See that pg_hba.conf there and pgha.conninfo here fit together.";
}

/* Connects to run->leader, which may be this node. */
static PGconn *
connect_primary(PghaJobRun *run)
{
	char		error[512];
	const PghaAddress *address = &run->conf->members.member[run->leader];
	PGconn	   *conn;
	char	   *in_recovery;

	conn = pgha_job_connect(run, run->leader, NULL, error, sizeof(error));
	if (conn == NULL)
	{
		pgha_job_fail(run, STATE_CONNECTION, error, hint_for(error),
					  "could not connect to the primary \"%s\"", address->name);
		return NULL;
	}
	in_recovery = pgha_member_query(conn, "SELECT pg_catalog.pg_is_in_recovery()", NULL, error, sizeof(error));
	if (in_recovery != NULL && strcmp(in_recovery, "f") == 0)
	{
		free(in_recovery);
		return conn;
	}
	pgha_job_fail(run, STATE_NOT_IN_STATE, in_recovery == NULL ? error : NULL,
				  "It is tried again when there is a primary.",
				  "member \"%s\" is not the primary any more", address->name);
	free(in_recovery);
	PQfinish(conn);
	return NULL;
}

PGconn *
pgha_job_leader(PghaJobRun *run)
{
	if (run->leader != PGHA_NOBODY && run->leader != run->conf->self)
		return connect_primary(run);
	pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "It is tried again when there is a primary.",
				  "no primary is known to recover from");
	return NULL;
}

PGconn *
pgha_job_judge(PghaJobRun *run)
{
	return run->leader == run->conf->self ? connect_primary(run) : pgha_job_leader(run);
}

static bool
send_event(PghaJobRun *run, int member, const char *kind, const char *what)
{
	char		error[512];
	PGconn	   *conn;
	char	   *schema = NULL;
	char		query[512];
	const char *const values[] = {kind, what};
	PGresult   *result;
	bool		sent = false;

	if (member == PGHA_NOBODY)
		return false;
	conn = pgha_job_connect(run, member, NULL, error, sizeof(error));
	if (conn == NULL)
		return false;
	schema = pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query), "SELECT %s.pgha_agent_event($1, $2)", schema);
		result = PQexecParams(conn, query, 2, NULL, values, NULL, NULL, 0);
		sent = PQresultStatus(result) == PGRES_TUPLES_OK;
		PQclear(result);
	}
	free(schema);
	PQfinish(conn);
	return sent;
}

void
pgha_job_event(PghaJobRun *run, const char *kind, const char *format,...)
{
	char		what[400];
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	pgha_text_clean(what);
	pgha_agent_warning("%s", what);
	if (!send_event(run, run->leader, kind, what))
		(void) send_event(run, run->conf->self, kind, what);
}
