/*
 * switchover.c
 *		`pgha switchover [NODE]`: moves the primary as planned, and tells how it went.
 *
 * The server decides (pgha_switchover()); see move.c for how its end is seen.
 */
#include "subcommands.h"

#include <stdlib.h>

#include "move.h"

int
pgha_switchover_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	char	   *former = NULL;
	int			code;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_NODE | PGHA_OPTION_TIMEOUT, &options))
		return EXIT_USAGE;
	options.acts = "pgha_switchover(text)";
	conn = pgha_client_connect_primary(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	pgha_heed_interrupts();
	code = pgha_move_primary(&options, options.node, &conn, &former);
	if (code == EXIT_OK)
		code = pgha_await_streaming(&options, &conn, former);
	free(former);
	if (conn != NULL)
		PQfinish(conn);
	return code;
}
