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

/*
 * B4: may this node stream from a member that does not lead, to get WAL that it lacks
 * to be elected?  It is WAL of the leader that both support, which is missing; the
 * claims say that one is the beginning of the other; and no leader takes what is
 * received from a standby for a confirmation.
 */
extern bool pgha_may_fetch_from(const PghaNode *node, int member, pgha_time now);

/* Whose WAL, if it were here, would let this node be elected; PGHA_NOBODY if that is not what it lacks. */
extern int	pgha_find_source(const PghaNode *node, pgha_time now);

/* When time alone changes what is decided next in an election; 0: nothing is waited for. */
extern pgha_time pgha_election_due(const PghaNode *node, pgha_time now);

#endif							/* PGHA_CORE_CANDIDACY_H */
