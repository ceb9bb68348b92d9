/*
 * world.h
 *		A cluster of simulated PostgreSQL servers, each decided for by the real core.
 *
 * The rooms, each of which knows those before it and none after it:
 *
 *	world		this one: the facts, simulated time, chance, the queue of events
 *	trace		what happens, as lines of text
 *	wal			WAL, timelines, synchronous commits
 *	network		questions between servers, WAL receivers and senders
 *	server		start, stop, crash, freeze
 *	monitor		the core in each server: its steps, its actions, promotion
 *	loop		takes each event to whom it is for; clients
 *	check		says when a rule was broken
 *	administrator	does what the manual says where nothing goes on without him
 *	fault		makes schedules out of a seed, script out of a text; vote_fault and
 *				vote_directed do so where the members vote
 *
 * Nothing up to the loop judges, or knows who does: it tells observers.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "../src/core/ballot.h"
#include "../src/core/boot.h"
#include "../src/core/claim.h"
#include "../src/core/election.h"
#include "../src/core/members.h"
#include "../src/core/rule.h"
#include "../src/core/step.h"

#define SIM_MAX_NODES		7	/* members, and witnesses behind them */
#define SIM_MAX_RECORDS		16384
#define SIM_MAX_COMMITS		16384
#define SIM_MAX_TIMELINES	256
#define SIM_MAX_TERMS		SIM_MAX_TIMELINES

#define MS					INT64_C(1000)
#define SECOND				INT64_C(1000000)
#define SIM_BEGIN			SECOND	/* simulated time begins here */
#define SIM_NEVER			INT64_MAX
#define SIM_LOOK_INTERVAL	(100 * MS)	/* between periodic checks */
#define SIM_FIRST_LSN		UINT64_C(0x5000000)

typedef enum SimPhase
{
	SIM_DOWN,					/* no process; the host refuses connections, or is down too */
	SIM_BOOT,					/* boot check: does not listen yet */
	SIM_RESTART,				/* between a crash and the recovery after it: listens, does not answer */
	SIM_RECOVERY,				/* starting up */
	SIM_UP,						/* accepts connections */
	SIM_STOPPING				/* shutting down */
} SimPhase;

/* A record of WAL, in the world's list of all that was ever written. */
typedef struct SimRecord
{
	uint32_t	timeline;
	pgha_lsn	end;
	int			commit;			/* a client's commit, or -1 */
} SimRecord;

typedef struct SimCommit
{
	int			writer;
	uint64_t	term;			/* of the writer's claim */
	int			position;		/* index in the writer's WAL */
	bool		acknowledged;
	bool		lost;			/* a later leader did without it */
	bool		local;			/* its session has synchronous_commit = local: it waits for no standby */
	bool		by_names;		/* it was to wait for those that synchronous_standby_names names */
	bool		protected;		/* whoever asked was promised that no later leader would */
	pgha_time	acknowledged_at;
} SimCommit;

typedef struct SimTimeline
{
	bool		used;
	int			creator;
	uint32_t	parent;
	pgha_lsn	fork;
} SimTimeline;

/* A question under way from one node to another. */
typedef enum SimQuestion
{
	SIM_ASK_REPORT,
	SIM_ASK_HISTORY,
	SIM_ASK_WAL,
	SIM_ASK_BOOT,
	SIM_QUESTIONS
} SimQuestion;

typedef struct SimRequest
{
	uint64_t	id;				/* 0: none under way */
	pgha_time	asked;
	bool		done;
	uint32_t	timeline;
	PghaContact contact;
	bool		same_address;	/* it was refused where it was answered before */
	PghaReport	report;
	PghaHistory history;
	bool		have_history;
	int			records;		/* SIM_ASK_WAL: of the asker's are to be compared */
	PghaComparison compared;
} SimRequest;

/* What a node was told of a member since its monitor started (check.c). */
typedef struct SimSeen
{
	bool		any;
	PghaContact contact;
	pgha_time	contact_since;
	pgha_time	asked;			/* of the last outcome */
	pgha_time	alive;			/* last answer of any kind, ... */
	pgha_time	answered;		/* ... and when it was asked for */
	pgha_time	unlearnt;		/* when it could not be asked */
	bool		was_primary;
	PghaReport	report;
} SimSeen;

/* The synchronous standbys of a leader, as it last reported them (check.c). */
typedef struct SimToldSync
{
	PghaSync	sync;
	PghaClaim	of;
	pgha_time	at;
} SimToldSync;

/* synchronous_standby_names */
typedef struct SimSyncNames
{
	PghaSyncMethod method;
	int			k;
	int			count;
	int			member[SIM_MAX_NODES];	/* in the order of the list */
} SimSyncNames;

typedef struct SimNode
{
	/* configuration */
	PghaSettings settings;
	SimSyncNames sync_names;
	PghaPassive passive;
	bool		apply_delay;
	bool		too_low;
	bool		answers_error;	/* too many clients, for the other members */
	bool		agent;			/* its agent is connected */
	bool		no_instance;	/* it does not run on EC2, or has not said where */
	pgha_time	stop_time;		/* how long it takes to stop its instance; 0 = chance */
	bool		stop_fails;		/* its instance cannot be stopped */
	bool		stop_answer_lost;	/* ... can, but whoever ordered it is not told */
	int			impostor;		/* whom requests for this node reach; PGHA_NOBODY: itself */
	bool		witness;
	int			clock_rate;		/* millionths that its clock is too fast */
	pgha_time	clock_offset;
	bool		rejected[SIM_MAX_NODES];	/* a firewall refuses its requests to that node */
	bool		nameless[SIM_MAX_NODES];	/* it cannot look up the name of that node */
	uint32_t	archived;		/* newest timeline that its archive has a history of */
	bool		no_senders;		/* it answers, but no stream begins: max_wal_senders, pg_hba.conf */

	/* the server */
	SimPhase	phase;
	bool		host_down;
	pgha_time	off_at;			/* its instance is being stopped until then */
	pgha_time	off_until;		/* its instance was stopped, and cannot be back earlier */
	bool		frozen;
	pgha_time	frozen_at;
	uint64_t	run;			/* raised whenever the server's processes are gone */
	bool		in_recovery;
	bool		standby_signal;
	bool		no_wal;			/* a standby that has not the WAL it begins with: it needs an upstream to come up */
	PghaDurable disk;			/* pgha.state */
	bool		real[SIM_MAX_TIMELINES];	/* history files in pg_wal */
	bool		placeholder[SIM_MAX_TIMELINES];
	uint32_t	target;			/* timeline that recovery heads for */
	int			nwal;
	int			replayed;
	int			replay_to;		/* local WAL to replay before a receiver is started */
	int			wal[SIM_MAX_RECORDS];
	pgha_time	throttle;		/* time that each record takes to arrive; 0 = none */
	pgha_time	replay_held;	/* a query holds up replay until then; the receiver goes on */
	bool		behind;			/* ... and it has not caught up yet */
	pgha_time	hung;			/* the monitor does not go on until then */
	pgha_time	unable;			/* it cannot ask anybody until then: no descriptor is free */
	uint64_t	shown_run;		/* vote_check.c: the run in which it has opened as a leader */
	pgha_time	unled_since;	/* vote_check.c: leads without a lease */
	pgha_time	beside_since;	/* vote_check.c: leads beside a later leader that it sees */
	pgha_time	slow_recovery;	/* how long it starts up; 0 = chance */
	pgha_time	slow_promotion; /* how long it takes until PostgreSQL heeds it; 0 = chance */
	int			crash_at_stage; /* of the next promotion; 0 = none */
	bool		disk_full;
	int			promotion;		/* stage; 0 = none */
	uint32_t	promote_to;
	uint32_t	promote_from;
	bool		gate;			/* open */
	bool		gate_suspended; /* shut, but commits wait for it */
	pgha_time	gate_deadline;	/* quorum: open until then, by its own clock */
	uint64_t	stop_order;		/* of another's instance, under way; 0: none */
	uint64_t	receiver_stop;	/* the last order to stop the WAL receiver */

	/* the WAL receiver */
	PghaReceiver receiver;
	bool		receiver_stopped;
	uint64_t	connection;
	int			order;			/* member to follow, or PGHA_NOBODY */
	uint32_t	order_timeline;
	int			upstream;
	bool		ended_clean;
	bool		stream_pending;
	bool		end_coming;		/* the news that the upstream ended the stream is on its way */
	pgha_time	heard;
	pgha_lsn	upstream_end;
	bool		start_pending;

	/* the WAL senders, by member */
	struct
	{
		uint64_t	connection; /* 0: none */
		int			flushed;	/* records */
		bool		caught_up;
		pgha_time	heard;
	}			sender[SIM_MAX_NODES];
	int			first_waiting;	/* commits wait for synchronous standbys from here on in wal[] */

	/* the monitor */
	bool		monitor;
	PghaNode	core;
	uint64_t	wake;			/* number of the wake-up that counts */
	PghaReport	shown;			/* what it has published of itself, ... */
	pgha_time	shown_at;		/* ... and when, by its clock */
	PghaActions pending;		/* of a step, which it got stuck in the middle of */
	int			pending_at;
	SimRequest	request[SIM_QUESTIONS][SIM_MAX_NODES];
	char		told[SIM_MAX_NODES][240];	/* trace: last replies and reason */
	PghaState	state_before;	/* this step */
	PghaWhy		traced_why;

	/* check.c */
	SimSeen		seen[SIM_MAX_NODES];
	pgha_time	awake_at;
	pgha_time	stepped_at;
	pgha_time	lost_at;		/* the receiver; as it happened */
	pgha_time	missed_at;		/* as a step could see it; 0: receives */
	PghaDurable before;
	bool		by_hand;
	bool		by_hand_lead;	/* its last promotion was an administrator's */
	pgha_lsn	told_end;
	PghaClaim	told_end_of;
	SimToldSync told_sync[2];	/* of the leader it follows, and of a later one */
	struct
	{
		PghaSync	sync;
		PghaClaim	claim;
		int			leader;
		uint64_t	max_term;
		pgha_time	told_at;
		pgha_time	lost_at;
		bool		valid;
		bool		returning;	/* by itself, a former primary */
		bool		fenced;		/* leads instead of `leader`, whose instance had to be stopped */
	}			judged;
} SimNode;

typedef enum SimEventType
{
	SIM_WAKE,					/* monitor; a = number */
	SIM_ARRIVE,					/* a = asker, b = question, c = id */
	SIM_ANSWER,					/* a = member, b = question, c = id */
	SIM_LIMIT,					/* same */
	SIM_RECEIVER_STOPPED,
	SIM_STOP_BEGIN,				/* an agent takes its order: a = whose instance, c = order */
	SIM_STOP_EFFECT,			/* the instance is off: a = whose, b = who ordered it, c = order */
	SIM_OLD_STOPPED,			/* a = whose, b = done, c = order */
	SIM_PROMOTION,				/* next stage */
	SIM_CARRY_ON,				/* the rest of a step */
	SIM_THAW,					/* c = when it was frozen */
	SIM_RECEIVER_START,
	SIM_CONNECT,				/* c = connection */
	SIM_STREAM,					/* c = connection */
	SIM_BEAT,					/* c = connection */
	SIM_BEAT_BACK,				/* c = connection, a = upstream's WAL end in records */
	SIM_RECEIVER_LOST,			/* c = connection, a = clean */
	SIM_ACK,					/* at the upstream: a = standby, b = records, c = connection */
	SIM_SENDER_GONE,			/* at the upstream: a = standby, c = connection */
	SIM_REPLAY,					/* more of the local WAL is replayed */
	SIM_PHASE,					/* next phase */
	SIM_COMMIT,					/* a = commit: flushed, and replicated if need be */
	SIM_WRITE,					/* clients */
	SIM_LOOK,					/* periodic checks */
	SIM_START,					/* the agent starts the server again */
	SIM_FAULT					/* a = kind, b = node (fault.c) */
} SimEventType;

typedef struct SimEvent
{
	pgha_time	at;
	uint64_t	number;
	SimEventType type;
	int			node;			/* -1: the world */
	uint64_t	run;			/* of the node's server; dropped if it ended */
	int64_t		a;
	int64_t		b;
	uint64_t	c;
} SimEvent;

typedef struct SimEvents
{
	int			count;
	int			size;
	SimEvent   *event;
} SimEvents;

/* Which faults a schedule is made of (fault.c). */
typedef enum SimProfile
{
	SIM_PROFILE_CRASH,
	SIM_PROFILE_FREEZE,
	SIM_PROFILE_PARTITION,
	SIM_PROFILE_COLD_START,
	SIM_PROFILE_SYNC,
	SIM_PROFILE_CONFIG,
	SIM_PROFILE_MIXED,
	SIM_PROFILES
} SimProfile;

typedef struct SimWorld SimWorld;

/* Who wants to be told, and of what; what is NULL is not wanted. */
typedef struct SimObserver
{
	void		(*monitor_start) (SimWorld *world, int node);
	void		(*thaw) (SimWorld *world, int node);
	void		(*outcome) (SimWorld *world, int node, int member, pgha_time asked,
							PghaContact contact, const PghaReport *report);
	void		(*before_step) (SimWorld *world, int node, const PghaEvent *event);
	void		(*after_step) (SimWorld *world, int node);
	void		(*promote) (SimWorld *world, int node);
	void		(*new_timeline) (SimWorld *world, int node, uint32_t timeline);	/* is about to be made */
	void		(*stream) (SimWorld *world, int node, int upstream);	/* is about to get WAL */
	void		(*receiver_ended) (SimWorld *world, int node);
	void		(*acknowledged) (SimWorld *world, int node, int commit);	/* is about to be */
	void		(*gate_opened) (SimWorld *world, int node);
	void		(*server_ended) (SimWorld *world, int node);
	void		(*instance_stopped) (SimWorld *world, int node, pgha_time back);
	void		(*fault_due) (SimWorld *world, int kind, int node);
	void		(*look) (SimWorld *world);	/* each SIM_LOOK_INTERVAL */
} SimObserver;

#define SIM_MAX_OBSERVERS	2

/* Tells all observers: sim_tell(world, thaw, (world, node)). */
#define sim_tell(world, what, arguments) \
	do { \
		for (int o_ = 0; o_ < (world)->observers; o_++) \
			if ((world)->observer[o_]->what != NULL) \
				(world)->observer[o_]->what arguments; \
	} while (0)

struct SimWorld
{
	uint64_t	seed;
	uint64_t	random;
	bool		exact;			/* scripts: no randomness, round latencies */
	uint64_t	rules_off;
	FILE	   *trace;			/* everything, or NULL */
	int			observers;
	const SimObserver *observer[SIM_MAX_OBSERVERS];

	pgha_time	now;
	uint64_t	numbers;
	SimEvents	queue;
	SimEvents	waiting[SIM_MAX_NODES]; /* for a frozen node to thaw */

	int			count;
	int			members;		/* of them; the others are witnesses */
	int			wished;			/* voters that the files shall list */
	bool		ttls;			/* pgha.lease_ttl differs from node to node and from start to start */
	SimNode		node[SIM_MAX_NODES];
	bool		cut[SIM_MAX_NODES][SIM_MAX_NODES];	/* from, to */
	pgha_time	latency;		/* greatest of a message */
	bool		writes;			/* clients write */
	bool		idle;			/* nobody writes anything, for a while */
	bool		clocks_lie;		/* promises end early: what needs no confirmation is not safe, and not written */
	SimProfile	profile;
	bool		faults;			/* go on */
	int			crash_in_step;	/* permille: a crash after a durable action */
	int			crash_in_promotion; /* permille, at each stage */
	int			stalls;			/* permille: the monitor, or the whole host, stops in the middle of a step */
	int			hitches;		/* permille: a promotion that cannot begin */
	int			stops_fail;		/* permille */
	int			stops_unheard;	/* permille: an instance is stopped, but the answer is lost */

	int			nrecord;
	SimRecord	record[SIM_MAX_RECORDS];
	int			ncommit;
	SimCommit	commit[SIM_MAX_COMMITS];
	SimTimeline timeline[SIM_MAX_TIMELINES];

	/* vote_check.c */
	bool		voting;			/* quorum is in force everywhere */
	bool		no_quorum;		/* the same schedules, and members that do not vote */
	bool		keep_wal;		/* synchronous commits and changes of members need all that is there */
	int			winner[SIM_MAX_TERMS];	/* by term: node + 1 */
	uint64_t	elected[SIM_MAX_NODES]; /* the last term each was elected in, unless given up unused */
	uint64_t	acknowledged_term;	/* the greatest that a commit was acknowledged in */
	int			elections;
	int			switchovers;
	int			rewinds;
	int			forgets;

	/* check.c */
	char		violation[400]; /* empty: none */
	char		invariant[16];	/* which one */
	pgha_time	both_since[SIM_MAX_NODES][SIM_MAX_NODES];

	/* counted */
	int			acknowledged;
	int			lost_async;
	int			lost_other;		/* lost in ways that the mode allows */
	int			promotions;
	int			failed_promotions;
	int			fencings;
	int			stops;			/* of instances */
	int			stops_begun;	/* not effective yet */
	int			divergences;
	int			past_missing_wal;	/* promotions by hand of a former primary that waits for one without WAL */
	int			past_settings;	/* ... of a standby, as all are barred by their settings */
	uint32_t	transition[PGHA_STATE_COUNT][PGHA_STATE_COUNT];
};

extern uint64_t sim_random(SimWorld *world);
extern int64_t sim_between(SimWorld *world, int64_t low, int64_t high);
extern bool sim_chance(SimWorld *world, int permille);

extern void sim_put(SimEvents *events, const SimEvent *event);
extern SimEvent sim_take(SimEvents *events);
extern void sim_post(SimWorld *world, pgha_time delay, SimEventType type, int node,
					 int64_t a, int64_t b, uint64_t c);
extern void sim_post_to_host(SimWorld *world, pgha_time delay, SimEventType type, int node,
							 int64_t a, int64_t b, uint64_t c);
extern void sim_changed(SimWorld *world, int node);

extern pgha_time sim_clock(const SimWorld *world, int node);
extern pgha_time sim_clock_at(const SimWorld *world, int node, pgha_time at);
extern pgha_time sim_time_until(const SimWorld *world, int node, pgha_time clock);
extern pgha_time sim_latency(SimWorld *world);
extern bool sim_linked(const SimWorld *world, int a, int b);
extern bool sim_rule(const SimWorld *world, PghaRule rule);

extern void sim_world_init(SimWorld *world, uint64_t seed, int count);
extern void sim_add_witnesses(SimWorld *world, int witnesses);
extern void sim_observe(SimWorld *world, const SimObserver *observer);
extern void sim_world_free(SimWorld *world);

#endif							/* SIM_WORLD_H */
