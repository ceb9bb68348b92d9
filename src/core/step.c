/*
 * step.c
 *		Who leads, who follows, who gives up: every decision of pgha.
 *
 * pgha_step() first takes in what the event and the local observation say,
 * then lets the half that fits the server decide: primary_side() for a server
 * out of recovery, standby_side() for one in recovery.  Each half reads like
 * the rules it carries out (protocol.md, section 10.1): no arbiter, claims
 * ordered by (term, fork LSN, name), and never an upstream before the WAL here
 * was compared with the leader's history.
 *
 * Nothing here does I/O, reads a clock or keeps state outside PghaNode.
 */
#include "step.h"

/* While the primary is missing, members are asked this often, ... */
#define URGENT_INTERVAL		20000
/* ... and the own address, to find out whether the name is in use, this often. */
#define SELF_CHECK_INTERVAL	30000000
/* ... for the first time when the server has had time to begin to answer. */
#define SELF_CHECK_DELAY	2000000
/* Fencing that failed (disk full?) is tried again after this time. */
#define FENCE_INTERVAL		1000000
/* An instance that was stopped is sure not to run a server again within this time. */
#define STOP_HOLDS			10000000
/* Its server may have raised its term unheard; the claim that follows must be the greater one. */
#define STOP_TERMS			10

#ifdef PGHA_SIM
#define RULE(node, rule)	(((node)->rules_off & (UINT64_C(1) << (rule))) == 0)
#else
#define RULE(node, rule)	true
#endif

/* One step under way. */
typedef struct Step
{
	PghaNode   *node;
	pgha_time	now;
	PghaActions *actions;
} Step;

static pgha_time
later(pgha_time a, pgha_time b)
{
	return a > b ? a : b;
}

/* ---- small questions ---- */

int
pgha_claim_compare(const PghaClaim *a, const PghaClaim *b)
{
	if (a->term != b->term)
		return a->term < b->term ? -1 : 1;
	if (a->fork_lsn != b->fork_lsn)
		return a->fork_lsn < b->fork_lsn ? -1 : 1;
	return strcmp(a->leader, b->leader);
}

/*
 * Every promotion raises the term, and is posted by writing down where it left
 * its parent; only the first primary of all has neither.
 */
bool
pgha_posted(const PghaDurable *durable)
{
	return durable->role == PGHA_ROLE_PRIMARY &&
		(durable->claim.fork_lsn != 0 || durable->claim.term <= 1);
}

bool
pgha_history_contains(const PghaHistory *history, uint32_t timeline, pgha_lsn end)
{
	if (timeline == history->timeline)
		return true;
	for (int i = 0; i < history->count; i++)
	{
		if (history->entry[i].timeline == timeline)
			return end <= history->entry[i].end;
	}
	return false;
}

uint32_t
pgha_reserve_timeline(uint32_t current, int index, int count)
{
	uint32_t	next = current + 1;

	while (next % (uint32_t) count != (uint32_t) index)
		next++;
	return next;
}

int
pgha_sorted_position(const PghaSettings *settings)
{
	int			position = 0;

	for (int i = 0; i < settings->count; i++)
	{
		if (strcmp(settings->name[i], settings->name[settings->self]) < 0)
			position++;
	}
	return position;
}

static int
find_member(const PghaNode *node, const char *name)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		if (strcmp(node->settings.name[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

static bool
is_self(const PghaNode *node, int member)
{
	return member == node->settings.self;
}

/* The member whose history the WAL here belongs to; never the node itself. */
static int
known_leader(const PghaNode *node)
{
	int			leader = find_member(node, node->durable.claim.leader);

	return leader != PGHA_NOBODY && is_self(node, leader) ? PGHA_NOBODY : leader;
}

/*
 * Is this the report of a member of our own cluster?  Members of another
 * system are shown, but count for nothing.
 */
static bool
counts(const PghaNode *node, const PghaMember *member)
{
	return member->heard != 0 &&
		member->contact == PGHA_CONTACT_ANSWERED &&
		member->report.system_identifier == node->settings.system_identifier;
}

/* How long has a member not answered in any way? */
static pgha_time
silence(const PghaNode *node, const PghaMember *member, pgha_time now)
{
	return now - later(member->alive, node->awake);
}

/* Is WAL received from a server that was a primary when last heard? */
static bool
received_in_time(const PghaNode *node, pgha_time now)
{
	const PghaLocal *local = &node->local;

	if (local->upstream != PGHA_NOBODY && counts(node, &node->member[local->upstream]) &&
		node->member[local->upstream].report.in_recovery)
		return false;

	return local->receiver == PGHA_RECEIVER_STREAMING &&
		local->upstream != PGHA_NOBODY &&
		now - later(local->receiver_heard, node->awake) < node->settings.failure_timeout;
}

/* ---- actions ---- */

static PghaWhy
because(PghaReason reason, int member)
{
	PghaWhy		why = {reason, member, PGHA_MAY_PROMOTE, PGHA_ACTIVE};

	return why;
}

static PghaAction *
act(Step *step, PghaActionType type)
{
	PghaActions *actions = step->actions;
	PghaAction *action = &actions->action[actions->count];

	/* One step asks each member once and does a bounded number of other things. */
	if (actions->count < PGHA_MAX_ACTIONS - 1)
		actions->count++;
	*action = (PghaAction) {.type = type, .member = PGHA_NOBODY,
	.why = because(PGHA_WHY_NONE, PGHA_NOBODY)};
	return action;
}

static void
tell(Step *step, PghaWhy why)
{
	act(step, PGHA_ACT_EVENT)->why = why;
}

static void
enter(Step *step, PghaState state, PghaWhy why)
{
	PghaNode   *node = step->node;

	if (node->state != state)
	{
#ifdef PGHA_SIM
		node->entered[node->entered_count++ % 16] = state;
#endif
		node->state = state;
		node->state_since = step->now;
	}
	node->why = why;
	node->why.bar = node->bar;
	node->why.passive = node->passive;
}

static void
close_gate(Step *step)
{
	if (step->node->gate_open)
	{
		step->node->gate_open = false;
		act(step, PGHA_ACT_CLOSE_GATE);
	}
}

static void
open_gate(Step *step)
{
	if (!step->node->gate_open)
	{
		step->node->gate_open = true;
		act(step, PGHA_ACT_OPEN_GATE);
	}
}

static void
ask(Step *step, int member)
{
	PghaMember *m = &step->node->member[member];

	if (m->asking)
		return;
	m->asking = true;
	m->asked = step->now;
	act(step, PGHA_ACT_POLL)->member = member;
}

/*
 * Asks each member whose turn it is.  `interval` is the usual one or the
 * urgent one; a member that was not asked since `since` is asked at once.
 */
static void
ask_members(Step *step, pgha_time interval, pgha_time since)
{
	PghaNode   *node = step->node;

	for (int i = 0; i < node->settings.count; i++)
	{
		PghaMember *m = &node->member[i];

		if (is_self(node, i))
		{
			if (node->state != PGHA_STARTING &&
				(m->asked == 0 ? (node->state == PGHA_RETURNING ||
								  step->now - node->started >= SELF_CHECK_DELAY) :
				 step->now - m->asked >= (node->state == PGHA_RETURNING &&
										  m->contact == PGHA_CONTACT_SILENT ?
										  interval : SELF_CHECK_INTERVAL)))
				ask(step, i);
		}
		else if (m->asked == 0 || m->asked < since || step->now - m->asked >= interval)
			ask(step, i);
	}
}

static void
unfollow(Step *step)
{
	PghaNode   *node = step->node;

	if (node->upstream == PGHA_NOBODY && node->local.receiver != PGHA_RECEIVER_STREAMING &&
		node->local.receiver != PGHA_RECEIVER_CONNECTING)
		return;
	node->upstream = PGHA_NOBODY;
	act(step, PGHA_ACT_UNFOLLOW);
}

/* ---- may this node be promoted? ---- */

/*
 * Does the leader's history begin a timeline that the WAL here has not reached
 * yet?  PostgreSQL would then name that one as the parent of a new timeline,
 * which is right only where the WAL here ends exactly at the fork.
 */
static bool
is_behind_fork(const PghaNode *node)
{
	/* No history was read since the start: the leader's timeline or the files must tell. */
	if (node->history.timeline == 0)
		return node->local.newest_timeline > node->local.timeline &&
			node->upstream_timeline != node->local.timeline;
	for (int i = 0; i < node->history.count; i++)
	{
		if (node->history.entry[i].timeline == node->local.timeline)
			return node->local.wal_end < node->history.entry[node->history.count - 1].end;
	}
	return false;
}

/*
 * Is the old primary known not to acknowledge anything any more?  Silence does
 * not show that, nor does a server that starts up.
 */
static bool
is_proved_gone(const PghaNode *node, int leader)
{
	const PghaMember *primary = &node->member[leader];

	/* Those who could confirm its commits are on this side. */
	if (node->durable.sync.method == PGHA_SYNC_ANY)
		return true;
	if (primary->told >= node->receiver_lost &&
		(primary->contact == PGHA_CONTACT_REFUSED ||
		 (counts(node, primary) && primary->report.in_recovery)))
		return true;
	return primary->was_primary && node->local.receiver_ended_clean &&
		primary->alive <= node->receiver_lost;
}

/* With pgha.fence: must the old primary's instance be off before this node may lead? */
static bool
needs_stop(const PghaNode *node)
{
	int			leader = known_leader(node);

	return node->settings.fence && leader != PGHA_NOBODY && !is_proved_gone(node, leader) &&
		RULE(node, PGHA_RULE_STOP_OLD);
}

/* Why that instance could not be stopped; PGHA_WHY_NONE if it could. */
static PghaReason
stop_obstacle(const PghaNode *node)
{
	if (node->durable.leader_instance[0] == '\0')
		return PGHA_WHY_STOP_UNKNOWN;
	return node->local.agent ? PGHA_WHY_NONE : PGHA_WHY_STOP_NO_AGENT;
}

static bool primary_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why);

static PghaBar
promotion_bar(const PghaNode *node, pgha_time now)
{
	int			leader = known_leader(node);
	PghaWhy		why;
	const PghaDurable *durable = &node->durable;
	const PghaSync *sync = &durable->sync;
	uint32_t	me = UINT32_C(1) << node->settings.self;

	if (node->passive != PGHA_ACTIVE && RULE(node, PGHA_RULE_PASSIVE))
		return PGHA_BAR_PASSIVE;
	if (RULE(node, PGHA_RULE_DIVERGED))
	{
		if (durable->diverged)
			return PGHA_BAR_DIVERGED;
		if (durable->fenced)
			return PGHA_BAR_FENCED;
	}

	/* Until then neither the end nor the timeline of the WAL here is known. */
	if (!node->replayed_all)
		return PGHA_BAR_REPLAYING;

	if (node->not_fenced.reason == PGHA_WHY_NONE || needs_stop(node))
	{
		if (node->held_off != 0 && now - node->held_off < node->held_off_for)
			return PGHA_BAR_HELD_OFF;
		if (node->not_fenced.reason != PGHA_WHY_NONE && stop_obstacle(node) == node->not_fenced.reason)
			return PGHA_BAR_HELD_OFF;
	}

	/*
	 * A former primary that comes back to lead does what it did before: it
	 * holds every commit it acknowledged, and neither a pause nor priority 0
	 * means that the whole site shall stay read-only after a restart.
	 */
	if (durable->role == PGHA_ROLE_PRIMARY)
		return PGHA_MAY_PROMOTE;

	if (durable->claim.term == 0)
		return PGHA_BAR_NEVER_FOLLOWED;
	if (find_member(node, durable->claim.leader) == PGHA_NOBODY)
		return PGHA_BAR_LEADER_REMOVED;
	if (is_behind_fork(node))
		return PGHA_BAR_BEHIND_FORK;
	if (node->settings.priority == 0 && RULE(node, PGHA_RULE_PRIORITY))
		return PGHA_BAR_PRIORITY;
	if (durable->paused && RULE(node, PGHA_RULE_PAUSED))
		return PGHA_BAR_PAUSED;
	if (!node->settings.auto_failover && RULE(node, PGHA_RULE_AUTO_FAILOVER))
		return PGHA_BAR_AUTO_FAILOVER;
	if (node->local.apply_delay && RULE(node, PGHA_RULE_APPLY_DELAY))
		return PGHA_BAR_APPLY_DELAY;
	if (sync->method != PGHA_SYNC_NONE)
	{
		if ((sync->listed & me) == 0 && RULE(node, PGHA_RULE_SYNC_LISTED))
			return PGHA_BAR_NOT_LISTED;
		if (sync->method == PGHA_SYNC_FIRST &&
			((sync->current & me) == 0 || node->local.wal_end < node->sync_reach) &&
			RULE(node, PGHA_RULE_SYNC_FIRST))
			return PGHA_BAR_NOT_SYNC;
	}
	if (node->leader_end > node->local.wal_end &&
		node->leader_end - node->local.wal_end > node->settings.max_failover_lag &&
		RULE(node, PGHA_RULE_LAG))
		return PGHA_BAR_LAG;
	if (leader != PGHA_NOBODY && !node->member[leader].was_primary &&
		!primary_is_missing(node, now, &why))
		return PGHA_BAR_STARTED_LATE;
	return PGHA_MAY_PROMOTE;
}

/*
 * Was the promotion that this claim stands for given up for good?  Then it was
 * never followed, acknowledged nothing, and supersedes nobody.
 */
static bool
is_void(const PghaReport *report)
{
	return report->diverged && report->claim.term > 1 && report->claim.fork_lsn == 0;
}

/* Did the member give way to a leader that this node has not followed? */
static bool
knows_later_leader(const PghaNode *node, const PghaReport *report)
{
	return report->in_recovery && (report->fenced || report->diverged) && !is_void(report) &&
		pgha_claim_compare(&report->claim, &node->durable.claim) >= 0;
}

/* Is the member of `report` to be preferred to this node? */
static bool
is_better(const PghaNode *node, const PghaReport *report)
{
	const PghaClaim *own = &node->durable.claim;

	if (!report->in_recovery)
		return false;

	/* Whoever has followed a later leader shows that the history here is superseded. */
	if (report->claim.term > own->term && report->claim.fork_lsn != 0)
		return true;

	/* A pause ends for all at once: who is only paused will want to be promoted, too. */
	if (report->bar != PGHA_MAY_PROMOTE && report->bar != PGHA_BAR_PAUSED &&
		report->bar != PGHA_BAR_STARTED_LATE)
		return false;
	if (report->claim.term != own->term)
		return report->claim.term > own->term;
	if (report->wal_end != node->local.wal_end)
		return report->wal_end > node->local.wal_end;

	/* Who still gives the primary time is worth waiting for only if it has more. */
	if (report->bar == PGHA_BAR_STARTED_LATE)
		return false;

	/* A former primary leads its own followers again, if it may. */
	if (report->role != node->durable.role)
		return report->role == PGHA_ROLE_PRIMARY;
	if (report->priority != node->settings.priority)
		return report->priority > node->settings.priority;
	return strcmp(report->node, node->settings.name[node->settings.self]) < 0;
}

/* Was the member's instance stopped just now, and is nothing heard of it since? */
static bool
is_stopped(const PghaNode *node, int member, pgha_time now)
{
	return member != PGHA_NOBODY && node->stopped == member &&
		node->member[member].alive <= node->stopped_at &&
		now - node->stopped_at < STOP_HOLDS;
}

/* What a member that was asked since `since` has to say. */
typedef enum Presence
{
	ANSWERS,					/* its report is of now */
	ABSENT,						/* cannot be counted */
	UNKNOWN						/* may still answer */
} Presence;

static Presence
presence(const PghaNode *node, const PghaMember *member, pgha_time since, pgha_time now)
{
	bool		asked_since = member->told >= since || !RULE(node, PGHA_RULE_FRESH);

	if (asked_since)
	{
		switch (member->contact)
		{
			case PGHA_CONTACT_ANSWERED:
				return counts(node, member) ? ANSWERS : ABSENT;
			case PGHA_CONTACT_REFUSED:
			case PGHA_CONTACT_STARTING:
			case PGHA_CONTACT_ERROR:
				return ABSENT;
			case PGHA_CONTACT_NEVER:
			case PGHA_CONTACT_SILENT:
				break;
		}
	}
	return silence(node, member, now) >= node->settings.failure_timeout ? ABSENT : UNKNOWN;
}

/*
 * Is the primary missing?  *why tells in which way, or, if it is not, what it
 * is that keeps it from counting as missing.
 */
static bool
primary_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why)
{
	const PghaSettings *settings = &node->settings;
	int			leader = known_leader(node);
	const PghaMember *primary;
	bool		asked;

	if (leader == PGHA_NOBODY)
	{
		*why = because(PGHA_WHY_PRIMARY_UNKNOWN, PGHA_NOBODY);
		if (now - node->awake >= settings->startup_grace)
			return true;
		*why = because(PGHA_WHY_NO_LEADER, PGHA_NOBODY);
		return false;
	}

	primary = &node->member[leader];
	asked = primary->told >= node->receiver_lost || !RULE(node, PGHA_RULE_FRESH);

	if (asked && counts(node, primary) && primary->report.in_recovery)
	{
		/*
		 * It may lead again as soon as it has heard of nobody else; or it gave
		 * up to a leader that has yet to become visible here.
		 */
		*why = because(PGHA_WHY_WAITING_PRIMARY, leader);
		if ((primary->report.role == PGHA_ROLE_PRIMARY || primary->report.fenced) &&
			RULE(node, PGHA_RULE_STARTUP_GRACE) &&
			now - later(primary->contact_since, node->awake) < settings->startup_grace)
			return false;
		*why = because(PGHA_WHY_PRIMARY_DEMOTED, leader);
		return true;
	}

	/* A primary that was not there since this node started gets time to start. */
	if (!primary->was_primary)
	{
		*why = because(PGHA_WHY_PRIMARY_UNKNOWN, PGHA_NOBODY);
		if (now - node->awake >= settings->startup_grace &&
			primary->contact != PGHA_CONTACT_ANSWERED &&
			primary->contact != PGHA_CONTACT_ERROR &&
			primary->contact != PGHA_CONTACT_STARTING)
			return true;
	}
	else if (!RULE(node, PGHA_RULE_PRIMARY_GONE))
	{
		*why = because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}
	else if (asked && primary->contact == PGHA_CONTACT_REFUSED)
	{
		if (!node->local.receiver_ended_clean || !RULE(node, PGHA_RULE_CLEAN_STOP))
		{
			*why = because(PGHA_WHY_PRIMARY_CRASHED, leader);
			return true;
		}
		*why = because(PGHA_WHY_PRIMARY_STOPPED, leader);
		if (now - later(primary->contact_since, node->awake) >= settings->failure_timeout)
			return true;
	}

	if (asked && primary->contact == PGHA_CONTACT_STARTING)
	{
		*why = because(PGHA_WHY_PRIMARY_STARTING, leader);
		if (!RULE(node, PGHA_RULE_STARTUP_GRACE) ||
			now - later(primary->contact_since, node->awake) >= settings->startup_grace)
			return true;
	}

	/* A request that hangs says as much as one that was given up, whenever it was sent. */
	if (primary->was_primary && primary->contact != PGHA_CONTACT_ERROR &&
		(primary->contact == PGHA_CONTACT_SILENT ||
		 (primary->asking && primary->contact != PGHA_CONTACT_REFUSED)) &&
		silence(node, primary, now) >= settings->failure_timeout)
	{
		*why = because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}

	/* It has gone silent because it is being stopped, and was missing before. */
	if (primary->contact == PGHA_CONTACT_SILENT &&
		(node->stopping == leader || is_stopped(node, leader, now)))
	{
		*why = because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}

	*why = because(PGHA_WHY_WAITING_PRIMARY, leader);
	return false;
}

/*
 * Does anything that the members say stand in the way of promotion?
 * PGHA_WHY_NONE if nothing does.
 */
static PghaWhy
members_objection(const PghaNode *node, pgha_time since, pgha_time now)
{
	const PghaSync *sync = &node->durable.sync;
	int			leader = known_leader(node);
	bool		demoted = leader != PGHA_NOBODY && counts(node, &node->member[leader]) &&
		node->member[leader].report.in_recovery;
	int			sure = 1;		/* listed standbys that answered, this one included */
	PghaWhy		objection = because(PGHA_WHY_NONE, PGHA_NOBODY);

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaReport *report = &m->report;

		if (is_self(node, i) || is_stopped(node, i, now))
			continue;
		switch (presence(node, m, since, now))
		{
			case ABSENT:
				continue;
			case UNKNOWN:
				if (RULE(node, PGHA_RULE_BEST) && RULE(node, PGHA_RULE_VETO))
					objection = because(PGHA_WHY_WAITING_ANSWER, i);
				continue;
			case ANSWERS:
				break;
		}
		if (leader != PGHA_NOBODY && i != leader && !demoted &&
			report->receiver == PGHA_RECEIVER_STREAMING &&
			strcmp(report->upstream, node->settings.name[leader]) == 0 &&
			report->receiver_age < node->settings.failure_timeout &&
			RULE(node, PGHA_RULE_VETO))
			return because(PGHA_WHY_VETO, i);
		if (is_better(node, report) && RULE(node, PGHA_RULE_BEST))
			return because(PGHA_WHY_BETTER, i);
		if (knows_later_leader(node, report) && RULE(node, PGHA_RULE_BEST) &&
			now - later(node->receiver_lost, node->awake) < node->settings.startup_grace)
			return because(PGHA_WHY_LATER_LEADER, i);

		/* Just promoted: it will be followed as soon as its promotion is checked. */
		if (!report->in_recovery && report->claim.term >= node->durable.claim.term &&
			RULE(node, PGHA_RULE_BEST))
			return because(PGHA_WHY_BETTER, i);
		if (report->in_recovery && !report->diverged && !report->fenced &&
			report->bar != PGHA_BAR_REPLAYING &&
			report->claim.term == node->durable.claim.term &&
			(sync->listed & (UINT32_C(1) << i)) != 0)
		{
			/* Barred or not: it may hold what was acknowledged and is not here. */
			if (sync->method == PGHA_SYNC_ANY && report->wal_end > node->local.wal_end &&
				node->durable.role != PGHA_ROLE_PRIMARY && RULE(node, PGHA_RULE_SYNC_ANY))
				return because(PGHA_WHY_BETTER, i);
			sure++;
		}
	}
	if (objection.reason == PGHA_WHY_NONE &&
		sync->method == PGHA_SYNC_ANY && sure < sync->num_listed - sync->num_sync + 1 &&
		node->durable.role != PGHA_ROLE_PRIMARY && RULE(node, PGHA_RULE_SYNC_ANY))
		return because(PGHA_WHY_QUORUM, PGHA_NOBODY);
	return objection;
}

/* ---- the old primary's instance is stopped first ---- */

static void
forget_stop(Step *step)
{
	PghaNode   *node = step->node;

	if (node->stopping != PGHA_NOBODY)
		act(step, PGHA_ACT_FORGET_STOP)->member = node->stopping;
	node->stopping = PGHA_NOBODY;
}

/* Tells a reason that has to do with stopping, unless it was told of this loss before. */
static void
tell_of_stop(Step *step, PghaWhy why)
{
	uint64_t	bit = UINT64_C(1) << why.reason;

	_Static_assert(PGHA_WHY_COUNT <= 64, "reasons told are kept in a 64 bit set");
	if ((step->node->stop_told & bit) == 0)
		tell(step, why);
	step->node->stop_told |= bit;
}

/* The old primary may be alive, and is not stopped: this node stays what it is. */
static void
refrain(Step *step, PghaReason reason, int leader)
{
	PghaNode   *node = step->node;

	node->bar = PGHA_BAR_HELD_OFF;
	node->not_fenced = because(reason, leader);
	tell_of_stop(step, node->not_fenced);
	enter(step, PGHA_STANDBY, node->not_fenced);
}

/* It was tried in vain: others may go first, for longer each time, and then it is tried again. */
static void
give_up_stop(Step *step, PghaReason reason, int leader)
{
	PghaNode   *node = step->node;
	pgha_time	pause = node->settings.failure_timeout;

	for (int i = 0; i < node->stop_failures && pause < node->settings.startup_grace; i++)
		pause *= 2;
	node->stop_failures++;
	node->held_off = step->now;
	node->held_off_for = pause < node->settings.startup_grace ? pause : node->settings.startup_grace;
	refrain(step, reason, leader);
}

/*
 * Nothing else stands in the way of this node's promotion.  False if the old
 * primary might still acknowledge commits: then its instance is stopped first.
 */
static bool
old_primary_is_off(Step *step, PghaWhy loss)
{
	PghaNode   *node = step->node;
	int			leader = known_leader(node);

	if (!needs_stop(node) || is_stopped(node, leader, step->now))
		return true;

	node->stop_wanted = true;
	if (node->stopping == leader)
	{
		if (step->now - node->stop_ordered < node->settings.fence_timeout)
			enter(step, PGHA_CANDIDATE, because(PGHA_WHY_STOPPING_OLD, leader));
		else
		{
			forget_stop(step);
			give_up_stop(step, PGHA_WHY_STOP_TIMEOUT, leader);
		}
		return false;
	}
	tell_of_stop(step, loss);
	if (stop_obstacle(node) != PGHA_WHY_NONE)
		refrain(step, stop_obstacle(node), leader);
	else
	{
		forget_stop(step);
		node->stopping = leader;
		node->stop_ordered = step->now;
		act(step, PGHA_ACT_STOP_OLD)->member = leader;
		tell_of_stop(step, because(PGHA_WHY_STOPPING_OLD, leader));
		enter(step, PGHA_CANDIDATE, because(PGHA_WHY_STOPPING_OLD, leader));
	}
	return false;
}

static void
take_old_stopped(Step *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;

	if (node->stopping == PGHA_NOBODY || node->stopping != event->member)
		return;					/* taken back meanwhile */
	node->stopping = PGHA_NOBODY;
	if (event->ok)
	{
		node->stopped = event->member;
		node->stopped_at = step->now;
		tell(step, because(PGHA_WHY_OLD_STOPPED, event->member));
	}
	else
		give_up_stop(step, PGHA_WHY_STOP_FAILED, event->member);
}

/* A leader is there: what was tried to replace the former one is of no account any more. */
static void
forget_attempts(PghaNode *node)
{
	node->stop_failures = 0;
	node->stop_told = 0;
	node->not_fenced = because(PGHA_WHY_NONE, PGHA_NOBODY);
}

/* The receiver is stopped: reserve a timeline and promote. */
static void
continue_promotion(Step *step)
{
	PghaNode   *node = step->node;
	uint32_t	newest = node->max_timeline;
	PghaAction *action = act(step, PGHA_ACT_PROMOTE);

	if (newest < node->local.timeline)
		newest = node->local.timeline;
	if (newest < node->local.newest_timeline)
		newest = node->local.newest_timeline;
	action->parent = node->local.timeline;
	if (RULE(node, PGHA_RULE_TIMELINE))
		action->timeline = pgha_reserve_timeline(newest, pgha_sorted_position(&node->settings),
												 node->settings.count);
	else
		action->timeline = node->local.timeline + 1;
	enter(step, PGHA_PROMOTING, because(PGHA_WHY_PROMOTING, PGHA_NOBODY));
}

/*
 * Begins the promotion: the raised term is durable before anything else is
 * done, then receiving ends for good.  The rest follows with the outcomes.
 */
static void
begin_promotion(Step *step, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaClaim  *claim = &node->durable.claim;

	if (node->stopped != PGHA_NOBODY)
		node->max_term += STOP_TERMS - 1;
	forget_stop(step);
	node->stopped = PGHA_NOBODY;
	forget_attempts(node);
	node->former = node->durable;
	node->durable.role = PGHA_ROLE_PRIMARY;
	node->durable.fenced = false;
	node->durable.diverged = false;
	if (RULE(node, PGHA_RULE_TERM))
		claim->term = node->max_term = later(node->max_term, 1) + 1;	/* 1 is a first primary's */
	claim->fork_lsn = 0;
	strcpy(claim->leader, node->settings.name[node->settings.self]);
	node->durable.leader_instance[0] = '\0';
	node->upstream = PGHA_NOBODY;
	tell(step, why);
	act(step, PGHA_ACT_WRITE_STATE);
	enter(step, PGHA_PROMOTING, because(PGHA_WHY_STOPPING_RECEIVER, PGHA_NOBODY));
	if (RULE(node, PGHA_RULE_STOP_RECEIVER))
		act(step, PGHA_ACT_STOP_RECEIVER);
	else
		continue_promotion(step);
}

/* ---- out of recovery ---- */

/*
 * The member that holds a claim greater than this primary's, or PGHA_NOBODY.
 * Claims of one term are compared only when both leaders know where they
 * forked off.
 */
static int
greater_claim(const PghaNode *node)
{
	const PghaClaim *own = &node->durable.claim;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaClaim *claim = &m->report.claim;

		if (is_self(node, i) || !counts(node, m) || is_void(&m->report))
			continue;
		if (claim->term > own->term && RULE(node, PGHA_RULE_FENCE))
			return i;
		if (claim->term == own->term && pgha_posted(&node->durable) &&
			RULE(node, PGHA_RULE_FENCE_TIE) &&
			strcmp(claim->leader, own->leader) != 0 &&
			(claim->fork_lsn != 0 || (m->report.posted && !m->report.in_recovery)) &&
			pgha_claim_compare(claim, own) > 0)
			return i;
	}
	return PGHA_NOBODY;
}

static void
fence(Step *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	close_gate(step);
	node->posted = false;
	node->durable.role = PGHA_ROLE_STANDBY;
	node->durable.fenced = true;
	tell(step, why);
	act(step, PGHA_ACT_WRITE_STATE);
	enter(step, PGHA_FENCING, why);
	node->fence_tried = step->now;
	act(step, PGHA_ACT_FENCE);
}

/* Have all other members been asked since `since`, with an outcome? */
static bool
all_told(const PghaNode *node, pgha_time since, int *missing)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		if (!is_self(node, i) &&
			(node->member[i].told < since || node->member[i].contact == PGHA_CONTACT_NEVER))
		{
			*missing = i;
			return false;
		}
	}
	return true;
}

static void
lead(Step *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	node->posted = true;
	tell(step, why);
	act(step, PGHA_ACT_WRITE_STATE);
	open_gate(step);
	enter(step, PGHA_PRIMARY, because(PGHA_WHY_LEADING, PGHA_NOBODY));
}

/* The first decision of a server that came up, or woke up, out of recovery. */
static void
decide_to_lead(Step *step)
{
	PghaNode   *node = step->node;
	PghaClaim  *claim = &node->durable.claim;
	const char *self = node->settings.name[node->settings.self];
	int			missing = PGHA_NOBODY;

	if (RULE(node, PGHA_RULE_GATE) && !all_told(node, node->deciding_since, &missing))
	{
		enter(step, PGHA_STARTING, because(PGHA_WHY_ASKING_MEMBERS, missing));
		return;
	}

	/* A later fork than the one it led from: promoted past pgha while it waited for news. */
	if (node->durable.role == PGHA_ROLE_PRIMARY && strcmp(claim->leader, self) == 0 &&
		!(pgha_posted(&node->durable) && node->local.fork_lsn > claim->fork_lsn))
	{
		/* The worker may have died between the promotion and its check. */
		if (!pgha_posted(&node->durable) &&
			(node->local.fork_lsn == 0 ||
			 node->local.timeline % (uint32_t) node->settings.count !=
			 (uint32_t) pgha_sorted_position(&node->settings)))
		{
			node->durable.diverged = true;
			fence(step, because(PGHA_WHY_PROMOTION_FAILED, PGHA_NOBODY));
			return;
		}
		if (!pgha_posted(&node->durable))
			claim->fork_lsn = node->local.fork_lsn;
		lead(step, because(PGHA_WHY_RESUMED, PGHA_NOBODY));
		return;
	}

	if (claim->term == 0)
	{
		node->max_term = later(node->max_term, 1);
		tell(step, because(PGHA_WHY_FIRST_PRIMARY, PGHA_NOBODY));
	}
	else
		node->max_term++;
	claim->term = node->max_term;
	claim->fork_lsn = node->local.fork_lsn;
	strcpy(claim->leader, self);
	node->durable.leader_instance[0] = '\0';
	node->durable.role = PGHA_ROLE_PRIMARY;
	node->durable.fenced = false;
	node->durable.diverged = false;
	lead(step, claim->term == 1 ? because(PGHA_WHY_LEADING, PGHA_NOBODY) :
		 because(PGHA_WHY_PROMOTED_BY_HAND, PGHA_NOBODY));
}

static void
primary_side(Step *step)
{
	PghaNode   *node = step->node;
	int			greater;

	if (node->state == PGHA_PROMOTING)
		return;					/* the check of the promotion is under way */
	if (node->state == PGHA_FENCING)
	{
		if (step->now - node->fence_tried >= FENCE_INTERVAL)
		{
			node->fence_tried = step->now;
			act(step, PGHA_ACT_WRITE_STATE);
			act(step, PGHA_ACT_FENCE);
		}
		return;
	}
	if (node->passive == PGHA_PASSIVE_NAME_IN_USE)
	{
		if (node->state != PGHA_PASSIVE)
			tell(step, (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive});
		close_gate(step);
		node->posted = false;
		enter(step, PGHA_PASSIVE, because(PGHA_WHY_PASSIVE, PGHA_NOBODY));
		return;
	}
	greater = greater_claim(node);
	if (greater != PGHA_NOBODY)
	{
		fence(step, because(PGHA_WHY_GREATER_CLAIM, greater));
		return;
	}
	if (node->state != PGHA_PRIMARY)
		decide_to_lead(step);
}

/* The server is out of recovery because this node promoted it. */
static void
promotion_done(Step *step, bool checked)
{
	PghaNode   *node = step->node;
	int			greater;

	if (!checked && node->local.in_recovery)
	{
		/*
		 * Given up before PostgreSQL was told.  Others may go first for a
		 * while, and the claim is taken back: the former leader must not yield
		 * to one that cannot lead.
		 */
		node->durable.claim = node->former.claim;
		node->durable.role = node->former.role;
		node->durable.fenced = node->former.fenced;
		node->durable.diverged = node->former.diverged;
		strcpy(node->durable.leader_instance, node->former.leader_instance);
		node->held_off = node->awake = step->now;
		node->held_off_for = node->settings.startup_grace;
		act(step, PGHA_ACT_WRITE_STATE);
		act(step, PGHA_ACT_RELEASE_RECEIVER);
		tell(step, because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
		enter(step, node->durable.role == PGHA_ROLE_PRIMARY ? PGHA_RETURNING : PGHA_STANDBY,
			  because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
		return;
	}
	if (!checked)
	{
		node->durable.diverged = true;
		fence(step, because(PGHA_WHY_PROMOTION_FAILED, PGHA_NOBODY));
		return;
	}
	node->durable.claim.fork_lsn = node->local.fork_lsn;
	memset(&node->durable.sync, 0, sizeof(node->durable.sync));
	node->posted = true;
	greater = greater_claim(node);
	if (greater != PGHA_NOBODY)
		fence(step, because(PGHA_WHY_GREATER_CLAIM, greater));
	else
		lead(step, because(PGHA_WHY_LEADING, PGHA_NOBODY));
}

/* ---- in recovery ---- */

/*
 * The member that leads by the greatest claim, if that is not less than the
 * claim whose history is here; PGHA_NOBODY if none is heard of.
 */
static int
visible_leader(const PghaNode *node, pgha_time now)
{
	int			leader = PGHA_NOBODY;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (is_self(node, i) || !counts(node, m) ||
			m->report.in_recovery || !m->report.posted ||
			silence(node, m, now) >= node->settings.failure_timeout)
			continue;
		if (pgha_claim_compare(&m->report.claim, &node->durable.claim) < 0)
			continue;
		if (leader == PGHA_NOBODY ||
			pgha_claim_compare(&m->report.claim, &node->member[leader].report.claim) > 0)
			leader = i;
	}
	return leader;
}

/* Gives the WAL receiver its upstream, and remembers whose history is here. */
static void
begin_following(Step *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[leader].report;
	PghaAction *action;

	if (pgha_claim_compare(&node->durable.claim, &report->claim) != 0 ||
		node->durable.role != PGHA_ROLE_STANDBY ||
		node->durable.fenced || node->durable.diverged)
	{
		node->durable.claim = report->claim;
		node->durable.role = PGHA_ROLE_STANDBY;
		node->durable.fenced = false;
		node->durable.diverged = false;
		node->durable.sync = report->sync;
		node->sync_reach = report->wal_end;
		strcpy(node->durable.leader_instance, report->ec2_instance);
		act(step, PGHA_ACT_WRITE_STATE);
	}
	node->upstream = leader;
	node->upstream_claim = report->claim;
	node->upstream_timeline = report->timeline;
	node->upstream_slot = (report->slots & (UINT32_C(1) << node->settings.self)) != 0;
	node->leader_end = report->wal_end;
	action = act(step, PGHA_ACT_FOLLOW);
	action->member = leader;
	action->timeline = report->timeline;
	tell(step, because(PGHA_WHY_FOLLOWING, leader));
	enter(step, PGHA_STANDBY, because(PGHA_WHY_FOLLOWING, leader));
}

static void
set_diverged(Step *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaClaim *claim = &node->member[leader].report.claim;
	PghaWhy		why = because(PGHA_WHY_DIVERGED, leader);

	if (node->state != PGHA_DIVERGED || pgha_claim_compare(&node->diverged_from, claim) != 0)
	{
		node->diverged_from = *claim;
		node->durable.diverged = true;
		node->durable.role = PGHA_ROLE_STANDBY;
		act(step, PGHA_ACT_WRITE_STATE);
		unfollow(step);
		tell(step, why);
	}
	enter(step, PGHA_DIVERGED, why);
}

/*
 * A leader is visible: stream from it, once all WAL here is replayed and is
 * known to be a part of its history.
 *
 * The point that counts is what was replayed: a receiver that waits for its
 * upstream shows that the startup process found no further record, so whatever
 * was received beyond is a torn record, which the new timeline overwrites.
 */
static void
follow(Step *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[leader].report;
	bool		contained;

	forget_attempts(node);
	if (node->upstream == leader && node->upstream_timeline == report->timeline &&
		pgha_claim_compare(&node->upstream_claim, &report->claim) == 0)
	{
		bool		slot = (report->slots & (UINT32_C(1) << node->settings.self)) != 0;

		if (slot != node->upstream_slot)
		{
			PghaAction *action = act(step, PGHA_ACT_FOLLOW);

			node->upstream_slot = slot;
			action->member = leader;
			action->timeline = report->timeline;
		}
		enter(step, PGHA_STANDBY, because(PGHA_WHY_FOLLOWING, leader));
		return;
	}

	if (node->state == PGHA_DIVERGED &&
		pgha_claim_compare(&node->diverged_from, &report->claim) == 0)
		return;

	/* A former worker has checked all this, and the stream goes on: leave it alone. */
	if (node->upstream == PGHA_NOBODY && node->local.receiver == PGHA_RECEIVER_STREAMING &&
		node->local.upstream == leader && node->local.timeline == report->timeline &&
		pgha_claim_compare(&node->durable.claim, &report->claim) == 0)
	{
		begin_following(step, leader);
		return;
	}

	if (node->state != PGHA_DIVERGED)
		enter(step, PGHA_STANDBY, because(PGHA_WHY_CHECKING_HISTORY, leader));
	if (node->local.receiver != PGHA_RECEIVER_WAITING)
	{
		/* It must not come back to the former leader, whose order it may still have. */
		if (node->local.receiver != PGHA_RECEIVER_NONE || node->upstream != PGHA_NOBODY)
			unfollow(step);
		return;
	}

	if (!RULE(node, PGHA_RULE_FORK))
		contained = true;
	else if (report->timeline == node->local.timeline)
	{
		/*
		 * Each promotion by pgha begins a timeline that nobody else can have
		 * begun.  An administrator's may not: two such leaders have the WAL up
		 * to the fork in common, and nothing else.
		 */
		contained = node->durable.claim.term == 0 ||
			pgha_claim_compare(&node->durable.claim, &report->claim) == 0 ||
			node->local.replayed <= report->claim.fork_lsn;
	}
	else if (report->timeline == 1)
		contained = false;		/* it has no parents */
	else if (node->history_of == leader && node->history.timeline == report->timeline)
		contained = pgha_history_contains(&node->history, node->local.timeline,
										  node->local.replayed);
	else
	{
		if (!node->history_asked &&
			(node->history_asked_at == 0 || node->history_of != leader ||
			 step->now - node->history_asked_at >= node->settings.heartbeat_interval))
		{
			PghaAction *action = act(step, PGHA_ACT_FETCH_HISTORY);

			node->history_asked = true;
			node->history_asked_at = step->now;
			node->history_of = leader;
			node->history.timeline = 0;
			action->member = leader;
			action->timeline = report->timeline;
		}
		return;
	}

	if (contained)
		begin_following(step, leader);
	else
		set_diverged(step, leader);
}

/*
 * A former primary learns of a greater claim: it leads no more.  What the
 * history of that leader says of the WAL here is seen when it shows up.
 */
static void
yield_to_greater_claim(Step *step)
{
	PghaNode   *node = step->node;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (is_self(node, i) || !counts(node, m) || is_void(&m->report) ||
			!RULE(node, PGHA_RULE_FENCE) ||
			pgha_claim_compare(&m->report.claim, &node->durable.claim) <= 0)
			continue;
		node->durable.role = PGHA_ROLE_STANDBY;
		node->durable.fenced = true;
		node->bar = promotion_bar(node, step->now);
		act(step, PGHA_ACT_WRITE_STATE);
		tell(step, because(PGHA_WHY_GREATER_CLAIM, i));
		enter(step, PGHA_STANDBY, because(PGHA_WHY_GREATER_CLAIM, i));
		return;
	}
}

/*
 * Was the claim that a fenced node gave way to taken back?  So it is when all
 * members answer and none of them holds a greater one: it was never followed,
 * and this node is the last leader after all.
 */
static bool
greater_claim_is_gone(const PghaNode *node)
{
	if (!node->durable.fenced || node->durable.diverged ||
		strcmp(node->durable.claim.leader, node->settings.name[node->settings.self]) != 0)
		return false;
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (is_self(node, i))
			continue;
		if (!counts(node, m) || m->told < node->awake ||
			(!is_void(&m->report) &&
			 pgha_claim_compare(&m->report.claim, &node->durable.claim) > 0))
			return false;
	}
	return true;
}

/*
 * Former primary that was restarted read-only, as it could not learn whether
 * it still leads: it leads again when all members, or nobody for
 * startup_grace, know of a later leader.
 */
static void
return_to_lead(Step *step)
{
	PghaNode   *node = step->node;
	const PghaMember *self = &node->member[node->settings.self];
	PghaWhy		objection;
	bool		all_answer = true;
	int			refuses = PGHA_NOBODY;
	int			missing = PGHA_NOBODY;

	if (node->state != PGHA_RETURNING)
	{
		enter(step, PGHA_RETURNING, because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		tell(step, node->why);
	}
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (is_self(node, i))
			continue;
		if (!counts(node, m) || m->told < node->awake)
			all_answer = false;
		if (m->contact == PGHA_CONTACT_ERROR && !m->misnamed)
			refuses = i;
		if (m->told < node->awake ||
			(m->contact != PGHA_CONTACT_ANSWERED && m->contact != PGHA_CONTACT_REFUSED && !m->misnamed))
			missing = i;
	}
	enter(step, PGHA_RETURNING, because(PGHA_WHY_RETURNING, PGHA_NOBODY));
	if (node->bar != PGHA_MAY_PROMOTE)
		return;

	/* A copy of the leader's data directory must not lead beside it: who has the own address? */
	if ((self->contact == PGHA_CONTACT_NEVER || self->contact == PGHA_CONTACT_SILENT) &&
		RULE(node, PGHA_RULE_PASSIVE) &&
		step->now - node->awake < node->settings.startup_grace)
		return;

	/* A server is there that does not let itself be read: it may be the leader. */
	if (refuses != PGHA_NOBODY && RULE(node, PGHA_RULE_RETURN))
	{
		enter(step, PGHA_RETURNING, because(PGHA_WHY_WAITING_ANSWER, refuses));
		return;
	}
	if (!all_answer && RULE(node, PGHA_RULE_RETURN) &&
		step->now - node->awake < node->settings.startup_grace)
		return;

	/* Whoever may have taken over must be heard: stopping it would lose what it has acknowledged. */
	if (missing != PGHA_NOBODY && node->settings.fence && RULE(node, PGHA_RULE_RETURN_HEARD))
	{
		enter(step, PGHA_RETURNING, because(PGHA_WHY_MAY_LEAD, missing));
		return;
	}

	/* All WAL here must be replayed, or it could not be compared with others'. */
	if (node->local.receiver != PGHA_RECEIVER_WAITING)
	{
		unfollow(step);
		return;
	}
	objection = members_objection(node, node->awake, step->now);
	if (objection.reason != PGHA_WHY_NONE)
	{
		enter(step, PGHA_RETURNING, objection);
		return;
	}
	begin_promotion(step, because(PGHA_WHY_NO_NEWS, PGHA_NOBODY));
}

/*
 * Members must have been asked since then.  What was heard while this node
 * could not be promoted, or before the old primary was stopped, is too old.
 */
static pgha_time
candidate_since(const PghaNode *node, pgha_time now)
{
	pgha_time	since = later(node->receiver_lost, node->state_since);

	return is_stopped(node, known_leader(node), now) ? later(since, node->stopped_at) : since;
}

/* No leader is visible: promote if the rules allow. */
static void
stand_for_election(Step *step)
{
	PghaNode   *node = step->node;
	PghaWhy		loss;
	PghaWhy		objection;

	/* What comes from an upstream that became a standby itself leads nowhere. */
	if (node->upstream != PGHA_NOBODY && counts(node, &node->member[node->upstream]) &&
		node->member[node->upstream].report.in_recovery)
		unfollow(step);

	if (received_in_time(node, step->now) && RULE(node, PGHA_RULE_RECEIVER_LOST))
	{
		forget_attempts(node);
		enter(step, node->durable.diverged ? PGHA_DIVERGED : PGHA_STANDBY,
			  because(PGHA_WHY_FOLLOWING, node->local.upstream));
		return;
	}
	if (!primary_is_missing(node, step->now, &loss) || node->durable.diverged)
	{
		if (node->durable.diverged)
			enter(step, PGHA_DIVERGED, because(PGHA_WHY_NO_LEADER, PGHA_NOBODY));
		else
			enter(step, PGHA_STANDBY, loss);
		return;
	}
	if (node->bar == PGHA_BAR_HELD_OFF && node->not_fenced.reason != PGHA_WHY_NONE)
	{
		enter(step, PGHA_STANDBY, node->not_fenced);
		return;
	}
	if (node->bar != PGHA_MAY_PROMOTE)
	{
		enter(step, PGHA_STANDBY, because(PGHA_WHY_BARRED, loss.member));
		return;
	}

	if (node->state == PGHA_STARTING)
		enter(step, PGHA_STANDBY, loss);
	if (node->state != PGHA_CANDIDATE)
	{
		enter(step, PGHA_CANDIDATE, loss);

		/* What it may still connect to is not the primary any more. */
		unfollow(step);
	}

	objection = members_objection(node, candidate_since(node, step->now), step->now);
	if (objection.reason != PGHA_WHY_NONE)
	{
		node->stop_wanted = objection.reason == PGHA_WHY_WAITING_ANSWER;
		enter(step, PGHA_CANDIDATE, objection);
		return;
	}
	if (old_primary_is_off(step, loss))
		begin_promotion(step, loss);
}

static void
standby_side(Step *step)
{
	PghaNode   *node = step->node;
	int			leader;

	if (node->state == PGHA_PROMOTING || node->state == PGHA_FENCING)
		return;					/* the outcome of the next action is on its way */
	if (node->local.crash_recovery)
		return;					/* nothing is decided before it is known what it will be */

	close_gate(step);
	node->posted = false;

	if (node->passive != PGHA_ACTIVE && RULE(node, PGHA_RULE_PASSIVE))
	{
		if (node->state != PGHA_PASSIVE)
			tell(step, (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive});
		enter(step, PGHA_PASSIVE, because(PGHA_WHY_PASSIVE, PGHA_NOBODY));

		/* The stream, the slot and the acks belong to the server that has the name. */
		if (node->passive == PGHA_PASSIVE_NAME_IN_USE)
			unfollow(step);
		return;
	}
	if (node->state == PGHA_PASSIVE)
		enter(step, PGHA_STARTING, because(PGHA_WHY_STARTED, PGHA_NOBODY));

	if (node->durable.role == PGHA_ROLE_PRIMARY && !node->durable.fenced)
		yield_to_greater_claim(step);

	if (greater_claim_is_gone(node))
	{
		node->durable.role = PGHA_ROLE_PRIMARY;
		node->durable.fenced = false;
		act(step, PGHA_ACT_WRITE_STATE);
		if (node->state == PGHA_STARTING)
			enter(step, PGHA_STANDBY, because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		enter(step, PGHA_RETURNING, because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		tell(step, node->why);
		return;
	}

	leader = visible_leader(node, step->now);
	if (leader != PGHA_NOBODY)
	{
		if (node->durable.diverged && node->state == PGHA_STARTING)
			enter(step, PGHA_DIVERGED, because(PGHA_WHY_CHECKING_HISTORY, leader));
		follow(step, leader);
	}
	else if (node->durable.role == PGHA_ROLE_PRIMARY && !node->durable.fenced &&
			 !node->durable.diverged)
		return_to_lead(step);
	else
		stand_for_election(step);
}

/* ---- taking in ---- */

static void
take_reply(Step *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;
	PghaMember *m = &node->member[event->member];
	PghaContact contact = event->contact;

	m->asking = false;
	m->told = m->asked;

	/* A server that answers under another name is not the member. */
	m->misnamed = contact == PGHA_CONTACT_ANSWERED && event->report != NULL &&
		strcmp(event->report->node, node->settings.name[event->member]) != 0;
	if (m->misnamed || (contact == PGHA_CONTACT_ANSWERED && event->report == NULL))
		contact = PGHA_CONTACT_ERROR;

	if (contact != m->contact ||
		(contact == PGHA_CONTACT_ANSWERED && m->report.in_recovery != event->report->in_recovery))
	{
		m->contact = contact;
		m->contact_since = step->now;
	}
	if (contact == PGHA_CONTACT_ANSWERED || contact == PGHA_CONTACT_ERROR ||
		contact == PGHA_CONTACT_STARTING)
		m->alive = step->now;
	if (contact != PGHA_CONTACT_ANSWERED)
		return;

	m->heard = step->now;
	m->report = *event->report;
	if (is_self(node, event->member) || !counts(node, m))
		return;
	if (!m->report.in_recovery)
		m->was_primary = true;
	if (node->max_term < m->report.claim.term)
		node->max_term = m->report.claim.term;
	if (node->max_timeline < m->report.timeline)
		node->max_timeline = m->report.timeline;

	/* The later pause or resume is valid everywhere; of two, the pause. */
	if (m->report.pause_generation > node->durable.pause_generation ||
		(m->report.pause_generation == node->durable.pause_generation &&
		 m->report.paused && !node->durable.paused))
	{
		bool		news = node->durable.paused != m->report.paused;

		node->durable.pause_generation = m->report.pause_generation;
		node->durable.paused = m->report.paused;
		act(step, PGHA_ACT_WRITE_STATE);
		if (news)
			tell(step, because(m->report.paused ? PGHA_WHY_PAUSED : PGHA_WHY_RESUMED_FAILOVER,
							   event->member));
	}

	/* Of the leader that is followed: how far it is, who its synchronous standbys are, where it runs. */
	if (event->member == known_leader(node) && !m->report.in_recovery &&
		pgha_claim_compare(&m->report.claim, &node->durable.claim) == 0)
	{
		PghaSync	sync = m->report.sync;

		node->leader_end = (pgha_lsn) later((pgha_time) node->leader_end,
											(pgha_time) m->report.wal_end);
		if (sync.method == PGHA_SYNC_FIRST && sync.current == 0)
			sync.current = node->durable.sync.current;

		/* What was confirmed before was confirmed by others. */
		if ((sync.current & ~node->durable.sync.current & (UINT32_C(1) << node->settings.self)) != 0)
			node->sync_reach = m->report.wal_end;
		if (sync.method != node->durable.sync.method ||
			sync.num_sync != node->durable.sync.num_sync ||
			sync.num_listed != node->durable.sync.num_listed ||
			sync.listed != node->durable.sync.listed ||
			sync.current != node->durable.sync.current)
		{
			node->durable.sync = sync;
			act(step, PGHA_ACT_WRITE_STATE);
		}
		if (strcmp(node->durable.leader_instance, m->report.ec2_instance) != 0)
		{
			strcpy(node->durable.leader_instance, m->report.ec2_instance);
			act(step, PGHA_ACT_WRITE_STATE);
		}
	}
}

static void
take_event(Step *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;

	switch (event->type)
	{
		case PGHA_EV_TICK:
			break;
		case PGHA_EV_REPLY:
			take_reply(step, event);
			break;
		case PGHA_EV_HISTORY:
			node->history_asked = false;
			if (event->history != NULL && event->member == node->history_of)
				node->history = *event->history;
			break;
		case PGHA_EV_RECEIVER_STOPPED:
			if (node->state == PGHA_PROMOTING)
				continue_promotion(step);
			break;
		case PGHA_EV_PROMOTED:
			if (node->state == PGHA_PROMOTING)
				promotion_done(step, event->ok);
			break;
		case PGHA_EV_OLD_STOPPED:
			take_old_stopped(step, event);
			break;
		case PGHA_EV_NOT_DURABLE:
			/* The requests of that step came after it. */
			for (int i = 0; i < node->settings.count; i++)
				if (node->member[i].asked == node->stepped)
					node->member[i].asking = false;
			node->held_off = node->awake = step->now;
			node->held_off_for = node->settings.startup_grace;
			tell(step, because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
			enter(step, node->durable.role == PGHA_ROLE_PRIMARY ? PGHA_RETURNING : PGHA_STANDBY,
				  because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
			break;
		case PGHA_EV_PAUSE:
			node->durable.pause_generation++;
			node->durable.paused = event->flag;
			act(step, PGHA_ACT_WRITE_STATE);
			tell(step, because(event->flag ? PGHA_WHY_PAUSED : PGHA_WHY_RESUMED_FAILOVER,
							   PGHA_NOBODY));
			break;
		case PGHA_EV_PROMOTE:
			if (pgha_promote_refusal(node, event->flag, step->now).reason == PGHA_WHY_NONE)
				begin_promotion(step, because(PGHA_WHY_BY_HAND, PGHA_NOBODY));
			break;
	}
}

/* Which reason is there, if any, not to manage this node? */
static PghaPassive
find_passive(const PghaNode *node)
{
	bool		ours = false;
	bool		others = false;
	const PghaMember *self = &node->member[node->settings.self];

	if (node->local.in_recovery && node->local.passive != PGHA_ACTIVE)
		return node->local.passive;
	if (counts(node, self) && self->report.instance != node->settings.instance)
		return PGHA_PASSIVE_NAME_IN_USE;
	if (!node->local.in_recovery)
		return PGHA_ACTIVE;
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (is_self(node, i) || m->heard == 0)
			continue;
		if (m->report.system_identifier == node->settings.system_identifier)
			ours = true;
		else if (m->contact == PGHA_CONTACT_ANSWERED)
			others = true;
	}
	return others && !ours ? PGHA_PASSIVE_OTHER_SYSTEM : PGHA_ACTIVE;
}

/*
 * A node that was stopped itself (SIGSTOP, a frozen virtual machine) must not
 * take its own sleep for the others' silence; and a primary that slept may
 * have been replaced meanwhile.
 */
static void
notice_sleep(Step *step)
{
	PghaNode   *node = step->node;
	pgha_time	slept;

	if (step->now - node->wake_at < node->settings.failure_timeout / 4 ||
		!RULE(node, PGHA_RULE_SLEPT))
		return;
	slept = step->now - node->stepped;
	node->awake = step->now;
	if (node->receiver_lost != 0)
		node->receiver_lost = step->now;
	node->deciding_since = step->now;
	forget_stop(step);
	node->stopped = PGHA_NOBODY;
	if (node->state == PGHA_PRIMARY && slept >= node->settings.failure_timeout)
	{
		node->gate_open = false;
		act(step, PGHA_ACT_SUSPEND_GATE);
		node->posted = false;
		tell(step, because(PGHA_WHY_SLEPT, PGHA_NOBODY));
		enter(step, PGHA_STARTING, because(PGHA_WHY_SLEPT, PGHA_NOBODY));
	}
}

static void
observe(Step *step, const PghaLocal *local)
{
	PghaNode   *node = step->node;
	int			leader = known_leader(node);

	node->local = *local;
	if (local->in_recovery && local->upstream != PGHA_NOBODY && local->upstream == leader &&
		local->receiver == PGHA_RECEIVER_STREAMING)
	{
		node->member[leader].was_primary = true;
		if (node->leader_end < local->upstream_end)
			node->leader_end = local->upstream_end;
	}
	if (!local->in_recovery || local->receiver != PGHA_RECEIVER_NONE)
		node->replayed_all = true;
	if (!local->in_recovery || received_in_time(node, step->now))
		node->receiver_lost = 0;
	else if (node->receiver_lost == 0)
		node->receiver_lost = step->now;
	if (node->max_timeline < local->timeline)
		node->max_timeline = local->timeline;
}

/* ---- the step ---- */

void
pgha_node_init(PghaNode *node, const PghaSettings *settings,
			   const PghaDurable *durable, pgha_time now)
{
	memset(node, 0, sizeof(*node));
	node->settings = *settings;
	node->durable = *durable;
	node->state = PGHA_STARTING;
	node->why = because(PGHA_WHY_STARTED, PGHA_NOBODY);
	node->started = node->stepped = node->awake = now;
	node->state_since = node->deciding_since = now;
	node->max_term = durable->claim.term;
	node->upstream = PGHA_NOBODY;
	node->history_of = PGHA_NOBODY;
	node->stopping = node->stopped = PGHA_NOBODY;
	node->wake_at = now;
}

/* A set of members in the numbering of new settings. */
static uint32_t
renumber(const PghaNode *old, const PghaSettings *settings, uint32_t members)
{
	uint32_t	renumbered = 0;

	for (int i = 0; i < settings->count; i++)
	{
		int			was = find_member(old, settings->name[i]);

		if (was != PGHA_NOBODY && (members & (UINT32_C(1) << was)) != 0)
			renumbered |= UINT32_C(1) << i;
	}
	return renumbered;
}

void
pgha_node_configure(PghaNode *node, const PghaSettings *settings)
{
	PghaNode	old = *node;

	node->settings = *settings;
	memset(node->member, 0, sizeof(node->member));
	for (int i = 0; i < settings->count; i++)
	{
		int			was = find_member(&old, settings->name[i]);

		if (was != PGHA_NOBODY)
			node->member[i] = old.member[was];

		/* Requests under way are dropped by the caller; others' numbering is lost. */
		node->member[i].asking = false;
		node->member[i].report.slots = 0;
	}
	node->durable.sync.listed = renumber(&old, settings, old.durable.sync.listed);
	node->durable.sync.current = renumber(&old, settings, old.durable.sync.current);
	node->upstream = PGHA_NOBODY;
	if (old.upstream != PGHA_NOBODY)
		node->upstream = find_member(node, old.settings.name[old.upstream]);
	node->history_of = PGHA_NOBODY;
	node->history_asked = false;
	node->stopped = PGHA_NOBODY;
	if (old.stopping != PGHA_NOBODY)
		node->stopping = find_member(node, old.settings.name[old.stopping]);
	node->not_fenced = because(PGHA_WHY_NONE, PGHA_NOBODY);
}

/* The earliest time at which the passing of time alone may change a decision. */
static pgha_time
next_wake(const PghaNode *node, pgha_time now, pgha_time interval)
{
	const PghaSettings *settings = &node->settings;
	pgha_time	wake = now + settings->heartbeat_interval;	/* or less, for notice_sleep() */
	pgha_time	deadline[4] = {0};

	if (settings->heartbeat_interval > settings->failure_timeout / 4)
		wake = now + settings->failure_timeout / 4;
	for (int i = 0; i < settings->count; i++)
	{
		const PghaMember *m = &node->member[i];
		pgha_time	due = m->asked + interval;
		pgha_time	silent = later(m->alive, node->awake) + settings->failure_timeout;

		if (!is_self(node, i) && !m->asking && due > now && due < wake)
			wake = due;
		if (silent > now && silent < wake)
			wake = silent;
		if (m->contact_since != 0)
		{
			deadline[0] = later(m->contact_since, node->awake) + settings->failure_timeout;
			deadline[1] = later(m->contact_since, node->awake) + settings->startup_grace;
			for (int k = 0; k < 2; k++)
				if (deadline[k] > now && deadline[k] < wake)
					wake = deadline[k];
		}
	}
	deadline[2] = later(node->local.receiver_heard, node->awake) + settings->failure_timeout;
	deadline[3] = node->awake + settings->startup_grace;
	for (int k = 2; k < 4; k++)
		if (deadline[k] > now && deadline[k] < wake)
			wake = deadline[k];
	return wake;
}

void
pgha_step(PghaNode *node, const PghaEvent *event, const PghaLocal *local,
		  pgha_time now, PghaActions *actions)
{
	Step		step = {node, now, actions};
	PghaPassive was_passive = node->passive;
	pgha_time	interval = node->settings.heartbeat_interval;
	pgha_time	since = 0;

	actions->count = 0;
#ifdef PGHA_SIM
	node->entered_count = 0;
#endif
	node->stop_wanted = false;
	notice_sleep(&step);
	observe(&step, local);
	take_event(&step, event);
	node->passive = find_passive(node);
	node->bar = promotion_bar(node, now);

	if (was_passive != PGHA_ACTIVE && node->passive == PGHA_ACTIVE && node->state == PGHA_PASSIVE)
		enter(&step, PGHA_STARTING, because(PGHA_WHY_STARTED, PGHA_NOBODY));

	if (node->local.in_recovery)
		standby_side(&step);
	else
	{
		/* Promoted by hand, or started so: the members are asked before the gate opens. */
		if (node->state == PGHA_STANDBY || node->state == PGHA_CANDIDATE ||
			node->state == PGHA_RETURNING || node->state == PGHA_DIVERGED)
		{
			node->deciding_since = now;
			enter(&step, PGHA_STARTING, because(PGHA_WHY_ASKING_MEMBERS, PGHA_NOBODY));
		}
		primary_side(&step);
	}
	if (node->stopping != PGHA_NOBODY && !node->stop_wanted)
		forget_stop(&step);

	/* In doubt, ask at once and often; but not for ever. */
	if (node->local.in_recovery && node->receiver_lost != 0)
	{
		since = node->state == PGHA_CANDIDATE ? candidate_since(node, now) : node->receiver_lost;
		if (now - node->receiver_lost < node->settings.failure_timeout ||
			(node->state == PGHA_CANDIDATE &&
			 now - node->state_since < node->settings.failure_timeout))
			interval = URGENT_INTERVAL;
	}
	else if (!node->local.in_recovery && node->state == PGHA_STARTING)
		since = node->deciding_since;
	if (interval > node->settings.heartbeat_interval)
		interval = node->settings.heartbeat_interval;
	ask_members(&step, interval, since);

	node->stepped = now;
	node->wake_at = next_wake(node, now, interval);
}

/* ---- orders and the boot check ---- */

PghaWhy
pgha_promote_refusal(const PghaNode *node, bool force, pgha_time now)
{
	PghaWhy		why;
	PghaWhy		objection;

	if (!node->local.in_recovery)
		return because(PGHA_WHY_LEADING, PGHA_NOBODY);
	if (node->state == PGHA_PROMOTING)
		return because(PGHA_WHY_PROMOTING, PGHA_NOBODY);
	if (node->passive != PGHA_ACTIVE)
		return (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive};
	if (!node->replayed_all)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_REPLAYING, PGHA_ACTIVE};
	if (node->durable.role != PGHA_ROLE_PRIMARY && is_behind_fork(node))
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_BEHIND_FORK, PGHA_ACTIVE};
	if (force)
		return because(PGHA_WHY_NONE, PGHA_NOBODY);
	if (node->durable.diverged || node->durable.fenced)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY,
			node->durable.diverged ? PGHA_BAR_DIVERGED : PGHA_BAR_FENCED, PGHA_ACTIVE};
	if (visible_leader(node, now) != PGHA_NOBODY)
		return because(PGHA_WHY_PRIMARY_ANSWERS, visible_leader(node, now));
	if (received_in_time(node, now))
		return because(PGHA_WHY_PRIMARY_ANSWERS, node->local.upstream);

	/* A primary that was shut down need not be waited for, as the rules otherwise do. */
	if (node->durable.role != PGHA_ROLE_PRIMARY && !primary_is_missing(node, now, &why) &&
		why.reason == PGHA_WHY_WAITING_PRIMARY &&
		!(node->member[why.member].contact == PGHA_CONTACT_REFUSED &&
		  node->member[why.member].told >= node->receiver_lost))
		return why;
	objection = members_objection(node, node->receiver_lost, now);
	if (objection.reason == PGHA_WHY_VETO || objection.reason == PGHA_WHY_BETTER)
		return objection;
	return because(PGHA_WHY_NONE, PGHA_NOBODY);
}

PghaBootDecision
pgha_boot_decision(const PghaSettings *settings, const PghaDurable *durable,
				   const PghaContact *contact, const PghaReport *const *report, int *who)
{
	const char *self = settings->name[settings->self];
	bool		all_answer = true;

	*who = PGHA_NOBODY;
	if (durable->fenced || durable->diverged)
		return PGHA_BOOT_STANDBY;

	/* Crashed in the middle of a promotion: whose timeline this is must be found out. */
	if (durable->role == PGHA_ROLE_PRIMARY && !pgha_posted(durable))
		return PGHA_BOOT_UNDECIDED;
	for (int i = 0; i < settings->count; i++)
	{
		const PghaReport *r = report[i];

		if (i == settings->self)
		{
			/* Nothing can answer here yet but another server of this name. */
			if (contact[i] == PGHA_CONTACT_ANSWERED && r != NULL && strcmp(r->node, self) == 0 &&
				r->system_identifier == settings->system_identifier)
			{
				*who = i;
				return PGHA_BOOT_UNDECIDED;
			}
			if ((contact[i] == PGHA_CONTACT_NEVER || contact[i] == PGHA_CONTACT_SILENT) &&
				durable->role == PGHA_ROLE_PRIMARY)
				all_answer = false;		/* nor can it be told that nobody does */
			continue;
		}
		if (contact[i] != PGHA_CONTACT_ANSWERED || r == NULL ||
			strcmp(r->node, settings->name[i]) != 0)
		{
			all_answer = false;
			continue;
		}
		if (r->system_identifier != settings->system_identifier || is_void(r))
			continue;
		*who = i;
		if (r->claim.term > durable->claim.term ||
			pgha_claim_compare(&r->claim, &durable->claim) > 0)
			return PGHA_BOOT_STANDBY;

		/* The leader that this server followed is alive. */
		if (!r->in_recovery && pgha_claim_compare(&r->claim, &durable->claim) == 0 &&
			strcmp(r->claim.leader, self) != 0)
			return PGHA_BOOT_STANDBY;
		*who = PGHA_NOBODY;
	}

	/* Without a claim of its own there is nothing that might have been superseded. */
	if (all_answer || durable->role == PGHA_ROLE_NONE)
		return PGHA_BOOT_PRIMARY;
	return PGHA_BOOT_UNDECIDED;
}
