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
