/*
 * switchover.h
 *		A leader hands over as planned, and nothing is lost.
 *
 * quorum.md, 6, the leader's part; the target's is in candidacy.c, or election.c where
 * the members do not vote.
 */
#ifndef PGHA_CORE_SWITCHOVER_H
#define PGHA_CORE_SWITCHOVER_H

#include "actions.h"

/*
 * Should an administrator's pgha_switchover(target) be refused?  PGHA_WHY_NONE
 * if not; else the reason, with the member that it is about.  PGHA_NOBODY as the
 * target stands for the best.
 */
extern PghaWhy pgha_switchover_refusal(const PghaNode *node, int target, pgha_time now);

extern void pgha_begin_switchover(PghaStep *step, int target);

/* Gives one up, unless it is too late for that. */
extern void pgha_call_off_switchover(PghaStep *step);

/*
 * How a server goes down that has given up its role: shut down, or as after a crash.
 * For the latter nobody is needed who starts it again.
 */
extern PghaActionType pgha_way_down(const PghaNode *node);

/* Goes on with a switchover under way, once a step; nothing is done if there is none. */
extern void pgha_tend_switchover(PghaStep *step);

#endif							/* PGHA_CORE_SWITCHOVER_H */
