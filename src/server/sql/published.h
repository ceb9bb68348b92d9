/*
 * published.h
 *		What the monitor published, for the SQL functions that read.
 */
#ifndef PGHA_PUBLISHED_H
#define PGHA_PUBLISHED_H

#include "postgres.h"

#include "../shmem.h"

typedef struct PghaPublished
{
	bool		enabled;		/* pgha manages this server */
	bool		running;		/* so does a monitor right now */
	PghaView	view;
	PghaNode	node;			/* the same, as the core knows it; without histories */
} PghaPublished;

/* A copy, palloc'd; an error if the library is not preloaded. */
extern PghaPublished *PghaReadPublished(void);

/*
 * Of itself a node knows what it would report, whatever its monitor has heard:
 * puts that into the copy, which must be valid.
 */
extern void PghaLookAtSelf(PghaPublished *published);

#endif							/* PGHA_PUBLISHED_H */
