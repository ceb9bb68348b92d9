/*
 * orders.c
 *		`pgha pause`, `pgha resume`, `pgha promote`: the SQL functions of the
 *		same names, for people at a shell.
 *
 * The server decides and explains; its notices, warnings and errors are passed
 * on with their details and hints.
 *
 * Each is one query; nothing is decided here.
 */
#include "subcommands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/*
 * Runs `query`, which answers with a sentence about what has been done.
 */
static int
give_order(int argc, char **argv, int allowed, const char *query)
{
	PghaClientOptions options;
	PGconn	   *conn;
	char	   *answer;

	if (!pgha_client_options(argc, argv, allowed, &options))
		return EXIT_USAGE;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;

	/* The server has its own limits, and says so when one is passed. */
	answer = pgha_client_query(conn, query,
							   (allowed & PGHA_OPTION_FORCE) != 0 ? (options.force ? "true" : "false") : NULL, 0);
	PQfinish(conn);
	if (answer == NULL)
		return EXIT_ERROR;
	printf("%s\n", answer);
	free(answer);
	return EXIT_OK;
}

int
pgha_pause_main(int argc, char **argv)
{
	return give_order(argc, argv, 0,
					  "SELECT CASE WHEN pgha_pause() THEN 'Failover is paused on all members.'"
					  " ELSE 'Failover is paused, but not on all members yet.' END");
}

int
pgha_resume_main(int argc, char **argv)
{
	return give_order(argc, argv, 0,
					  "SELECT CASE WHEN pgha_resume() THEN 'Failover is automatic again on all members.'"
					  " ELSE 'Failover is automatic again, but not on all members yet.' END");
}

int
pgha_promote_main(int argc, char **argv)
{
	return give_order(argc, argv, PGHA_OPTION_FORCE,
					  "SELECT current_setting('pgha.node') || ' is the primary now.'"
					  " FROM pgha_promote($1::bool)");
}
