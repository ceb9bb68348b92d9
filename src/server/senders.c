/*
 * senders.c
 *		How far each member's WAL receiver is, as it has confirmed to this primary.
 *
 * Whose a WAL sender is tells the slot that it uses: each member has one of its own
 * (slots.c), which nobody else can use at the same time.  Called by the monitor once
 * a step; only reads shared memory.
 */
#include "postgres.h"

#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "compat.h"
#include "senders.h"
#include "../common/members.h"

static void
read_sender(pid_t pid, pgha_lsn *flushed, pgha_lsn *applied)
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd	   *sender = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&sender->mutex);
		if (sender->pid == pid && (sender->state == WALSNDSTATE_STREAMING || sender->state == WALSNDSTATE_CATCHUP))
		{
			*flushed = sender->flush;
			*applied = sender->apply;
		}
		SpinLockRelease(&sender->mutex);
	}
}

void
PghaSendersRead(const PghaSettings *settings, PghaLocal *local)
{
	char		wanted[PGHA_MAX_MEMBERS][NAMEDATALEN];
	pid_t		user[PGHA_MAX_MEMBERS] = {0};

	for (int i = 0; i < settings->count; i++)
		pgha_slot_name(settings->name[i], wanted[i]);
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int s = 0; s < max_replication_slots; s++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[s];

		for (int i = 0; slot->in_use && i < settings->count; i++)
		{
			if (strcmp(NameStr(slot->data.name), wanted[i]) != 0)
				continue;
			SpinLockAcquire(&slot->mutex);
			user[i] = slot->active_pid;
			SpinLockRelease(&slot->mutex);
		}
	}
	LWLockRelease(ReplicationSlotControlLock);
	for (int i = 0; i < settings->count; i++)
	{
		if (user[i] != 0)
			read_sender(user[i], &local->flushed[i], &local->applied[i]);
	}
}
