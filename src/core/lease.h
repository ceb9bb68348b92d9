/*
 * lease.h
 *		The leader's lease, and the deadline of its gate.
 *
 * A leader's part of quorum.md, 4 L; what a voter promises is ballot.c's.
 */
#ifndef PGHA_CORE_LEASE_H
#define PGHA_CORE_LEASE_H

#include "actions.h"

/* A member has answered: does it promise on a beat of this leader's (L1)? */
extern void pgha_take_echo(PghaStep *step, int member);

/* L2: until when a majority of the rule's voters has promised to follow nobody else; 0: it has not. */
extern pgha_time pgha_lease_under(const PghaNode *node, const PghaVotingRule *rule, pgha_time now);

/* How often this leader publishes a beat. */
extern pgha_time pgha_beat_interval(const PghaNode *node);

/* Publishes the next beat if it is time to. */
extern void pgha_beat(PghaStep *step);

/* A member that leads in a later term and knows of no votes (an older version): beside it no commits; or PGHA_NOBODY. */
extern int	pgha_unelected(const PghaNode *node);

/* Until when the gate is open, if it is, unless it is pushed on before; absolute. */
extern void pgha_set_deadline(PghaStep *step, pgha_time until);

/* Opens, moves on or shuts the gate of a leader under quorum, once a step. */
extern void pgha_hold_gate(PghaStep *step);

/* Since when has this leader had no lease?  0 if it has one. */
extern pgha_time pgha_lease_missed(PghaStep *step);

#endif							/* PGHA_CORE_LEASE_H */
