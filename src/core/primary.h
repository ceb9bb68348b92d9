/*
 * primary.h
 *		Out of recovery: lead, or give up to a greater claim.
 */
#ifndef PGHA_CORE_PRIMARY_H
#define PGHA_CORE_PRIMARY_H

#include "actions.h"

/*
 * The member that holds a claim greater than this primary's, or PGHA_NOBODY.
 * Claims of one term are compared only when both leaders know where they
 * forked off.
 */
extern int	pgha_greater_claim(const PghaNode *node);

/* A voter of a cluster whose leaders are elected, which this node knows nothing of: it is none of them.  Or PGHA_NOBODY. */
extern int	pgha_other_rule(const PghaNode *node);

/* This server gives up its role, durably, and restarts as a standby. */
extern void pgha_fence_self(PghaStep *step, PghaWhy why);

/* This server leads; durable.claim is its own. */
extern void pgha_lead(PghaStep *step, PghaWhy why);

/*
 * Under quorum: this server was elected in the term `won`, and its promotion is
 * checked; or it goes on to lead in the term of its claim.  Either way the gate
 * waits for a lease and for the rule.
 */
extern void pgha_take_office(PghaStep *step, PghaWhy why);
extern void pgha_lead_by_votes(PghaStep *step, PghaWhy why);

/* The decision of a server out of recovery, once a step. */
extern void pgha_primary_side(PghaStep *step);

#endif							/* PGHA_CORE_PRIMARY_H */
