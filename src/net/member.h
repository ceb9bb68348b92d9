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
#include "session_settings.h"

/* A server that has gone without a word must not hold us, or what we run, up. */
#define PGHA_MEMBER_SILENCE	"connect_timeout=10 tcp_user_timeout=20000 keepalives_idle=5 keepalives_interval=5 keepalives_count=3 "

/* The same for the programs that we run, which have no limits of time otherwise. */
#define PGHA_MEMBER_TCP	PGHA_MEMBER_SILENCE PGHA_SESSION_PARAMETERS("")

/* Room for a connection string with all that is added here. */
#define PGHA_MEMBER_CONNINFO_SIZE	(PGHA_CONNINFO_SIZE + 2048)

/*
 * Connects to a member, within some seconds, and with settings that hold whatever
 * the server's are; `shared` is pgha.conninfo.  `extra`: parameters that are
 * added, or replace those; may be NULL.  NULL with a sentence in `error`.
 */
extern PGconn *pgha_member_connect(const char *shared, const PghaAddress *member, const char *extra,
								   char *error, size_t error_size);

/* Value of a query of one row and one column (to be freed; "" for null or no row), or NULL with the error. */
extern char *pgha_member_query(PGconn *conn, const char *query, const char *parameter,
							   char *error, size_t error_size);

#endif							/* PGHA_MEMBER_H */
