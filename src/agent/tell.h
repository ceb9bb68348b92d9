/*
 * tell.h
 *		Calls of the extension's functions on the own server, by the agent's helpers.
 */
#ifndef PGHA_TELL_H
#define PGHA_TELL_H

#include <libpq-fe.h>

#include "../host/conf.h"

typedef enum PghaTold
{
	PGHA_TOLD,
	PGHA_NOT_TOLD,				/* the server is down, silent, or lets nobody in now */
	PGHA_TOLD_OFF				/* it answers, but refuses: only an administrator can mend that */
} PghaTold;

/*
 * Calls `function` ("pgha_agent_done($1::bigint, …)") with text values, NULL for
 * null.  Blocks, for a few seconds at most, whatever the server does: one that is
 * frozen must not hold up what has to be done to the address.  Unless PGHA_TOLD,
 * `error` is a sentence.
 */
extern PghaTold pgha_tell_own_server(const PghaAgentConf *conf, const char *function,
									 int count, const char *const *values,
									 char *error, size_t error_size);

/*
 * Runs a query on the own server, with the extension's schema in the place of each
 * "@"; blocks like the other.  NULL if no answer came in time, or an error.
 */
extern PGresult *pgha_ask_own_server(const PghaAgentConf *conf, const char *query);

#endif							/* PGHA_TELL_H */
