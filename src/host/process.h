/*
 * process.h
 *		Running other programs: never through a shell, always with a limit.
 */
#ifndef PGHA_PROCESS_H
#define PGHA_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Called with each line of output (stdout and stderr mixed; \r ends a line, too),
 * made valid UTF-8 without control characters (common/text.h).
 */
typedef void (*PghaRunLine) (const char *line, void *arg);

/* As much as a pipe takes that nobody reads yet. */
#define PGHA_RUN_INPUT	4096

typedef struct PghaRun
{
	char	  **argv;			/* argv[0]: absolute path */
	int			limit_ms;		/* 0: none; after it the program is killed */
	PghaRunLine line;			/* may be NULL */
	bool		(*cancelled) (void *arg);	/* asked at least each 100 ms; true: SIGINT, SIGKILL after 10 s, to its group; may be NULL */
	void	   *arg;			/* for both */
	const char *input;			/* what it reads on stdin, at most PGHA_RUN_INPUT bytes; NULL: nothing */
	char	  **environment;	/* NULL: this one's, with LC_ALL=C */
	int			end_signal;		/* in the place of SIGINT; 0: that */
	pid_t		pid;			/* out: the program's, while it runs */
	bool		was_cancelled;	/* out */
	bool		timed_out;		/* out */
	char		last[1024];		/* out: the last lines of output that look like errors, or the last one */
} PghaRun;

/*
 * Runs a program, in the C locale unless it has an environment of its own, and waits for its end.  It is killed when the
 * calling process dies.  Returns its exit status; 128 + signal if a signal
 * ended it, 127 with a sentence in `last` if it could not be started.
 */
extern int	pgha_run(PghaRun *run);

#endif							/* PGHA_PROCESS_H */
