/*
 * host.c
 *		What the own agent says of its host, and is told to do to another's.
 *
 * Which EC2 instance this server runs on and what became of pgha.address only
 * the agent can know; it tells its own server whenever one of them changes, and
 * the other members read both in pgha.report.  Before a standby promotes itself
 * with pgha.fence = 'ec2-stop', its monitor orders its own agent, by name of
 * that instance, to stop the old primary's, and waits for the outcome.
 *
 * All of it is on the board (agents.c) and is lost with a crash of this server:
 * the agent then tells anew, and the order is given anew.  An order that was
 * taken is handed out once more to an agent that connects anew, which may have
 * lost it; stopping twice does no harm.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "agents.h"
#include "config.h"
#include "host.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(pgha_sql_agent_host);
PG_FUNCTION_INFO_V1(pgha_sql_agent_done);

void
PghaHostRead(char instance[PGHA_INSTANCE_SIZE], char address[PGHA_ADDRESS_STATE_SIZE])
{
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_SHARED);
	strlcpy(instance, board->instance, PGHA_INSTANCE_SIZE);
	strlcpy(address, board->address, PGHA_ADDRESS_STATE_SIZE);
	LWLockRelease(board->lock);
}

void
PghaStopGive(const char *instance)
{
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	memset(&board->stop, 0, sizeof(board->stop));
	board->stop.id = PghaNewJobId();
	strlcpy(board->stop.instance, instance, sizeof(board->stop.instance));
	LWLockRelease(board->lock);
	PghaAgentsWake();
}

void
PghaStopForget(void)
{
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	board->stop.id = 0;
	LWLockRelease(board->lock);
}

bool
PghaStopOutcome(bool *done, char *message, size_t size)
{
	PghaBoard  *board = PghaTheBoard();
	bool		answered;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	answered = board->stop.id != 0 && board->stop.answered;
	if (answered)
	{
		*done = board->stop.done;
		strlcpy(message, board->stop.message, size);
		board->stop.id = 0;
	}
	LWLockRelease(board->lock);
	return answered;
}

/* ---- SQL functions ---- */

/* Text argument `n` on one line; empty if it is null. */
static char *
line_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *line = PG_ARGISNULL(n) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(n));

	for (char *c = line; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ')
			*c = ' ';
	}
	return line;
}

/*
 * pgha_agent_host(node, instance, address): the own agent says on which EC2
 * instance it runs (empty: none) and what became of pgha.address.  Of what is
 * null it does not know anything yet: what it said before stands.
 */
Datum
pgha_sql_agent_host(PG_FUNCTION_ARGS)
{
	char	   *node = line_argument(fcinfo, 0);
	char	   *instance = line_argument(fcinfo, 1);
	char	   *address = line_argument(fcinfo, 2);
	PghaBoard  *board;

	PghaRequireEnabled();
	if (strcmp(node, pgha_node) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this server is node \"%s\", not \"%s\"", pgha_node, node),
				 errhint("An agent tells this to the server on its own host.")));
	if (strlen(instance) >= PGHA_INSTANCE_SIZE || !pgha_instance_valid(instance))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the id of an EC2 instance", instance),
				 errhint("Give an id such as i-0123456789abcdef0, or an empty text where there is none.")));

	board = PghaTheBoard();
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	if (!PG_ARGISNULL(1))
		strlcpy(board->instance, instance, sizeof(board->instance));
	if (!PG_ARGISNULL(2))
		PghaCopyText(board->address, address, sizeof(board->address));
	LWLockRelease(board->lock);
	PG_RETURN_VOID();
}

/*
 * pgha_agent_done(order_id, done, message): the outcome of an order that
 * pgha_agent_poll() handed out.  False if nobody waits for it any more.
 */
Datum
pgha_sql_agent_done(PG_FUNCTION_ARGS)
{
	char	   *message = line_argument(fcinfo, 2);
	PghaBoard  *board;
	bool		awaited;

	PghaRequireEnabled();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("order_id and done must not be null")));

	board = PghaTheBoard();
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	awaited = PG_GETARG_INT64(0) != 0 && board->stop.id == PG_GETARG_INT64(0);
	if (awaited && !board->stop.answered)
	{
		board->stop.taken = board->stop.answered = true;
		board->stop.done = PG_GETARG_BOOL(1);
		PghaCopyText(board->stop.message, message, sizeof(board->stop.message));
	}
	LWLockRelease(board->lock);
	if (awaited)
		PghaWakeMonitor();
	PG_RETURN_BOOL(awaited);
}
