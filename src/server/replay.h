/*
 * replay.h
 *		How far a standby's replay is, and since when it has been behind.
 */
#ifndef PGHA_REPLAY_H
#define PGHA_REPLAY_H

#include "postgres.h"

#include "../core/node.h"

/* Of a server in recovery; all zero of any other. */
typedef struct PghaReplay
{
	pgha_lsn	replayed;
	bool		paused;
	pgha_time	commit_age;		/* since the last commit that it has replayed was made; -1: not known */
	pgha_time	current_age;	/* since the last moment of which it has replayed all that the leader had told of; -1: not known */
} PghaReplay;

/* How far the upstream is, as it said last; 0: not known. */
extern pgha_lsn PghaUpstreamEnd(void);

/* In any process with shared memory. */
extern void PghaReplayLook(PghaReplay *replay);

/*
 * By how much time does the replay lag behind a leader whose WAL ends at
 * `leader_end` (0: not known), as a standby that reports has it?  -1: not known.
 */
extern pgha_time PghaReplayLag(const PghaReport *report, pgha_lsn leader_end);

#endif							/* PGHA_REPLAY_H */
