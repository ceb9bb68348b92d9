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

#endif							/* PGHA_CONNECT_H */
