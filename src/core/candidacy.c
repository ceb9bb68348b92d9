/*
 * candidacy.c
 *		Standing for election, and being elected.
 *
 * Called by the standby's half when quorum is in force and there is no leader
 * that may be followed (quorum.md, 4 C).  What it waits for before it stands
 * only keeps a healthy leader undisturbed and lets the best go first; whether
 * it may lead is decided by the votes alone.
 */
#include "candidacy.h"
#include "ballot.h"
#include "claim.h"
#include "election.h"
#include "eligibility.h"
#include "fencing.h"
#include "members.h"
#include "rule.h"

/* What was said is of now. */
static bool
is_fresh(const PghaNode *node, const PghaMember *m, pgha_time now)
{
	return pgha_counts(node, m) && pgha_silence(node, m, now) < node->settings.failure_timeout;
}

/*
 * H6: whom the leader hands over to waits for the end of the stream, which
 * brings the shutdown checkpoint; but not for long.
 */
static bool
awaits_stream_end(const PghaNode *node, int leader, pgha_time now)
{
	return node->local.receiver == PGHA_RECEIVER_STREAMING && node->local.upstream == leader &&
		now - node->voting.heir_heard < node->settings.failure_timeout / 2;
}

/* Whom the leader has handed over to is given way to for a while (H6); PGHA_NOBODY if it has not. */
static int
handed_over_to(const PghaNode *node, pgha_time now)
{
	return RULE(node, PGHA_RULE_POLITE) ? pgha_find_voter(node, pgha_heir(node, now)) : PGHA_NOBODY;
}

bool
pgha_leader_is_missing(const PghaNode *node, pgha_time now, PghaWhy *why)
{
	int			leader = pgha_supported(node);
	const PghaMember *m;

	if (leader == PGHA_NOBODY)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_UNKNOWN, PGHA_NOBODY);
		return true;
	}
	m = &node->member[leader];
	if (m->heard != 0 && m->report.released == node->durable.support.term)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_STOPPED, leader);
		return true;
	}
	if (pgha_counts(node, m) && m->report.in_recovery)
	{
		*why = pgha_because(PGHA_WHY_PRIMARY_DEMOTED, leader);
		return true;
	}
	if (m->contact == PGHA_CONTACT_REFUSED && m->disproved != 0 && node->settings.refused_is_down &&
		!pgha_received_in_time(node, now))
	{
		*why = pgha_because(node->local.receiver_ended_clean ? PGHA_WHY_PRIMARY_STOPPED :
							PGHA_WHY_PRIMARY_CRASHED, leader);
		return true;
	}
	*why = pgha_because(PGHA_WHY_PRIMARY_SILENT, leader);
	if (m->beat_heard == 0 && !RULE(node, PGHA_RULE_POLITE))
		return true;

	/*
	 * Or it cannot be asked by a fault of this node, as where its name is gone with
	 * its host: that may last for ever, and those who hear it, and promise, have a say.
	 */
	if (now - pgha_later(m->beat_heard, node->awake) >= node->settings.failure_timeout)
		return true;
	*why = pgha_because(PGHA_WHY_WAITING_PRIMARY, leader);
	return false;
}

/* C4a: has stood since there was a leader, could not finish, and still has something to replay. */
static bool
is_held_up(const PghaNode *node, uint64_t withdrawn, uint64_t lag)
{
	return withdrawn > node->durable.support.term && lag > 0;
}

/* Of two that could lead, is the member of `report` the better one? */
static bool
is_better(const PghaNode *node, const PghaReport *report)
{
	int			order = pgha_wal_compare(report->timeline, report->wal_end,
										 node->local.timeline, node->local.wal_end);
	uint64_t	own_lag = pgha_replay_lag(&node->local);
	bool		held_up = is_held_up(node, report->withdrawn, report->replay_lag);

	/* It would stand again and again, and nobody else would get to. */
	if (held_up != is_held_up(node, node->durable.withdrawn, own_lag))
		return !held_up;
	if (order != 0)
		return order > 0;

	/* C4a: what is not replayed yet holds a promotion up. */
	if (report->replay_lag / 0x100000 != own_lag / 0x100000)
		return report->replay_lag < own_lag;
	if (report->priority != node->settings.priority)
		return report->priority > node->settings.priority;
	return strcmp(report->node, node->settings.name[node->settings.self]) < 0;
}

/* May that member stand, as far as it says? */
static bool
may_stand(const PghaNode *node, const PghaReport *report)
{
	return report->in_recovery && report->bar == PGHA_MAY_PROMOTE && report->votes != 0 &&
		pgha_is_among(&node->durable.rule, node->durable.rule.eligible, report->node);
}

/*
 * The voters that would vote for a node with this WAL, as far as they say.  The
 * others do not change their minds: they have more WAL, or do not vote at all.
 */
static uint32_t
likely_votes(const PghaNode *node, int candidate, uint32_t timeline, pgha_lsn wal_end, pgha_time now)
{
	const PghaVotingRule *rule = &node->durable.rule;
	const PghaLocal *local = &node->local;
	uint32_t	votes = 0;

	for (int i = 0; i < rule->count; i++)
	{
		int			voter = pgha_find_voter(node, rule->voter[i]);
		const PghaReport *report;

		if (voter == PGHA_NOBODY)
			continue;
		report = &node->member[voter].report;
		if (pgha_is_self(node, voter))
		{
			if (voter != candidate && pgha_wal_compare(timeline, wal_end, local->timeline, local->wal_end) < 0)
				continue;
		}
		else if (!is_fresh(node, &node->member[voter], now) || report->votes == 0 || pgha_has_forgotten(report) ||
				 report->passive != PGHA_ACTIVE)
			continue;
		else if (voter != candidate && voter < node->settings.count &&
				 (!report->in_recovery || report->bar == PGHA_BAR_REPLAYING ||
				  pgha_wal_compare(timeline, wal_end, report->timeline, report->wal_end) < 0))
			continue;
		votes |= UINT32_C(1) << i;
	}
	return votes;
}

PghaWhy
pgha_election_objection(const PghaNode *node, pgha_time now)
{
	const PghaVotingRule *rule = &node->durable.rule;
	int			leader = pgha_supported(node);
	bool		patient = now - node->state_since < 2 * node->settings.failure_timeout && !pgha_is_heir(node, now);
	PghaWhy		waiting = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	int			answer = 1;
	uint32_t	votes;

	if (!RULE(node, PGHA_RULE_POLITE))
		return waiting;
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];
		const PghaReport *report = &m->report;

		if (pgha_is_self(node, i))
			continue;
		if (!is_fresh(node, m, now))
		{
			/* Those who have just gone silent may still be asked. */
			if (patient && m->contact != PGHA_CONTACT_REFUSED && m->heard != 0 && m->told < node->state_since &&
				pgha_silence(node, m, now) < node->settings.failure_timeout)
				waiting = pgha_because(PGHA_WHY_WAITING_ANSWER, i);
			continue;
		}
		if (pgha_voter_named(rule, report->node) != PGHA_NOBODY)
			answer++;

		/* It hears the leader's beats. */
		if (leader != PGHA_NOBODY && !pgha_promise_ended(node) &&
			report->promise.leader.term == node->durable.support.term &&
			report->promise_age < node->settings.failure_timeout / 2 &&
			node->member[leader].report.released == 0)
			return pgha_because(PGHA_WHY_VETO, i);
		if (!patient)
			continue;

		/* What is asked for from here on; but who misses the same leader has said all it would say then. */
		if (m->told < node->state_since &&
			!(report->seeks && report->support.term == node->durable.support.term))
			waiting = pgha_because(PGHA_WHY_WAITING_ANSWER, i);
		if (may_stand(node, report) && is_better(node, report))
			return pgha_because(PGHA_WHY_BETTER, i);
	}
	if (waiting.reason != PGHA_WHY_NONE)
		return waiting;
	if (answer < pgha_majority_of(rule))
		return pgha_because(PGHA_WHY_FEW_VOTERS, PGHA_NOBODY);

	/* Each vain candidacy takes a term, and so a timeline. */
	votes = likely_votes(node, node->settings.self, node->local.timeline, node->local.wal_end, now);
	if (!pgha_elects(node, rule, node->durable.won, votes))
		return pgha_because(pgha_count_set(votes) < pgha_majority_of(rule) ? PGHA_WHY_FEW_VOTES : PGHA_WHY_QUORUM,
							PGHA_NOBODY);
	return waiting;
}

/* ---- WAL that somebody has who does not lead ---- */

/* Is it WAL of the leader that this node supports, and a beginning or a continuation of the WAL here? */
static bool
has_wal_of_same_leader(const PghaNode *node, const PghaReport *report)
{
	const PghaDurable *durable = &node->durable;

	if (!RULE(node, PGHA_RULE_FETCH))
		return true;
	return report->support.term == durable->support.term && strcmp(report->support.name, durable->support.name) == 0 &&
		pgha_claim_compare(&report->claim, &durable->claim) == 0 && report->timeline == node->local.timeline;
}

bool
pgha_may_fetch_from(const PghaNode *node, int member, pgha_time now)
{
	const PghaMember *m = &node->member[member];
	const PghaReport *report = &m->report;
	PghaWhy		why;

	return is_fresh(node, m, now) && report->in_recovery && !report->diverged && report->passive == PGHA_ACTIVE &&
		report->votes != 0 && !report->vote_open && report->candidacy == 0 && report->bar != PGHA_BAR_REPLAYING &&
		!node->durable.vote_open && node->voting.candidacy == 0 && node->state != PGHA_PROMOTING &&
		has_wal_of_same_leader(node, report) && pgha_leader_is_missing(node, now, &why);
}

int
pgha_find_source(const PghaNode *node, pgha_time now)
{
	int			source = PGHA_NOBODY;
	uint32_t	timeline = node->local.timeline;
	pgha_lsn	end = node->local.wal_end;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaReport *report = &node->member[i].report;

		if (pgha_is_self(node, i) || !pgha_may_fetch_from(node, i, now) ||
			pgha_wal_compare(report->timeline, report->wal_end, timeline, end) <= 0)
			continue;
		source = i;
		timeline = report->timeline;
		end = report->wal_end;
	}
	return pgha_elects(node, &node->durable.rule, node->durable.won,
					   likely_votes(node, node->settings.self, timeline, end, now)) ?
		source : PGHA_NOBODY;
}

/*
 * Streams from the member that has what this node lacks.  It takes no slot: the
 * one that is there for it keeps that WAL, and shall not keep back a vacuum for
 * hot_standby_feedback when this node has gone.
 */
static void
fetch_wal(PghaStep *step, int source)
{
	PghaNode   *node = step->node;
	const PghaReport *report = &node->member[source].report;
	PghaWhy		why = pgha_because(PGHA_WHY_FETCHING, source);
	PghaAction *action;

	if (node->why.reason != why.reason || node->why.member != source)
		pgha_tell(step, why);
	pgha_enter(step, PGHA_CANDIDATE, why);
	if (node->upstream == source || node->voting.receiver != PGHA_NOT_STOPPED)
		return;

	/* The order to stream from the leader must not come back, and all WAL here be replayed. */
	if (node->upstream != PGHA_NOBODY || node->local.receiver != PGHA_RECEIVER_WAITING)
	{
		pgha_unfollow(step);
		return;
	}
	node->upstream = source;
	node->upstream_claim = report->claim;
	node->upstream_timeline = report->timeline;
	node->upstream_slot = false;
	action = pgha_act(step, PGHA_ACT_FOLLOW);
	action->member = source;
	action->timeline = report->timeline;
}

/* Does it get its WAL from this node, to be elected with it? */
static bool
fetches_from_here(const PghaNode *node, const PghaReport *report)
{
	return report->receiver == PGHA_RECEIVER_STREAMING &&
		strcmp(report->upstream, node->settings.name[node->settings.self]) == 0;
}

/* Are there others that may lead, and nobody of them can be elected, as they lack WAL that is here? */
static bool
holds_up(const PghaNode *node, pgha_time now)
{
	bool		others = false;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaReport *report = &node->member[i].report;

		if (pgha_is_self(node, i) || !is_fresh(node, &node->member[i], now) || !may_stand(node, report))
			continue;
		if (fetches_from_here(node, report))
			return false;
		others = true;
		if (pgha_elects(node, &node->durable.rule, report->won,
						likely_votes(node, i, report->timeline, report->wal_end, now)))
			return false;
	}
	return others;
}

/*
 * Who is never to lead may have WAL that nobody else has, and then never votes for
 * the others (V4).  If none of them comes to get it, it stands in their place after a
 * while, and hands over to one of them as soon as that one has all.
 */
static bool
stands_for_others(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if ((node->bar != PGHA_BAR_PRIORITY && node->bar != PGHA_BAR_AUTO_FAILOVER) || node->durable.paused ||
		node->local.apply_delay || node->local.too_low || !RULE(node, PGHA_RULE_POLITE) ||
		!holds_up(node, step->now))
	{
		voting->in_the_way = 0;
		return false;
	}
	if (voting->in_the_way == 0)
		voting->in_the_way = step->now;
	return step->now - pgha_later(voting->in_the_way, node->awake) >= 2 * node->settings.failure_timeout;
}

/* The voters of the rule that have an open vote for this node in the term it stands for. */
static uint32_t
votes_for_self(const PghaNode *node, uint32_t *lost)
{
	const PghaVotingRule *rule = &node->durable.rule;
	const char *self = node->settings.name[node->settings.self];
	uint64_t	term = node->voting.candidacy;
	uint32_t	votes = 0;

	*lost = 0;
	for (int i = 0; i < rule->count; i++)
	{
		int			member = pgha_find_voter(node, rule->voter[i]);
		const PghaReport *report;

		if (member == PGHA_NOBODY)
			continue;
		if (pgha_is_self(node, member))
		{
			votes |= UINT32_C(1) << i;
			continue;
		}
		report = &node->member[member].report;
		if (node->member[member].heard == 0 || !pgha_counts(node, &node->member[member]))
			continue;
		if (report->vote_open && report->vote.term == term && strcmp(report->vote.name, self) == 0)
			votes |= UINT32_C(1) << i;
		else if (report->highest >= term)
			*lost |= UINT32_C(1) << i;
	}
	return votes;
}

/* C5: others may go first, for longer each time. */
static void
give_up(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	pgha_time	unit = node->settings.failure_timeout / 8;

	pgha_withdraw(node);
	voting->tries++;
	voting->next_try = step->now + unit * (1 + node->settings.self + (voting->tries < 6 ? voting->tries : 6));
	pgha_act(step, PGHA_ACT_WRITE_STATE);
}

/* C2: the receiver is stopped, the own promise is over. */
static void
stand(PghaStep *step)
{
	PghaNode   *node = step->node;
	const uint32_t known[] = {node->max_timeline, node->local.timeline, node->local.newest_timeline,
		node->local.archived_timeline};
	uint64_t	term = pgha_highest_term(node);

	/* The new timeline's id is the term, and comes after all that are known. */
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		if (term < known[i])
			term = known[i];
	}
	if (term >= PGHA_MAX_TERM)
		return;
	pgha_cast_vote(step, term + 1, node->settings.name[node->settings.self]);
	node->voting.candidacy = term + 1;
	node->voting.stood_at = step->now;
	node->voting.deputy = node->bar != PGHA_MAY_PROMOTE ? term + 1 : 0;
	if (RULE(node, PGHA_RULE_DURABLE))
		pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_enter(step, PGHA_CANDIDATE, pgha_because(PGHA_WHY_STANDING, PGHA_NOBODY));
}

/* C4a; but what waits for recovery_min_apply_delay is replayed when PostgreSQL is told to promote. */
static bool
must_replay(const PghaNode *node, pgha_time now)
{
	return node->local.replaying && !(node->local.apply_delay && now < node->voting.ordered_until);
}

/* C4: nobody else can be elected in this term. */
static void
win(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaWhy		loss;

	if (pgha_is_heir(node, step->now))
		loss = pgha_because(PGHA_WHY_HANDED_OVER, pgha_supported(node));
	else if (!pgha_leader_is_missing(node, step->now, &loss) || loss.reason == PGHA_WHY_WAITING_PRIMARY)
		loss = pgha_because(PGHA_WHY_PRIMARY_SILENT, pgha_supported(node));
	node->former = node->durable;
	node->durable.won_before = node->durable.won;
	node->durable.won = node->voting.candidacy;
	node->voting.candidacy = 0;
	node->voting.ordered_until = 0;
	node->upstream = PGHA_NOBODY;
	pgha_forget_stop(step);
	pgha_tell(step, loss);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
	pgha_continue_promotion(step);
}

/* Stands: elected, still possible, or given up? */
static void
tend_candidacy(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	const PghaVotingRule *rule = &node->durable.rule;
	uint32_t	lost;
	uint32_t	votes = votes_for_self(node, &lost);
	pgha_time	limit = node->settings.failure_timeout / 2 * (1 + (voting->tries < 3 ? voting->tries : 3));

	pgha_enter(step, PGHA_CANDIDATE, pgha_because(PGHA_WHY_STANDING, PGHA_NOBODY));
	if (!pgha_is_among(rule, rule->eligible, node->settings.name[node->settings.self]) &&
		RULE(node, PGHA_RULE_ELIGIBLE))
	{
		give_up(step);
		return;
	}
	if (pgha_elects(node, rule, node->durable.won, votes) && !must_replay(node, step->now))
	{
		win(step);
		return;
	}

	/* A better one in an earlier term is spent: it stands anew, or its monitor hangs, and says so for ever. */
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && is_fresh(node, m, step->now) && m->report.candidacy >= voting->candidacy &&
			m->told > voting->stood_at && is_better(node, &m->report))
		{
			give_up(step);
			return;
		}
	}

	/* Of its competitors it is the best, but their votes are spent: a new term. */
	if (pgha_count_set(lost) > rule->count - pgha_majority_of(rule))
	{
		pgha_withdraw(node);
		voting->tries++;
		voting->stop_wanted = true;
		voting->next_try = 0;
		pgha_act(step, PGHA_ACT_WRITE_STATE);
	}

	/* C4a: a replay that does not come to its end holds nobody else up. */
	else if (step->now - pgha_later(voting->stood_at, node->awake) >= limit)
		give_up(step);
}

void
pgha_seek_election(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	int			leader = pgha_supported(node);
	int			heir = handed_over_to(node, step->now);
	int			source;
	PghaWhy		loss;
	PghaWhy		why;

	if (voting->candidacy != 0)
	{
		tend_candidacy(step);
		return;
	}
	if (node->durable.vote_open && step->now - voting->voted_at < 2 * node->settings.failure_timeout &&
		RULE(node, PGHA_RULE_POLITE) &&
		pgha_find_voter(node, node->durable.vote.name) != PGHA_NOBODY &&
		node->member[pgha_find_voter(node, node->durable.vote.name)].contact == PGHA_CONTACT_ANSWERED)
		why = pgha_because(PGHA_WHY_VOTED, pgha_find_voter(node, node->durable.vote.name));
	else if (!pgha_leader_is_missing(node, step->now, &loss))
		why = loss;
	else if (node->durable.diverged)
		why = pgha_because(PGHA_WHY_NO_LEADER, PGHA_NOBODY);
	else if (node->bar != PGHA_MAY_PROMOTE && !stands_for_others(step))
		why = pgha_because(PGHA_WHY_BARRED, loss.member);
	else if (heir != PGHA_NOBODY && !pgha_is_self(node, heir))
		why = pgha_because(PGHA_WHY_BETTER, heir);
	else if (heir != PGHA_NOBODY && leader != PGHA_NOBODY && awaits_stream_end(node, leader, step->now))
		why = pgha_because(PGHA_WHY_WAITING_PRIMARY, leader);
	else
		why = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	if (why.reason != PGHA_WHY_NONE)
	{
		pgha_enter(step, node->durable.diverged ? PGHA_DIVERGED : PGHA_STANDBY, why);
		return;
	}

	/* It may have been returning to lead when it heard of the rule. */
	if (node->state == PGHA_STARTING || node->state == PGHA_RETURNING)
		pgha_enter(step, PGHA_STANDBY, loss);
	if (node->state != PGHA_CANDIDATE)
		pgha_enter(step, PGHA_CANDIDATE, loss);
	if (step->now < voting->next_try)
		return;
	why = pgha_election_objection(node, step->now);
	if (why.reason == PGHA_WHY_NONE && !pgha_may_break_promise(node, node->settings.self, step->now))
		why = pgha_because(PGHA_WHY_PROMISED, pgha_supported(node));
	if (why.reason == PGHA_WHY_NONE && voting->tries > 0 && must_replay(node, step->now) &&
		RULE(node, PGHA_RULE_POLITE))
		why = pgha_because(PGHA_WHY_REPLAYING, PGHA_NOBODY);
	source = why.reason == PGHA_WHY_FEW_VOTES || why.reason == PGHA_WHY_QUORUM ?
		pgha_find_source(node, step->now) : PGHA_NOBODY;
	if (source != PGHA_NOBODY)
	{
		fetch_wal(step, source);
		return;
	}
	if (why.reason != PGHA_WHY_NONE)
	{
		pgha_enter(step, PGHA_CANDIDATE, why);
		return;
	}
	if (!pgha_old_primary_is_off(step, loss))
		return;
	if (!pgha_receiver_is_stopped(step))
	{
		pgha_enter(step, PGHA_CANDIDATE, pgha_because(PGHA_WHY_STOPPING_RECEIVER, PGHA_NOBODY));
		return;
	}
	stand(step);
}

pgha_time
pgha_election_due(const PghaNode *node, pgha_time now)
{
	const PghaVoting *voting = &node->voting;
	pgha_time	due[2] = {voting->promise_until, voting->next_try};
	pgha_time	next = 0;

	if (node->state != PGHA_CANDIDATE && node->state != PGHA_STANDBY && node->state != PGHA_WITNESS)
		return 0;
	for (int i = 0; i < 2; i++)
	{
		if (due[i] > now && (next == 0 || due[i] < next))
			next = due[i];
	}
	return next;
}
