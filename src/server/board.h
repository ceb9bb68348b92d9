/*
 * board.h
 *		The board in shared memory, on which the agents of the members show
 *		themselves, and the jobs that they are given.
 */
#ifndef PGHA_BOARD_H
#define PGHA_BOARD_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "../common/members.h"

/* Why something could not be done, for a caller who raises it or keeps it. */
typedef struct PghaFailure
{
	int			sqlstate;		/* as made by MAKE_SQLSTATE; 0: no failure */
	char		message[512];
	char		detail[1024];
	char		hint[512];
} PghaFailure;

/* A recovery: ordered here and not yet begun, under way, or the last one that ended. */
typedef struct PghaJob
{
	int64		id;				/* 0: none */
	bool		ordered;		/* by a SQL function of this server */
	bool		taken;			/* the agent has it */
	bool		cancel;			/* the agent is to give it up */
	int			waiters;		/* sessions that wait for its end */
	char		method[16];
	char		phase[32];
	int64		done;			/* bytes */
	int64		total;			/* 0: not known */
	char		message[512];
	char		outcome[16];	/* empty until it ends: done, failed, cancelled */
	PghaFailure failure;		/* of an outcome other than done */
	TimestampTz started;
	TimestampTz updated;
} PghaJob;

/* An order to change a list in the configuration files, as given to one agent (sql/members.c). */
typedef struct PghaListTask
{
	int64		id;				/* 0: none; stays after its end, until the next one */
	bool		withdrawn;		/* nobody waits for it any more: it is not handed out */
	pid_t		handed_to;		/* session that has been told of it; 0: none */
	bool		answered;
	bool		done;
	char		message[1024];	/* what was done, or why not */
} PghaListTask;

/* One member's agent. */
typedef struct PghaAgent
{
	char		node[PGHA_NAME_SIZE];	/* empty: slot is free */
	pid_t		pid;			/* backend of its session here; 0: not connected */
	pgha_time	heard;			/* of its last poll */
	TimestampTz left;			/* when its session ended; 0: never had one */
	bool		told_known;		/* this session has been told of pgha_pause() */
	bool		told_paused;	/* what it was told */
	pgha_time	refused_at;		/* when its login was refused last (refused.c); 0: never */
	char		refused[160];	/* with this message */
	char		refused_host[64];	/* to this host */
	char		data_directory[MAXPGPATH];
	char		server[16];		/* what it says of its host's server */
	int64		command_id;		/* a command for it that it has not taken; 0: none */
	char		command[24];
	char		argument[64];
	bool		takes_lists;	/* this session's program is of a version that carries such orders out */
	PghaListTask list;
	PghaJob		job;
} PghaAgent;

/* What agents want to see in pgha.events, until the monitor has written it. */
#define PGHA_QUEUED_EVENTS	16

typedef struct PghaQueuedEvent
{
	char		kind[32];
	char		what[400];
} PghaQueuedEvent;

/* What pgpool_recovery() could not do, kept for pgpool_remote_start(). */
#define PGHA_KEPT_FAILURES	8

typedef struct PghaKeptFailure
{
	pgha_time	at;				/* 0: free */
	char		host[256];
	char		data_directory[MAXPGPATH];
	PghaFailure failure;
} PghaKeptFailure;

/* What the own agent is told to do to the old primary's host (host.c). */
typedef struct PghaStopOrder
{
	int64		id;				/* 0: none */
	bool		taken;			/* the agent has it */
	bool		answered;
	bool		done;
	char		instance[PGHA_INSTANCE_SIZE];
	char		message[256];
} PghaStopOrder;

/* In shared memory; all of it under `lock`. */
typedef struct PghaBoard
{
	LWLock	   *lock;
	ConditionVariable changed;	/* broadcast at each change that somebody may wait for */
	PghaAgent	agent[PGHA_MAX_MEMBERS];
	char		instance[PGHA_INSTANCE_SIZE];	/* that this server runs on; empty: not EC2, or not told */
	char		address[PGHA_ADDRESS_STATE_SIZE];	/* what became of pgha.address here */
	PghaStopOrder stop;
	pid_t		list_owner;		/* session that changes the members; 0: none */
	char		list_order[PGHA_LIST_ORDER_SIZE];	/* what the tasks of the agents are */
	int			event_count;
	PghaQueuedEvent event[PGHA_QUEUED_EVENTS];
	PghaKeptFailure kept[PGHA_KEPT_FAILURES];
} PghaBoard;

#endif							/* PGHA_BOARD_H */
