/*
 * client.h
 *		A session with a member's SQL functions, for the subcommands for people.
 */
#ifndef PGHA_CLIENT_H
#define PGHA_CLIENT_H

#include <stdbool.h>

#include <jansson.h>
#include <libpq-fe.h>

/* Options a subcommand may take beside those of the connection. */
#define PGHA_OPTION_JSON	1
#define PGHA_OPTION_LIMIT	2
#define PGHA_OPTION_FORCE	4

typedef struct PghaClientOptions
{
	const char *conninfo;		/* NULL, like the others: not given */
	const char *host;
	const char *port;
	const char *user;
	const char *dbname;
	bool		json;
	bool		force;
	int			limit;
} PghaClientOptions;

/* False after an error message about wrong usage. */
extern bool pgha_client_options(int argc, char **argv, int allowed, PghaClientOptions *options);

/*
 * Connects to a member and makes the extension's functions known to it.  NULL
 * after an error message.
 */
extern PGconn *pgha_client_connect(const PghaClientOptions *options);

/*
 * Runs a query of one row and one column with an optional text parameter, and
 * returns the value (to be freed), "" for null.  NULL after an error message.
 * limit_ms = 0: for as long as it takes.
 */
extern char *pgha_client_query(PGconn *conn, const char *query, const char *parameter, int limit_ms);

/* The same for a query whose value is JSON. */
extern json_t *pgha_client_query_json(PGconn *conn, const char *query, const char *parameter);

#endif							/* PGHA_CLIENT_H */
