/*
 * slots.c
 *		Physical replication slots for the other members.
 *
 * Every node, primary or not, keeps a slot "pgha_<member>" for each other
 * member, so that whoever leads next still has the WAL that the others lack.
 * The monitor calls PghaSlotsMaintain() about once per heartbeat, in a worker
 * without database and outside of any transaction.
 *
 * A slot that is in use belongs to its WAL sender and is left alone.  The others
 * follow the position that the member reports, but not past the redo position of
 * the last checkpoint here: WAL from there on is kept anyway, and pg_rewind of a
 * failed primary starts from a checkpoint before the fork.  A slot never moves
 * backward.
 *
 * The slot of a member that does not follow stays where it is: whoever comes back
 * to be rewound needs WAL from its last checkpoint before the fork on.
 *
 * A member that is further behind than pgha.slot_keep_size loses its slot, and
 * gets a new one when it reports a position that can be served again.  The
 * memory of that is this process's own; after a restart of the monitor a dead
 * member can hold back slot_keep_size once more.
 *
 * The slot of a former member is dropped; which those are is remembered
 * (own_slots.c).  Logical, temporary and all other slots are never touched,
 * whatever their names are.
 *
 * Nothing here waits for another process but for short LWLocks, and no error
 * leaves this file: each cause is logged when it first occurs.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "replication/slot.h"
#include "replication/walreceiver.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/guc.h"

#include "compat.h"
#include "own_slots.h"
#include "slots.h"
#include "../common/members.h"

#define SLOT_PREFIX		"pgha_"

static int	slot_keep_size = 8192;	/* MB */

/* One of our slots, as it was found. */
typedef struct FoundSlot
{
	bool		found;
	char		name[NAMEDATALEN];
	XLogRecPtr	restart_lsn;	/* invalid: reserves nothing, or its WAL is gone */
	bool		active;
} FoundSlot;

/* What is remembered of a member from round to round; empty name: free. */
typedef struct MemberNote
{
	char		member[PGHA_NAME_SIZE];
	bool		given_up;		/* too far behind */
	int			failure;		/* SQLSTATE of the last failure, already logged */
} MemberNote;

static MemberNote notes[PGHA_MAX_MEMBERS];
static MemberNote stranger_note;

typedef enum SlotAction
{
	SLOT_CREATE,
	SLOT_ADVANCE,
	SLOT_DROP
} SlotAction;

/* The note of settings->name[index]; forgets members that are gone if space is short. */
static MemberNote *
note_of(const PghaSettings *settings, int index)
{
	MemberNote *reuse = NULL;

	for (int n = 0; n < PGHA_MAX_MEMBERS; n++)
	{
		bool		member = false;

		if (strcmp(notes[n].member, settings->name[index]) == 0)
			return &notes[n];
		for (int i = 0; i < settings->count; i++)
			member |= strcmp(notes[n].member, settings->name[i]) == 0;
		if (!member && reuse == NULL)
			reuse = &notes[n];
	}

	/* There are as many notes as there can be members. */
	Assert(reuse != NULL);
	memset(reuse, 0, sizeof(*reuse));
	strlcpy(reuse->member, settings->name[index], PGHA_NAME_SIZE);
	return reuse;
}

/*
 * Is there WAL of segment `segno` in pg_wal, of whatever timeline?
 */
static bool
segment_exists(XLogSegNo segno)
{
	DIR		   *dir = AllocateDir(XLOGDIR);
	struct dirent *entry;
	char		wanted[MAXFNAMELEN];
	bool		exists = false;

	if (dir == NULL)
		return false;

	XLogFileName(wanted, 1, segno, wal_segment_size);
	while (!exists && (entry = ReadDirExtended(dir, XLOGDIR, LOG)) != NULL)
		exists = IsXLogFileName(entry->d_name) &&
			strcmp(entry->d_name + 8, wanted + 8) == 0; /* after the timeline */
	FreeDir(dir);
	return exists;
}

/* Can WAL from `lsn` on be kept?  WAL from the redo position on is always there. */
static bool
wal_exists(XLogRecPtr lsn)
{
	XLogSegNo	segno;
	XLogSegNo	redo_segno;

	XLByteToSeg(lsn, segno, wal_segment_size);
	XLByteToSeg(GetRedoRecPtr(), redo_segno, wal_segment_size);
	return segno >= redo_segno || segment_exists(segno);
}

static void
set_restart_lsn(XLogRecPtr lsn)
{
	SpinLockAcquire(&MyReplicationSlot->mutex);
	MyReplicationSlot->data.restart_lsn = lsn;
	SpinLockRelease(&MyReplicationSlot->mutex);
	ReplicationSlotMarkDirty();
	ReplicationSlotsComputeRequiredLSN();
}

/* Creates a slot that keeps WAL from `lsn` on, or from the redo position if that is earlier. */
static void
create_slot(const char *name, XLogRecPtr lsn)
{
	XLogRecPtr	redo;

	compat_physical_slot_create(name);
	ReplicationSlotReserveWal();

	redo = MyReplicationSlot->data.restart_lsn;
	if (!XLogRecPtrIsInvalid(lsn) && lsn < redo)
	{
		set_restart_lsn(lsn);

		/* A checkpoint that was under way may not have seen the reservation. */
		if (!wal_exists(lsn))
			set_restart_lsn(redo);
	}
	ReplicationSlotMarkDirty();
	ReplicationSlotSave();
	ReplicationSlotRelease();
}

/* Saved with the next checkpoint: after a crash the slot merely keeps more than needed. */
static void
advance_slot(const char *name, XLogRecPtr lsn)
{
	compat_slot_acquire(name);
	if (MyReplicationSlot->data.restart_lsn < lsn)
		set_restart_lsn(lsn);
	ReplicationSlotRelease();
}

/* Carries out one action.  False if it failed, which is logged once per cause. */
static bool
attempt(SlotAction action, const char *name, XLogRecPtr lsn, MemberNote *note)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		switch (action)
		{
			case SLOT_CREATE:
				create_slot(name, lsn);
				break;
			case SLOT_ADVANCE:
				advance_slot(name, lsn);
				break;
			case SLOT_DROP:
				ReplicationSlotDrop(name, true);
				break;
		}
		done = true;
		note->failure = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();

		LWLockReleaseAll();
		ConditionVariableCancelSleep();
		pgstat_report_wait_end();
		if (MyReplicationSlot != NULL)
			ReplicationSlotRelease();

		/* A WAL sender took the slot meanwhile: all is well. */
		if (error->sqlerrcode != ERRCODE_OBJECT_IN_USE &&
			error->sqlerrcode != note->failure)
		{
			note->failure = error->sqlerrcode;
			ereport(LOG,
					(errcode(error->sqlerrcode),
					 errmsg("could not maintain replication slot \"%s\": %s", name, error->message),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 error->hint ? errhint("%s", error->hint) : 0));
		}
		FreeErrorData(error);
	}
	PG_END_TRY();

	return done;
}

/* Up to where there is WAL here, replayed or not. */
static XLogRecPtr
wal_end(void)
{
	if (!RecoveryInProgress())
		return GetFlushRecPtr(NULL);
	return Max(GetXLogReplayRecPtr(NULL), GetWalRcvFlushRecPtr(NULL, NULL));
}

/*
 * Finds our slots.  found[i] is member i's; `strangers` (max_replication_slots
 * long) takes the others that may be, and their number is returned.
 */
static int
find_slots(const PghaSettings *settings, FoundSlot *found, FoundSlot *strangers)
{
	char		member_slot[PGHA_MAX_MEMBERS][NAMEDATALEN];
	int			count = 0;

	for (int i = 0; i < settings->count; i++)
		pgha_slot_name(settings->name[i], member_slot[i]);

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int s = 0; s < max_replication_slots; s++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[s];
		FoundSlot	this;
		bool		ours;
		int			member = PGHA_NOBODY;

		if (!slot->in_use)
			continue;

		SpinLockAcquire(&slot->mutex);
		ours = SlotIsPhysical(slot) && slot->data.persistency == RS_PERSISTENT;
		strlcpy(this.name, NameStr(slot->data.name), NAMEDATALEN);
		this.restart_lsn = compat_slot_invalidated(slot) ? InvalidXLogRecPtr : slot->data.restart_lsn;
		this.active = slot->active_pid != 0;
		SpinLockRelease(&slot->mutex);

		if (!ours)
			continue;

		for (int i = 0; i < settings->count; i++)
			if (i != settings->self && strcmp(this.name, member_slot[i]) == 0)
				member = i;
		this.found = true;
		if (member != PGHA_NOBODY)
			found[member] = this;
		else if (strncmp(this.name, SLOT_PREFIX, strlen(SLOT_PREFIX)) == 0)
			strangers[count++] = this;
	}
	LWLockRelease(ReplicationSlotControlLock);

	return count;
}

/* Is a slot for this member worth having, and possible?  `needed` may be invalid: not known. */
static bool
within_reach(XLogRecPtr needed, const MemberNote *note, XLogRecPtr end, uint64 keep)
{
	if (XLogRecPtrIsInvalid(needed))
		return !note->given_up;
	return (needed >= end || end - needed <= keep) && wal_exists(needed);
}

/* Returns whether there is a slot for the member afterwards. */
static bool
maintain_member(const char *member, const FoundSlot *slot, const PghaMemberNeed *need, MemberNote *note)
{
	XLogRecPtr	end = wal_end();
	XLogRecPtr	needed = need->known ? need->lsn : InvalidXLogRecPtr;
	XLogRecPtr	reserved;
	XLogRecPtr	target;
	uint64		keep = (uint64) slot_keep_size * 1024 * 1024;
	char		name[NAMEDATALEN];

	pgha_slot_name(member, name);

	if (!slot->found)
	{
		if (!within_reach(needed, note, end, keep) ||
			!attempt(SLOT_CREATE, name, needed, note))
			return false;
		note->given_up = false;
		ereport(LOG,
				(errmsg("created replication slot \"%s\" for member \"%s\"", name, member)));
		return true;
	}

	if (slot->active)
		return true;

	if (XLogRecPtrIsInvalid(slot->restart_lsn))
	{
		if (!attempt(SLOT_DROP, name, InvalidXLogRecPtr, note))
			return true;
		note->given_up = true;
		ereport(LOG,
				(errmsg("dropped replication slot \"%s\" of member \"%s\", which no longer keeps WAL",
						name, member)));
		return false;
	}

	/*
	 * Measured from what the member needs: the slot itself may lag behind it by
	 * as much as a checkpoint, which says nothing about the member.
	 */
	reserved = Max(needed, slot->restart_lsn);
	if (reserved < end && end - reserved > keep)
	{
		if (!attempt(SLOT_DROP, name, InvalidXLogRecPtr, note))
			return true;
		note->given_up = true;
		ereport(WARNING,
				(errmsg("dropped replication slot \"%s\": member \"%s\" is %llu MB behind",
						name, member, (unsigned long long) ((end - reserved) / (1024 * 1024))),
				 errdetail("pgha.slot_keep_size is %d MB.", slot_keep_size),
				 errhint("If WAL that the member lacks is removed, it must be cloned again.")));
		return false;
	}

	/*
	 * A position that is not known is 0 and advances nothing.  A fallen member
	 * needs WAL back to its last checkpoint before the fork, which is not before
	 * the redo position here when it fell; that is given up before the slot is.
	 */
	target = Min(needed, GetRedoRecPtr());
	if (target > slot->restart_lsn &&
		(need->follows || (slot->restart_lsn < end && end - slot->restart_lsn > keep)))
		(void) attempt(SLOT_ADVANCE, name, target, note);
	return true;
}

static void
drop_strangers(const FoundSlot *strangers, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strangers[i].active || !PghaSlotIsOwn(strangers[i].name))
			continue;
		if (attempt(SLOT_DROP, strangers[i].name, InvalidXLogRecPtr, &stranger_note))
		{
			PghaSlotForgotten(strangers[i].name);
			ereport(LOG,
					(errmsg("dropped replication slot \"%s\", which belongs to no other member of the cluster",
							strangers[i].name)));
		}
	}
}

/* Can there be slots at all, now?  If they are configured away, says so once. */
static bool
slots_possible(void)
{
	static bool told = false;

	if (max_replication_slots == 0 || wal_level < WAL_LEVEL_REPLICA)
	{
		if (!told)
			ereport(WARNING,
					(errmsg("cannot keep replication slots for the other members"),
					 errhint("Set wal_level to replica or logical and max_replication_slots to at least the number of members.")));
		told = true;
		return false;
	}

	/*
	 * The startup process reads the slots from disk before it replays anything;
	 * one created before that would be there twice.
	 */
	return !RecoveryInProgress() || !XLogRecPtrIsInvalid(GetXLogReplayRecPtr(NULL));
}

uint32
PghaSlotsMaintain(const PghaSettings *settings, const PghaMemberNeed *need)
{
	FoundSlot	found[PGHA_MAX_MEMBERS];
	FoundSlot  *strangers;
	uint32		present = 0;

	if (!slots_possible())
		return 0;

	memset(found, 0, sizeof(found));
	strangers = palloc_extended(max_replication_slots * sizeof(FoundSlot), MCXT_ALLOC_NO_OOM);
	if (strangers == NULL)
		return 0;

	/* Strangers first: they may occupy the slots that members need. */
	drop_strangers(strangers, find_slots(settings, found, strangers));
	pfree(strangers);

	for (int i = 0; i < settings->count; i++)
	{
		char		name[NAMEDATALEN];

		if (i == settings->self)
			continue;
		pgha_slot_name(settings->name[i], name);
		if (maintain_member(settings->name[i], &found[i], &need[i], note_of(settings, i)))
		{
			present |= (uint32) 1 << i;
			PghaSlotOwned(name);
		}
		else
			PghaSlotForgotten(name);
	}
	PghaOwnSlotsSave();
	return present;
}

void
PghaSlotsInit(void)
{
	DefineCustomIntVariable("pgha.slot_keep_size",
							"A member's replication slot is dropped when the member is further behind than this.",
							NULL,
							&slot_keep_size, 8192, 1, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
}
