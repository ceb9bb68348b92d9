/*
 * actions.h
 *		The only way out of the core: actions, events, states, the gate, requests.
 *
 * One step under way is passed from room to room; whoever has it may act.
 */
#ifndef PGHA_CORE_ACTIONS_H
#define PGHA_CORE_ACTIONS_H

#include "state.h"

/* One step under way. */
typedef struct PghaStep
{
	PghaNode   *node;
	pgha_time	now;
	PghaActions *actions;
} PghaStep;

/* Adds an action, without a member; the caller fills in what else it needs. */
extern PghaAction *pgha_act(PghaStep *step, PghaActionType type);

/* How far the leader's WAL reaches, as far as this node knows; 0: it does not. */
extern pgha_lsn pgha_end_of_leader(const PghaNode *node);

/* Tells the log and pgha_events(). */
extern void pgha_tell(PghaStep *step, PghaWhy why);

/*
 * Enters a state, or stays in it for another reason.  The bar and the passive
 * reason that are shown with it are the node's present ones.
 */
extern void pgha_enter(PghaStep *step, PghaState state, PghaWhy why);

/* Nothing is done if the gate is so already. */
extern void pgha_close_gate(PghaStep *step);
extern void pgha_open_gate(PghaStep *step);

/*
 * Asks each member whose turn it is.  `interval` is the usual one or the
 * urgent one; a member that was not asked since `since` is asked at once.
 */
extern void pgha_ask_members(PghaStep *step, pgha_time interval, pgha_time since);

/* Leaves the upstream, and ends a receiver that runs; nothing is done if there is neither. */
extern void pgha_unfollow(PghaStep *step);

#endif							/* PGHA_CORE_ACTIONS_H */
