/*
 * restart.c
 *		`pgha restart`: restarts one server through its agent, or all of them, one
 *		after the other.
 *
 * Rolling: first each standby, waited for until it streams again; then the primary
 * is handed over to one of them, which restarts it.  So at most one server is down
 * at a time, and writes are held only for the switchover.  Where a standby is missing
 * at the start nothing is begun.
 */
#include "subcommands.h"

#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "cluster.h"
#include "move.h"

#define LIMIT_MS	5000

/* It has been started since, and does again what it did. */
static const char is_back[] =
"SELECT (pg_postmaster_start_time()::text <> $1 AND"
" CASE WHEN pg_is_in_recovery()"
" THEN (SELECT upstream IS NOT NULL FROM pgha_cluster() WHERE node = current_setting('pgha.node'))"
" ELSE gate = 'open' END)::text FROM pgha_status()";

/* Its shutdown may be faster than its answer: a session that has ended is no refusal. */
static bool
order_restart(PGconn *conn)
{
	char	   *text = NULL;
	size_t		size = 0;
	FILE	   *errors = open_memstream(&text, &size);
	char	   *answer = errors != NULL ? pgha_client_try_query(conn, "SELECT pgha_restart()::text", NULL, LIMIT_MS, errors) : NULL;
	bool		ordered = answer != NULL || (errors != NULL && PQstatus(conn) == CONNECTION_BAD);

	if (errors != NULL)
		(void) fclose(errors);
	if (!ordered)
		fputs(text != NULL ? text : "pgha: error: out of memory\n", stderr);
	free(text);
	free(answer);
	return ordered;
}

/* Restarts the server at *conn, and waits until it is back. */
static int
restart_server(const PghaClientOptions *options, PGconn **conn)
{
	char	   *started = pgha_client_query(*conn, "SELECT pg_postmaster_start_time()::text", NULL, LIMIT_MS);
	char	   *node = strdup(pgha_client_node(*conn));
	char	   *address = started != NULL && node != NULL ? pgha_address_of(*conn, node) : NULL;
	bool		ordered = address != NULL && order_restart(*conn);
	long long	began = pgha_awake_ms();
	int			code = EXIT_ERROR;

	if (ordered)
	{
		pgha_note("restarting \"%s\"", node);
		if (pgha_await_true(options, address, conn, is_back, started, began + options->timeout * 1000LL))
		{
			char	   *role = pgha_client_query(*conn, "SELECT CASE WHEN pg_is_in_recovery() THEN 'streams' ELSE 'leads' END",
												 NULL, LIMIT_MS);

			printf("restarted \"%s\", which %s again, after %.1f s\n", node, role != NULL ? role : "answers",
				   (double) (pgha_awake_ms() - began) / 1000);
			free(role);
			code = EXIT_OK;
		}
		else if (pgha_interrupted())
			code = EXIT_CANCELLED;
		else
			pgha_error(stderr, "See its log and that of its agent; it may need longer (--timeout).",
					   "\"%s\" is not back after %d seconds", node, options->timeout);
	}
	free(started);
	free(node);
	free(address);
	return code;
}

/* By its address, where it is looked for when it comes back: a login that only its socket takes is told before. */
static int
restart_one(const PghaClientOptions *options)
{
	PghaClientOptions reading = *options;
	PGconn	   *conn;
	char	   *address = NULL;
	int			code = EXIT_ERROR;

	reading.acts = NULL;
	reading.here = options->node == NULL;
	conn = pgha_client_connect(&reading);

	if (conn != NULL)
	{
		address = pgha_address_of(conn, options->node != NULL ? options->node : pgha_client_node(conn));
		PQfinish(conn);
		conn = address != NULL ? pgha_connect_address(options, address, stderr) : NULL;
	}
	if (conn != NULL)
		code = restart_server(options, &conn);
	if (conn != NULL)
		PQfinish(conn);
	free(address);
	return code;
}

/* ---- rolling ---- */

static bool
is_witness(const json_t *row)
{
	return json_is_true(json_object_get(row, "witness"));
}

/* What is wrong with this member or witness, as the primary sees it; NULL: nothing. */
static const char *
obstacle(const json_t *row)
{
	if (!json_is_true(json_object_get(row, "reachable")))
		return "does not answer";
	if (is_witness(row))
		return NULL;
	if (!json_is_true(json_object_get(row, "agent")))
		return "has no agent that is connected to the primary";
	if (!pgha_has_text(row, "role", "primary") && !json_is_true(json_object_get(row, "streams")))
		return "does not stream";
	return NULL;
}

/*
 * May it begin?  With --force the members that are missing are left out.  A witness
 * is not restarted, but its vote may be what is left while a standby is down.
 */
static bool
all_present(const json_t *rows, bool force)
{
	size_t		index;
	const json_t *row;
	bool		present = true;

	json_array_foreach(rows, index, row)
	{
		const char *node = json_string_value(json_object_get(row, "node"));

		if (obstacle(row) == NULL || node == NULL)
			continue;
		if (force)
			pgha_note("leaves \"%s\" out: it %s", node, obstacle(row));
		else
			pgha_error(stderr, "Nothing has been restarted.  Bring it back first, or use --force, which leaves it out.",
					   "\"%s\" %s", node, obstacle(row));
		present = false;
	}
	return present || force;
}

/*
 * A failover meanwhile may have made a primary of what was a standby: it would be
 * restarted in place.
 */
static bool
are_what_they_were(PGconn *primary, PGconn *standby, const char *node)
{
	char	   *here = pgha_client_query(standby, "SELECT pg_is_in_recovery()::text", NULL, LIMIT_MS);
	char	   *there = here != NULL ? pgha_client_query(primary, "SELECT pg_is_in_recovery()::text", NULL, LIMIT_MS) : NULL;
	bool		same = there != NULL && strcmp(here, "true") == 0 && strcmp(there, "false") == 0;

	if (there != NULL && !same)
		pgha_error(stderr, "See \"pgha status\", and begin again.",
				   "the primary has changed meanwhile; \"%s\" and what comes after it has not been restarted", node);
	free(here);
	free(there);
	return same;
}

static int
restart_standbys(const PghaClientOptions *options, PGconn **primary, const json_t *rows)
{
	size_t		index;
	const json_t *row;
	int			code = EXIT_OK;

	json_array_foreach(rows, index, row)
	{
		const char *node = json_string_value(json_object_get(row, "node"));
		const char *address = json_string_value(json_object_get(row, "address"));
		PGconn	   *conn;

		if (node == NULL || address == NULL || is_witness(row) || pgha_has_text(row, "role", "primary") || obstacle(row) != NULL)
			continue;
		conn = pgha_connect_address(options, address, stderr);
		code = conn != NULL && are_what_they_were(*primary, conn, node) ? restart_server(options, &conn) : EXIT_ERROR;
		if (conn != NULL)
			PQfinish(conn);
		if (code == EXIT_OK)
			code = pgha_await_streaming(options, primary, node);
		if (code != EXIT_OK)
			return code;
	}
	return code;
}

static size_t
count_members(const json_t *rows)
{
	size_t		index;
	const json_t *row;
	size_t		count = 0;

	json_array_foreach(rows, index, row)
		count += !is_witness(row);
	return count;
}

static int
restart_all(const PghaClientOptions *options)
{
	PGconn	   *conn = pgha_client_connect_primary(options);
	json_t	   *rows = conn == NULL ? NULL :
		pgha_client_query_json(conn,
							   "SELECT coalesce(json_agg(json_build_object('node', node, 'address', address, 'role', role,"
							   " 'witness', witness, 'reachable', reachable, 'agent', agent, 'streams', upstream IS NOT NULL)"
							   " ORDER BY node), '[]') FROM pgha_cluster()", NULL);
	char	   *recovering = rows == NULL ? NULL : pgha_client_query(conn, "SELECT pg_is_in_recovery()::text", NULL, LIMIT_MS);
	char	   *former = NULL;
	int			code = EXIT_ERROR;

	if (recovering != NULL && strcmp(recovering, "true") == 0)
		pgha_error(stderr, "See \"pgha status\".", "no primary can be reached");
	else if (recovering != NULL && all_present(rows, options->force))
	{
		code = restart_standbys(options, &conn, rows);
		if (code == EXIT_OK && count_members(rows) == 1)
			code = restart_server(options, &conn);
		else if (code == EXIT_OK)
			code = pgha_move_primary(options, NULL, &conn, &former);
		if (code == EXIT_OK && former != NULL)
			code = pgha_await_streaming(options, &conn, former);
	}
	free(former);
	free(recovering);
	json_decref(rows);
	if (conn != NULL)
		PQfinish(conn);
	return code;
}

int
pgha_restart_main(int argc, char **argv)
{
	PghaClientOptions options;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_NODE | PGHA_OPTION_TIMEOUT | PGHA_OPTION_ROLLING | PGHA_OPTION_FORCE, &options))
		return EXIT_USAGE;
	if (options.rolling && options.node != NULL)
		return pgha_usage_error(argv[0], "--rolling restarts all servers, and takes no node");
	if (options.force && !options.rolling)
		return pgha_usage_error(argv[0], "--force is for --rolling");
	options.acts = "pgha_restart(text)";
	pgha_heed_interrupts();
	return options.rolling ? restart_all(&options) : restart_one(&options);
}
