/*
 * rewind.h
 *		Taking this node back to where the leader's history left its own: pg_rewind.
 */
#ifndef PGHA_REWIND_H
#define PGHA_REWIND_H

#include "report.h"

typedef enum PghaRewind
{
	PGHA_REWIND_DONE,
	PGHA_REWIND_IMPOSSIBLE,		/* only a clone helps; pgha_job_fail() was called */
	PGHA_REWIND_FAILED			/* pgha_job_fail() was called */
} PghaRewind;

/* Rewinds the data directory of a server that runs as a standby, and starts it again. */
extern PghaRewind pgha_rewind(PghaJobRun *run);

#endif							/* PGHA_REWIND_H */
