/*
 * kept_wal.h
 *		This node's own WAL from the last common checkpoint to the fork, over a
 *		rewind.
 */
#ifndef PGHA_KEPT_WAL_H
#define PGHA_KEPT_WAL_H

#include "history.h"

/*
 * Will all WAL be there that the rewound server needs?  If so, puts aside what of
 * it is here.  `checkpoint` and `timeline` are the last common checkpoint, as
 * pg_rewind names it.  False after pgha_job_fail(); only a clone helps then,
 * unless the reason is passing.
 */
extern bool pgha_kept_wal_save(PghaJobRun *run, PGconn *leader, const PghaControl *control,
							   const PghaFork *fork, pgha_lsn checkpoint, uint32_t timeline);

/* Puts back what pg_rewind has removed. */
extern bool pgha_kept_wal_put_back(PghaJobRun *run);

/* Nothing put aside is needed any more.  Best effort. */
extern void pgha_kept_wal_forget(const PghaAgentConf *conf);

#endif							/* PGHA_KEPT_WAL_H */
