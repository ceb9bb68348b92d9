/*
 * explain.c
 *		Why a voter does not vote for a candidate, and what is foreseen of a loss.
 */
#include "test.h"

#include "../../../src/core/ballot.h"
#include "../../../src/core/explain.h"
#include "../../../src/core/states.h"

#include <string.h>

#define NOW		INT64_C(100000000)

static PghaNode node;
static PghaNode scratch;
static PghaReport own;

/* Standby b of a, b, c, which vote under a, or do not. */
static void
make_node(bool voting)
{
	static const char *const names[] = {"a", "b", "c"};
	PghaDurable *durable = &node.durable;

	memset(&node, 0, sizeof(node));
	memset(&own, 0, sizeof(own));
	node.settings = (PghaSettings) {.self = 1, .count = 3, .voters = voting ? 3 : 0, .priority = 100,
		.auto_failover = true, .heartbeat_interval = 500000, .failure_timeout = 3000000, .lease_ttl = 3000000,
		.startup_grace = 30000000, .refused_is_down = true, .max_failover_lag = 1 << 24,
		.system_identifier = 42, .instance = 2};
	node.state = PGHA_STANDBY;
	node.replayed_all = true;
	node.stopping = node.stopped = node.upstream = PGHA_NOBODY;
	node.local = (PghaLocal) {.in_recovery = true, .timeline = 1, .wal_end = 0x5000, .replayed = 0x5000,
		.receiver = PGHA_RECEIVER_STREAMING, .upstream = 0, .receiver_heard = NOW};
	node.leader_end = 0x5000;
	durable->claim = (PghaClaim) {.term = 1, .leader = "a"};
	durable->role = PGHA_ROLE_STANDBY;
	if (voting)
	{
		durable->support = (PghaBallot) {1, "a"};
		durable->highest = 1;
		durable->rule = (PghaVotingRule) {.term = 1, .count = 3, .voter = {"a", "b", "c"}, .eligible = 7};
	}
	for (int i = 0; i < 3; i++)
	{
		PghaMember *m = &node.member[i];

		strcpy(node.settings.name[i], names[i]);
		m->contact = PGHA_CONTACT_ANSWERED;
		m->heard = m->alive = m->asked = m->told = NOW;
		m->told_end = 0x5000;
		m->was_primary = i == 0;
		m->report = (PghaReport) {.system_identifier = 42, .instance = (uint64_t) i + 1, .claim = durable->claim,
			.role = i == 0 ? PGHA_ROLE_PRIMARY : PGHA_ROLE_STANDBY, .in_recovery = i != 0, .posted = i == 0, .priority = 100,
			.timeline = 1, .wal_end = 0x5000, .receiver = i == 0 ? PGHA_RECEIVER_NONE : PGHA_RECEIVER_STREAMING,
			.votes = voting ? PGHA_VOTES : 0, .support = durable->support, .highest = durable->highest,
			.rule = durable->rule, .won = i == 0 && voting};
		strcpy(m->report.node, names[i]);
		if (i != 0)
			strcpy(m->report.upstream, "a");
	}
	own = node.member[1].report;
}

static PghaOutlook
foresee(PghaLossKind kind)
{
	PghaOutlook outlook;

	pgha_foresee(&node, &own, kind, NOW, &scratch, &outlook);
	return outlook;
}

/* ---- votes ---- */

/* c stands in term 2. */
static PghaReason
refusal(void)
{
	node.member[2].report.candidacy = 2;
	return pgha_vote_refusal(&node, 2, NOW).reason;
}

static void
test_refusals(void)
{
	make_node(true);
	ok(refusal() == PGHA_WHY_NONE, "a vote for whom nothing speaks against");
	make_node(true);
	ok(pgha_vote_refusal(&node, 2, NOW).reason == PGHA_WHY_STANDS_NOT, "none for one that does not stand");
	node.durable.highest = 2;
	ok(refusal() == PGHA_WHY_VOTED_ALREADY, "V1: one vote a term");
	make_node(true);
	node.voting.promise_until = NOW + 1;
	ok(refusal() == PGHA_WHY_PROMISED, "V2: not before the promise is over");
	make_node(true);
	node.durable.rule.epoch = 1;
	ok(refusal() == PGHA_WHY_OLD_RULE, "V3: not under an older rule");
	make_node(true);
	node.member[2].report.rule.eligible = 3;
	ok(refusal() == PGHA_WHY_NOT_ELIGIBLE, "V3: not for one that its rule excludes");
	make_node(true);
	node.local.wal_end++;
	ok(refusal() == PGHA_WHY_LESS_WAL, "V4: not for less WAL");
	make_node(true);
	node.replayed_all = false;
	ok(refusal() == PGHA_WHY_NOT_READY, "V5: not before the own WAL is known");
	make_node(true);
	memset(&node.durable.rule, 0, sizeof(node.durable.rule));
	ok(refusal() == PGHA_WHY_NO_RULE, "nor where nobody votes");
}

static void
test_texts(void)
{
	for (int reason = PGHA_WHY_STARTED; reason < PGHA_WHY_COUNT; reason++)
		if (pgha_reason_text((PghaReason) reason) == NULL || pgha_reason_text((PghaReason) reason)[0] == '\0' ||
			pgha_reason_kind((PghaReason) reason) == NULL)
		{
			ok(false, "reason %d has words", reason);
			return;
		}
	ok(true, "each reason has words");
}

/* ---- foresight ---- */

static void
test_by_votes(void)
{
	PghaOutlook outlook;

	make_node(true);
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.by_votes && outlook.leader == 0 && !outlook.lost, "a leads, by votes");
	ok(outlook.elected == 1 && outlook.votes == 2 && outlook.needed == 2 && outlook.wait == 0,
	   "killed: b is elected at once, by two votes");
	ok(outlook.member[2].why.reason == PGHA_WHY_BETTER && outlook.member[2].why.member == 1, "c gives way to it");
	ok(foresee(PGHA_LOSS_SILENT).wait == pgha_promise_time(&node, node.settings.lease_ttl), "silent: when the promises are over");
	node.settings.refused_is_down = false;
	ok(foresee(PGHA_LOSS_KILLED).wait == pgha_promise_time(&node, node.settings.lease_ttl), "so it is where a refusal proves nothing");

	make_node(true);
	node.member[2].contact = PGHA_CONTACT_REFUSED;
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.elected == PGHA_NOBODY && outlook.member[1].why.reason == PGHA_WHY_FEW_VOTERS,
	   "without c nobody can be elected");
	ok(outlook.best == 1 && outlook.votes == 1 && outlook.member[2].refusal.reason == PGHA_WHY_ABSENT, "... as its vote is missing");

	/* c may not stand, has more, and so does not vote for b: which fetches what it lacks, if the same leader is supported. */
	make_node(true);
	node.member[2].report.bar = PGHA_BAR_PRIORITY;
	node.member[2].report.receiver = PGHA_RECEIVER_NONE;
	node.member[2].report.wal_end = 0x6000;
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.elected == 1 && outlook.votes == 2 && outlook.member[2].why.bar == PGHA_BAR_PRIORITY,
	   "b gets the WAL of one that has more and may not stand, and its vote");
	node.member[2].report.claim.term--;
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.elected == PGHA_NOBODY && outlook.member[1].why.reason == PGHA_WHY_FEW_VOTES &&
	   outlook.member[2].refusal.reason == PGHA_WHY_LESS_WAL && outlook.member[2].why.bar == PGHA_BAR_PRIORITY,
	   "b does not get the vote of one that has more WAL, which may be another leader's");

	make_node(true);
	node.member[0].report.rule.k = node.member[1].report.rule.k = node.member[2].report.rule.k = 1;
	node.durable.rule.k = own.rule.k = 1;
	node.durable.rule.sync = own.rule.sync = node.member[1].report.rule.sync = node.member[2].report.rule.sync = 6;
	outlook = foresee(PGHA_LOSS_SILENT);
	ok(outlook.safe && outlook.elected == 1 && outlook.wait == pgha_promise_time(&node, node.settings.lease_ttl),
	   "where standbys confirm, nothing is lost; promises are waited for as ever");
}

static void
test_without_votes(void)
{
	PghaOutlook outlook;

	make_node(false);
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(!outlook.by_votes && outlook.elected == 1 && outlook.wait == 0 && !outlook.safe, "without votes: b is promoted");
	ok(foresee(PGHA_LOSS_SILENT).wait == node.settings.failure_timeout, "... or after failure_timeout");
	node.member[2].report.priority = 200;
	ok(foresee(PGHA_LOSS_KILLED).elected == 2, "the priority decides");
	node.member[2].report.wal_end = 0x4F00;
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.elected == 1 && outlook.member[2].lacks == 0x100, "... but not over WAL");
	make_node(false);
	node.member[2].report.wal_end = 0x4F00;
	node.member[2].told_end = 0x4F00;
	node.member[2].report.priority = 200;
	ok(foresee(PGHA_LOSS_KILLED).elected == 2, "an older report is no lag");
	own.bar = node.member[2].report.bar = PGHA_BAR_PAUSED;
	outlook = foresee(PGHA_LOSS_KILLED);
	ok(outlook.elected == PGHA_NOBODY && outlook.member[1].why.bar == PGHA_BAR_PAUSED, "paused: nobody");
	make_node(false);
	node.member[0].contact = PGHA_CONTACT_REFUSED;
	ok(foresee(PGHA_LOSS_SILENT).lost && foresee(PGHA_LOSS_SILENT).leader == 0, "a primary that is missing already");
}

void
test_explain(void)
{
	test_refusals();
	test_texts();
	test_by_votes();
	test_without_votes();
}
