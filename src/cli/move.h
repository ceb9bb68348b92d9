/*
 * move.h
 *		Moving the primary, and waiting for members, for those who restart or hand over.
 */
#ifndef PGHA_MOVE_H
#define PGHA_MOVE_H

#include "client.h"

/* Ctrl-C was pressed; a second one ends the program. */
extern bool pgha_interrupted(void);
extern void pgha_heed_interrupts(void);

/* The name of the node at `conn`; "" after an error message.  Good until the next call. */
extern const char *pgha_client_node(PGconn *conn);

/* The address that `conn` knows the member by, as text to be freed; NULL after an error message. */
extern char *pgha_address_of(PGconn *conn, const char *node);

/* Connects to an address of pgha_cluster(); NULL after a message to `errors`. */
extern PGconn *pgha_connect_address(const PghaClientOptions *options, const char *address, FILE *errors);

/*
 * Asks the server there, until `deadline` (pgha_awake_ms()), a question of one
 * boolean; connects as often as need be.  False if it was not true in time, or
 * Ctrl-C was pressed.  *conn: a session with it, or NULL; closed when it is lost.
 */
extern bool pgha_await_true(const PghaClientOptions *options, const char *address, PGconn **conn,
							const char *query, const char *parameter, long long deadline);

/*
 * Hands the lead over from the primary at *primary to options->node, or to the best,
 * and tells how it went.  Returns an exit code.  *primary is closed, or in its place
 * is a session with the new primary, and *former is the name of the old one (to be
 * freed).
 */
extern int	pgha_move_primary(const PghaClientOptions *options, const char *target, PGconn **primary, char **former);

/* Waits until the node streams from the primary at `conn`; EXIT_OK, or EXIT_LATE after a message. */
extern int	pgha_await_streaming(const PghaClientOptions *options, PGconn **conn, const char *node);

#endif							/* PGHA_MOVE_H */
