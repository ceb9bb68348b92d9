/*
 * fencing.h
 *		The old primary's instance is stopped first (pgha.fence).
 *
 * Not to be confused with fencing oneself, which is primary.c's.
 */
#ifndef PGHA_CORE_FENCING_H
#define PGHA_CORE_FENCING_H

#include "actions.h"

/* With pgha.fence: must the old primary's instance be off before this node may lead? */
extern bool pgha_needs_stop(const PghaNode *node);

/*
 * With pgha.fence: has this node, which led last, yet to hear a member that may have
 * taken over?  PGHA_WHY_NONE if not, or without pgha.fence.
 */
extern PghaWhy pgha_may_lead_unheard(const PghaNode *node);

/* Why that instance could not be stopped; PGHA_WHY_NONE if it could. */
extern PghaReason pgha_stop_obstacle(const PghaNode *node);

/* Was the member's instance stopped just now, and is nothing heard of it since? */
extern bool pgha_is_stopped(const PghaNode *node, int member, pgha_time now);

/*
 * Nothing else stands in the way of this node's promotion.  False if the old
 * primary might still acknowledge commits: then its instance is stopped first,
 * and the node's state says what is waited for.
 */
extern bool pgha_old_primary_is_off(PghaStep *step, PghaWhy loss);

/* Takes in the outcome of a stop (PGHA_EV_OLD_STOPPED). */
extern void pgha_take_old_stopped(PghaStep *step, const PghaEvent *event);

/* Takes a stop that is under way back. */
extern void pgha_forget_stop(PghaStep *step);

/* A leader is there: what was tried to replace the former one is of no account any more. */
extern void pgha_forget_attempts(PghaNode *node);

#endif							/* PGHA_CORE_FENCING_H */
