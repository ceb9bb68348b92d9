/*
 * pgpool.h
 *		Telling pgpool-II who is primary and who is back, over PCP.
 */
#ifndef PGHA_AGENT_PGPOOL_H
#define PGHA_AGENT_PGPOOL_H

#include <sys/types.h>

#include "../host/conf.h"

/* How the process ends. */
#define PGHA_PGPOOL_AGREES	0	/* all of them do */
#define PGHA_PGPOOL_LATER	1	/* one was told something, or the own server not yet sure: look again soon */
#define PGHA_PGPOOL_FAILED	2	/* one could not be reached, or refused */

/*
 * Starts a process that asks the own server, which must be the primary, who is
 * what, makes every pgpool of pgha.pgpool agree with that, and ends.  It ends by
 * itself within about a minute, and says on stderr what it did and, once in a
 * while, what it could not do.  -1 with errno set.
 */
extern pid_t pgha_pgpool_tell(const PghaAgentConf *conf);

#endif							/* PGHA_AGENT_PGPOOL_H */
