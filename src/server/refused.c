/*
 * refused.c
 *		Why an agent is not connected: what this server answered to its login.
 *
 * Whoever waits for an agent that is refused the login would only see that none
 * comes, and an agent whose own server is down cannot tell anybody but its log.
 * But this server knows what it answered.  The agent's application_name says
 * which node it is that of, before it is known who it is: so this is believed
 * only as far as it says why an agent is not there.
 *
 * What an agent does not like about this server (its certificate, say) is not
 * seen here, nor that there was no free connection slot at all.
 */
#include "postgres.h"

/* Port is laid out alike without it, for extensions that do not have Kerberos' headers. */
#undef ENABLE_GSS
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "storage/proc.h"

#include "../common/clock.h"
#include "agents.h"
#include "config.h"
#include "refused.h"
#include "shmem.h"
#include "text.h"

#define FRESH_US	60000000

static emit_log_hook_type previous_emit_log = NULL;

/* Is it about who may log in, and to what? */
static bool
is_refusal(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ||
		sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE || sqlstate == ERRCODE_UNDEFINED_DATABASE ||
		sqlstate == ERRCODE_TOO_MANY_CONNECTIONS;
}

/* The node that the client says to be the agent of; NULL: it is no agent. */
static const char *
node_of_client(void)
{
	const char *name = MyProcPort->application_name;
	size_t		length = strlen(PGHA_AGENT_APPLICATION);

	return name != NULL && strncmp(name, PGHA_AGENT_APPLICATION, length) == 0 && name[length] == ' ' ?
		name + length + 1 : NULL;
}

/*
 * An error is on its way: nothing here may wait, or fail.  Before a session has
 * a database the encoding of messages is not known: what is not ASCII is not kept.
 */
static void
remember(const char *node, const char *message)
{
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *agent;
	bool		member;

	if (!LWLockConditionalAcquire(PghaShmem->lock, LW_SHARED))
		return;
	member = pgha_members_find(&PghaShmem->view.members, node) != PGHA_NOBODY;
	LWLockRelease(PghaShmem->lock);
	if (!member || !LWLockConditionalAcquire(board->lock, LW_EXCLUSIVE))
		return;
	agent = PghaAgentOf(node);
	if (agent != NULL)
	{
		agent->refused_at = pgha_clock_us();
		PghaCopyShown(agent->refused, message, sizeof(agent->refused), false);
		for (char *c = agent->refused; *c != '\0'; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
		}
		PghaCopyShown(agent->refused_host, MyProcPort->remote_host, sizeof(agent->refused_host), false);
	}
	LWLockRelease(board->lock);
}

static void
refused_emit_log(ErrorData *edata)
{
	if (edata->elevel == FATAL && IsInitProcessingMode() && MyProcPort != NULL && MyProc != NULL &&
		is_refusal(edata->sqlerrcode) && edata->message != NULL && node_of_client() != NULL)
		remember(node_of_client(), edata->message);
	if (previous_emit_log)
		previous_emit_log(edata);
}

void
PghaRefusedInit(void)
{
	previous_emit_log = emit_log_hook;
	emit_log_hook = refused_emit_log;
}

bool
PghaLoginRefused(const char *node, char *message, size_t size, char *host, size_t host_size)
{
	PghaBoard  *board = PghaTheBoard();
	pgha_time	now = pgha_clock_us();
	bool		found = false;

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		const PghaAgent *agent = &board->agent[i];

		if (strcmp(agent->node, node) != 0 || agent->refused_at == 0 || PghaAgentPresent(agent) ||
			now - agent->refused_at > FRESH_US)
			continue;
		strlcpy(message, agent->refused, size);
		strlcpy(host, agent->refused_host, host_size);
		found = true;
	}
	LWLockRelease(board->lock);
	return found;
}
