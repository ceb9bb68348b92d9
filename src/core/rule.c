/*
 * rule.c
 *		The rule: who votes, who may be elected, whose flush confirms commits.
 *
 * Called by the ballot, the lease and the candidacy, and once a step by a
 * leader, the only one that writes rules (quorum.md, 4 R and 5).  Never changes
 * two things at once: the next change waits until the last one is committed.
 */
#include "rule.h"
#include "members.h"

/* No WAL gets as far as that. */
#define CHANGE_IS_NEW		UINT64_MAX

int
pgha_find_voter(const PghaNode *node, const char *name)
{
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		if (strcmp(node->settings.name[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

int
pgha_rule_compare(const PghaVotingRule *a, const PghaVotingRule *b)
{
	if (a->term != b->term)
		return a->term < b->term ? -1 : 1;
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return 0;
}

int
pgha_voter_named(const PghaVotingRule *rule, const char *name)
{
	for (int i = 0; i < rule->count; i++)
	{
		if (strcmp(rule->voter[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

bool
pgha_is_among(const PghaVotingRule *rule, uint32_t set, const char *name)
{
	int			voter = pgha_voter_named(rule, name);

	return voter != PGHA_NOBODY && (set & (UINT32_C(1) << voter)) != 0;
}

int
pgha_majority_of(const PghaVotingRule *rule)
{
	return rule->count / 2 + 1;
}

int
pgha_count_set(uint32_t set)
{
	int			count = 0;

	for (; set != 0; set &= set - 1)
		count++;
	return count;
}

/*
 * S3.  Who has written the rule itself has all that was confirmed under it; had a later
 * leader confirmed anything, one of any majority would have a later rule (V3).
 */
bool
pgha_elects(const PghaNode *node, const PghaVotingRule *rule, uint64_t won, uint32_t votes)
{
	(void) node;				/* only the simulator asks it for rules that are switched off */
	if (pgha_count_set(votes) < pgha_majority_of(rule) && RULE(node, PGHA_RULE_MAJORITY))
		return false;
	return rule->k == 0 || won == rule->term || !RULE(node, PGHA_RULE_ENOUGH) ||
		pgha_count_set(votes & rule->sync) >= pgha_count_set(rule->sync) - rule->k + 1;
}

/* All data members of a rule. */
static uint32_t
data_members(const PghaVotingRule *rule)
{
	return ((UINT32_C(1) << rule->count) - 1) & ~rule->witnesses;
}

/*
 * The members of `set`, numbered as in the file, in the rule's numbering; none that
 * the rule has as a witness: no report with such a rule would be read by anybody.
 */
static uint32_t
set_of_rule(const PghaNode *node, const PghaVotingRule *rule, uint32_t set)
{
	uint32_t	result = 0;

	for (int i = 0; i < node->settings.count; i++)
	{
		int			voter = pgha_voter_named(rule, node->settings.name[i]);

		if ((set & (UINT32_C(1) << i)) != 0 && voter != PGHA_NOBODY)
			result |= UINT32_C(1) << voter;
	}
	return result & data_members(rule);
}

bool
pgha_has_forgotten(const PghaReport *report)
{
	return report->vote_open && report->vote.term == 0;
}

bool
pgha_confirms(const PghaNode *node, int member)
{
	const PghaMember *m = &node->member[member];

	return m->heard != 0 && !pgha_has_forgotten(&m->report);
}

bool
pgha_is_flushed(const PghaNode *node, const PghaVotingRule *rule, pgha_lsn lsn)
{
	int			count = 0;

	for (int i = 0; i < node->settings.count; i++)
	{
		if (node->local.flushed[i] >= lsn && pgha_confirms(node, i) &&
			pgha_is_among(rule, rule->sync, node->settings.name[i]))
			count++;
	}
	return count >= rule->k;
}

bool
pgha_supports(const PghaReport *report, uint64_t term, const char *leader)
{
	return report->votes != 0 && report->support.term == term && !report->vote_open &&
		strcmp(report->support.name, leader) == 0;
}

/* Does nobody but the leader have all that was confirmed (S7)? */
static bool
is_degraded(const PghaVotingRule *rule)
{
	return rule->k == 0 && rule->eligible != data_members(rule);
}

/* S2: with k > 0 S and the leader may be elected, degraded the leader alone, else all that have data. */
static void
set_eligible(PghaVotingRule *rule, const char *leader, bool degraded)
{
	rule->eligible = UINT32_C(1) << pgha_voter_named(rule, leader);
	if (rule->k > 0)
		rule->eligible |= rule->sync;
	else if (!degraded)
		rule->eligible = data_members(rule);
}

/*
 * Gives the rule the k and S that the server applies.  Names that are no voters
 * (strangers, a member that has just left the files, one that does not vote yet)
 * may end PostgreSQL's wait, but take nothing from k: the voters that are named
 * have to confirm besides, or what was acknowledged might be where nobody asks for
 * it.  While only members are named of which none votes yet, S stays.
 */
static void
apply_sync(const PghaNode *node, PghaVotingRule *rule)
{
	const PghaSync *sync = &node->local.sync;
	uint32_t	named = sync->method != PGHA_SYNC_NONE ? set_of_rule(node, rule, sync->listed) : 0;

	if (named == 0 && sync->method != PGHA_SYNC_NONE && sync->listed != 0 && rule->k > 0)
		return;
	rule->sync = named;

	/* More than there are never confirm: PostgreSQL makes commits wait, and nobody else need do so. */
	rule->k = named == 0 ? 0 : sync->num_sync;
	if (rule->k > pgha_count_set(named))
		rule->k = pgha_count_set(named);
}

PghaVotingRule
pgha_rule_of_file(const PghaNode *node)
{
	PghaVotingRule rule;

	memset(&rule, 0, sizeof(rule));
	rule.term = node->durable.claim.term;
	rule.count = node->settings.voters;
	for (int i = 0; i < rule.count; i++)
	{
		strcpy(rule.voter[i], node->settings.name[i]);
		if (i >= node->settings.count)
			rule.witnesses |= UINT32_C(1) << i;
	}
	apply_sync(node, &rule);
	set_eligible(&rule, node->settings.name[node->settings.self], false);
	return rule;
}

bool
pgha_is_arming(const PghaNode *node)
{
	const PghaVotingRule *committed = &node->voting.committed;
	PghaVotingRule applied = node->durable.rule;

	if (committed->term == 0 || committed->k > 0 || is_degraded(committed))
		return false;
	apply_sync(node, &applied);
	return applied.k > 0;
}

/*
 * The mode stays.  What was confirmed is on k of S and on the leader that this
 * node follows: all of them but this node itself are S of the new term.
 */
void
pgha_begin_rule(PghaNode *node)
{
	PghaVotingRule *rule = &node->durable.rule;
	const char *self = node->settings.name[node->settings.self];
	bool		degraded = is_degraded(rule);

	/* Promoted by hand before the rule took it up, or knew it as a member. */
	if (pgha_voter_named(rule, self) == PGHA_NOBODY)
		strcpy(rule->voter[rule->count++], self);
	rule->witnesses &= ~(UINT32_C(1) << pgha_voter_named(rule, self));
	rule->term = node->durable.claim.term;
	rule->epoch = 0;
	if (rule->k > 0)
		rule->sync = (rule->sync | rule->eligible) & data_members(rule) &
			~(UINT32_C(1) << pgha_voter_named(rule, self));
	set_eligible(rule, self, degraded);
	memset(&node->voting.committed, 0, sizeof(node->voting.committed));
}

/* R3: has a majority of these voters stored the leader's newest rule? */
static bool
is_stored(const PghaNode *node, const PghaVotingRule *voters)
{
	const char *self = node->settings.name[node->settings.self];
	int			count = 0;

	for (int i = 0; i < voters->count; i++)
	{
		int			member = pgha_find_voter(node, voters->voter[i]);
		const PghaReport *report;

		if (member == PGHA_NOBODY)
			continue;
		if (pgha_is_self(node, member))
		{
			count++;
			continue;
		}
		report = &node->member[member].report;
		if (node->member[member].heard != 0 &&
			pgha_rule_compare(&report->rule, &node->durable.rule) == 0 &&
			(pgha_supports(report, node->durable.claim.term, self) || !RULE(node, PGHA_RULE_STORE)))
			count++;
	}
	return count >= pgha_majority_of(voters);
}

/*
 * Does that voter answer, and would it vote?  A new one waits until it has heard
 * all that the rule names: who is gone from the file goes from the rule before it.
 */
static bool
is_ready(const PghaNode *node, const char *name)
{
	int			member = pgha_find_voter(node, name);

	return member != PGHA_NOBODY &&
		(pgha_is_self(node, member) ||
		 (pgha_counts(node, &node->member[member]) && node->member[member].report.votes != 0 &&
		  !pgha_has_forgotten(&node->member[member].report)));
}

/* Would a majority of the rule's voters answer? */
static bool
is_workable(const PghaNode *node, const PghaVotingRule *rule)
{
	int			count = 0;

	for (int i = 0; i < rule->count; i++)
		if (is_ready(node, rule->voter[i]))
			count++;
	return count >= pgha_majority_of(rule);
}

/* Takes voter `gone` out, and moves those behind it up in all sets. */
static void
remove_voter(PghaVotingRule *rule, int gone)
{
	uint32_t	below = (UINT32_C(1) << gone) - 1;

	rule->witnesses = (rule->witnesses & below) | (rule->witnesses >> 1 & ~below);
	rule->sync = (rule->sync & below) | (rule->sync >> 1 & ~below);
	rule->count--;
	for (int i = gone; i < rule->count; i++)
		strcpy(rule->voter[i], rule->voter[i + 1]);
	memset(rule->voter[rule->count], 0, PGHA_NAME_SIZE);
}

/* Is that voter gone from the file (or leaving it), or is it a witness in one and a member in the other? */
static bool
is_to_go(const PghaNode *node, const PghaVotingRule *rule, int voter)
{
	int			member = pgha_find_voter(node, rule->voter[voter]);
	bool		witness = (rule->witnesses & (UINT32_C(1) << voter)) != 0;

	return member == PGHA_NOBODY || member >= node->settings.voters - node->settings.leaving ||
		(witness != (member >= node->settings.count) && !pgha_is_self(node, member));
}

/*
 * R4: the file is the wish; one voter more or less at a time.  A voter whose
 * flush confirms commits stays until others have flushed what it has, one
 * without which no majority would answer until others do.  `why` becomes the
 * reason for what is left undone.  Who becomes a member that was a witness goes,
 * and comes again.
 */
static bool
change_voters(const PghaNode *node, PghaVotingRule *rule, PghaWhy *why)
{
	const char *self = node->settings.name[node->settings.self];
	bool		degraded = is_degraded(rule);

	if (node->settings.voters == 0)
		return false;
	for (int i = 0; i < node->settings.voters - node->settings.leaving; i++)
	{
		const char *name = node->settings.name[i];

		if (pgha_voter_named(rule, name) != PGHA_NOBODY || rule->count == PGHA_MAX_MEMBERS)
			continue;
		if (!is_ready(node, name))
		{
			*why = pgha_because(PGHA_WHY_VOTER_ABSENT, i);
			continue;
		}
		if (i >= node->settings.count)
			rule->witnesses |= UINT32_C(1) << rule->count;
		strcpy(rule->voter[rule->count++], name);
		set_eligible(rule, self, degraded);
		return is_workable(node, rule);
	}
	for (int i = 0; i < rule->count; i++)
	{
		int			member = pgha_find_voter(node, rule->voter[i]);
		PghaVotingRule without = *rule;

		if (!is_to_go(node, rule, i))
			continue;
		if (rule->k > 0 && (rule->sync & (UINT32_C(1) << i)) != 0)
		{
			*why = pgha_because(PGHA_WHY_VOTER_CONFIRMS, member);
			continue;
		}
		remove_voter(&without, i);
		if (!is_workable(node, &without))
		{
			*why = pgha_because(PGHA_WHY_VOTER_NEEDED, member);
			continue;
		}
		set_eligible(&without, self, degraded);
		*rule = without;
		return true;
	}
	return false;
}

/* The files ask for more than can be done: told once that has lasted. */
static void
note_obstacle(PghaStep *step, PghaWhy why)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;

	if (why.reason != voting->obstacle.reason || why.member != voting->obstacle.member)
	{
		voting->obstacle = why;
		voting->obstacle_since = step->now;
		voting->obstacle_told = false;
	}
	if (why.reason == PGHA_WHY_NONE || voting->obstacle_told ||
		step->now - voting->obstacle_since < node->settings.failure_timeout)
		return;
	voting->obstacle_told = true;
	pgha_tell(step, why);
}

bool
pgha_is_needed(const PghaNode *node, const char *name)
{
	return pgha_voter_named(&node->durable.rule, name) != PGHA_NOBODY ||
		(node->posted && pgha_voter_named(&node->voting.committed, name) != PGHA_NOBODY);
}

/*
 * Remembers what a change of k, S or eligibility waits for: the WAL up to where
 * it was when all commits had begun to ask for the new confirmations, too.  The
 * gate is told of those after the step in which the change was seen.
 */
static void
wait_for_change(PghaNode *node, const PghaVotingRule *next)
{
	PghaVoting *voting = &node->voting;

	if (voting->change_at == 0 || voting->change.k != next->k || voting->change.sync != next->sync)
	{
		voting->change_at = CHANGE_IS_NEW;
		voting->change = *next;
	}
	else if (voting->change_at == CHANGE_IS_NEW)
		voting->change_at = node->local.wal_end;
}

/* How many voters of a set have flushed what the change waits for, the leader included? */
static int
have_caught_up(const PghaNode *node, const PghaVotingRule *rule, uint32_t set)
{
	int			count = 0;

	for (int i = 0; i < node->settings.count; i++)
	{
		if ((pgha_is_self(node, i) ||
			 (node->local.flushed[i] >= node->voting.change_at && pgha_confirms(node, i))) &&
			pgha_is_among(rule, set, node->settings.name[i]))
			count++;
	}
	return count;
}

/*
 * Section 5: k and S follow what the server applies.  Who may be elected under
 * the new rule must have all that was confirmed under the old one.
 */
static bool
change_sync(PghaNode *node, PghaVotingRule *rule)
{
	const PghaVotingRule *old = &node->durable.rule;
	const char *self = node->settings.name[node->settings.self];
	bool		caught_up;

	apply_sync(node, rule);
	if (rule->k == old->k && rule->sync == old->sync && !is_degraded(old))
	{
		node->voting.change_at = 0;
		return false;
	}

	/* Nothing was promised of what was not confirmed. */
	if (old->k == 0 && !is_degraded(old))
	{
		set_eligible(rule, self, false);
		return true;
	}

	/* S7: this leader has all of it; others may be elected when any majority has. */
	if (rule->k == 0 && old->k > 0)
	{
		set_eligible(rule, self, RULE(node, PGHA_RULE_CATCH_UP));
		return true;
	}
	if (rule->k > 0 && rule->k <= old->k && rule->sync == old->sync)
	{
		set_eligible(rule, self, false);
		return true;
	}
	wait_for_change(node, rule);
	if (rule->k == 0)
		caught_up = have_caught_up(node, rule, data_members(rule)) >= rule->count - pgha_majority_of(rule) + 1;
	else
	{
		/*
		 * S6.  k of the new S are enough, as they are for a commit: whoever is
		 * elected under the new rule has a vote of one of them, and no less WAL.
		 * All of S would keep a new leader shut while the former one is down.
		 */
		caught_up = pgha_is_flushed(node, rule, node->voting.change_at);
	}
	set_eligible(rule, self, false);
	return caught_up || !RULE(node, PGHA_RULE_CATCH_UP);
}

/* Of those with data that answer, is there none yet that has never stored a rule?  It goes by the old ways. */
static bool
is_known(const PghaNode *node, const PghaVotingRule *rule)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (!pgha_is_self(node, i) && pgha_counts(node, m) && m->report.votes != 0 && m->report.rule.term == 0 &&
			!pgha_has_forgotten(&m->report) && pgha_voter_named(rule, m->report.node) != PGHA_NOBODY)
			return false;
	}
	return true;
}

void
pgha_tend_rule(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	PghaVotingRule *newest = &node->durable.rule;
	PghaVotingRule next = *newest;

	if (newest->term == 0)
		return;
	if (pgha_rule_compare(&voting->committed, newest) != 0)
	{
		if (!is_stored(node, newest) ||
			(voting->committed.term != 0 && !is_stored(node, &voting->committed)))
			return;
		voting->committed = *newest;
	}
	if (voting->released != 0 || voting->handover != PGHA_NOBODY || !is_known(node, newest))
		return;
	if (!change_sync(node, &next))
	{
		PghaWhy		why = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
		bool		changed;

		next = *newest;
		if (!node->gate_open)
			return;
		changed = change_voters(node, &next, &why);
		note_obstacle(step, why);
		if (!changed)
			return;
	}
	next.epoch++;
	*newest = next;
	voting->change_at = 0;
	pgha_act(step, PGHA_ACT_WRITE_STATE);
}
