/*
 * orders.c
 *		`pgha pause`, `pgha resume`, `pgha promote`: the SQL functions of the
 *		same names, for people at a shell.
 *
 * The server decides and explains; its notices, warnings and errors are passed
 * on with their details and hints.
 *
 * Each is one query; nothing is decided here, but that who promotes by force beside a
 * primary has to say that he accepts the loss.
 */
#include "subcommands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/log.h"
#include "client.h"

/* Runs `query`, which answers with a sentence about what has been done; closes the session. */
static int
order(PGconn *conn, const char *query, const char *parameter)
{
	/* The server has its own limits, and says so when one is passed. */
	char	   *answer = pgha_client_query(conn, query, parameter, 0);

	PQfinish(conn);
	if (answer == NULL)
		return EXIT_ERROR;
	printf("%s\n", answer);
	free(answer);
	return EXIT_OK;
}

static int
give_order(int argc, char **argv, const char *acts, const char *query)
{
	PghaClientOptions options;
	PGconn	   *conn;

	if (!pgha_client_options(argc, argv, 0, &options))
		return EXIT_USAGE;
	options.acts = acts;
	conn = pgha_client_connect(&options);
	return conn != NULL ? order(conn, query, NULL) : EXIT_ERROR;
}

int
pgha_pause_main(int argc, char **argv)
{
	return give_order(argc, argv, "pgha_pause()",
					  "SELECT CASE WHEN pgha_pause() THEN 'Failover is paused on all members.'"
					  " ELSE 'Failover is paused, but not on all members yet.' END");
}

int
pgha_resume_main(int argc, char **argv)
{
	return give_order(argc, argv, "pgha_resume()",
					  "SELECT CASE WHEN pgha_resume() THEN 'Failover is automatic again on all members.'"
					  " ELSE 'Failover is automatic again, but not on all members yet.' END");
}

/*
 * A primary that leads and answers: says what would be lost, and returns true.
 */
static bool
would_lose(PGconn *conn)
{
	char	   *loss = pgha_client_query(conn,
										 "SELECT coalesce((SELECT '\"' || p.node || '\" leads and answers; what \"' || s.node ||"
										 " '\" lacks of its commits would be lost: ' ||"
										 " CASE WHEN s.lag_bytes = 0 THEN 'nothing at the moment, as far as is known here'"
										 " ELSE coalesce(pg_size_pretty(s.lag_bytes), 'it is not known how much') || ' of WAL at the moment' END"
										 " FROM pgha_cluster() p, pgha_cluster() s"
										 " WHERE p.reachable AND p.role = 'primary' AND p.state = 'primary'"
										 " AND s.node = current_setting('pgha.node') AND s.role = 'standby' LIMIT 1), '')",
										 NULL, 0);
	bool		loses = loss == NULL || *loss != '\0';

	if (loss != NULL && loses)
		pgha_error(stderr, "\"pgha switchover\" moves the primary without a loss; \"pgha promote --force --accept-loss\" goes on.",
				   "%s", loss);
	free(loss);
	return loses;
}

int
pgha_promote_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	bool		loses;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_FORCE | PGHA_OPTION_LOSS, &options))
		return EXIT_USAGE;
	if (options.accept_loss && !options.force)
		return pgha_usage_error(argv[0], "--accept-loss is for --force");
	options.acts = "pgha_promote(boolean)";
	options.here = true;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	loses = options.force && !options.accept_loss && would_lose(conn);
	if (!loses)
		return order(conn, "SELECT current_setting('pgha.node') || ' is the primary now.'"
					 " FROM pgha_promote($1::bool)", options.force ? "true" : "false");
	PQfinish(conn);
	return EXIT_ERROR;
}
