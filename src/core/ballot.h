/*
 * ballot.h
 *		Support, votes and promises: a voter's part.
 *
 * quorum.md, 4 B, P, E and V; who stands for election is candidacy.c's.
 */
#ifndef PGHA_CORE_BALLOT_H
#define PGHA_CORE_BALLOT_H

#include "actions.h"

/* A node starts: what it promised before is not known any more. */
extern void pgha_begin_voting(PghaNode *node, pgha_time now);

/* A member or witness has answered, or not. */
extern void pgha_hear_voter(PghaStep *step, const PghaEvent *event);

/* Takes in what the reports say of support, votes and rules, and votes; once a step. */
extern void pgha_tend_ballot(PghaStep *step);

/* Lets a receiver go on that was stopped for a vote, once nothing needs that any more; last in a step. */
extern void pgha_release_receiver(PghaStep *step);

/* The member that this node supports; PGHA_NOBODY if none, itself, or not in the file. */
extern int	pgha_supported(const PghaNode *node);

/* The leader that this node supports and may follow, if it is heard to lead (B4). */
extern int	pgha_leader_to_follow(const PghaNode *node, pgha_time now);

/* V2: is this node free to vote for that member, which may be itself? */
extern bool pgha_may_break_promise(const PghaNode *node, int member, pgha_time now);

/* V1 to V5: why this node would not vote for that member, which stands; PGHA_WHY_NONE if it would. */
extern PghaWhy pgha_vote_refusal(const PghaNode *node, int member, pgha_time now);

/* How long a promise lasts that is given for a lease of `ttl` (W). */
extern pgha_time pgha_promise_time(const PghaNode *node, pgha_time ttl);

/* Has the leader that was promised to proved to be gone (E1), or closed its gate for good (E2)? */
extern bool pgha_promise_ended(const PghaNode *node);

/* Votes, a candidate for itself; the caller makes it durable. */
extern void pgha_cast_vote(PghaStep *step, uint64_t term, const char *name);

/* C2, V5: true if the receiver is stopped for good; else it is being stopped, and the event comes. */
extern bool pgha_receiver_is_stopped(PghaStep *step);

/* Gives the own candidacy up: nobody will ever lead in its term.  The caller makes it durable. */
extern void pgha_withdraw(PghaNode *node);

/* Orders by what they have: <0 if the WAL (timeline, end) is less than that of the other (V4). */
extern int	pgha_wal_compare(uint32_t timeline, pgha_lsn end, uint32_t other_timeline, pgha_lsn other_end);

/* What a standby has received and could replay, and has not yet: bytes. */
extern uint64_t pgha_replay_lag(const PghaLocal *local);

/* The greatest term that anybody has voted in, supported, led in or stood for. */
extern uint64_t pgha_highest_term(const PghaNode *node);

/* A question for news is answered within this time, with news or without. */
extern pgha_time pgha_longest_wait(const PghaSettings *settings);

/* Fills in what a report says of votes. */
extern void pgha_report_voting(const PghaNode *node, PghaReport *report, pgha_time now);

#endif							/* PGHA_CORE_BALLOT_H */
