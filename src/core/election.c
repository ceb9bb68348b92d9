/*
 * election.c
 *		Promotion: candidate, begun, continued, done, given up, by hand.
 *
 * Called by the standby's half when no leader is visible, by a former primary
 * that returns, and by pgha_step() with the outcomes and an administrator's
 * order.  Never promotes before the raised term is durable and receiving has
 * ended.
 */
#include "election.h"
#include "ballot.h"
#include "claim.h"
#include "eligibility.h"
#include "fencing.h"
#include "members.h"
#include "primary.h"
#include "rule.h"

/* A stopped server may have raised its term unheard; the claim that follows must be the greater one. */
#define STOP_TERMS			10

/*
 * The new timeline comes after all that are known.  One that is absurdly far
 * ahead is left aside, as each id up to there takes a file; the residue class
 * alone keeps the new one apart from what others begin.
 */
uint32_t
pgha_newest_timeline(const PghaNode *node)
{
	const uint32_t here = node->local.timeline;
	const uint32_t known[] = {node->max_timeline, node->local.newest_timeline, node->local.archived_timeline};
	uint32_t	newest = here;

	for (int i = 0; i < 3; i++)
	{
		if (known[i] > newest && known[i] - here <= PGHA_MAX_GAP - PGHA_MAX_MEMBERS)
			newest = known[i];
	}
	return newest;
}

void
pgha_continue_promotion(PghaStep *step)
{
	PghaNode   *node = step->node;
	uint32_t	newest = pgha_newest_timeline(node);
	PghaAction *action = pgha_act(step, PGHA_ACT_PROMOTE);

	action->parent = node->local.timeline;
	if (pgha_in_force(node))
		action->timeline = RULE(node, PGHA_RULE_TERM_ID) ? (uint32_t) node->durable.won : node->local.timeline + 1;
	else if (RULE(node, PGHA_RULE_TIMELINE))
		action->timeline = pgha_reserve_timeline(newest, pgha_sorted_position(&node->settings),
												 node->settings.count);
	else
		action->timeline = node->local.timeline + 1;
	pgha_enter(step, PGHA_PROMOTING, pgha_because(PGHA_WHY_PROMOTING, PGHA_NOBODY));
}

/*
 * An administrator's decision in the place of votes: a term that nobody has
 * voted in.  Voters come to support its leader when they see it lead.
 */
static void
choose_term_by_hand(PghaStep *step)
{
	PghaNode   *node = step->node;
	uint64_t	term = pgha_later((pgha_time) pgha_highest_term(node), pgha_newest_timeline(node));

	node->voting.candidacy = 0;
	pgha_cast_vote(step, term + 1, node->settings.name[node->settings.self]);
	node->durable.won_before = node->durable.won;
	node->durable.won = term + 1;
	node->durable.forgot = false;
}

/* Where members vote, and all of them have forgotten, the timelines tell which terms there were; 0: none. */
static uint64_t
forgotten_terms(const PghaNode *node)
{
	uint64_t	newest = node->max_timeline;

	if (newest < node->local.timeline)
		newest = node->local.timeline;
	return pgha_takes_part(node) && newest > 1 ? newest : 0;
}

/*
 * A former primary that returns leads by the claim that it had, so that whoever
 * took over meanwhile, unheard, has the greater one and stays the leader: of two
 * that come back in any order the successor wins.  Of a claim that was forgotten
 * the least is assumed.  The mark is there until the new timeline is checked.
 */
static void
resume_claim(PghaNode *node)
{
	PghaClaim  *claim = &node->durable.claim;

	if (claim->term == 0)
	{
		claim->term = forgotten_terms(node) + 1;
		claim->fork_lsn = 0;
		strcpy(claim->leader, node->settings.name[node->settings.self]);
	}
	node->durable.leader_instance[0] = '\0';
	node->durable.fenced = true;
}

void
pgha_begin_promotion(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaClaim  *claim = &node->durable.claim;

	if (node->stopped != PGHA_NOBODY)
		node->max_term += STOP_TERMS - 1;
	pgha_forget_stop(step);
	node->stopped = PGHA_NOBODY;
	pgha_forget_attempts(node);
	node->former = node->durable;
	if (pgha_in_force(node))
		choose_term_by_hand(step);
	else if (why.reason == PGHA_WHY_NO_NEWS && RULE(node, PGHA_RULE_RESUME))
		resume_claim(node);
	else
	{
		if (claim->term == 0 && node->max_term < forgotten_terms(node))
			node->max_term = forgotten_terms(node);
		pgha_replace_claim(&node->durable, node->local.timeline);
		node->durable.role = PGHA_ROLE_PRIMARY;
		node->durable.fenced = false;
		node->durable.diverged = false;
		if (RULE(node, PGHA_RULE_TERM))
			claim->term = node->max_term = pgha_later(node->max_term, 1) + 1;	/* 1 is a first primary's */
		claim->fork_lsn = 0;
		strcpy(claim->leader, node->settings.name[node->settings.self]);
		node->durable.leader_instance[0] = '\0';
	}
	node->upstream = PGHA_NOBODY;
	pgha_tell(step, why);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_enter(step, PGHA_PROMOTING, pgha_because(PGHA_WHY_STOPPING_RECEIVER, PGHA_NOBODY));
	if (RULE(node, PGHA_RULE_STOP_RECEIVER))
		pgha_act(step, PGHA_ACT_STOP_RECEIVER);
	else
		pgha_continue_promotion(step);
}

/* The server is out of recovery because this node promoted it. */
void
pgha_promotion_done(PghaStep *step, bool checked)
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
		node->durable.replaced = node->former.replaced;
		node->durable.won = node->former.won;
		node->held_off = node->awake = step->now;
		node->held_off_for = node->settings.startup_grace;
		pgha_act(step, PGHA_ACT_WRITE_STATE);
		pgha_act(step, PGHA_ACT_RELEASE_RECEIVER);
		pgha_tell(step, pgha_because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
		pgha_enter(step, node->durable.role == PGHA_ROLE_PRIMARY ? PGHA_RETURNING : PGHA_STANDBY,
				   pgha_because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
		return;
	}
	if (!checked)
	{
		node->durable.diverged = true;
		pgha_fence_self(step, pgha_because(PGHA_WHY_PROMOTION_FAILED, PGHA_NOBODY));
		return;
	}
	if (pgha_in_force(node))
	{
		pgha_take_office(step, pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY));
		return;
	}

	/* A claim that is resumed stays what it was, though the timeline is a new one. */
	if (!node->durable.fenced || !pgha_posted(&node->durable))
		node->durable.claim.fork_lsn = node->local.fork_lsn;
	node->durable.fenced = false;
	pgha_settle_claim(&node->durable);
	memset(&node->durable.sync, 0, sizeof(node->durable.sync));
	node->posted = true;
	greater = pgha_greater_claim(node);
	if (greater != PGHA_NOBODY)
		pgha_fence_self(step, pgha_because(PGHA_WHY_GREATER_CLAIM, greater));
	else
		pgha_lead(step, pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY));
}

void
pgha_promotion_not_durable(PghaStep *step)
{
	PghaNode   *node = step->node;

	/* The requests of that step came after it. */
	for (int i = 0; i < node->settings.count; i++)
		if (node->member[i].asked == node->stepped)
			node->member[i].asking = false;
	node->held_off = node->awake = step->now;
	node->held_off_for = node->settings.startup_grace;
	pgha_tell(step, pgha_because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
	pgha_enter(step, node->durable.role == PGHA_ROLE_PRIMARY ? PGHA_RETURNING : PGHA_STANDBY,
			   pgha_because(PGHA_WHY_PROMOTION_GIVEN_UP, PGHA_NOBODY));
}

pgha_time
pgha_candidate_since(const PghaNode *node, pgha_time now)
{
	pgha_time	since = pgha_later(node->receiver_lost, node->state_since);

	return pgha_is_stopped(node, pgha_known_leader(node), now) ? pgha_later(since, node->stopped_at) : since;
}

/*
 * The primary has handed over to this node, which has all that was ever
 * acknowledged: nobody need be asked.  The end of the stream brings the shutdown
 * checkpoint, with which the former primary follows without a rewind; but that is
 * not waited for for long.
 */
static void
stand_as_heir(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaWhy		why = pgha_because(PGHA_WHY_HANDED_OVER, pgha_known_leader(node));

	if (pgha_received_in_time(node, step->now) &&
		step->now - node->voting.heir_heard < node->settings.failure_timeout / 2)
	{
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_WAITING_PRIMARY, why.member));
		return;
	}
	if (node->bar != PGHA_MAY_PROMOTE)
	{
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_BARRED, why.member));
		return;
	}
	if (node->state == PGHA_STARTING)
		pgha_enter(step, PGHA_STANDBY, why);
	pgha_enter(step, PGHA_CANDIDATE, why);
	pgha_unfollow(step);
	pgha_begin_promotion(step, why);
}

/*
 * The leader that this node has promised to follow may have begun the votes since it
 * was last heard.  A majority has stored their first rule then, so that one of any
 * majority says so (pgha_other_rule()): who hears less does not know.
 */
static bool
may_have_missed_rule(const PghaNode *node, pgha_time since, pgha_time now)
{
	int			answer = 1;

	if (node->settings.voters == 0 || node->durable.support.term == 0)
		return false;
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		if (!pgha_is_self(node, i) && pgha_presence(node, &node->member[i], since, now) == PGHA_PRESENCE_ANSWERS)
			answer++;
	}
	return answer < node->settings.voters / 2 + 1;
}

void
pgha_stand_for_election(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaWhy		loss;
	PghaWhy		objection;

	if (pgha_is_heir(node, step->now) && !node->durable.diverged)
	{
		stand_as_heir(step);
		return;
	}

	/* What comes from an upstream that became a standby itself leads nowhere. */
	if (node->upstream != PGHA_NOBODY && pgha_counts(node, &node->member[node->upstream]) &&
		node->member[node->upstream].report.in_recovery)
		pgha_unfollow(step);

	if (pgha_received_in_time(node, step->now) && RULE(node, PGHA_RULE_RECEIVER_LOST))
	{
		pgha_forget_attempts(node);
		pgha_enter(step, node->durable.diverged ? PGHA_DIVERGED : PGHA_STANDBY,
				   pgha_because(PGHA_WHY_FOLLOWING, node->local.upstream));
		return;
	}
	if (!pgha_primary_is_missing(node, step->now, &loss) || node->durable.diverged)
	{
		if (node->durable.diverged)
			pgha_enter(step, PGHA_DIVERGED, pgha_because(PGHA_WHY_NO_LEADER, PGHA_NOBODY));
		else
			pgha_enter(step, PGHA_STANDBY, loss);
		return;
	}
	if (node->bar == PGHA_BAR_HELD_OFF && node->not_fenced.reason != PGHA_WHY_NONE)
	{
		pgha_enter(step, PGHA_STANDBY, node->not_fenced);
		return;
	}
	if (node->bar != PGHA_MAY_PROMOTE)
	{
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_BARRED, loss.member));
		return;
	}

	/* It has handed over, and has followed nobody since: whoever leads may not be heard. */
	if (strcmp(node->durable.claim.leader, node->settings.name[node->settings.self]) == 0)
	{
		PghaWhy		unheard = pgha_may_lead_unheard(node);

		if (unheard.reason != PGHA_WHY_NONE)
		{
			if (node->why.reason != unheard.reason || node->why.member != unheard.member)
				pgha_tell(step, unheard);
			pgha_enter(step, PGHA_STANDBY, unheard);
			return;
		}
	}

	if (node->state == PGHA_STARTING)
		pgha_enter(step, PGHA_STANDBY, loss);
	if (node->state != PGHA_CANDIDATE)
	{
		pgha_enter(step, PGHA_CANDIDATE, loss);

		/* What it may still connect to is not the primary any more. */
		pgha_unfollow(step);
	}

	objection = pgha_members_objection(node, pgha_candidate_since(node, step->now), step->now);
	if (objection.reason == PGHA_WHY_NONE &&
		may_have_missed_rule(node, pgha_candidate_since(node, step->now), step->now))
		objection = pgha_because(PGHA_WHY_FEW_VOTERS, PGHA_NOBODY);
	if (objection.reason != PGHA_WHY_NONE)
	{
		node->stop_wanted = objection.reason == PGHA_WHY_WAITING_ANSWER;
		pgha_enter(step, PGHA_CANDIDATE, objection);
		return;
	}
	if (pgha_old_primary_is_off(step, loss))
		pgha_begin_promotion(step, loss);
}

PghaWhy
pgha_promote_refusal(const PghaNode *node, bool force, pgha_time now)
{
	PghaWhy		why;
	PghaWhy		objection;

	if (!node->local.in_recovery)
		return pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY);
	if (node->state == PGHA_PROMOTING)
		return pgha_because(PGHA_WHY_PROMOTING, PGHA_NOBODY);
	if (node->passive != PGHA_ACTIVE)
		return (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive};
	if (!node->replayed_all)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_REPLAYING, PGHA_ACTIVE};
	if (node->durable.role != PGHA_ROLE_PRIMARY && pgha_is_behind_fork(node))
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_BEHIND_FORK, PGHA_ACTIVE};
	if (node->local.too_low)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_TOO_LOW, PGHA_ACTIVE};
	if (force)
	{
		/* Its rule has to have a place for it. */
		if (pgha_voter_named(&node->durable.rule, node->settings.name[node->settings.self]) == PGHA_NOBODY &&
			node->durable.rule.count == PGHA_MAX_MEMBERS)
			return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_NOT_LISTED, PGHA_ACTIVE};
		return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	}
	if (pgha_is_unaware(node))
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, PGHA_BAR_FORGOT, PGHA_ACTIVE};
	if (pgha_in_force(node))
	{
		/* Who has more WAL, and whether there are enough, the voters say. */
		if (pgha_leader_to_follow(node, now) != PGHA_NOBODY)
			return pgha_because(PGHA_WHY_PRIMARY_ANSWERS, pgha_leader_to_follow(node, now));
		if (pgha_bar_to_order(node) != PGHA_MAY_PROMOTE)
			return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, pgha_bar_to_order(node), PGHA_ACTIVE};
		return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	}
	if (node->durable.diverged || node->durable.fenced)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY,
			node->durable.diverged ? PGHA_BAR_DIVERGED : PGHA_BAR_FENCED, PGHA_ACTIVE};
	if (pgha_visible_leader(node, now) != PGHA_NOBODY)
		return pgha_because(PGHA_WHY_PRIMARY_ANSWERS, pgha_visible_leader(node, now));
	if (pgha_received_in_time(node, now))
		return pgha_because(PGHA_WHY_PRIMARY_ANSWERS, node->local.upstream);

	/* A primary that was shut down need not be waited for, as the rules otherwise do. */
	if (node->durable.role != PGHA_ROLE_PRIMARY && !pgha_primary_is_missing(node, now, &why) &&
		why.reason == PGHA_WHY_WAITING_PRIMARY &&
		!(node->member[why.member].contact == PGHA_CONTACT_REFUSED &&
		  node->member[why.member].told >= node->receiver_lost))
		return why;
	objection = pgha_members_objection(node, node->receiver_lost, now);
	if (objection.reason == PGHA_WHY_VETO || objection.reason == PGHA_WHY_BETTER)
		return objection;
	return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}
