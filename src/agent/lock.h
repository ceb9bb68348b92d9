/*
 * lock.h
 *		One agent for each data directory, run by the user of the server.
 */
#ifndef PGHA_AGENT_LOCK_H
#define PGHA_AGENT_LOCK_H

#include <stdbool.h>

#include "conf.h"

/*
 * Makes conf->directory and locks it, for as long as this process lives.  False,
 * with an error written to stderr, if another agent has it, or this user may not.
 */
extern bool pgha_agent_may_run(const PghaAgentConf *conf);

#endif							/* PGHA_AGENT_LOCK_H */
