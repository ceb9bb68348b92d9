/*
 * view.c
 *		What the agent shows over HTTP: for how long this server may acknowledge
 *		commits, and when there is something new to be read.
 *
 * The agent calls pgha_agent_view() over and over, in a session of its own, and
 * reads the other functions with the same query: they are called when this one
 * returns.  On a primary it waits on the board, as pgha_agent_poll() does, so that a
 * change of state shows at once and a quiet server is asked once a second.  On a
 * standby it never waits: the snapshot of the query would hold up replay, or the
 * session be ended by it.
 *
 * How long the gate stays open is what the answer is worth: the agent must not say
 * that this server leads for longer than that, whatever becomes of the server.  It
 * only reads.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "../../common/clock.h"
#include "../agents.h"
#include "../compat.h"
#include "../config.h"
#include "../gate.h"
#include "../shmem.h"
#include "../wait.h"
#include "../walreceiver.h"
#include "rows.h"
#include "stopping.h"

#define MAX_WAIT_MS		10000
/* A leader's answer is renewed before it is worth nothing, but not more often than this (microseconds). */
#define RENEW_MIN_US	INT64CONST(100000)
#define RENEW_PARTS		3

PG_FUNCTION_INFO_V1(pgha_sql_agent_view);

/* The time until which the gate is open as things are; 0: it is not. */
static pgha_time
open_until(void)
{
	pgha_time	until = (pgha_time) pg_atomic_read_u64(&PghaShmem->gate.deadline);

	return !RecoveryInProgress() && PghaGateIsOpen() ? until : 0;
}

/* Changes with each event that is written. */
static int64
events_stamp(void)
{
	struct stat st;

	if (stat("pgha.events", &st) != 0)
		return 0;
	return (int64) st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
}

/* All that is news as soon as it changes. */
static void
make_key(char *key, size_t size, int64 events)
{
	char		leader[PGHA_NAME_SIZE];
	const char *state;
	uint64		term;
	bool		paused;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	state = pgha_state_name(PghaShmem->view.valid ? PghaShmem->view.state : PGHA_STARTING);
	strlcpy(leader, PghaShmem->view.leader_name, sizeof(leader));
	term = PghaShmem->view.durable.claim.term;
	paused = PghaShmem->view.durable.paused;
	LWLockRelease(PghaShmem->lock);
	snprintf(key, size, "%s/%s/" UINT64_FORMAT "/%d/%d/" INT64_FORMAT, state, leader, term,
			 open_until() != 0, paused, events);
}

/* When to answer though nothing is new. */
static pgha_time
answer_by(pgha_time now, int wait_ms)
{
	pgha_time	latest = now + (pgha_time) wait_ms * 1000;
	pgha_time	until = open_until();

	if (until == 0 || until >= PGHA_GATE_NO_LIMIT)
		return latest;
	return Min(latest, now + Max((until - now) / RENEW_PARTS, RENEW_MIN_US));
}

/* Settings in the files that wait for a restart, separated by commas; empty: none. */
static char *
pending_restart(void)
{
	StringInfoData names;
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	initStringInfo(&names);
	for (int i = 0; i < count; i++)
	{
		if ((variables[i]->status & GUC_PENDING_RESTART) != 0)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", variables[i]->name);
	}
	return names.data;
}

/*
 * pgha_agent_view(seen, wait_ms): on a primary, waits at most wait_ms until its key is
 * another one than `seen`.  See pgha--1.0--1.1.sql for what comes out.
 */
Datum
pgha_sql_agent_view(PG_FUNCTION_ARGS)
{
	char	   *seen = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			wait_ms = PG_ARGISNULL(1) ? 0 : Min(Max(PG_GETARG_INT32(1), 0), MAX_WAIT_MS);
	char		key[256];
	int64		events;
	pgha_time	deadline;
	pgha_time	until;
	pgha_time	now;
	bool		in_recovery;
	TupleDesc	tupdesc;
	PghaRow		row = {0};

	PghaRequireData();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	deadline = answer_by(pgha_clock_us(), wait_ms);
	ConditionVariablePrepareToSleep(&PghaTheBoard()->changed);
	PghaEndIfStopping();
	while (make_key(key, sizeof(key), events = events_stamp()),
		   strcmp(key, seen) == 0 && !RecoveryInProgress() && pgha_clock_us() < deadline)
	{
		(void) PghaSleepUntil(&PghaTheBoard()->changed, Min(deadline, pgha_clock_us() + PGHA_STOP_LOOK_US));
		PghaEndIfStopping();
	}
	ConditionVariableCancelSleep();

	/* The deadline is read first: a process that is stopped in between promises too little. */
	until = open_until();
	now = pgha_clock_us();
	in_recovery = RecoveryInProgress();
	PghaPutText(&row, key);
	PghaPutInt64(&row, now);
	PghaPutInt64(&row, Max(until - now, 0));
	PghaPutBool(&row, in_recovery);
	PghaPutBool(&row, in_recovery && PghaWalReceiverState() == PGHA_RECEIVER_STREAMING);
	PghaPutInt64(&row, events);
	PghaPutTextOrNull(&row, pending_restart());
	PghaPutInt64(&row, (int64) pgha_max_failover_lag * 1024 * 1024);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), row.value, row.null)));
}
