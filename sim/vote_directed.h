/*
 * vote_directed.h
 *		Schedules that lead straight to where a rule of quorum.md is needed.
 */
#ifndef SIM_VOTE_DIRECTED_H
#define SIM_VOTE_DIRECTED_H

#include "world.h"

/* Named after the rules that they are for. */
typedef enum SimDirected
{
	DIRECTED_START,
	DIRECTED_WON,
	DIRECTED_FOLLOW,
	DIRECTED_STORE,
	DIRECTED_OPEN,
	DIRECTED_INSTANCE,
	DIRECTED_RECALL,			/* of one that has forgotten its vote */
	DIRECTED_AGE,
	DIRECTED_ELIGIBLE,
	DIRECTED_CATCH_UP,
	DIRECTED_ENOUGH,
	DIRECTED_ONCE,
	DIRECTED_KINDS
} SimDirected;

/* How many members and witnesses it takes. */
extern void sim_directed_cluster(SimDirected kind, int *members, int *witnesses);

/* Directs a healthy cluster.  What does not come about in time is left undone. */
extern void sim_direct(SimWorld *world, SimDirected kind);

#endif							/* SIM_VOTE_DIRECTED_H */
