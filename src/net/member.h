/*
 * member.h
 *		A blocking session with a member, as the agent's role: connect, ask for
 *		one value.
 */
#ifndef PGHA_MEMBER_H
#define PGHA_MEMBER_H

#include <stddef.h>

#include <libpq-fe.h>

#include "../common/conninfo.h"

/* A server that has gone without a word must not hold us, or what we run, up. */
#define PGHA_MEMBER_TCP	"connect_timeout=10 tcp_user_timeout=20000 keepalives_idle=5 keepalives_interval=5 keepalives_count=3"

/*
 * Connects to a member, within some seconds; `shared` is pgha.conninfo.  `extra`
 * replaces the parameters that keep each query within a minute; NULL: those.
 * NULL with a sentence in `error`.
 */
extern PGconn *pgha_member_connect(const char *shared, const PghaAddress *member, const char *extra,
								   char *error, size_t error_size);

/* Value of a query of one row and one column (to be freed; "" for null or no row), or NULL with the error. */
extern char *pgha_member_query(PGconn *conn, const char *query, const char *parameter,
							   char *error, size_t error_size);

#endif							/* PGHA_MEMBER_H */
