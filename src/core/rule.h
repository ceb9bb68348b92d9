/*
 * rule.h
 *		The rule: who votes, who may be elected, whose flush confirms commits.
 *
 * Questions about rules, and the leader's part: writing them (quorum.md, 4 R).
 */
#ifndef PGHA_CORE_RULE_H
#define PGHA_CORE_RULE_H

#include "actions.h"

/* Index of a member's or witness's name, or PGHA_NOBODY. */
extern int	pgha_find_voter(const PghaNode *node, const char *name);

/* <0, 0, >0 as a is older, as old, newer than b. */
extern int	pgha_rule_compare(const PghaVotingRule *a, const PghaVotingRule *b);

/* Which voter of the rule has that name, or PGHA_NOBODY. */
extern int	pgha_voter_named(const PghaVotingRule *rule, const char *name);

/* Is the voter of that name in a set of the rule? */
extern bool pgha_is_among(const PghaVotingRule *rule, uint32_t set, const char *name);

/* q */
extern int	pgha_majority_of(const PghaVotingRule *rule);

/* How many bits are set? */
extern int	pgha_count_set(uint32_t set);

/*
 * Do these voters elect whom they vote for?  `votes` is a set of the rule's
 * voters (C3 and S3), `won` the greatest term that the candidate has led in.
 */
extern bool pgha_elects(const PghaNode *node, const PghaVotingRule *rule, uint64_t won, uint32_t votes);

/* Does what that member has flushed count?  Not while it may have voted for somebody without knowing it. */
extern bool pgha_confirms(const PghaNode *node, int member);

/* Have k of S flushed so far? */
extern bool pgha_is_flushed(const PghaNode *node, const PghaVotingRule *rule, pgha_lsn lsn);

/*
 * Do standbys confirm commits that no election has to heed yet, as the rule
 * that says so is not committed?
 */
extern bool pgha_is_arming(const PghaNode *node);

/* Does the member of this report vote under its leader's rules, bound by nothing else? */
extern bool pgha_supports(const PghaReport *report, uint64_t term, const char *leader);

/* R1: the first rule of a new leader's term. */
extern void pgha_begin_rule(PghaNode *node);

/* R3, R4, S6: the leader looks whether its rule is committed, and writes the next one. */
extern void pgha_tend_rule(PghaStep *step);

/* What quorum would begin with here: all that the file lists. */
extern PghaVotingRule pgha_rule_of_file(const PghaNode *node);

/* Has this voter lost what it had voted in, or is it new (recall.h)? */
extern bool pgha_has_forgotten(const PghaReport *report);

/* Is this voter asked for its lease, its vote or its copy of the rule, whatever the files say? */
extern bool pgha_is_needed(const PghaNode *node, const char *name);

#endif							/* PGHA_CORE_RULE_H */
