/*
 * config_votes.h
 *		The settings of who votes, and how: a part of config.c's set.
 */
#ifndef PGHA_CONFIG_VOTES_H
#define PGHA_CONFIG_VOTES_H

#include "postgres.h"

#include "../common/members.h"
#include "../core/state.h"

/* GUC variables; pgha_lease_ttl in milliseconds, 0: as long as pgha.failure_timeout. */
extern int	pgha_quorum;
extern char *pgha_witnesses;
extern int	pgha_lease_ttl;
extern bool pgha_refused_is_down;

/* Defines them. */
extern void PghaConfigVotesInit(void);

/*
 * Puts the witnesses behind the members, and fills in what the core must know of
 * the votes; times in milliseconds.  False with a sentence and a hint.
 */
extern bool PghaConfigVotesBuild(PghaMembers *members, PghaSettings *settings, int heartbeat_interval, int failure_timeout,
								 char *error, size_t error_size, char *hint, size_t hint_size);

/*
 * What is told of this set at each start: WARNINGs for a majority that is not to
 * be had or not to be used.
 */
extern void PghaConfigVotesWarn(const PghaMembers *members);

/*
 * Who is in no file any more, but in the rule of `node`, goes on being asked at the
 * address that `former` has: behind all others, as settings->leaving says.
 */
extern void PghaConfigKeepLeaving(PghaMembers *members, PghaSettings *settings, const PghaMembers *former,
								  const PghaNode *node);

/* What voters must agree on, as a text to be hashed; empty if nothing of it is set. */
extern void PghaConfigVotesText(const PghaMembers *members, char *text, size_t size);

#endif							/* PGHA_CONFIG_VOTES_H */
