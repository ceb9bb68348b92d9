/*
 * state.h
 *		PGDATA/pgha.state: what this node must remember over a restart.
 */
#ifndef PGHA_STATE_H
#define PGHA_STATE_H

#include "postgres.h"

#include "../core/node.h"

typedef enum PghaStateFile
{
	PGHA_STATE_READ,
	PGHA_STATE_ABSENT,
	PGHA_STATE_UNUSABLE			/* damaged, or of another node: reported in the log */
} PghaStateFile;

/*
 * Reads the file into *durable; all zero unless PGHA_STATE_READ, but for the votes:
 * those that a recovery has carried over for a node whose file is ABSENT, or that
 * they are not known.  A file of another node or another system identifier came
 * with a base backup or pg_rewind and is ignored.  A witness learns from it which cluster it serves, if its
 * settings do not say so yet (witness.h).
 */
extern PghaStateFile PghaStateRead(const PghaSettings *settings, PghaDurable *durable);

/*
 * System identifier that the file has, whosever it is; 0: it has none, or cannot
 * be read.
 */
extern uint64 PghaStateSystem(void);

/*
 * Makes *durable durable: writes a new file, fsyncs it, renames it and fsyncs
 * the directory.  False, with a LOG line, if that failed; the old file then is
 * as it was, or the new one is in its place without being sure to outlive a
 * crash: it must be written again.
 */
extern bool PghaStateWrite(const PghaSettings *settings, const PghaDurable *durable);

/* Makes sure that what PghaStateRead() has read outlives a crash, whoever wrote it.  False, with a LOG line, if that failed. */
extern bool PghaStateSync(void);

#endif							/* PGHA_STATE_H */
