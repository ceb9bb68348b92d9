/*
 * running.h
 *		Does a server run on a data directory: yes, no, or not known.
 */
#ifndef PGHA_HOST_RUNNING_H
#define PGHA_HOST_RUNNING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum PghaRuns
{
	PGHA_RUNS_NO,				/* proven: neither its process nor its shared memory is in use */
	PGHA_RUNS_YES,
	PGHA_RUNS_UNKNOWN			/* neither can be proven, or there are remains of a server that work on */
} PghaRuns;

/*
 * Looks anew, each time.  *pid is the postmaster's in our own PID namespace, 0
 * where it does not run or cannot be told.  `why` says in a sentence why it is
 * not known; it is empty otherwise.
 */
extern PghaRuns pgha_runs(const char *data, pid_t *pid, char *why, size_t why_size);

/* Line `number` (from 1) of postmaster.pid; false if there is none. */
extern bool pgha_pid_line(const char *data, int number, char *line, size_t size);

#endif							/* PGHA_HOST_RUNNING_H */
