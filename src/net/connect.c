/*
 * connect.c
 *		Connections whose notices are seen by nobody as the server has sent them.
 *
 * libpq prints them to stderr, unless it is told otherwise: that is a terminal,
 * or the agent's log.  A blocking connect can only be told when it is done, and a
 * server can send notices from its first answer on; so that stderr is another
 * file meanwhile, which the C library allows.
 *
 * For every connection of the program.
 */
#include "connect.h"

#include <stdlib.h>

#include "../common/log.h"

static void
drop_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

static void
put_notice(void *arg, const char *message)
{
	(void) arg;
	pgha_put(message, stderr);
}

void
pgha_drop_notices(PGconn *conn)
{
	(void) PQsetNoticeProcessor(conn, drop_notice, NULL);
}

PGconn *
pgha_connect_quietly(const char *const *keywords, const char *const *values, int expand_dbname, FILE *notices)
{
	FILE	   *terminal = stderr;
	char	   *said = NULL;
	size_t		size;
	FILE	   *kept = open_memstream(&said, &size);
	PGconn	   *conn;

	if (kept == NULL)
		return NULL;
	stderr = kept;
	conn = PQconnectdbParams(keywords, values, expand_dbname);
	stderr = terminal;
	(void) fclose(kept);
	if (notices != NULL && said != NULL)
		pgha_put(said, notices);
	free(said);
	if (conn != NULL)
		(void) PQsetNoticeProcessor(conn, notices != NULL ? put_notice : drop_notice, NULL);
	return conn;
}

/* One of both ways of saying where to. */
static PGconn *
start(const char *conninfo, const char *const *keywords, const char *const *values, int expand_dbname)
{
	FILE	   *usual = stderr;
	FILE	   *nowhere = fopen("/dev/null", "we");
	PGconn	   *conn;

	if (nowhere != NULL)
		stderr = nowhere;
	conn = conninfo != NULL ? PQconnectStart(conninfo) : PQconnectStartParams(keywords, values, expand_dbname);
	stderr = usual;
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return conn;
}

PGconn *
pgha_connect_start(const char *conninfo)
{
	return start(conninfo, NULL, NULL, 0);
}

PGconn *
pgha_connect_start_params(const char *const *keywords, const char *const *values, int expand_dbname)
{
	return start(NULL, keywords, values, expand_dbname);
}
