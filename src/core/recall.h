/*
 * recall.h
 *		A voter that does not know what it has voted in.
 */
#ifndef PGHA_CORE_RECALL_H
#define PGHA_CORE_RECALL_H

#include "actions.h"

/* Nothing is remembered: as far as votes go, anything may have been. */
extern void pgha_forget(PghaDurable *durable);

/* The same of the votes alone; what was promised for at the longest is kept. */
extern void pgha_forget_votes(PghaDurable *durable);

/*
 * Is it known by now that nothing is pending that this node may have voted in?  Then
 * it takes part in votes from here on; once a step, before the ballot.  True if so,
 * and the caller makes it durable.
 */
extern bool pgha_recall(PghaStep *step);

/* Whom that waits for: a member; PGHA_NOBODY: one that the rule has and the file has not. */
extern int	pgha_recall_missing(const PghaNode *node);

/*
 * Has this node led in that term without having been elected in it, while others went by votes?
 * True if that is proved by those that answer.
 */
extern bool pgha_was_never_elected(const PghaNode *node, uint64_t term);

/* May a node that waits for that receive from this leader?  Its acknowledgements must not confirm commits. */
extern bool pgha_may_follow_unaware(const PghaNode *node, const PghaReport *leader);

#endif							/* PGHA_CORE_RECALL_H */
