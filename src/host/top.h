/*
 * top.h
 *		What there is at the top of a data directory that is not PostgreSQL's.
 */
#ifndef PGHA_TOP_H
#define PGHA_TOP_H

#include <stdbool.h>

typedef enum PghaTopKind
{
	PGHA_TOP_FILE,				/* small enough to be carried along */
	PGHA_TOP_LINK,
	PGHA_TOP_DIRECTORY,			/* small, with all that is in it */
	PGHA_TOP_BULKY,				/* a large file or directory */
	PGHA_TOP_SPECIAL,			/* a socket, a FIFO, a device */
	PGHA_TOP_UNREADABLE,		/* it cannot be read, or something in it */
	PGHA_TOP_LOCKED				/* it cannot be changed, or something in it */
} PghaTopKind;

typedef bool (*PghaTopFound) (const char *name, PghaTopKind kind, void *arg);

/*
 * Calls `found` for everything but PostgreSQL's own, logs, and core dumps; until that
 * returns false.  False then, with errno as it was left, or if the directory
 * cannot be read; true if there is none.
 */
extern bool pgha_top_scan(const char *data, PghaTopFound found, void *arg);

/* What is the matter with it, to follow its name; NULL: it is carried along. */
extern const char *pgha_top_matter(PghaTopKind kind);

#endif							/* PGHA_TOP_H */
