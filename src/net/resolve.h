/*
 * resolve.h
 *		Looking up the addresses of a host's name without waiting for it.
 */
#ifndef PGHA_RESOLVE_H
#define PGHA_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Room for what libpq is told: a few addresses, and the name as many times. */
#define PGHA_RESOLVED_SIZE	1600

typedef struct PghaResolve
{
	bool		begun;
	int			fd;				/* readable when there is an answer */
	int			process;		/* pidfd of the process that looks; -1: none was to be had */
	pid_t		pid;
	char		answer[512];
	size_t		length;
} PghaResolve;

typedef enum PghaResolved
{
	PGHA_RESOLVE_PENDING,
	PGHA_RESOLVE_DONE,
	PGHA_RESOLVE_FAILED
} PghaResolved;

/* Is it a name, and not an address or the directory of a socket? */
extern bool pgha_is_name(const char *host);

/* Begins to look; false with errno.  To be followed by pgha_resolve_end() in any case. */
extern bool pgha_resolve_begin(PghaResolve *resolve, const char *host);

/* Never waits.  DONE: `out` holds addresses, separated by commas.  FAILED: the reason. */
extern PghaResolved pgha_resolve_advance(PghaResolve *resolve, char *out, size_t size);

/* Gives up what is under way; does nothing if nothing is. */
extern void pgha_resolve_end(PghaResolve *resolve);

/* The same at once, for those who may wait, but for limit_ms only. */
extern bool pgha_resolve_within(const char *host, int limit_ms, char *out, size_t size);

/* Parameters of libpq for a host whose addresses are known: it looks up nothing then.  False: no room. */
extern bool pgha_resolved_parameters(const char *host, const char *addresses, char *out, size_t size);

#endif							/* PGHA_RESOLVE_H */
