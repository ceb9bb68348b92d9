/*
 * node.h
 *		The vocabulary of pgha: members, claims, reports, observations, actions.
 *
 * Plain C11 without I/O, clock or allocation: the same definitions serve the
 * background worker, the io program and the simulator.  Times are microseconds
 * of the local CLOCK_BOOTTIME, LSNs are PostgreSQL's XLogRecPtr.
 */
#ifndef PGHA_NODE_H
#define PGHA_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PGHA_MAX_MEMBERS	16
#define PGHA_NAME_SIZE		59	/* "pgha_" + name must fit PostgreSQL's 63 byte slot names */
#define PGHA_MAX_HISTORY	1024	/* timelines of a history that are kept, the youngest */
#define PGHA_MAX_GAP		1024	/* a timeline that is further ahead is no reason to number after it */
#define PGHA_GAPS_KEPT		16		/* of the leader's WAL, the youngest */
#define PGHA_NOBODY			(-1)
#define PGHA_INSTANCE_SIZE	32	/* EC2: "i-" and 8 or 17 digits */
#define PGHA_ADDRESS_STATE_SIZE	160

typedef int64_t pgha_time;		/* microseconds */
typedef uint64_t pgha_lsn;

/*
 * Who leads.  Claims are ordered by (term, fork_lsn, leader); the greater one
 * wins (protocol.md, 10.1).  Term 0 means that no leader was ever followed.
 */
typedef struct PghaClaim
{
	uint64_t	term;
	pgha_lsn	fork_lsn;		/* where the leader's timeline left its parent; 0 until promoted */
	char		leader[PGHA_NAME_SIZE];
} PghaClaim;

typedef enum PghaRole
{
	PGHA_ROLE_NONE,				/* nothing durable yet */
	PGHA_ROLE_STANDBY,
	PGHA_ROLE_PRIMARY			/* led when last heard of itself, or was about to */
} PghaRole;

/* What the leader's synchronous_standby_names asks for. */
typedef enum PghaSyncMethod
{
	PGHA_SYNC_NONE,
	PGHA_SYNC_FIRST,
	PGHA_SYNC_ANY
} PghaSyncMethod;

/*
 * The leader's synchronous replication as it last reported it.  Bit i stands
 * for member i in the order of pgha.members.
 */
typedef struct PghaSync
{
	PghaSyncMethod method;
	int			num_sync;		/* k of FIRST k, ANY k */
	int			num_listed;		/* n: standbys named, members or not */
	uint32_t	listed;			/* members among them */
	uint32_t	current;		/* members that were 'sync' (FIRST), never emptied by a report of none */
} PghaSync;

/* WAL positions between which there is nothing: a segment switch leaves the rest of the segment empty. */
typedef struct PghaGap
{
	pgha_lsn	from;
	pgha_lsn	to;				/* 0: none */
} PghaGap;

/* ---- the members vote (quorum.md) ---- */

/* What a voter of this version says of itself in PghaReport.votes; 0: an older one, nothing is known of it. */
#define PGHA_VOTES			1
/* A timeline's id is the term of its promotion: none is greater. */
#define PGHA_MAX_TERM		UINT32_MAX

/* A name for a term; term 0: none. */
typedef struct PghaBallot
{
	uint64_t	term;
	char		name[PGHA_NAME_SIZE];
} PghaBallot;

/*
 * The rule: who votes, and which standbys confirm commits.  Rules are ordered by
 * (term, epoch), and written by the leader of `term` only.  Voters are kept by
 * name, as the files of two nodes may list others for a while; bit i of a set
 * stands for voter i.
 */
typedef struct PghaVotingRule
{
	uint64_t	term;			/* 0: none, the members do not vote */
	uint32_t	epoch;
	int			count;
	char		voter[PGHA_MAX_MEMBERS][PGHA_NAME_SIZE];
	uint32_t	witnesses;		/* voters without data */
	uint32_t	eligible;		/* who may be elected */
	uint32_t	sync;			/* S: whose flush confirms commits */
	int			k;				/* of them; 0: commits need no confirmation */
} PghaVotingRule;

/* "I follow nobody else until this time is over", as the leader gets to read it. */
typedef struct PghaPromise
{
	PghaBallot	leader;			/* term 0: none given */
	uint64_t	instance;		/* of the leader, that the beat is of */
	uint64_t	beat;
	pgha_time	ttl;			/* of a lease that it outlives: lease_ttl may differ from node to node */
} PghaPromise;

/*
 * What a promotion without votes replaces.  Until it is posted nobody has followed
 * the new claim, and it has acknowledged nothing: if the server goes down before,
 * this is what holds (boot.c).
 */
typedef struct PghaReplaced
{
	uint32_t	timeline;		/* of the WAL here then; 0: nothing is replaced */
	PghaClaim	claim;
	PghaRole	role;
	bool		fenced;
	bool		diverged;
	char		leader_instance[PGHA_INSTANCE_SIZE];
} PghaReplaced;

/* What pgha.state keeps over a restart and decisions depend on. */
typedef struct PghaDurable
{
	PghaClaim	claim;			/* the WAL here is a prefix of this leader's history, or is its own */
	PghaRole	role;
	bool		fenced;			/* gave up leadership to a greater claim, has not followed it yet; with
								 * PGHA_ROLE_PRIMARY: is being promoted to resume its claim */
	bool		diverged;		/* WAL here is past the fork of the leader's history */
	bool		paused;
	uint64_t	pause_generation;
	PghaSync	sync;
	char		leader_instance[PGHA_INSTANCE_SIZE];	/* EC2 instance of claim.leader; empty: not known */
	PghaReplaced replaced;		/* by a promotion that is not posted yet; its timeline also while own_from is set */
	pgha_lsn	own_from;		/* from there on the WAL here is of own promotions that were taken back, and
								 * nobody's history: 0: none is */

	/* The members vote (quorum.md, 3): from here on, see pgha_forget_votes(). */
	PghaBallot	support;		/* the leader that this voter accepts; without a name: none of before that term */
	PghaBallot	vote;			/* the last one */
	bool		vote_open;		/* it is not known yet what became of its candidate */
	uint64_t	highest;		/* greatest term voted in or supported */
	uint64_t	withdrawn;		/* greatest term of an own candidacy that was given up */
	uint64_t	won;			/* greatest term this node was elected in, unless it was given up unused */
	uint64_t	won_before;		/* ... and the one before: what it is again when that is given up */
	pgha_time	promised_ttl;	/* longest lease that a promise was given for, and that may still run */
	PghaVotingRule rule;		/* newest one stored */
	bool		forgot;			/* what it has voted in is not known: the vote is an open one of any term (recall.c) */
} PghaDurable;

typedef enum PghaReceiver
{
	PGHA_RECEIVER_NONE,			/* no WAL receiver process */
	PGHA_RECEIVER_WAITING,		/* all local WAL is replayed; waits to be given an upstream */
	PGHA_RECEIVER_CONNECTING,
	PGHA_RECEIVER_STREAMING
} PghaReceiver;

/*
 * Why a node does not promote (also shown in pgha_status()).  PGHA_MAY_PROMOTE
 * in a report says that nothing but the choice of the best stands in the way.
 */
typedef enum PghaBar
{
	PGHA_MAY_PROMOTE,
	PGHA_BAR_PASSIVE,			/* see PghaPassive */
	PGHA_BAR_DIVERGED,
	PGHA_BAR_FENCED,
	PGHA_BAR_REPLAYING,			/* WAL that was here at the start is not replayed yet */
	PGHA_BAR_HELD_OFF,			/* could not be promoted a moment ago */
	PGHA_BAR_NEVER_FOLLOWED,	/* no leader known yet */
	PGHA_BAR_LEADER_REMOVED,	/* the leader it follows is no longer one of the members */
	PGHA_BAR_BEHIND_FORK,		/* knows of a timeline that it has no WAL of */
	PGHA_BAR_TOO_LOW,			/* max_connections or the like is lower than the WAL needs: replay stops */
	PGHA_BAR_PRIORITY,			/* pgha.priority = 0 */
	PGHA_BAR_PAUSED,
	PGHA_BAR_AUTO_FAILOVER,		/* pgha.auto_failover = off */
	PGHA_BAR_APPLY_DELAY,		/* recovery_min_apply_delay > 0 */
	PGHA_BAR_STARTED_LATE,		/* has not met the primary since its start, and gives it time to come */
	PGHA_BAR_LAG,				/* further behind than pgha.max_failover_lag */
	PGHA_BAR_NOT_LISTED,		/* not in the primary's synchronous_standby_names */
	PGHA_BAR_NOT_SYNC,			/* FIRST: was not synchronous when the primary was last heard */
	PGHA_BAR_FORGOT				/* does not know what it has voted in */
} PghaBar;

typedef enum PghaPassive
{
	PGHA_ACTIVE,
	PGHA_PASSIVE_RECOVERY_SIGNAL,	/* recovery.signal: archive recovery by hand */
	PGHA_PASSIVE_RECOVERY_TARGET,	/* a recovery_target* is set */
	PGHA_PASSIVE_OTHER_SYSTEM,		/* members of another system identifier */
	PGHA_PASSIVE_NAME_IN_USE		/* another running server calls itself pgha.node */
} PghaPassive;

/* What a member says of itself (SHOW pgha.report). */
typedef struct PghaReport
{
	char		node[PGHA_NAME_SIZE];
	uint64_t	system_identifier;
	uint64_t	instance;		/* random, new at each server start */
	PghaClaim	claim;
	PghaRole	role;
	bool		in_recovery;
	bool		posted;			/* primary whose promotion is checked and whose gate may open */
	bool		fenced;
	bool		diverged;
	PghaPassive passive;
	PghaBar		bar;
	int			priority;
	uint32_t	timeline;
	pgha_lsn	wal_end;		/* primary: flushed; standby: the greater of received and replayed */
	PghaGap		gap;			/* primary only: what its last segment switch left empty */
	PghaReceiver receiver;
	char		upstream[PGHA_NAME_SIZE];	/* while streaming: from whom */
	pgha_time	receiver_age;	/* since the upstream was last heard in-band */
	bool		paused;
	uint64_t	pause_generation;
	uint64_t	config_hash;
	PghaSync	sync;			/* primary only */
	uint32_t	slots;			/* members it keeps a slot for */
	char		ec2_instance[PGHA_INSTANCE_SIZE];	/* as its agent says; empty: not on EC2, or not told yet */
	char		address_state[PGHA_ADDRESS_STATE_SIZE]; /* what became of pgha.address, in words */

	/* The members vote (quorum.md, 3); all zero in the report of an older version. */
	uint32_t	votes;			/* PGHA_VOTES of its version; 0: does not vote */
	pgha_time	waits;			/* it keeps a question for news for so long at most */
	PghaBallot	support;
	PghaBallot	vote;
	bool		vote_open;
	uint64_t	highest;
	uint64_t	withdrawn;
	uint64_t	won;
	PghaVotingRule rule;
	uint64_t	candidacy;		/* the term it stands for; 0: it does not */
	bool		seeks;			/* it misses its leader, and would be elected: nothing comes from that one any more */
	pgha_time	held;			/* how long the question had waited for news when this was made */
	uint64_t	replay_lag;		/* received, not replayed: bytes */
	uint64_t	beat;			/* while it leads */
	bool		leased;			/* ... and holds a lease */
	PghaPromise promise;
	pgha_time	promise_age;

	/* A switchover, with votes or without; others repeat what they have heard of their leader. */
	uint64_t	released;		/* the term that it led, and whose gate is closed for good */
	PghaBallot	handover;		/* of that term, to whom; also before the gate is closed */
	pgha_lsn	handover_lsn;	/* ... who must have flushed this */

	/* Behind wal_end there is WAL of own promotions that came to nothing: it has diverged by itself. */
	bool		own_wal;

	/* How far a standby's replay is, for those who look at it: nobody decides by this. */
	pgha_lsn	replayed;		/* 0: not told, as by a primary and by an older version */
	bool		replay_paused;
	pgha_time	commit_age;		/* since the last commit that it has replayed was made; -1: not known */
	pgha_time	current_age;	/* since it had last replayed all that it knew its leader to have; -1: not known */
} PghaReport;

/* How a member answered the last request. */
typedef enum PghaContact
{
	PGHA_CONTACT_NEVER,			/* not asked yet, or no outcome yet */
	PGHA_CONTACT_ANSWERED,		/* with a report */
	PGHA_CONTACT_REFUSED,		/* connection refused: nothing listens */
	PGHA_CONTACT_SILENT,		/* no answer within the limit */
	PGHA_CONTACT_STARTING,		/* starting up, in recovery mode or shutting down */
	PGHA_CONTACT_ERROR,			/* an answer without a report: too many clients, login refused, no pgha */
	PGHA_CONTACT_UNLEARNT		/* nothing was learnt, by a fault of this node's own: a name that could not
								 * be looked up, no free descriptor, a child that could not be started */
} PghaContact;

/* What the server under us is doing. */
typedef struct PghaLocal
{
	bool		in_recovery;
	bool		crash_recovery; /* not asked to be a standby, or not known yet */
	bool		no_checkpoint;	/* asked to, but it finds no WAL to begin with: replayed and timeline
								 * then say how far the data files may be */
	PghaPassive passive;		/* as found locally; NAME_IN_USE and OTHER_SYSTEM come from reports too */
	bool		apply_delay;	/* recovery_min_apply_delay > 0 */
	bool		too_low;		/* PostgreSQL would not end recovery with these settings */
	bool		replaying;		/* standby: there is WAL here that it could replay, and has not yet */
	bool		agent;			/* the own agent is connected */
	uint32_t	timeline;		/* of the last WAL here */
	uint32_t	newest_timeline;	/* greatest id that a history file in pg_wal names, 0 if none */
	pgha_lsn	newest_fork;	/* where that one leaves its parent; 0: not known */
	uint32_t	archived_timeline;	/* greatest later id that the archive has a history of, 0 if none is known */
	pgha_lsn	fork_lsn;		/* primary: where its timeline left its parent, 0 on timeline 1 */
	bool		fork_unknown;	/* ... it cannot be read at the moment */
	pgha_lsn	wal_end;		/* as in PghaReport */
	PghaGap		gap;			/* standby: the one that its WAL ends in */
	pgha_lsn	replayed;
	PghaReceiver receiver;
	int			upstream;		/* member streamed from, or PGHA_NOBODY */
	bool		receiver_ended_clean;	/* the last stream ended with the upstream's clean shutdown */
	pgha_time	receiver_heard; /* when the upstream was last heard in-band */
	pgha_lsn	upstream_end;	/* upstream's WAL end as told in-band, 0 if unknown */
	PghaSync	sync;			/* primary: own synchronous_standby_names */
	pgha_lsn	flushed[PGHA_MAX_MEMBERS];	/* primary: what each member's receiver has confirmed; 0: none is connected */
	pgha_lsn	applied[PGHA_MAX_MEMBERS];	/* ... and what it has replayed; 0: not known */
} PghaLocal;

/* One line of a timeline history file, and last the leader's own timeline with end = none. */
typedef struct PghaHistoryEntry
{
	uint32_t	timeline;
	pgha_lsn	end;			/* where the next timeline forks off */
} PghaHistoryEntry;

typedef struct PghaHistory
{
	uint32_t	timeline;		/* whose history this is */
	int			count;			/* parents, oldest first */
	bool		shortened;		/* there are older ones: what they say is not known */
	PghaHistoryEntry entry[PGHA_MAX_HISTORY];
} PghaHistory;

/* A fact that may not be known. */
typedef enum PghaFact
{
	PGHA_NO,
	PGHA_YES,
	PGHA_NOT_KNOWN
} PghaFact;

/* What a comparison of WAL, just in front of a position, has shown. */
typedef enum PghaComparison
{
	PGHA_WAL_NOT_COMPARED,
	PGHA_WAL_SAME,
	PGHA_WAL_DIFFERS,
	PGHA_WAL_GONE,				/* it is not there any more, here or there: nor can it be streamed */
	PGHA_WAL_NOT_NEEDED			/* the same, but it ends a segment: streaming goes on behind it */
} PghaComparison;

/* What the configuration says, validated. */
typedef struct PghaSettings
{
	int			self;			/* index of this node in the members */
	int			count;			/* members */
	int			voters;			/* members and the witnesses behind them; 0: the members do not vote */
	int			leaving;		/* the last ones of these: no file lists them any more, but the rule does */
	char		name[PGHA_MAX_MEMBERS][PGHA_NAME_SIZE];
	pgha_time	lease_ttl;
	bool		refused_is_down;	/* a refused connection proves that the leader's postmaster is gone */
	pgha_time	heartbeat_interval;
	pgha_time	failure_timeout;
	pgha_time	startup_grace;
	uint64_t	max_failover_lag;	/* bytes */
	int			priority;
	bool		auto_failover;
	bool		fence;			/* stop the old primary's instance unless it is known to be gone */
	pgha_time	fence_timeout;
	uint64_t	config_hash;	/* of what all members, ... */
	uint64_t	witness_hash;	/* ... and what all witnesses must agree on with them */
	uint64_t	system_identifier;
	uint64_t	instance;
} PghaSettings;

/* ---- events ---- */
typedef enum PghaEventType
{
	PGHA_EV_TICK,				/* time passed, or the local observation changed */
	PGHA_EV_REPLY,				/* outcome of PGHA_ACT_POLL */
	PGHA_EV_HISTORY,			/* outcome of PGHA_ACT_FETCH_HISTORY */
	PGHA_EV_COMPARED,			/* outcome of PGHA_ACT_COMPARE_WAL */
	PGHA_EV_RECEIVER_STOPPED,	/* outcome of PGHA_ACT_STOP_RECEIVER */
	PGHA_EV_PROMOTED,			/* outcome of PGHA_ACT_PROMOTE */
	PGHA_EV_NOT_DURABLE,		/* PGHA_ACT_WRITE_STATE failed while promoting: `durable` is as it was
								 * before, the actions after it were not carried out */
	PGHA_EV_OLD_STOPPED,		/* outcome of PGHA_ACT_STOP_OLD */
	PGHA_EV_PAUSE,				/* an administrator's pgha_pause() / pgha_resume() */
	PGHA_EV_PROMOTE,			/* an administrator's pgha_promote() */
	PGHA_EV_SWITCHOVER			/* an administrator's pgha_switchover(): to member, or PGHA_NOBODY: the best;
								 * or he has called it off */
} PghaEventType;

typedef struct PghaEvent
{
	PghaEventType type;
	int			member;			/* REPLY, HISTORY, COMPARED, OLD_STOPPED, SWITCHOVER */
	PghaContact contact;		/* REPLY */
	const PghaReport *report;	/* REPLY with PGHA_CONTACT_ANSWERED */
	bool		same_address;	/* REPLY, answered or refused: by the address that answered last */
	const PghaHistory *history; /* HISTORY; NULL: could not be read */
	PghaComparison compared;	/* COMPARED */
	bool		ok;				/* RECEIVER_STOPPED, PROMOTED, OLD_STOPPED: done and checked */
	bool		flag;			/* PAUSE: pause or resume; PROMOTE: force; SWITCHOVER: called off */
} PghaEvent;

/* ---- actions: carried out in the order given ---- */
typedef enum PghaActionType
{
	PGHA_ACT_POLL,				/* ask member for its report */
	PGHA_ACT_FETCH_HISTORY,		/* ask member for the history of timeline */
	PGHA_ACT_COMPARE_WAL,		/* of timeline, in front of end, with member's; none before begin */
	PGHA_ACT_WRITE_STATE,		/* make node->durable durable; a failure is fatal for the worker,
								 * but see PGHA_EV_NOT_DURABLE */
	PGHA_ACT_OPEN_GATE,
	PGHA_ACT_CLOSE_GATE,
	PGHA_ACT_SUSPEND_GATE,		/* shut until the next decision, which commits wait for */
	PGHA_ACT_LEASE,				/* an open gate, or one that is opened after this, closes by itself at `until` */
	PGHA_ACT_STOP_RECEIVER,		/* for good: no ack leaves after the outcome, no upstream is left */
	PGHA_ACT_RELEASE_RECEIVER,	/* takes STOP_RECEIVER back: a receiver may wait for an upstream */
	PGHA_ACT_FOLLOW,			/* member becomes the upstream, on timeline */
	PGHA_ACT_UNFOLLOW,			/* no upstream; end a running receiver */
	PGHA_ACT_STOP_OLD,			/* have member's instance, durable.leader_instance, stopped */
	PGHA_ACT_FORGET_STOP,		/* takes STOP_OLD back, as far as nobody has begun with it; no outcome */
	PGHA_ACT_PROMOTE,			/* onto timeline, leaving parent timeline */
	PGHA_ACT_FENCE,				/* standby.signal, then crash-restart as a standby */
	PGHA_ACT_BECOME_STANDBY,	/* standby.signal: whatever comes, the next start is one as a standby */
	PGHA_ACT_HAND_OVER,			/* shut down cleanly, and start again as a standby */
	PGHA_ACT_EVENT				/* tell the log and pgha_events(); `why` says what */
} PghaActionType;

/* What happened or is being waited for: the text is in states.c. */
typedef enum PghaReason
{
	PGHA_WHY_NONE,
	PGHA_WHY_STARTED,
	PGHA_WHY_FIRST_PRIMARY,		/* leads without an earlier claim */
	PGHA_WHY_RESUMED,			/* leads again after a restart */
	PGHA_WHY_PROMOTED_BY_HAND,	/* out of recovery without pgha */
	PGHA_WHY_ASKING_MEMBERS,	/* first decision not made yet */
	PGHA_WHY_SLEPT,				/* this node itself was stopped for a while */
	PGHA_WHY_LEADING,
	PGHA_WHY_GREATER_CLAIM,		/* member holds a greater claim */
	PGHA_WHY_FENCED,
	PGHA_WHY_NO_LEADER,			/* standby looks for a leader */
	PGHA_WHY_NO_CHECKPOINT,		/* standby has no WAL to begin with, and sees no leader */
	PGHA_WHY_CHECKING_HISTORY,
	PGHA_WHY_FOLLOWING,
	PGHA_WHY_DIVERGED,
	PGHA_WHY_PRIMARY_CRASHED,	/* receiver lost, connection refused */
	PGHA_WHY_PRIMARY_STOPPED,	/* clean shutdown, not back within failure_timeout */
	PGHA_WHY_PRIMARY_SILENT,
	PGHA_WHY_PRIMARY_STARTING,	/* does not get further than starting up */
	PGHA_WHY_PRIMARY_DEMOTED,	/* answers as a standby */
	PGHA_WHY_PRIMARY_UNKNOWN,	/* none was heard of since this node started */
	PGHA_WHY_WAITING_PRIMARY,	/* the primary may still come back */
	PGHA_WHY_PRIMARY_ANSWERS,	/* ... so that there is no need to promote */
	PGHA_WHY_WAITING_ANSWER,	/* a member has not answered yet */
	PGHA_WHY_VETO,				/* member still receives from the primary */
	PGHA_WHY_BETTER,			/* member is further ahead or preferred */
	PGHA_WHY_LATER_LEADER,		/* member gave way to a leader that this node does not know */
	PGHA_WHY_QUORUM,			/* ANY k of n: too few listed standbys answer */
	PGHA_WHY_BARRED,			/* see bar */
	PGHA_WHY_RETURNING,			/* former primary, waits for news of a greater claim */
	PGHA_WHY_NO_NEWS,			/* ... and heard none */
	PGHA_WHY_BY_HAND,			/* pgha_promote() */
	PGHA_WHY_STOPPING_OLD,		/* waits until member's instance is stopped */
	PGHA_WHY_OLD_STOPPED,
	PGHA_WHY_STOP_FAILED,		/* ... it could not be stopped */
	PGHA_WHY_STOP_TIMEOUT,		/* ... was not within fence_timeout */
	PGHA_WHY_STOP_NO_AGENT,		/* ... and nobody is there to do it */
	PGHA_WHY_STOP_UNKNOWN,		/* ... nor known which one it is */
	PGHA_WHY_MAY_LEAD,			/* returning, with fence: member may have taken over */
	PGHA_WHY_MAY_LEAD_STARTING, /* ... and is starting up, perhaps for ever */
	PGHA_WHY_STOPPING_RECEIVER,
	PGHA_WHY_PROMOTING,
	PGHA_WHY_PROMOTION_FAILED,	/* PostgreSQL chose another timeline than the reserved one */
	PGHA_WHY_PROMOTION_GIVEN_UP,	/* the timeline could not be reserved */
	PGHA_WHY_PASSIVE,
	PGHA_WHY_PAUSED,
	PGHA_WHY_RESUMED_FAILOVER,
	PGHA_WHY_VOTING_BEGINS,		/* the first rule */
	PGHA_WHY_WAITING_LEASE,		/* leads, but has no lease, or a rule that is not committed */
	PGHA_WHY_NO_LEASE,			/* had none for failure_timeout: steps down */
	PGHA_WHY_NOT_ELECTED,		/* out of recovery, and nobody voted for it */
	PGHA_WHY_FEW_VOTERS,		/* too few voters answer */
	PGHA_WHY_PROMISED,			/* has promised to follow member for a while yet */
	PGHA_WHY_VOTED,				/* waits for what becomes of member's candidacy */
	PGHA_WHY_STANDING,			/* waits for votes */
	PGHA_WHY_WITNESS,			/* votes, and has no data */
	PGHA_WHY_HANDING_OVER,		/* to member */
	PGHA_WHY_NOT_STREAMING,		/* member does not stream from this node, and cannot be handed over to */
	PGHA_WHY_TARGET_BARRED,		/* nor can member; see bar */
	PGHA_WHY_LAGS,				/* nor can member, which lags behind */
	PGHA_WHY_NO_TARGET,			/* nor is there anybody else */
	PGHA_WHY_KEEPS_LEAD,		/* member did not take over in time */
	PGHA_WHY_CALLED_OFF,		/* ... or the administrator did not want it any more */
	PGHA_WHY_HANDED_OVER,		/* member led, and has handed over to this node */

	/* Why a voter does not vote for member (quorum.md, V), or a node would not be elected. */
	PGHA_WHY_NO_RULE,			/* quorum is not in force here */
	PGHA_WHY_NOT_READY,			/* its own WAL is not known yet */
	PGHA_WHY_STANDS_NOT,
	PGHA_WHY_VOTED_ALREADY,		/* V1 */
	PGHA_WHY_OLD_RULE,			/* V3 */
	PGHA_WHY_NOT_ELIGIBLE,		/* V3 */
	PGHA_WHY_LESS_WAL,			/* V4 */
	PGHA_WHY_ABSENT,			/* it does not answer */
	PGHA_WHY_FEW_VOTES,			/* fewer than a majority would vote for it */
	PGHA_WHY_REPLAYING,			/* stood in vain, as it did not come to the end of its WAL, and waits for that */
	PGHA_WHY_FETCHING,			/* gets WAL from member, which has more and does not lead, to be elected with it */
	PGHA_WHY_FORGOT,			/* does not know what it has voted in before, and has not heard of member */
	PGHA_WHY_VOTER_ABSENT,		/* R4: why the rule is not what the files ask for */
	PGHA_WHY_VOTER_NEEDED,
	PGHA_WHY_VOTER_CONFIRMS,
	PGHA_WHY_UNELECTED,			/* leads, but member, which knows of no votes, leads as well */
	PGHA_WHY_COUNT
} PghaReason;

typedef struct PghaWhy
{
	PghaReason	reason;
	int			member;			/* PGHA_NOBODY if none is meant */
	PghaBar		bar;
	PghaPassive passive;
} PghaWhy;

typedef struct PghaAction
{
	PghaActionType type;
	int			member;
	uint32_t	timeline;
	uint32_t	parent;
	pgha_lsn	begin;
	pgha_lsn	end;
	pgha_time	until;			/* LEASE */
	PghaWhy		why;
} PghaAction;

#define PGHA_MAX_ACTIONS	(2 * PGHA_MAX_MEMBERS + 16)

typedef struct PghaActions
{
	int			count;
	PghaAction	action[PGHA_MAX_ACTIONS];
} PghaActions;

#endif							/* PGHA_NODE_H */
