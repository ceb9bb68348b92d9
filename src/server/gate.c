/*
 * gate.c
 *		The commit gate, and pgha.commit_guard.
 *
 * A commit is checked twice.  Before its record is written (XACT_EVENT_PRE_COMMIT)
 * it can still be refused with an error, and nothing has happened.  Once the
 * record is written the transaction is committed here, whatever comes; all that
 * can still be prevented is that the client is told so.  That is the second
 * check (XACT_EVENT_COMMIT): if the server has stopped leading meanwhile, the
 * connection is shut down and the process ends at its next chance to.  An
 * ereport(ERROR) there would be a PANIC.  The client then does not know the
 * outcome, as after any lost connection.
 *
 * Commands whose effects a refused commit cannot take back (files, objects on
 * other servers) are checked before they begin as well.  COMMIT PREPARED and
 * ROLLBACK PREPARED write their record before any callback and without a
 * transaction id of their own: they are recognised as commands.  NOTIFY gets its
 * transaction id after the first check, so that only the second sees it.
 *
 * pgha.commit_guard keeps the promise of synchronous replication, which
 * PostgreSQL gives up when a waiting commit is cancelled (it reports success
 * with a warning) or synchronous_standby_names is emptied (without one):
 *
 * - In a client's backend a SIGINT (cancel request, statement_timeout) that
 *	 arrives during a commit is kept back until the commit is done.  A commit
 *	 that waits for a standby can only be ended by terminating its backend.
 * - Belt to these braces, in every process: after a commit that had to be
 *	 acknowledged by a synchronous standby, the acknowledged position is compared
 *	 with that of the commit.  If it was not reached, the client is not told of
 *	 success, by the same shutdown of its connection.  A session that has not yet
 *	 read the emptied synchronous_standby_names counts as waiting; commits of
 *	 those that have are asynchronous.
 * - A backend that drops its temporary tables at exit does not wait for a
 *	 standby: nobody is told of that commit, and it could be ended neither by a
 *	 cancel nor by a terminate, so that without a standby the server could not be
 *	 shut down.
 *
 * The monitor alone opens and closes the gate (shmem.h).  Commits read it
 * without a lock; the usual cost is an atomic read and one of the clock.  An open
 * gate has a deadline, so that it closes by itself: that of the lease, if the
 * members vote, and the one that each round of the monitor pushes on.  What a
 * commit does when it does not find the gate open:
 *
 *						first check			second check
 *	closed				error				connection ends
 *	not decided yet		waits				waits
 *	monitor late		waits				waits
 *	lease run out		waits				connection ends
 *
 * It waits for failure_timeout at most, and then fails as if it were closed.
 *
 * The second check is the acknowledgement, as far as the rules go.  A process
 * that is stopped between that check and the send to its client would still
 * send when it goes on; and the rest of a query may take long after a commit in
 * it.  So the gate is looked at once more before each message, and each flush,
 * until the query is answered.  What remains is what cannot be had otherwise: a
 * process that is stopped between that look and its system call, or that waits in
 * it for a client that does not read, and packets on their way.
 *
 * Nothing here does I/O, but for those sends.  On a witness nothing of this is done.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/socket.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/timeout.h"

/* libpq-be.h would include gssapi.h, which is not there on every build host. */
#undef ENABLE_GSS
#include "libpq/libpq.h"
#include "libpq/libpq-be.h"

#include "../common/clock.h"
#include "compat.h"
#include "config.h"
#include "confirm.h"
#include "gate.h"
#include "shmem.h"
#include "wait.h"

/* The type of the message that ends an answer. */
#define READY_FOR_QUERY		'Z'

/* How often a commit that waits for its confirmations has the monitor look for new standbys. */
#define CONFIRM_WAKE_INTERVAL	100000

static bool commit_guard = true;

/*
 * The commit under way in this process.  The flags are set from the first check
 * until the end of the transaction.
 */
static volatile sig_atomic_t committing = false;	/* SIGINT is kept back */
static volatile sig_atomic_t cancel_kept_back = false;
static bool finishing_prepared = false; /* COMMIT PREPARED, ROLLBACK PREPARED */
static int	required_sync = SYNC_REP_NO_WAIT;	/* acknowledgement it has to have */
static bool confirmations_wanted = false;	/* those that the rules ask for, too */

/* The client has not been sent all of the answer to a query that has committed. */
static bool answer_due = false;
static bool answer_complete = false;	/* its last message waits to be flushed */
static const PQcommMethods *socket_methods = NULL;	/* PostgreSQL's own; NULL: they are in place */

static ProcessUtility_hook_type previous_ProcessUtility = NULL;

/* ---- for the monitor ---- */

/* The monitor's own: what it has decided, and what it was last told of the lease. */
static bool opened = false;
static pgha_time lease = 0;

/* Moves the deadline of an open gate, and wakes those that have found it past. */
static void
set_deadline(void)
{
	PghaGate   *gate = &PghaShmem->gate;
	uint64		until = Min(pg_atomic_read_u64(&gate->lease), pg_atomic_read_u64(&gate->alive));
	uint64		former;

	if (!opened)
		return;

	/* The clock is read after the exchange: who has found the former one past is either woken or finds the new one. */
	former = pg_atomic_exchange_u64(&gate->deadline, Max(until, 1));
	if (former == PGHA_GATE_CLOSED || former <= (uint64) pgha_clock_us())
		ConditionVariableBroadcast(&gate->changed);
}

void
PghaGateOpen(bool leased, pgha_time alive)
{
	PghaGate   *gate = &PghaShmem->gate;

	pg_atomic_write_u64(&gate->lease, leased ? (uint64) lease : PGHA_GATE_NO_LIMIT);
	pg_atomic_write_u64(&gate->alive, (uint64) alive);
	opened = true;
	set_deadline();
	pg_write_barrier();
	pg_atomic_write_u32(&gate->decided, 1);
	ConditionVariableBroadcast(&gate->changed);
}

void
PghaGateLease(pgha_time until)
{
	lease = until;
	pg_atomic_write_u64(&PghaShmem->gate.lease, (uint64) until);
	set_deadline();
}

void
PghaGateAlive(pgha_time until)
{
	pg_atomic_write_u64(&PghaShmem->gate.alive, (uint64) until);
	set_deadline();
}

void
PghaGateClose(void)
{
	opened = false;
	pg_atomic_write_u64(&PghaShmem->gate.deadline, PGHA_GATE_CLOSED);

	/* Must not be overtaken by what the caller does because the gate is closed. */
	pg_memory_barrier();
}

void
PghaGateSuspend(void)
{
	PghaGate   *gate = &PghaShmem->gate;

	opened = false;
	pg_atomic_write_u32(&gate->decided, 0);
	pg_write_barrier();
	pg_atomic_write_u64(&gate->deadline, PGHA_GATE_CLOSED);
	pg_memory_barrier();
}

void
PghaGateLeave(void)
{
	if (opened)
		PghaGateSuspend();
}

void
PghaGateDecided(void)
{
	PghaGate   *gate = &PghaShmem->gate;

	pg_atomic_write_u32(&gate->decided, 1);
	ConditionVariableBroadcast(&gate->changed);
}

/* ---- for everybody ---- */

bool
PghaGateIsOpen(void)
{
	uint64		deadline = pg_atomic_read_u64(&PghaShmem->gate.deadline);

	if (deadline == PGHA_GATE_CLOSED)
		return false;

	/* Without its postmaster, and so without a monitor, a process cannot know. */
	if (!PostmasterIsAlive())
		return false;
	return (uint64) pgha_clock_us() < deadline;
}

bool
PghaGateMonitorLate(void)
{
	uint64		alive = pg_atomic_read_u64(&PghaShmem->gate.alive);

	return alive != 0 && alive <= (uint64) pgha_clock_us();
}

/* Why a commit does not find it open. */
typedef enum GateState
{
	GATE_OPEN,
	GATE_CLOSED,
	GATE_UNDECIDED,
	GATE_MONITOR_LATE,
	GATE_NO_LEASE
} GateState;

static GateState
look_at_gate(void)
{
	PghaGate   *gate = &PghaShmem->gate;

	uint64		deadline = pg_atomic_read_u64(&gate->deadline);
	uint64		now;

	pg_read_barrier();
	if (!PostmasterIsAlive())
		return GATE_CLOSED;
	if (deadline == PGHA_GATE_CLOSED)
	{
		if (pg_atomic_read_u32(&gate->decided) == 0)
			return GATE_UNDECIDED;

		/* The decision may have been to open it. */
		pg_read_barrier();
		deadline = pg_atomic_read_u64(&gate->deadline);
		if (deadline == PGHA_GATE_CLOSED)
			return GATE_CLOSED;
	}
	now = (uint64) pgha_clock_us();
	if (now < deadline)
		return GATE_OPEN;
	return pg_atomic_read_u64(&gate->lease) <= now ? GATE_NO_LEASE : GATE_MONITOR_LATE;
}

static pgha_time
wait_limit(void)
{
	return pgha_clock_us() + (pgha_time) pgha_failure_timeout * 1000;
}

/* The first check: error unless this server leads. */
static void
require_open_gate(void)
{
	GateState	state;
	pgha_time	give_up;

	if (likely(PghaGateIsOpen()))
		return;

	give_up = wait_limit();
	while ((state = look_at_gate()) > GATE_CLOSED && PghaSleepUntil(&PghaShmem->gate.changed, give_up))
		;
	ConditionVariableCancelSleep();

	switch (state)
	{
		case GATE_OPEN:
			return;
		case GATE_UNDECIDED:
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("it is not decided yet whether this server leads the cluster, commit refused"),
					 errhint("Try again. pgha_status() tells what is being waited for.")));
		case GATE_MONITOR_LATE:
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("the monitor of pgha has not been heard of for too long, commit refused"),
					 errhint("It was stopped, hangs, or gets no processor. Commits go on when it does.")));
		case GATE_NO_LEASE:
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("this server has no lease from a majority of the voters, commit refused"),
					 errhint("Try again, or connect to the primary. pgha_cluster() shows which voters answer.")));
		case GATE_CLOSED:
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("this server does not hold the lead of the cluster, commit refused"),
					 errhint("Connect to the primary. pgha_cluster() shows the members of the cluster.")));
	}
}

/* ---- a commit ---- */

/*
 * Ends this process without telling the client anything more, not even what
 * waits in the send buffer.  Callable where no error may be raised.
 */
static void
drop_client(void)
{
	if (MyProcPort != NULL)
		(void) shutdown(MyProcPort->sock, SHUT_RDWR);
	ProcDiePending = true;
	InterruptPending = true;
}

static void
handle_sigint(SIGNAL_ARGS)
{
	/*
	 * lock_timeout comes as SIGINT too.  It fires only in the wait for a lock,
	 * which a commit does before its record is written (NOTIFY).
	 */
	if (committing && !get_timeout_indicator(LOCK_TIMEOUT, false))
	{
		cancel_kept_back = true;
		return;
	}
	StatementCancelHandler(postgres_signal_arg);
}

/* The acknowledgement that a commit with the present settings waits for. */
static int
sync_in_force(void)
{
	if (!SyncRepRequested() ||
		SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		return SYNC_REP_NO_WAIT;

	switch (synchronous_commit)
	{
		case SYNCHRONOUS_COMMIT_REMOTE_WRITE:
			return SYNC_REP_WAIT_WRITE;
		case SYNCHRONOUS_COMMIT_REMOTE_APPLY:
			return SYNC_REP_WAIT_APPLY;
		default:
			return SYNC_REP_WAIT_FLUSH;
	}
}

/* A session that has opted out of the flush of its commits by standbys does not ask for it here either. */
static bool
wants_confirmations(void)
{
	return synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_FLUSH;
}

static void
begin_commit(int sync)
{
	static bool handler_installed = false;

	required_sync = sync;

	/* Only a client's backend is known to have PostgreSQL's own SIGINT handler. */
	if (MyProcPort == NULL)
		return;
	if (!handler_installed)
	{
		pqsignal(SIGINT, handle_sigint);
		handler_installed = true;
	}
	committing = true;

	/* One that arrived just before must not be seen by the wait. */
	if (QueryCancelPending)
	{
		QueryCancelPending = false;
		cancel_kept_back = true;
	}
}

/* A cancel that came too late for the commit strikes what comes after it. */
static void
end_commit(bool committed)
{
	committing = false;
	finishing_prepared = false;
	required_sync = SYNC_REP_NO_WAIT;
	confirmations_wanted = false;

	if (cancel_kept_back)
	{
		cancel_kept_back = false;
		if (committed)
		{
			QueryCancelPending = true;
			InterruptPending = true;
		}
	}
}

static void
before_commit(bool prepare)
{
	/*
	 * A cancel that is already pending is carried out while the transaction can
	 * still be aborted.
	 */
	if (QueryCancelPending && commit_guard)
		CHECK_FOR_INTERRUPTS();

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;

	if (proc_exit_inprogress)
	{
		/* Temporary tables being dropped.  Nothing restores this: the process ends. */
		if (commit_guard && synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		{
			synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
			assign_synchronous_commit(synchronous_commit, NULL);
		}
		return;
	}

	require_open_gate();

	/*
	 * PREPARE always waits for standbys, at most for the flush; a commit only if
	 * its transaction wrote WAL before the commit record.
	 */
	confirmations_wanted = wants_confirmations() && (prepare || !XLogRecPtrIsInvalid(XactLastRecEnd));
	if (commit_guard)
	{
		int			sync = sync_in_force();

		if (prepare)
			sync = Min(sync, SYNC_REP_WAIT_FLUSH);
		else if (XLogRecPtrIsInvalid(XactLastRecEnd))
			sync = SYNC_REP_NO_WAIT;

		begin_commit(sync);
	}
}

/* Has a synchronous standby acknowledged what this commit had to wait for? */
static bool
sync_reached(XLogRecPtr lsn)
{
	bool		reached;

	LWLockAcquire(SyncRepLock, LW_SHARED);
	reached = lsn <= WalSndCtl->lsn[required_sync];
	LWLockRelease(SyncRepLock);
	return reached;
}

/*
 * May a client be told of success?  Waits where that is worth it, and where no
 * error may be raised and the process may not exit either.
 */
static bool
may_acknowledge(void)
{
	pgha_time	give_up;
	GateState	state;

	if (likely(PghaGateIsOpen()))
		return true;

	give_up = wait_limit();
	while ((state = look_at_gate()) == GATE_UNDECIDED || state == GATE_MONITOR_LATE)
	{
		if (ProcDiePending || pgha_clock_us() >= give_up)
			return false;
		(void) WaitLatch(NULL, WL_TIMEOUT | WL_POSTMASTER_DEATH, 10, PG_WAIT_EXTENSION);
	}
	return state == GATE_OPEN;
}

/* What is about to be sent may be the answer to a commit. */
static void
guard_answer(void)
{
	if (!answer_due || may_acknowledge())
		return;
	drop_client();
	answer_due = false;
}

/*
 * Instead of PostgreSQL's own.  A message may send those before it, when the
 * buffer is full, and a flush need not be the last one of an answer: a NOTICE is
 * flushed, too.
 */
static int
gate_putmessage(char type, const char *text, size_t length)
{
	guard_answer();
	answer_complete = answer_due && type == READY_FOR_QUERY;
	return socket_methods->putmessage(type, text, length);
}

static int
gate_flush(void)
{
	guard_answer();
	if (answer_complete)
		answer_due = answer_complete = false;
	return socket_methods->flush();
}

/* From now on, until the query is answered, nothing is sent without a look at the gate. */
static void
expect_answer(void)
{
	static PQcommMethods methods;

	/* Workers, parallel ones too, have no client of their own. */
	if (MyProcPort == NULL)
		return;
	if (socket_methods == NULL)
	{
		socket_methods = PqCommMethods;
		methods = *socket_methods;
		methods.putmessage = gate_putmessage;
		methods.flush = gate_flush;
		PqCommMethods = &methods;
	}
	answer_due = true;
}

/*
 * Waits until the standbys that the rules name have flushed the commit, as long
 * as PostgreSQL itself would have waited: until that is so, until the process is
 * terminated, or until the server does not lead any more.  Mostly it is so at
 * once.  False: it is not.
 */
static bool
wait_confirmed(XLogRecPtr lsn)
{
	long		sleep = 1;
	pgha_time	woken = 0;
	pgha_time	give_up = 0;

	while (!PghaConfirmed(lsn))
	{
		GateState	state = look_at_gate();
		pgha_time	now = pgha_clock_us();

		if (ProcDiePending || state == GATE_CLOSED || state == GATE_NO_LEASE)
			return false;
		if (state == GATE_OPEN)
			give_up = 0;
		else if (give_up == 0)
			give_up = wait_limit();
		else if (now >= give_up)
			return false;

		/* It may not have seen yet that a standby has connected. */
		if (now - woken >= CONFIRM_WAKE_INTERVAL)
		{
			woken = now;
			PghaWakeMonitor();
		}
		(void) WaitLatch(NULL, WL_TIMEOUT | WL_POSTMASTER_DEATH, sleep, PG_WAIT_EXTENSION);
		sleep = Min(2 * sleep, 20);
	}
	return true;
}

/* The second check. */
static void
after_commit(bool prepare)
{
	XLogRecPtr	lsn;

	if (proc_exit_inprogress)
		return;
	if (!finishing_prepared && !TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;

	/*
	 * Where the record of PREPARE ends is not known any more, only where it
	 * begins.  That is enough unless a standby has stopped in its midst.
	 */
	lsn = prepare ? ProcLastRecPtr + 1 : XactLastCommitEnd;
	if ((confirmations_wanted && PghaConfirmAsked() && !wait_confirmed(lsn)) ||
		!may_acknowledge() ||
		(required_sync != SYNC_REP_NO_WAIT && !sync_reached(lsn)))
		drop_client();
	else
		expect_answer();
}

static void
gate_xact_callback(XactEvent event, void *arg)
{
	/* What that depends on is settled before a process runs transactions. */
	static enum {UNKNOWN, NO_GATE, GATE} kind = UNKNOWN;

	(void) arg;

	if (unlikely(kind == UNKNOWN))
		kind = PghaHasData() ? GATE : NO_GATE;
	if (unlikely(kind == NO_GATE))
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit(false);
			break;
		case XACT_EVENT_PRE_PREPARE:
			before_commit(true);
			break;
		case XACT_EVENT_COMMIT:
			after_commit(false);
			end_commit(true);
			break;
		case XACT_EVENT_PREPARE:
			after_commit(true);
			end_commit(true);
			break;
		case XACT_EVENT_ABORT:
			end_commit(false);
			break;
		default:
			/* Parallel workers leave the commit to their leader. */
			break;
	}
}

static bool
finishes_prepared(Node *statement)
{
	TransactionStmt *transaction = (TransactionStmt *) statement;

	return IsA(statement, TransactionStmt) &&
		(transaction->kind == TRANS_STMT_COMMIT_PREPARED ||
		 transaction->kind == TRANS_STMT_ROLLBACK_PREPARED);
}

/* Does the command do things that a refused commit could not take back? */
static bool
leaves_traces(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:	/* SET TABLESPACE moves its files */
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_CreateSubscriptionStmt:	/* slots on the publisher */
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
			return true;
		case T_NotifyStmt:		/* an error is kinder than a lost connection */
			return true;
		default:
			return finishes_prepared(statement);
	}
}

static void
call_ProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
					ProcessUtilityContext context, ParamListInfo params,
					QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (previous_ProcessUtility)
		previous_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

static void
gate_ProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;

	/* In recovery PostgreSQL refuses all of these itself. */
	if (!leaves_traces(statement) || !PghaHasData() || RecoveryInProgress())
	{
		call_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	require_open_gate();

	if (!finishes_prepared(statement))
	{
		call_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	/* The commit is done in there; its second check comes with the end of this command. */
	PG_TRY();
	{
		finishing_prepared = true;
		confirmations_wanted = wants_confirmations();
		if (commit_guard)
		{
			int			sync = sync_in_force();

			if (((TransactionStmt *) statement)->kind == TRANS_STMT_ROLLBACK_PREPARED)
				sync = Min(sync, SYNC_REP_WAIT_FLUSH);
			CHECK_FOR_INTERRUPTS();
			begin_commit(sync);
		}
		call_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		end_commit(false);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
PghaGateInit(void)
{
	DefineCustomBoolVariable("pgha.commit_guard",
							 "A commit that synchronous replication did not confirm is never reported as success.",
							 "Cancelling a commit that waits for a standby has no effect; emptying synchronous_standby_names disconnects those that wait.",
							 &commit_guard, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	RegisterXactCallback(gate_xact_callback, NULL);
	previous_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = gate_ProcessUtility;
}
