/*
 * job_run.h
 *		Inside the process that carries out a recovery: what its parts share.
 *
 * Functions that return bool and take the run report failure with
 * pgha_job_fail() and return false.
 */
#ifndef PGHA_JOB_RUN_H
#define PGHA_JOB_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "../core/node.h"
#include "job.h"
#include "../host/server_ctl.h"

/* What a data directory has that the leader has not. */
typedef enum PghaOwn
{
	PGHA_OWN_NOTHING,
	PGHA_OWN_SAVED,				/* as far as it can be read */
	PGHA_OWN_UNKNOWN
} PghaOwn;

typedef struct PghaJobRun
{
	const PghaAgentConf *conf;
	PghaJobOrder order;
	int64_t		started;		/* seconds since 1970 */
	char		stamp[32];		/* the same as yyyymmddThhmmssZ, for names */

	/* what `job` remembers */
	char		phase[32];
	bool		data_ok;		/* PGDATA is whole */
	bool		known;			/* `job` was there when this one began: data_ok is to be believed */
	char		new_directory[PATH_MAX];	/* a clone that is being made, or waits to be swapped in */
	uint64_t	new_inode;		/* of the clone, once it is whole; 0 before */
	char		old_directory[PATH_MAX];	/* where the former data directory went, until a clone streams */
	char		spent_directory[PATH_MAX];	/* a clone that never streamed, replaced by another one */
	bool		cloned;			/* this job's clone is in the place of the data directory */
	bool		stopped;		/* the server was stopped for this, and has not been started since */
	bool		keep_old;		/* what that one alone has could not be told */

	/* why it failed */
	char		sqlstate[6];
	char		message[512];
	char		detail[1024];
	char		hint[512];

	bool		irrevocable;	/* too late to cancel */
	PghaOwn		own;			/* what is to be replaced */
	pgha_lsn wal_end;		/* of the own server when it last ran; 0: not known */
	int			leader;			/* member to follow, or PGHA_NOBODY */
} PghaJobRun;

/* Says why the job fails; always returns false.  detail and hint may be NULL. */
extern bool pgha_job_fail(PghaJobRun *run, const char *sqlstate, const char *detail, const char *hint,
						  const char *format,...) __attribute__((format(printf, 5, 6)));

/*
 * The same after another program has failed: its output is the detail, and tells
 * whether the disk is full or a login was refused; `hint` is for other causes.
 */
struct PghaRun;
extern bool pgha_job_program_failed(PghaJobRun *run, const struct PghaRun *program, const char *hint,
									const char *format,...) __attribute__((format(printf, 4, 5)));

/* SQLSTATEs of failures. */
#define STATE_NOT_IN_STATE	"55000" /* object_not_in_prerequisite_state */
#define STATE_DISK_FULL		"53100"
#define STATE_IO			"58030"
#define STATE_CONNECTION	"08001"
#define STATE_CANCELLED		"57014"
#define STATE_UNDEFINED_FILE	"58P01"

/* Enters a phase: shown, remembered in `job`.  False if that cannot be written. */
extern bool pgha_job_phase(PghaJobRun *run, const char *phase, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* A point at which tests kill the job; each phase is one (job.c). */
extern void pgha_job_test_stop(const char *point);

/* Shows how far the phase is; the file is written at most once a second. */
extern void pgha_job_progress(PghaJobRun *run, int64_t done, int64_t total);

/* Makes what `job` remembers durable. */
extern bool pgha_job_record(PghaJobRun *run);

/* Is the job to be given up?  False once it is irrevocable.  For PghaRun, too. */
extern bool pgha_job_cancelled(void *run);

/* Fails with "cancelled" if so. */
extern bool pgha_job_check_cancel(PghaJobRun *run);

/* Sleeps; returns early when cancelled. */
extern void pgha_job_sleep(PghaJobRun *run, int ms);

/* ---- sessions (job_session.c) ---- */

/* A primary that has gone without a word must not hold the job, or what it runs, up. */
#define PGHA_JOB_TCP	"connect_timeout=10 tcp_user_timeout=20000 keepalives_idle=5 keepalives_interval=5 keepalives_count=3"

/* Connects to a member, within some seconds.  NULL with a sentence in `error`. */
extern PGconn *pgha_job_connect(const PghaAgentConf *conf, int member, const char *extra,
								char *error, size_t error_size);

/* Value of a query of one row and one column (to be freed; "" for null or no row), or NULL with the error. */
extern char *pgha_job_query(PGconn *conn, const char *query, const char *parameter,
							char *error, size_t error_size);

/* Connects to the leader, which must be a primary; NULL after pgha_job_fail(). */
extern PGconn *pgha_job_leader(PghaJobRun *run);

/* Has an event written by the leader, or by the own server; best effort. */
extern void pgha_job_event(PghaJobRun *run, const char *kind, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* ---- the parts ---- */

typedef enum PghaVerdict
{
	PGHA_VERDICT_STREAMS,
	PGHA_VERDICT_PRIMARY,
	PGHA_VERDICT_DIVERGED,
	PGHA_VERDICT_WAL_GONE,
	PGHA_VERDICT_FAILED			/* pgha_job_fail() was called */
} PghaVerdict;

/* Watches the own server until it is clear what becomes of it (rejoin.c). */
extern PghaVerdict pgha_await_verdict(PghaJobRun *run);

/* Starts the own server unless it runs (rejoin.c). */
extern bool pgha_start(PghaJobRun *run);

/* Starts it after a failure that left the node as it was: it serves reads again.  Best effort (rejoin.c). */
extern void pgha_start_again(PghaJobRun *run);

/* Makes sure that it starts as a standby (rejoin.c). */
extern bool pgha_write_standby_signal(PghaJobRun *run);

/* Stops it, so that it is shut down cleanly (rejoin.c). */
extern bool pgha_stop(PghaJobRun *run);

typedef enum PghaRewind
{
	PGHA_REWIND_DONE,
	PGHA_REWIND_IMPOSSIBLE,		/* only a clone helps; pgha_job_fail() was called */
	PGHA_REWIND_FAILED			/* pgha_job_fail() was called */
} PghaRewind;

/* Rewinds the data directory of a server that runs as a standby, and starts it again (rewind.c). */
extern PghaRewind pgha_rewind(PghaJobRun *run);

/* Clones the leader, beside the old directory or in place, and starts the server (clone.c). */
extern bool pgha_clone(PghaJobRun *run);

/*
 * May the data directory be written to and be replaced?  Not if it is somebody
 * else's: fails then (clone.c).
 */
extern bool pgha_clone_check_place(PghaJobRun *run);

/* Finishes or clears away what an earlier process of a job left of a clone (clone.c). */
extern bool pgha_clone_tidy(PghaJobRun *run);

/* A clone streams: deletes the former data directory, or says where it is kept (clone.c). */
extern void pgha_clone_finish(PghaJobRun *run);

/* The node's own files in PGDATA (settings.c). */
extern bool pgha_settings_save(PghaJobRun *run);
extern bool pgha_settings_restore(PghaJobRun *run, const char *data);

/*
 * Turns a directory that came from the leader into this node's standby:
 * settings, standby.signal, no pgha.state; synced (settings.c).
 */
extern bool pgha_make_standby(PghaJobRun *run, const char *data);

/* Where the histories part (history.c). */
typedef struct PghaFork
{
	bool		same_timeline;	/* both are on the same one: nothing that pg_rewind could see */
	uint32_t	timeline;		/* the last one that both have */
	pgha_lsn lsn;			/* where they part */
	uint32_t	own_timeline;	/* that the WAL here ends on */
	uint32_t	leader_timeline;
	const PghaHistory *own;		/* timelines of the WAL here; valid until the next call */
} PghaFork;

extern bool pgha_fork_find(PghaJobRun *run, PGconn *leader, const PghaControl *control, PghaFork *fork);

/* Is the common timeline one and the same?  Otherwise pgha_job_fail() has said why only a clone helps. */
extern bool pgha_fork_proven(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork);

/* Saves the WAL here beyond the fork into pgha_lost/ (lost.c). */
extern bool pgha_lost_save(PghaJobRun *run, const PghaControl *control, const PghaFork *fork);

#endif							/* PGHA_JOB_RUN_H */
