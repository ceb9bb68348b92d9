/*
 * parting.c
 *		Orders that end the session which gives them: its answer comes first.
 *
 * The rows of a statement are in the session's buffer when its transaction is
 * committed, and sent before it looks whether it is to end.  Within a transaction
 * block, or a function that goes on, that moment is the one of COMMIT, too.
 */
#include "postgres.h"

#include "access/xact.h"

#include "parting.h"

#define ARGUMENT_SIZE	16

static struct
{
	PghaPartingAct act;			/* NULL: nothing is to be done */
	char		argument[ARGUMENT_SIZE];
	bool		always;			/* also if the transaction is rolled back */
	SubTransactionId level;		/* in which it was given */
}			pending;

static void
end_transaction(XactEvent event, void *arg)
{
	PghaPartingAct act = pending.act;

	(void) arg;
	if (act == NULL)
		return;
	if (event == XACT_EVENT_PRE_PREPARE && !pending.always)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has ordered this server to stop or restart")));
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	pending.act = NULL;
	if (event == XACT_EVENT_COMMIT || pending.always)
		act(pending.argument);
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own, SubTransactionId parent, void *arg)
{
	(void) arg;
	if (pending.act == NULL || pending.level != own)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		pending.level = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB && !pending.always)
		pending.act = NULL;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		pending.level = parent;
}

static void
remember(PghaPartingAct act, const char *argument, bool always)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
		registered = true;
	}
	strlcpy(pending.argument, argument, sizeof(pending.argument));
	pending.always = always;
	pending.level = GetCurrentSubTransactionId();
	pending.act = act;
}

void
PghaAtCommit(PghaPartingAct act, const char *argument)
{
	remember(act, argument, false);
}

void
PghaAtEnd(PghaPartingAct act, const char *argument)
{
	remember(act, argument, true);
}
