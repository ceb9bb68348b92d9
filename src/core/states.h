/*
 * states.h
 *		States of a node and the words for them.
 */
#ifndef PGHA_STATES_H
#define PGHA_STATES_H

#include "node.h"

typedef enum PghaState
{
	PGHA_STARTING,				/* no decision yet */
	PGHA_PRIMARY,				/* leads */
	PGHA_FENCING,				/* saw a greater claim, is about to restart as a standby */
	PGHA_STANDBY,				/* follows a leader, or looks for one */
	PGHA_CANDIDATE,				/* the primary is missing; may promote if the rules allow */
	PGHA_PROMOTING,
	PGHA_RETURNING,				/* former primary, read-only until it is known who leads */
	PGHA_DIVERGED,				/* needs pg_rewind or a new clone */
	PGHA_PASSIVE,				/* not managed; see PghaPassive */
	PGHA_WITNESS,				/* votes, and has no data */
	PGHA_STATE_COUNT
} PghaState;

typedef struct PghaTransition
{
	PghaState	from;
	PghaState	to;
	const char *when;			/* in words */
} PghaTransition;

/* All transitions that pgha_step() may make; `count` is set to their number. */
extern const PghaTransition *pgha_transitions(int *count);
extern bool pgha_transition_allowed(PghaState from, PghaState to);

extern const char *pgha_state_name(PghaState state);
extern const char *pgha_role_name(PghaRole role);
extern const char *pgha_receiver_name(PghaReceiver receiver);
extern const char *pgha_contact_name(PghaContact contact);
extern const char *pgha_bar_text(PghaBar bar);
extern const char *pgha_passive_text(PghaPassive passive);
extern const char *pgha_action_name(PghaActionType type);

/*
 * The sentence for a reason; "%s" in it, at most once, stands for the name of
 * the member.
 */
extern const char *pgha_reason_text(PghaReason reason);

/* One word for pgha_events().kind. */
extern const char *pgha_reason_kind(PghaReason reason);

#endif							/* PGHA_STATES_H */
