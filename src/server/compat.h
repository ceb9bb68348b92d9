/*
 * compat.h
 *		Differences between PostgreSQL 15, 17 and 18 (16 builds, too), and nowhere
 *		else in the server module.
 */
#ifndef PGHA_COMPAT_H
#define PGHA_COMPAT_H

#include "postgres.h"

#include "replication/walreceiver.h"
#include "utils/backend_status.h"
#include "utils/guc_tables.h"

#if PG_VERSION_NUM < 150000
#error "pgha needs PostgreSQL 15 or newer"
#endif

/* walrcv_connect: 16 added must_use_password, 17 replication. */
#if PG_VERSION_NUM >= 170000
#define PGHA_WALRCV_CONNECT_ARGS \
	const char *conninfo, bool replication, bool logical, bool must_use_password, \
	const char *appname, char **err
#define PGHA_WALRCV_CONNECT_PASS(conninfo) \
	(conninfo), replication, logical, must_use_password, appname, err
#elif PG_VERSION_NUM >= 160000
#define PGHA_WALRCV_CONNECT_ARGS \
	const char *conninfo, bool logical, bool must_use_password, \
	const char *appname, char **err
#define PGHA_WALRCV_CONNECT_PASS(conninfo) \
	(conninfo), logical, must_use_password, appname, err
#else
#define PGHA_WALRCV_CONNECT_ARGS \
	const char *conninfo, bool logical, const char *appname, char **err
#define PGHA_WALRCV_CONNECT_PASS(conninfo) \
	(conninfo), logical, appname, err
#endif

/* An entry of the backend status array. */
#if PG_VERSION_NUM >= 160000
#define pgstat_fetch_stat_local_beentry(index)	pgstat_get_local_beentry_by_index(index)
#endif

/* All GUC variables; `count` is set to their number. */
static inline struct config_generic **
compat_guc_variables(int *count)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(count);
#else
	*count = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/* Memory of a GUC variable's text, for a check hook that puts another one in its place. */
#if PG_VERSION_NUM >= 160000
#define compat_guc_malloc(size)		guc_malloc(LOG, (size))
#define compat_guc_free(text)		guc_free(text)
#else
#define compat_guc_malloc(size)		malloc(size)
#define compat_guc_free(text)		free(text)
#endif

/* assign_synchronous_commit() moved in 16. */
#if PG_VERSION_NUM >= 160000
#include "utils/guc_hooks.h"
#endif

/* ReplicationSlotCreate() for a physical slot: 17 added failover and synced. */
#if PG_VERSION_NUM >= 170000
#define compat_physical_slot_create(name) \
	ReplicationSlotCreate((name), false, RS_PERSISTENT, false, false, false)
#else
#define compat_physical_slot_create(name) \
	ReplicationSlotCreate((name), false, RS_PERSISTENT, false)
#endif

/* ReplicationSlotAcquire() without waiting: 18 added error_if_invalid. */
#if PG_VERSION_NUM >= 180000
#define compat_slot_acquire(name)	ReplicationSlotAcquire((name), true, false)
#else
#define compat_slot_acquire(name)	((void) ReplicationSlotAcquire((name), true))
#endif

/* Has the slot been cut off from its WAL? */
#if PG_VERSION_NUM >= 160000
#define compat_slot_invalidated(slot)	((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define compat_slot_invalidated(slot)	(!XLogRecPtrIsInvalid((slot)->data.invalidated_at))
#endif

/* SIGTERM in the WAL receiver: from 18 on it is what it is elsewhere. */
#if PG_VERSION_NUM >= 180000
#define compat_receiver_must_end()		ProcDiePending
#define compat_receiver_interrupts()	CHECK_FOR_INTERRUPTS()
#else
#include "postmaster/interrupt.h"
#define compat_receiver_must_end()		ShutdownRequestPending
#define compat_receiver_interrupts()	ProcessWalRcvInterrupts()
#endif

/* 18 wants it in front of the declaration, and calls it by another name. */
#ifndef pg_noreturn
#define pg_noreturn		__attribute__((noreturn))
#endif

/*
 * Slot synchronisation, which came with 17.  It goes by primary_conninfo, which
 * must name a database, and primary_slot_name, and uses the WAL receiver's
 * functions for a connection that is neither for replication nor for a
 * subscription.
 */
#if PG_VERSION_NUM >= 170000
#define COMPAT_HAS_SLOT_SYNC			true
#define compat_connects_for_slot_sync	(!replication && !logical)
#else
#define COMPAT_HAS_SLOT_SYNC			false
#define compat_connects_for_slot_sync	false
#endif

/* The background workers that are registered, in the postmaster: 18 made the list a doubly linked one. */
#if PG_VERSION_NUM >= 180000
#define compat_worker_iter				dlist_iter
#define compat_worker_foreach(iter)		dlist_foreach(iter, &BackgroundWorkerList)
#define compat_worker_of(iter)			dlist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#else
#define compat_worker_iter				slist_iter
#define compat_worker_foreach(iter)		slist_foreach(iter, &BackgroundWorkerList)
#define compat_worker_of(iter)			slist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#endif

/* A set of events that lives as long as the process: 17 takes a resource owner, not a memory context. */
#if PG_VERSION_NUM >= 170000
#define compat_wait_event_set(size)		CreateWaitEventSet(NULL, (size))
#else
#define compat_wait_event_set(size)		CreateWaitEventSet(TopMemoryContext, (size))
#endif

/* The limit of a transaction, which came with 17: for the rest of this one. */
#if PG_VERSION_NUM >= 170000
#define compat_disable_transaction_timeout()	disable_timeout(TRANSACTION_TIMEOUT, false)
#else
#define compat_disable_transaction_timeout()	((void) 0)
#endif

#endif							/* PGHA_COMPAT_H */
