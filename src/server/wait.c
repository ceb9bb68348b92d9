/*
 * wait.c
 *		Waiting in a backend, with a limit, until something has changed.
 *
 * For SQL functions and commits; they can be cancelled meanwhile.  Never for the
 * monitor, which waits in one place only, nor for the WAL receiver.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"

#include "../common/clock.h"
#include "wait.h"

bool
PghaSleepUntil(ConditionVariable *changed, pgha_time deadline)
{
	pgha_time	left = deadline - pgha_clock_us();

	if (left <= 0)
		return false;
	(void) ConditionVariableTimedSleep(changed, (long) (left / 1000 + 1), PG_WAIT_EXTENSION);
	return true;
}

bool
PghaLookAgain(pgha_time deadline, long interval_ms)
{
	if (pgha_clock_us() >= deadline)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 interval_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return true;
}
