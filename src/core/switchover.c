/*
 * switchover.c
 *		A leader hands over as planned, and nothing is lost.
 *
 * Called by pgha_step() with an administrator's order and by the leader's half
 * once a step (quorum.md, 6 H).  In this order, each bounded:
 *
 *	announced	The target hears that it is to take over, repeats it in its report, and
 *				asks often from then on.  Commits go on.
 *	held		New commits wait, until the target has flushed all that there is.
 *	let go		This node says that its gate is closed for good, and has made durable
 *				that it starts as a standby, before it said so.
 *	down		When that was heard, it shuts down cleanly.  Its agent starts it again; if
 *				none is connected any more it restarts by itself, as after a crash.
 *
 * Until it has let go it can be given up, and commits go on; after that this node
 * leads again only as any other standby may.  With votes the target stands for
 * election (candidacy.c), without them it promotes itself (election.c).
 */
#include "switchover.h"
#include "claim.h"
#include "members.h"
#include "rule.h"

/* Those who do not read the news in time are not waited for. */
#define NEWS_TIME			200000

/* So much less than the leader's is no lag: commits are held only while it is made up for. */
#define NEARLY_ALL			(UINT64_C(1) << 20)

/* What keeps a standby from being promoted by itself, not by an order. */
static bool
may_be_ordered(PghaBar bar)
{
	return bar == PGHA_MAY_PROMOTE || bar == PGHA_BAR_PAUSED || bar == PGHA_BAR_AUTO_FAILOVER;
}

/* Is it a standby of this leader? */
static bool
follows(const PghaNode *node, int member)
{
	const PghaMember *m = &node->member[member];

	return !pgha_is_self(node, member) && member < node->settings.count && pgha_counts(node, m) &&
		m->report.in_recovery && node->local.flushed[member] != 0;
}

/* May this member be handed over to? */
static bool
is_fit(const PghaNode *node, int member)
{
	const PghaReport *report = &node->member[member].report;
	const PghaVotingRule *rule = &node->durable.rule;

	if (!follows(node, member) || report->passive != PGHA_ACTIVE || !may_be_ordered(report->bar))
		return false;
	if (!pgha_in_force(node))
		return !report->fenced && !report->diverged &&
			pgha_claim_compare(&report->claim, &node->durable.claim) == 0;
	return report->votes != 0 &&
		pgha_supports(report, node->durable.claim.term, node->settings.name[node->settings.self]) &&
		pgha_is_among(rule, rule->eligible, node->settings.name[member]);
}

/* The one that is furthest of those that are fit, or whose priority is higher. */
static int
best_target(const PghaNode *node)
{
	int			best = PGHA_NOBODY;

	for (int i = 0; i < node->settings.count; i++)
	{
		if (!is_fit(node, i))
			continue;
		if (best == PGHA_NOBODY ||
			node->member[i].report.priority > node->member[best].report.priority ||
			(node->member[i].report.priority == node->member[best].report.priority &&
			 node->local.flushed[i] > node->local.flushed[best]))
			best = i;
	}
	return best;
}

/* More than what is made up for in a moment? */
static bool
lags(const PghaNode *node, int member, uint64_t limit)
{
	const PghaLocal *local = &node->local;

	return local->wal_end > local->flushed[member] + limit ||
		(local->applied[member] != 0 && local->wal_end > local->applied[member] + limit);
}

PghaWhy
pgha_switchover_refusal(const PghaNode *node, int target, pgha_time now)
{
	PghaWhy		why = pgha_because(PGHA_WHY_NONE, target);

	if (node->local.in_recovery || node->state != PGHA_PRIMARY || !node->posted)
		return pgha_because(node->why.reason != PGHA_WHY_NONE ? node->why.reason : PGHA_WHY_ASKING_MEMBERS,
							node->why.member);
	if (node->voting.handover != PGHA_NOBODY)
		return pgha_because(PGHA_WHY_HANDING_OVER, node->voting.handover);

	/* Whoever has no majority now would not find one for the successor. */
	if (!node->gate_open || (pgha_in_force(node) && now >= node->voting.lease_deadline))
		return pgha_because(PGHA_WHY_WAITING_LEASE, PGHA_NOBODY);
	if (target == PGHA_NOBODY)
		why.member = best_target(node);
	if (why.member == PGHA_NOBODY)
		why.reason = PGHA_WHY_NO_TARGET;
	else if (!follows(node, why.member) ||
			 (!is_fit(node, why.member) && may_be_ordered(node->member[why.member].report.bar)))
		why.reason = PGHA_WHY_NOT_STREAMING;
	else if (!is_fit(node, why.member))
	{
		why.reason = PGHA_WHY_TARGET_BARRED;
		why.bar = node->member[why.member].report.bar;
	}
	else if (lags(node, why.member, node->settings.max_failover_lag < 16 * NEARLY_ALL ? 16 * NEARLY_ALL : node->settings.max_failover_lag))
		why.reason = PGHA_WHY_LAGS;
	else
		why = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	return why;
}

void
pgha_begin_switchover(PghaStep *step, int target)
{
	PghaVoting *voting = &step->node->voting;

	voting->handover = target == PGHA_NOBODY ? best_target(step->node) : target;
	voting->handover_since = step->now;
	voting->holding = false;
	voting->handover_end = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	voting->handovers++;
	pgha_tell(step, pgha_because(PGHA_WHY_HANDING_OVER, voting->handover));
}

/* H7 */
static void
give_up(PghaStep *step, PghaReason reason)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	voting->handover_end = pgha_because(reason, voting->handover);
	voting->handover = PGHA_NOBODY;
	voting->holding = false;
	pgha_tell(step, voting->handover_end);
	if (!pgha_in_force(node) && node->posted)
		pgha_open_gate(step);
}

void
pgha_call_off_switchover(PghaStep *step)
{
	if (step->node->voting.handover != PGHA_NOBODY && step->node->voting.released == 0)
		give_up(step, PGHA_WHY_CALLED_OFF);
}

/* Has the member repeated the announcement, and (let_go) that this node has let go? */
static bool
has_heard(const PghaNode *node, int member, bool let_go)
{
	const PghaReport *report = &node->member[member].report;
	uint64_t	term = node->durable.claim.term;

	return pgha_counts(node, &node->member[member]) && report->in_recovery && report->handover.term == term &&
		strcmp(report->handover.name, node->settings.name[node->voting.handover]) == 0 &&
		(!let_go || report->released == term);
}

/* Do all know that have to, so that the target takes over at once? */
static bool
is_heard(const PghaNode *node)
{
	const PghaVotingRule *rule = &node->durable.rule;
	int			heard = 1;

	if (!has_heard(node, node->voting.handover, true))
		return false;
	if (!pgha_in_force(node))
		return true;
	for (int i = 0; i < rule->count; i++)
	{
		int			member = pgha_find_voter(node, rule->voter[i]);

		if (member != PGHA_NOBODY && !pgha_is_self(node, member) && has_heard(node, member, true))
			heard++;
	}
	return heard >= pgha_majority_of(rule);
}

/*
 * H4: it is said after it is durable, and after the gate was shut.  The state comes
 * first: if it cannot be written this node leads on, and must not find a
 * standby.signal at its next start.
 */
static void
let_go(PghaStep *step)
{
	PghaNode   *node = step->node;

	node->durable.role = PGHA_ROLE_STANDBY;
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_act(step, PGHA_ACT_BECOME_STANDBY);
	node->voting.released = node->durable.claim.term;
	node->voting.handover_since = step->now;
}

PghaActionType
pgha_way_down(const PghaNode *node)
{
	return node->voting.released != 0 && node->local.agent ? PGHA_ACT_HAND_OVER : PGHA_ACT_FENCE;
}

/* H5: the shutdown checkpoint reaches the target by the stream. */
static void
go_down(PghaStep *step)
{
	PghaNode   *node = step->node;

	node->posted = false;
	pgha_enter(step, PGHA_FENCING, pgha_because(PGHA_WHY_HANDING_OVER, node->voting.handover));
	node->fence_tried = step->now;
	pgha_act(step, pgha_way_down(node));
}

/* H2, H3: new commits wait until the target has all that was acknowledged before. */
static void
hold_commits(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if (node->gate_open && !pgha_in_force(node))
	{
		node->gate_open = false;
		pgha_act(step, PGHA_ACT_SUSPEND_GATE);
	}
	if (node->gate_open && RULE(node, PGHA_RULE_RELEASE))
		return;					/* the lease's half shuts it */

	/* Where the WAL ends is looked at once more, as it was looked at before the gate was shut. */
	if (voting->handover_shut == 0)
		voting->handover_shut = step->now;
	else if (voting->handover_lsn == 0 && step->now > voting->handover_shut)
		voting->handover_lsn = node->local.wal_end;
	if (voting->handover_lsn != 0 && node->local.flushed[voting->handover] >= voting->handover_lsn)
		let_go(step);
}

void
pgha_tend_switchover(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	pgha_time	passed = step->now - voting->handover_since;

	if (voting->released != 0)
	{
		if ((voting->handover != PGHA_NOBODY && is_heard(node)) || passed >= NEWS_TIME)
			go_down(step);
		return;
	}
	if (voting->handover == PGHA_NOBODY)
	{
		/* New settings may have taken the target away while commits were held for it. */
		if (voting->handovers != 0 && voting->handover_end.reason == PGHA_WHY_NONE)
			give_up(step, PGHA_WHY_NO_TARGET);
		return;
	}
	if (!is_fit(node, voting->handover) ||
		passed >= (voting->holding ? node->settings.failure_timeout / 2 : node->settings.failure_timeout))
	{
		give_up(step, PGHA_WHY_KEEPS_LEAD);
		return;
	}
	if (!voting->holding && has_heard(node, voting->handover, false) && !lags(node, voting->handover, NEARLY_ALL))
	{
		voting->holding = true;
		voting->handover_since = step->now;
		voting->handover_shut = 0;
		voting->handover_lsn = 0;
	}
	if (voting->holding)
		hold_commits(step);
}
