/*
 * pgpool.h
 *		Telling pgpool-II who is primary and who is back, over PCP.
 */
#ifndef PGHA_AGENT_PGPOOL_H
#define PGHA_AGENT_PGPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../host/conf.h"

/*
 * Starts, when it is time and the own server is the primary, a process that asks
 * that server who is what, makes every pgpool of pgha.pgpool agree with it, and
 * ends.  It ends by itself within about a minute, and says in the log what it did
 * and, once in a while, what it could not do.  `now` is pgha_clock_ms().
 */
extern void pgha_pgpool_tend(const PghaAgentConf *configuration, bool is_primary, int64_t now);

/* Something has changed that pgpool may have to be told. */
extern void pgha_pgpool_soon(void);

/* A process of the agent's has ended, maybe this one; `status` is wait's. */
extern void pgha_pgpool_ended(pid_t pid, int status);

#endif							/* PGHA_AGENT_PGPOOL_H */
