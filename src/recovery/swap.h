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
 * Fails if the data directory's term is above the leader's, or cannot be told:
 * that is never replaced.
 */
extern bool pgha_swap_check_term(PghaJobRun *run);

#endif							/* PGHA_RECOVERY_SWAP_H */
