/*
 * orders.c
 *		Orders of SQL functions to the monitor, and its answers.
 *
 * There is one slot in shared memory.  A backend owns it from giving the order
 * until it has read the answer, so that no other order can overwrite the
 * answer in between; others wait for their turn.  All fields of the slot are
 * read and written under PghaShmem->lock.
 *
 * An owner that is cancelled or terminated gives the slot back.  The monitor
 * may have taken the order by then: it carries it out all the same, and its
 * answer, told by its number, is read by nobody.  All waits are bounded.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"

#include "../common/clock.h"
#include "compat.h"
#include "orders.h"
#include "wait.h"

/* How long to wait for one's turn, and then for the answer. */
#define ORDER_TIMEOUT_MS	10000

/* Makes the slot free, if it is this backend's. */
static void
release_slot(int code, Datum arg)
{
	PghaOrder  *order = &PghaShmem->order;

	(void) code;
	(void) arg;
	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	if (order->owner == MyProcPid)
	{
		order->owner = 0;
		order->kind = PGHA_ORDER_NONE;
	}
	LWLockRelease(PghaShmem->lock);
	ConditionVariableBroadcast(&order->done);
}

/* Takes the slot and writes the order into it; returns its number. */
static uint64
place_order(PghaOrderKind kind, const char *target)
{
	PghaOrder  *order = &PghaShmem->order;
	uint64		number = 0;
	pgha_time	deadline = pgha_clock_us() + (pgha_time) ORDER_TIMEOUT_MS * 1000;

	ConditionVariablePrepareToSleep(&order->done);
	for (;;)
	{
		LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
		if (order->owner == 0)
		{
			order->owner = MyProcPid;
			order->kind = kind;
			strlcpy(order->target, target, sizeof(order->target));
			number = ++order->number;
		}
		LWLockRelease(PghaShmem->lock);
		if (number != 0)
			break;
		if (!PghaSleepUntil(&order->done, deadline))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("another session's order to pgha is still being carried out"),
					 errhint("Try again.")));
	}
	ConditionVariableCancelSleep();
	return number;
}

/* Waits for the answer to order `number`. */
static void
await_answer(uint64 number, PghaAnswer *answer)
{
	PghaOrder  *order = &PghaShmem->order;
	bool		answered = false;
	pgha_time	deadline = pgha_clock_us() + (pgha_time) ORDER_TIMEOUT_MS * 1000;

	ConditionVariablePrepareToSleep(&order->done);
	for (;;)
	{
		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		if (order->answered >= number)
		{
			answered = true;
			answer->refused = order->refused;
			answer->force_helps = order->force_helps;
			answer->too_low = order->too_low;
			strlcpy(answer->message, order->message, sizeof(answer->message));
			answer->pause_generation = order->pause_generation;
			answer->reason = order->reason;
			answer->handover = order->handover;
		}
		LWLockRelease(PghaShmem->lock);
		if (answered)
			break;
		if (!PghaSleepUntil(&order->done, deadline))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the pgha monitor did not answer within %d seconds", ORDER_TIMEOUT_MS / 1000),
					 errdetail("The order may still be carried out."),
					 errhint("The server log and pgha_status() tell what the monitor is doing.")));
	}
	ConditionVariableCancelSleep();
}

void
PghaOrderGive(PghaOrderKind kind, const char *target, PghaAnswer *answer)
{
	uint64		number;

	memset(answer, 0, sizeof(*answer));
	PG_ENSURE_ERROR_CLEANUP(release_slot, (Datum) 0);
	{
		number = place_order(kind, target);
		PghaWakeMonitor();
		await_answer(number, answer);
	}
	PG_END_ENSURE_ERROR_CLEANUP(release_slot, (Datum) 0);
	release_slot(0, (Datum) 0);
}

/*
 * Not an order among others: those may be waiting for their turn, and this one is
 * given by sessions that must end.
 */
void
PghaOrderCallOff(void)
{
	uint32		own = (uint32) MyProcPid;

	if (pg_atomic_compare_exchange_u32(&PghaShmem->switchover_by, &own, 0))
		PghaWakeMonitor();
}

bool
PghaOrderAdopt(uint64 number, pid_t by)
{
	PghaOrder  *order = &PghaShmem->order;
	bool		stands;

	/* A session gives the slot back before it calls off. */
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	stands = order->number == number && order->owner == by;
	if (stands)
		pg_atomic_write_u32(&PghaShmem->switchover_by, (uint32) by);
	LWLockRelease(PghaShmem->lock);
	return stands;
}

bool
PghaOrderCalledOff(void)
{
	return pg_atomic_read_u32(&PghaShmem->switchover_by) == 0;
}

PghaOrderKind
PghaOrderTake(uint64 *number, char *target, pid_t *by)
{
	PghaOrder  *order = &PghaShmem->order;
	PghaOrderKind kind = PGHA_ORDER_NONE;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	if (order->number > order->answered)
		kind = order->kind;
	strlcpy(target, order->target, PGHA_NAME_SIZE);
	*by = order->owner;
	*number = order->number;
	LWLockRelease(PghaShmem->lock);
	return kind;
}

void
PghaOrderAnswer(uint64 number, const PghaAnswer *answer)
{
	PghaOrder  *order = &PghaShmem->order;

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	order->refused = answer->refused;
	order->force_helps = answer->force_helps;
	order->too_low = answer->too_low;
	strlcpy(order->message, answer->message, sizeof(order->message));
	order->pause_generation = answer->pause_generation;
	order->reason = answer->reason;
	order->handover = answer->handover;
	order->answered = number;
	if (order->number == number)
		order->kind = PGHA_ORDER_NONE;
	LWLockRelease(PghaShmem->lock);
	ConditionVariableBroadcast(&order->done);
}
