/*
 * wait.h
 *		Waiting in a backend, with a limit, until something has changed.
 */
#ifndef PGHA_WAIT_H
#define PGHA_WAIT_H

#include "postgres.h"

#include "storage/condition_variable.h"

#include "../core/node.h"

/*
 * Sleeps until `changed` is broadcast, at most until `deadline` (pgha_clock_us()).
 * False, without a sleep, if that is past.  To be called in a loop that ends with
 * ConditionVariableCancelSleep().
 */
extern bool PghaSleepUntil(ConditionVariable *changed, pgha_time deadline);

/*
 * Where nothing is broadcast: sleeps for `interval_ms`, or less.  False, without
 * a sleep, if `deadline` is past.
 */
extern bool PghaLookAgain(pgha_time deadline, long interval_ms);

#endif							/* PGHA_WAIT_H */
