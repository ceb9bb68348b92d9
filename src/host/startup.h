/*
 * startup.h
 *		What a server that does not accept connections yet is at, seen from outside.
 */
#ifndef PGHA_HOST_STARTUP_H
#define PGHA_HOST_STARTUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"

typedef struct PghaStartup
{
	bool		up;				/* it accepts connections, or is a standby that never does */
	char		segment[25];	/* that the startup process reads or waits for; "": not told, nor what it reads */
	char		startup[128];	/* what the startup process says of itself; "": none */
	char		receiver[400];	/* what the WAL receiver says of itself; "": none */
	int64_t		read;			/* bytes that the startup process has read; -1: not known */
} PghaStartup;

/* Does the server run, and accept no connections yet?  False in doubt. */
extern bool pgha_startup_goes_on(const PghaAgentConf *conf);

/* One that is watched: does it stand, or get on? */
typedef struct PghaStartupWatch
{
	int64_t		moved_at;		/* ms on a clock that never jumps; 0: not looked yet */
	char		segment[25];	/* as it was then */
	int64_t		read;
	PghaStartup now;
} PghaStartupWatch;

/*
 * Looks, and returns for how many seconds the startup process has stood, in one
 * segment and reading next to nothing; 0 if it gets on, if the server is up, or if
 * nothing of that can be told.
 */
extern int pgha_startup_stands(const PghaAgentConf *conf, PghaStartupWatch *watch);

#endif							/* PGHA_HOST_STARTUP_H */
