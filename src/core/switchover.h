/*
 * switchover.h
 *		A leader hands over as planned, and nothing is lost.
 *
 * quorum.md, 6, the leader's part; the target stands for election (candidacy.c).
 */
#ifndef PGHA_CORE_SWITCHOVER_H
#define PGHA_CORE_SWITCHOVER_H

#include "actions.h"

/*
 * Should an administrator's pgha_switchover(target) be refused?  PGHA_WHY_NONE
 * if not; else the reason.  PGHA_NOBODY as the target stands for the best.
 */
extern PghaWhy pgha_switchover_refusal(const PghaNode *node, int target, pgha_time now);

extern void pgha_begin_switchover(PghaStep *step, int target);

/* Goes on with a switchover under way, once a step; nothing is done if there is none. */
extern void pgha_tend_switchover(PghaStep *step);

#endif							/* PGHA_CORE_SWITCHOVER_H */
