/*
 * state.h
 *		What a node knows: the state that every room of the core may look at.
 *
 * It belongs to whoever calls pgha_step(): the background worker, or the
 * simulator.  They only read it, but for `settings`, and for `durable`, which
 * they put back as it was when it could not be written (PGHA_EV_NOT_DURABLE).
 */
#ifndef PGHA_CORE_STATE_H
#define PGHA_CORE_STATE_H

#include "states.h"

/* What this node knows of one member, itself included. */
typedef struct PghaMember
{
	PghaContact contact;
	pgha_time	contact_since;	/* since when `contact` has been the outcome of each request */
	pgha_time	heard;			/* when it last answered with a report; 0 = not since start */
	pgha_time	alive;			/* when it last answered in any way, reports or not; 0 = not since start */
	pgha_time	asked;			/* when the request under way, or the last one, was sent */
	pgha_time	told;			/* when the request behind the last outcome was sent */
	pgha_time	answered;		/* ... behind the last answer of any kind; 0 = not since start */
	pgha_time	unlearnt;		/* when nothing was learnt of it, by a fault of this node; 0 = never */
	pgha_lsn	asked_end;		/* how far the leader was known to be when it was asked ... */
	pgha_lsn	told_end;		/* ... for the last outcome: of a standby that keeps up wal_end is no less */
	bool		asking;			/* a request is under way */
	bool		misnamed;		/* a server answers there, but it is not this member */
	bool		was_primary;	/* answered as a primary, or streamed to us, since this node started */
	PghaReport	report;			/* valid if heard != 0 */

	/* The members vote. */
	uint64_t	beat;			/* the last one heard, ... */
	uint64_t	beat_instance;	/* ... of that instance, ... */
	pgha_time	beat_heard;		/* ... and when it was new; 0 = not since start */
	pgha_time	granted;		/* until when its promise lets this node lead; 0 = it has given none */
	pgha_time	moved;			/* when it answered, and not where it had answered before; 0 = never */
	pgha_time	disproved;		/* when it last refused, by the address where it answered before; 0 = not since it answered */
} PghaMember;

/* Of so many beats it is remembered when they were published. */
#define PGHA_BEATS			32

/* The WAL receiver of a node that votes, or stands. */
typedef enum PghaStopping
{
	PGHA_NOT_STOPPED,
	PGHA_STOP_ORDERED,
	PGHA_STOPPED
} PghaStopping;

/* The last candidate that this node did not vote for, and why. */
typedef struct PghaRefusal
{
	pgha_time	at;				/* 0: none */
	PghaBallot	candidate;
	PghaWhy		why;
} PghaRefusal;

/* What a voter knows of the vote that does not outlive a restart (quorum.md, 3). */
typedef struct PghaVoting
{
	PghaPromise promise;		/* the last one given */
	pgha_time	promised;		/* when */
	pgha_time	promise_until;
	pgha_time	start_until;	/* a promise from before the start lasts until then */
	pgha_time	longest_ttl;	/* of all promises since */
	bool		forgot_told;
	pgha_time	voted_at;
	PghaRefusal refusal;

	/* Why the rule is not what the files ask for (R4). */
	PghaWhy		obstacle;
	pgha_time	obstacle_since;
	bool		obstacle_told;
	PghaStopping receiver;
	bool		stop_wanted;	/* in this step there was a reason to have it stopped */
	uint64_t	candidacy;		/* the term this node stands for; 0: it does not */
	pgha_time	stood_at;
	pgha_time	next_try;
	int			tries;			/* in vain, since a leader was last seen */
	pgha_time	in_the_way;		/* since when others could be elected if they had its WAL; 0: they are not held up */
	uint64_t	deputy;			/* the term that it stood in for them, to hand over at once */
	pgha_time	ordered_until;	/* an administrator wants it to stand whatever its settings say; 0: he does not */

	/* A leader's. */
	uint64_t	beat;
	pgha_time	beat_at[PGHA_BEATS];
	pgha_time	lease_deadline; /* 0: none */
	pgha_time	gate_deadline;	/* as the gate was told */
	pgha_time	lease_missed;	/* since when there has been none; 0: there is one */
	PghaVotingRule committed;	/* newest rule that is; term 0: none since the start */
	bool		opened;			/* all that it shows is as safe as its rule promises (S5) */
	pgha_lsn	open_at;		/* ... once this is flushed; 0: not known yet */
	pgha_lsn	change_at;		/* a change of S waits until the new ones have flushed this; 0: none waits */
	PghaVotingRule change;		/* ... that one */
	pgha_time	unsupported;	/* since when a voter answers that cannot support it in this term; 0: none */
	uint64_t	released;		/* term; the gate stays closed */
	int			handover;		/* to that member, or PGHA_NOBODY */
	pgha_time	handover_since; /* ... has been announced, commits been held, or the gate been closed for good */
	bool		holding;		/* commits are held for it */
	pgha_lsn	handover_lsn;	/* all that there was when the gate had been shut; 0: it is not yet */
	pgha_time	handover_shut;	/* since when the gate has been seen shut; 0: not yet */
	uint64_t	handovers;		/* begun since the start */
	PghaWhy		handover_end;	/* why the last one was given up */

	/* What the leader of that term has said of a switchover. */
	PghaBallot	heir;			/* to whom; term 0: of none */
	pgha_time	heir_announced;
	pgha_time	heir_heard;		/* when it was heard that the leader's gate is closed for good; 0: not yet */
	pgha_lsn	heir_lsn;
} PghaVoting;

typedef struct PghaNode
{
	PghaSettings settings;
	PghaDurable durable;
	PghaLocal	local;
	PghaState	state;
	PghaWhy		why;			/* why the node is in this state, or what it waits for */
	PghaBar		bar;			/* why it would not promote now */
	PghaPassive passive;
	bool		gate_open;
	bool		posted;			/* leads, promotion checked */
	bool		was_standby;	/* was a standby in this node's life: out of recovery means promoted since */
	pgha_time	started;
	pgha_time	stepped;		/* time of the last step */
	pgha_time	awake;			/* no clock started before this time counts: start, or end of a sleep */
	pgha_time	state_since;
	pgha_time	receiver_lost;	/* since when nothing is received from the leader; 0 = it is */
	pgha_time	stream_ended;	/* when the leader's end of the stream ended it; 0 = it has not */
	pgha_time	deciding_since; /* primary: replies to requests sent since then decide */
	uint64_t	max_term;		/* greatest term seen anywhere */
	uint32_t	max_timeline;	/* greatest timeline seen anywhere */
	bool		replayed_all;	/* a WAL receiver was wanted: what was here at the start is replayed */
	pgha_lsn	sync_reach;		/* leader's WAL end when this node became synchronous (FIRST) */
	pgha_lsn	leader_end;		/* leader's WAL end as last heard, in-band or in a report */
	PghaGap		gap[PGHA_GAPS_KEPT];	/* what its segment switches left empty, youngest first */
	int			upstream;		/* member we follow, or PGHA_NOBODY */
	uint32_t	upstream_timeline;
	bool		upstream_slot;	/* it keeps a slot for us */
	PghaClaim	upstream_claim;
	bool		history_asked;	/* a FETCH_HISTORY is under way */
	pgha_time	history_asked_at;
	int			history_of;		/* member that `history` was read from */
	PghaHistory history;		/* timeline 0: none */
	struct
	{
		bool		asking;		/* a COMPARE_WAL is under way */
		pgha_time	asked_at;
		int			with;		/* member */
		uint64_t	instance;	/* its server */
		uint32_t	timeline;
		pgha_lsn	end;
		PghaComparison outcome;
	}			compared;		/* the WAL here with a leader's, of a timeline of the same number */
	PghaClaim	diverged_from;	/* claim whose history does not contain our WAL */
	pgha_time	fence_tried;
	PghaDurable former;			/* as it was before the promotion under way */
	pgha_time	held_off;		/* a promotion failed at this time; 0 = none did */
	pgha_time	held_off_for;	/* how long others may go first */
	int			stopping;		/* member whose instance is being stopped, or PGHA_NOBODY */
	bool		stop_wanted;	/* ... and in this step it was still to be */
	pgha_time	stop_ordered;
	int			stop_failures;	/* in a row */
	int			stopped;		/* member whose instance was stopped, or PGHA_NOBODY */
	pgha_time	stopped_at;
	PghaWhy		not_fenced;		/* why the last attempt came to nothing; PGHA_WHY_NONE */
	uint64_t	stop_told;		/* reasons told since a leader was last visible, a bit each */
	PghaVoting	voting;
	PghaMember	member[PGHA_MAX_MEMBERS];	/* and witnesses, behind the members */
	pgha_time	wake_at;		/* call again with PGHA_EV_TICK by then */
#ifdef PGHA_SIM
	uint64_t	rules_off;		/* mutations: bit per PghaRule */
	int			entered_count;	/* states entered in the last step, in their order */
	PghaState	entered[16];
#endif
} PghaNode;

/* Rules that the simulator can switch off, to show that each one is needed. */
typedef enum PghaRule
{
	PGHA_RULE_RECEIVER_LOST,	/* the own receiver is gone or silent */
	PGHA_RULE_PRIMARY_GONE,		/* the primary does not answer */
	PGHA_RULE_CLEAN_STOP,		/* a clean shutdown gets failure_timeout */
	PGHA_RULE_STARTUP_GRACE,	/* a primary that starts up gets startup_grace */
	PGHA_RULE_VETO,				/* a member that still receives vetoes */
	PGHA_RULE_BEST,				/* only the best of those that answer */
	PGHA_RULE_FRESH,			/* members are asked after the loss */
	PGHA_RULE_PRIORITY,
	PGHA_RULE_PAUSED,
	PGHA_RULE_AUTO_FAILOVER,
	PGHA_RULE_APPLY_DELAY,
	PGHA_RULE_TOO_LOW,
	PGHA_RULE_LAG,
	PGHA_RULE_SYNC_LISTED,
	PGHA_RULE_SYNC_FIRST,
	PGHA_RULE_SYNC_ANY,
	PGHA_RULE_PASSIVE,
	PGHA_RULE_DIVERGED,			/* a diverged or fenced node is no candidate */
	PGHA_RULE_TERM,				/* the term is raised, durably, before promoting */
	PGHA_RULE_STOP_RECEIVER,	/* the receiver is stopped before promoting */
	PGHA_RULE_TIMELINE,			/* each node promotes onto ids of its own residue class */
	PGHA_RULE_FENCE,			/* a primary yields to a greater term */
	PGHA_RULE_FENCE_TIE,		/* ... and to a greater claim of the same term */
	PGHA_RULE_FORK,				/* no upstream before the fork was compared */
	PGHA_RULE_SAME_WAL,			/* ... nor one whose timeline only has the number of ours */
	PGHA_RULE_BOOT,				/* a former primary asks before it starts as one */
	PGHA_RULE_RETURN,			/* an undecided former primary waits for startup_grace */
	PGHA_RULE_GATE,				/* the gate is shut until the first decision */
	PGHA_RULE_SLEPT,			/* a node that slept starts its clocks again */
	PGHA_RULE_STOP_OLD,			/* with fence: the old primary's instance is stopped before */
	PGHA_RULE_RETURN_HEARD,		/* with fence: a former primary waits for all that may lead */
	PGHA_RULE_NO_WAL,			/* a standby without its first WAL follows all the same */
	PGHA_RULE_RESUME,			/* a former primary that returns does not raise its term */
	PGHA_RULE_UNLEARNT,			/* what this node fails to find out is no silence */
	PGHA_RULE_TAKE_BACK,		/* a promotion that a crash came between is taken back */

	/* The members vote: names and numbers are those of quorum.md. */
	PGHA_RULE_ONCE,				/* B1 one vote a term */
	PGHA_RULE_BOUND,			/* B2, P2 an open vote: no promise */
	PGHA_RULE_FREE,				/* B2 a vote does not close by itself */
	PGHA_RULE_WON,				/* B2 (b) a term that was led in is not withdrawn */
	PGHA_RULE_DROP,				/* B2 (c) a second vote hides no open one */
	PGHA_RULE_FOLLOW,			/* B4 only the leader supported is followed */
	PGHA_RULE_PROMISE,			/* V2 no vote before the promise is over */
	PGHA_RULE_MARGIN,			/* W is longer than the lease */
	PGHA_RULE_START,			/* a promise may have been given before the start */
	PGHA_RULE_INSTANCE,			/* L1, L5 an echo of the own instance */
	PGHA_RULE_LEASE,			/* L2 the lease is that of a majority */
	PGHA_RULE_POST,				/* L3 the lease is checked before an acknowledgement; without quorum: the
								 * time of the last step */
	PGHA_RULE_STEP_DOWN,		/* L4 without a lease for failure_timeout */
	PGHA_RULE_REFUSED,			/* E1 a refusal counts from the proved address only; without quorum: if it
								 * lasts, or the stream has ended, and never for fence */
	PGHA_RULE_RELEASE,			/* E2 released is said after the gate is closed */
	PGHA_RULE_STOP,				/* C2, V5 the receiver is stopped before a vote */
	PGHA_RULE_MAJORITY,			/* C3 elected by a majority */
	PGHA_RULE_ENOUGH,			/* S3 enough of S among the voters */
	PGHA_RULE_TERM_ID,			/* C4 the timeline's id is the term */
	PGHA_RULE_RULE_AGE,			/* V3 no vote under an older rule, R5 and whoever sees a newer one takes it */
	PGHA_RULE_ELIGIBLE,			/* V3, S2 only who is eligible */
	PGHA_RULE_UP_TO_DATE,		/* V4 no vote for less WAL than the own */
	PGHA_RULE_DURABLE,			/* V6 a vote is durable before it is published */
	PGHA_RULE_COMMIT,			/* R1, R3 the gate waits for the rule */
	PGHA_RULE_STORE,			/* R2, R3 a rule counts where its leader is supported */
	PGHA_RULE_OPEN,				/* S5 */
	PGHA_RULE_CATCH_UP,			/* S6 */
	PGHA_RULE_LATER,			/* F1 a leader yields to a later one */
	PGHA_RULE_POLITE,			/* whoever stands waits for better ones, vetoes and outcomes: no rule of
								 * safety, and off in many schedules */
	PGHA_RULE_COUNT,

	/* These share their places with rules that votes leave no room for. */
	PGHA_RULE_FORGOT = PGHA_RULE_LAG,	/* B1, B2 who has lost its votes may have an open one */
	PGHA_RULE_FETCH = PGHA_RULE_SYNC_LISTED	/* B4 what is fetched from a standby is WAL of the leader supported */
} PghaRule;

_Static_assert(PGHA_RULE_COUNT <= 64, "rules are kept in a 64 bit set");

#ifdef PGHA_SIM
#define RULE(node, rule)	(((node)->rules_off & (UINT64_C(1) << (rule))) == 0)
#else
#define RULE(node, rule)	true
#endif

static inline pgha_time
pgha_later(pgha_time a, pgha_time b)
{
	return a > b ? a : b;
}

static inline PghaWhy
pgha_because(PghaReason reason, int member)
{
	PghaWhy		why = {reason, member, PGHA_MAY_PROMOTE, PGHA_ACTIVE};

	return why;
}

static inline bool
pgha_is_self(const PghaNode *node, int member)
{
	return member == node->settings.self;
}

/* Members and witnesses that the file lists. */
static inline int
pgha_everybody(const PghaNode *node)
{
	return node->settings.voters > node->settings.count ? node->settings.voters : node->settings.count;
}

static inline bool
pgha_is_witness(const PghaNode *node)
{
	return node->settings.self >= node->settings.count;
}

/* Is it to be taken for one that has an open vote, as it does not know what it has voted in? */
static inline bool
pgha_is_unaware(const PghaNode *node)
{
	return node->durable.forgot && (node->settings.voters > 0 || node->durable.rule.term != 0) &&
		RULE(node, PGHA_RULE_FORGOT);
}

/* Is quorum in force here: do terms begin with an election? */
static inline bool
pgha_in_force(const PghaNode *node)
{
	return node->durable.rule.term != 0;
}

/* Do its settings or what it has stored let this node take part in votes? */
static inline bool
pgha_takes_part(const PghaNode *node)
{
	return node->settings.voters > 0 || pgha_in_force(node);
}

#endif							/* PGHA_CORE_STATE_H */
