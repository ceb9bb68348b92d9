/*
 * eligibility.h
 *		May this node be promoted, is the primary missing, what do the members object.
 *
 * Questions only: nothing changes by asking them.
 */
#ifndef PGHA_CORE_ELIGIBILITY_H
#define PGHA_CORE_ELIGIBILITY_H

#include "state.h"

/* Without a sign of its end in the stream, a primary must refuse connections for so long, without quorum. */
#define PGHA_REFUSAL_LASTS	1000000

/*
 * Does the leader's history begin a timeline that the WAL here has not reached
 * yet?  PostgreSQL would then name that one as the parent of a new timeline,
 * which is right only where the WAL here ends exactly at the fork.
 */
extern bool pgha_is_behind_fork(const PghaNode *node);

/* How much WAL is there between two positions?  The gaps do not overlap. */
extern pgha_lsn pgha_wal_between(pgha_lsn from, pgha_lsn to, const PghaGap *gap, int count);

/* Where votes decide: what bars it even if an administrator orders it to stand. */
extern PghaBar pgha_bar_to_order(const PghaNode *node);

/* What it is in this node itself that bars it from promotion; PGHA_MAY_PROMOTE if nothing does. */
extern PghaBar pgha_promotion_bar(const PghaNode *node, pgha_time now);

/*
 * Is the primary missing?  *why tells in which way, or, if it is not, what it
 * is that keeps it from counting as missing.
 */
extern bool pgha_primary_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why);

/*
 * Does anything that the members say, asked since `since`, stand in the way of
 * promotion?  PGHA_WHY_NONE if nothing does.
 */
extern PghaWhy pgha_members_objection(const PghaNode *node, pgha_time since, pgha_time now);

#endif							/* PGHA_CORE_ELIGIBILITY_H */
