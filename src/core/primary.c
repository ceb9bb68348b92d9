/*
 * primary.c
 *		Out of recovery: lead, or give up to a greater claim.
 *
 * Called by pgha_step() for a server out of recovery, and by the election when
 * its promotion is done.  Never leads while a member is known to hold a greater
 * claim, and never promotes.
 */
#include "primary.h"
#include "claim.h"
#include "members.h"

/* Fencing that failed (disk full?) is tried again after this time. */
#define FENCE_INTERVAL		1000000

int
pgha_greater_claim(const PghaNode *node)
{
	const PghaClaim *own = &node->durable.claim;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaClaim *claim = &m->report.claim;

		if (pgha_is_self(node, i) || !pgha_counts(node, m) || pgha_is_void(&m->report))
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

void
pgha_fence_self(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	pgha_close_gate(step);
	node->posted = false;
	node->durable.role = PGHA_ROLE_STANDBY;
	node->durable.fenced = true;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_enter(step, PGHA_FENCING, why);
	node->fence_tried = step->now;
	pgha_act(step, PGHA_ACT_FENCE);
}

/* Have all other members been asked since `since`, with an outcome? */
static bool
all_told(const PghaNode *node, pgha_time since, int *missing)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		if (!pgha_is_self(node, i) &&
			(node->member[i].told < since || node->member[i].contact == PGHA_CONTACT_NEVER))
		{
			*missing = i;
			return false;
		}
	}
	return true;
}

void
pgha_lead(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	node->posted = true;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_open_gate(step);
	pgha_enter(step, PGHA_PRIMARY, pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY));
}

/* The first decision of a server that came up, or woke up, out of recovery. */
static void
decide_to_lead(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaClaim  *claim = &node->durable.claim;
	const char *self = node->settings.name[node->settings.self];
	int			missing = PGHA_NOBODY;

	if (RULE(node, PGHA_RULE_GATE) && !all_told(node, node->deciding_since, &missing))
	{
		pgha_enter(step, PGHA_STARTING, pgha_because(PGHA_WHY_ASKING_MEMBERS, missing));
		return;
	}

	/* Where its timeline began tells whose it is: neither right nor wrong while it cannot be read. */
	if (node->local.fork_unknown)
	{
		pgha_enter(step, PGHA_STARTING, pgha_because(PGHA_WHY_CHECKING_HISTORY, node->settings.self));
		return;
	}

	/*
	 * Gave up, but has not gone down: standby.signal could not be written, and
	 * the worker that tried has ended.
	 */
	if ((node->durable.fenced || node->durable.diverged) && !node->was_standby &&
		RULE(node, PGHA_RULE_FENCE))
	{
		pgha_fence_self(step, pgha_because(PGHA_WHY_FENCED, PGHA_NOBODY));
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
			pgha_fence_self(step, pgha_because(PGHA_WHY_PROMOTION_FAILED, PGHA_NOBODY));
			return;
		}
		if (!pgha_posted(&node->durable))
			claim->fork_lsn = node->local.fork_lsn;
		pgha_lead(step, pgha_because(PGHA_WHY_RESUMED, PGHA_NOBODY));
		return;
	}

	if (claim->term == 0)
	{
		node->max_term = pgha_later(node->max_term, 1);
		pgha_tell(step, pgha_because(PGHA_WHY_FIRST_PRIMARY, PGHA_NOBODY));
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
	pgha_lead(step, claim->term == 1 ? pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY) :
			  pgha_because(PGHA_WHY_PROMOTED_BY_HAND, PGHA_NOBODY));
}

void
pgha_primary_side(PghaStep *step)
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
			pgha_act(step, PGHA_ACT_WRITE_STATE);
			pgha_act(step, PGHA_ACT_FENCE);
		}
		return;
	}
	if (node->passive == PGHA_PASSIVE_NAME_IN_USE)
	{
		if (node->state != PGHA_PASSIVE)
			pgha_tell(step, (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive});
		pgha_close_gate(step);
		node->posted = false;
		pgha_enter(step, PGHA_PASSIVE, pgha_because(PGHA_WHY_PASSIVE, PGHA_NOBODY));
		return;
	}
	greater = pgha_greater_claim(node);
	if (greater != PGHA_NOBODY)
	{
		pgha_fence_self(step, pgha_because(PGHA_WHY_GREATER_CLAIM, greater));
		return;
	}
	if (node->state != PGHA_PRIMARY)
		decide_to_lead(step);
}
