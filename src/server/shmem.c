/*
 * shmem.c
 *		The shared memory of pgha.
 *
 * Set up in the postmaster at its start and again at each crash restart, but not
 * for `postgres -C`; also in a single-user server.  It is new after a crash
 * restart: the gate is shut, no order to the WAL receiver is left.  Everything
 * in src/server uses it; it uses nothing of theirs but the settings, and never
 * decides anything.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "../common/clock.h"
#include "compat.h"
#include "config.h"
#include "shmem.h"
#include "witness.h"

PghaShared *PghaShmem = NULL;

static shmem_startup_hook_type previous_startup_hook = NULL;
static shmem_request_hook_type previous_request_hook = NULL;

bool
PghaEnabled(void)
{
	return PghaShmem != NULL && IsPostmasterEnvironment && !IsBinaryUpgrade &&
		pgha_node != NULL && pgha_node[0] != '\0';
}

bool
PghaHasData(void)
{
	return PghaEnabled() && !PghaIsWitness();
}

void
PghaRequireShmem(void)
{
	if (PghaShmem == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgha must be loaded by the server at its start"),
				 errhint("Add pgha to shared_preload_libraries in postgresql.conf and restart the server.")));
}

void
PghaRequireEnabled(void)
{
	PghaRequireShmem();
	if (!PghaEnabled())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgha does not manage this server"),
				 errhint("Set pgha.node and pgha.members in postgresql.conf and restart the server.")));
}

void
PghaRequireData(void)
{
	PghaRequireEnabled();
	if (PghaIsWitness())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is a witness: it votes, and has no data of the cluster"),
				 errhint("Call this on one of the members; pgha_cluster() shows them.")));
}

void
PghaWakeMonitor(void)
{
	Latch	   *latch;

	if (PghaShmem == NULL)
		return;

	/* Read without the lock: a stale latch is some process's latch, and waking it does no harm. */
	latch = *(Latch *volatile *) &PghaShmem->monitor_latch;
	if (latch != NULL)
		SetLatch(latch);
}

static void
startup_hook(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	PghaShmem = ShmemInitStruct("pgha", sizeof(PghaShared), &found);
	if (!found)
	{
		PghaShared *shared = PghaShmem;

		memset(shared, 0, sizeof(*shared));
		shared->lock = &(GetNamedLWLockTranche("pgha"))[0].lock;
		shared->board.lock = &(GetNamedLWLockTranche("pgha"))[1].lock;
		shared->confirm_lock = &(GetNamedLWLockTranche("pgha"))[2].lock;
		pg_atomic_init_u32(&shared->confirm_rules, 0);
		ConditionVariableInit(&shared->board.changed);
		if (!pg_strong_random(&shared->instance, sizeof(shared->instance)))
			shared->instance = (uint64) pgha_clock_us() ^ ((uint64) MyProcPid << 48);
		pg_atomic_init_u64(&shared->gate.deadline, PGHA_GATE_CLOSED);
		pg_atomic_init_u64(&shared->gate.lease, 0);
		pg_atomic_init_u64(&shared->gate.alive, 0);
		pg_atomic_init_u32(&shared->gate.decided, 0);
		ConditionVariableInit(&shared->gate.changed);
		pg_atomic_init_u32(&shared->receiver.stop, 0);
		pg_atomic_init_u32(&shared->receiver.in_send, 0);
		pg_atomic_init_u32(&shared->receiver.heartbeat_due, 0);
		pg_atomic_init_u32(&shared->receiver.state, PGHA_RECEIVER_NONE);
		pg_atomic_init_u32(&shared->receiver.ending, 0);
		pg_atomic_init_u64(&shared->receiver.heard, 0);
		pg_atomic_init_u64(&shared->receiver.current_at, 0);
		pg_atomic_init_u32(&shared->receiver.ended_clean, 0);
		pg_atomic_init_u32(&shared->receiver.timeline, 0);
		pg_atomic_init_u64(&shared->receiver.latch, 0);
		pg_atomic_init_u32(&shared->receiver.slot_sync, 0);
		shared->receiver.order_member = PGHA_NOBODY;
		shared->view.leader = PGHA_NOBODY;
		pg_atomic_init_u64(&shared->news, 0);
		ConditionVariableInit(&shared->news_changed);
		ConditionVariableInit(&shared->order.done);
		pg_atomic_init_u32(&shared->switchover_by, 0);
		pg_atomic_init_u64(&shared->newest_event, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

static void
request_hook(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(sizeof(PghaShared));
	RequestNamedLWLockTranche("pgha", 3);
}

/* Called while shared_preload_libraries are loaded. */
void
PghaShmemInit(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_hook;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_hook;
}
