/*
 * connection.h
 *		Connections to servers, and questions asked there, for the subcommands for people.
 */
#ifndef PGHA_CONNECTION_H
#define PGHA_CONNECTION_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "options.h"

typedef enum PghaFailure
{
	PGHA_NOT_REACHED,			/* nobody answers, or only to say that it starts or stops */
	PGHA_REFUSED,				/* a server answers, and does not let us in */
	PGHA_FAILED_OTHERWISE
} PghaFailure;

/* One host, instead of those that the options name. */
typedef struct PghaPlace
{
	const char *host;
	const char *hostaddr;		/* "": to be looked up */
	const char *port;
} PghaPlace;

/* Splits "10.0.3.21:5432" or "[fd00::1]:5432" in place; false if it is neither. */
extern bool pgha_client_split_address(char *address, PghaPlace *place);

/* Is it a connection string or a URI?  Else it is a word. */
extern bool pgha_is_conninfo(const char *text);

/*
 * Connects to where the options say, or to the place, and makes the extension's
 * functions known to the session.  NULL, with *failure, after an error message.
 */
extern PGconn *pgha_connection_open(const PghaClientOptions *options, const PghaPlace *place, PghaFailure *failure, FILE *errors);

/* Do the options name several hosts? */
extern bool pgha_connection_has_hosts(const PghaClientOptions *options);

/* Connects to the one of several hosts that is a primary; NULL if there is none. */
extern PGconn *pgha_connection_open_primary(const PghaClientOptions *options, FILE *nowhere);

/*
 * Gives a session that was made in another way the settings that pgha relies on;
 * those above have them.  False after an error message.
 */
extern bool pgha_client_settle(PGconn *conn, FILE *errors);

/* Can the options be understood at all?  False after an error message. */
extern bool pgha_connection_valid(const PghaClientOptions *options);

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

/*
 * Is the session in order after a query that has failed, so that the next one may go
 * through?  Who has cancelled a query asks again then: the postmaster signals the
 * process and its group (signal_child() in postmaster.c), and the second signal may
 * meet the query after it.
 */
extern bool pgha_client_may_ask_again(PGconn *conn);

/* Prints the error of a result as psql does. */
extern void pgha_client_print_error(PGconn *conn, const PGresult *result, FILE *errors);

/* Parses what a server has sent; no text in it can harm a terminal.  NULL: it is no JSON. */
extern json_t *pgha_client_json(const char *text, json_error_t *error);

#endif							/* PGHA_CONNECTION_H */
