/*
 * clone_place.h
 *		Where a clone goes, and whether there is room for it.
 */
#ifndef PGHA_CLONE_PLACE_H
#define PGHA_CLONE_PLACE_H

#include <libpq-fe.h>

#include "report.h"

#define PGHA_MAX_CLONE_PLACES	64

/* A part of the database with a place of its own. */
typedef struct PghaClonePlace
{
	char		oid[16];		/* tablespace; empty: the data directory itself */
	char		source[PATH_MAX];	/* where it is on the primary */
	char		root[PATH_MAX]; /* directory on this host that the new copy goes into */
	char		target[PATH_MAX];	/* the new copy */
	int64_t		size;			/* bytes, on the primary */
} PghaClonePlace;

typedef struct PghaClonePlan
{
	uint64_t	system_identifier;	/* of the primary; 0: not known */
	int			count;			/* tablespaces with a place of their own */
	PghaClonePlace tablespace[PGHA_MAX_CLONE_PLACES];
	int64_t		size;			/* of the data directory with WAL */
	bool		separate_wal;
	PghaClonePlace wal;
	bool		in_place;
	char		target[PATH_MAX];	/* directory to be filled */
	char		slot[64];		/* empty: a temporary one */
} PghaClonePlan;

/*
 * May the data directory be written to and be replaced?  Not if it is somebody
 * else's: fails then.
 */
extern bool pgha_clone_check_place(PghaJobRun *run);

/* Asks the leader what there is to copy, and finds a place for it. */
extern bool pgha_clone_make_plan(PghaJobRun *run, PghaClonePlan *plan, PGconn *leader);

/*
 * Is this a copy that pgha made?  Its last component is "pgha-" and a time; what
 * else the path contains must not matter.
 */
extern bool pgha_clone_is_copy(const char *path);

/* Target (PATH_MAX bytes) of a link below a data directory; false if it is none. */
extern bool pgha_clone_link(const char *data, const char *name, char *target);

/*
 * Splits pgha.clone_command or pgha.clone_check, with what %d, %h, %p and %n stand
 * for: to be freed; NULL with a sentence in `error`.
 */
extern char **pgha_clone_argv(const PghaJobRun *run, const PghaClonePlan *plan, const char *command,
							  char *error, size_t error_size);

#endif							/* PGHA_CLONE_PLACE_H */
