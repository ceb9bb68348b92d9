/*
 * keeper.h
 *		The process beside the agent that keeps pgha.address where the primary is.
 */
#ifndef PGHA_KEEPER_H
#define PGHA_KEEPER_H

#include <stdint.h>
#include <sys/types.h>

#include "../host/conf.h"

typedef enum PghaLead
{
	PGHA_LEAD_UNKNOWN,			/* nothing is done */
	PGHA_LEAD_NO,				/* the own server does not lead: the address is given up */
	PGHA_LEAD_YES				/* it does, or is being promoted: the address is taken, and kept */
} PghaLead;

/*
 * Starts the keeper, or starts it anew if it has ended or its settings have
 * changed.  Call it in every round of the agent's loop; it costs nothing then.
 * Without pgha.address there is no keeper.
 */
extern void pgha_keeper_tend(const PghaAgentConf *conf);

/*
 * Tells what the agent knows, and when it asked the own server
 * (pgha_clock_ms()).  An address is only taken on news that is not older
 * than pgha.failure_timeout.
 */
extern void pgha_keeper_tell(PghaLead lead, int64_t asked_at);

/* The own server has come up, and knows nothing of this host yet. */
extern void pgha_keeper_tell_again(void);

/* A child has been reaped: was it the keeper, or what stopped an instance? */
extern bool pgha_keeper_ended(pid_t pid);

/*
 * Has the EC2 instance of a former primary stopped, in a process of its own that
 * tells the own server the outcome by pgha_agent_done().  The order that is being
 * carried out is not begun again; another one takes its place.  False: could not
 * start it.
 */
extern bool pgha_keeper_stop_instance(const PghaAgentConf *conf, int64_t order_id, const char *instance_id);

#endif							/* PGHA_KEEPER_H */
