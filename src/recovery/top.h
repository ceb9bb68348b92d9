/*
 * top.h
 *		What is special in the two data directories, before anything changes.
 */
#ifndef PGHA_RECOVERY_TOP_H
#define PGHA_RECOVERY_TOP_H

#include <libpq-fe.h>

#include "report.h"

typedef enum PghaTopUse
{
	PGHA_TOP_REWIND,
	PGHA_TOP_BESIDE,			/* a clone beside the data directory */
	PGHA_TOP_IN_PLACE
} PghaTopUse;

/*
 * Looks at what the leader says of its data directory, and at what this node has
 * at the top of its own.  False if there is something that can neither be carried
 * along nor kept: with its name, and what to do.
 */
extern bool pgha_top_look(PghaJobRun *run, PGconn *leader, PghaTopUse use);

/* Has the leader, as it was seen last, a directory of that name at the top?  That one is taken over. */
extern bool pgha_top_is_leaders(const char *name);

/* Why the data directory must be kept when a clone has replaced it; empty: no reason. */
extern const char *pgha_top_to_keep(void);

#endif							/* PGHA_RECOVERY_TOP_H */
