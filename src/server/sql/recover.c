/*
 * recover.c
 *		Having a member's agent bring its node back: pgha_recover_node().
 *
 * The session that calls it puts an order on the board (board.h) and watches
 * what the agent says there until the job ends.  It holds no lock while it
 * waits, and looks at least once a second.  What can be known beforehand to be
 * in vain is refused at once, with the way out.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../compat.h"
#include "../config.h"
#include "recover.h"
#include "../refused.h"
#include "rows.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"

/* An agent is looking for the primary after a failover: how long it is waited for. */
#define CONNECT_WAIT_MS		10000
/* An agent that has left in the middle of a job: it may be restarted. */
#define ABSENCE_WAIT_MS		60000
/* Progress is told at least this often, and at most that often. */
#define NOTICE_AFTER_MS		10000
#define NOTICE_NOT_BEFORE_MS	200
#define LOOK_EVERY_MS		1000
#define FRESH_LOOK_MS		20

PG_FUNCTION_INFO_V1(pgha_sql_recover_node);
PG_FUNCTION_INFO_V1(pgha_sql_recovery_progress);

/* The node that this session waits for. */
typedef struct Wait
{
	const char *node;
	bool		counted;		/* among the waiters of its job */
} Wait;

bool
PghaFailed(PghaFailure *failure, int sqlstate, const char *hint, const char *format,...)
{
	char		message[sizeof(failure->message)];
	va_list		args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	memset(failure, 0, sizeof(*failure));
	failure->sqlstate = sqlstate;
	PghaCopyText(failure->message, message, sizeof(failure->message));
	PghaCopyText(failure->hint, hint, sizeof(failure->hint));
	return false;
}

static void
report_failure(int level, const PghaFailure *failure)
{
	ereport(level,
			(errcode(failure->sqlstate),
			 errmsg("%s", failure->message),
			 failure->detail[0] != '\0' ? errdetail("%s", failure->detail) : 0,
			 failure->hint[0] != '\0' ? errhint("%s", failure->hint) : 0));
}

void
PghaRaise(const PghaFailure *failure)
{
	report_failure(ERROR, failure);
	pg_unreachable();
}

void
PghaWarn(const PghaFailure *failure)
{
	report_failure(WARNING, failure);
}

bool
PghaMethodValid(const char *method)
{
	return strcmp(method, "auto") == 0 || strcmp(method, "rewind") == 0 ||
		strcmp(method, "clone") == 0 || strcmp(method, "start") == 0;
}

/* What the member said when it was last asked, and in *told when that was. */
static bool
streams_as_told(const char *node, pgha_time *told)
{
	const PghaView *view = &PghaShmem->view;
	bool		streams = false;

	*told = 0;
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	for (int i = 0; view->valid && i < view->members.count; i++)
	{
		const PghaMemberView *member = &view->member[i];

		if (strcmp(member->name, node) != 0)
			continue;
		*told = member->told;
		streams = member->contact == PGHA_CONTACT_ANSWERED && member->known &&
			member->report.in_recovery && !member->report.diverged &&
			member->report.receiver == PGHA_RECEIVER_STREAMING;
	}
	LWLockRelease(PghaShmem->lock);
	return streams;
}

bool
PghaNodeStreams(const char *node)
{
	pgha_time	since = pgha_clock_us();
	pgha_time	deadline = since + (pgha_time) pgha_failure_timeout * 1000;
	pgha_time	told;

	/* What it said before may be over: its server may have been stopped since. */
	while (streams_as_told(node, &told))
	{
		if (told >= since)
			return true;
		if (!PghaLookAgain(deadline, FRESH_LOOK_MS))
			return false;
	}
	return false;
}

/*
 * How much a recovery does: what does more, or as much, answers an order for
 * what does less.  One that the agent began by itself may be a "rejoin".
 */
static int
strength(const char *method)
{
	static const char *const methods[] = {"start", "rejoin", "rewind", "auto", "clone"};
	static const int strengths[] = {1, 2, 2, 3, 4};

	for (int i = 0; i < (int) lengthof(methods); i++)
	{
		if (strcmp(method, methods[i]) == 0)
			return strengths[i];
	}
	return 0;
}

/* ---- checks ---- */

static bool
check_node(const char *node, PghaFailure *failure)
{
	char		names[PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + 2)] = "";
	char		leader[PGHA_NAME_SIZE];
	bool		member;
	bool		in_recovery = RecoveryInProgress();

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	member = pgha_members_find(&PghaShmem->view.members, node) != PGHA_NOBODY;
	for (int i = 0; i < PghaShmem->view.members.count; i++)
	{
		if (i > 0)
			strlcat(names, ", ", sizeof(names));
		strlcat(names, PghaShmem->view.members.member[i].name, sizeof(names));
	}
	strlcpy(leader, PghaShmem->view.leader_name, sizeof(leader));
	LWLockRelease(PghaShmem->lock);

	if (in_recovery)
	{
		PghaFailed(failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "",
				   "this server is not the primary, and cannot recover other nodes");
		if (leader[0] != '\0')
			snprintf(failure->hint, sizeof(failure->hint), "Call this on \"%s\".", leader);
		else
			strlcpy(failure->hint, "No primary is known here; see pgha_cluster().", sizeof(failure->hint));
		return false;
	}
	if (!member)
	{
		PghaFailed(failure, ERRCODE_UNDEFINED_OBJECT, "",
				   "node \"%s\" is not one of pgha.members", PghaClip(node, PGHA_NAME_SIZE - 1));
		snprintf(failure->hint, sizeof(failure->hint), "The members are: %.450s.", names);
		return false;
	}
	if (strcmp(node, pgha_node) == 0)
		return PghaFailed(failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						  "Only a node that is not the primary can be recovered; see pgha_cluster().",
						  "node \"%s\" is the primary", node);
	return true;
}

/* ---- waiting ---- */

static bool
wait_ended(int64 since_ms, int64 limit_ms)
{
	return pgha_clock_us() / 1000 - since_ms >= limit_ms;
}

/* Sleeps until the board changes, at most LOOK_EVERY_MS. */
static void
sleep_a_little(void)
{
	(void) ConditionVariableTimedSleep(&PghaTheBoard()->changed, LOOK_EVERY_MS, PG_WAIT_EXTENSION);
}

/* All in one: pgpool shows the first 250 bytes or so. */
static bool
no_agent(const char *node, PghaFailure *failure)
{
	char		message[160];
	char		host[64];

	if (PghaLoginRefused(node, message, sizeof(message), host, sizeof(host)))
	{
		PghaFailed(failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				   "Correct pgha.conninfo on that node, or pg_hba.conf or the role here.",
				   "the agent of node \"%s\" is refused the login: %s", node, message);
		snprintf(failure->detail, sizeof(failure->detail), "It tries from %s.", host);
		return false;
	}
	return PghaFailed(failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  "Start it there (systemctl start pgha-agent), or see its log: it may not reach this server.",
					  "no agent of node \"%s\" is connected to this server", node);
}

static bool
await_agent(const char *node, PghaFailure *failure)
{
	int64		since = pgha_clock_us() / 1000;
	bool		connected;
	bool		told = false;

	ConditionVariablePrepareToSleep(&PghaTheBoard()->changed);
	while (!(connected = PghaAgentConnected(node)) && !wait_ended(since, CONNECT_WAIT_MS))
	{
		if (!told)
			ereport(NOTICE,
					(errmsg("waiting for the agent of node \"%s\" to connect", node)));
		told = true;
		sleep_a_little();
	}
	ConditionVariableCancelSleep();
	if (connected)
		return true;
	return no_agent(node, failure);
}

/*
 * Puts the order on the board, or finds the job that is there already; counts the
 * caller among its waiters.  A weaker one is given up if nobody waits for it; as
 * it may already be past that, its end is waited for in either case (await_job).
 */
static bool
join_job(Wait *wait, const char *method, PghaFailure *failure)
{
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *agent;
	bool		joined = false;
	bool		weaker = false;
	char		running[16] = "";

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	agent = PghaAgentOf(wait->node);
	if (agent != NULL)
	{
		PghaJob    *job = &agent->job;

		joined = job->id != 0 && job->outcome[0] == '\0';
		weaker = joined && strength(job->method) < strength(method);
		if (weaker && job->waiters == 0)
			job->cancel = true;
		if (!joined)
		{
			memset(job, 0, sizeof(*job));
			job->id = PghaNewJobId();
			job->ordered = true;
			job->started = job->updated = GetCurrentTimestamp();
			strlcpy(job->method, method, sizeof(job->method));
			strlcpy(job->phase, "waiting", sizeof(job->phase));
		}
		job->waiters++;
		wait->counted = true;
		strlcpy(running, job->method, sizeof(running));
	}
	LWLockRelease(board->lock);

	if (agent == NULL)
		return PghaFailed(failure, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
						  "Stop the agents of nodes that are no longer members.",
						  "too many agents are connected");
	PghaAgentsWake();
	if (weaker)
		ereport(NOTICE,
				(errmsg("waiting for the end of a recovery of node \"%s\" that does less (%s)", wait->node, running)));
	else if (joined)
		ereport(NOTICE,
				(errmsg("joining the recovery of node \"%s\" that is under way (%s)", wait->node, running)));
	return true;
}

/*
 * The caller waits no more.  code is 0 after an error, which is a cancelled
 * query: then the job has lost its purpose.  A terminated session leaves it.
 */
static void
leave_job(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *agent;

	if (!wait->counted)
		return;
	wait->counted = false;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	agent = PghaAgentOf(wait->node);
	if (agent != NULL && agent->job.waiters > 0)
	{
		PghaJob    *job = &agent->job;

		job->waiters--;
		if (code == 0 && job->ordered && job->waiters == 0 && job->outcome[0] == '\0')
		{
			job->cancel = true;
			if (!job->taken)
			{
				strlcpy(job->outcome, "cancelled", sizeof(job->outcome));
				job->updated = GetCurrentTimestamp();
			}
		}
	}
	LWLockRelease(board->lock);
	PghaAgentsWake();
}

/* "cloning: 34 % (350 of 1026 MB), from db-2" */
static void
describe_job(const PghaJob *job, char *text, size_t size)
{
	snprintf(text, size, "%s", job->phase[0] != '\0' ? job->phase : "waiting");
	if (job->total > 0)
		snprintf(text + strlen(text), size - strlen(text), ": %d %% (%lld of %lld MB)",
				 (int) (Min(job->done, job->total) * 100.0 / job->total),
				 (long long) (job->done / (1024 * 1024)), (long long) (job->total / (1024 * 1024)));
	if (job->message[0] != '\0')
		snprintf(text + strlen(text), size - strlen(text), "%s %s", job->total > 0 ? "," : ":", job->message);
}

/* Says how far the job is, if that is due. */
static void
tell_progress(const char *node, const PghaJob *job, int64 *told_at, char *told_phase)
{
	char		text[700];
	bool		new_phase = strcmp(told_phase, job->phase) != 0;

	if (!wait_ended(*told_at, new_phase ? NOTICE_NOT_BEFORE_MS : NOTICE_AFTER_MS))
		return;
	*told_at = pgha_clock_us() / 1000;
	strlcpy(told_phase, job->phase, sizeof(job->phase));
	describe_job(job, text, sizeof(text));
	ereport(NOTICE,
			(errmsg("node \"%s\": %s", node, text)));
}

static bool
judge_outcome(const char *node, const PghaJob *job, PghaFailure *failure)
{
	if (strcmp(job->outcome, "done") == 0)
		return true;
	*failure = job->failure;
	if (strcmp(job->outcome, "cancelled") == 0)
	{
		PghaFailed(failure, ERRCODE_QUERY_CANCELED, job->failure.hint,
				   "the recovery of node \"%s\" was cancelled", node);
		strlcpy(failure->detail, job->failure.message, sizeof(failure->detail));
	}
	else if (failure->message[0] == '\0')
		PghaFailed(failure, ERRCODE_INTERNAL_ERROR, "See the agent's log.",
				   "the recovery of node \"%s\" failed", node);
	return false;
}

/* Ends a job that no agent has taken. */
static void
withdraw_order(const char *node, int64 id)
{
	PghaBoard  *board = PghaTheBoard();
	PghaAgent  *agent;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	agent = PghaAgentOf(node);
	if (agent != NULL && agent->job.id == id && !agent->job.taken && agent->job.outcome[0] == '\0')
	{
		strlcpy(agent->job.outcome, "cancelled", sizeof(agent->job.outcome));
		agent->job.updated = GetCurrentTimestamp();
	}
	LWLockRelease(board->lock);
	PghaAgentsWake();
}

/*
 * Watches the job of the node until it ends.  *weaker: it was one that does less
 * than `method`, also where it has come in between; then nothing is judged.
 */
static bool
await_job(const char *node, const char *method, bool *weaker, PghaFailure *failure)
{
	PghaBoard  *board = PghaTheBoard();
	int64		told_at = 0;
	char		told_phase[sizeof(((PghaJob *) 0)->phase)] = "";
	int64		absent_since = 0;
	PghaJob		job;

	*weaker = false;
	ConditionVariablePrepareToSleep(&board->changed);
	for (;;)
	{
		PghaAgent  *agent;
		bool		connected;

		LWLockAcquire(board->lock, LW_EXCLUSIVE);
		agent = PghaAgentOf(node);
		connected = agent != NULL && PghaAgentPresent(agent);
		if (agent != NULL)
			job = agent->job;
		else
			memset(&job, 0, sizeof(job));
		LWLockRelease(board->lock);

		if (job.outcome[0] != '\0')
			break;
		tell_progress(node, &job, &told_at, told_phase);
		if (connected)
			absent_since = 0;
		else if (absent_since == 0)
			absent_since = pgha_clock_us() / 1000;
		else if (!job.taken && wait_ended(absent_since, CONNECT_WAIT_MS))
		{
			/* It was about to leave when the order was given: that is taken back. */
			ConditionVariableCancelSleep();
			withdraw_order(node, job.id);
			return no_agent(node, failure);
		}
		else if (wait_ended(absent_since, ABSENCE_WAIT_MS))
		{
			ConditionVariableCancelSleep();
			PghaFailed(failure, ERRCODE_CONNECTION_FAILURE,
					   "See the agent's log; pgha_recovery_progress() tells when it is back.",
					   "the agent of node \"%s\" has been gone for %d seconds", node, ABSENCE_WAIT_MS / 1000);
			strlcpy(failure->detail, "The recovery may be going on there.", sizeof(failure->detail));
			return false;
		}
		sleep_a_little();
	}
	ConditionVariableCancelSleep();
	*weaker = strength(job.method) < strength(method);
	return !*weaker && judge_outcome(node, &job, failure);
}

/* Has the job done, after any weaker one that is under way or comes first. */
static bool
have_done(Wait *wait, const char *method, PghaFailure *failure)
{
	bool		weaker;

	for (;;)
	{
		if (!join_job(wait, method, failure))
			return false;
		if (await_job(wait->node, method, &weaker, failure))
			return true;
		if (!weaker)
			return false;

		/* The job that ended has no waiters any more.  Perhaps it was enough. */
		wait->counted = false;
		if (strcmp(method, "clone") != 0 && PghaNodeStreams(wait->node))
			return true;
		if (!await_agent(wait->node, failure))
			return false;
	}
}

/*
 * A statement_timeout or transaction_timeout of the server, the database or the
 * role is meant for applications, and must not end a recovery: pgpool's session
 * has no other.  One that this session has chosen holds.
 */
static void
lift_general_limits(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT name FROM pg_catalog.pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')"
					" AND source NOT IN ('session', 'client')", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the limits of this session cannot be read");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		if (strcmp(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1), "statement_timeout") == 0)
			disable_timeout(STATEMENT_TIMEOUT, false);
		else
			compat_disable_transaction_timeout();
	}
	SPI_finish();
}

bool
PghaRecover(const char *node, const char *method, PghaFailure *failure)
{
	Wait		wait = {.node = node};
	bool		done;

	memset(failure, 0, sizeof(*failure));
	lift_general_limits();
	if (!PghaMethodValid(method))
		return PghaFailed(failure, ERRCODE_INVALID_PARAMETER_VALUE,
						  "Use auto (rewind, else clone), rewind, clone or start.",
						  "\"%s\" is not a method of recovery", PghaClip(method, PGHA_NAME_SIZE - 1));
	if (!check_node(node, failure))
		return false;
	if (strcmp(method, "clone") != 0 && PghaNodeStreams(node))
		return PghaFailed(failure, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						  "Nothing needs to be recovered. The method clone rebuilds it all the same.",
						  "node \"%s\" is a standby that streams", node);
	if (!await_agent(node, failure))
		return false;

	PG_ENSURE_ERROR_CLEANUP(leave_job, PointerGetDatum(&wait));
	{
		done = have_done(&wait, method, failure);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_job, PointerGetDatum(&wait));
	leave_job(1, PointerGetDatum(&wait));
	return done;
}

/* ---- SQL functions ---- */

/*
 * pgha_recover_node(node, method): brings a node back as a standby that
 * streams.  True, or an error that says why not.
 */
Datum
pgha_sql_recover_node(PG_FUNCTION_ARGS)
{
	PghaFailure failure;

	PghaRequireData();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("node and method must not be null")));
	if (!PghaRecover(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &failure))
		PghaRaise(&failure);
	PG_RETURN_BOOL(true);
}

static void
put_agent(PghaRow *row, const PghaAgent *agent)
{
	const PghaJob *job = &agent->job;

	PghaPutText(row, agent->node);
	if (job->id != 0)
	{
		PghaPutInt64(row, job->id);
		PghaPutTextOrNull(row, job->method);
		PghaPutTextOrNull(row, job->phase);
		PghaPutInt64(row, job->done);
		if (job->total > 0)
		{
			PghaPutInt64(row, job->total);
			PghaPut(row, DirectFunctionCall2(numeric_round,
											 DirectFunctionCall1(float8_numeric,
																 Float8GetDatum(Min(job->done, job->total) * 100.0 / job->total)),
											 Int32GetDatum(1)), false);
		}
		else
		{
			PghaPutNull(row);
			PghaPutNull(row);
		}
		PghaPutTime(row, job->started);
		PghaPutTime(row, job->updated);
		PghaPutTextOrNull(row, job->outcome);
		PghaPutTextOrNull(row, job->outcome[0] != '\0' && job->failure.message[0] != '\0' ?
						  job->failure.message : job->message);
	}
	else
	{
		for (int i = 0; i < 10; i++)
			PghaPutNull(row);
	}
	PghaPutBool(row, PghaAgentPresent(agent));
	PghaPutTextOrNull(row, PghaAgentPresent(agent) ? agent->server : "");
}

/*
 * pgha_recovery_progress(): a row for each member whose agent is connected, or
 * that has had a job since this server started.
 */
Datum
pgha_sql_recovery_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PghaBoard  *board;
	PghaAgent  *agents = palloc(sizeof(PghaAgent) * PGHA_MAX_MEMBERS);

	PghaRequireShmem();
	InitMaterializedSRF(fcinfo, 0);
	board = PghaTheBoard();
	LWLockAcquire(board->lock, LW_SHARED);
	memcpy(agents, board->agent, sizeof(PghaAgent) * PGHA_MAX_MEMBERS);
	LWLockRelease(board->lock);

	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		PghaRow		row = {0};

		if (agents[i].node[0] == '\0' || (agents[i].pid == 0 && agents[i].job.id == 0))
			continue;
		put_agent(&row, &agents[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.value, row.null);
	}
	return (Datum) 0;
}
