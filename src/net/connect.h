/*
 * connect.h
 *		Connections whose notices are seen by nobody as the server has sent them.
 */
#ifndef PGHA_CONNECT_H
#define PGHA_CONNECT_H

#include <stdio.h>

#include <libpq-fe.h>

/*
 * As PQconnectdbParams() with expand_dbname; what the server says meanwhile is
 * put, cleaned, to `notices`, and later to stderr.  NULL: it is dropped, always.
 */
extern PGconn *pgha_connect_quietly(const char *const *keywords, const char *const *values, int expand_dbname, FILE *notices);

/* For a connection that PQconnectStart() has begun: its notices are dropped. */
extern void pgha_drop_notices(PGconn *conn);

/*
 * Begin a connection as PQconnectStart() and PQconnectStartParams() do, without a
 * word on stderr: libpq says there at each attempt that a password file is not private
 * (common/passfile.h says it once).
 */
extern PGconn *pgha_connect_start(const char *conninfo);
extern PGconn *pgha_connect_start_params(const char *const *keywords, const char *const *values, int expand_dbname);

#endif							/* PGHA_CONNECT_H */
