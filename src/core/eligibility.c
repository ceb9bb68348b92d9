/*
 * eligibility.c
 *		May this node be promoted, is the primary missing, what do the members object.
 *
 * Called by pgha_step() once a step, by the election and by the standby's half.
 * Only answers questions: it never acts and never changes the node.
 */
#include "eligibility.h"
#include "claim.h"
#include "fencing.h"
#include "members.h"
#include "rule.h"

bool
pgha_is_behind_fork(const PghaNode *node)
{
	/* No history was read since the start: the leader's timeline or the files must tell. */
	if (node->history.timeline == 0)
		return node->local.newest_timeline > node->local.timeline &&
			node->upstream_timeline != node->local.timeline &&
			(node->local.newest_fork == 0 || node->local.newest_fork != node->local.wal_end);
	for (int i = 0; i < node->history.count; i++)
	{
		if (node->history.entry[i].timeline == node->local.timeline)
			return node->local.wal_end < node->history.entry[node->history.count - 1].end;
	}
	return node->history.shortened && node->local.timeline < node->history.entry[0].timeline;
}

/* May another member stand, as far as those say that answer? */
static bool
others_may_stand(const PghaNode *node)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (i != node->settings.self && pgha_counts(node, m) && m->report.in_recovery && m->report.votes != 0 &&
			m->report.bar == PGHA_MAY_PROMOTE &&
			pgha_is_among(&node->durable.rule, node->durable.rule.eligible, m->report.node))
			return true;
	}
	return false;
}

/*
 * Has it led last, as far as it knows?  Then it stepped down (L4), or whom it handed over
 * to was never heard to lead.  A pause and the like keep the lead from going elsewhere;
 * they do not mean that nobody leads again when the voters are back.
 */
static bool
led_last(const PghaNode *node)
{
	return node->durable.support.term != 0 &&
		strcmp(node->durable.support.name, node->settings.name[node->settings.self]) == 0;
}

/*
 * Where votes decide, this node says only what it knows better than the voters.
 * An order to promote it lifts more than a switchover to it, which goes to no node
 * that is never to lead.
 */
static PghaBar
bar_under_quorum(const PghaNode *node, bool by_hand, bool ordered)
{
	const PghaVotingRule *rule = &node->durable.rule;
	bool		last = led_last(node);
	bool		again = last && !others_may_stand(node);

	if (!pgha_is_among(rule, rule->eligible, node->settings.name[node->settings.self]) &&
		RULE(node, PGHA_RULE_ELIGIBLE))
		return PGHA_BAR_NOT_LISTED;
	if (pgha_is_behind_fork(node))
		return PGHA_BAR_BEHIND_FORK;
	if (node->settings.priority == 0 && !ordered && !again && RULE(node, PGHA_RULE_PRIORITY))
		return PGHA_BAR_PRIORITY;
	if (node->local.apply_delay && !ordered && RULE(node, PGHA_RULE_APPLY_DELAY))
		return PGHA_BAR_APPLY_DELAY;
	if (node->local.too_low && RULE(node, PGHA_RULE_TOO_LOW))
		return PGHA_BAR_TOO_LOW;
	if (node->durable.paused && !by_hand && !last && RULE(node, PGHA_RULE_PAUSED))
		return PGHA_BAR_PAUSED;
	if (!node->settings.auto_failover && !by_hand && !again && RULE(node, PGHA_RULE_AUTO_FAILOVER))
		return PGHA_BAR_AUTO_FAILOVER;
	return PGHA_MAY_PROMOTE;
}

PghaBar
pgha_bar_to_order(const PghaNode *node)
{
	if (node->durable.diverged && RULE(node, PGHA_RULE_DIVERGED))
		return PGHA_BAR_DIVERGED;
	return node->durable.role == PGHA_ROLE_PRIMARY ? PGHA_MAY_PROMOTE : bar_under_quorum(node, true, true);
}

pgha_lsn
pgha_wal_between(pgha_lsn from, pgha_lsn to, const PghaGap *gap, int count)
{
	pgha_lsn	wal = to > from ? to - from : 0;

	for (int i = 0; i < count && to > from; i++)
	{
		pgha_lsn	begin = gap[i].from > from ? gap[i].from : from;
		pgha_lsn	end = gap[i].to < to ? gap[i].to : to;

		if (end > begin)
			wal -= end - begin;
	}
	return wal;
}

/* How much of the leader's WAL, as last heard of, is not here? */
static pgha_lsn
lacking(const PghaNode *node)
{
	const PghaLocal *local = &node->local;
	pgha_lsn	have = local->gap.from == local->wal_end && local->gap.to > local->wal_end ?
		local->gap.to : local->wal_end;

	return pgha_wal_between(have, node->leader_end, node->gap, PGHA_GAPS_KEPT);
}

PghaBar
pgha_promotion_bar(const PghaNode *node, pgha_time now)
{
	int			leader = pgha_known_leader(node);
	PghaWhy		why;
	const PghaDurable *durable = &node->durable;
	const PghaSync *sync = &durable->sync;
	uint32_t	me = UINT32_C(1) << node->settings.self;
	bool		ordered = now < node->voting.ordered_until;
	bool		by_hand = ordered || pgha_is_heir(node, now);	/* ... or has handed over to it */

	if (node->passive != PGHA_ACTIVE && RULE(node, PGHA_RULE_PASSIVE))
		return PGHA_BAR_PASSIVE;
	if (RULE(node, PGHA_RULE_DIVERGED))
	{
		if (durable->diverged)
			return PGHA_BAR_DIVERGED;

		/* Not the mark of a claim that is being resumed: others must go on to wait for this node. */
		if (durable->fenced && durable->role != PGHA_ROLE_PRIMARY && !pgha_in_force(node))
			return PGHA_BAR_FENCED;
	}

	/* Until then neither the end nor the timeline of the WAL here is known. */
	if (!node->replayed_all)
		return PGHA_BAR_REPLAYING;

	if (node->not_fenced.reason == PGHA_WHY_NONE || pgha_needs_stop(node))
	{
		if (node->held_off != 0 && now - node->held_off < node->held_off_for)
			return PGHA_BAR_HELD_OFF;
		if (node->not_fenced.reason != PGHA_WHY_NONE && pgha_stop_obstacle(node) == node->not_fenced.reason)
			return PGHA_BAR_HELD_OFF;
	}

	if (pgha_is_unaware(node))
		return PGHA_BAR_FORGOT;

	/*
	 * A former primary that comes back to lead does what it did before: it
	 * holds every commit it acknowledged, and neither a pause nor priority 0
	 * means that the whole site shall stay read-only after a restart.
	 */
	if (durable->role == PGHA_ROLE_PRIMARY)
		return PGHA_MAY_PROMOTE;
	if (pgha_in_force(node))
		return bar_under_quorum(node, by_hand, ordered);

	if (durable->claim.term == 0)
		return PGHA_BAR_NEVER_FOLLOWED;
	if (pgha_find_member(node, durable->claim.leader) == PGHA_NOBODY)
		return PGHA_BAR_LEADER_REMOVED;
	if (pgha_is_behind_fork(node))
		return PGHA_BAR_BEHIND_FORK;
	if (node->local.too_low && RULE(node, PGHA_RULE_TOO_LOW))
		return PGHA_BAR_TOO_LOW;
	if (node->settings.priority == 0 && RULE(node, PGHA_RULE_PRIORITY))
		return PGHA_BAR_PRIORITY;
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
	if (lacking(node) > node->settings.max_failover_lag && RULE(node, PGHA_RULE_LAG))
		return PGHA_BAR_LAG;

	/* Last, as whoever is only barred by these may be handed over to. */
	if (durable->paused && !by_hand && RULE(node, PGHA_RULE_PAUSED))
		return PGHA_BAR_PAUSED;
	if (!node->settings.auto_failover && !by_hand && RULE(node, PGHA_RULE_AUTO_FAILOVER))
		return PGHA_BAR_AUTO_FAILOVER;
	if (leader != PGHA_NOBODY && !node->member[leader].was_primary &&
		!pgha_primary_is_missing(node, now, &why))
		return PGHA_BAR_STARTED_LATE;
	return PGHA_MAY_PROMOTE;
}

/*
 * Did the member give way to a leader that this node has not followed?  Who has
 * diverged by a promotion of its own need not have heard of another one.
 */
static bool
knows_later_leader(const PghaNode *node, const PghaReport *report)
{
	int			order = pgha_claim_compare(&report->claim, &node->durable.claim);

	return report->in_recovery && ((report->fenced && report->role != PGHA_ROLE_PRIMARY) || report->diverged) &&
		!pgha_is_void(report) && (order > 0 || (order == 0 && (!report->own_wal || report->fenced)));
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

/*
 * A refused connection shows that nothing listens, or that something on the way
 * answers in the primary's place.  The end of the stream, after which the primary
 * has answered nothing, tells the one from the other; else it must last.
 */
static bool
is_refused_for_good(const PghaNode *node, const PghaMember *primary, pgha_time now)
{
	pgha_time	lasting = node->settings.failure_timeout < PGHA_REFUSAL_LASTS ?
		node->settings.failure_timeout : PGHA_REFUSAL_LASTS;

	if (!RULE(node, PGHA_RULE_REFUSED))
		return true;
	return (node->stream_ended != 0 && primary->answered < node->stream_ended) ||
		now - pgha_later(primary->contact_since, node->awake) >= lasting;
}

bool
pgha_primary_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why)
{
	const PghaSettings *settings = &node->settings;
	int			leader = pgha_known_leader(node);
	const PghaMember *primary;
	bool		asked;

	if (leader == PGHA_NOBODY)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_UNKNOWN, PGHA_NOBODY);
		if (now - node->awake >= settings->startup_grace)
			return true;
		*why = pgha_because(PGHA_WHY_NO_LEADER, PGHA_NOBODY);
		return false;
	}

	primary = &node->member[leader];
	asked = primary->told >= node->receiver_lost || !RULE(node, PGHA_RULE_FRESH);

	if (asked && pgha_counts(node, primary) && primary->report.in_recovery)
	{
		/*
		 * It may lead again as soon as it has heard of nobody else; or it gave
		 * up to a leader that has yet to become visible here.
		 */
		*why = pgha_because(PGHA_WHY_WAITING_PRIMARY, leader);
		if ((primary->report.role == PGHA_ROLE_PRIMARY || primary->report.fenced) &&
			RULE(node, PGHA_RULE_STARTUP_GRACE) &&
			now - pgha_later(primary->contact_since, node->awake) < settings->startup_grace)
			return false;
		*why = pgha_because(PGHA_WHY_PRIMARY_DEMOTED, leader);
		return true;
	}

	/* A primary that was not there since this node started gets time to start. */
	if (!primary->was_primary)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_UNKNOWN, PGHA_NOBODY);
		if (now - node->awake >= settings->startup_grace &&
			primary->contact != PGHA_CONTACT_ANSWERED &&
			primary->contact != PGHA_CONTACT_ERROR &&
			primary->contact != PGHA_CONTACT_STARTING &&
			(primary->contact != PGHA_CONTACT_UNLEARNT || !RULE(node, PGHA_RULE_UNLEARNT)))
			return true;
	}
	else if (!RULE(node, PGHA_RULE_PRIMARY_GONE))
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}
	else if (asked && primary->contact == PGHA_CONTACT_REFUSED)
	{
		if (!node->local.receiver_ended_clean || !RULE(node, PGHA_RULE_CLEAN_STOP))
		{
			*why = pgha_because(PGHA_WHY_PRIMARY_CRASHED, leader);
			if (is_refused_for_good(node, primary, now))
				return true;
			*why = pgha_because(PGHA_WHY_WAITING_PRIMARY, leader);
			return false;
		}
		*why = pgha_because(PGHA_WHY_PRIMARY_STOPPED, leader);
		if (now - pgha_later(primary->contact_since, node->awake) >= settings->failure_timeout)
			return true;
	}

	if (asked && primary->contact == PGHA_CONTACT_STARTING)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_STARTING, leader);
		if (!RULE(node, PGHA_RULE_STARTUP_GRACE) ||
			now - pgha_later(primary->contact_since, node->awake) >= settings->startup_grace)
			return true;
	}

	/* A request that hangs says as much as one that was given up, whenever it was sent. */
	if (primary->was_primary && primary->contact != PGHA_CONTACT_ERROR &&
		(primary->contact == PGHA_CONTACT_SILENT ||
		 (primary->asking && primary->contact != PGHA_CONTACT_REFUSED)) &&
		pgha_silence(node, primary, now) >= settings->failure_timeout)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}

	/* It has gone silent because it is being stopped, and was missing before. */
	if (primary->contact == PGHA_CONTACT_SILENT &&
		(node->stopping == leader || pgha_is_stopped(node, leader, now)))
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_SILENT, leader);
		return true;
	}

	*why = pgha_because(PGHA_WHY_WAITING_PRIMARY, leader);
	return false;
}

PghaWhy
pgha_members_objection(const PghaNode *node, pgha_time since, pgha_time now)
{
	const PghaSync *sync = &node->durable.sync;
	int			leader = pgha_known_leader(node);
	bool		demoted = leader != PGHA_NOBODY && pgha_counts(node, &node->member[leader]) &&
		node->member[leader].report.in_recovery;
	int			sure = 1;		/* listed standbys that answered, this one included */
	PghaWhy		objection = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	int			heir = pgha_find_member(node, pgha_heir(node, now));

	/* The primary has handed over, and whom to is given time to take over. */
	if (heir != PGHA_NOBODY && !pgha_is_self(node, heir))
		return pgha_because(PGHA_WHY_BETTER, heir);
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaReport *report = &m->report;

		if (pgha_is_self(node, i) || pgha_is_stopped(node, i, now))
			continue;
		switch (pgha_presence(node, m, since, now))
		{
			case PGHA_PRESENCE_ABSENT:
				continue;
			case PGHA_PRESENCE_UNKNOWN:
				if (RULE(node, PGHA_RULE_BEST) && RULE(node, PGHA_RULE_VETO))
					objection = pgha_because(PGHA_WHY_WAITING_ANSWER, i);
				continue;
			case PGHA_PRESENCE_ANSWERS:
				break;
		}
		if (leader != PGHA_NOBODY && i != leader && !demoted &&
			report->receiver == PGHA_RECEIVER_STREAMING &&
			strcmp(report->upstream, node->settings.name[leader]) == 0 &&
			report->receiver_age < node->settings.failure_timeout &&
			RULE(node, PGHA_RULE_VETO))
			return pgha_because(PGHA_WHY_VETO, i);
		if (is_better(node, report) && RULE(node, PGHA_RULE_BEST))
			return pgha_because(PGHA_WHY_BETTER, i);
		if (knows_later_leader(node, report) && RULE(node, PGHA_RULE_BEST) &&
			now - pgha_later(node->receiver_lost, node->awake) < node->settings.startup_grace)
			return pgha_because(PGHA_WHY_LATER_LEADER, i);

		/* Just promoted: it will be followed as soon as its promotion is checked. */
		if (!report->in_recovery && report->claim.term >= node->durable.claim.term &&
			RULE(node, PGHA_RULE_BEST))
			return pgha_because(PGHA_WHY_BETTER, i);
		if (report->in_recovery && !report->diverged && !report->fenced &&
			report->bar != PGHA_BAR_REPLAYING &&
			report->claim.term == node->durable.claim.term &&
			(sync->listed & (UINT32_C(1) << i)) != 0)
		{
			/* Barred or not: it may hold what was acknowledged and is not here. */
			if (sync->method == PGHA_SYNC_ANY && report->wal_end > node->local.wal_end &&
				node->durable.role != PGHA_ROLE_PRIMARY && RULE(node, PGHA_RULE_SYNC_ANY))
				return pgha_because(PGHA_WHY_BETTER, i);
			sure++;
		}
	}
	if (objection.reason == PGHA_WHY_NONE &&
		sync->method == PGHA_SYNC_ANY && sure < sync->num_listed - sync->num_sync + 1 &&
		node->durable.role != PGHA_ROLE_PRIMARY && RULE(node, PGHA_RULE_SYNC_ANY))
		return pgha_because(PGHA_WHY_QUORUM, PGHA_NOBODY);
	return objection;
}
