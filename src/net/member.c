/*
 * member.c
 *		A blocking session with a member, as the agent's role: connect, ask for
 *		one value.
 *
 * For recoveries, the process that tells pgpool, and `pgha doctor`.  Never for
 * the agent's own loop, which must not block (agent/session.c), nor for what the
 * server asks (peer.c).
 */
#include "member.h"

#include <stdio.h>
#include <string.h>

#include "../common/errors.h"
#include "connect.h"

/* A server that is stuck must not hold us up. */
#define PARAMETERS PGHA_MEMBER_SILENCE PGHA_SESSION_PARAMETERS("-c statement_timeout=60000 -c lock_timeout=10000")

PGconn *
pgha_member_connect(const char *shared, const PghaAddress *member, const char *extra,
					char *error, size_t error_size)
{
	char		conninfo[PGHA_MEMBER_CONNINFO_SIZE];
	char		parameters[1536];
	char		message[512];
	const char *const keywords[] = {"dbname", NULL};
	const char *const values[] = {conninfo, NULL};
	PGconn	   *conn;

	(void) snprintf(parameters, sizeof(parameters), "%s %s %s", PARAMETERS,
					strstr(shared, "dbname") == NULL ? "dbname=postgres" : "", extra != NULL ? extra : "");
	if (!pgha_conninfo_build(conninfo, sizeof(conninfo), shared, member,
							 PGHA_AGENT_APPLICATION, parameters))
	{
		pgha_fail(error, error_size, "the connection string is too long");
		return NULL;
	}
	conn = pgha_connect_quietly(keywords, values, 1, NULL);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	(void) snprintf(message, sizeof(message), "%s", conn != NULL ? PQerrorMessage(conn) : "out of memory");
	message[strcspn(message, "\n")] = '\0';
	pgha_fail(error, error_size, "%s", message);
	PQfinish(conn);
	return NULL;
}

char *
pgha_member_query(PGconn *conn, const char *query, const char *parameter,
				  char *error, size_t error_size)
{
	const char *const values[] = {parameter};
	PGresult   *result = PQexecParams(conn, query, parameter != NULL ? 1 : 0, NULL, values, NULL, NULL, 0);
	char	   *value = NULL;
	char		message[512];

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		value = strdup(PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	else
	{
		(void) snprintf(message, sizeof(message), "%s", PQresultErrorMessage(result));
		message[strcspn(message, "\n")] = '\0';
		pgha_fail(error, error_size, "%s", message[0] != '\0' ? message : "the connection was lost");
	}
	PQclear(result);
	return value;
}
