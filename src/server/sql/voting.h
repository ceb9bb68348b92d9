/*
 * voting.h
 *		What is known of votes, leases and rules, in the words of pgha_status() and
 *		pgha_cluster().
 */
#ifndef PGHA_SQL_VOTING_H
#define PGHA_SQL_VOTING_H

#include "postgres.h"

#include "../../core/state.h"
#include "rows.h"

/* Is quorum in force, and if not, why not? */
extern const char *PghaQuorumText(const PghaNode *node);

/* The rule in words; with `lead`, also whether it is committed, which only the leader knows. */
extern const char *PghaRuleText(const PghaNode *node, const PghaVotingRule *rule, bool lead);

/* The columns of pgha_status() from quorum on; all null if `node` is NULL. */
extern void PghaPutVoting(PghaRow *row, const PghaNode *node, pgha_time now);

/* The columns of pgha_cluster() from witness on; `report` is NULL if nothing was heard of that member. */
extern void PghaPutMemberVoting(PghaRow *row, const PghaNode *node, int member, const PghaReport *report);

/* Is that one a witness? */
extern bool PghaHasNoData(const PghaNode *node, int member);

#endif							/* PGHA_SQL_VOTING_H */
