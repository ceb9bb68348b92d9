/*
 * pause.h
 *		Is failover paused?  What the agent knows of it while its server is down.
 */
#ifndef PGHA_PAUSE_H
#define PGHA_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "../host/conf.h"

typedef enum PghaPaused
{
	PGHA_PAUSED_NO,
	PGHA_PAUSED_YES,
	PGHA_PAUSED_UNKNOWN			/* to be handled as YES wherever something would begin by itself */
} PghaPaused;

/* A member has said so; the one said later in the cluster's life counts. */
extern void pgha_pause_heard(bool paused, uint64_t generation);

/* What members have said is no longer known to hold. */
extern void pgha_pause_forget(void);

/* By what the own server has left behind, and what members have said since it went down. */
extern PghaPaused pgha_pause_while_down(const PghaAgentConf *conf);

#endif							/* PGHA_PAUSE_H */
