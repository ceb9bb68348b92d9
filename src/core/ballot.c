/*
 * ballot.c
 *		Support, votes and promises: a voter's part.
 *
 * Called once a step by whoever takes part in votes, and when a voter has
 * answered (quorum.md, 4 B, P, E, V).  Nobody writes to another node: what is
 * decided here is published by the report, and read by those whom it concerns.
 * Never publishes anything of what must outlive a restart before it is durable:
 * the report follows the actions of the step.
 */
#include "ballot.h"
#include "claim.h"
#include "lease.h"
#include "members.h"
#include "recall.h"
#include "rule.h"

/* Clocks run within 2 % of real time (A3); a promise outlives the lease that is built on it. */
#define MARGIN(ttl)			((ttl) / 50 * 3 + 100000)

/* W: so long a promise lasts that is given for a lease of `ttl`. */
pgha_time
pgha_promise_time(const PghaNode *node, pgha_time ttl)
{
	(void) node;				/* asked in the simulator only */
	return RULE(node, PGHA_RULE_MARGIN) ? ttl + MARGIN(ttl) : ttl / 4 * 3;
}

void
pgha_begin_voting(PghaNode *node, pgha_time now)
{
	PghaVoting *voting = &node->voting;

	/* The setting may have been another one when the promise was given. */
	voting->handover = PGHA_NOBODY;
	voting->start_until = now + pgha_promise_time(node, pgha_later(node->settings.lease_ttl, node->durable.promised_ttl));
	if (RULE(node, PGHA_RULE_START))
		voting->promise_until = voting->start_until;
}

int
pgha_supported(const PghaNode *node)
{
	int			member = node->durable.support.term == 0 ? PGHA_NOBODY :
		pgha_find_voter(node, node->durable.support.name);

	return member != PGHA_NOBODY && pgha_is_self(node, member) ? PGHA_NOBODY : member;
}

int
pgha_leader_to_follow(const PghaNode *node, pgha_time now)
{
	int			leader = pgha_supported(node);
	const PghaMember *m;

	if (!RULE(node, PGHA_RULE_FOLLOW))
		return pgha_visible_leader(node, now);
	if (leader == PGHA_NOBODY)
		return PGHA_NOBODY;
	m = &node->member[leader];
	if (node->durable.vote_open && !(node->durable.forgot && pgha_may_follow_unaware(node, &m->report)))
		return PGHA_NOBODY;
	if (!pgha_counts(node, m) || m->report.in_recovery || !m->report.posted ||
		m->report.claim.term != node->durable.support.term || m->report.released != 0 ||
		now - pgha_later(m->beat_heard, node->awake) >= node->settings.failure_timeout)
		return PGHA_NOBODY;
	return leader;
}

int
pgha_wal_compare(uint32_t timeline, pgha_lsn end, uint32_t other_timeline, pgha_lsn other_end)
{
	if (timeline != other_timeline)
		return timeline < other_timeline ? -1 : 1;
	if (end != other_end)
		return end < other_end ? -1 : 1;
	return 0;
}

/* The rest of a record that was received in part may never come: who waits for an upstream has replayed all. */
uint64_t
pgha_replay_lag(const PghaLocal *local)
{
	return local->in_recovery && local->receiver != PGHA_RECEIVER_WAITING && local->wal_end > local->replayed ?
		local->wal_end - local->replayed : 0;
}

uint64_t
pgha_highest_term(const PghaNode *node)
{
	uint64_t	highest = node->durable.highest;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaReport *report = &node->member[i].report;

		if (node->member[i].heard == 0 || !pgha_counts(node, &node->member[i]))
			continue;
		if (report->highest > highest)
			highest = report->highest;
		if (report->claim.term > highest)
			highest = report->claim.term;
	}
	if (node->max_term > highest)
		highest = node->max_term;
	return highest;
}

/* ---- promises (P, E) ---- */

/* May this node's word hold anybody back? */
static bool
may_promise(const PghaNode *node)
{
	if (!RULE(node, PGHA_RULE_BOUND))
		return node->local.in_recovery || pgha_is_witness(node);
	if (node->durable.vote_open || node->voting.candidacy != 0 || node->state == PGHA_PROMOTING)
		return false;
	return pgha_is_witness(node) || (node->local.in_recovery && !node->local.crash_recovery);
}

/* P1: the supported leader has published a new beat. */
static void
promise(PghaStep *step, int leader)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	const PghaReport *report = &node->member[leader].report;
	pgha_time	ttl = node->settings.lease_ttl;

	if (leader != pgha_supported(node) || !report->posted || report->in_recovery || report->released != 0 ||
		report->claim.term != node->durable.support.term || !may_promise(node))
		return;
	voting->promise_until = pgha_later(voting->promise_until, step->now + pgha_promise_time(node, ttl));
	voting->promise = (PghaPromise) {.leader = node->durable.support, .instance = report->instance,
		.beat = report->beat,.ttl = ttl};
	voting->promised = step->now;

	/* Durable before it is published, as a restart forgets how long it was given for. */
	voting->longest_ttl = pgha_later(voting->longest_ttl, ttl);
	if (step->now < voting->start_until)
		ttl = pgha_later(voting->longest_ttl, node->durable.promised_ttl);
	else
		ttl = voting->longest_ttl;
	if (node->durable.promised_ttl != ttl && RULE(node, PGHA_RULE_START))
	{
		node->durable.promised_ttl = ttl;
		pgha_act(step, PGHA_ACT_WRITE_STATE);
	}
}

bool
pgha_promise_ended(const PghaNode *node)
{
	const PghaVoting *voting = &node->voting;
	int			leader = pgha_find_voter(node, voting->promise.leader.name);
	const PghaMember *m;

	/* One that was given before the start lasts its time. */
	if (voting->promise.leader.term == 0 || leader == PGHA_NOBODY)
		return false;
	m = &node->member[leader];

	/* What is at another address now says nothing of the server that was promised to. */
	if (m->moved > voting->promised)
		return false;

	/* E1: nothing listens any more where it answered, asked after its last beat was read. */
	if (node->settings.refused_is_down && m->disproved > voting->promised)
		return true;

	/* E2; and no lease outlives its instance (L5).  It was said, whether it answers now or not. */
	return m->report.system_identifier == node->settings.system_identifier && m->heard > voting->promised &&
		(m->report.instance != voting->promise.instance ||
		 m->report.released == voting->promise.leader.term);
}

bool
pgha_may_break_promise(const PghaNode *node, int member, pgha_time now)
{
	const PghaVoting *voting = &node->voting;

	if (!RULE(node, PGHA_RULE_PROMISE) || now >= voting->promise_until)
		return true;
	if (pgha_promise_ended(node))
		return true;

	/* With k > 0, too: sessions below synchronous_commit = on are acknowledged by the lease alone. */
	return voting->promise.leader.term != 0 &&
		strcmp(voting->promise.leader.name, node->settings.name[member]) == 0;
}

void
pgha_hear_voter(PghaStep *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;
	PghaMember *m = &node->member[event->member];
	const PghaReport *report = &m->report;

	if (pgha_is_self(node, event->member))
		return;
	if (m->contact == PGHA_CONTACT_REFUSED)
	{
		/* Of another address it says nothing of the server that was the leader. */
		if (event->same_address || !RULE(node, PGHA_RULE_REFUSED))
			m->disproved = m->told;
		return;
	}
	if (m->contact != PGHA_CONTACT_ANSWERED || !pgha_counts(node, m))
		return;
	m->disproved = 0;
	if (!event->same_address)
		m->moved = step->now;
	pgha_take_echo(step, event->member);
	if (report->beat == 0 || (report->beat == m->beat && report->instance == m->beat_instance))
		return;
	m->beat = report->beat;
	m->beat_instance = report->instance;
	m->beat_heard = step->now;
}

/* ---- support (B) ---- */

/* Was this member made the leader of its claim's term by votes, if votes are needed for that here? */
static bool
leads_by_votes(const PghaNode *node, const PghaReport *report)
{
	return report->posted && !report->in_recovery && report->votes != 0 &&
		strcmp(report->claim.leader, report->node) == 0 &&
		(!pgha_in_force(node) || report->won >= report->claim.term);
}

static void
support(PghaNode *node, uint64_t term, const char *name)
{
	PghaDurable *durable = &node->durable;

	durable->support.term = term;
	memset(durable->support.name, 0, PGHA_NAME_SIZE);
	strcpy(durable->support.name, name);
	if (durable->highest < term)
		durable->highest = term;
	if (durable->vote.term <= term && !durable->forgot)
		durable->vote_open = false;
}

void
pgha_withdraw(PghaNode *node)
{
	PghaDurable *durable = &node->durable;

	node->voting.candidacy = 0;
	if (durable->withdrawn < durable->vote.term)
		durable->withdrawn = durable->vote.term;
	if (durable->won >= durable->vote.term)
		durable->won = durable->won_before;
	durable->vote_open = false;
}

/*
 * The own vote is open, and this node does not stand: it was elected or stood
 * before a restart, or its promotion was given up.  Where WAL of that term was
 * written, it stays the vote for a leader.
 */
static void
settle_own_vote(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;

	if (!durable->vote_open || node->voting.candidacy != 0 || node->state == PGHA_PROMOTING ||
		strcmp(durable->vote.name, node->settings.name[node->settings.self]) != 0)
		return;
	if (durable->won >= durable->vote.term &&
		(!node->local.in_recovery || !node->replayed_all || node->local.timeline >= durable->vote.term))
		return;
	pgha_withdraw(node);
	pgha_act(step, PGHA_ACT_WRITE_STATE);
}

/* B2 (b): the candidate says that its term will never be led in. */
static bool
is_withdrawn(const PghaNode *node, const PghaReport *report)
{
	const PghaDurable *durable = &node->durable;

	return report->withdrawn >= durable->vote.term &&
		(report->won < durable->vote.term || !RULE(node, PGHA_RULE_WON));
}

/*
 * B3: a later leader than the one supported.  An open vote for a later term stays
 * open, and binds as before; where a vote was hidden by another one, support is
 * of its term and of nobody.
 */
static bool
may_support(const PghaNode *node, uint64_t term)
{
	const PghaDurable *durable = &node->durable;

	return term > durable->support.term ||
		(term == durable->support.term && durable->support.name[0] == '\0');
}

/* What one member's report says of leaders, votes and rules. */
static bool
take_in(PghaStep *step, int member)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;
	const PghaReport *report = &node->member[member].report;
	bool		news = false;

	if (leads_by_votes(node, report) && may_support(node, report->claim.term) &&
		node->local.in_recovery + pgha_is_witness(node) > 0 && node->state != PGHA_PROMOTING)
	{
		/* B3, and C5: the own candidacy is over. */
		if (node->voting.candidacy != 0 && durable->vote_open)
			pgha_withdraw(node);
		support(node, report->claim.term, report->node);
		node->voting.tries = 0;
		node->voting.ordered_until = 0;
		news = true;
	}
	if (durable->vote_open && strcmp(durable->vote.name, report->node) == 0 &&
		(is_withdrawn(node, report) || !RULE(node, PGHA_RULE_FREE)))
	{
		durable->vote_open = false;
		news = true;
	}

	/* R2: the rule of the leader that is supported; R5: and what others have stored. */
	if (pgha_rule_compare(&report->rule, &durable->rule) > 0 && node->state != PGHA_PROMOTING &&
		node->local.in_recovery + pgha_is_witness(node) > 0 &&
		(report->posted ? (report->claim.term == durable->support.term && (!durable->vote_open || durable->forgot) &&
						   strcmp(report->node, durable->support.name) == 0) ||
		 !RULE(node, PGHA_RULE_STORE) : RULE(node, PGHA_RULE_RULE_AGE)))
	{
		/* Who was supported without votes, in a later term than the rule's, leads nobody who has a rule. */
		if (!pgha_in_force(node) && durable->support.term > report->rule.term && durable->support.name[0] != '\0')
			memset(&durable->support, 0, sizeof(durable->support));
		durable->rule = report->rule;
		news = true;
	}
	return news;
}

/*
 * It has led by the old ways, while the others had a rule and elected their leaders:
 * its WAL is later by number, and must not win (V4).
 */
static bool
disown_claim(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;
	const PghaClaim *claim = &durable->claim;
	const char *self = node->settings.name[node->settings.self];

	if (!pgha_in_force(node) || pgha_is_witness(node) || !node->local.in_recovery || durable->diverged ||
		strcmp(claim->leader, self) != 0 || claim->term <= durable->won || claim->term <= durable->rule.term ||
		node->voting.candidacy != 0 || node->state == PGHA_PROMOTING || !pgha_was_never_elected(node, claim->term))
		return false;
	durable->diverged = true;
	if (durable->support.term == claim->term)
	{
		memset(&durable->support, 0, sizeof(durable->support));
		durable->support.term = durable->rule.term;
	}
	if (node->state == PGHA_CANDIDATE || node->state == PGHA_RETURNING)
		pgha_enter(step, PGHA_STANDBY, pgha_because(PGHA_WHY_NOT_ELECTED, PGHA_NOBODY));
	pgha_tell(step, pgha_because(PGHA_WHY_NOT_ELECTED, PGHA_NOBODY));
	return true;
}

/* ---- votes (V) ---- */

/* Why this node is in no position to vote for others at all: it must know what WAL it has. */
static PghaWhy
bar_to_vote(const PghaNode *node)
{
	if (node->durable.forgot)
		return pgha_because(PGHA_WHY_FORGOT, pgha_recall_missing(node));
	if (!pgha_in_force(node))
		return pgha_because(PGHA_WHY_NO_RULE, PGHA_NOBODY);
	if (node->passive != PGHA_ACTIVE)
		return (PghaWhy) {PGHA_WHY_PASSIVE, PGHA_NOBODY, PGHA_BAR_PASSIVE, node->passive};
	if (node->voting.candidacy != 0)
		return pgha_because(PGHA_WHY_STANDING, PGHA_NOBODY);
	if (pgha_is_witness(node))
		return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	if (node->state == PGHA_PROMOTING)
		return pgha_because(PGHA_WHY_PROMOTING, PGHA_NOBODY);
	if (!node->local.in_recovery || node->state == PGHA_FENCING)
		return pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY);
	if (node->local.crash_recovery || !node->replayed_all)
		return (PghaWhy) {PGHA_WHY_NOT_READY, PGHA_NOBODY, PGHA_BAR_REPLAYING, PGHA_ACTIVE};
	return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}

/* Is it worth waiting for what becomes of the candidate that was voted for? */
static bool
waits_for_outcome(const PghaNode *node, pgha_time now)
{
	int			member = pgha_find_voter(node, node->durable.vote.name);
	const PghaMember *m;

	if (!node->durable.vote_open || member == PGHA_NOBODY || !RULE(node, PGHA_RULE_POLITE))
		return false;
	m = &node->member[member];
	return m->contact == PGHA_CONTACT_ANSWERED &&
		now - node->voting.voted_at < 2 * node->settings.failure_timeout;
}

/* V1 to V5 but for the receiver. */
PghaWhy
pgha_vote_refusal(const PghaNode *node, int member, pgha_time now)
{
	const PghaMember *m = &node->member[member];
	const PghaReport *report = &m->report;
	const PghaDurable *durable = &node->durable;
	PghaWhy		why = bar_to_vote(node);

	if (why.reason != PGHA_WHY_NONE)
		return why;
	if (waits_for_outcome(node, now))
		return pgha_because(PGHA_WHY_VOTED, pgha_find_voter(node, durable->vote.name));
	if (report->candidacy == 0)
		return pgha_because(PGHA_WHY_STANDS_NOT, member);
	if (report->candidacy < durable->highest + 1 &&
		(RULE(node, PGHA_RULE_ONCE) || report->candidacy < durable->highest))
		return pgha_because(PGHA_WHY_VOTED_ALREADY, member);
	if (!RULE(node, PGHA_RULE_ONCE) && durable->vote_open && strcmp(durable->vote.name, report->node) == 0 &&
		durable->vote.term == report->candidacy)
		return pgha_because(PGHA_WHY_VOTED_ALREADY, member);
	if (!pgha_may_break_promise(node, member, now))
		return pgha_because(PGHA_WHY_PROMISED, pgha_supported(node));
	if (pgha_rule_compare(&report->rule, &durable->rule) < 0 && RULE(node, PGHA_RULE_RULE_AGE))
		return pgha_because(PGHA_WHY_OLD_RULE, member);
	if (!pgha_is_among(&report->rule, report->rule.eligible, report->node) && RULE(node, PGHA_RULE_ELIGIBLE))
		return pgha_because(PGHA_WHY_NOT_ELIGIBLE, member);
	if (!pgha_is_witness(node) && RULE(node, PGHA_RULE_UP_TO_DATE) &&
		pgha_wal_compare(report->timeline, report->wal_end, node->local.timeline, node->local.wal_end) < 0)
		return pgha_because(PGHA_WHY_LESS_WAL, member);
	return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}

/* Keeps the last refusal, for people; a vote that was given in that term after all ends it. */
static void
remember_refusal(PghaStep *step, int member, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaRefusal *refusal = &node->voting.refusal;
	const PghaReport *report = &node->member[member].report;

	if (report->candidacy == node->durable.vote.term && strcmp(node->durable.vote.name, report->node) == 0)
		return;
	refusal->at = step->now;
	refusal->candidate.term = report->candidacy;
	strcpy(refusal->candidate.name, report->node);
	refusal->why = why;
}

bool
pgha_receiver_is_stopped(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	voting->stop_wanted = true;
	if (pgha_is_witness(node) || !RULE(node, PGHA_RULE_STOP))
		return true;
	if (voting->receiver == PGHA_NOT_STOPPED)
	{
		pgha_unfollow(step);
		node->upstream = PGHA_NOBODY;
		pgha_act(step, PGHA_ACT_STOP_RECEIVER);
		voting->receiver = PGHA_STOP_ORDERED;
	}
	return voting->receiver == PGHA_STOPPED;
}

void
pgha_cast_vote(PghaStep *step, uint64_t term, const char *name)
{
	PghaDurable *durable = &step->node->durable;

	/* B2 (c): the former vote may have been decisive; no leader before that one's term is supported again. */
	if (durable->vote_open && RULE(step->node, PGHA_RULE_DROP))
	{
		memset(&durable->support, 0, sizeof(durable->support));
		durable->support.term = durable->vote.term;
	}
	durable->vote.term = term;
	memset(durable->vote.name, 0, PGHA_NAME_SIZE);
	strcpy(durable->vote.name, name);
	durable->vote_open = true;
	durable->highest = term;
	step->node->voting.voted_at = step->now;
}

static void
vote(PghaStep *step)
{
	PghaNode   *node = step->node;
	int			best = PGHA_NOBODY;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaReport *report = &node->member[i].report;
		PghaWhy		why;

		if (pgha_is_self(node, i) || node->member[i].heard == 0 || !pgha_counts(node, &node->member[i]) ||
			report->candidacy == 0)
			continue;
		why = pgha_vote_refusal(node, i, step->now);
		if (why.reason != PGHA_WHY_NONE)
		{
			remember_refusal(step, i, why);
			continue;
		}
		if (best == PGHA_NOBODY ||
			pgha_wal_compare(report->timeline, report->wal_end, node->member[best].report.timeline,
							 node->member[best].report.wal_end) > 0)
			best = i;
	}
	if (best == PGHA_NOBODY || !pgha_receiver_is_stopped(step))
		return;
	pgha_cast_vote(step, node->member[best].report.candidacy, node->settings.name[best]);
	if (node->voting.refusal.candidate.term <= node->durable.vote.term)
		memset(&node->voting.refusal, 0, sizeof(node->voting.refusal));
	if (RULE(node, PGHA_RULE_DURABLE))
		pgha_act(step, PGHA_ACT_WRITE_STATE);
}

/* Others that are new, or start as this one does, are there in a moment. */
static void
tell_unaware(PghaStep *step)
{
	PghaNode   *node = step->node;

	if (!pgha_is_unaware(node) || node->voting.forgot_told ||
		step->now - node->started < 2 * node->settings.failure_timeout)
		return;
	node->voting.forgot_told = true;
	pgha_tell(step, pgha_because(PGHA_WHY_FORGOT, pgha_recall_missing(node)));
}

void
pgha_tend_ballot(PghaStep *step)
{
	PghaNode   *node = step->node;
	bool		news = false;

	node->voting.stop_wanted = false;
	if (node->durable.forgot && !RULE(node, PGHA_RULE_FORGOT))
		node->durable.forgot = node->durable.vote_open = false;
	news = pgha_recall(step);
	tell_unaware(step);
	settle_own_vote(step);
	if (node->posted && node->durable.claim.term > node->durable.support.term)
	{
		support(node, node->durable.claim.term, node->settings.name[node->settings.self]);
		news = true;
	}
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		if (!pgha_is_self(node, i) && node->member[i].heard != 0 && pgha_counts(node, &node->member[i]))
			news |= take_in(step, i);
	}
	news |= disown_claim(step);
	if (news)
		pgha_act(step, PGHA_ACT_WRITE_STATE);
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		/* A beat that was heard in this step. */
		if (!pgha_is_self(node, i) && node->member[i].beat_heard == step->now)
			promise(step, i);
	}
	vote(step);
}

void
pgha_release_receiver(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if (voting->receiver != PGHA_STOPPED || voting->stop_wanted ||
		(node->durable.vote_open && RULE(node, PGHA_RULE_FOLLOW)) ||
		voting->candidacy != 0 || node->state == PGHA_PROMOTING || !node->local.in_recovery)
		return;
	voting->receiver = PGHA_NOT_STOPPED;
	pgha_act(step, PGHA_ACT_RELEASE_RECEIVER);
}

pgha_time
pgha_longest_wait(const PghaSettings *settings)
{
	return settings->heartbeat_interval < settings->failure_timeout / 4 ?
		settings->heartbeat_interval : settings->failure_timeout / 4;
}

void
pgha_report_voting(const PghaNode *node, PghaReport *report, pgha_time now)
{
	const PghaVoting *voting = &node->voting;
	const PghaDurable *durable = &node->durable;

	report->released = voting->released;
	if (voting->handover != PGHA_NOBODY)
	{
		report->handover.term = durable->claim.term;
		strcpy(report->handover.name, node->settings.name[voting->handover]);
		report->handover_lsn = voting->handover_lsn;
	}
	else if (node->local.in_recovery && voting->heir.term == pgha_followed_term(node))
	{
		report->released = voting->heir_heard != 0 ? voting->heir.term : 0;
		report->handover = voting->heir;
		report->handover_lsn = voting->heir_lsn;
	}
	if (!pgha_takes_part(node))
		return;
	report->votes = PGHA_VOTES;
	report->waits = pgha_longest_wait(&node->settings);
	report->support = durable->support;
	report->vote = durable->vote;
	report->vote_open = durable->vote_open;
	report->highest = durable->highest;
	report->withdrawn = durable->withdrawn;
	report->won = durable->won;
	report->rule = durable->rule;
	report->candidacy = voting->candidacy;
	report->seeks = node->state == PGHA_CANDIDATE;
	report->replay_lag = pgha_replay_lag(&node->local);
	if (node->posted)
		report->beat = voting->beat;
	report->leased = node->posted && now < voting->lease_deadline;
	report->promise = voting->promise;
	report->promise_age = now - voting->promised;
}
