/*
 * peers.h
 *		The other members, through a `pgha io` child for each.
 */
#ifndef PGHA_PEERS_H
#define PGHA_PEERS_H

#include "postgres.h"

#include "../../core/state.h"
#include "../config.h"
#include "../shmem.h"

/* What is called with each answer, and with what is known instead of one. */
typedef void (*PghaPeerNews) (const PghaEvent *event);

extern void PghaPeersInit(PghaPeerNews news);

/* Ends all children; they are started again when there is something to ask. */
extern void PghaPeersStop(void);

/* Of members that stay it is still known when they were heard; children start anew. */
extern void PghaPeersRenumber(const PghaMembers *before, const PghaMembers *members);

/* How long a member may take with its report if there is nothing new in it. */
typedef enum PghaPatience
{
	PGHA_AT_ONCE,
	PGHA_SOON,
	PGHA_WHEN_CHANGED			/* or after heartbeat_interval */
} PghaPatience;

/* Has a member asked for its report, or for the history of a timeline. */
extern void PghaPeersPoll(const PghaConfig *config, int member, PghaPatience patience);
extern void PghaPeersFetchHistory(const PghaConfig *config, int member, uint32 timeline);

/* Has WAL of a timeline compared, in front of `end` and not before `begin`. */
extern void PghaPeersCompareWal(const PghaConfig *config, int member, uint32 timeline, pgha_lsn begin, pgha_lsn end);

/*
 * From when on a member may be asked again for what is new: not if there is a
 * request, nor if it does not wait, being of an older version, or waits for too
 * long; and not at any rate.
 */
extern pgha_time PghaPeersFree(const PghaConfig *config, int member);

/* Reads all children, ends those that are late, sends what is to be sent. */
extern void PghaPeersTend(const PghaConfig *config);

/* When to tend them without being woken; PG_INT64_MAX if there is no need. */
extern pgha_time PghaPeersDue(const PghaConfig *config);

/* Waits until a child has written, this process's latch is set, or the time is over. */
extern void PghaPeersWait(const PghaConfig *config, long timeout_ms);

/* Writes down when a member was heard, and what is wrong with it. */
extern void PghaPeersShow(int member, PghaMemberView *view);

#endif							/* PGHA_PEERS_H */
