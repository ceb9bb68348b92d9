/*
 * swap.h
 *		The exchange of a clone and the data directory, and what is left of one.
 */
#ifndef PGHA_RECOVERY_SWAP_H
#define PGHA_RECOVERY_SWAP_H

#include "report.h"

/* Stops the old server if it runs; one that cannot be stopped cleanly is going away anyhow. */
extern bool pgha_swap_stop_old(PghaJobRun *run);

/*
 * Puts the whole clone in the place of the data directory, whose server is
 * proven down directly before.  Can be repeated after a crash at any point.
 */
extern bool pgha_swap_in(PghaJobRun *run);

/*
 * Fails if the data directory's term is above the leader's: that is never
 * replaced.  With `must_know`, for what is not kept, also if it cannot be told.
 */
extern bool pgha_swap_check_term(PghaJobRun *run, bool must_know);

/*
 * May the data directory still be replaced, after the wait for the copy?  Fails
 * if the leader leads no more, or, unless a person has ordered the job, if failover is
 * paused by now or that is not known, or if the server that ran before (`ran`)
 * was stopped on purpose meanwhile.
 */
extern bool pgha_swap_check_held(PghaJobRun *run, bool ran);

/*
 * Decides anew what becomes of that which an earlier process of a job left of a
 * clone, and does it.  False also if the job must not go on.
 */
extern bool pgha_clone_tidy(PghaJobRun *run);

/*
 * The copy will not be swapped in now: deletes it, unless it is whole and the
 * leader is not known to have all of it.  Then it stays, and pgha_clone_tidy() of
 * the next job decides.
 */
extern void pgha_swap_drop_copy(PghaJobRun *run);

/*
 * A clone streams: deletes the former data directory if the leader of now has
 * all that it has, or says where it is kept.
 */
extern void pgha_clone_finish(PghaJobRun *run);

/* Deletes a clone that never streamed and was replaced by another one: if pgha made it, and the leader has all of it. */
extern bool pgha_clone_delete_spent(PghaJobRun *run);

/* Leaves the former data directory, if there is one, to the administrator. */
extern void pgha_clone_say_kept(PghaJobRun *run);

#endif							/* PGHA_RECOVERY_SWAP_H */
