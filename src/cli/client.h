/*
 * client.h
 *		Which server a subcommand means, and a session with it.
 */
#ifndef PGHA_CLIENT_H
#define PGHA_CLIENT_H

#include "connection.h"
#include "options.h"

/* False after an error message about wrong usage. */
extern bool pgha_client_options(int argc, char **argv, int allowed, PghaClientOptions *options);

/*
 * For a subcommand that has more options than those: the long ones of the
 * connection, for getopt_long(); takes what that has just returned; takes what is
 * not an option, the connection and a node, and finds the cluster of this host if that
 * is meant: as root this process becomes its owner then.  False after an error message
 * about wrong usage.
 */
#define PGHA_CLIENT_LONG_OPTIONS \
		{"host", required_argument, NULL, 'h'}, \
		{"port", required_argument, NULL, 'p'}, \
		{"username", required_argument, NULL, 'U'}, \
		{"dbname", required_argument, NULL, 'd'}, \
		{"pgdata", required_argument, NULL, 'D'}, \
		{"config", required_argument, NULL, 'c'}, \
		{"cluster", required_argument, NULL, 'K'}
#define PGHA_CLIENT_SHORT_OPTIONS ":h:p:U:d:D:c:"
extern bool pgha_client_take_option(char **argv, int letter, PghaClientOptions *options);
extern bool pgha_client_take_arguments(int argc, char **argv, int allowed, PghaClientOptions *options);

/* The same in two steps: what was typed; and the files of this host, which may keep us waiting.  Then messages go to `errors`. */
extern bool pgha_client_parse_arguments(int argc, char **argv, int allowed, PghaClientOptions *options);
extern bool pgha_client_find_local(int allowed, PghaClientOptions *options, FILE *errors);

/*
 * Connects to a member and makes the extension's functions known to it.  NULL
 * after an error message.
 */
extern PGconn *pgha_client_connect(const PghaClientOptions *options);

/* The same, to one place (NULL: as the options say); messages go to `errors`. */
extern PGconn *pgha_client_try_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors);

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

#endif							/* PGHA_CLIENT_H */
