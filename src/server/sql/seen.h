/*
 * seen.h
 *		How far members have replayed, and of when what is known of them is.
 */
#ifndef PGHA_SQL_SEEN_H
#define PGHA_SQL_SEEN_H

#include "postgres.h"

#include "published.h"
#include "rows.h"

/* Where the leader's WAL ends. */
typedef struct PghaLeaderEnd
{
	XLogRecPtr	known;			/* as it said last; 0: not known */
	bool		reachable;		/* ... and it still does */
} PghaLeaderEnd;

/*
 * Finds that out, and puts into a copy of what the monitor published, in which this
 * node has been looked at, what is known of the members' WAL without it: a primary
 * knows what its standbys have confirmed, a standby how far its upstream is.
 */
extern PghaLeaderEnd PghaSeenEnds(PghaPublished *published, bool in_recovery);

/* Is an agent of that member known to be connected, or not?  Only its own server and the primary can say. */
extern bool PghaSeesAgent(const PghaPublished *published, int member, bool in_recovery);

/* The columns of pgha_cluster() from replayed_lsn on. */
extern void PghaPutSeen(PghaRow *row, const PghaPublished *published, int member,
						PghaLeaderEnd leader, bool in_recovery);

/* The columns of pgha_status() from replay_lag_bytes on; all null if nothing was published. */
extern void PghaPutOwnReplay(PghaRow *row, PghaPublished *published, bool in_recovery);

#endif							/* PGHA_SQL_SEEN_H */
