/*
 * lists.h
 *		Orders to the members' agents to change a list in their configuration files.
 */
#ifndef PGHA_LISTS_H
#define PGHA_LISTS_H

#include "../agents.h"

/* An agent that is given the order, and what it made of it. */
typedef struct PghaListTarget
{
	char		node[PGHA_NAME_SIZE];
	int64		id;
	bool		answered;
	bool		done;
	char		message[sizeof(((PghaListTask *) 0)->message)]; /* what was done, or why not */
} PghaListTarget;

/* One session at a time gives such orders: raises an error if another one does. */
extern void PghaListsClaim(void);

/* The end of that, also after an error: what no agent has taken yet is not handed out any more. */
extern void PghaListsRelease(int code, Datum arg);

/* Why the agent of `node` cannot be given such an order now; NULL: it can. */
extern const char *PghaListsObstacle(const char *node);

/* Is it connected, or was it a moment ago, so that it will be again? */
extern bool PghaListsExpected(const char *node);

/*
 * Gives the order to the agents of all targets, and waits until each has answered.
 * False if one has refused, or has not answered in time; the targets say which.
 */
extern bool PghaListsOrder(PghaListTarget *target, int count, const char *order);

#endif							/* PGHA_LISTS_H */
