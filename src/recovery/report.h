/*
 * report.h
 *		Inside the process that carries out a recovery: what its rooms share, and
 *		how they tell how far it is.
 *
 * Functions that return bool and take the run report failure with
 * pgha_job_fail() and return false.
 */
#ifndef PGHA_RECOVERY_REPORT_H
#define PGHA_RECOVERY_REPORT_H

#include <limits.h>

#include "../common/lsn.h"
#include "../host/conf.h"
#include "../host/process.h"
#include "order.h"

/* What a data directory has that the leader has not. */
typedef enum PghaOwn
{
	PGHA_OWN_NOTHING,
	PGHA_OWN_PROVEN,			/* from a position on */
	PGHA_OWN_UNKNOWN
} PghaOwn;

/* A data directory, as it was when the record was written (found.c); 0: not known. */
typedef struct PghaDirectory
{
	uint64_t	device;
	uint64_t	inode;
	uint64_t	term;			/* of pgha.state; 0 also if there is none */
	pgha_lsn end;				/* of its WAL, by pg_control */
	uint64_t	written;		/* when pg_control was; only ever compared for equality */
	bool		unreadable;		/* pgha.state is there, and does not tell the term; not in the record */
	bool		shut_down;		/* by pg_control; not in the record */
} PghaDirectory;

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
	PghaDirectory new_id;		/* of the clone */
	bool		new_whole;		/* it is whole, and all that comes before the swap is done */
	char		old_directory[PATH_MAX];	/* where the former data directory went, until a clone streams */
	char		spent_directory[PATH_MAX];	/* a clone that never streamed, replaced by another one */
	bool		cloned;			/* this job's clone is in the place of the data directory */
	bool		stopped;		/* the server was stopped for this, and has not been started since */
	bool		was_stopped;	/* the server was down on purpose when this was ordered, and has not been started since */
	bool		keep_old;		/* what that one alone has could not be told */
	PghaDirectory replaced;		/* the data directory that the clone replaces */
	bool		saved;			/* what that one alone has was saved */
	bool		given_up;		/* that one was not whole: given up before, and saved then */
	bool		deleting;		/* it was decided that it goes, and begun */
	char		source[64];		/* whom the clone copies: name, and term then */
	uint64_t	source_term;
	char		placed_source[64];	/* the same of the clone that was put into place last */
	uint64_t	placed_term;
	uint64_t	stop_written;	/* `written` of the data directory after the stop by this job; 0: not known */
	uint64_t	order_term;		/* term of the leader when the job was ordered; 0: not known */
	int64_t		order_at;		/* when that was, on a clock that never jumps */
	char		boot[40];		/* since which boot it runs */

	/* why it failed */
	char		sqlstate[6];
	char		message[512];
	char		detail[1024];
	char		hint[512];

	bool		again;			/* it was interrupted, and is begun again */
	bool		held;			/* by a pause or a stop on purpose: a server that is down stays so */
	bool		repeated;		/* it has failed for the same reason as the one before it */
	bool		irrevocable;	/* too late to cancel */
	PghaOwn		own;			/* what is to be replaced */
	pgha_lsn	wal_end;		/* of the own server when it last ran; 0: not known */
	int			leader;			/* member to follow, or PGHA_NOBODY */
} PghaJobRun;

/* Says why the job fails; always returns false.  detail and hint may be NULL. */
extern bool pgha_job_fail(PghaJobRun *run, const char *sqlstate, const char *detail, const char *hint,
						  const char *format,...) __attribute__((format(printf, 5, 6)));

/*
 * The same after another program has failed: its output is the detail, and tells
 * whether the disk is full or a login was refused; `hint` is for other causes.
 */
extern bool pgha_job_program_failed(PghaJobRun *run, const PghaRun *program, const char *hint,
									const char *format,...) __attribute__((format(printf, 4, 5)));

/* What has failed was overcome: there is no reason any more. */
extern void pgha_job_forget_failure(PghaJobRun *run);

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

/* A point at which tests kill the job; each phase is one.  program: what it runs just then, or 0. */
extern void pgha_job_test_stop(const char *point, pid_t program);

/* Shows how far the phase is; the file is written at most once a second. */
extern void pgha_job_progress(PghaJobRun *run, int64_t done, int64_t total);

/* Makes what `job` remembers durable. */
extern bool pgha_job_record(PghaJobRun *run);

/* The same when the job ends, with its outcome ("": it goes on).  False with errno. */
extern bool pgha_job_write(PghaJobRun *run, const char *outcome);

/* From now on SIGINT and SIGTERM ask the job to be given up; a vanished agent does not end it. */
extern void pgha_job_heed_signals(void);

/* Is the job to be given up?  False once it is irrevocable.  For PghaRun, too. */
extern bool pgha_job_cancelled(void *run);

/* Fails with "cancelled" if so. */
extern bool pgha_job_check_cancel(PghaJobRun *run);

/* Sleeps; returns early when cancelled. */
extern void pgha_job_sleep(PghaJobRun *run, int ms);

/* Path of a file in the agent directory; `path` has PATH_MAX + 32 bytes. */
extern void pgha_job_path(const PghaAgentConf *conf, const char *name, char *path);

#endif							/* PGHA_RECOVERY_REPORT_H */
