/*
 * client.h
 *		A session with a member's SQL functions, for the subcommands for people.
 */
#ifndef PGHA_CLIENT_H
#define PGHA_CLIENT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "terminal.h"

/* Options a subcommand may take beside those of the connection. */
#define PGHA_OPTION_JSON	1
#define PGHA_OPTION_LIMIT	2
#define PGHA_OPTION_FORCE	4
#define PGHA_OPTION_WATCH	8
#define PGHA_OPTION_COLOR	16
#define PGHA_OPTION_RECOVER 32	/* a node, and a method */
#define PGHA_OPTION_NODE	64	/* a node may be given, in front of the connection */
#define PGHA_OPTION_TIMEOUT 128
#define PGHA_OPTION_ROLLING 256
#define PGHA_OPTION_LOSS	512
#define PGHA_OPTION_WIDE	1024

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
	double		watch;			/* seconds; 0: not asked for */
	PghaColor	color;
	const char *node;
	const char *method;
	int			timeout;		/* seconds */
	bool		rolling;
	bool		accept_loss;
	bool		wide;
} PghaClientOptions;

/* One host, instead of those that the options name. */
typedef struct PghaPlace
{
	const char *host;
	const char *hostaddr;		/* "": to be looked up */
	const char *port;
} PghaPlace;

/* Splits "10.0.3.21:5432" or "[fd00::1]:5432" in place; false if it is neither. */
extern bool pgha_client_split_address(char *address, PghaPlace *place);

/* False after an error message about wrong usage. */
extern bool pgha_client_options(int argc, char **argv, int allowed, PghaClientOptions *options);

/*
 * For a subcommand that has more options than those: the long ones of the
 * connection, for getopt_long(); takes what that has just returned; takes what is
 * not an option, the connection and (PGHA_OPTION_RECOVER, _NODE) a node.  False after an
 * error message about wrong usage.
 */
#define PGHA_CLIENT_LONG_OPTIONS \
		{"host", required_argument, NULL, 'h'}, \
		{"port", required_argument, NULL, 'p'}, \
		{"username", required_argument, NULL, 'U'}, \
		{"dbname", required_argument, NULL, 'd'}
extern bool pgha_client_take_option(char **argv, int letter, PghaClientOptions *options);
extern bool pgha_client_take_arguments(int argc, char **argv, int allowed, PghaClientOptions *options);

/*
 * Connects to a member and makes the extension's functions known to it.  NULL
 * after an error message.
 */
extern PGconn *pgha_client_connect(const PghaClientOptions *options);

/* The same, to one place (NULL: as the options say); messages go to `errors`. */
extern PGconn *pgha_client_try_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors);

/*
 * Gives a session that was made in another way the settings that pgha relies on;
 * those above have them.  False after an error message.
 */
extern bool pgha_client_settle(PGconn *conn, FILE *errors);

/* Can the options be understood at all?  False after an error message. */
extern bool pgha_client_valid(const PghaClientOptions *options);

/*
 * Connects to the primary that the member at `conn` knows, with the same
 * credentials.  NULL if it knows none, or after an error message.
 */
extern PGconn *pgha_client_follow(PGconn *conn, const PghaClientOptions *options, FILE *errors);

/*
 * Connects to the primary, also by way of a standby; if that cannot be done,
 * to the member that the options name.  NULL after an error message.
 */
extern PGconn *pgha_client_connect_primary(const PghaClientOptions *options);

/*
 * Runs a query of one row and one column with an optional text parameter, and
 * returns the value (to be freed), "" for null.  NULL after an error message.
 * limit_ms = 0: for as long as it takes.
 */
extern char *pgha_client_query(PGconn *conn, const char *query, const char *parameter, int limit_ms);

/* The same for a query whose value is JSON. */
extern json_t *pgha_client_query_json(PGconn *conn, const char *query, const char *parameter);

/* The same, with a limit for both and messages to `errors`. */
extern char *pgha_client_try_query(PGconn *conn, const char *query, const char *parameter, int limit_ms, FILE *errors);
extern json_t *pgha_client_try_query_json(PGconn *conn, const char *query, const char *parameter, int limit_ms, FILE *errors);

/* Prints the error of a result as psql does. */
extern void pgha_client_print_error(PGconn *conn, const PGresult *result, FILE *errors);

/* Parses what a server has sent; no text in it can harm a terminal.  NULL: it is no JSON. */
extern json_t *pgha_client_json(const char *text, json_error_t *error);

#endif							/* PGHA_CLIENT_H */
