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
} PghaFork;

extern bool pgha_fork_find(PghaJobRun *run, PGconn *leader, const PghaControl *control, PghaFork *fork);

/* Is the common timeline one and the same?  Otherwise pgha_job_fail() has said why only a clone helps. */
extern bool pgha_fork_proven(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork);

#endif							/* PGHA_HISTORY_H */
