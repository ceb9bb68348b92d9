/*
 * restart.c
 *		pgha_restart(): this server's agent stops it and starts it again.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "../agents.h"
#include "../config.h"
#include "../shmem.h"
#include "../text.h"
#include "parting.h"
#include "recover.h"

PG_FUNCTION_INFO_V1(pgha_sql_restart);

static void
command_agent(const char *mode)
{
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *agent;

	bool		present;

	/* One that has gone meanwhile must not find the order when it comes back, hours later. */
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	agent = PghaAgentOf(pgha_node);
	present = agent != NULL && PghaAgentPresent(agent);
	if (present)
	{
		agent->command_id = PghaNewJobId();
		strlcpy(agent->command, "restart", sizeof(agent->command));
		strlcpy(agent->argument, mode, sizeof(agent->argument));
	}
	LWLockRelease(board->lock);
	PghaAgentsWake();
	if (!present)
		ereport(WARNING,
				(errmsg("the server is not restarted: the agent of this node is not connected any more"),
				 errhint("Start \"pgha agent\" on this server's host (systemctl start pgha-agent), and order it again.")));
}

void
PghaRestartByAgent(const char *mode)
{
	if (!PghaAgentConnected(pgha_node))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no agent of this node is connected to this server"),
				 errhint("Start \"pgha agent\" on this server's host (systemctl start pgha-agent).")));
	PghaAtCommit(command_agent, mode);
}

/*
 * pgha_restart(mode): orders it with the commit of its transaction, and returns before it is done.
 */
Datum
pgha_sql_restart(PG_FUNCTION_ARGS)
{
	const char *mode = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));

	PghaRequireData();
	if (strcmp(mode, "fast") != 0 && strcmp(mode, "smart") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a mode that a server is restarted in", PghaClip(mode, 64)),
				 errhint("Use fast or smart.")));
	PghaRestartByAgent(mode);
	PG_RETURN_VOID();
}
