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
#include "lease.h"
#include "members.h"
#include "rule.h"
#include "switchover.h"

/* Fencing that failed (disk full?) is tried again after this time. */
#define FENCE_INTERVAL		1000000

int
pgha_other_rule(const PghaNode *node)
{
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && pgha_counts(node, m) && m->report.rule.term != 0)
			return i;
	}
	return PGHA_NOBODY;
}

/*
 * Have votes made that leader, as far as it says itself?  Who has no rule, and leads by
 * the old ways, supports itself, and so do others without a rule.
 */
static bool
is_elected(const PghaNode *node, const PghaBallot *leader)
{
	int			member = pgha_find_voter(node, leader->name);

	return member == PGHA_NOBODY || pgha_is_self(node, member) || !pgha_counts(node, &node->member[member]) ||
		pgha_has_forgotten(&node->member[member].report) || node->member[member].report.won >= leader->term;
}

/* F1: a voter that supports a later leader. */
static int
later_support(const PghaNode *node)
{
	if (!pgha_in_force(node))
		return RULE(node, PGHA_RULE_FORGOT) ? pgha_other_rule(node) : PGHA_NOBODY;
	if (!RULE(node, PGHA_RULE_LATER))
		return PGHA_NOBODY;
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && pgha_counts(node, m) &&
			m->report.support.term > node->durable.claim.term &&
			m->report.support.name[0] != '\0' && is_elected(node, &m->report.support))
			return i;
	}
	return PGHA_NOBODY;
}

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

		/* F1: one that votes have made; a vote that is given alone, or a promotion by hand, changes nothing. */
		if (pgha_in_force(node))
		{
			if (RULE(node, PGHA_RULE_LATER) && m->report.posted && !m->report.in_recovery &&
				m->report.won >= claim->term && claim->term > own->term)
				return i;
			continue;
		}
		if (claim->term > own->term && RULE(node, PGHA_RULE_FENCE))
			return i;
		if (claim->term == own->term && pgha_posted(&node->durable) &&
			RULE(node, PGHA_RULE_FENCE_TIE) &&
			strcmp(claim->leader, own->leader) != 0 &&
			(claim->fork_lsn != 0 || (m->report.posted && !m->report.in_recovery)) &&
			pgha_claim_compare(claim, own) > 0)
			return i;
	}
	return later_support(node);
}

/* Restarts as a standby; unless it was replaced it may lead again (L4, H5). */
static void
step_down(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	pgha_close_gate(step);
	node->posted = false;
	node->durable.role = PGHA_ROLE_STANDBY;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_enter(step, PGHA_FENCING, why);
	node->fence_tried = step->now;
	pgha_act(step, PGHA_ACT_FENCE);
}

void
pgha_fence_self(PghaStep *step, PghaWhy why)
{
	step->node->durable.fenced = true;
	step_down(step, why);
}

/*
 * Have all other members been asked since `since`, with an outcome?  One that this
 * node fails to ask is waited for, but not for ever.
 */
static bool
all_told(const PghaNode *node, pgha_time since, pgha_time now, int *missing)
{
	bool		patient = now - since < node->settings.startup_grace && RULE(node, PGHA_RULE_UNLEARNT);

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) &&
			(m->told < since || m->contact == PGHA_CONTACT_NEVER ||
			 (m->contact == PGHA_CONTACT_UNLEARNT && patient)))
		{
			*missing = i;
			return false;
		}
	}
	return true;
}

/*
 * Without quorum, too, a monitor that hangs or dies acknowledges nothing for long:
 * each step pushes the gate's deadline on.
 */
static void
push_deadline(PghaStep *step)
{
	pgha_set_deadline(step, step->now + step->node->settings.failure_timeout);
}

void
pgha_lead(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;

	node->posted = true;
	node->was_standby = false;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	push_deadline(step);
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
	bool		first = claim->term == 0;
	int			missing = PGHA_NOBODY;

	if (RULE(node, PGHA_RULE_GATE) && !all_told(node, node->deciding_since, step->now, &missing))
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
	if (((node->durable.fenced && node->durable.role != PGHA_ROLE_PRIMARY) || node->durable.diverged) &&
		!node->was_standby && RULE(node, PGHA_RULE_FENCE))
	{
		pgha_fence_self(step, pgha_because(PGHA_WHY_FENCED, PGHA_NOBODY));
		return;
	}

	/* Handed over, and its worker died before it went down. */
	if (node->durable.role == PGHA_ROLE_STANDBY && claim->term != 0 && strcmp(claim->leader, self) == 0 &&
		!node->was_standby)
	{
		step_down(step, pgha_because(PGHA_WHY_FENCED, PGHA_NOBODY));
		return;
	}

	/*
	 * A later fork than the one it led from: promoted past pgha while it waited for
	 * news.  One that was there at the start is its own, of a claim that was resumed.
	 */
	if (node->durable.role == PGHA_ROLE_PRIMARY && strcmp(claim->leader, self) == 0 &&
		!(pgha_posted(&node->durable) && node->local.fork_lsn > claim->fork_lsn &&
		  (node->was_standby || !RULE(node, PGHA_RULE_RESUME))))
	{
		/* The worker may have died between the promotion and its check. */
		if ((!pgha_posted(&node->durable) || node->durable.fenced) &&
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
		node->durable.fenced = false;
		pgha_settle_claim(&node->durable);
		pgha_lead(step, pgha_because(PGHA_WHY_RESUMED, PGHA_NOBODY));
		return;
	}

	if (first)
	{
		/* Where all have lost what they knew, the timelines tell that there were terms before. */
		if (pgha_is_unaware(node) && node->max_timeline > 1)
			node->max_term = pgha_later(node->max_term, node->max_timeline + 1);
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
	pgha_settle_claim(&node->durable);
	pgha_lead(step, first ? pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY) :
			  pgha_because(PGHA_WHY_PROMOTED_BY_HAND, PGHA_NOBODY));
}

/* ---- under quorum ---- */

void
pgha_lead_by_votes(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	node->posted = true;
	voting->lease_deadline = voting->gate_deadline = voting->lease_missed = 0;
	voting->opened = false;
	voting->open_at = 0;
	memset(&voting->committed, 0, sizeof(voting->committed));
	for (int i = 0; i < pgha_everybody(node); i++)
		node->member[i].granted = 0;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_enter(step, PGHA_PRIMARY, pgha_because(PGHA_WHY_WAITING_LEASE, PGHA_NOBODY));
}

void
pgha_take_office(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;
	const char *self = node->settings.name[node->settings.self];

	durable->claim.term = durable->won;
	durable->claim.fork_lsn = node->local.fork_lsn;
	memset(durable->claim.leader, 0, PGHA_NAME_SIZE);
	strcpy(durable->claim.leader, self);
	durable->leader_instance[0] = '\0';
	durable->role = PGHA_ROLE_PRIMARY;
	durable->fenced = false;
	durable->diverged = false;
	pgha_settle_claim(durable);
	memset(&durable->sync, 0, sizeof(durable->sync));
	durable->support.term = durable->won;
	memcpy(durable->support.name, durable->claim.leader, PGHA_NAME_SIZE);
	durable->vote_open = false;
	pgha_begin_rule(node);
	pgha_lead_by_votes(step, why);
}

/* A server came up out of recovery, or its worker did: may it go on as the leader that it was? */
static void
decide_by_votes(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;
	const char *self = node->settings.name[node->settings.self];

	if (node->local.fork_unknown)
		pgha_enter(step, PGHA_STARTING, pgha_because(PGHA_WHY_CHECKING_HISTORY, node->settings.self));
	else if ((durable->fenced || durable->diverged) && !node->was_standby)
		pgha_fence_self(step, pgha_because(PGHA_WHY_FENCED, PGHA_NOBODY));

	/* Elected, promoted, and the worker died before it was checked. */
	else if (durable->won > durable->claim.term && node->local.timeline == durable->won)
		pgha_take_office(step, pgha_because(PGHA_WHY_RESUMED, PGHA_NOBODY));
	else if (durable->won <= durable->claim.term && pgha_posted(durable) && strcmp(durable->claim.leader, self) == 0 &&
			 node->local.fork_lsn == durable->claim.fork_lsn)
		pgha_lead_by_votes(step, pgha_because(PGHA_WHY_RESUMED, PGHA_NOBODY));

	/* Stepped down or handed over, and did not get to go down. */
	else if (durable->won <= durable->claim.term && strcmp(durable->claim.leader, self) == 0 &&
			 node->local.fork_lsn == durable->claim.fork_lsn && !node->was_standby)
		step_down(step, pgha_because(PGHA_WHY_FENCED, PGHA_NOBODY));
	else
	{
		durable->diverged = true;
		pgha_fence_self(step, pgha_because(PGHA_WHY_NOT_ELECTED, PGHA_NOBODY));
	}
}

/*
 * Do all members with data answer, vote, and hear this leader?  One that is away when
 * voting begins, of an older version, or that cannot read what the others say, would
 * never know of the rule, and promote itself by the old ways.
 */
static bool
all_would_vote(const PghaNode *node, pgha_time now)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) &&
			(!pgha_counts(node, m) || m->granted <= now ||
			 !pgha_supports(&m->report, node->durable.claim.term, node->settings.name[node->settings.self])))
			return false;
	}
	return true;
}

/*
 * A leader that was not elected, as there was no quorum yet: the members vote
 * from now on if all with data promise to follow it, and a majority.
 */
static void
begin_quorum(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVotingRule rule;

	if (node->settings.voters < 3 || !node->gate_open || node->voting.handover != PGHA_NOBODY || pgha_is_unaware(node))
		return;
	rule = pgha_rule_of_file(node);
	if (!all_would_vote(node, step->now))
		return;
	if (step->now >= pgha_lease_under(node, &rule, step->now))
		return;
	node->durable.rule = rule;
	node->durable.won = node->durable.claim.term;
	node->voting.opened = true;
	pgha_tell(step, pgha_because(PGHA_WHY_VOTING_BEGINS, PGHA_NOBODY));
	pgha_act(step, PGHA_ACT_WRITE_STATE);
}

/*
 * B5: a voter whose vote for a later term was never resolved can neither follow
 * nor promise in this one.  If it stays so, the leader hands over, so that a
 * later term begins.  That can wait until it may move the lead by itself, and until
 * there is an agent that starts this server again.
 */
static void
renew_term(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	uint64_t	term = node->durable.claim.term;
	bool		unsupported = false;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaReport *report = &m->report;

		if (!pgha_is_self(node, i) && pgha_counts(node, m) &&
			pgha_voter_named(&node->durable.rule, report->node) != PGHA_NOBODY &&
			((report->vote_open && report->vote.term > term && report->candidacy == 0) ||
			 (report->support.term > term && report->support.name[0] == '\0')))
			unsupported = true;
	}
	if (!unsupported)
		voting->unsupported = 0;
	else if (voting->unsupported == 0)
		voting->unsupported = step->now;
	else if (step->now - pgha_later(voting->unsupported, node->awake) >= 10 * node->settings.failure_timeout &&
			 node->settings.auto_failover && !node->durable.paused && node->local.agent &&
			 pgha_switchover_refusal(node, PGHA_NOBODY, step->now).reason == PGHA_WHY_NONE)
	{
		voting->unsupported = 0;
		pgha_begin_switchover(step, PGHA_NOBODY);
	}
}

/* Would the voters that follow this leader be a majority without it? */
static bool
is_dispensable(const PghaNode *node)
{
	const PghaVotingRule *rule = &node->durable.rule;
	int			others = 0;

	for (int i = 0; i < rule->count; i++)
	{
		int			member = pgha_find_voter(node, rule->voter[i]);

		if (member != PGHA_NOBODY && !pgha_is_self(node, member) && pgha_counts(node, &node->member[member]) &&
			pgha_supports(&node->member[member].report, node->durable.claim.term,
						  node->settings.name[node->settings.self]))
			others++;
	}
	return others >= pgha_majority_of(rule);
}

/*
 * It was elected only because the others lacked WAL that it had: who may lead takes
 * over when he has it.  Not while that would need this server's vote, which then
 * restarts: nobody may be there to start it.
 */
static void
hand_on(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if (voting->deputy != node->durable.claim.term || !is_dispensable(node) || voting->handover != PGHA_NOBODY ||
		(voting->handovers != 0 && step->now - voting->handover_since < 10 * node->settings.failure_timeout))
		return;
	for (int i = 0; i < node->settings.count; i++)
	{
		if (node->member[i].report.bar == PGHA_MAY_PROMOTE &&
			pgha_switchover_refusal(node, i, step->now).reason == PGHA_WHY_NONE)
		{
			pgha_begin_switchover(step, i);
			return;
		}
	}
}

static void
lead_on(PghaStep *step)
{
	PghaNode   *node = step->node;
	const PghaWhy was = node->why;
	int			beside = pgha_unelected(node);
	pgha_time	missed;

	if (node->voting.released == 0)
		pgha_beat(step);
	if (!pgha_in_force(node))
	{
		begin_quorum(step);
		pgha_tend_switchover(step);
		return;
	}
	pgha_tend_rule(step);
	pgha_hold_gate(step);
	renew_term(step);
	hand_on(step);
	pgha_tend_switchover(step);
	if (node->state != PGHA_PRIMARY)
		return;
	missed = pgha_lease_missed(step);
	node->why = beside != PGHA_NOBODY ? pgha_because(PGHA_WHY_UNELECTED, beside) :
		pgha_because(node->gate_open && missed == 0 ? PGHA_WHY_LEADING : PGHA_WHY_WAITING_LEASE, PGHA_NOBODY);
	if (beside != PGHA_NOBODY && was.reason != PGHA_WHY_UNELECTED)
		pgha_tell(step, node->why);
	if (missed != 0 && step->now - missed >= node->settings.failure_timeout && RULE(node, PGHA_RULE_STEP_DOWN))
		step_down(step, pgha_because(PGHA_WHY_NO_LEASE, PGHA_NOBODY));
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
			pgha_act(step, pgha_way_down(node));
		}
		return;
	}

	/* It has let go of the lead, whatever is heard now. */
	if (node->voting.released != 0)
	{
		pgha_tend_switchover(step);
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
	if (node->state != PGHA_PRIMARY && pgha_in_force(node))
		decide_by_votes(step);
	else if (node->state != PGHA_PRIMARY)
		decide_to_lead(step);
	if (node->state == PGHA_PRIMARY && pgha_takes_part(node))
		lead_on(step);
	else if (node->state == PGHA_PRIMARY)
		pgha_tend_switchover(step);
	if (node->gate_open && !pgha_in_force(node))
		push_deadline(step);
}
