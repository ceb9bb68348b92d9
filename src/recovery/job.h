/*
 * job.h
 *		One recovery of this node: the process that carries it out, and the files
 *		by which it tells how far it is.
 */
#ifndef PGHA_JOB_H
#define PGHA_JOB_H

#include <stdint.h>
#include <sys/types.h>

#include "../host/conf.h"
#include "order.h"

/* What `job` and `progress` in the agent directory say. */
typedef struct PghaJobStatus
{
	bool		known;			/* there was a job */
	pid_t		running;		/* process that carries it out; 0: ended, or died */
	PghaJobOrder order;
	char		leader[64];		/* whom it was to follow; "" if nobody was known */
	int64_t		order_at;		/* when it was ordered, on a clock that never jumps, since which boot */
	char		boot[40];
	bool		data_ok;		/* false: the data directory is not whole, only a clone helps */
	bool		stopped;		/* the server was stopped by it, and not started since: not by an administrator */
	bool		undecided;		/* it has left a clone, or what one has replaced, to be decided on */
	bool		repeated;		/* it has failed as the one before it */
	bool		was_stopped;	/* an administrator had stopped it before it was ordered, and it was not started since */
	char		phase[32];
	int64_t		done;			/* bytes */
	int64_t		total;
	char		message[512];	/* of the phase; or the primary error message */
	char		outcome[16];	/* "", "done", "failed", "cancelled" */
	char		sqlstate[6];
	char		detail[1024];
	char		hint[512];
} PghaJobStatus;

/* A name for a new job or order: random and positive, so that no two agents, nor one of them twice, have the same. */
extern int64_t pgha_job_new_id(void);

/* Reads both files; no file is no job. */
extern void pgha_job_status(const PghaAgentConf *conf, PghaJobStatus *status);

/*
 * Starts a process that carries the job out; it outlives this one.  When this
 * returns true the file `job` is that job's.  False if it could not begin:
 * *failed then tells why, as that of a job that has ended.  Must not be called
 * while another job runs.
 */
extern bool pgha_job_start(const PghaAgentConf *conf, const PghaJobOrder *order, PghaJobStatus *failed);

/* The server runs: the data directory is whole, and nobody has stopped it.  False with errno. */
extern bool pgha_job_server_runs(const PghaAgentConf *conf);

/*
 * Does the order of a person still hold for a job that was interrupted?  It was
 * given of late, for the member that leads now (PGHA_NOBODY: none is known).
 */
extern bool pgha_job_order_holds(const PghaAgentConf *conf, const PghaJobStatus *status, int leader);

/* Asks the running job to end. */
extern void pgha_job_cancel(const PghaJobStatus *status);

#endif							/* PGHA_JOB_H */
