/*
 * claim.h
 *		Claims, histories and timeline ids: compare, contain, reserve.
 *
 * Pure questions about values; nothing here knows a node.
 */
#ifndef PGHA_CORE_CLAIM_H
#define PGHA_CORE_CLAIM_H

#include "node.h"

/* <0, 0, >0 as a is less than, equal to, greater than b. */
extern int	pgha_claim_compare(const PghaClaim *a, const PghaClaim *b);

/* Was this primary's promotion finished and checked? */
extern bool pgha_posted(const PghaDurable *durable);

/*
 * Led, or may have led, but cannot tell in which term: what it remembered is
 * damaged.  That is not "never led": its commits wait until it has asked.
 */
extern bool pgha_claim_is_lost(const PghaDurable *durable);

/* Is the claim here one that is not posted, and is it known what it has replaced? */
extern bool pgha_can_be_taken_back(const PghaDurable *durable);

/* Remembers what a promotion that is about to begin from this timeline replaces. */
extern void pgha_replace_claim(PghaDurable *durable, uint32_t timeline);

/* It is posted, another leader is followed, or nothing is left of it: there is nothing to take back any more. */
extern void pgha_settle_claim(PghaDurable *durable);

/*
 * How far the WAL of a standby, which ends at `end`, is that of the leader that it
 * has followed.  Beyond, there may be some of a promotion of its own that came to
 * nothing: it makes the node no better than others.
 */
extern pgha_lsn pgha_end_of_history(const PghaDurable *durable, pgha_lsn end);

/*
 * Was the promotion that this claim stands for given up for good?  Then it was
 * never followed, acknowledged nothing, and supersedes nobody.
 */
extern bool pgha_is_void(const PghaReport *report);

/*
 * May a node whose WAL on `timeline` ends at `end` stream from the owner of
 * `history`?  No: it is past the fork, or on a timeline that the history does
 * not contain.  Not known: that part of the history is missing.
 */
extern PghaFact pgha_history_contains(const PghaHistory *history, uint32_t timeline, pgha_lsn end);

/*
 * The timeline that member `index` of `count`, in the order of sorted names,
 * promotes to from `current`: the smallest greater id of its residue class
 * (protocol.md, TL5).
 */
extern uint32_t pgha_reserve_timeline(uint32_t current, int index, int count);

/* Position of the node's name among the sorted names of all members. */
extern int	pgha_sorted_position(const PghaSettings *settings);

#endif							/* PGHA_CORE_CLAIM_H */
