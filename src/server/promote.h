/*
 * promote.h
 *		Promotion onto a reserved timeline.
 */
#ifndef PGHA_PROMOTE_H
#define PGHA_PROMOTE_H

#include "postgres.h"

#include "../core/node.h"

/*
 * Removes placeholder history files that no real one follows: with them a
 * standby would never open.  For the postmaster, before the startup process.
 */
extern void PghaRemovePlaceholders(void);

/*
 * A promotion onto this timeline, by this server, was not finished: its history is
 * removed if nothing was written there.  PostgreSQL would head for a timeline that has
 * a history and no WAL, and ask every leader for it.  For the postmaster, before the
 * startup process.
 */
extern void PghaForgetTimeline(uint32 timeline);

/*
 * A promotion from `parent` was taken back: a timeline that it has begun, and on
 * which nothing was written, is forgotten.  *own_from is where one on which
 * something was written, or may have been, left the parent; 0 if there is none.
 * For the postmaster, before the startup process.
 */
extern void PghaTakeBackTimeline(uint32 parent, const PghaSettings *settings, pgha_lsn *own_from);

/* Greatest timeline that a history file in pg_wal names; 0 if there is none. */
extern uint32 PghaNewestTimeline(void);

/*
 * Reads the history of `timeline` from pg_wal.  False if there is none (always
 * so for timeline 1) or it is damaged.
 */
extern bool PghaReadHistory(uint32 timeline, PghaHistory *history);

/* Where `timeline` left its parent, 0 for timeline 1.  False if that cannot be read. */
extern bool PghaForkOf(uint32 timeline, pgha_lsn *fork);

/* The steps, for the monitor; each outcome is fetched with PghaPromotionPoll(). */
extern void PghaPromotionStopReceiver(pgha_time now);
extern void PghaPromotionStart(uint32 parent, uint32 timeline, pgha_time now);

typedef enum PghaPromotionOutcome
{
	PGHA_PROMOTION_IDLE,		/* nothing under way */
	PGHA_PROMOTION_BUSY,		/* call again in a millisecond */
	PGHA_PROMOTION_STOPPED,		/* the receiver is stopped */
	PGHA_PROMOTION_DONE,		/* out of recovery, on the reserved timeline */
	PGHA_PROMOTION_FAILED		/* out of recovery on another one, or not told to promote at all */
} PghaPromotionOutcome;

extern PghaPromotionOutcome PghaPromotionPoll(pgha_time now);

/* How long each step took, for the log. */
extern void PghaPromotionTimes(char *text, size_t size);

#endif							/* PGHA_PROMOTE_H */
