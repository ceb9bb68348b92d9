/*
 * agents.c
 *		The session of an agent: how it reports, and what it is told.
 *
 * An agent calls pgha_agent_poll() over and over.  Each call says how far its job
 * is, and waits for news: an order, a wish to cancel, another state of this
 * server.  So no host needs a port for orders.  An order is handed out with every
 * poll until the agent names its id, so that none is lost with a connection.
 *
 * The agent is trusted as far as its role goes: it can say that a job of its
 * node has ended, and write events.  It can order nothing.  All agents log in as
 * the same role, so one could pass for that of another node: that cannot be told
 * from an agent that has moved, but each session is that of one node only, and
 * the server log tells from where it came.  What an agent sends is shown to
 * people: it is cut to a size and freed of what must not reach a terminal.
 */
#include "postgres.h"

#include <netdb.h>

#include "access/xlog.h"
#include "common/ip.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../agents.h"
#include "../compat.h"
#include "../config.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"
#include "../walreceiver.h"
#include "rows.h"
#include "stopping.h"

#define MAX_WAIT_MS		10000

PG_FUNCTION_INFO_V1(pgha_sql_agent_poll);
PG_FUNCTION_INFO_V1(pgha_sql_agent_event);
PG_FUNCTION_INFO_V1(pgha_sql_agent_host);
PG_FUNCTION_INFO_V1(pgha_sql_agent_done);

/* Node that this session is the agent of; empty: of none. */
static char my_node[PGHA_NAME_SIZE] = "";

/* The state that it was told last, its job, and how long it waits for something else (microseconds). */
static char seen_state[32] = "";
static int64 seen_job = 0;
static pgha_time news_wait = 0;
static char *news_variable;

/* Arguments of pgha_agent_poll(), in their order. */
enum
{
	ARG_NODE, ARG_DATA_DIRECTORY, ARG_SERVER, ARG_SEEN_STATE,
	ARG_JOB, ARG_METHOD, ARG_PHASE, ARG_DONE, ARG_TOTAL, ARG_MESSAGE,
	ARG_OUTCOME, ARG_SQLSTATE, ARG_DETAIL, ARG_HINT, ARG_WAIT
};

/* What one poll finds. */
typedef struct News
{
	char		state[32];
	char		leader[PGHA_NAME_SIZE];
	bool		paused;
	uint64		pause_generation;
	int64		order_id;		/* 0: none */
	char		command[24];
	char		argument[PGHA_LIST_ORDER_SIZE];
	bool		list;			/* it is agent->list */
	bool		cancel;
} News;

static void
agent_leaves(int code, Datum arg)
{
	PghaBoard  *board = PghaTheBoard();

	(void) code;
	(void) arg;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		if (board->agent[i].pid == MyProcPid)
		{
			board->agent[i].pid = 0;
			board->agent[i].left = GetCurrentTimestamp();
		}
	}
	LWLockRelease(board->lock);
	PghaAgentsWake();
}

/* Text argument `n`, or `otherwise` if it is null. */
static char *
text_argument(FunctionCallInfo fcinfo, int n, char *otherwise)
{
	return PG_ARGISNULL(n) ? otherwise : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * Makes this session the agent's; an older one of the same node is told so at
 * its next poll.  Returns the pid of that one, or 0.
 */
static pid_t
register_session(PghaAgent *agent)
{
	pid_t		before = agent->pid;

	if (my_node[0] == '\0')
		before_shmem_exit(agent_leaves, (Datum) 0);
	strlcpy(my_node, agent->node, sizeof(my_node));
	if (agent->pid != MyProcPid && strcmp(my_node, pgha_node) == 0)
		PghaTheBoard()->stop.taken = false;
	if (before != MyProcPid)
		agent->told_known = agent->takes_lists = false;
	agent->pid = MyProcPid;
	agent->heard = pgha_clock_us();
	agent->refused_at = 0;
	return before == MyProcPid ? 0 : before;
}

/* The state of a failure; what is none, or says that all is well, is not believed. */
static int
sqlstate_of(const char *text)
{
	if (strlen(text) != 5 || strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 ||
		(text[0] == '0' && strchr("012", text[1]) != NULL))
		return ERRCODE_INTERNAL_ERROR;
	return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]);
}

/* Says from where an agent has come.  `before`: the process of one that it replaces, or 0. */
static void
log_connect(const char *node, pid_t before)
{
	char		host[NI_MAXHOST] = "an unknown place";

	if (MyBEEntry != NULL)
		(void) pg_getnameinfo_all(&MyBEEntry->st_clientaddr.addr, MyBEEntry->st_clientaddr.salen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	ereport(LOG,
			(errmsg("pgha: the agent of node \"%s\" has connected from %s", node, host),
			 before != 0 ? errdetail("It replaces another one, that of process %d.", (int) before) : 0,
			 errhidestmt(true)));
}

static const char *
outcome_of(const char *text)
{
	return strcmp(text, "done") == 0 || strcmp(text, "cancelled") == 0 ? text : "failed";
}

/* It has no job, though the board says that it had begun one: it was lost with the agent's files. */
static void
job_lost(PghaJob *job)
{
	strlcpy(job->outcome, "failed", sizeof(job->outcome));
	job->updated = GetCurrentTimestamp();
	job->failure.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	strlcpy(job->failure.message, "the agent no longer knows of the recovery", sizeof(job->failure.message));
	strlcpy(job->failure.hint, "See the agent's log, and start the recovery again.", sizeof(job->failure.hint));
}

/* Writes down what the agent says of the job that it carries out, or has just ended. */
static void
take_job(FunctionCallInfo fcinfo, PghaJob *job)
{
	int64		id = PG_GETARG_INT64(ARG_JOB);
	char	   *message = text_argument(fcinfo, ARG_MESSAGE, "");

	if (job->id != id)
	{
		int			waiters = job->outcome[0] == '\0' ? job->waiters : 0;

		/* What the agent did before is no answer to the order that it is about to see, or has lost. */
		if (job->id != 0 && job->outcome[0] == '\0' && !PG_ARGISNULL(ARG_OUTCOME))
		{
			if (job->taken)
				job_lost(job);
			return;
		}

		/* One that it began by itself, or for a former primary; whoever waits, waits for this one. */
		memset(job, 0, sizeof(*job));
		job->id = id;
		job->waiters = waiters;
		job->started = GetCurrentTimestamp();
	}
	if (job->outcome[0] != '\0')
		return;					/* repeated, as our answer was lost */

	job->taken = true;
	job->updated = GetCurrentTimestamp();
	PghaCopyShown(job->method, text_argument(fcinfo, ARG_METHOD, ""), sizeof(job->method), false);
	PghaCopyShown(job->phase, text_argument(fcinfo, ARG_PHASE, ""), sizeof(job->phase), false);
	PghaCopyShown(job->message, message, sizeof(job->message), false);
	job->done = PG_ARGISNULL(ARG_DONE) ? 0 : Max(PG_GETARG_INT64(ARG_DONE), 0);
	job->total = PG_ARGISNULL(ARG_TOTAL) ? 0 : Max(PG_GETARG_INT64(ARG_TOTAL), 0);
	if (PG_ARGISNULL(ARG_OUTCOME))
		return;

	strlcpy(job->outcome, outcome_of(text_argument(fcinfo, ARG_OUTCOME, "")), sizeof(job->outcome));
	if (strcmp(job->outcome, "done") == 0)
		return;
	job->failure.sqlstate = sqlstate_of(text_argument(fcinfo, ARG_SQLSTATE, ""));
	PghaCopyShown(job->failure.message, message, sizeof(job->failure.message), false);
	PghaCopyShown(job->failure.detail, text_argument(fcinfo, ARG_DETAIL, ""), sizeof(job->failure.detail), true);
	PghaCopyShown(job->failure.hint, text_argument(fcinfo, ARG_HINT, ""), sizeof(job->failure.hint), true);
}

/* The first half of a poll: what the agent says. */
static void
take_report(FunctionCallInfo fcinfo, const char *node)
{
	PghaBoard  *board = PghaTheBoard();
	char	   *data_directory = text_argument(fcinfo, ARG_DATA_DIRECTORY, "");
	char	   *server = text_argument(fcinfo, ARG_SERVER, "");
	PghaAgent  *agent;
	bool		connects = my_node[0] == '\0';
	bool		replaced = false;
	pid_t		before = 0;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	agent = PghaAgentOf(node);
	if (agent != NULL)
	{
		replaced = strcmp(my_node, node) == 0 && agent->pid != MyProcPid;
		if (!replaced)
		{
			before = register_session(agent);
			PghaCopyShown(agent->data_directory, data_directory, sizeof(agent->data_directory), false);
			PghaCopyShown(agent->server, server, sizeof(agent->server), false);
			if (PG_ARGISNULL(ARG_JOB))
				agent->takes_lists = strcmp(text_argument(fcinfo, ARG_MESSAGE, ""), PGHA_TAKES_LISTS) == 0;
			if (!PG_ARGISNULL(ARG_JOB) && PG_GETARG_INT64(ARG_JOB) == agent->command_id)
				agent->command_id = 0;
			else if (!PG_ARGISNULL(ARG_JOB) && PG_GETARG_INT64(ARG_JOB) == board->stop.id)
				board->stop.taken = true;
			else if (!PG_ARGISNULL(ARG_JOB))
				take_job(fcinfo, &agent->job);
			else if (agent->job.id != 0 && agent->job.taken && agent->job.outcome[0] == '\0')
				job_lost(&agent->job);
		}
	}
	LWLockRelease(board->lock);

	if (agent == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many agents are connected"),
				 errhint("Stop the agents of nodes that are no longer members.")));
	if (replaced)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another agent of node \"%s\" has connected", node),
				 errhint("Run one agent for each node, with that node's configuration.")));
	if (connects)
		log_connect(node, before);
	PghaAgentsWake();
}

/*
 * May this session be the agent of `node`?  A session stays with the node that
 * it named first.
 */
static void
check_node_argument(const char *node)
{
	char		shown[PGHA_NAME_SIZE];
	bool		member;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	member = !PghaShmem->view.valid || pgha_voters_find(&PghaShmem->view.members, node) != PGHA_NOBODY;
	LWLockRelease(PghaShmem->lock);
	PghaCopyShown(shown, node, sizeof(shown), false);
	if (!member || !pgha_name_valid(node))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("node \"%s\" is not one of pgha.members", shown),
				 errhint("Write the same pgha.members on all nodes, and reload them.")));
	if (my_node[0] != '\0' && strcmp(my_node, node) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this session is that of the agent of node \"%s\"", my_node),
				 errhint("Each agent has a session of its own.")));
}

/* The second half: is there anything new?  Always fills *news. */
static bool
look_for_news(const char *node, const char *before, int64 own_job, News *news)
{
	PghaBoard  *board = PghaTheBoard();
	bool		heard_of_pause = true;

	memset(news, 0, sizeof(*news));
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	strlcpy(news->state, pgha_state_name(PghaShmem->view.valid ? PghaShmem->view.state : PGHA_STARTING),
			sizeof(news->state));
	strlcpy(news->leader, PghaShmem->view.leader_name, sizeof(news->leader));
	news->paused = PghaShmem->view.durable.paused;
	news->pause_generation = PghaShmem->view.durable.pause_generation;
	LWLockRelease(PghaShmem->lock);

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		const PghaAgent *agent = &board->agent[i];

		if (strcmp(agent->node, node) != 0)
			continue;
		if (board->stop.id != 0 && !board->stop.taken && strcmp(node, pgha_node) == 0)
		{
			news->order_id = board->stop.id;
			strlcpy(news->command, "stop-instance", sizeof(news->command));
			strlcpy(news->argument, board->stop.instance, sizeof(news->argument));
		}
		else if (agent->command_id != 0)
		{
			news->order_id = agent->command_id;
			strlcpy(news->command, agent->command, sizeof(news->command));
			strlcpy(news->argument, agent->argument, sizeof(news->argument));
		}
		else if (agent->job.id != 0 && !agent->job.taken && agent->job.outcome[0] == '\0')
		{
			news->order_id = agent->job.id;
			strlcpy(news->command, "recover", sizeof(news->command));
			strlcpy(news->argument, agent->job.method, sizeof(news->argument));
		}
		else if (agent->list.id != 0 && !agent->list.withdrawn && !agent->list.answered &&
				 agent->list.handed_to != MyProcPid)
		{
			news->list = true;
			news->order_id = agent->list.id;
			strlcpy(news->command, "list", sizeof(news->command));
			strlcpy(news->argument, board->list_order, sizeof(news->argument));
		}
		heard_of_pause = agent->told_known && agent->told_paused == news->paused;
		news->cancel = agent->job.cancel && agent->job.id == own_job && agent->job.outcome[0] == '\0';
	}
	LWLockRelease(board->lock);
	return news->order_id != 0 || news->cancel || !heard_of_pause || strcmp(news->state, before) != 0;
}

/* What the agent is about to be told is no news to it any more. */
static void
remember_told(const char *node, const News *news)
{
	PghaBoard  *board = PghaTheBoard();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		if (strcmp(board->agent[i].node, node) != 0 || board->agent[i].pid != MyProcPid)
			continue;
		board->agent[i].told_known = true;
		board->agent[i].told_paused = news->paused;
		if (news->list && board->agent[i].list.id == news->order_id)
			board->agent[i].list.handed_to = MyProcPid;
	}
	LWLockRelease(board->lock);
}

/* Sleeps until there is news for the agent, or the time is up; always fills *news. */
static void
await_news(const char *node, const char *before, int64 own_job, pgha_time longest, News *news)
{
	pgha_time	deadline = pgha_clock_us() + longest;

	ConditionVariablePrepareToSleep(&PghaTheBoard()->changed);
	PghaEndIfStopping();
	while (!look_for_news(node, before, own_job, news) && pgha_clock_us() < deadline)
	{
		(void) PghaSleepUntil(&PghaTheBoard()->changed, Min(deadline, pgha_clock_us() + PGHA_STOP_LOOK_US));
		PghaEndIfStopping();
	}
	ConditionVariableCancelSleep();
}

/*
 * SHOW pgha.agent_news: an agent waits until its next poll would tell it something
 * new.  A query would hold a snapshot meanwhile, which on a standby holds up replay,
 * and with it a promotion; SHOW has none.  Nothing for other sessions.
 */
static const char *
show_agent_news(void)
{
	static TimestampTz statement = 0;
	News		news;

	/* For one statement this is called twice: for the form of its row, too. */
	if (PghaShmem == NULL || my_node[0] == '\0' || news_wait == 0 || statement == GetCurrentStatementStartTimestamp())
		return "";
	statement = GetCurrentStatementStartTimestamp();
	await_news(my_node, seen_state, seen_job, news_wait, &news);
	return "";
}

void
PghaAgentNewsInit(void)
{
	DefineCustomStringVariable("pgha.agent_news",
							   "For an agent of pgha: answered when its next poll will tell it something new.",
							   NULL,
							   &news_variable, "", PGC_INTERNAL,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_agent_news);
}

/*
 * pgha_agent_poll(...): an agent reports, and waits at most wait_ms for news; if that
 * is negative it does not wait here, but with SHOW pgha.agent_news after this.
 * See pgha--1.0.sql for what goes in and out.
 */
Datum
pgha_sql_agent_poll(PG_FUNCTION_ARGS)
{
	char	   *node;
	int64		own_job = PG_ARGISNULL(ARG_JOB) ? 0 : PG_GETARG_INT64(ARG_JOB);
	int			limit = PG_ARGISNULL(ARG_WAIT) ? 0 : Min(Max(PG_GETARG_INT32(ARG_WAIT), -MAX_WAIT_MS), MAX_WAIT_MS);
	bool		in_recovery;
	News		news;
	TupleDesc	tupdesc;
	PghaRow		row = {0};

	PghaRequireData();
	node = text_argument(fcinfo, ARG_NODE, "");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	check_node_argument(node);
	if (!PG_ARGISNULL(ARG_JOB) && own_job <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the id of a job must be greater than zero")));
	take_report(fcinfo, node);

	await_news(node, text_argument(fcinfo, ARG_SEEN_STATE, ""), own_job, (pgha_time) Max(limit, 0) * 1000, &news);
	remember_told(node, &news);
	strlcpy(seen_state, news.state, sizeof(seen_state));
	seen_job = own_job;
	news_wait = (pgha_time) -Min(limit, 0) * 1000;

	in_recovery = RecoveryInProgress();
	PghaPutText(&row, news.state);
	PghaPutBool(&row, in_recovery);
	PghaPutTextOrNull(&row, news.leader);
	PghaPutBool(&row, in_recovery && PghaWalReceiverState() == PGHA_RECEIVER_STREAMING);
	PghaPutBool(&row, news.paused);
	if (news.order_id != 0)
		PghaPutInt64(&row, news.order_id);
	else
		PghaPutNull(&row);
	PghaPutTextOrNull(&row, news.command);
	PghaPutTextOrNull(&row, news.argument);
	PghaPutBool(&row, news.cancel);
	PghaPutInt64(&row, (int64) news.pause_generation);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), row.value, row.null)));
}

/*
 * pgha_agent_event(kind, what): has the monitor write a record into pgha.events.
 */
Datum
pgha_sql_agent_event(PG_FUNCTION_ARGS)
{
	char	   *kind = text_argument(fcinfo, 0, "");
	char	   *what = text_argument(fcinfo, 1, "");
	PghaBoard  *board;
	bool		queued;

	PghaRequireData();
	if (kind[0] == '\0' || what[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and what must not be null or empty")));
	if (strspn(kind, "abcdefghijklmnopqrstuvwxyz_") != strlen(kind) || strlen(kind) >= sizeof(board->event[0].kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the kind of an event must be a word of lower-case letters")));

	board = PghaTheBoard();
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	queued = board->event_count < PGHA_QUEUED_EVENTS;
	if (queued)
	{
		PghaQueuedEvent *event = &board->event[board->event_count++];

		strlcpy(event->kind, kind, sizeof(event->kind));
		PghaCopyShown(event->what, what, sizeof(event->what), false);
	}
	LWLockRelease(board->lock);
	if (!queued)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many events wait to be written"),
				 errhint("Try again.")));
	PghaWakeMonitor();
	PG_RETURN_VOID();
}

/* ---- what the own agent says of its host ---- */

/* Text argument `n` on one line; empty if it is null. */
static char *
line_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *line = pstrdup(text_argument(fcinfo, n, ""));

	PghaCleanShown(line, false);
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

	PghaRequireData();
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

/* Is it the outcome of an order to change a list, which this session's node was given?  The lock must be held. */
static bool
take_list_answer(int64 id, bool done, const char *message)
{
	PghaBoard  *board = PghaTheBoard();

	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		PghaAgent  *agent = &board->agent[i];

		if (id == 0 || agent->list.id != id || strcmp(agent->node, my_node) != 0)
			continue;
		if (!agent->list.answered)
		{
			agent->list.answered = true;
			agent->list.done = done;
			PghaCopyText(agent->list.message, message, sizeof(agent->list.message));
		}
		return !agent->list.withdrawn;
	}
	return false;
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
	bool		listed = false;

	PghaRequireData();
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
	if (!awaited)
		listed = take_list_answer(PG_GETARG_INT64(0), PG_GETARG_BOOL(1), message);
	LWLockRelease(board->lock);
	if (awaited)
		PghaWakeMonitor();
	if (listed)
		PghaAgentsWake();
	PG_RETURN_BOOL(awaited || listed);
}
