/*
 * notified.h
 *		What pgha.notify_command was told of: the file `notified` in the agent's
 *		directory.
 */
#ifndef PGHA_NOTIFIED_H
#define PGHA_NOTIFIED_H

#include <stdint.h>

#include "../host/conf.h"

/* The members, witnesses and some former ones. */
#define PGHA_NOTIFIED_NODES		64

typedef struct PghaNotified
{
	int64_t		since;			/* nothing of before is told; microseconds since the epoch, as all ids */
	int64_t		leads_since;	/* when this node was first seen to be the primary; 0: it is not */
	int			count;
	struct
	{
		char		name[PGHA_NAME_SIZE];
		int64_t		id;			/* of its last event that was told, or is not to be */
	}			node[PGHA_NOTIFIED_NODES];
	int64_t		job;			/* the last recovery told of */
	char		outcome[16];	/* what of it: "begun", or how it ended */
	uint64_t	failure;		/* which one, if it has failed */
	int			dropped;		/* were not told, and that was not told yet */
} PghaNotified;

/* Reads the file.  False if there is none that can be used: then it begins now. */
extern bool pgha_notified_read(const PghaAgentConf *conf, PghaNotified *notified, int64_t now_us);

/* Writes it, durably.  False with errno. */
extern bool pgha_notified_write(const PghaAgentConf *conf, const PghaNotified *notified);

/* Id of the last event of a node that need not be told any more. */
extern int64_t pgha_notified_up_to(const PghaNotified *notified, const char *node);

/* Up to this one they need not. */
extern void pgha_notified_pass(PghaNotified *notified, const char *node, int64_t id);

#endif							/* PGHA_NOTIFIED_H */
