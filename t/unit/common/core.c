/*
 * core.c
 *		Questions of the core that no simulated server asks: gaps in the WAL,
 *		timelines that are absurd, leaders that answer elsewhere, and promotions that
 *		were begun more than once.
 */
#include "test.h"

#include "../../../src/core/ballot.h"
#include "../../../src/core/boot.h"
#include "../../../src/core/claim.h"
#include "../../../src/core/election.h"
#include "../../../src/core/eligibility.h"

#include <string.h>

static void
test_gaps(void)
{
	static const PghaGap gaps[] = {{0x5000100, 0x6000000}, {0x3000100, 0x4000000}, {0, 0}};
	static const struct
	{
		pgha_lsn	from;
		pgha_lsn	to;
		pgha_lsn	wal;
	}			cases[] =
	{
		{0x3000080, 0x3000100, 0x80},
		{0x3000080, 0x4000000, 0x80},
		{0x3000080, 0x4000030, 0xB0},
		{0x3000080, 0x6000030, 0x80 + 0x1000100 + 0x30},
		{0x3000200, 0x4000030, 0x30},
		{0x3000200, 0x3000400, 0},
		{0x4000000, 0x4000030, 0x30},
		{0x4000030, 0x4000000, 0},
		{0x7000000, 0x8000000, 0x1000000},
	};
	bool		good = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		good &= pgha_wal_between(cases[i].from, cases[i].to, gaps, 3) == cases[i].wal;
	ok(good, "what a segment switch left empty is no WAL");
	ok(pgha_wal_between(0x3000080, 0x4000030, gaps, 0) == 0xFFFFB0, "without a gap all is");
}

/* The timeline that a promotion goes onto, when members report up to `reported`, and pg_wal has up to `found`. */
static uint32_t
promoted_to(uint32_t reported, uint32_t found)
{
	static PghaNode node;
	PghaActions actions = {0};
	PghaStep	step = {&node, 1, &actions};

	memset(&node, 0, sizeof(node));
	node.settings.count = 3;
	node.settings.self = 1;
	strcpy(node.settings.name[0], "a");
	strcpy(node.settings.name[1], "b");
	strcpy(node.settings.name[2], "c");
	node.local.in_recovery = true;
	node.local.timeline = 7;
	node.max_timeline = reported;
	node.local.newest_timeline = found;
	pgha_continue_promotion(&step);
	for (int i = 0; i < actions.count; i++)
		if (actions.action[i].type == PGHA_ACT_PROMOTE)
			return actions.action[i].timeline;
	return 0;
}

static void
test_timelines(void)
{
	ok(promoted_to(7, 0) == 10, "the next timeline of this node's own");
	ok(promoted_to(11, 0) == 13 && promoted_to(7, 11) == 13, "after those that are known");
	ok(promoted_to(UINT32_MAX, 0) == 10 && promoted_to(7, UINT32_MAX) == 10 &&
	   promoted_to(UINT32_MAX - 1, 11) == 13, "not after one that is absurdly far ahead, whoever says so");
	for (uint32_t reported = 7; reported < 7 + 2 * PGHA_MAX_GAP; reported++)
		if (promoted_to(reported, 0) - 7 > PGHA_MAX_GAP)
		{
			ok(false, "no more files than may be written: %u", reported);
			return;
		}
	ok(true, "no more files than may be written");
}

/* A promise to a, given at 100; does what answers for a at 200 end it? */
static bool
ends_promise(PghaReport report, bool same_address, PghaContact after)
{
	static PghaNode node;
	PghaActions actions = {0};
	PghaStep	step = {&node, 200, &actions};
	PghaMember *a = &node.member[0];
	PghaEvent	event = {.type = PGHA_EV_REPLY,.member = 0,.same_address = same_address};

	memset(&node, 0, sizeof(node));
	node.settings.count = node.settings.voters = 3;
	node.settings.self = 1;
	node.settings.system_identifier = 7;
	node.settings.refused_is_down = true;
	strcpy(node.settings.name[0], "a");
	strcpy(node.settings.name[1], "b");
	strcpy(node.settings.name[2], "c");
	node.voting.promise = (PghaPromise) {.leader = {4, "a"},.instance = 1,.beat = 9};
	node.voting.promised = 100;
	a->heard = 200;
	a->contact = PGHA_CONTACT_ANSWERED;
	a->report = report;
	pgha_hear_voter(&step, &event);
	if (after == PGHA_CONTACT_REFUSED)
	{
		step.now = a->told = 300;
		a->contact = after;
		event.same_address = true;
		pgha_hear_voter(&step, &event);
	}
	return pgha_promise_ended(&node);
}

static void
test_promises(void)
{
	PghaReport	same = {.node = "a",.system_identifier = 7,.instance = 1};
	PghaReport	other = same;
	PghaReport	stranger = same;

	other.instance = stranger.instance = 2;
	stranger.system_identifier = 8;
	ok(!ends_promise(same, true, PGHA_CONTACT_ANSWERED), "the leader that was promised to is there");
	ok(ends_promise(other, true, PGHA_CONTACT_ANSWERED), "another instance where it answered ends the promise");
	ok(!ends_promise(other, false, PGHA_CONTACT_ANSWERED), "not one that answers elsewhere");
	ok(!ends_promise(stranger, true, PGHA_CONTACT_ANSWERED), "nor one of another system");
	ok(ends_promise(same, true, PGHA_CONTACT_REFUSED), "a refusal where it answered ends it");
	ok(!ends_promise(other, false, PGHA_CONTACT_REFUSED), "not where another one answered since");
}

/* A standby of a, on timeline 5, that promotes itself without votes. */
static void
test_taking_back(void)
{
	const PghaClaim former = {.term = 3,.fork_lsn = 0x3000000,.leader = "a"};
	const PghaClaim own = {.term = 4,.leader = "b"};
	PghaDurable durable = {.claim = former,.role = PGHA_ROLE_STANDBY,.leader_instance = "i-1"};

	ok(!pgha_take_back_promotion(&durable), "without a promotion there is nothing to take back");
	pgha_replace_claim(&durable, 5);
	durable.claim = own;
	durable.role = PGHA_ROLE_PRIMARY;
	durable.leader_instance[0] = '\0';

	/* Begun anew by a worker that found it so; the former claim is what counts. */
	pgha_replace_claim(&durable, 7);
	durable.claim.term = 5;
	ok(pgha_take_back_promotion(&durable) && pgha_claim_compare(&durable.claim, &former) == 0 &&
	   durable.role == PGHA_ROLE_STANDBY && strcmp(durable.leader_instance, "i-1") == 0,
	   "what a promotion has replaced holds again if it was not finished");

	/* WAL of its own is there, and it begins another one. */
	durable.own_from = 0x4000000;
	pgha_replace_claim(&durable, 7);
	ok(durable.replaced.timeline == 5, "of several in vain the first one has left the history");
	ok(pgha_end_of_history(&durable, 0x5000000) == 0x4000000 && pgha_end_of_history(&durable, 0x3800000) == 0x3800000,
	   "WAL of its own makes it no better");
	durable.claim = own;
	durable.role = PGHA_ROLE_STANDBY;
	durable.fenced = true;
	ok(pgha_take_back_promotion(&durable) && !durable.fenced, "it may have given way meanwhile");
	durable.claim = own;
	durable.diverged = true;
	ok(!pgha_take_back_promotion(&durable), "one that went wrong stays diverged");
	durable.diverged = false;
	durable.claim.fork_lsn = 0x4000000;
	ok(!pgha_take_back_promotion(&durable), "one that was posted is not taken back");
	durable.claim.fork_lsn = 0;
	pgha_settle_claim(&durable);
	ok(!pgha_take_back_promotion(&durable) && pgha_end_of_history(&durable, 0x5000000) == 0x5000000,
	   "nor is anything once another leader is followed");
}

void
test_core(void)
{
	test_taking_back();
	test_promises();
	test_gaps();
	test_timelines();
}
