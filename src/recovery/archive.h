/*
 * archive.h
 *		WAL of this node that is not in the archive yet.
 */
#ifndef PGHA_RECOVERY_ARCHIVE_H
#define PGHA_RECOVERY_ARCHIVE_H

#include "history.h"

/*
 * Keeps what waits to be archived here, and is also the leader's history (up to
 * the fork), before the data directory is changed or replaced.
 */
extern bool pgha_archive_keep(PghaJobRun *run, const PghaControl *control, const PghaFork *fork);

/* Has what was kept wait to be archived in the data directory as it is now.  Best effort. */
extern void pgha_archive_hand_on(PghaJobRun *run);

#endif							/* PGHA_RECOVERY_ARCHIVE_H */
