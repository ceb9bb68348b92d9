/*
 * voting.c
 *		What is known of votes, leases and rules, in the words of pgha_status() and
 *		pgha_cluster().
 *
 * For the SQL functions, which hand in a copy of what the monitor knows.  Names in
 * it may be of others' making: they are cleaned where the row is put (rows.c).
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/guc.h"

#include "../../core/recall.h"
#include "../../core/rule.h"
#include "../why.h"
#include "voting.h"

static void
append_name(StringInfo list, const char *name)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", name);
}

/* The voters of a set of the rule. */
static const char *
names_of(const PghaVotingRule *rule, uint32 set)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < rule->count; i++)
		if ((set & (UINT32_C(1) << i)) != 0)
			append_name(&list, rule->voter[i]);
	return list.len > 0 ? list.data : "nobody";
}

static bool
answers(const PghaMember *member)
{
	return member->contact == PGHA_CONTACT_ANSWERED && member->heard != 0;
}

/* Why the first rule is not written yet. */
static const char *
not_yet(const PghaNode *node)
{
	const PghaClaim *claim = &node->durable.claim;
	StringInfoData old;
	StringInfoData missing;
	StringInfoData deaf;

	initStringInfo(&old);
	initStringInfo(&missing);
	initStringInfo(&deaf);
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];

		if (i == node->settings.self)
			continue;
		if (!answers(m))
			append_name(&missing, node->settings.name[i]);
		else if (m->report.votes == 0)
			append_name(&old, node->settings.name[i]);
		else if (node->posted && i < node->settings.count &&
				 !pgha_supports(&m->report, claim->term, node->settings.name[node->settings.self]))
			append_name(&deaf, node->settings.name[i]);
	}
	if (old.len > 0)
		return psprintf("not yet: an older version of pgha, or other settings, at %s", old.data);
	if (missing.len > 0)
		return psprintf("not yet: no answer of %s", missing.data);
	if (deaf.len > 0)
		return psprintf("not yet: this primary is not supported by %s", deaf.data);
	return "not yet: no leader has written the first rule";
}

const char *
PghaQuorumText(const PghaNode *node)
{
	bool		off = strcmp(GetConfigOption("pgha.quorum", false, false), "off") == 0;

	if (pgha_in_force(node))
		return off ? "in force, though pgha.quorum is off" : "in force";
	if (node->settings.voters > 0)
		return not_yet(node);
	if (off)
		return "off: pgha.quorum is off";
	return "off: there are fewer than three voters";
}

const char *
PghaRuleText(const PghaNode *node, const PghaVotingRule *rule, bool lead)
{
	StringInfoData text;
	StringInfoData voters;

	initStringInfo(&text);
	initStringInfo(&voters);
	for (int i = 0; i < rule->count; i++)
	{
		append_name(&voters, rule->voter[i]);
		if ((rule->witnesses & (UINT32_C(1) << i)) != 0)
			appendStringInfoString(&voters, " (witness)");
	}
	appendStringInfo(&text, "term %llu, epoch %u", (unsigned long long) rule->term, rule->epoch);
	if (lead)
		appendStringInfoString(&text, pgha_rule_compare(&node->voting.committed, rule) == 0 ?
							   ", committed" : ", not committed yet");
	appendStringInfo(&text, "; voters: %s; may be elected: %s; ", voters.data, names_of(rule, rule->eligible));
	if (rule->k > 0)
		appendStringInfo(&text, "commits are confirmed by %d of %s", rule->k, names_of(rule, rule->sync));
	else
		appendStringInfoString(&text, "commits need no confirmation");
	if (lead && node->voting.obstacle.reason != PGHA_WHY_NONE)
	{
		char		why[320];

		PghaReasonText(node, &node->voting.obstacle, why, sizeof(why));
		appendStringInfo(&text, "; %s", why);
	}
	return text.data;
}

/* ---- who supports whom ---- */

/* What a voter is for, to be read after its name. */
static const char *
stand_of(const PghaNode *node, const char *voter)
{
	int			member = pgha_find_voter(node, voter);
	PghaBallot	support = node->durable.support;
	PghaBallot	vote = node->durable.vote;
	bool		open = node->durable.vote_open;

	if (member == PGHA_NOBODY)
		return "not in the settings here";
	if (member != node->settings.self)
	{
		const PghaReport *report = &node->member[member].report;

		if (!answers(&node->member[member]))
			return "no answer";
		if (report->votes == 0)
			return "does not vote";
		support = report->support;
		vote = report->vote;
		open = report->vote_open;
	}
	if (open && vote.term == 0)
		return "does not know what it has voted in";
	if (open)
		return psprintf("voted for %s (term %llu), open", vote.name, (unsigned long long) vote.term);
	if (support.term == 0)
		return "for nobody yet";
	if (support.name[0] == '\0')
		return psprintf("for nobody of before term %llu", (unsigned long long) support.term);
	return psprintf("for %s (term %llu)", support.name, (unsigned long long) support.term);
}

/* "db-1, db-2: for db-1 (term 3); w-1: no answer" */
static const char *
voters_text(const PghaNode *node)
{
	const PghaVotingRule *rule = &node->durable.rule;
	bool		by_rule = rule->term != 0;
	int			count = by_rule ? rule->count : pgha_everybody(node);
	const char *stand[PGHA_MAX_MEMBERS];
	bool		told[PGHA_MAX_MEMBERS] = {false};
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < count; i++)
		stand[i] = stand_of(node, by_rule ? rule->voter[i] : node->settings.name[i]);
	for (int i = 0; i < count; i++)
	{
		const char *between = text.len > 0 ? "; " : "";

		if (told[i])
			continue;
		for (int j = i; j < count; j++)
		{
			if (strcmp(stand[j], stand[i]) != 0)
				continue;
			told[j] = true;
			appendStringInfo(&text, "%s%s", between, by_rule ? rule->voter[j] : node->settings.name[j]);
			between = ", ";
		}
		appendStringInfo(&text, ": %s", stand[i]);
	}
	return text.data;
}

/* ---- the columns ---- */

/* One that is open; one of no term is that of a node that does not know what it has voted in. */
static void
put_vote(PghaRow *row, const PghaBallot *vote, bool open)
{
	if (!open)
		PghaPutNull(row);
	else if (vote->term == 0)
		PghaPutText(row, "not known");
	else
		PghaPutText(row, psprintf("%s (term %llu)", vote->name, (unsigned long long) vote->term));
}

static void
put_promise(PghaRow *row, const PghaNode *node, pgha_time now)
{
	const PghaVoting *voting = &node->voting;
	long long	left = (voting->promise_until - now) / 1000;

	if (left <= 0)
		PghaPutNull(row);
	else if (voting->promise.leader.term == 0)
		PghaPutText(row, psprintf("to whoever led before the start, for %lld ms", left));
	else
		PghaPutText(row, psprintf("to %s (term %llu), for %lld ms", voting->promise.leader.name,
								  (unsigned long long) voting->promise.leader.term, left));
}

static void
put_refusal(PghaRow *row, const PghaNode *node, pgha_time now)
{
	const PghaRefusal *refusal = &node->voting.refusal;
	char		why[320];

	/* Nobody need stand for that to matter. */
	if (pgha_is_unaware(node))
	{
		PghaWhy		forgot = pgha_because(PGHA_WHY_FORGOT, pgha_recall_missing(node));

		PghaReasonText(node, &forgot, why, sizeof(why));
		PghaPutText(row, why);
		return;
	}
	if (refusal->at == 0)
	{
		PghaPutNull(row);
		return;
	}
	PghaReasonText(node, &refusal->why, why, sizeof(why));
	PghaPutText(row, psprintf("%s in term %llu, %.1f s ago: %s", refusal->candidate.name,
							  (unsigned long long) refusal->candidate.term,
							  (double) (now - refusal->at) / 1000000, why));
}

void
PghaPutVoting(PghaRow *row, const PghaNode *node, pgha_time now)
{
	bool		lead;

	if (node == NULL || !pgha_takes_part(node))
	{
		if (node != NULL)
			PghaPutText(row, PghaQuorumText(node));
		else
			PghaPutNull(row);
		for (int i = 0; i < 7; i++)
			PghaPutNull(row);
		return;
	}
	lead = node->posted && pgha_in_force(node);
	PghaPutText(row, PghaQuorumText(node));
	PghaPutText(row, voters_text(node));
	if (lead)
		PghaPutInt64(row, Max(0, node->voting.lease_deadline - now) / 1000);
	else
		PghaPutNull(row);
	if (pgha_in_force(node))
		PghaPutText(row, PghaRuleText(node, &node->durable.rule, lead));
	else
		PghaPutNull(row);
	put_vote(row, &node->durable.vote, node->durable.vote_open);
	put_promise(row, node, now);
	if (node->voting.candidacy != 0)
		PghaPutInt64(row, (int64) node->voting.candidacy);
	else
		PghaPutNull(row);
	put_refusal(row, node, now);
}

/* Who leaves stands behind the witnesses, and may have been either. */
bool
PghaHasNoData(const PghaNode *node, int member)
{
	const PghaVotingRule *rule = &node->durable.rule;

	if (member < pgha_everybody(node) - node->settings.leaving)
		return member >= node->settings.count;
	return pgha_is_among(rule, rule->witnesses, node->settings.name[member]);
}

void
PghaPutMemberVoting(PghaRow *row, const PghaNode *node, int member, const PghaReport *report)
{
	PghaPutBool(row, PghaHasNoData(node, member));
	if (report == NULL)
		PghaPutNull(row);
	else
		PghaPutBool(row, report->votes != 0);
	if (report == NULL || report->votes == 0 || report->support.term == 0)
		PghaPutNull(row);
	else
		PghaPutText(row, psprintf("%s (term %llu)", report->support.name[0] != '\0' ? report->support.name : "nobody before",
								  (unsigned long long) report->support.term));
	if (report == NULL || report->votes == 0)
		PghaPutNull(row);
	else
		put_vote(row, &report->vote, report->vote_open);
}
