/*
 * shmem.h
 *		What backends, the WAL receiver and the monitor share.
 */
#ifndef PGHA_SHMEM_H
#define PGHA_SHMEM_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "../common/conninfo.h"
#include "../common/report.h"
#include "../core/state.h"
#include "board.h"
#include "config.h"
#include "sync.h"

/* Deadlines of the gate: times of CLOCK_BOOTTIME in microseconds. */
#define PGHA_GATE_CLOSED	0
#define PGHA_GATE_NO_LIMIT	PG_INT64_MAX

/*
 * The commit gate.  Written by the monitor only; read by every commit, without
 * a lock.  All zero after a crash restart: closed.
 */
typedef struct PghaGate
{
	pg_atomic_uint64 deadline;	/* commits may be acknowledged before this time: the lesser of the two below */
	pg_atomic_uint64 lease;		/* what the votes allow; NO_LIMIT: the members do not vote */
	pg_atomic_uint64 alive;		/* by then the monitor would have been round again; 0: has not been yet */
	pg_atomic_uint32 decided;	/* the monitor has made its first decision */
	ConditionVariable changed;	/* broadcast when the gate opens or the decision is made */
} PghaGate;

/* How many standbys of which a rule wants to have flushed each commit; bit i stands for member i. */
typedef struct PghaConfirmRule
{
	int			k;
	uint32		set;
} PghaConfirmRule;

/* What commits must be confirmed by when the members vote (confirm.c). */
typedef struct PghaConfirm
{
	int			rules;
	PghaConfirmRule rule[3];
	int			senders;
	PghaSender	sender[PGHA_MAX_SENDERS];
} PghaConfirm;

/* How far the leader's WAL went at most when it was heard at that time (replay.c). */
#define PGHA_UPSTREAM_MARKS	16
typedef struct PghaUpstreamMark
{
	pgha_lsn	end;
	pgha_time	heard;
} PghaUpstreamMark;

/*
 * The WAL receiver's side (walreceiver.c).  Fields without a lock are written
 * by one process each: `stop`, `heartbeat_due` and the order by the monitor,
 * the rest by the receiver.  order_* is read under `lock`.
 */
typedef struct PghaWalReceiver
{
	pg_atomic_uint32 stop;		/* no ack may leave, no connection be made */
	pg_atomic_uint32 in_send;	/* an ack is being sent */
	pg_atomic_uint32 heartbeat_due; /* ask the upstream for an answer with the next reply */
	pg_atomic_uint32 state;		/* PghaReceiver, as the receiver sees it; see PghaWalReceiverState() */
	pg_atomic_uint32 ending;	/* it has lost its upstream and is about to be gone */
	pg_atomic_uint64 heard;		/* time of the last message from the upstream */
	pg_atomic_uint64 current_at;	/* as of when all was replayed that the leader had; 0: never yet (replay.c) */
	int			marks;			/* that are not replayed yet; under lock */
	PghaUpstreamMark mark[PGHA_UPSTREAM_MARKS];
	pg_atomic_uint32 ended_clean;	/* the last stream ended with the upstream's shutdown */
	pg_atomic_uint32 timeline;	/* timeline being received */
	pg_atomic_uint64 latch;		/* the receiver's Latch *, 0 if there is none */
	pg_atomic_uint32 slot_sync;	/* process that synchronises slots with the upstream, 0 if none does */
	char		upstream_name[PGHA_NAME_SIZE];	/* member being streamed from; under lock */
	uint64		order_number;	/* raised with each new order */
	int			order_member;	/* PGHA_NOBODY: wait */
	char		order_name[PGHA_NAME_SIZE];
	uint32		order_timeline;
	char		order_slot[NAMEDATALEN];	/* empty: none */
	char		order_conninfo[PGHA_CONNINFO_SIZE];
} PghaWalReceiver;

/* What one member looks like from here, for pgha_cluster(). */
typedef struct PghaMemberView
{
	char		name[PGHA_NAME_SIZE];
	char		address[PGHA_HOST_SIZE + 16];
	PghaContact contact;
	pgha_time	told;			/* when it was asked what `contact` is the outcome of; 0: never */
	char		error[256];		/* text of the last failed request */
	TimestampTz heard;			/* 0: never */
	bool		known;			/* report is valid */
	PghaReport	report;
} PghaMemberView;

/* A switchover, as far as it is. */
typedef struct PghaHandover
{
	uint64		number;			/* of those begun since the monitor started */
	bool		under_way;		/* from here */
	bool		holding;		/* commits wait */
	char		end[320];		/* why the last one was given up; empty: it was not */
} PghaHandover;

/* What the monitor shows of itself; written by the monitor, read by all, under `lock`. */
typedef struct PghaView
{
	bool		valid;			/* the monitor has published once */
	pgha_time	published;		/* when it last did */
	PghaState	state;
	char		reason[320];	/* sentence: why it is in this state or what it waits for */
	PghaBar		bar;
	PghaPassive passive;
	bool		posted;
	PghaDurable durable;
	PghaHandover handover;
	int			leader;			/* member believed to lead, or PGHA_NOBODY */
	char		leader_name[PGHA_NAME_SIZE];
	TimestampTz state_since;
	char		last_change[400];	/* last event of this node, with its reason */
	TimestampTz last_change_at;
	char		config_error[512];	/* empty: the configuration in force is the one in the files */
	PghaSettings settings;		/* in force */
	PghaMembers members;
	uint32		slots;			/* members a slot is kept for */
	PghaReport	voting;			/* its part of the vote, as of `published` */
	pgha_time	lease_deadline; /* of a leader's lease; 0: none */
	PghaMemberView member[PGHA_MAX_MEMBERS];	/* and witnesses, behind the members */
} PghaView;

/* What a SQL function asks of the monitor, one at a time (functions.c). */
typedef enum PghaOrderKind
{
	PGHA_ORDER_NONE,
	PGHA_ORDER_PAUSE,
	PGHA_ORDER_RESUME,
	PGHA_ORDER_PROMOTE,
	PGHA_ORDER_PROMOTE_FORCE,
	PGHA_ORDER_SWITCHOVER
} PghaOrderKind;

typedef struct PghaOrder
{
	pid_t		owner;			/* backend that gives the order and reads its answer; 0: free */
	PghaOrderKind kind;			/* NONE: free, or answered */
	char		target[PGHA_NAME_SIZE];	/* SWITCHOVER: empty: the best */
	uint64		number;			/* of the order last given */
	uint64		answered;		/* of the order last answered */
	bool		refused;
	bool		force_helps;	/* PROMOTE: it would not be refused with force */
	bool		too_low;		/* PROMOTE: settings of this server are the cause */
	char		message[400];	/* why it was refused */
	uint64		pause_generation;	/* PAUSE, RESUME: the new generation */
	PghaReason	reason;			/* SWITCHOVER: why it was refused */
	uint64		handover;		/* ... or its number */
	ConditionVariable done;		/* broadcast when `answered` moves */
} PghaOrder;

typedef struct PghaShared
{
	LWLock	   *lock;
	pid_t		monitor_pid;	/* 0: not running */
	Latch	   *monitor_latch;	/* under lock; NULL if it is not running */
	uint64		instance;		/* random, new at each start, not with a new monitor: backends go on */
	uint64		beat;			/* the last one that a monitor of this instance has published */
	PghaPassive boot_passive;	/* signal files found at start that pgha leaves alone */
	PghaGate	gate;
	LWLock	   *confirm_lock;
	PghaConfirm confirm;		/* written by the monitor, under confirm_lock */
	pg_atomic_uint32 confirm_rules; /* confirm.rules, to be read without it */
	PghaWalReceiver receiver;
	PghaConfig	config;			/* last valid one that a monitor had; written and read by monitors only */
	PghaView	view;
	PghaNode	node;			/* what the monitor knows, but for histories; valid and under `lock` as the view is */
	pg_atomic_uint64 news;		/* raised whenever the view says something new that members vote by */
	ConditionVariable news_changed;	/* broadcast when it was */
	PghaOrder	order;
	pg_atomic_uint32 switchover_by; /* session that has ordered the last switchover; 0: it does not want it any more */
	PghaBoard	board;			/* agents and their jobs; has a lock of its own */
	pg_atomic_uint64 newest_event;	/* id of the newest own record in pgha.events */
} PghaShared;

/* NULL when the library is not preloaded. */
extern PghaShared *PghaShmem;

extern void PghaShmemInit(void);

/* Is this server managed: preloaded by a postmaster, not -b, pgha.node given? */
extern bool PghaEnabled(void);

/* ... and has it data of the cluster, so that it is no witness? */
extern bool PghaHasData(void);

/* Raises object_not_in_prerequisite_state with a hint unless the library is preloaded. */
extern void PghaRequireShmem(void);

/* ... and also unless this server is managed (pgha.node is set). */
extern void PghaRequireEnabled(void);

/* ... and also unless it has data of the cluster: a witness has none. */
extern void PghaRequireData(void);

/* Wakes the monitor; callable from any process, also at exit. */
extern void PghaWakeMonitor(void);

#endif							/* PGHA_SHMEM_H */
