/*
 * slots.h
 *		The replication slots that every node keeps for the other members.
 */
#ifndef PGHA_SLOTS_H
#define PGHA_SLOTS_H

#include "postgres.h"

#include "../core/node.h"

/* What a member may still ask for. */
typedef struct PghaMemberNeed
{
	bool		known;			/* it has reported */
	bool		follows;		/* the same leader as this node, or this one: its WAL is a part of that history */
	pgha_lsn	lsn;			/* end of its WAL; of a diverged one, the fork */
} PghaMemberNeed;

/* Called while shared_preload_libraries are loaded. */
extern void PghaSlotsInit(void);

/*
 * Brings the slots in line with the members and what they need (need[i] is
 * member i's).  Returns the members that a slot exists for, bit i for member i.
 * Never throws.  The caller holds no LWLock.
 */
extern uint32 PghaSlotsMaintain(const PghaSettings *settings, const PghaMemberNeed *need);

#endif							/* PGHA_SLOTS_H */
