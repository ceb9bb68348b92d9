/*
 * explain.c
 *		pgha_explain(): what would happen if the primary were lost now.
 *
 * A copy of what the monitor knows is handed to the core (core/explain.h), which
 * answers; here are the words.  Nothing is asked of another host, and nothing
 * changes.
 */
#include "postgres.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "../../common/clock.h"
#include "../../core/explain.h"
#include "../../core/states.h"
#include "../why.h"
#include "published.h"
#include "rows.h"
#include "voting.h"

PG_FUNCTION_INFO_V1(pgha_sql_explain);

typedef struct Answers
{
	ReturnSetInfo *result;
	const char *event;
	PghaLossKind kind;
	const PghaNode *node;
	const PghaOutlook *outlook;
} Answers;

#define NO_AMOUNT	(-1)

static const char *
name_of(const Answers *answers, int member)
{
	return answers->node->settings.name[member];
}

static void put(Answers *answers, const char *item, int member, int64 amount, const char *format,...)
			__attribute__((format(printf, 5, 6)));

static void
put(Answers *answers, const char *item, int member, int64 amount, const char *format,...)
{
	PghaRow		row = {0};
	va_list		args;
	char		text[1024];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	PghaPutText(&row, answers->event);
	PghaPutText(&row, item);
	PghaPutTextOrNull(&row, member == PGHA_NOBODY ? "" : name_of(answers, member));
	if (amount == NO_AMOUNT)
		PghaPutNull(&row);
	else
		PghaPutInt64(&row, amount);
	PghaPutText(&row, text);
	tuplestore_putvalues(answers->result->setResult, answers->result->setDesc, row.value, row.null);
}

/* A reason, of a member in whose place the core stood. */
static const char *
reason(const Answers *answers, const PghaWhy *why)
{
	char		text[400];

	if (why->reason == PGHA_WHY_BARRED)
		return why->bar == PGHA_BAR_PASSIVE ? pgha_passive_text(why->passive) : pgha_bar_text(why->bar);
	PghaReasonText(answers->node, why, text, sizeof(text));
	return pstrdup(text);
}

/* ---- who, and when ---- */

static void
put_next(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;

	if (outlook->elected == PGHA_NOBODY)
		put(answers, "next", PGHA_NOBODY, NO_AMOUNT, "nobody would lead: the cluster stays without a primary");
	else
		put(answers, "next", outlook->elected, NO_AMOUNT, outlook->by_votes ? "%s would be elected" : "%s would be promoted",
			name_of(answers, outlook->elected));
}

static void
put_time(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;
	const char *first = outlook->stops_old ?
		", but not before the old primary's instance is stopped (pgha.fence)" : "";
	const char *then = outlook->by_votes ? "an election and the promotion" : "the promotion";

	if (outlook->elected == PGHA_NOBODY)
		return;
	if (outlook->lost)
		put(answers, "time", PGHA_NOBODY, NO_AMOUNT, "as soon as pgha_status() on that node waits for nothing more%s", first);
	else if (outlook->wait == 0)
		put(answers, "time", PGHA_NOBODY, 0, "%s would begin at once%s", then, first);
	else
		put(answers, "time", PGHA_NOBODY, outlook->wait / 1000, "%s would begin after %lld ms%s", then,
			(long long) (outlook->wait / 1000), first);
}

static void
put_loss(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;
	pgha_lsn	lacks;

	if (outlook->elected == PGHA_NOBODY)
		return;
	lacks = outlook->member[outlook->elected].lacks;
	if (outlook->safe && outlook->by_votes)
		put(answers, "loss", PGHA_NOBODY, 0, "nothing that was acknowledged: %d of the standbys of the rule have confirmed it, and one of those that vote has it",
			answers->node->durable.rule.k);
	else if (outlook->safe)
		put(answers, "loss", PGHA_NOBODY, 0, "nothing that synchronous standbys confirmed; other commits that are not on %s",
			name_of(answers, outlook->elected));
	else
		put(answers, "loss", PGHA_NOBODY, (int64) lacks,
			"commits that have not reached %s: %llu bytes of WAL, as last heard; no standby confirms commits",
			name_of(answers, outlook->elected), (unsigned long long) lacks);
}

/* What becomes of a primary that runs, and is cut off. */
static void
put_primary(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;
	const PghaSettings *settings = &answers->node->settings;

	if (answers->kind != PGHA_LOSS_SILENT || outlook->lost || outlook->leader == PGHA_NOBODY)
		return;
	if (outlook->by_votes)
		put(answers, "primary", outlook->leader, settings->lease_ttl / 1000,
			"if it runs and is cut off, it accepts no commits from %lld ms after it last heard a majority, and is a standby %lld ms later",
			(long long) settings->lease_ttl / 1000, (long long) settings->failure_timeout / 1000);
	else
		put(answers, "primary", outlook->leader, NO_AMOUNT,
			"if it runs and is cut off, it goes on as a primary, also beside a new one, until they see each other: what it accepts alone is lost then");
}

/* ---- votes ---- */

static void
put_votes(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;

	if (!outlook->by_votes)
	{
		put(answers, "votes", PGHA_NOBODY, NO_AMOUNT, "none are needed: quorum is %s", PghaQuorumText(answers->node));
		return;
	}
	if (outlook->best == PGHA_NOBODY)
		put(answers, "votes", PGHA_NOBODY, 0, "%d of %d voters are needed; nobody could stand for election",
			outlook->needed, outlook->voters);
	else
		put(answers, "votes", outlook->best, outlook->votes, "%d of %d voters would vote for %s, %d are needed",
			outlook->votes, outlook->voters, name_of(answers, outlook->best), outlook->needed);
	for (int i = 0; i < pgha_everybody(answers->node); i++)
	{
		const PghaProspect *prospect = &outlook->member[i];

		if (prospect->voter && i != outlook->leader && prospect->refusal.reason != PGHA_WHY_NONE)
			put(answers, "voter", i, NO_AMOUNT, "would not vote for %s: %s", name_of(answers, outlook->best),
				reason(answers, &prospect->refusal));
	}
}

static void
put_members(Answers *answers)
{
	const PghaOutlook *outlook = answers->outlook;

	for (int i = 0; i < pgha_everybody(answers->node); i++)
	{
		const PghaWhy *why = &outlook->member[i].why;

		if (i == outlook->leader || i == outlook->elected)
			continue;
		if (i >= answers->node->settings.count)
			put(answers, "other", i, NO_AMOUNT, "never leads: a witness, which votes and has no data");
		else
			put(answers, "other", i, NO_AMOUNT, "would not lead: %s", reason(answers, why));
	}
}

static void
put_event(Answers *answers)
{
	put_next(answers);
	put_time(answers);
	put_loss(answers);
	put_primary(answers);
	put_votes(answers);
	put_members(answers);
}

/*
 * pgha_explain(): rows for "killed" and for "silent"; or, when the primary is
 * missing already, for "now".
 */
Datum
pgha_sql_explain(PG_FUNCTION_ARGS)
{
	PghaPublished *published = PghaReadPublished();
	PghaNode   *scratch = palloc(sizeof(PghaNode));
	PghaOutlook outlook;
	pgha_time	now = pgha_clock_us();
	Answers		answers = {.node = &published->node, .outlook = &outlook};

	InitMaterializedSRF(fcinfo, 0);
	answers.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (!published->view.valid)
		return (Datum) 0;
	PghaLookAtSelf(published);
	for (int kind = PGHA_LOSS_KILLED; kind <= PGHA_LOSS_SILENT; kind++)
	{
		CHECK_FOR_INTERRUPTS();
		pgha_foresee(&published->node, &published->view.member[published->view.settings.self].report, (PghaLossKind) kind, now, scratch, &outlook);
		answers.kind = (PghaLossKind) kind;
		answers.event = outlook.lost ? "now" : kind == PGHA_LOSS_KILLED ? "killed" : "silent";
		if (outlook.lost && kind == PGHA_LOSS_KILLED)
			continue;
		put_event(&answers);
	}
	return (Datum) 0;
}
