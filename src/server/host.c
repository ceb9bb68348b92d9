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
 * All of it is on the board (board.h) and is lost with a crash of this server:
 * the agent then tells anew, and the order is given anew.  An order that was
 * taken is handed out once more to an agent that connects anew, which may have
 * lost it; stopping twice does no harm.
 */
#include "postgres.h"

#include "agents.h"
#include "host.h"
#include "shmem.h"

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
