/*
 * join_fetch.h
 *		What a new node has to know of its cluster, by one login.
 */
#ifndef PGHA_CLI_JOIN_FETCH_H
#define PGHA_CLI_JOIN_FETCH_H

#include "setup_node.h"

typedef struct PghaJoin
{
	PghaSetup	setup;
	const char *from;			/* as given */
	const char *address;		/* likewise; may be NULL */
	bool		replace_data;
	bool		witness;		/* it is to be one, and no member */

	PghaAddress primary;
	bool		adds;			/* the node is not on the list yet */
	bool		added;
	bool		forbidden;		/* the members' role may not add it */
	bool		runs;			/* a node of that name answers */
	char		own[PGHA_HOST_SIZE + 32];	/* its address as it is written in the list */
	char		time[32];
} PghaJoin;

/*
 * Logs in where --from says, finds the primary, and takes from there what is the
 * same on all nodes.  False with the reason in setup.error.
 */
extern bool pgha_join_fetch(PghaJoin *join);

#endif							/* PGHA_CLI_JOIN_FETCH_H */
