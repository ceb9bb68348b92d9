/*
 * sync.c
 *		Reads synchronous replication as PostgreSQL has it: what
 *		synchronous_standby_names asks for, and which standbys are synchronous.
 *
 * Called for the report that the other members read, by the monitor, and for
 * pgha_status().  Nothing here needs a database or a transaction, and nothing
 * changes a setting.
 *
 * Which walsenders are synchronous is PostgreSQL's own verdict
 * (SyncRepGetCandidateStandbys).  It names them by process; the application_name
 * behind a process comes from the backend status array, which is what
 * pg_stat_replication shows.  Taking the name from the walsender's priority
 * instead, as its position in the list, would name the wrong standby while a
 * changed list has not reached all walsenders yet.
 */
#include "postgres.h"

#include "access/xact.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/spin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "config.h"
#include "sync.h"

/* More standbys than this cannot be told apart; PostgreSQL users have a handful. */
#define MAX_CURRENT		64

/* Walsenders behind this place in PostgreSQL's array are not looked at: members take the first ones that are free. */
#define PGHA_SENDERS_LOOKED_AT	256

typedef struct Current
{
	int			count;
	char		name[MAX_CURRENT][NAMEDATALEN];
} Current;

static const char *
next_name(const char *name)
{
	return name + strlen(name) + 1;
}

static bool
is_anyone(const char *name)
{
	return strcmp(name, "*") == 0;
}

/* Does the list name this standby itself, not only by '*'? */
static bool
is_named(const char *standby)
{
	const char *name = SyncRepConfig->member_names;

	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
	{
		if (pg_strcasecmp(name, standby) == 0)
			return true;
	}
	return false;
}

/* Was the i-th name of the list, `name`, given before? */
static bool
is_repeated(int position, const char *name)
{
	const char *earlier = SyncRepConfig->member_names;

	for (int i = 0; i < position; i++, earlier = next_name(earlier))
	{
		if (pg_strcasecmp(earlier, name) == 0)
			return true;
	}
	return false;
}

/* Names of the standbys that PostgreSQL counts as synchronous at this moment. */
static void
read_current(Current *current)
{
	SyncRepStandbyData *standbys = NULL;
	int			standby_count;
	int			backends = 0;

	current->count = 0;
	standby_count = SyncRepGetCandidateStandbys(&standbys);

	/*
	 * Within a transaction the snapshot of the backend status is the user's
	 * and lives to its end; elsewhere nobody else would ever drop it.
	 */
	if (!IsTransactionState())
		pgstat_clear_backend_activity_snapshot();
	if (standby_count > 0)
		backends = pgstat_fetch_stat_numbackends();
	for (int b = 1; b <= backends; b++)
	{
		LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(b);

		if (local == NULL || local->backendStatus.st_appname == NULL)
			continue;
		for (int s = 0; s < standby_count && current->count < MAX_CURRENT; s++)
		{
			if (standbys[s].pid == local->backendStatus.st_procpid)
				strlcpy(current->name[current->count++],
						local->backendStatus.st_appname, NAMEDATALEN);
		}
	}
	if (!IsTransactionState())
		pgstat_clear_backend_activity_snapshot();
	if (standbys != NULL)
		pfree(standbys);
}

static bool
is_current(const Current *current, const char *standby)
{
	for (int i = 0; i < current->count; i++)
	{
		if (pg_strcasecmp(current->name[i], standby) == 0)
			return true;
	}
	return false;
}

void
PghaSyncRead(const PghaMembers *members, PghaSync *sync)
{
	Current		current;
	bool		anyone = false;
	const char *name;

	memset(sync, 0, sizeof(*sync));
	if (SyncRepConfig == NULL)
		return;

	sync->method = SyncRepConfig->syncrep_method == SYNC_REP_QUORUM ?
		PGHA_SYNC_ANY : PGHA_SYNC_FIRST;
	sync->num_sync = SyncRepConfig->num_sync;

	name = SyncRepConfig->member_names;
	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
	{
		if (is_anyone(name))
			anyone = true;
		else if (pg_strcasecmp(name, pgha_node) != 0 && !is_repeated(i, name))
			sync->num_listed++;
	}

	if (sync->method == PGHA_SYNC_FIRST)
		read_current(&current);
	else
		current.count = 0;
	for (int i = 0; i < members->count; i++)
	{
		const char *member = members->member[i].name;
		bool		named = is_named(member);

		if (strcmp(member, pgha_node) == 0 || !(named || anyone))
			continue;
		if (!named)
			sync->num_listed++;
		sync->listed |= UINT32_C(1) << i;
		if (is_current(&current, member))
			sync->current |= UINT32_C(1) << i;
	}
}

void
PghaSyncWarn(const PghaMembers *members)
{
	static char *told = NULL;
	static PghaMembers told_for;
	StringInfoData strangers;
	bool		anyone = false;
	const char *name;

	if (SyncRepConfig == NULL ||
		(told != NULL && strcmp(told, SyncRepStandbyNames) == 0 && memcmp(&told_for, members, sizeof(told_for)) == 0))
		return;
	if (told != NULL)
		pfree(told);
	told = MemoryContextStrdup(TopMemoryContext, SyncRepStandbyNames);
	told_for = *members;

	initStringInfo(&strangers);
	name = SyncRepConfig->member_names;
	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
	{
		bool		is_member = false;

		anyone |= is_anyone(name);
		for (int m = 0; m < members->count; m++)
			is_member |= pg_strcasecmp(members->member[m].name, name) == 0;
		if (!is_member && !is_anyone(name))
			appendStringInfo(&strangers, "%s\"%s\"", strangers.len > 0 ? ", " : "", name);
	}
	if (anyone)
		ereport(WARNING,
				(errmsg("synchronous_standby_names contains *: whatever streams from here can end a commit's wait, but only members confirm it"),
				 errhint("Name the members instead, on every node.")));
	if (strangers.len > 0)
		ereport(WARNING,
				(errmsg("synchronous_standby_names names what is no data member: %s; the members elect a primary without its commits",
						strangers.data),
				 errhint("Name members of pgha.members only, on every node.")));
	pfree(strangers.data);
}

/* The member that has given the process its application_name. */
static int
member_of(const PghaMembers *members, pid_t pid)
{
	int			member = PGHA_NOBODY;
	int			backends;

	if (!IsTransactionState())
		pgstat_clear_backend_activity_snapshot();
	backends = pgstat_fetch_stat_numbackends();
	for (int b = 1; b <= backends && member == PGHA_NOBODY; b++)
	{
		LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(b);

		if (local == NULL || local->backendStatus.st_procpid != pid || local->backendStatus.st_appname == NULL)
			continue;
		for (int i = 0; i < members->count; i++)
		{
			if (pg_strcasecmp(members->member[i].name, local->backendStatus.st_appname) == 0)
				member = i;
		}
		break;
	}
	if (!IsTransactionState())
		pgstat_clear_backend_activity_snapshot();
	return member;
}

/*
 * A walsender keeps its name, so that the names, which are not cheap to read, are
 * looked up once for each: `seen` are those of the last call, by their places in
 * WalSndCtl.
 */
int
PghaSyncSenders(const PghaMembers *members, PghaSender *sender)
{
	static PghaSender seen[PGHA_SENDERS_LOOKED_AT];
	static PghaMembers seen_for;
	int			count = 0;

	if (memcmp(&seen_for, members, sizeof(seen_for)) != 0)
	{
		memset(seen, 0, sizeof(seen));
		seen_for = *members;
	}
	for (int i = 0; i < Min(max_wal_senders, PGHA_SENDERS_LOOKED_AT) && count < PGHA_MAX_SENDERS; i++)
	{
		WalSnd	   *walsender = &WalSndCtl->walsnds[i];
		pid_t		pid;
		bool		streams;

		SpinLockAcquire(&walsender->mutex);
		pid = walsender->pid;
		streams = walsender->state == WALSNDSTATE_CATCHUP || walsender->state == WALSNDSTATE_STREAMING ||
			walsender->state == WALSNDSTATE_STOPPING;
		SpinLockRelease(&walsender->mutex);
		if (pid == 0 || !streams)
		{
			seen[i].pid = 0;
			continue;
		}
		if (seen[i].pid != pid)
			seen[i] = (PghaSender) {i, pid, member_of(members, pid)};
		if (seen[i].member != PGHA_NOBODY)
			sender[count++] = seen[i];
	}
	return count;
}

void
PghaSyncFlushed(const PghaMembers *members, pgha_lsn *flushed, pgha_lsn *applied)
{
	PghaSender	sender[PGHA_MAX_SENDERS];
	int			count = PghaSyncSenders(members, sender);

	memset(flushed, 0, PGHA_MAX_MEMBERS * sizeof(*flushed));
	memset(applied, 0, PGHA_MAX_MEMBERS * sizeof(*applied));
	for (int i = 0; i < count; i++)
	{
		WalSnd	   *walsender = &WalSndCtl->walsnds[sender[i].place];
		XLogRecPtr	flush = 0;
		XLogRecPtr	apply = 0;

		SpinLockAcquire(&walsender->mutex);
		if (walsender->pid == sender[i].pid)
		{
			flush = walsender->flush;
			apply = walsender->apply;
		}
		SpinLockRelease(&walsender->mutex);
		flushed[sender[i].member] = Max(flushed[sender[i].member], flush);
		applied[sender[i].member] = Max(applied[sender[i].member], apply);
	}
}

void
PghaSyncDescribe(StringInfo text)
{
	Current		current;
	const char *name;

	if (SyncRepConfig == NULL)
	{
		appendStringInfoString(text, "async");
		return;
	}
	read_current(&current);
	appendStringInfo(text, "%s %d (",
					 SyncRepConfig->syncrep_method == SYNC_REP_QUORUM ? "ANY" : "FIRST",
					 SyncRepConfig->num_sync);
	name = SyncRepConfig->member_names;
	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
	{
		const char *separator = ": ";

		if (i > 0)
			appendStringInfoString(text, ", ");
		if (!is_anyone(name))
		{
			appendStringInfo(text, "%s%s", name, is_current(&current, name) ? "*" : "");
			continue;
		}

		/* The star of the list would read as a mark; tell whom it stands for. */
		appendStringInfoString(text, "any");
		for (int c = 0; c < current.count; c++)
		{
			if (is_named(current.name[c]))
				continue;
			appendStringInfo(text, "%s%s*", separator, current.name[c]);
			separator = ", ";
		}
	}
	appendStringInfoChar(text, ')');
}
