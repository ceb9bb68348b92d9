/*
 * setup_server.h
 *		PostgreSQL's programs and its server, for the commands that set up a node.
 */
#ifndef PGHA_CLI_SETUP_SERVER_H
#define PGHA_CLI_SETUP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

#include "../host/conf.h"

#define PGHA_SETUP_LIMIT_MS		60000

/* From now on SIGINT, SIGTERM and SIGHUP only make the next one true, also for PghaRun.cancelled. */
extern void pgha_setup_catch_signals(void);
extern bool pgha_setup_interrupted(void *arg);

/* What is set for other sessions must not lead to another server, nor must one that is started here begin with it. */
extern void pgha_setup_forget_environment(void);

/* PostgreSQL's programs stand beside this one; fills conf->bin. */
extern bool pgha_setup_find_programs(PghaAgentConf *conf, char *error, size_t error_size);

/*
 * Runs initdb for `data`, with the options that all have and more (NULL ends
 * them).  *ours: the directory may hold what it has made; one that ends with an
 * error has cleaned up itself.
 */
extern bool pgha_setup_initdb(const PghaAgentConf *conf, const char *data, const char *const *more, bool *ours,
							  char *error, size_t error_size);

/* What the files say of a setting, the server running or not (`postgres -C`); false if they cannot be read. */
extern bool pgha_setup_setting(const PghaAgentConf *conf, const char *name, char *value, size_t size,
							   char *error, size_t error_size);

/* Start and stop, with a limit. */
extern bool pgha_setup_start(const PghaAgentConf *conf, char *error, size_t error_size);
extern bool pgha_setup_stop(const PghaAgentConf *conf, char *error, size_t error_size);

/* A session as the owner of the server, through its socket; NULL with a sentence in `error`. */
extern PGconn *pgha_setup_connect(const char *sockets, int port, char *error, size_t error_size);

extern bool pgha_setup_execute(PGconn *conn, const char *query, char *error, size_t error_size);

/* The value of a query of one row and column; "" for null or no row. */
extern bool pgha_setup_value(PGconn *conn, const char *query, const char *parameter, char *value, size_t size,
							 char *error, size_t error_size);

/*
 * Makes the role (or gives it, `exists`, the password); its password is known to
 * the server only as a verifier.  Empty: none.
 */
extern bool pgha_setup_role(PGconn *conn, const char *user, const char *password, bool exists,
							char *error, size_t error_size);

#endif							/* PGHA_CLI_SETUP_SERVER_H */
