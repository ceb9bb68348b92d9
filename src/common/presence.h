/*
 * presence.h
 *		Who is there, and when it is news that somebody is not, or is again.
 */
#ifndef PGHA_PRESENCE_H
#define PGHA_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "members.h"

typedef struct PghaPresence
{
	char		name[PGHA_NAME_SIZE];
	bool		seen;
	bool		told;			/* that it is absent */
	int64_t		absent_since;	/* microseconds, as all times here; 0: it is there */
	int64_t		waited;			/* so long it was absent, at least, when that was told */
	int			times;			/* so often that was told, an hour or less between two */
	int64_t		told_at;		/* the last time */
	int64_t		looked_at;
} PghaPresence;

/* Those that are, and some that were. */
#define PGHA_PRESENCES		(2 * PGHA_MAX_MEMBERS)

/* Whose name it is: the entry that it has, or else a new one, for which the longest unused goes. */
extern PghaPresence *pgha_presence_of(PghaPresence *all, const char *name, int64_t now);

/*
 * Takes note whether it is there; true if that is to be told: `told` is then what.
 * `limit` is how long somebody has to be absent; who comes and goes, longer and longer.
 */
extern bool pgha_presence_is_news(PghaPresence *presence, bool there, int64_t limit, int64_t now);

#endif							/* PGHA_PRESENCE_H */
