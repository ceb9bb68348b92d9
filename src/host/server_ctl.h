/*
 * server_ctl.h
 *		The server of this host, seen from outside: is it running, how did it
 *		end, start it, stop it.
 */
#ifndef PGHA_SERVER_CTL_H
#define PGHA_SERVER_CTL_H

#include <sys/types.h>

#include "conf.h"
#include "control.h"

typedef enum PghaServer
{
	PGHA_SERVER_RUNNING,
	PGHA_SERVER_STOPPED,		/* shut down cleanly: on purpose */
	PGHA_SERVER_CRASHED,		/* not running, and not shut down cleanly */
	PGHA_SERVER_ABSENT,			/* no data directory, or an empty one */
	PGHA_SERVER_MARKED,			/* being rewound or cloned in place: must not be started */
	PGHA_SERVER_UNKNOWN			/* whether it runs, or how it ended, cannot be told: nothing is done by itself */
} PghaServer;

#define PGHA_WHY_SIZE	(PATH_MAX + 256)

/* Word for the SQL surface: running, stopped, crashed, absent, marked, unknown. */
extern const char *pgha_server_word(PghaServer server);

/* Looks; *pid is that of the postmaster or 0.  A stale postmaster.pid is no server. */
extern PghaServer pgha_server_look(const PghaAgentConf *conf, pid_t *pid);

/* The same, with a sentence why it is not known; it is empty otherwise. */
extern PghaServer pgha_server_look_why(const PghaAgentConf *conf, pid_t *pid, char *why, size_t why_size);

/*
 * Looks anew: true only if nothing of a server is at work in the data directory.
 * To be asked directly before each step that takes that for granted: moving the
 * directory, emptying it, pg_rewind, another server on it.  False with a
 * sentence in `error`.
 */
extern bool pgha_server_proven_down(const PghaAgentConf *conf, char *error, size_t error_size);

/*
 * Starts the server, by pgha.start_command or directly (fork, setsid, exec of
 * postgres, never as a child that would end with us; output appended where it
 * logged before, see server_log.h), and waits until it accepts connections or
 * runs as a standby (postmaster.pid status "ready" or "standby").  False with a
 * sentence in `error` (the last FATAL line of the log, if there is one).
 * `cancelled` as in PghaRun; may be NULL.
 */
extern bool pgha_server_start(const PghaAgentConf *conf, int limit_ms,
							  bool (*cancelled) (void *arg), void *arg,
							  char *error, size_t error_size);

/*
 * Stops it, by pgha.stop_command or with the signal of `mode` ("smart", "fast",
 * "immediate"), and waits until it is proven to be down.  Once it has begun to
 * stop that is not cancelled any more.
 */
extern bool pgha_server_stop(const PghaAgentConf *conf, const char *mode, int limit_ms,
							 bool (*cancelled) (void *arg), void *arg,
							 char *error, size_t error_size);

#endif							/* PGHA_SERVER_CTL_H */
