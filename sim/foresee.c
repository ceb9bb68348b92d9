/*
 * foresee.c
 *		Does what pgha_foresee() says come true?
 *
 * A cluster with settings out of a seed comes to rest: all that run follow, and
 * nobody writes.  Each node is asked who would lead next and when; then the primary
 * is killed, frozen, switched off or cut off, and what happens must be what all of
 * them have said.
 */
#include "foresee.h"

#include "../src/core/explain.h"
#include "../src/core/rule.h"
#include "check.h"
#include "loop.h"
#include "monitor.h"
#include "network.h"
#include "server.h"
#include "trace.h"
#include "vote_check.h"
#include "wal.h"

/* A heartbeat, messages and steps: so much later or earlier it may be. */
#define SLACK				(1500 * MS)

static PghaNode seen;
static PghaNode scratch;

/* ---- the cluster ---- */

static void
choose_names(SimWorld *world)
{
	SimSyncNames names = {0};

	names.method = sim_chance(world, 500) ? PGHA_SYNC_ANY : PGHA_SYNC_FIRST;
	for (int i = 0; i < world->members; i++)
		names.member[names.count++] = i;
	names.k = (int) sim_between(world, 1, world->members > 3 ? 2 : 1);
	for (int i = 0; i < world->count; i++)
		world->node[i].sync_names = names;
}

static void
form(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace)
{
	int			members;
	int			witnesses;
	bool		refused;
	uint64_t	random;

	sim_world_init(world, seed, 3);
	members = (int) sim_between(world, 2, 5);
	witnesses = members == 2 ? (int) sim_between(world, 0, 2) : (int) sim_between(world, 0, 1);
	random = world->random;
	sim_world_init(world, seed, members + witnesses);
	world->random = random;
	world->rules_off = rules_off;
	world->trace = trace;
	world->voting = members + witnesses > 2 && (witnesses > 0 || sim_chance(world, 500));
	sim_observe(world, world->voting ? &sim_vote_checks : &sim_checks);
	if (world->voting)
		sim_add_witnesses(world, witnesses);
	refused = !sim_chance(world, 200);
	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		n->settings.refused_is_down = refused;
		if (sim_chance(world, 400))
			n->settings.priority = sim_chance(world, 300) ? 0 : (int) sim_between(world, 50, 150);
		n->settings.auto_failover = !sim_chance(world, 80);
		n->apply_delay = sim_chance(world, 50);
		n->too_low = sim_chance(world, 50);
	}
	if (sim_chance(world, 400))
		choose_names(world);
	sim_trace(world, -1, "seed %llu: %d members, %d witnesses, %s", (unsigned long long) seed, members, witnesses,
			  world->voting ? "voting" : "no votes");
	world->voting = false;
}

/* All that run follow the leader, which accepts commits, and vote if they are to. */
static bool
is_calm(SimWorld *world, void *arg)
{
	int		   *leader = arg;

	*leader = PGHA_NOBODY;
	for (int i = 0; i < world->members; i++)
		if (sim_leads(world, i) && world->node[i].gate && world->node[i].core.posted)
			*leader = i;
	if (*leader == PGHA_NOBODY)
		return false;
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];

		if (n->phase == SIM_DOWN)
			continue;
		if (!n->monitor || (i != *leader && !n->witness &&
							(n->receiver != PGHA_RECEIVER_STREAMING || n->upstream != *leader ||
							 !n->core.replayed_all)))
			return false;
		if (n->settings.voters > 0 &&
			pgha_rule_compare(&n->core.durable.rule, &world->node[*leader].core.durable.rule) != 0)
			return false;
		if (n->settings.voters > 0 && n->core.durable.rule.term == 0)
			return false;
	}
	return true;
}

/* Of two standbys one may not lead, and has WAL that the other one lacks and would have to get from it. */
static void
leave_behind(SimWorld *world, int leader)
{
	int			holder = (leader + (int) sim_between(world, 1, world->members - 1)) % world->members;

	world->node[holder].apply_delay = true;
	for (int i = 0; i < world->members; i++)
		if (i != holder)
			world->node[i].throttle = 3600 * SECOND;
	world->writes = true;
	sim_run(world, world->now + SECOND, NULL, NULL);
	world->writes = false;
}

/* ---- the answers, and what happens ---- */

static void
ask(SimWorld *world, int node, PghaLossKind kind, PghaOutlook *outlook)
{
	const SimNode *n = &world->node[node];
	PghaReport	own;

	seen = n->core;
	sim_make_report(world, node, &own);
	pgha_foresee(&seen, &own, kind, sim_clock(world, node), &scratch, outlook);
	sim_trace(world, node, "foresees %s, with %d votes of %d, after %lld ms",
			  outlook->elected == PGHA_NOBODY ? "nobody" : n->settings.name[outlook->elected],
			  outlook->votes, outlook->needed, (long long) outlook->wait / 1000);
	for (int i = 0; i < world->members; i++)
		if (i != outlook->elected && i != outlook->leader)
			sim_trace(world, node, "  %s would not: %s", n->settings.name[i], sim_why_text(n, &outlook->member[i].why));
}

static bool
other_leads(SimWorld *world, void *arg)
{
	int			leader = *(int *) arg;

	for (int i = 0; i < world->members; i++)
		if (i != leader && sim_leads(world, i) && world->node[i].core.posted)
			return true;
	return false;
}

static PghaLossKind
lose(SimWorld *world, int leader)
{
	switch (sim_between(world, 0, 3))
	{
		case 0:
			sim_freeze(world, leader);
			return PGHA_LOSS_SILENT;
		case 1:
			for (int i = 0; i < world->count; i++)
			{
				if (i == leader)
					continue;
				sim_cut(world, leader, i, true);
				sim_cut(world, i, leader, true);
			}
			return PGHA_LOSS_SILENT;
		case 2:
			sim_kill(world, leader, true);
			return PGHA_LOSS_SILENT;
		default:
			sim_kill(world, leader, false);
			return PGHA_LOSS_KILLED;
	}
}

static void
judge(SimWorld *world, int leader, const PghaOutlook *foreseen, pgha_time lost)
{
	const PghaSettings *settings = &world->node[leader].settings;
	bool		led;
	int			next = PGHA_NOBODY;
	pgha_time	took;

	sim_run(world, world->now + foreseen->wait + 20 * SECOND, other_leads, &leader);
	led = other_leads(world, &leader);
	took = world->now - lost;
	for (int i = 0; led && i < world->members; i++)
		if (i != leader && sim_leads(world, i))
			next = i;
	if (world->violation[0] != '\0')
		return;
	if (next != foreseen->elected)
		sim_violation(world, "foresight", "%s leads after %s, foreseen was %s",
					  next == PGHA_NOBODY ? "nobody" : settings->name[next], settings->name[leader],
					  foreseen->elected == PGHA_NOBODY ? "nobody" : settings->name[foreseen->elected]);
	else if (led && (took > foreseen->wait + 3 * SECOND + SLACK || took < foreseen->wait - SLACK))
		sim_violation(world, "foresight", "%s leads after %lld ms, foreseen were %lld and a promotion",
					  settings->name[next], (long long) took / 1000, (long long) foreseen->wait / 1000);
}

bool
sim_foresee_schedule(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace)
{
	int			leader = PGHA_NOBODY;
	PghaOutlook killed[SIM_MAX_NODES];
	PghaOutlook silent[SIM_MAX_NODES];
	const PghaOutlook *first = NULL;
	const PghaOutlook *outlook;
	PghaLossKind kind;
	pgha_time	lost;
	bool		votes;

	form(world, seed, rules_off, trace);
	votes = world->node[0].settings.voters > 0;
	for (int i = 0; i < world->count; i++)
		sim_start(world, i);
	sim_run(world, world->now + 60 * SECOND, is_calm, &leader);
	for (int i = 1; i < world->count; i++)
		if (sim_chance(world, 150) && i != leader)
			sim_kill(world, i, sim_chance(world, 500));
	world->writes = false;
	sim_run(world, world->now + 10 * SECOND, NULL, NULL);
	if (!is_calm(world, &leader) || world->violation[0] != '\0')
		return world->violation[0] == '\0';	/* no majority is left, or the only standby is down */
	if (sim_chance(world, 100))
		sim_pause(world, leader, true);
	if (votes && world->members == 3 && sim_chance(world, 400))
		leave_behind(world, leader);
	sim_run(world, world->now + 3 * SECOND, NULL, NULL);
	for (int i = 0; i < world->count; i++)
	{
		if (!world->node[i].monitor)
			continue;
		ask(world, i, PGHA_LOSS_KILLED, &killed[i]);
		ask(world, i, PGHA_LOSS_SILENT, &silent[i]);
	}
	for (int i = 0; i < world->count; i++)
		world->node[i].throttle = 0;
	lost = world->now;
	kind = lose(world, leader);
	for (int i = 0; i < world->count; i++)
	{
		outlook = kind == PGHA_LOSS_KILLED ? &killed[i] : &silent[i];
		if (world->node[i].phase == SIM_DOWN && i != leader)
			continue;
		if (first == NULL)
			first = outlook;
		if (outlook->elected != first->elected || outlook->leader != leader)
			sim_violation(world, "foresight", "%s sees it otherwise", world->node[i].settings.name[i]);
	}
	judge(world, leader, first, lost);
	return world->violation[0] == '\0';
}
