/*
 * server.h
 *		The own server during a recovery: started, stopped, and watched.
 */
#ifndef PGHA_RECOVERY_SERVER_H
#define PGHA_RECOVERY_SERVER_H

#include "report.h"

typedef enum PghaVerdict
{
	PGHA_VERDICT_STREAMS,
	PGHA_VERDICT_PRIMARY,
	PGHA_VERDICT_DIVERGED,
	PGHA_VERDICT_WAL_GONE,
	PGHA_VERDICT_FAILED			/* pgha_job_fail() was called */
} PghaVerdict;

/* Watches the own server until it is clear what becomes of it. */
extern PghaVerdict pgha_await_verdict(PghaJobRun *run);

/* Asked directly before each step that must not meet a running server; false after pgha_job_fail(). */
extern bool pgha_job_prove_down(PghaJobRun *run);

/* Starts the own server unless it runs. */
extern bool pgha_start(PghaJobRun *run);

/* Starts it after a failure that left the node as it was, unless the job is held: it serves reads again.  Best effort. */
extern void pgha_start_again(PghaJobRun *run);

/* Makes sure that it starts as a standby. */
extern bool pgha_write_standby_signal(PghaJobRun *run);

/* Stops it, so that it is shut down cleanly. */
extern bool pgha_stop(PghaJobRun *run);

/* Does it stream, or lead, now? */
extern bool pgha_streams_or_leads(PghaJobRun *run);

#endif							/* PGHA_RECOVERY_SERVER_H */
