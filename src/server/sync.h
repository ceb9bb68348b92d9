/*
 * sync.h
 *		synchronous_standby_names of this server, and who is synchronous now.
 */
#ifndef PGHA_SYNC_H
#define PGHA_SYNC_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "../common/members.h"

/* A walsender and the member that it sends to. */
typedef struct PghaSender
{
	int			place;			/* in WalSndCtl */
	pid_t		pid;
	int			member;
} PghaSender;

/* More of them are not told. */
#define PGHA_MAX_SENDERS	64

/*
 * Reads this primary's synchronous replication in the terms of `members`.
 * This node (pgha.node) is never listed: a primary does not acknowledge its own
 * commits.  Works in any process with shared memory, in a transaction or not.
 */
extern void PghaSyncRead(const PghaMembers *members, PghaSync *sync);

/*
 * Appends e.g. "FIRST 1 (db-2*, db-3)", where * marks whose confirmation is
 * waited for (FIRST) or counts (ANY) now; "async" if there is none.
 */
extern void PghaSyncDescribe(StringInfo text);

/*
 * For the monitor of a server whose members vote, when it has read the settings:
 * warns of names that confirm commits and have no vote, once for each setting.
 */
extern void PghaSyncWarn(const PghaMembers *members);

/*
 * The walsenders that stream to members; returns how many.  `sender` has room
 * for PGHA_MAX_SENDERS.  For the monitor, or another process that calls it often:
 * it remembers the names that it has looked up.
 */
extern int	PghaSyncSenders(const PghaMembers *members, PghaSender *sender);

/*
 * What the receiver of each member that streams from here has confirmed to have
 * flushed and replayed, by its number; 0: none is connected.
 */
extern void PghaSyncFlushed(const PghaMembers *members, pgha_lsn *flushed, pgha_lsn *applied);

#endif							/* PGHA_SYNC_H */
