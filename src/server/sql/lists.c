/*
 * lists.c
 *		Orders to the members' agents to change a list in their configuration files.
 *
 * For pgha_add_member() and pgha_remove_member() (members.c), which know what is to
 * be written.  One order is on the board (board.h) at a time, the same for all agents;
 * each has a task with an id of its own.  An agent is told of it once in each session
 * (agents.c), and answers by pgha_agent_done().  Nothing is locked while it is waited
 * for, and each wait has a limit.  What an agent does twice it does once: it writes
 * only what is not there yet.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"
#include "lists.h"

/* How long the agents may take for one order (microseconds). */
#define ORDER_LIMIT_US		INT64CONST(30000000)
/* One that has left may be back: it connects anew when it has read another list. */
#define ABSENCE_LIMIT_US	INT64CONST(10000000)
/* Whoever has left longer ago is not expected back. */
#define RETURN_LIMIT_MS		10000
#define LOOK_EVERY_US		INT64CONST(500000)

void
PghaListsClaim(void)
{
	PghaBoard  *board = PghaTheBoard();
	pid_t		owner;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	owner = board->list_owner;
	if (owner == 0)
		board->list_owner = MyProcPid;
	LWLockRelease(board->lock);
	if (owner != 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another session (process %d) is changing the members", (int) owner),
				 errhint("Members come and go one at a time. Try again when it is done.")));
}

void
PghaListsRelease(int code, Datum arg)
{
	PghaBoard  *board = PghaTheBoard();

	(void) code;
	(void) arg;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	if (board->list_owner == MyProcPid)
	{
		board->list_owner = 0;
		for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
			board->agent[i].list.withdrawn = true;
	}
	LWLockRelease(board->lock);
}

/* The agent of `node`, if it has a slot.  The lock must be held. */
static PghaAgent *
agent_of(const char *node)
{
	PghaBoard  *board = PghaTheBoard();

	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		if (strcmp(board->agent[i].node, node) == 0)
			return &board->agent[i];
	}
	return NULL;
}

const char *
PghaListsObstacle(const char *node)
{
	PghaBoard  *board = PghaTheBoard();
	const PghaAgent *agent;
	const char *obstacle = NULL;

	LWLockAcquire(board->lock, LW_SHARED);
	agent = agent_of(node);
	if (agent == NULL || !PghaAgentPresent(agent))
		obstacle = "no agent of it is connected";
	else if (agent->job.id != 0 && agent->job.outcome[0] == '\0')
		obstacle = "a recovery of it is under way";
	else if (!agent->takes_lists)
		obstacle = "its agent is of an earlier version, or has just connected";
	LWLockRelease(board->lock);
	return obstacle;
}

bool
PghaListsExpected(const char *node)
{
	PghaBoard  *board = PghaTheBoard();
	const PghaAgent *agent;
	bool		expected;

	LWLockAcquire(board->lock, LW_SHARED);
	agent = agent_of(node);
	expected = agent != NULL &&
		(PghaAgentPresent(agent) || (agent->left != 0 && !TimestampDifferenceExceeds(agent->left, GetCurrentTimestamp(), RETURN_LIMIT_MS)));
	LWLockRelease(board->lock);
	return expected;
}

/* Puts the order on the board. */
static void
give_order(PghaListTarget *target, int count, const char *order)
{
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	strlcpy(board->list_order, order, sizeof(board->list_order));
	for (int i = 0; i < count; i++)
	{
		PghaAgent  *agent = agent_of(target[i].node);

		target[i].id = PghaNewJobId();
		target[i].answered = target[i].done = false;
		target[i].message[0] = '\0';
		if (agent == NULL)
			continue;
		memset(&agent->list, 0, sizeof(agent->list));
		agent->list.id = target[i].id;
	}
	LWLockRelease(board->lock);
	PghaAgentsWake();
}

/* Takes the answer to one task, if it is there.  False: the agent is not there. */
static bool
look_at(PghaListTarget *target)
{
	PghaBoard  *board = PghaTheBoard();
	const PghaAgent *agent;
	bool		present;

	LWLockAcquire(board->lock, LW_SHARED);
	agent = agent_of(target->node);
	present = agent != NULL && agent->list.id == target->id && PghaAgentPresent(agent);
	if (agent != NULL && agent->list.id == target->id && agent->list.answered)
	{
		target->answered = true;
		target->done = agent->list.done;
		strlcpy(target->message, agent->list.message, sizeof(target->message));
	}
	LWLockRelease(board->lock);
	return present;
}

/* All answers that are there; says by NOTICE what was written.  True if nobody has to be waited for any more. */
static bool
look_at_all(PghaListTarget *target, int count, pgha_time *absent_since)
{
	pgha_time	now = pgha_clock_us();
	bool		complete = true;

	for (int i = 0; i < count; i++)
	{
		bool		present;

		if (target[i].answered)
			continue;
		present = look_at(&target[i]);
		if (target[i].answered)
			continue;
		if (present)
			absent_since[i] = 0;
		else if (absent_since[i] == 0)
			absent_since[i] = now;
		else if (now - absent_since[i] >= ABSENCE_LIMIT_US)
			continue;
		complete = false;
	}
	return complete;
}

/* What has come since is told, outside of the wait. */
static bool
tell_new(const PghaListTarget *target, int count, bool *told)
{
	bool		all = true;

	for (int i = 0; i < count; i++)
	{
		if (target[i].answered && target[i].done && !told[i])
			ereport(NOTICE,
					(errmsg("node \"%s\": %s", target[i].node, target[i].message)));
		told[i] = told[i] || target[i].answered;
		all = all && target[i].done;
	}
	return all;
}

bool
PghaListsOrder(PghaListTarget *target, int count, const char *order)
{
	pgha_time	absent_since[PGHA_MAX_MEMBERS] = {0};
	bool		told[PGHA_MAX_MEMBERS] = {false};
	pgha_time	deadline = pgha_clock_us() + ORDER_LIMIT_US;
	bool		silent = strncmp(order, "check ", 6) == 0;
	bool		done = false;

	give_order(target, count, order);
	ConditionVariablePrepareToSleep(&PghaTheBoard()->changed);
	while (!look_at_all(target, count, absent_since) &&
		   PghaSleepUntil(&PghaTheBoard()->changed, Min(deadline, pgha_clock_us() + LOOK_EVERY_US)))
	{
		if (!silent)
			(void) tell_new(target, count, told);
		if (pgha_clock_us() >= deadline)
			break;
	}
	ConditionVariableCancelSleep();
	if (silent)
		memset(told, true, sizeof(told));
	done = tell_new(target, count, told);
	for (int i = 0; i < count; i++)
	{
		if (!target[i].answered)
			strlcpy(target[i].message, "its agent has not answered", sizeof(target[i].message));
	}
	return done;
}
