/*
 * events.h
 *		The event log PGDATA/pgha.events.
 */
#ifndef PGHA_EVENTS_H
#define PGHA_EVENTS_H

#include "postgres.h"

#include "../common/report.h"

/*
 * For the monitor, the only writer.  None of these raises an error: where they
 * return bool, false says that the file could not be used (logged once).
 */

/* Opens or creates the file and reads what is known; `self` is this node's name. */
extern bool PghaEventsOpen(const char *self);

/* Stores an event of this node.  Not durable before PghaEventsSync(). */
extern bool PghaEventsAdd(const char *kind, uint64 term, const char *what);

/* Stores another member's record, unless it is known already. */
extern bool PghaEventsAddRemote(const PghaRecord *record);

/* Id of the newest record known of `node`, 0 if there is none. */
extern uint64 PghaEventsNewest(const char *node);

extern bool PghaEventsSync(void);

/*
 * For any process.
 */

/*
 * All records, oldest first, palloc'd; returns their number.  No file is no
 * records; another failure to read it raises an error.
 */
extern int	PghaEventsRead(PghaRecord **records);

/*
 * The oldest records of node `self` with an id above `since`, oldest first, at
 * most `max`; returns their number.  Does not touch the file when there are
 * none, and raises nothing when it cannot be read.
 */
extern int	PghaEventsSince(const char *self, uint64 since, PghaRecord *out, int max);

#endif							/* PGHA_EVENTS_H */
