/*
 * history.h
 *		Where this node's history and the leader's part.
 */
#ifndef PGHA_HISTORY_H
#define PGHA_HISTORY_H

#include <libpq-fe.h>

#include "../common/report.h"
#include "../host/server_ctl.h"
#include "report.h"

/* Where the two part, and what is on both sides of it. */
typedef struct PghaFork
{
	bool		same_timeline;	/* both are on the same one: nothing that pg_rewind could see */
	uint32_t	timeline;		/* the last one that both have */
	pgha_lsn	lsn;			/* where they part */
	uint32_t	own_timeline;	/* that the WAL here ends on */
	uint32_t	leader_timeline;
	const PghaHistory *own;		/* timelines of the WAL here; valid until the next call */
	const PghaHistory *theirs;	/* those of the leader's; the same */
} PghaFork;

extern bool pgha_fork_find(PghaJobRun *run, PGconn *leader, const PghaControl *control, PghaFork *fork);

/* Is the common timeline one and the same?  Otherwise pgha_job_fail() has said why only a clone helps. */
extern bool pgha_fork_proven(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork);

/* Is the WAL the same here and on the leader? */
typedef enum PghaSame
{
	PGHA_SAME_YES,
	PGHA_SAME_NO,
	PGHA_SAME_UNKNOWN			/* it is gone on one of them, or cannot be read */
} PghaSame;

/*
 * Compares the WAL just before `end`, on the timeline that both have.  Both must
 * have written that far.
 */
extern PghaSame pgha_wal_same(PghaJobRun *run, PGconn *leader, const PghaControl *control,
							  const PghaFork *fork, pgha_lsn end);

/* Name of the segment that a position is in; `name` has 32 bytes. */
extern void pgha_wal_name(uint32_t timeline, pgha_lsn lsn, const PghaControl *control, char *name);

/* Timeline and number of the segment that a WAL file's name stands for; false if it is no such name. */
extern bool pgha_wal_name_parse(const char *name, uint64_t segment_size, uint32_t *timeline, uint64_t *segment);

#endif							/* PGHA_HISTORY_H */
