/*
 * fencing.c
 *		The old primary's instance is stopped first (pgha.fence).
 *
 * Called by the election before it promotes, asked by eligibility.c and, for a
 * former primary, by standby.c, and told when a stop that is under way, or failed,
 * is of no account any more.  Never promotes, and never stops the instance of a
 * primary that is proved gone.
 */
#include "fencing.h"
#include "members.h"

/* An instance that was stopped is sure not to run a server again within this time. */
#define STOP_HOLDS			10000000

/*
 * Is the old primary known not to acknowledge anything any more?  Silence does
 * not show that, nor does a server that starts up, nor a refused connection: a
 * firewall can refuse it, and a backend outlives its postmaster for a moment.
 */
static bool
is_proved_gone(const PghaNode *node, int leader)
{
	const PghaMember *primary = &node->member[leader];

	/* Heard since as a standby, it may have been promoted anew. */
	if (pgha_has_let_go(node) && primary->report.released == pgha_followed_term(node))
		return true;

	/* Those who could confirm its commits are on this side. */
	if (node->durable.sync.method == PGHA_SYNC_ANY)
		return true;
	if (primary->told >= node->receiver_lost &&
		((primary->contact == PGHA_CONTACT_REFUSED && !RULE(node, PGHA_RULE_REFUSED)) ||
		 (pgha_counts(node, primary) && primary->report.in_recovery)))
		return true;
	return primary->was_primary && node->local.receiver_ended_clean &&
		primary->alive <= node->receiver_lost;
}

bool
pgha_needs_stop(const PghaNode *node)
{
	int			leader = pgha_known_leader(node);

	return node->settings.fence && leader != PGHA_NOBODY && !is_proved_gone(node, leader) &&
		RULE(node, PGHA_RULE_STOP_OLD);
}

/* One that refuses does not lead, or its host is off; so nobody waits for what has died for good. */
PghaWhy
pgha_may_lead_unheard(const PghaNode *node)
{
	const PghaWhy none = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);

	if (!node->settings.fence || !RULE(node, PGHA_RULE_RETURN_HEARD))
		return none;
	for (int i = node->settings.count - 1; i >= 0; i--)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) &&
			(m->told < node->awake ||
			 (m->contact != PGHA_CONTACT_ANSWERED && m->contact != PGHA_CONTACT_REFUSED && !m->misnamed)))
			return pgha_because(m->contact == PGHA_CONTACT_STARTING ?
								PGHA_WHY_MAY_LEAD_STARTING : PGHA_WHY_MAY_LEAD, i);
	}
	return none;
}

PghaReason
pgha_stop_obstacle(const PghaNode *node)
{
	if (node->durable.leader_instance[0] == '\0')
		return PGHA_WHY_STOP_UNKNOWN;
	return node->local.agent ? PGHA_WHY_NONE : PGHA_WHY_STOP_NO_AGENT;
}

bool
pgha_is_stopped(const PghaNode *node, int member, pgha_time now)
{
	return member != PGHA_NOBODY && node->stopped == member &&
		node->member[member].alive <= node->stopped_at &&
		now - node->stopped_at < STOP_HOLDS;
}

void
pgha_forget_stop(PghaStep *step)
{
	PghaNode   *node = step->node;

	if (node->stopping != PGHA_NOBODY)
		pgha_act(step, PGHA_ACT_FORGET_STOP)->member = node->stopping;
	node->stopping = PGHA_NOBODY;
}

/* Tells a reason that has to do with stopping, unless it was told of this loss before. */
static void
tell_of_stop(PghaStep *step, PghaWhy why)
{
	uint64_t	bit = UINT64_C(1) << why.reason;

	_Static_assert(PGHA_WHY_NO_RULE <= 64, "reasons told are kept in a 64 bit set; those of votes are not told here");
	if ((step->node->stop_told & bit) == 0)
		pgha_tell(step, why);
	step->node->stop_told |= bit;
}

/* The old primary may be alive, and is not stopped: this node stays what it is. */
static void
refrain(PghaStep *step, PghaReason reason, int leader)
{
	PghaNode   *node = step->node;

	node->bar = PGHA_BAR_HELD_OFF;
	node->not_fenced = pgha_because(reason, leader);
	tell_of_stop(step, node->not_fenced);
	pgha_enter(step, PGHA_STANDBY, node->not_fenced);
}

/* It was tried in vain: others may go first, for longer each time, and then it is tried again. */
static void
give_up_stop(PghaStep *step, PghaReason reason, int leader)
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

bool
pgha_old_primary_is_off(PghaStep *step, PghaWhy loss)
{
	PghaNode   *node = step->node;
	int			leader = pgha_known_leader(node);

	if (!pgha_needs_stop(node) || pgha_is_stopped(node, leader, step->now))
		return true;

	node->stop_wanted = true;
	if (node->stopping == leader)
	{
		if (step->now - node->stop_ordered < node->settings.fence_timeout)
			pgha_enter(step, PGHA_CANDIDATE, pgha_because(PGHA_WHY_STOPPING_OLD, leader));
		else
		{
			pgha_forget_stop(step);
			give_up_stop(step, PGHA_WHY_STOP_TIMEOUT, leader);
		}
		return false;
	}
	tell_of_stop(step, loss);
	if (pgha_stop_obstacle(node) != PGHA_WHY_NONE)
		refrain(step, pgha_stop_obstacle(node), leader);
	else
	{
		pgha_forget_stop(step);
		node->stopping = leader;
		node->stop_ordered = step->now;
		pgha_act(step, PGHA_ACT_STOP_OLD)->member = leader;
		tell_of_stop(step, pgha_because(PGHA_WHY_STOPPING_OLD, leader));
		pgha_enter(step, PGHA_CANDIDATE, pgha_because(PGHA_WHY_STOPPING_OLD, leader));
	}
	return false;
}

void
pgha_take_old_stopped(PghaStep *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;

	if (node->stopping == PGHA_NOBODY || node->stopping != event->member)
		return;					/* taken back meanwhile */
	node->stopping = PGHA_NOBODY;
	if (event->ok)
	{
		node->stopped = event->member;
		node->stopped_at = step->now;
		pgha_tell(step, pgha_because(PGHA_WHY_OLD_STOPPED, event->member));
	}
	else
		give_up_stop(step, PGHA_WHY_STOP_FAILED, event->member);
}

void
pgha_forget_attempts(PghaNode *node)
{
	node->stop_failures = 0;
	node->stop_told = 0;
	node->not_fenced = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}
