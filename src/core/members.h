/*
 * members.h
 *		What the members say: who counts, who is silent, who leads.
 *
 * Questions about the members, and the places where what they say is taken in.
 */
#ifndef PGHA_CORE_MEMBERS_H
#define PGHA_CORE_MEMBERS_H

#include "actions.h"

/* Index of a member's name, or PGHA_NOBODY. */
extern int	pgha_find_member(const PghaNode *node, const char *name);

/* The member whose history the WAL here belongs to; never the node itself. */
extern int	pgha_known_leader(const PghaNode *node);

/*
 * Is this the report of a member of our own cluster?  Members of another
 * system are shown, but count for nothing.
 */
extern bool pgha_counts(const PghaNode *node, const PghaMember *member);

/* How long has a member not answered in any way? */
extern pgha_time pgha_silence(const PghaNode *node, const PghaMember *member, pgha_time now);

/* Is WAL received from a server that was a primary when last heard? */
extern bool pgha_received_in_time(const PghaNode *node, pgha_time now);

/* What a member that was asked since `since` has to say. */
typedef enum PghaPresence
{
	PGHA_PRESENCE_ANSWERS,		/* its report is of now */
	PGHA_PRESENCE_ABSENT,		/* cannot be counted */
	PGHA_PRESENCE_UNKNOWN		/* may still answer */
} PghaPresence;

extern PghaPresence pgha_presence(const PghaNode *node, const PghaMember *member,
								  pgha_time since, pgha_time now);

/*
 * The member that leads by the greatest claim, if that is not less than the
 * claim whose history is here; PGHA_NOBODY if none is heard of.
 */
extern int	pgha_visible_leader(const PghaNode *node, pgha_time now);

/* Which reason is there, if any, not to manage this node? */
extern PghaPassive pgha_find_passive(const PghaNode *node);

/* Takes in the outcome of a request (PGHA_EV_REPLY). */
extern void pgha_take_reply(PghaStep *step, const PghaEvent *event);

/*
 * Takes new settings.  Members are matched by name, what is known of those
 * that stay is kept.
 */
extern void pgha_node_configure(PghaNode *node, const PghaSettings *settings);

/* ---- what the leader has said of a switchover ---- */

/* The term whose leader is followed. */
extern uint64_t pgha_followed_term(const PghaNode *node);

/* Has that leader said that it has closed its gate for good? */
extern bool pgha_has_let_go(const PghaNode *node);

/* Whom it then was to hand over to; "" if nobody, and from a while after that. */
extern const char *pgha_heir(const PghaNode *node, pgha_time now);

/* ... is it this node, and has it all that was acknowledged? */
extern bool pgha_is_heir(const PghaNode *node, pgha_time now);

/* Is a switchover under way, so that news must not wait? */
extern bool pgha_expects_handover(const PghaNode *node, pgha_time now);

/*
 * The caller asks a member between two steps, without having been told to.  False
 * if it must not, as a request is under way.
 */
extern bool pgha_ask_meanwhile(PghaNode *node, int member, pgha_time now);

#endif							/* PGHA_CORE_MEMBERS_H */
