/*
 * table.h
 *		What comes next of a clone that may have been interrupted: a table.
 *
 * Pure: it reads no file, asks nobody and knows no clock.  What was decided
 * before a crash or a wait is decided again by it (swap.c), and whether a former
 * data directory may be deleted (swap.c, too).  Facts have three values; nothing
 * that exists once is replaced or deleted on "not known".
 */
#ifndef PGHA_RECOVERY_TABLE_H
#define PGHA_RECOVERY_TABLE_H

#include <stdbool.h>

#include "../core/node.h"

/* The clone that the record names. */
typedef enum PghaCopy
{
	PGHA_COPY_NONE,				/* the record names none */
	PGHA_COPY_PARTIAL,			/* it was being made, and has no pg_control, which comes last */
	PGHA_COPY_PERHAPS,			/* it was being made, and may be whole */
	PGHA_COPY_WHOLE,			/* it waits to be swapped in */
	PGHA_COPY_PLACED,			/* it is the data directory now */
	PGHA_COPY_VANISHED,			/* nothing has its name any more */
	PGHA_COPY_FOREIGN			/* what has its name is not what pgha made */
} PghaCopy;

typedef struct PghaScene
{
	PghaCopy	copy;
	bool		data_whole;		/* else it is missing, or known not to be whole */
	PghaFact	changed;		/* the data directory is not what the record says is replaced, or has more */
	PghaFact	down;			/* its server is proven not to run */
	PghaFact	contained;		/* the leader of now has all that the copy has; UNKNOWN without a leader */
	PghaFact	above;			/* the data directory's term is above the leader's */
	bool		paused;
	bool		stopped;		/* on purpose, not by a recovery */
	bool		ordered;		/* by a person, of late and in this leader's term */
} PghaScene;

typedef enum PghaStep
{
	PGHA_STEP_GO_ON,			/* no copy is in the way: start, rewind or clone */
	PGHA_STEP_SWAP,				/* begin or finish the exchange */
	PGHA_STEP_NAME,				/* exchanged: only the names are left to do */
	PGHA_STEP_DELETE_COPY,		/* and go on: all that it has is elsewhere */
	PGHA_STEP_LEAVE_COPY,		/* and go on: it stays where it is, told to the administrator */
	PGHA_STEP_FORGET_COPY,		/* and go on: there is none */
	PGHA_STEP_AWAIT_SERVER,		/* nothing is done before it is known that the server does not run */
	PGHA_STEP_AWAIT_LEADER,		/* the copy waits until there is a leader that can be compared with */
	PGHA_STEP_AWAIT_OPERATOR	/* the copy waits for the end of the pause, for a start or an order */
} PghaStep;

extern PghaStep pgha_table_step(const PghaScene *scene);

/* May a server that is down be started? */
extern bool pgha_table_may_start(const PghaScene *scene);

/* What is known of a former data directory when the clone that replaced it streams. */
typedef struct PghaFormer
{
	bool		listed;			/* device and inode are those that the record names */
	PghaFact	changed;		/* it has more than it had when it was replaced */
	PghaFact	above;			/* its term is above the leader's */
	PghaFact	contained;		/* the leader has all that it has */
	bool		saved;			/* what it alone had was saved when it was replaced, and the same leader leads */
	bool		keep;			/* pgha.keep_old_data, or it could not be told then what it alone has */
} PghaFormer;

typedef enum PghaFate
{
	PGHA_FATE_DELETE,
	PGHA_FATE_KEEP,				/* told, and forgotten */
	PGHA_FATE_AWAIT				/* decided when the leader can be asked */
} PghaFate;

extern PghaFate pgha_table_former(const PghaFormer *former);

/* A word for the log and for the model. */
extern const char *pgha_table_word(PghaStep step);

#endif							/* PGHA_RECOVERY_TABLE_H */
