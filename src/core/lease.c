/*
 * lease.c
 *		The leader's lease, and the deadline of its gate.
 *
 * Called by a leader's half once a step, and when a voter has answered
 * (quorum.md, 4 L).  Never counts a promise from later than the publication of
 * the beat that it was made on, nor for longer than it was made for, and forgets
 * all of them with the instance.
 */
#include "lease.h"
#include "members.h"
#include "rule.h"

/* No settings ask for less (server/config_votes.c); what others say must not make this node beat without end. */
#define SHORTEST_LEASE	500000

void
pgha_take_echo(PghaStep *step, int member)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	PghaMember *m = &node->member[member];
	const PghaPromise *promise = &m->report.promise;
	pgha_time	ttl = node->settings.lease_ttl;

	if (!node->posted || promise->leader.term != node->durable.claim.term ||
		strcmp(promise->leader.name, node->settings.name[node->settings.self]) != 0 ||
		(promise->instance != node->settings.instance && RULE(node, PGHA_RULE_INSTANCE)))
		return;
	if (promise->instance != node->settings.instance)
	{
		m->granted = step->now + node->settings.lease_ttl;
		return;
	}
	if (promise->beat > voting->beat || promise->beat + PGHA_BEATS <= voting->beat)
		return;
	if (promise->ttl < ttl)
		ttl = promise->ttl;
	m->granted = pgha_later(m->granted, voting->beat_at[promise->beat % PGHA_BEATS] + ttl);
}

pgha_time
pgha_lease_under(const PghaNode *node, const PghaVotingRule *rule, pgha_time now)
{
	pgha_time	until[PGHA_MAX_MEMBERS];
	int			count = 0;
	int			needed = pgha_majority_of(rule);

	if (!RULE(node, PGHA_RULE_LEASE))
		needed = 1;
	for (int i = 0; i < rule->count; i++)
	{
		int			member = pgha_find_voter(node, rule->voter[i]);
		pgha_time	granted;
		int			at = count;

		if (member == PGHA_NOBODY)
			continue;
		granted = pgha_is_self(node, member) ? now + node->settings.lease_ttl : node->member[member].granted;
		if (granted == 0)
			continue;
		for (; at > 0 && until[at - 1] < granted; at--)
			until[at] = until[at - 1];
		until[at] = granted;
		count++;
	}
	return count < needed ? 0 : until[needed - 1];
}

/*
 * Four to a lease: the shortest that is promised, as lease_ttl may differ from node to
 * node, if only while new settings are being brought to them.
 */
pgha_time
pgha_beat_interval(const PghaNode *node)
{
	pgha_time	ttl = node->settings.lease_ttl;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (m->granted != 0 && m->report.promise.ttl < ttl)
			ttl = pgha_later(m->report.promise.ttl, SHORTEST_LEASE);
	}
	return node->settings.heartbeat_interval < ttl / 4 ? node->settings.heartbeat_interval : ttl / 4;
}

void
pgha_beat(PghaStep *step)
{
	PghaVoting *voting = &step->node->voting;

	if (voting->beat != 0 &&
		step->now - voting->beat_at[voting->beat % PGHA_BEATS] < pgha_beat_interval(step->node))
		return;
	voting->beat++;
	voting->beat_at[voting->beat % PGHA_BEATS] = step->now;
}

/* S5: what this leader's WAL holds from before it was opened must be as safe as what it acknowledges. */
static bool
may_open(PghaNode *node)
{
	PghaVoting *voting = &node->voting;
	const PghaVotingRule *rule = &node->durable.rule;

	if (voting->opened)
		return true;
	if (rule->k > 0 && RULE(node, PGHA_RULE_OPEN))
	{
		if (voting->open_at == 0)
			voting->open_at = node->local.wal_end;
		if (!pgha_is_flushed(node, rule, voting->open_at))
			return false;
	}
	voting->opened = true;
	return true;
}

/* The lesser of the leases under the newest rule and the one before, while that is not replaced (L2). */
static pgha_time
lease(const PghaNode *node, pgha_time now)
{
	const PghaVoting *voting = &node->voting;
	const PghaVotingRule *newest = &node->durable.rule;
	pgha_time	deadline = pgha_lease_under(node, newest, now);

	if (voting->committed.term != 0 && pgha_rule_compare(&voting->committed, newest) != 0)
	{
		pgha_time	former = pgha_lease_under(node, &voting->committed, now);

		if (former < deadline)
			deadline = former;
	}
	return deadline;
}

int
pgha_unelected(const PghaNode *node)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && pgha_counts(node, m) && m->report.posted && !m->report.in_recovery &&
			m->report.rule.term == 0 && m->report.claim.term > node->durable.claim.term)
			return i;
	}
	return PGHA_NOBODY;
}

void
pgha_set_deadline(PghaStep *step, pgha_time until)
{
	PghaVoting *voting = &step->node->voting;

	if (voting->gate_deadline == until)
		return;
	voting->gate_deadline = until;
	pgha_act(step, PGHA_ACT_LEASE)->until = until;
}

void
pgha_hold_gate(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	bool		committed = voting->committed.term != 0 || !RULE(node, PGHA_RULE_COMMIT);
	bool		held = (voting->released != 0 || voting->holding) && RULE(node, PGHA_RULE_RELEASE);
	bool		open;

	voting->lease_deadline = lease(node, step->now);
	open = node->posted && committed && may_open(node) && !pgha_is_arming(node) &&
		!held && pgha_unelected(node) == PGHA_NOBODY && step->now < voting->lease_deadline;
	pgha_set_deadline(step, voting->lease_deadline);
	if (open)
		pgha_open_gate(step);
	else if (node->gate_open && step->now < voting->lease_deadline)
	{
		node->gate_open = false;
		pgha_act(step, PGHA_ACT_SUSPEND_GATE);
	}
}

pgha_time
pgha_lease_missed(PghaStep *step)
{
	PghaVoting *voting = &step->node->voting;

	if (step->now < voting->lease_deadline)
		voting->lease_missed = 0;
	else if (voting->lease_missed == 0)
		voting->lease_missed = step->now;
	return voting->lease_missed == 0 ? 0 : pgha_later(voting->lease_missed, step->node->awake);
}
