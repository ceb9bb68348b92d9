/*
 * compat.h
 *		Differences between PostgreSQL 13 … 18, and nowhere else.
 */
#ifndef PGHA_COMPAT_H
#define PGHA_COMPAT_H

#include "postgres.h"

#include "access/xlog.h"
#include "replication/walreceiver.h"
#include "utils/guc_tables.h"

#if PG_VERSION_NUM >= 150000
#include "access/xlogrecovery.h"
#endif

#if PG_VERSION_NUM < 150000
/* Before 15 these hooks and functions did not exist, or lived elsewhere. */
#define GetWALInsertionTimeLine()	ThisTimeLineID
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

/* The backend status array. */
#if PG_VERSION_NUM >= 140000
#include "utils/backend_status.h"
#else
#include "pgstat.h"
#define pgstat_clear_backend_activity_snapshot()	pgstat_clear_snapshot()
#endif
#if PG_VERSION_NUM >= 160000
#define pgstat_fetch_stat_local_beentry(index)	pgstat_get_local_beentry_by_index(index)
#endif

/* Where this session's client is; NULL: it has none.  13 keeps the status of the own backend to itself. */
#if PG_VERSION_NUM < 140000
#undef ENABLE_GSS				/* see gate.c */
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#define compat_client_address() \
	(MyProcPort != NULL ? &MyProcPort->raddr : NULL)
#else
#define compat_client_address() \
	(MyBEEntry != NULL ? &MyBEEntry->st_clientaddr : NULL)
#endif

#if PG_VERSION_NUM < 140000
#define ROLE_PG_MONITOR		DEFAULT_ROLE_MONITOR
#define client_connection_check_interval	0	/* does not exist */
#endif

/* Set-returning functions that fill a tuplestore in one call. */
#if PG_VERSION_NUM < 150000
#include "funcapi.h"
#include "miscadmin.h"

static inline void
compat_init_materialized_srf(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rsinfo->setDesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	MemoryContextSwitchTo(old);
}

#define InitMaterializedSRF(fcinfo, flags)	compat_init_materialized_srf(fcinfo)
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

/* Reserves the prefix pgha. against later SETs of unknown names. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix)	EmitWarningsOnPlaceholders(prefix)
#endif

/* ProcessUtility_hook: 14 added readOnlyTree. */
#if PG_VERSION_NUM >= 140000
#define PGHA_PROCESS_UTILITY_ARGS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define PGHA_PROCESS_UTILITY_PASS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc
#else
#define PGHA_PROCESS_UTILITY_ARGS \
	PlannedStmt *pstmt, const char *queryString, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define PGHA_PROCESS_UTILITY_PASS \
	pstmt, queryString, context, params, queryEnv, dest, qc
#endif

/* assign_synchronous_commit() moved in 16. */
#if PG_VERSION_NUM >= 160000
#include "utils/guc_hooks.h"
#endif

/* ReplicationSlotCreate() for a physical slot: 14 added two_phase, 17 failover and synced. */
#if PG_VERSION_NUM >= 170000
#define compat_physical_slot_create(name) \
	ReplicationSlotCreate((name), false, RS_PERSISTENT, false, false, false)
#elif PG_VERSION_NUM >= 140000
#define compat_physical_slot_create(name) \
	ReplicationSlotCreate((name), false, RS_PERSISTENT, false)
#else
#define compat_physical_slot_create(name) \
	ReplicationSlotCreate((name), false, RS_PERSISTENT)
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

/*
 * SIGTERM in the WAL receiver.  13 keeps it to itself, so that only the second
 * one sees it, which ends the process with an error in the log; from 18 on it is
 * what it is elsewhere.
 */
#if PG_VERSION_NUM >= 180000
#define compat_receiver_must_end()		ProcDiePending
#define compat_receiver_interrupts()	CHECK_FOR_INTERRUPTS()
#elif PG_VERSION_NUM >= 140000
#include "postmaster/interrupt.h"
#define compat_receiver_must_end()		ShutdownRequestPending
#define compat_receiver_interrupts()	ProcessWalRcvInterrupts()
#else
#define compat_receiver_must_end()		false
#define compat_receiver_interrupts()	ProcessWalRcvInterrupts()
#endif

/* Flushed position of a server that is not in recovery; from 15 on it gives the timeline as well. */
#if PG_VERSION_NUM >= 150000
#define compat_flush_lsn()	GetFlushRecPtr(NULL)
#else
#define compat_flush_lsn()	GetFlushRecPtr()
#endif

/* 18 wants it in front of the declaration, and calls it by another name. */
#ifndef pg_noreturn
#define pg_noreturn		__attribute__((noreturn))
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

/*
 * Has `request` called when shared memory is to be asked for; returns the hook
 * that it must call first, or NULL.  Before 15 that time is while libraries are
 * preloaded: now.
 */
#if PG_VERSION_NUM >= 150000
typedef shmem_request_hook_type compat_request_hook;

static inline compat_request_hook
compat_set_request_hook(compat_request_hook request)
{
	compat_request_hook previous = shmem_request_hook;

	shmem_request_hook = request;
	return previous;
}
#else
typedef void (*compat_request_hook) (void);

static inline compat_request_hook
compat_set_request_hook(compat_request_hook request)
{
	request();
	return NULL;
}
#endif

#endif							/* PGHA_COMPAT_H */
