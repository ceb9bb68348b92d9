/*
 * clone.h
 *		Building this node anew from the leader.
 */
#ifndef PGHA_CLONE_H
#define PGHA_CLONE_H

#include "report.h"

/* Clones the leader, beside the old directory or in place, and starts the server. */
extern bool pgha_clone(PghaJobRun *run);

/*
 * Decides anew what becomes of that which an earlier process of a job left of a
 * clone, and does it (swap.c).  False also if the job must not go on.
 */
extern bool pgha_clone_tidy(PghaJobRun *run);

/*
 * A clone streams: deletes the former data directory if the leader of now has
 * all that it has, or says where it is kept.
 */
extern void pgha_clone_finish(PghaJobRun *run);

/* Deletes a clone that never streamed and was replaced by another one; only what pgha made. */
extern bool pgha_clone_delete_spent(PghaJobRun *run);

/* Leaves the former data directory, if there is one, to the administrator. */
extern void pgha_clone_say_kept(PghaJobRun *run);

#endif							/* PGHA_CLONE_H */
