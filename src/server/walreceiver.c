/*
 * walreceiver.c
 *		Wraps libpqwalreceiver, so that the monitor commands the WAL receiver.
 *
 * libpqwalreceiver is loaded in the postmaster and its table of functions
 * replaced by a copy whose members lead here; the processes inherit it.  That
 * gives, without a patch to PostgreSQL:
 *
 * - the upstream is named by the monitor, at run time, and only after the
 *   WAL here was compared with the upstream's history: until then a receiver
 *   waits in connect(), which also shows that all local WAL is replayed;
 * - its end wakes the monitor at once (exit callback);
 * - a stop switch: no ack leaves after it, no connection is made;
 * - a heartbeat in the stream itself, which a frozen primary cannot answer.
 *
 * Subscriptions use the same functions.  Only a physical WAL receiver is
 * commanded; everybody else passes through, but for slot synchronisation, which
 * is led to the same upstream, and ended before a promotion: PostgreSQL would wait
 * for it, and it may wait for a primary that does not answer any more.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "utils/ps_status.h"

#include "../common/clock.h"
#include "compat.h"
#include "config.h"
#include "shmem.h"
#include "text.h"
#include "walreceiver.h"

/* Wait before an upstream that could not be reached is tried again. */
#define RETRY_INTERVAL		1000

/* A standby's reply: 'r', three LSNs, a time, and "answer me" as the last byte. */
#define REPLY_LENGTH		(1 + 4 * 8 + 1)

static WalReceiverFunctionsType *original = NULL;
static WalReceiverFunctionsType wrapped;

/* The order this receiver works on. */
static char order_name[PGHA_NAME_SIZE];
static uint32 order_timeline;
static char order_slot[NAMEDATALEN];

static bool
commanded(void)
{
	return PghaShmem != NULL && AmWalReceiverProcess() &&
		PghaShmem->boot_passive == PGHA_ACTIVE;
}

static void
set_state(PghaReceiver state)
{
	if (pg_atomic_read_u32(&PghaShmem->receiver.state) == (uint32) state)
		return;
	pg_atomic_write_u32(&PghaShmem->receiver.state, state);
	PghaWakeMonitor();
}

/*
 * However the receiver ends, the monitor learns it at once.  PostgreSQL's own
 * exit callback, which flushes what was received last, comes after this one.
 */
static void
receiver_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	pg_atomic_write_u32(&PghaShmem->receiver.ending, 1);
	pg_atomic_write_u64(&PghaShmem->receiver.latch, 0);
	pg_atomic_write_u32(&PghaShmem->receiver.in_send, 0);
	pg_atomic_write_u32(&PghaShmem->receiver.state, PGHA_RECEIVER_NONE);
	PghaWakeMonitor();
}

/*
 * Waiting for longer than a start takes: says why, in the title and once in the log,
 * where the monitor has told already that the node has diverged.
 */
static void
tell_waiting(void)
{
	static bool told = false;
	static char shown[400];
	char		title[400];

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	snprintf(title, sizeof(title), "waits for pgha to name a primary: %s",
			 PghaShmem->view.valid ? PghaShmem->view.reason : "the pgha monitor does not run");
	told |= PghaShmem->view.valid && PghaShmem->view.state == PGHA_DIVERGED;
	LWLockRelease(PghaShmem->lock);
	if (strcmp(title, shown) != 0)
	{
		strlcpy(shown, title, sizeof(shown));
		set_ps_display(title);
	}
	if (!told)
		ereport(LOG, (errmsg("WAL receiver %s", title)));
	told = true;
}

/*
 * Waits until the monitor names an upstream.  `tried` is the number of an order
 * that was just tried in vain: it is tried again after a while.
 */
static void
wait_for_order(char *conninfo, uint64 *tried)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	pgha_time	since = pgha_clock_us();
	bool		shown = false;

	for (;;)
	{
		bool		unnamed;

		ResetLatch(MyLatch);

		/* Asked to end while nothing is going on: without an error in the log. */
		if (compat_receiver_must_end())
			proc_exit(0);
		compat_receiver_interrupts();

		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		if (receiver->order_member != PGHA_NOBODY &&
			pg_atomic_read_u32(&receiver->stop) == 0 &&
			(receiver->order_number != *tried ||
			 pgha_clock_us() - since >= RETRY_INTERVAL * INT64CONST(1000)))
		{
			*tried = receiver->order_number;
			order_timeline = receiver->order_timeline;
			strlcpy(order_name, receiver->order_name, sizeof(order_name));
			strlcpy(order_slot, receiver->order_slot, sizeof(order_slot));
			strlcpy(conninfo, receiver->order_conninfo, PGHA_CONNINFO_SIZE);
			LWLockRelease(PghaShmem->lock);
			if (shown)
				set_ps_display("");
			return;
		}
		unnamed = receiver->order_member == PGHA_NOBODY;
		LWLockRelease(PghaShmem->lock);

		set_state(PGHA_RECEIVER_WAITING);
		if (unnamed && pgha_clock_us() - since >= PghaShmem->config.settings.startup_grace)
		{
			tell_waiting();
			shown = true;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 RETRY_INTERVAL, PG_WAIT_EXTENSION);
	}
}

/* Takes this process, if it is the one, off the place where PghaWalReceiverStop() finds it. */
static void
slot_sync_ends(int code, Datum arg)
{
	uint32		me = (uint32) MyProcPid;

	(void) code;
	(void) arg;
	(void) pg_atomic_compare_exchange_u32(&PghaShmem->receiver.slot_sync, &me, 0);
}

/* Where slot synchronisation connects to.  False if the monitor has named no upstream. */
static bool
slot_sync_upstream(char *conninfo)
{
	static bool registered = false;
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	char		dbname[PGHA_CONNINFO_SIZE];
	bool		named;

	if (!registered)
	{
		before_shmem_exit(slot_sync_ends, (Datum) 0);
		registered = true;
	}
	pg_atomic_write_u32(&receiver->slot_sync, (uint32) MyProcPid);
	pg_memory_barrier();
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	named = receiver->order_member != PGHA_NOBODY && pg_atomic_read_u32(&receiver->stop) == 0;
	if (named)
		strlcpy(conninfo, receiver->order_conninfo, PGHA_CONNINFO_SIZE);
	LWLockRelease(PghaShmem->lock);
	return named &&
		(pgha_conninfo_get(conninfo, "dbname", dbname, sizeof(dbname)) ||
		 pgha_conninfo_add(conninfo, PGHA_CONNINFO_SIZE, "dbname", "postgres"));
}

static void
pgha_disconnect(WalReceiverConn *conn)
{
	(original->walrcv_disconnect) (conn);
	if (PghaShmem != NULL)
		slot_sync_ends(0, (Datum) 0);
}

static WalReceiverConn *
pgha_connect(PGHA_WALRCV_CONNECT_ARGS)
{
	static bool registered = false;
	static char ordered_conninfo[PGHA_CONNINFO_SIZE];
	uint64		tried = 0;
	bool		told = false;

	if (compat_connects_for_slot_sync && PghaShmem != NULL && PghaShmem->boot_passive == PGHA_ACTIVE)
	{
		if (slot_sync_upstream(ordered_conninfo))
			return (original->walrcv_connect) (PGHA_WALRCV_CONNECT_PASS(ordered_conninfo));
		*err = pstrdup("pgha has not named a primary to follow");
		return NULL;
	}
	if (!commanded() || logical)
		return (original->walrcv_connect) (PGHA_WALRCV_CONNECT_PASS(conninfo));

	if (!registered)
	{
		before_shmem_exit(receiver_exit, (Datum) 0);
		registered = true;
	}
	pg_atomic_write_u32(&PghaShmem->receiver.ending, 0);
	pg_atomic_write_u64(&PghaShmem->receiver.latch, (uint64) (uintptr_t) MyLatch);

	for (;;)
	{
		WalReceiverConn *conn;

		wait_for_order(ordered_conninfo, &tried);
		set_state(PGHA_RECEIVER_CONNECTING);
		conn = (original->walrcv_connect) (PGHA_WALRCV_CONNECT_PASS(ordered_conninfo));
		if (conn != NULL)
			return conn;

		/* The monitor may name another one meanwhile: no reason to end. */
		if (!told)
		{
			PghaCleanShown(*err, false);
			ereport(LOG,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("could not connect to upstream \"%s\": %s", order_name, *err)));
		}
		told = true;
	}
}

/*
 * The upstream must be on the timeline whose history was compared.  If it has
 * moved on, the comparison has to be made anew.
 */
static char *
pgha_identify_system(WalReceiverConn *conn, TimeLineID *primary_tli)
{
	char	   *identifier = (original->walrcv_identify_system) (conn, primary_tli);

	if (commanded() && *primary_tli != order_timeline)
	{
		ereport(LOG,
				(errmsg("upstream \"%s\" is on timeline %u instead of %u, disconnecting",
						order_name, *primary_tli, order_timeline)));
		proc_exit(0);
	}
	return identifier;
}

static bool
pgha_startstreaming(WalReceiverConn *conn, const WalRcvStreamOptions *options)
{
	WalRcvStreamOptions ordered = *options;
	PghaWalReceiver *receiver;

	if (!commanded())
		return (original->walrcv_startstreaming) (conn, options);

	receiver = &PghaShmem->receiver;
	if (pg_atomic_read_u32(&receiver->stop) != 0)
		proc_exit(0);
	ordered.slotname = order_slot[0] != '\0' ? order_slot : NULL;
	if (!(original->walrcv_startstreaming) (conn, &ordered))
		return false;

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	strlcpy(receiver->upstream_name, order_name, sizeof(receiver->upstream_name));
	LWLockRelease(PghaShmem->lock);
	pg_atomic_write_u32(&receiver->ended_clean, 0);
	pg_atomic_write_u32(&receiver->timeline, options->proto.physical.startpointTLI);
	pg_atomic_write_u64(&receiver->heard, (uint64) pgha_clock_us());
	set_state(PGHA_RECEIVER_STREAMING);
	return true;
}

static int
pgha_receive(WalReceiverConn *conn, char **buffer, pgsocket *wait_fd)
{
	int			length = (original->walrcv_receive) (conn, buffer, wait_fd);

	if (!commanded())
		return length;
	if (length > 0)
		pg_atomic_write_u64(&PghaShmem->receiver.heard, (uint64) pgha_clock_us());
	else if (length < 0)
	{
		/* The end of the copy: the upstream shuts down, or leaves its timeline. */
		pg_atomic_write_u32(&PghaShmem->receiver.ended_clean, 1);
		set_state(PGHA_RECEIVER_CONNECTING);
	}
	return length;
}

static void
pgha_send(WalReceiverConn *conn, const char *buffer, int nbytes)
{
	PghaWalReceiver *receiver;
	char		reply[REPLY_LENGTH];

	if (!commanded())
	{
		(original->walrcv_send) (conn, buffer, nbytes);
		return;
	}

	receiver = &PghaShmem->receiver;
	pg_atomic_write_u32(&receiver->in_send, 1);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&receiver->stop) != 0)
	{
		pg_atomic_write_u32(&receiver->in_send, 0);
		proc_exit(0);
	}
	if (nbytes == REPLY_LENGTH && buffer[0] == 'r' &&
		pg_atomic_exchange_u32(&receiver->heartbeat_due, 0) != 0)
	{
		memcpy(reply, buffer, REPLY_LENGTH);
		reply[REPLY_LENGTH - 1] = 1;
		buffer = reply;
	}
	(original->walrcv_send) (conn, buffer, nbytes);
	pg_memory_barrier();
	pg_atomic_write_u32(&receiver->in_send, 0);
}

void
PghaWalReceiverInit(void)
{
	load_file("libpqwalreceiver", false);
	original = WalReceiverFunctions;
	wrapped = *original;
	wrapped.walrcv_connect = pgha_connect;
	wrapped.walrcv_disconnect = pgha_disconnect;
	wrapped.walrcv_identify_system = pgha_identify_system;
	wrapped.walrcv_startstreaming = pgha_startstreaming;
	wrapped.walrcv_receive = pgha_receive;
	wrapped.walrcv_send = pgha_send;
	WalReceiverFunctions = &wrapped;
}

/* ---- the monitor's side ---- */

static void
wake_receiver(void)
{
	Latch	   *latch = (Latch *) (uintptr_t) pg_atomic_read_u64(&PghaShmem->receiver.latch);

	if (latch != NULL)
		SetLatch(latch);
}

static pid_t
receiver_pid(void)
{
	pid_t		pid;

	SpinLockAcquire(&WalRcv->mutex);
	pid = WalRcv->pid;
	SpinLockRelease(&WalRcv->mutex);
	return pid;
}

PghaReceiver
PghaWalReceiverState(void)
{
	PghaReceiver state = (PghaReceiver) pg_atomic_read_u32(&PghaShmem->receiver.state);

	/* Not begun to wait for its upstream yet, or ending. */
	if (state == PGHA_RECEIVER_NONE && receiver_pid() != 0)
		return PGHA_RECEIVER_CONNECTING;
	return state;
}

bool
PghaWalReceiverEnding(void)
{
	return pg_atomic_read_u32(&PghaShmem->receiver.ending) != 0 && receiver_pid() != 0;
}

/* Ends a receiver that streams or connects; one that waits is left waiting. */
static void
end_receiver(void)
{
	PghaReceiver state = (PghaReceiver) pg_atomic_read_u32(&PghaShmem->receiver.state);
	pid_t		pid;

	if (state != PGHA_RECEIVER_STREAMING && state != PGHA_RECEIVER_CONNECTING)
		return;
	pid = receiver_pid();
	if (pid != 0)
		kill(pid, SIGTERM);
}

void
PghaWalReceiverOrder(int member, const char *name, const char *conninfo,
					 uint32 timeline, const char *slot)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	receiver->order_number++;
	receiver->order_member = member;
	receiver->order_timeline = timeline;
	strlcpy(receiver->order_name, name, sizeof(receiver->order_name));
	strlcpy(receiver->order_slot, slot, sizeof(receiver->order_slot));
	strlcpy(receiver->order_conninfo, conninfo, sizeof(receiver->order_conninfo));
	LWLockRelease(PghaShmem->lock);
	wake_receiver();
}

void
PghaWalReceiverForget(void)
{
	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	PghaShmem->receiver.order_number++;
	PghaShmem->receiver.order_member = PGHA_NOBODY;
	LWLockRelease(PghaShmem->lock);
}

void
PghaWalReceiverRevoke(void)
{
	PghaWalReceiverForget();
	end_receiver();
}

void
PghaWalReceiverStop(void)
{
	pid_t		slot_sync;

	pg_atomic_write_u32(&PghaShmem->receiver.stop, 1);
	pg_memory_barrier();
	slot_sync = (pid_t) pg_atomic_read_u32(&PghaShmem->receiver.slot_sync);
	if (slot_sync != 0)
		kill(slot_sync, SIGTERM);
	PghaWalReceiverRevoke();
}

void
PghaWalReceiverRelease(void)
{
	pg_atomic_write_u32(&PghaShmem->receiver.stop, 0);
	wake_receiver();
}

bool
PghaWalReceiverStopped(void)
{
	PghaReceiver state = PghaWalReceiverState();

	if (pg_atomic_read_u32(&PghaShmem->receiver.in_send) != 0)
		return false;
	return state == PGHA_RECEIVER_NONE || state == PGHA_RECEIVER_WAITING;
}

void
PghaWalReceiverHeartbeat(void)
{
	if (pg_atomic_read_u32(&PghaShmem->receiver.state) != PGHA_RECEIVER_STREAMING)
		return;
	pg_atomic_write_u32(&PghaShmem->receiver.heartbeat_due, 1);
	WalRcvForceReply();
}
