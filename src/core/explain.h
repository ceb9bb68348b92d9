/*
 * explain.h
 *		What would happen if the primary were lost now.
 *
 * Questions only, for people: nothing changes by asking them, and nothing is
 * decided by the answers.
 */
#ifndef PGHA_CORE_EXPLAIN_H
#define PGHA_CORE_EXPLAIN_H

#include "state.h"

typedef enum PghaLossKind
{
	PGHA_LOSS_KILLED,			/* its host refuses connections */
	PGHA_LOSS_SILENT			/* nothing is heard of it: host dead, frozen, or cut off */
} PghaLossKind;

/* One member or witness, after the loss. */
typedef struct PghaProspect
{
	PghaWhy		why;			/* why it would not lead; PGHA_WHY_NONE: it would */
	bool		voter;
	PghaWhy		refusal;		/* of a voter: why it would not vote for PghaOutlook.best */
	pgha_lsn	lacks;			/* of the primary's WAL as last heard */
} PghaProspect;

typedef struct PghaOutlook
{
	int			leader;			/* who is lost; PGHA_NOBODY: no leader is known */
	bool		lost;			/* it is already */
	bool		by_votes;		/* quorum is in force */
	int			elected;		/* who leads next, or PGHA_NOBODY */
	int			best;			/* the same, or who would if it got the votes */
	pgha_time	wait;			/* until its election, or its promotion, begins */
	bool		safe;			/* it has every commit that standbys confirmed */
	bool		stops_old;		/* with pgha.fence: the instance of the old one is stopped first */
	int			voters;
	int			needed;
	int			votes;			/* for `best`, its own included */
	PghaProspect member[PGHA_MAX_MEMBERS];
} PghaOutlook;

/*
 * `node` is a copy of what a monitor knows, and is changed: what this node says of
 * itself at the moment, `own`, is taken in.  What others know is taken to be what
 * is known here.  `scratch` is overwritten.
 */
extern void pgha_foresee(PghaNode *node, const PghaReport *own, PghaLossKind kind, pgha_time now,
						 PghaNode *scratch, PghaOutlook *outlook);

#endif							/* PGHA_CORE_EXPLAIN_H */
