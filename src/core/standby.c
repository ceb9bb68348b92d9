/*
 * standby.c
 *		In recovery: follow, diverged, return to lead.
 *
 * Called by pgha_step() for a server in recovery.  Never gives the WAL receiver
 * an upstream before the WAL here was compared with the leader's history.
 */
#include "standby.h"
#include "ballot.h"
#include "candidacy.h"
#include "claim.h"
#include "election.h"
#include "eligibility.h"
#include "fencing.h"
#include "members.h"
#include "primary.h"
#include "recall.h"

/* Gives the WAL receiver its upstream, and remembers whose history is here. */
static void
begin_following(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[leader].report;
	PghaAction *action;

	if (pgha_claim_compare(&node->durable.claim, &report->claim) != 0 ||
		node->durable.role != PGHA_ROLE_STANDBY || node->durable.replaced.timeline != 0 ||
		node->durable.fenced || node->durable.diverged)
	{
		pgha_settle_claim(&node->durable);
		node->durable.claim = report->claim;
		node->durable.role = PGHA_ROLE_STANDBY;
		node->durable.fenced = false;
		node->durable.diverged = false;
		node->durable.sync = report->sync;
		node->sync_reach = report->wal_end;
		memset(node->gap, 0, sizeof(node->gap));
		strcpy(node->durable.leader_instance, report->ec2_instance);
		pgha_act(step, PGHA_ACT_WRITE_STATE);
	}
	node->upstream = leader;
	node->upstream_claim = report->claim;
	node->upstream_timeline = report->timeline;
	node->upstream_slot = (report->slots & (UINT32_C(1) << node->settings.self)) != 0;
	node->leader_end = report->wal_end;
	action = pgha_act(step, PGHA_ACT_FOLLOW);
	action->member = leader;
	action->timeline = report->timeline;
	pgha_tell(step, pgha_because(PGHA_WHY_FOLLOWING, leader));
	pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_FOLLOWING, leader));
}

static void
set_diverged(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaClaim *claim = &node->member[leader].report.claim;
	PghaWhy		why = pgha_because(PGHA_WHY_DIVERGED, leader);

	if (node->state != PGHA_DIVERGED || pgha_claim_compare(&node->diverged_from, claim) != 0)
	{
		node->diverged_from = *claim;
		node->durable.diverged = true;
		node->durable.role = PGHA_ROLE_STANDBY;

		/* From that one it may have diverged for other reasons, too. */
		if (pgha_claim_compare(claim, &node->durable.claim) > 0)
			pgha_settle_claim(&node->durable);
		pgha_act(step, PGHA_ACT_WRITE_STATE);
		pgha_unfollow(step);
		pgha_tell(step, why);
	}
	pgha_enter(step, PGHA_DIVERGED, why);
}

/*
 * Has the leader the very WAL that is here in front of `end`, on a timeline of
 * the same number?  Asks for that as need be; NOT_COMPARED until it is known.
 *
 * Each promotion by pgha begins a timeline that nobody else can have begun.  An
 * administrator's may not, and a server that is started out of recovery begins
 * none: numbers and positions can be alike, and the WAL is not.
 */
static PghaComparison
compare_wal(PghaStep *step, int leader, pgha_lsn begin, pgha_lsn end)
{
	PghaNode   *node = step->node;
	uint64_t	instance = node->member[leader].report.instance;
	PghaAction *action;

	if (node->compared.with != leader || node->compared.instance != instance ||
		node->compared.timeline != node->local.timeline || node->compared.end != end)
		node->compared.outcome = PGHA_WAL_NOT_COMPARED;
	if (node->compared.outcome != PGHA_WAL_NOT_COMPARED || node->compared.asking ||
		(node->compared.with == leader && step->now - node->compared.asked_at < node->settings.heartbeat_interval))
		return node->compared.outcome;

	node->compared.asking = true;
	node->compared.asked_at = step->now;
	node->compared.with = leader;
	node->compared.instance = instance;
	node->compared.timeline = node->local.timeline;
	node->compared.end = end;
	action = pgha_act(step, PGHA_ACT_COMPARE_WAL);
	action->member = leader;
	action->timeline = node->local.timeline;
	action->begin = begin < end ? begin : 0;
	action->end = end;
	return PGHA_WAL_NOT_COMPARED;
}

/* Is the WAL here a part of the leader's, whose timeline has the same number? */
static PghaFact
is_of_same_timeline(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[leader].report;
	bool		beyond = node->local.replayed > report->wal_end;
	bool		followed = node->durable.claim.term != 0;

	if (pgha_claim_compare(&node->durable.claim, &report->claim) == 0)
		return PGHA_YES;

	/* There is no WAL here that could be compared, or lost by following. */
	if (node->local.no_checkpoint || !RULE(node, PGHA_RULE_SAME_WAL))
		return followed ? PGHA_NO : beyond ? PGHA_NOT_KNOWN : PGHA_YES;

	switch (compare_wal(step, leader, report->claim.fork_lsn, beyond ? report->wal_end : node->local.replayed))
	{
		case PGHA_WAL_SAME:
			return beyond ? PGHA_NOT_KNOWN : PGHA_YES;
		case PGHA_WAL_DIFFERS:
		case PGHA_WAL_GONE:
			return PGHA_NO;
		case PGHA_WAL_NOT_NEEDED:
			/* As after a base backup, which ends with a segment; but it has followed nobody. */
			return followed ? PGHA_NO : beyond ? PGHA_NOT_KNOWN : PGHA_YES;
		case PGHA_WAL_NOT_COMPARED:
			break;
	}
	return PGHA_NOT_KNOWN;
}

/*
 * Is it a part of the history of a leader on another timeline?  If so by
 * numbers and positions, the WAL must not say otherwise.
 */
static PghaFact
is_in_history(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaHistory *history = &node->history;
	PghaFact	contained = pgha_history_contains(history, node->local.timeline, node->local.replayed);
	pgha_lsn	begin = 0;

	if (contained != PGHA_YES || node->local.no_checkpoint || !RULE(node, PGHA_RULE_SAME_WAL))
		return contained;
	for (int i = 1; i < history->count; i++)
	{
		if (history->entry[i].timeline == node->local.timeline)
			begin = history->entry[i - 1].end;
	}
	switch (compare_wal(step, leader, begin, node->local.replayed))
	{
		case PGHA_WAL_DIFFERS:
			return PGHA_NO;
		case PGHA_WAL_NOT_COMPARED:
			return PGHA_NOT_KNOWN;
		case PGHA_WAL_SAME:
		case PGHA_WAL_GONE:
		case PGHA_WAL_NOT_NEEDED:
			break;
	}
	return PGHA_YES;
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
follow(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[leader].report;
	PghaFact	contained;

	pgha_forget_attempts(node);
	if (node->upstream == leader && node->upstream_timeline == report->timeline &&
		pgha_claim_compare(&node->upstream_claim, &report->claim) == 0)
	{
		bool		slot = (report->slots & (UINT32_C(1) << node->settings.self)) != 0;

		if (slot != node->upstream_slot)
		{
			PghaAction *action = pgha_act(step, PGHA_ACT_FOLLOW);

			node->upstream_slot = slot;
			action->member = leader;
			action->timeline = report->timeline;
		}
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_FOLLOWING, leader));
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
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_CHECKING_HISTORY, leader));
	if (node->local.receiver != PGHA_RECEIVER_WAITING)
	{
		/* It must not come back to the former leader, whose order it may still have. */
		if (node->local.receiver != PGHA_RECEIVER_NONE || node->upstream != PGHA_NOBODY)
			pgha_unfollow(step);
		return;
	}

	if (!RULE(node, PGHA_RULE_FORK))
		contained = PGHA_YES;
	else if (report->timeline == node->local.timeline)
		contained = is_of_same_timeline(step, leader);
	else if (report->timeline == 1)
		contained = PGHA_NO;	/* it has no parents */
	else if (node->history_of == leader && node->history.timeline == report->timeline)
		contained = is_in_history(step, leader);
	else
	{
		if (!node->history_asked &&
			(node->history_asked_at == 0 || node->history_of != leader ||
			 step->now - node->history_asked_at >= node->settings.heartbeat_interval))
		{
			PghaAction *action = pgha_act(step, PGHA_ACT_FETCH_HISTORY);

			node->history_asked = true;
			node->history_asked_at = step->now;
			node->history_of = leader;
			node->history.timeline = 0;
			action->member = leader;
			action->timeline = report->timeline;
		}
		return;
	}

	if (contained == PGHA_YES)
		begin_following(step, leader);
	else if (contained == PGHA_NO)
		set_diverged(step, leader);
}

/*
 * What this former primary remembered is damaged.  If the greatest claim that
 * the members know is its own, it is the one that was lost: the next step goes
 * on with it.
 */
static bool
remember_own_claim(PghaStep *step)
{
	PghaNode   *node = step->node;
	const PghaClaim *greatest = NULL;

	if (!pgha_claim_is_lost(&node->durable) || node->durable.fenced)
		return false;
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && pgha_counts(node, m) && !pgha_is_void(&m->report) &&
			(greatest == NULL || pgha_claim_compare(&m->report.claim, greatest) > 0))
			greatest = &m->report.claim;
	}
	if (greatest == NULL || strcmp(greatest->leader, node->settings.name[node->settings.self]) != 0)
		return false;
	node->durable.claim = *greatest;
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	return true;
}

/*
 * A former primary learns of a greater claim: it leads no more.  What the
 * history of that leader says of the WAL here is seen when it shows up.
 */
static void
yield_to_greater_claim(PghaStep *step)
{
	PghaNode   *node = step->node;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (pgha_is_self(node, i) || !pgha_counts(node, m) || pgha_is_void(&m->report) ||
			!RULE(node, PGHA_RULE_FENCE) ||
			pgha_claim_compare(&m->report.claim, &node->durable.claim) <= 0)
			continue;
		node->durable.role = PGHA_ROLE_STANDBY;
		node->durable.fenced = true;
		node->bar = pgha_promotion_bar(node, step->now);
		pgha_act(step, PGHA_ACT_WRITE_STATE);
		pgha_tell(step, pgha_because(PGHA_WHY_GREATER_CLAIM, i));
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_GREATER_CLAIM, i));
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

		if (pgha_is_self(node, i))
			continue;
		if (!pgha_counts(node, m) || m->told < node->awake ||
			(!pgha_is_void(&m->report) &&
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
return_to_lead(PghaStep *step)
{
	PghaNode   *node = step->node;
	const PghaMember *self = &node->member[node->settings.self];
	const PghaWhy was = node->why;
	PghaWhy		objection;
	PghaWhy		unheard;
	bool		all_answer = true;
	int			refuses = PGHA_NOBODY;

	if (node->state != PGHA_RETURNING)
	{
		pgha_enter(step, PGHA_RETURNING, pgha_because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		pgha_tell(step, node->why);
	}
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (pgha_is_self(node, i))
			continue;
		if (!pgha_counts(node, m) || m->told < node->awake)
			all_answer = false;
		if (m->contact == PGHA_CONTACT_ERROR && !m->misnamed)
			refuses = i;
	}
	pgha_enter(step, PGHA_RETURNING, node->bar == PGHA_BAR_FORGOT ?
			   pgha_because(PGHA_WHY_FORGOT, pgha_recall_missing(node)) : pgha_because(PGHA_WHY_RETURNING, PGHA_NOBODY));
	if (node->bar != PGHA_MAY_PROMOTE)
		return;

	/* A copy of the leader's data directory must not lead beside it: who has the own address? */
	if ((self->contact == PGHA_CONTACT_NEVER || self->contact == PGHA_CONTACT_SILENT ||
		 self->contact == PGHA_CONTACT_UNLEARNT) &&
		RULE(node, PGHA_RULE_PASSIVE) &&
		step->now - node->awake < node->settings.startup_grace)
		return;

	/* A server is there that does not let itself be read: it may be the leader. */
	if (refuses != PGHA_NOBODY && RULE(node, PGHA_RULE_RETURN))
	{
		pgha_enter(step, PGHA_RETURNING, pgha_because(PGHA_WHY_WAITING_ANSWER, refuses));
		return;
	}
	if (!all_answer && RULE(node, PGHA_RULE_RETURN) &&
		step->now - node->awake < node->settings.startup_grace)
		return;

	/* Whoever may have taken over must be heard: stopping it would lose what it has acknowledged. */
	unheard = pgha_may_lead_unheard(node);
	if (unheard.reason != PGHA_WHY_NONE)
	{
		/* It may be for ever, as with one that has not the WAL it begins with: an administrator has to know. */
		if (was.reason != unheard.reason || was.member != unheard.member)
			pgha_tell(step, unheard);
		pgha_enter(step, PGHA_RETURNING, unheard);
		return;
	}

	/* All WAL here must be replayed, or it could not be compared with others'. */
	if (node->local.receiver != PGHA_RECEIVER_WAITING)
	{
		pgha_unfollow(step);
		return;
	}
	objection = pgha_members_objection(node, node->awake, step->now);
	if (objection.reason != PGHA_WHY_NONE)
	{
		pgha_enter(step, PGHA_RETURNING, objection);
		return;
	}
	pgha_begin_promotion(step, pgha_because(PGHA_WHY_NO_NEWS, PGHA_NOBODY));
}

/*
 * A standby whose first WAL is missing here: without an upstream it would wait for
 * ever.  Nothing is replayed, but the data files may be as far as pg_control says,
 * and that must be a part of the leader's history.  It can do nothing else: it must
 * neither lead nor be elected.
 */
static void
begin_without_wal(PghaStep *step)
{
	PghaNode   *node = step->node;
	const PghaWhy why = pgha_because(PGHA_WHY_NO_CHECKPOINT, PGHA_NOBODY);
	int			leader = pgha_visible_leader(node, step->now);

	if (node->passive != PGHA_ACTIVE && RULE(node, PGHA_RULE_PASSIVE))
		return;
	if (leader != PGHA_NOBODY)
	{
		follow(step, leader);
		return;
	}

	/* Nobody can connect here and ask. */
	if (node->why.reason != why.reason)
		pgha_tell(step, why);
	pgha_enter(step, node->state, why);
}

/* B4: from whom this node streams, does it still do so rightly? */
static bool
streams_rightly(const PghaNode *node, pgha_time now)
{
	const PghaMember *upstream = &node->member[node->upstream];

	if (!RULE(node, PGHA_RULE_FOLLOW))
		return true;
	if (node->why.reason == PGHA_WHY_FETCHING && node->why.member == node->upstream)
		return pgha_may_fetch_from(node, node->upstream, now);

	/* What comes from a leader that is not to be followed must not be confirmed. */
	return !(pgha_counts(node, upstream) && upstream->report.in_recovery) &&
		node->upstream == pgha_supported(node) &&
		(!node->durable.forgot || pgha_may_follow_unaware(node, &upstream->report));
}

/* The leader that votes have made is followed; if there is none, one is elected. */
static void
under_quorum(PghaStep *step)
{
	PghaNode   *node = step->node;
	int			leader = pgha_leader_to_follow(node, step->now);

	if (node->upstream != PGHA_NOBODY && !streams_rightly(node, step->now))
		pgha_unfollow(step);
	if (leader == PGHA_NOBODY || node->voting.candidacy != 0)
	{
		pgha_seek_election(step);
		return;
	}
	if (node->durable.diverged && node->state == PGHA_STARTING)
		pgha_enter(step, PGHA_DIVERGED, pgha_because(PGHA_WHY_CHECKING_HISTORY, leader));
	if (node->voting.receiver == PGHA_NOT_STOPPED)
		follow(step, leader);
}

void
pgha_standby_side(PghaStep *step)
{
	PghaNode   *node = step->node;
	int			leader;

	if (node->state == PGHA_PROMOTING || node->state == PGHA_FENCING)
		return;					/* the outcome of the next action is on its way */
	if (node->local.crash_recovery)
	{
		/* Nothing else is decided before it is known what it will be. */
		if (node->local.no_checkpoint && RULE(node, PGHA_RULE_NO_WAL))
			begin_without_wal(step);
		return;
	}

	pgha_close_gate(step);
	node->posted = false;

	if (node->passive != PGHA_ACTIVE && RULE(node, PGHA_RULE_PASSIVE))
	{
		if (node->state != PGHA_PASSIVE)
			pgha_tell(step, (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive});
		pgha_enter(step, PGHA_PASSIVE, pgha_because(PGHA_WHY_PASSIVE, PGHA_NOBODY));

		/* The stream, the slot and the acks belong to the server that has the name. */
		if (node->passive == PGHA_PASSIVE_NAME_IN_USE)
			pgha_unfollow(step);
		return;
	}
	if (node->state == PGHA_PASSIVE)
		pgha_enter(step, PGHA_STARTING, pgha_because(PGHA_WHY_STARTED, PGHA_NOBODY));

	if (pgha_in_force(node))
	{
		under_quorum(step);
		return;
	}

	/* A promotion to resume its claim was under way before the start. */
	if (node->durable.role == PGHA_ROLE_PRIMARY)
		node->durable.fenced = false;
	if (remember_own_claim(step))
		return;
	if (node->durable.role == PGHA_ROLE_PRIMARY && !node->durable.fenced)
		yield_to_greater_claim(step);

	if (greater_claim_is_gone(node))
	{
		node->durable.role = PGHA_ROLE_PRIMARY;
		node->durable.fenced = false;
		pgha_act(step, PGHA_ACT_WRITE_STATE);
		if (node->state == PGHA_STARTING)
			pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		pgha_enter(step, PGHA_RETURNING, pgha_because(PGHA_WHY_RETURNING, PGHA_NOBODY));
		pgha_tell(step, node->why);
		return;
	}

	leader = pgha_visible_leader(node, step->now);
	if (leader != PGHA_NOBODY)
	{
		if (node->durable.diverged && node->state == PGHA_STARTING)
			pgha_enter(step, PGHA_DIVERGED, pgha_because(PGHA_WHY_CHECKING_HISTORY, leader));
		follow(step, leader);
	}

	/* Others elect their leaders: this one would have to give up at once. */
	else if (pgha_other_rule(node) != PGHA_NOBODY)
		pgha_enter(step, node->durable.diverged ? PGHA_DIVERGED : PGHA_STANDBY,
				   pgha_because(PGHA_WHY_NO_RULE, PGHA_NOBODY));
	else if (node->durable.role == PGHA_ROLE_PRIMARY && !node->durable.fenced &&
			 !node->durable.diverged)
		return_to_lead(step);
	else
		pgha_stand_for_election(step);
}
