/*
 * voting.c
 *		Steps of a node that votes which no simulated cluster is led to: settings that
 *		change meanwhile, orders that meet.
 */
#include "test.h"

#include "../../../src/core/election.h"
#include "../../../src/core/members.h"
#include "../../../src/core/rule.h"
#include "../../../src/core/step.h"

#include <string.h>

#define NOW		INT64_C(100000000)

static PghaNode node;
static PghaActions actions;

static void
name(PghaSettings *settings, int member, const char *text)
{
	memset(settings->name[member], 0, PGHA_NAME_SIZE);
	strcpy(settings->name[member], text);
}

/* Member a of a, b, c: the primary, or a standby; all answer. */
static void
make_node(bool voting, bool leads)
{
	static const char *const names[] = {"a", "b", "c"};
	PghaSettings settings = {.self = 0, .count = 3, .voters = voting ? 3 : 0, .priority = 100, .auto_failover = true,
		.heartbeat_interval = 500000, .failure_timeout = 3000000, .lease_ttl = 3000000, .startup_grace = 30000000,
		.refused_is_down = true, .max_failover_lag = 1 << 24, .system_identifier = 42, .instance = 1};
	PghaDurable durable = {.claim = {.term = 1, .leader = "a"}, .role = leads ? PGHA_ROLE_PRIMARY : PGHA_ROLE_STANDBY};

	if (voting)
	{
		durable.support = (PghaBallot) {1, "a"};
		durable.highest = durable.won = 1;
		durable.rule = (PghaVotingRule) {.term = 1, .count = 3, .voter = {"a", "b", "c"}, .eligible = 7};
	}
	for (int i = 0; i < 3; i++)
		name(&settings, i, names[i]);
	pgha_node_init(&node, &settings, &durable, NOW);
	node.local = (PghaLocal) {.in_recovery = !leads, .timeline = 1, .wal_end = 0x5000, .replayed = 0x5000,
		.upstream = PGHA_NOBODY};
	node.state = leads ? PGHA_PRIMARY : PGHA_STANDBY;
	node.posted = node.gate_open = leads;
	node.replayed_all = true;
	node.voting.committed = durable.rule;
	for (int i = 1; i < 3; i++)
	{
		PghaMember *m = &node.member[i];

		m->contact = PGHA_CONTACT_ANSWERED;
		m->heard = m->alive = m->asked = m->told = NOW;
		m->report = (PghaReport) {.system_identifier = 42, .instance = (uint64_t) i + 1, .claim = durable.claim,
			.role = PGHA_ROLE_STANDBY, .in_recovery = true, .priority = 100, .timeline = 1, .wal_end = 0x5000,
			.votes = voting ? PGHA_VOTES : 0, .support = durable.support, .highest = durable.highest, .rule = durable.rule};
		strcpy(m->report.node, names[i]);
	}
}

static bool
step_does(const PghaEvent *event, PghaActionType type)
{
	PghaLocal	local = node.local;

	pgha_step(&node, event, &local, NOW + 1000, &actions);
	for (int i = 0; i < actions.count; i++)
		if (actions.action[i].type == type)
			return true;
	return false;
}

/* The one to whom the primary hands over is taken out of pgha.members. */
static void
test_target_removed(void)
{
	static const PghaEvent tick = {.type = PGHA_EV_TICK};
	PghaSettings fewer;

	make_node(false, true);
	node.voting.handovers = 1;
	node.voting.handover = 1;
	node.voting.handover_since = NOW;
	node.voting.holding = true;
	node.gate_open = false;
	fewer = node.settings;
	fewer.count = 2;
	name(&fewer, 1, "c");
	pgha_node_configure(&node, &fewer);
	ok(step_does(&tick, PGHA_ACT_OPEN_GATE) && node.gate_open && !node.voting.holding &&
	   node.voting.handover_end.reason == PGHA_WHY_NO_TARGET, "commits go on when nobody is left to hand over to");
	ok(!step_does(&tick, PGHA_ACT_EVENT), "which is told once");
}

/* An order to promote while the receiver is being stopped for a vote. */
static void
test_stop_meets_order(void)
{
	static const PghaEvent order = {.type = PGHA_EV_PROMOTE,.flag = true};
	static const PghaEvent stopped = {.type = PGHA_EV_RECEIVER_STOPPED,.ok = true};

	make_node(true, false);
	node.voting.receiver = PGHA_STOP_ORDERED;
	ok(step_does(&order, PGHA_ACT_STOP_RECEIVER) && node.state == PGHA_PROMOTING, "an order is taken");
	ok(step_does(&stopped, PGHA_ACT_PROMOTE), "and carried out, though a vote had the receiver stopped, too");
	ok(!step_does(&stopped, PGHA_ACT_PROMOTE), "once");
}

/* What was a witness is listed as a member, and by synchronous_standby_names. */
static void
test_witness_becomes_member(void)
{
	PghaStep	step = {&node, NOW, &actions};
	PghaVotingRule *rule = &node.durable.rule;

	make_node(true, true);
	rule->witnesses = 4;
	rule->eligible = 3;
	node.voting.committed = *rule;
	node.local.sync = (PghaSync) {.method = PGHA_SYNC_ANY,.num_sync = 2,.num_listed = 2,.listed = 6};
	actions.count = 0;
	pgha_tend_rule(&step);
	ok(rule->epoch == 1 && rule->sync == 2 && rule->k == 1, "a witness confirms nothing");
	memset(&node.local.sync, 0, sizeof(node.local.sync));
	node.voting.committed = *rule;
	for (uint32_t epoch = 2; epoch < 6; epoch++)
	{
		actions.count = 0;
		for (int i = 1; i < 3; i++)
			node.member[i].report.rule = *rule;
		node.voting.committed = *rule;
		node.local.flushed[1] = node.local.flushed[2] = node.local.wal_end;
		pgha_tend_rule(&step);
	}
	ok(rule->count == 3 && rule->witnesses == 0 && rule->eligible == 7 && pgha_voter_named(rule, "c") == 2,
	   "and goes, and comes back as a member");
}

/* Promoted by hand, a node that its rule does not name is one of its voters. */
static void
test_leader_without_place(void)
{
	PghaVotingRule *rule = &node.durable.rule;

	make_node(true, false);
	*rule = (PghaVotingRule) {.term = 1,.count = 2,.voter = {"b", "c"},.witnesses = 2,.eligible = 1};
	node.durable.claim.term = 5;
	pgha_begin_rule(&node);
	ok(rule->term == 5 && rule->count == 3 && pgha_voter_named(rule, "a") == 2 && rule->eligible == 5,
	   "a leader that the rule does not name gets a place in it");
	*rule = (PghaVotingRule) {.term = 1,.count = 2,.voter = {"a", "c"},.witnesses = 1,.eligible = 2,.k = 1,.sync = 2};
	pgha_begin_rule(&node);
	ok(rule->witnesses == 0 && rule->eligible == 3, "and is no witness");
	make_node(true, false);
	rule->count = PGHA_MAX_MEMBERS;
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		rule->voter[i][0] = (char) ('b' + i);
	ok(pgha_promote_refusal(&node, true, NOW).reason == PGHA_WHY_BARRED, "unless there is none");
}

void
test_voting(void)
{
	test_target_removed();
	test_stop_meets_order();
	test_witness_becomes_member();
	test_leader_without_place();
}
