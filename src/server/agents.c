/*
 * agents.c
 *		The agents of the members, as they show themselves to this server.
 *
 * `pgha agent` runs on each host beside the server and connects out: to its own
 * server, and to the primary.  What its sessions (sql/agents.c) learn and ask is
 * on the board in shared memory, which holds a slot for each member.  A job stays
 * in it after its end, until the next one.  What is on the board is lost with a
 * crash of this server; agents then report their jobs anew.
 *
 * For the monitor and the SQL functions, any of which may look and wait; nothing
 * here waits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "../common/clock.h"
#include "agents.h"
#include "shmem.h"

/* An agent that has not polled for this time (microseconds) is as good as gone. */
#define SILENCE_LIMIT	INT64CONST(15000000)

PghaBoard *
PghaTheBoard(void)
{
	return PghaShmem != NULL ? &PghaShmem->board : NULL;
}

int64
PghaNewJobId(void)
{
	uint64		id;

	if (!pg_strong_random(&id, sizeof(id)))
		id = (uint64) GetCurrentTimestamp() ^ ((uint64) MyProcPid << 40);
	id &= (uint64) PG_INT64_MAX;
	return id != 0 ? (int64) id : 1;
}

/* How little a slot is needed: 0: it is; 1: connected, but no member; 2: neither; 3: free. */
static int
spareness(const PghaAgent *agent)
{
	if (agent->node[0] == '\0')
		return 3;
	if (pgha_voters_find(&PghaShmem->view.members, agent->node) != PGHA_NOBODY)
		return 0;
	return agent->pid != 0 ? 1 : 2;
}

PghaAgent *
PghaAgentOf(const char *node)
{
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *spare = NULL;
	int			best = 0;

	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		PghaAgent  *agent = &board->agent[i];

		if (strcmp(agent->node, node) == 0)
			return agent;
		if (spareness(agent) > best)
		{
			best = spareness(agent);
			spare = agent;
		}
	}
	if (spare != NULL)
	{
		memset(spare, 0, sizeof(*spare));
		strlcpy(spare->node, node, PGHA_NAME_SIZE);
	}
	return spare;
}

bool
PghaAgentPresent(const PghaAgent *agent)
{
	return agent->pid != 0 && pgha_clock_us() - agent->heard < SILENCE_LIMIT;
}

bool
PghaAgentConnected(const char *node)
{
	PghaBoard  *board = PghaTheBoard();
	bool		connected = false;

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		connected |= strcmp(board->agent[i].node, node) == 0 && PghaAgentPresent(&board->agent[i]);
	LWLockRelease(board->lock);
	return connected;
}

void
PghaAgentServer(const char *node, char *server, size_t size)
{
	PghaBoard  *board = PghaTheBoard();

	server[0] = '\0';
	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		if (strcmp(board->agent[i].node, node) == 0 && PghaAgentPresent(&board->agent[i]))
			strlcpy(server, board->agent[i].server, size);
	}
	LWLockRelease(board->lock);
}

void
PghaAgentsWake(void)
{
	if (PghaShmem != NULL)
		ConditionVariableBroadcast(&PghaShmem->board.changed);
}

bool
PghaAgentsNextEvent(PghaQueuedEvent *event)
{
	PghaBoard  *board = PghaTheBoard();
	bool		found;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	found = board->event_count > 0;
	if (found)
	{
		*event = board->event[0];
		board->event_count--;
		memmove(&board->event[0], &board->event[1], board->event_count * sizeof(board->event[0]));
	}
	LWLockRelease(board->lock);
	return found;
}
