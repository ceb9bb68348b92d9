/*
 * pcp.h
 *		Telling pgpool-II who is primary and who is back, over PCP.
 */
#ifndef PGHA_PCP_H
#define PGHA_PCP_H

#include <sys/types.h>

#include "agent_conf.h"

/*
 * Starts a process that asks the own server, which must be the primary, who is
 * what, makes every pgpool of pgha.pgpool agree with that, and ends: with 0 if
 * all agree, 1 if not (to be tried again).  It ends by itself within a minute,
 * and says on stderr what it did or could not do.  -1 with errno set.
 */
extern pid_t pgha_pgpool_tell(const PghaAgentConf *conf);

#endif							/* PGHA_PCP_H */
