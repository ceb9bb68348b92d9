/*
 * recall.c
 *		A voter that does not know what it has voted in.
 *
 * Its pgha.state was lost, is damaged, or belongs to another node; a node that is
 * new cannot tell that from it.  It may have voted, in a term that it does not
 * know, for a candidate that has not counted that vote yet, and have supported a
 * later leader than any that it sees.  So it is what quorum.md calls a voter with an open
 * vote (B2), of an unknown term: it neither votes nor stands nor promises, and confirms
 * neither commits (B4) nor rules (R3).
 *
 * When is nothing of that pending?  A vote serves nobody but the candidate it was
 * given to, while that one stands for that term; and a candidacy does not outlive
 * being given up, or a restart.  So it is once every member that may stand has been
 * heard, since the start of this node, not to stand.  Each term that this node may
 * have voted in was then
 *
 *	- given up: nobody will ever lead in it, or
 *	- won: the winner has made that durable before it promoted (`won`), and says it.
 *
 * The candidate of a term has made that durable, too (`highest`), before it asked for
 * votes.  So the greatest `highest` of all is one that this node has not voted beyond,
 * and with the greatest `won` as the term of its support it accepts no leader of before
 * any that it may have accepted.  The newest rule that it may have stored is its
 * author's, who is one of those members; a promise from before the start lasts its
 * time as after any start (P).
 *
 * A member that has forgotten its votes itself does not know what it has won.  But if
 * it led, its WAL is on the timeline of that term, beyond that of those who remember;
 * and if it was not promoted, nobody ever led in that term.
 *
 * Its newest rule may not be committed, though, and leave out who stands by the one
 * before: who is in the file, or in any rule that is heard of, is asked for as well.
 *
 * Where no rule is in force anywhere nobody was elected: all that are new begin as
 * soon as all were there once.  While a member is missing it stays as it is.
 */
#include "recall.h"

#include <stddef.h>

#include "members.h"
#include "rule.h"

void
pgha_forget(PghaDurable *durable)
{
	memset(durable, 0, sizeof(*durable));
	durable->forgot = durable->vote_open = true;
}

void
pgha_forget_votes(PghaDurable *durable)
{
	const size_t votes = offsetof(PghaDurable, support);
	pgha_time	promised = durable->promised_ttl;

	memset((char *) durable + votes, 0, sizeof(*durable) - votes);
	durable->promised_ttl = promised;
	durable->forgot = durable->vote_open = true;
}

/* The newest rule that anybody knows. */
static const PghaVotingRule *
newest_rule(const PghaNode *node)
{
	const PghaVotingRule *newest = &node->durable.rule;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (m->heard != 0 && m->report.system_identifier == node->settings.system_identifier &&
			pgha_rule_compare(&m->report.rule, newest) > 0)
			newest = &m->report.rule;
	}
	return newest;
}

/* Was it heard not to stand?  What it stands for later this node has not voted in. */
static bool
does_not_stand(const PghaNode *node, int member)
{
	const PghaMember *m = &node->member[member];

	/* Of one that has forgotten it, too, its WAL must tell what it won: all of it. */
	return pgha_is_self(node, member) ||
		(m->heard != 0 && m->report.system_identifier == node->settings.system_identifier &&
		 m->report.candidacy == 0 && !(pgha_has_forgotten(&m->report) && m->report.bar == PGHA_BAR_REPLAYING));
}

/* Were all members with data of a rule heard not to stand?  If not, *missing is one of them. */
static bool
all_of_rule_heard(const PghaNode *node, const PghaVotingRule *rule, int *missing)
{
	for (int i = 0; i < rule->count; i++)
	{
		if ((rule->witnesses & (UINT32_C(1) << i)) != 0)
			continue;
		*missing = pgha_find_voter(node, rule->voter[i]);
		if (*missing == PGHA_NOBODY || !does_not_stand(node, *missing))
			return false;
	}
	return true;
}

/*
 * Has everybody been heard that may have stood?  If not, *missing is one of them.
 * The newest rule may never have been committed, and leave out who stands by the
 * one before: those of all rules that are known, and of the file, are asked for.
 */
static bool
all_heard(const PghaNode *node, int *missing)
{
	if (!all_of_rule_heard(node, &node->durable.rule, missing))
		return false;
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (i < node->settings.count && !does_not_stand(node, i))
		{
			*missing = i;
			return false;
		}
		if (m->heard != 0 && m->report.system_identifier == node->settings.system_identifier &&
			!all_of_rule_heard(node, &m->report.rule, missing))
			return false;
	}
	return true;
}

int
pgha_recall_missing(const PghaNode *node)
{
	int			missing = PGHA_NOBODY;

	return all_heard(node, &missing) ? PGHA_NOBODY : missing;
}

static void
raise(uint64_t *term, uint64_t other)
{
	if (*term < other)
		*term = other;
}

/*
 * A majority has voted in the term of whoever was elected.  So nobody was if too few
 * can have: the others have not voted that late, nor followed this node.
 *
 * `term` may be the number of a timeline, which is ahead of the terms where one was
 * begun before the members voted.  So nothing is proved by who supports this node:
 * if anybody else has led since, a majority does not.
 */
bool
pgha_was_never_elected(const PghaNode *node, uint64_t term)
{
	const PghaVotingRule *rule = newest_rule(node);
	const char *self = node->settings.name[node->settings.self];
	int			others = 0;

	for (int i = 0; i < rule->count; i++)
	{
		int			voter = pgha_find_voter(node, rule->voter[i]);
		const PghaReport *report;

		if (voter == PGHA_NOBODY || pgha_is_self(node, voter) || !pgha_counts(node, &node->member[voter]))
			continue;
		report = &node->member[voter].report;
		if (report->votes != 0 && !pgha_has_forgotten(report) && report->highest < term &&
			strcmp(report->claim.leader, self) != 0 && strcmp(report->support.name, self) != 0)
			others++;
	}
	return others > rule->count - pgha_majority_of(rule);
}

/* The greatest term that somebody was elected in, as far as anybody remembers, or WAL tells. */
static uint64_t
last_elected(const PghaNode *node, bool *beside)
{
	uint64_t	elected = newest_rule(node)->term;
	uint64_t	remembered = 0;	/* newest timeline of those who know what they won */
	uint64_t	own = node->local.timeline;
	uint64_t	forgotten = 0;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaReport *report = &node->member[i].report;

		if (pgha_is_self(node, i) || node->member[i].heard == 0)
			continue;
		raise(&elected, report->won);
		if (report->support.name[0] != '\0')
			raise(&elected, report->support.term);
		raise(pgha_has_forgotten(report) ? &forgotten : &remembered, report->timeline);
	}

	/* It has led by the old ways while the others voted (pgha.quorum = off, and pgha.state lost). */
	*beside = own > remembered && pgha_was_never_elected(node, own) && !pgha_is_witness(node);
	if (!*beside)
		raise(&forgotten, own);
	if (forgotten > remembered)
		raise(&elected, forgotten);
	return elected;
}

bool
pgha_recall(PghaStep *step)
{
	PghaNode   *node = step->node;
	PghaDurable *durable = &node->durable;
	int			missing;

	/* Of a standby it is not known before what WAL it has. */
	if (!durable->forgot || !(node->replayed_all || pgha_is_witness(node)) || !all_heard(node, &missing))
		return false;
	if (newest_rule(node)->term != 0)
	{
		bool		beside;
		uint64_t	elected = last_elected(node, &beside);

		durable->diverged |= beside;
		if (durable->support.term < elected)
		{
			memset(&durable->support, 0, sizeof(durable->support));
			durable->support.term = elected;
		}
	}
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaReport *report = &node->member[i].report;

		if (node->member[i].heard == 0)
			continue;
		raise(&durable->highest, report->highest);
		raise(&durable->highest, report->won);
		raise(&durable->highest, report->vote.term);
	}
	raise(&durable->highest, durable->support.term);
	raise(&durable->highest, node->max_timeline);
	durable->forgot = durable->vote_open = false;
	return true;
}

bool
pgha_may_follow_unaware(const PghaNode *node, const PghaReport *leader)
{
	return leader->rule.k == 0 ||
		!pgha_is_among(&leader->rule, leader->rule.sync, node->settings.name[node->settings.self]);
}
