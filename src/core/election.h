/*
 * election.h
 *		Promotion: candidate, begun, continued, done, given up, by hand.
 *
 * The outcomes of a promotion's actions come back here by way of pgha_step().
 */
#ifndef PGHA_CORE_ELECTION_H
#define PGHA_CORE_ELECTION_H

#include "actions.h"

/* No leader is visible: promote if the rules allow. */
extern void pgha_stand_for_election(PghaStep *step);

/*
 * Members must have been asked since then.  What was heard while this node
 * could not be promoted, or before the old primary was stopped, is too old.
 */
extern pgha_time pgha_candidate_since(const PghaNode *node, pgha_time now);

/*
 * Begins the promotion: the raised term is durable before anything else is
 * done, then receiving ends for good.  The rest follows with the outcomes.
 */
extern void pgha_begin_promotion(PghaStep *step, PghaWhy why);

/* Newest timeline that is known; a promotion goes onto a later one. */
extern uint32_t pgha_newest_timeline(const PghaNode *node);

/* The receiver is stopped: reserve a timeline and promote. */
extern void pgha_continue_promotion(PghaStep *step);

/*
 * The server is out of recovery because this node promoted it; or, not
 * `checked`, it was not promoted, or not as it was to be.
 */
extern void pgha_promotion_done(PghaStep *step, bool checked);

/* The raised term could not be made durable (PGHA_EV_NOT_DURABLE): nothing was begun. */
extern void pgha_promotion_not_durable(PghaStep *step);

/*
 * Should an administrator's pgha_promote(force) be refused?  PGHA_WHY_NONE if
 * not; else the reason.
 */
extern PghaWhy pgha_promote_refusal(const PghaNode *node, bool force, pgha_time now);

#endif							/* PGHA_CORE_ELECTION_H */
