/*
 * votes.h
 *		What this node has voted in, carried over a rewind or a clone.
 */
#ifndef PGHA_RECOVERY_VOTES_H
#define PGHA_RECOVERY_VOTES_H

#include "report.h"

/*
 * Takes a copy of what the node remembers of its votes, or notes that it does not
 * know them.  The caller has proven the server to be down and marked the data
 * directory, and does not change it before.  Of one that is not whole, and has
 * nothing of the node's own any more, stays what was taken before it was changed.
 */
extern bool pgha_votes_save(PghaJobRun *run);

/* Leaves in the data directory `data` what was taken, and nothing of another node's votes. */
extern bool pgha_votes_put(PghaJobRun *run, const char *data);

/* Leaves nothing of anybody's votes there: a copy that has yet to replace this node's directory. */
extern bool pgha_votes_clear(PghaJobRun *run, const char *data);

#endif							/* PGHA_RECOVERY_VOTES_H */
