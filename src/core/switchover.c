/*
 * switchover.c
 *		A leader hands over as planned, and nothing is lost.
 *
 * Called by pgha_step() with an administrator's order and by the leader's half
 * once a step (quorum.md, 6 H).  Until the hand-over is published it can be
 * given up and commits go on; after that only an election makes a leader.
 */
#include "switchover.h"
#include "members.h"
#include "rule.h"

/* Those who do not read the news in time are not waited for. */
#define NEWS_TIME			200000

/* May this member be handed over to? */
static bool
is_fit(const PghaNode *node, int member)
{
	const PghaMember *m = &node->member[member];
	const PghaVotingRule *rule = &node->durable.rule;

	return !pgha_is_self(node, member) && pgha_counts(node, m) && m->report.in_recovery &&
		m->report.bar == PGHA_MAY_PROMOTE && m->report.votes != 0 &&
		pgha_supports(&m->report, node->durable.claim.term, node->settings.name[node->settings.self]) &&
		node->local.flushed[member] != 0 &&
		pgha_is_among(rule, rule->eligible, node->settings.name[member]);
}

/* The one that is furthest of those that are fit. */
static int
best_target(const PghaNode *node)
{
	int			best = PGHA_NOBODY;

	for (int i = 0; i < node->settings.count; i++)
	{
		if (is_fit(node, i) &&
			(best == PGHA_NOBODY || node->local.flushed[i] > node->local.flushed[best]))
			best = i;
	}
	return best;
}

PghaWhy
pgha_switchover_refusal(const PghaNode *node, int target, pgha_time now)
{
	if (node->local.in_recovery || !node->posted || !pgha_in_force(node))
		return pgha_because(PGHA_WHY_NO_LEADER, PGHA_NOBODY);
	if (node->voting.handover != PGHA_NOBODY)
		return pgha_because(PGHA_WHY_HANDING_OVER, node->voting.handover);

	/* Whoever has no majority now would not find one for the successor. */
	if (!node->gate_open || now >= node->voting.lease_deadline)
		return pgha_because(PGHA_WHY_WAITING_LEASE, PGHA_NOBODY);
	if (target == PGHA_NOBODY)
		target = best_target(node);
	if (target == PGHA_NOBODY || !is_fit(node, target))
		return (PghaWhy) {PGHA_WHY_BARRED, target,
			target == PGHA_NOBODY ? PGHA_MAY_PROMOTE : node->member[target].report.bar, PGHA_ACTIVE};
	return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}

void
pgha_begin_switchover(PghaStep *step, int target)
{
	PghaVoting *voting = &step->node->voting;

	voting->handover = target == PGHA_NOBODY ? best_target(step->node) : target;
	voting->handover_since = step->now;
	voting->handover_lsn = step->node->local.wal_end;
	pgha_tell(step, pgha_because(PGHA_WHY_HANDING_OVER, voting->handover));
}

void
pgha_tend_switchover(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if (voting->handover == PGHA_NOBODY)
		return;
	if (voting->released != 0)
	{
		/* H5: the shutdown checkpoint reaches the target by the stream. */
		if (step->now - voting->handover_since >= NEWS_TIME)
		{
			node->durable.role = PGHA_ROLE_STANDBY;
			node->posted = false;
			pgha_act(step, PGHA_ACT_WRITE_STATE);
			pgha_enter(step, PGHA_FENCING, pgha_because(PGHA_WHY_HANDING_OVER, voting->handover));
			node->fence_tried = step->now;
			pgha_act(step, PGHA_ACT_HAND_OVER);
		}
		return;
	}

	/* H7 */
	if (step->now - voting->handover_since >= node->settings.failure_timeout || !is_fit(node, voting->handover))
	{
		voting->handover = PGHA_NOBODY;
		voting->handover_lsn = 0;
		return;
	}

	/* H3: what was acknowledged before the gate was shut is there; H4: it is said after it was shut. */
	if (node->local.flushed[voting->handover] < voting->handover_lsn || (node->gate_open && RULE(node, PGHA_RULE_RELEASE)))
		return;
	if (RULE(node, PGHA_RULE_RELEASE))
		pgha_act(step, PGHA_ACT_CLOSE_GATE);
	voting->released = node->durable.claim.term;
	voting->handover_since = step->now;
}
