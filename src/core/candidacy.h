/*
 * candidacy.h
 *		Standing for election, and being elected.
 *
 * quorum.md, 4 C.  Without quorum election.c promotes without being elected.
 */
#ifndef PGHA_CORE_CANDIDACY_H
#define PGHA_CORE_CANDIDACY_H

#include "actions.h"

/* Under quorum, and no leader is there to follow: stands for election if the rules allow. */
extern void pgha_seek_election(PghaStep *step);

/* Is the leader that this node supports missing?  *why tells in which way, or what keeps it from counting so. */
extern bool pgha_leader_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why);

/* What those who answer say against standing now; PGHA_WHY_NONE if nothing. */
extern PghaWhy pgha_election_objection(const PghaNode *node, pgha_time now);

/* When time alone changes what is decided next in an election; 0: nothing is waited for. */
extern pgha_time pgha_election_due(const PghaNode *node, pgha_time now);

#endif							/* PGHA_CORE_CANDIDACY_H */
