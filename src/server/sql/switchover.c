/*
 * switchover.c
 *		pgha_switchover(): this primary hands the lead over as planned.
 *
 * The session prepares what takes time (a checkpoint, so that the shutdown is
 * short), gives the monitor the order, and watches what it shows of it.  It returns
 * when the monitor has let go of the lead: what comes then is this server's
 * shutdown, which ends the session.  The shutdown waits a moment until the answer is
 * on its way (monitor/act.c).  How it ended the new primary tells, and
 * `pgha switchover`, which asks there.
 *
 * A session that is cancelled or ends before that calls the switchover off, and
 * commits go on here.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgwriter.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"

#include "../../common/clock.h"
#include "../agents.h"
#include "../compat.h"
#include "../config.h"
#include "../orders.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"
#include "parting.h"
#include "recover.h"

#define LOOK_EVERY_MS	5

/* The monitor gives up by itself; this is for one that does not run. */
#define PATIENCE_MS		10000

PG_FUNCTION_INFO_V1(pgha_sql_switchover);

static void
refuse_on_standby(void)
{
	char		leader[PGHA_NAME_SIZE];

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	strlcpy(leader, PghaShmem->view.leader_name, sizeof(leader));
	LWLockRelease(PghaShmem->lock);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this server is not the primary, and has nothing to hand over"),
			 leader[0] != '\0' ? errhint("Call pgha_switchover() on \"%s\".", leader) :
			 errhint("No primary is known here; see pgha_cluster().")));
}

/* What can be told without the monitor. */
static void
check_target(const char *target)
{
	PghaMembers members;
	StringInfoData names;

	if (target[0] == '\0')
		return;
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	members = PghaShmem->view.members;
	LWLockRelease(PghaShmem->lock);
	if (strcmp(target, pgha_node) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("node \"%s\" is the primary already", target)));
	if (pgha_members_find(&members, target) != PGHA_NOBODY)
		return;
	initStringInfo(&names);
	for (int i = 0; i < members.count; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", members.member[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("node \"%s\" is not one of pgha.members", PghaClip(target, PGHA_NAME_SIZE - 1)),
			 errhint("The members are: %s.", names.data)));
}

static void
check_agent(void)
{
	if (PghaAgentConnected(pgha_node))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pgha_switchover() was refused: no agent of node \"%s\" is connected, which would start this server again as a standby", pgha_node),
			 errhint("Start \"pgha agent\" on this server's host (systemctl start pgha-agent).")));
}

static const char *
hint_for(PghaReason reason)
{
	switch (reason)
	{
		case PGHA_WHY_HANDING_OVER:
			return "Another session has ordered that. See pgha_cluster().";
		case PGHA_WHY_LAGS:
			return "Try again when it has caught up; pgha_cluster() shows how far it is.";
		case PGHA_WHY_NOT_STREAMING:
			return "pgha_cluster() shows what it does; pgha_recover_node() may help.";
		case PGHA_WHY_TARGET_BARRED:
		case PGHA_WHY_NO_TARGET:
			return "pgha_cluster() shows who may be promoted, and pgha_status() on a standby why not.";
		default:
			return "pgha_status() tells what this server waits for.";
	}
}

/* `target` has PGHA_NAME_SIZE bytes; returns whether the lead has been let go of. */
static bool
read_handover(PghaHandover *handover, char *target)
{
	bool		released;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	*handover = PghaShmem->view.handover;
	strlcpy(target, PghaShmem->view.voting.handover.name, PGHA_NAME_SIZE);
	released = PghaShmem->view.voting.released != 0;
	LWLockRelease(PghaShmem->lock);
	return released;
}

static void
call_off(int code, Datum arg)
{
	(void) code;
	(void) arg;
	PghaOrderCallOff();
}

static void
be_told(const char *argument)
{
	(void) argument;
	PghaOrderCallOff();
}

/* Waits until the monitor has let go of the lead, and fills *target; error if it does not. */
static void
await_end(uint64 number, char *target)
{
	PghaHandover handover;
	bool		told_target = false;
	bool		told_holding = false;
	pgha_time	deadline = pgha_clock_us() + ((pgha_time) pgha_failure_timeout * 2 + PATIENCE_MS) * 1000;

	ConditionVariablePrepareToSleep(&PghaShmem->order.done);
	for (;;)
	{
		bool		released = read_handover(&handover, target);
		bool		begun = handover.number == number;

		/* What is told is told in one go: each ereport() would be an end, too. */
		HOLD_INTERRUPTS();
		if (begun && handover.under_way && !told_target)
		{
			ereport(NOTICE, (errmsg("handing over to \"%s\"", target)));
			told_target = true;
		}
		if (begun && handover.under_way && handover.holding && !told_holding)
		{
			ereport(NOTICE, (errmsg("writes are held until \"%s\" leads", target)));
			told_holding = true;
		}
		RESUME_INTERRUPTS();
		if (begun && released)
			break;
		if (begun && !handover.under_way)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the switchover was given up: this server %s", handover.end),
					 errhint("Nothing has changed. Try again when there is less load, or name another target.")));

		/* The monitor says when it has let go.  Only now: the session may be told to end just then. */
		CHECK_FOR_INTERRUPTS();
		(void) PghaSleepUntil(&PghaShmem->order.done, pgha_clock_us() + LOOK_EVERY_MS * 1000);
		if (pgha_clock_us() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the pgha monitor did not carry out the switchover in time"),
					 errhint("The server log and pgha_status() tell what the monitor is doing.")));
	}
	ConditionVariableCancelSleep();
}

/*
 * pgha_switchover(target): hands the lead over to this member, or to the best.
 * Returns its name once that cannot be taken back any more.
 */
Datum
pgha_sql_switchover(PG_FUNCTION_ARGS)
{
	const char *target = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	PghaAnswer	answer;
	char		name[PGHA_NAME_SIZE] = "";

	PghaRequireData();
	if (RecoveryInProgress())
		refuse_on_standby();
	check_target(target);
	check_agent();

	ereport(NOTICE, (errmsg("writing a checkpoint first")));
	RequestCheckpoint(CHECKPOINT_IMMEDIATE | CHECKPOINT_FORCE | CHECKPOINT_WAIT);
	CHECK_FOR_INTERRUPTS();

	PG_ENSURE_ERROR_CLEANUP(call_off, (Datum) 0);
	{
		PghaOrderGive(PGHA_ORDER_SWITCHOVER, target, &answer);
		if (!answer.refused)
			await_end(answer.handover, name);
	}
	PG_END_ENSURE_ERROR_CLEANUP(call_off, (Datum) 0);
	if (answer.refused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgha_switchover() was refused: %s", answer.message),
				 errhint("%s", hint_for(answer.reason))));
	/* Within a transaction block nobody knows when that ends. */
	if (IsTransactionBlock())
		PghaOrderCallOff();
	else
		PghaAtEnd(be_told, "");
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
