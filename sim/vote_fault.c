/*
 * vote_fault.c
 *		Schedules out of a seed, for clusters whose members vote.
 *
 * Two to five members and up to two witnesses, each with a clock of its own
 * rate.  The cluster forms, begins to vote, and meets a storm; then everything
 * is healed, and one leader must serve within ten times failure_timeout, all
 * others following it.  Finally that leader is taken away once more.
 */
#include "vote_fault.h"
#include "../src/core/recall.h"
#include "vote_forget.h"

#include "../src/core/recall.h"
#include "administrator.h"
#include "check.h"
#include "fault.h"
#include "loop.h"
#include "monitor.h"
#include "network.h"
#include "server.h"
#include "trace.h"
#include "vote_check.h"
#include "vote_directed.h"
#include "vote_forget.h"
#include "wal.h"

/* Faults besides those of fault.c, which they follow. */
enum
{
	VOTE_HANG = FAULT_KINDS,	/* the monitor */
	VOTE_REJECT,				/* a firewall answers in a member's place */
	VOTE_NO_REJECT,
	VOTE_HOLD_REPLAY,			/* a query on a standby */
	VOTE_SWITCHOVER,
	VOTE_RESTART_ALONE,			/* restarted inside an isolation */
	VOTE_NAMES,					/* synchronous_standby_names is changed */
	VOTE_REMOVE,				/* the last voter is taken out of the files */
	VOTE_ADD,
	VOTE_CONFIGURE,				/* one node reads its file */
	VOTE_SPLIT,					/* the network, in two */
	VOTE_CUT_LEADER,			/* from one standby, which others hear */
	VOTE_RESTART_OTHERS,		/* all but one, which is isolated */
	VOTE_FIREWALL,				/* answers in the leader's place for all others */
	VOTE_UNSYNC_ALONE,			/* synchronous_standby_names is emptied inside an isolation */
	VOTE_REWIND,				/* an agent rebuilds a diverged node */
	VOTE_FORGET,				/* pgha.state of a node is lost */
	VOTE_SLOW_PROMOTION,		/* a restore_command hangs: PostgreSQL heeds the next ones late */
	VOTE_KINDS
};

typedef enum Profile
{
	PROFILE_CRASH,
	PROFILE_FREEZE,
	PROFILE_PARTITION,
	PROFILE_SYNC,
	PROFILE_SWITCHOVER,
	PROFILE_MEMBERS,
	PROFILE_MIXED,
	PROFILE_DIRECTED,			/* no storm: vote_directed.c */
	PROFILES
} Profile;

static const int weight[PROFILES][VOTE_KINDS] = {
	[PROFILE_CRASH] = {
		[FAULT_KILL] = 8,[FAULT_POWER] = 2,[FAULT_STOP] = 3,[FAULT_RESTART] = 6,[FAULT_QUICK_RESTART] = 3,
		[FAULT_START] = 4,[FAULT_BACKEND] = 4,[FAULT_SITE_DOWN] = 1,[FAULT_ISOLATE] = 2,[FAULT_HEAL] = 2,
		[VOTE_REJECT] = 2,[VOTE_RESTART_OTHERS] = 8,[VOTE_FIREWALL] = 2,[VOTE_RESTART_ALONE] = 3,[VOTE_FORGET] = 3,
		[VOTE_SLOW_PROMOTION] = 2
	},
	[PROFILE_FREEZE] = {
		[FAULT_FREEZE] = 12,[VOTE_HANG] = 8,[FAULT_KILL] = 2,[FAULT_START] = 2,[FAULT_SLOW] = 2,[FAULT_CUT] = 1,
		[FAULT_HEAL] = 1,[VOTE_HOLD_REPLAY] = 3,[VOTE_SLOW_PROMOTION] = 3
	},
	[PROFILE_PARTITION] = {
		[FAULT_CUT] = 6,[FAULT_CUT_ONE_WAY] = 4,[FAULT_ISOLATE] = 6,[FAULT_HEAL] = 4,[FAULT_KILL] = 2,
		[FAULT_START] = 2,[FAULT_SLOW] = 1,[VOTE_RESTART_ALONE] = 3,[VOTE_REJECT] = 2,[VOTE_SPLIT] = 5,[VOTE_FIREWALL] = 1,[VOTE_CUT_LEADER] = 2,[VOTE_FORGET] = 1
	},
	[PROFILE_SYNC] = {
		[FAULT_KILL] = 6,[FAULT_START] = 4,[FAULT_CUT] = 4,[FAULT_ISOLATE] = 4,[FAULT_FREEZE] = 3,
		[FAULT_HEAL] = 4,[FAULT_RESTART] = 3,[FAULT_THROTTLE] = 2,[VOTE_NAMES] = 5,[VOTE_RESTART_ALONE] = 3,
		[VOTE_HOLD_REPLAY] = 2,[VOTE_SWITCHOVER] = 1,[VOTE_SPLIT] = 6,[VOTE_UNSYNC_ALONE] = 3,[VOTE_CUT_LEADER] = 5,[VOTE_HANG] = 2,
		[FAULT_CUT_ONE_WAY] = 2,[VOTE_SLOW_PROMOTION] = 1
	},
	[PROFILE_SWITCHOVER] = {
		[VOTE_SWITCHOVER] = 10,[FAULT_KILL] = 3,[FAULT_START] = 3,[FAULT_CUT] = 2,[FAULT_HEAL] = 2,[FAULT_FREEZE] = 2,
		[FAULT_THROTTLE] = 1,[VOTE_HANG] = 2,[FAULT_CUT_ONE_WAY] = 1,[VOTE_SLOW_PROMOTION] = 2
	},
	[PROFILE_MEMBERS] = {
		[VOTE_REMOVE] = 6,[VOTE_ADD] = 6,[FAULT_KILL] = 4,[FAULT_START] = 4,[FAULT_CUT] = 3,[FAULT_ISOLATE] = 3,
		[FAULT_HEAL] = 3,[FAULT_RESTART] = 2,[VOTE_SWITCHOVER] = 1,[VOTE_FORGET] = 1,[FAULT_CUT_ONE_WAY] = 2,[VOTE_RESTART_ALONE] = 1
	},
	[PROFILE_MIXED] = {
		[FAULT_KILL] = 4,[FAULT_POWER] = 1,[FAULT_STOP] = 1,[FAULT_RESTART] = 3,[FAULT_QUICK_RESTART] = 1,
		[FAULT_START] = 4,[FAULT_BACKEND] = 2,[FAULT_FREEZE] = 3,[FAULT_CUT] = 3,[FAULT_CUT_ONE_WAY] = 2,
		[FAULT_ISOLATE] = 3,[FAULT_HEAL] = 4,[FAULT_SLOW] = 1,[FAULT_THROTTLE] = 1,[FAULT_PAUSE] = 1,[FAULT_RESUME] = 2,
		[FAULT_PRIORITY] = 1,[FAULT_SITE_DOWN] = 1,[VOTE_HANG] = 2,[VOTE_REJECT] = 1,[VOTE_HOLD_REPLAY] = 1,
		[VOTE_SWITCHOVER] = 2,[VOTE_RESTART_ALONE] = 2,[VOTE_NAMES] = 1,[VOTE_REMOVE] = 1,[VOTE_ADD] = 1,[VOTE_SPLIT] = 2,
		[VOTE_RESTART_OTHERS] = 1,[VOTE_UNSYNC_ALONE] = 1,[VOTE_FORGET] = 2,[VOTE_SLOW_PROMOTION] = 1
	},
};

static Profile
profile_of(uint64_t seed)
{
	return (Profile) (seed % PROFILES);
}

const char *
sim_vote_profile_name(uint64_t seed)
{
	static const char *const names[PROFILES] = {
		"crash", "freeze", "partition", "sync", "switchover", "members", "mixed", "directed"
	};

	return names[profile_of(seed)];
}

/*
 * Waiting for better candidates, vetoes and outcomes spares a cluster needless
 * elections; nothing that is promised may depend on it.
 */
static bool
is_impolite(uint64_t seed)
{
	return seed / PROFILES % 3 == 1;
}

static SimDirected
directed_of(uint64_t seed)
{
	return (SimDirected) (seed / PROFILES % DIRECTED_KINDS);
}

/* ---- the storm ---- */

static int
some_fault(SimWorld *world)
{
	Profile		profile = profile_of(world->seed);
	const int  *weights = weight[profile == PROFILE_DIRECTED ? PROFILE_MIXED : profile];
	int			total = 0;
	int			choice;

	for (int i = 0; i < VOTE_KINDS; i++)
		total += weights[i];
	choice = (int) sim_between(world, 0, total - 1);
	for (int i = 0; i < VOTE_KINDS; i++)
	{
		choice -= weights[i];
		if (choice < 0)
			return i;
	}
	return FAULT_KILL;
}

static void
later(SimWorld *world, pgha_time delay, int kind, int node)
{
	sim_later_fault(world, delay, (SimFault) kind, node);
}

/* All nodes get the same names, as the files say the same; each leader leaves itself out. */
static void
choose_names(SimWorld *world)
{
	SimSyncNames names = {0};

	if (sim_chance(world, 750))
	{
		names.method = sim_chance(world, 300) ? PGHA_SYNC_FIRST : PGHA_SYNC_ANY;
		for (int i = 0; i < world->members; i++)
			if (!sim_chance(world, 350))
				names.member[names.count++] = i;
		names.k = names.count > 2 ? (int) sim_between(world, 1, names.count - 1) : 1;
		if (names.count < 2)
			memset(&names, 0, sizeof(names));
	}
	for (int i = 0; i < world->members; i++)
	{
		world->node[i].sync_names = names;
		sim_changed(world, i);
	}
}

/* Of the file of a node the last voters are taken out, or it lists all again. */
static void
configure(SimWorld *world, int node, int voters)
{
	SimNode    *n = &world->node[node];

	if (node >= voters || n->settings.voters == voters || world->no_quorum)
		return;
	sim_trace(world, node, "has a file of %d voters", voters);
	n->settings.voters = voters;
	n->settings.count = voters < world->members ? voters : world->members;
	sim_configure(world, node);
}

static void
change_members(SimWorld *world, int voters)
{
	if (voters < 2 || world->members < 2)
		return;
	world->wished = voters;
	for (int i = 0; i < world->count; i++)
		later(world, sim_chance(world, 500) ? MS : sim_some_time(world), VOTE_CONFIGURE, i);
}

/* An agent makes of a diverged node a standby of the leader that it supports; its votes are kept. */
static void
rewind_node(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			leader = pgha_supported(&n->core);
	int			common = 0;
	PghaDurable kept = n->disk;

	if ((n->phase != SIM_UP && !n->no_wal) || !n->monitor || n->frozen || n->witness || n->core.state != PGHA_DIVERGED ||
		leader == PGHA_NOBODY || !sim_leads(world, leader) || world->node[leader].frozen ||
		!sim_linked(world, node, leader) || !world->node[leader].core.posted ||
		world->node[leader].core.durable.claim.term != n->core.durable.support.term || n->disk.vote_open)
		return;
	sim_kill(world, node, false);
	while (common < n->nwal && common < world->node[leader].nwal && n->wal[common] == world->node[leader].wal[common])
		common++;
	sim_trace(world, node, "is rewound to %s, by %d records", n->settings.name[leader], n->nwal - common);
	world->rewinds++;
	n->nwal = n->replayed = common;
	n->no_wal = false;
	memcpy(n->real, world->node[leader].real, sizeof(n->real));
	memcpy(n->placeholder, world->node[leader].placeholder, sizeof(n->placeholder));
	n->standby_signal = true;
	memset(&n->disk, 0, sizeof(n->disk));
	n->disk.role = PGHA_ROLE_STANDBY;
	n->disk.support = kept.support;
	n->disk.vote = kept.vote;
	n->disk.vote_open = kept.vote_open;
	n->disk.highest = kept.highest;
	n->disk.withdrawn = kept.withdrawn;
	n->disk.won = kept.won;
	n->disk.won_before = kept.won_before;
	n->disk.promised_ttl = kept.promised_ttl;
	n->disk.rule = kept.rule;
	n->disk.forgot = kept.forgot;
	sim_post_to_host(world, sim_between(world, 200 * MS, 2 * SECOND), SIM_START, node, 0, 0, 0);
}

static void
forget(SimWorld *world, int node)
{
	if (sim_forget_votes(world, node))
		later(world, sim_some_time(world), FAULT_START, node);
}

static void
split(SimWorld *world)
{
	unsigned	side = (unsigned) sim_between(world, 1, (1 << world->count) - 2);

	for (int i = 0; i < world->count; i++)
		for (int j = 0; j < world->count; j++)
			sim_cut(world, i, j, ((side >> i) & 1) != ((side >> j) & 1));
}

static void
strike(SimWorld *world, int kind, int node)
{
	SimNode    *n = &world->node[node];
	int			other = (node + (int) sim_between(world, 1, world->count - 1)) % world->count;

	switch (kind)
	{
		case VOTE_HANG:
			if (n->hung > world->now)
				break;
			sim_hang(world, node, sim_some_time(world));
			break;
		case VOTE_REJECT:
			sim_trace(world, node, "is rejected on its way to %s", n->settings.name[other]);
			n->rejected[other] = true;
			later(world, sim_some_time(world), VOTE_NO_REJECT, node);
			break;
		case VOTE_NO_REJECT:
			memset(n->rejected, 0, sizeof(n->rejected));
			break;
		case VOTE_HOLD_REPLAY:
			n->replay_held = world->now + sim_some_time(world);
			if (sim_chance(world, 400))
				sim_strike(world, FAULT_KILL_LEADER, node);
			break;
		case VOTE_SWITCHOVER:
			sim_switchover(world, node, sim_chance(world, 500) ? PGHA_NOBODY :
						   (int) sim_between(world, 0, world->members - 1));
			break;
		case VOTE_RESTART_ALONE:
			sim_strike(world, FAULT_ISOLATE, node);
			sim_strike(world, sim_chance(world, 500) ? FAULT_RESTART : FAULT_BACKEND, node);
			if (sim_chance(world, 600))
				later(world, n->settings.failure_timeout + sim_between(world, 0, SECOND), FAULT_HEAL, node);
			break;
		case VOTE_SPLIT:
			split(world);
			if (sim_chance(world, 500))
				later(world, sim_some_time(world), FAULT_HEAL, node);
			break;
		case VOTE_RESTART_OTHERS:
			sim_strike(world, FAULT_ISOLATE, node);
			for (int j = 0; j < world->count; j++)
			{
				if (j == node)
					continue;
				sim_kill(world, j, false);
				world->node[j].slow_recovery = sim_between(world, 20 * MS, 100 * MS);
				later(world, sim_between(world, 5 * MS, 50 * MS), FAULT_START, j);
			}
			break;
		case VOTE_FIREWALL:
			for (int j = 0; j < world->count; j++)
			{
				if (j == node)
					continue;
				world->node[j].rejected[node] = true;
				sim_drop_stream(world, j);
				later(world, sim_some_time(world), VOTE_NO_REJECT, j);
			}
			break;
		case VOTE_UNSYNC_ALONE:
			sim_strike(world, FAULT_ISOLATE, node);
			for (int j = 0; j < world->members; j++)
			{
				memset(&world->node[j].sync_names, 0, sizeof(world->node[j].sync_names));
				sim_changed(world, j);
			}
			break;
		case VOTE_NAMES:
			choose_names(world);
			if (sim_chance(world, 400))
				later(world, sim_between(world, MS, 300 * MS), sim_chance(world, 500) ? VOTE_SPLIT : FAULT_KILL_LEADER, node);
			break;
		case VOTE_CUT_LEADER:
			if (!sim_leads(world, node) || other >= world->members)
				break;
			sim_cut(world, node, other, true);
			sim_cut(world, other, node, true);
			if (sim_chance(world, 500))
				later(world, n->settings.failure_timeout + sim_between(world, 0, 200 * MS), VOTE_NAMES, node);
			if (sim_chance(world, 700))
				later(world, sim_some_time(world), FAULT_HEAL, node);
			break;
		case VOTE_REMOVE:
			change_members(world, world->count - (int) sim_between(world, 1, 2));
			break;
		case VOTE_ADD:
			change_members(world, world->count);
			break;
		case VOTE_CONFIGURE:
			configure(world, node, world->wished);
			break;
		case VOTE_REWIND:
			rewind_node(world, node);
			break;
		case VOTE_FORGET:
			forget(world, node);
			break;
		case VOTE_SLOW_PROMOTION:
			n->slow_promotion = sim_some_time(world);
			if (sim_chance(world, 500))
				sim_strike(world, FAULT_KILL_LEADER, node);
			break;
		default:
			/* A witness has nothing to be paused or promoted. */
			if (!n->witness || (kind != FAULT_PAUSE && kind != FAULT_RESUME && kind != FAULT_PRIORITY))
				sim_strike(world, (SimFault) kind, node);
	}
}

static void
fault_due(SimWorld *world, int kind, int node)
{
	if (kind == VOTE_REWIND)
		rewind_node(world, node);
	else if (!world->faults)
		return;
	else if (kind == FAULT_RANDOM)
	{
		strike(world, some_fault(world), sim_some_node(world));
		later(world, sim_chance(world, 300) ? sim_between(world, MS, 100 * MS) : sim_some_time(world),
			  FAULT_RANDOM, 0);
	}
	else
		strike(world, kind, node);
}

/* Right after a leader has opened is a bad moment. */
static void
gate_opened(SimWorld *world, int node)
{
	if (world->faults && profile_of(world->seed) == PROFILE_SYNC && sim_chance(world, 200))
		later(world, sim_between(world, MS, 50 * MS), sim_chance(world, 500) ? FAULT_ISOLATE : FAULT_KILL, node);
}

/* The agents look after diverged nodes. */
static void
look(SimWorld *world)
{
	for (int i = 0; i < world->members; i++)
		if (world->node[i].monitor && world->node[i].core.state == PGHA_DIVERGED && sim_chance(world, 100))
			later(world, sim_between(world, MS, SECOND), VOTE_REWIND, i);
}

static const SimObserver storm = {
	.fault_due = fault_due,
	.gate_opened = gate_opened,
	.look = look,
};

/* ---- health ---- */

static int
the_leader(const SimWorld *world)
{
	int			leader = PGHA_NOBODY;

	for (int i = 0; i < world->members; i++)
	{
		const SimNode *n = &world->node[i];

		if (!sim_leads(world, i) || n->frozen)
			continue;
		if (leader != PGHA_NOBODY || !n->gate || n->core.state != PGHA_PRIMARY ||
			(!pgha_in_force(&n->core) && !world->no_quorum) || sim_clock(world, i) >= n->gate_deadline)
			return PGHA_NOBODY;
		leader = i;
	}
	return leader;
}

/* Does everybody do what it can?  *what says what is amiss. */
static bool
healthy(const SimWorld *world, char *what, size_t size)
{
	int			leader = the_leader(world);

	if (leader == PGHA_NOBODY)
	{
		snprintf(what, size, "there is not one leader");
		return false;
	}
	if (world->node[leader].core.durable.rule.count != world->count && !world->no_quorum)
	{
		snprintf(what, size, "not all voters are under the rule");
		return false;
	}
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];

		if (i == leader)
			continue;
		if (n->phase != SIM_UP || n->frozen)
			snprintf(what, size, "%s is not up", n->settings.name[i]);
		else if (!n->witness && (n->receiver != PGHA_RECEIVER_STREAMING || n->upstream != leader))
			snprintf(what, size, "%s does not follow", n->settings.name[i]);
		else if (world->no_quorum)
			continue;
		else if (n->core.durable.support.term != world->node[leader].core.durable.claim.term)
			snprintf(what, size, "%s does not support the leader", n->settings.name[i]);
		else if (n->core.durable.rule.term == 0)
			snprintf(what, size, "%s does not vote", n->settings.name[i]);
		else
			continue;
		return false;
	}
	return true;
}

static bool
any_leader(SimWorld *world, void *arg)
{
	int			leader = the_leader(world);

	return leader != PGHA_NOBODY && leader != *(int *) arg;
}

/* There is a leader that a majority follows; with k > 0 it may wait for standbys that are being rebuilt. */
static bool
any_lease(SimWorld *world, void *arg)
{
	(void) arg;
	for (int i = 0; i < world->members; i++)
	{
		const PghaNode *core = &world->node[i].core;

		if (sim_leads(world, i) && core->posted && core->voting.committed.term != 0 &&
			sim_clock(world, i) < core->voting.lease_deadline &&
			(core->gate_open || core->durable.rule.k > 0))
			return true;
	}
	return false;
}

/* Runs until all is well, and commits are acknowledged; false if it takes too long. */
static bool
await_health(SimWorld *world, pgha_time limit)
{
	pgha_time	deadline = world->now + limit;
	pgha_time	since = 0;
	int			acknowledged = 0;
	char		what[100] = "";

	while (world->violation[0] == '\0')
	{
		for (int i = 0; i < world->count; i++)
			sim_start(world, i);
		sim_run(world, world->now + 100 * MS, NULL, NULL);
		if (!healthy(world, what, sizeof(what)))
			since = 0;
		else if (since == 0)
		{
			since = world->now;
			acknowledged = world->acknowledged;
		}
		else if (world->now - since > SECOND)
		{
			if (world->acknowledged > acknowledged || world->nrecord > SIM_MAX_RECORDS - 500)
				return true;
			snprintf(what, sizeof(what), "no commit is acknowledged");
		}
		if (world->now > deadline)
		{
			sim_violation(world, "stuck", "after %.1f s: %s", (double) limit / SECOND, what);
			return false;
		}
	}
	return false;
}

static void
heal(SimWorld *world)
{
	world->faults = false;
	world->crash_in_step = world->crash_in_promotion = world->hitches = world->stalls = 0;
	world->latency = 2 * MS;
	sim_heal_network(world);
	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		sim_thaw(world, i);
		memset(n->rejected, 0, sizeof(n->rejected));
		n->throttle = n->slow_promotion = 0;
		n->host_down = false;
		if (n->hung > world->now)
			n->hung = world->now;
		if (n->replay_held > world->now)
			n->replay_held = world->now;
		if (n->settings.priority == 0)
			n->settings.priority = 100;
		configure(world, i, world->count);
		sim_configure(world, i);
		if (n->monitor && !n->witness && n->core.durable.paused)
			sim_pause(world, i, false);
	}
}

/* All servers are started; then there must be a leader in time. */
static bool
await_leader(SimWorld *world)
{
	bool		up = false;
	pgha_time	limit = 10 * world->node[0].settings.failure_timeout;

	while (!up && world->violation[0] == '\0')
	{
		up = true;
		for (int i = 0; i < world->count; i++)
		{
			sim_start(world, i);
			up &= world->node[i].phase == SIM_UP && world->node[i].replayed >= world->node[i].nwal;
		}
		if (!up)
			sim_run(world, world->now + 100 * MS, NULL, NULL);
		if (world->now > SIM_BEGIN + 600 * SECOND)
			sim_violation(world, "stuck", "not all servers come up");
	}
	for (int i = 0; i < world->count; i++)
		if (world->node[i].monitor && !world->node[i].witness && world->node[i].core.durable.paused)
			sim_pause(world, i, false);
	sim_run(world, world->now + limit / 2, any_lease, NULL);
	if (!any_lease(world, NULL))
		sim_promote_forgotten(world);
	sim_run(world, world->now + limit / 2, any_lease, NULL);
	if (world->violation[0] == '\0' && !any_lease(world, NULL))
		sim_violation(world, "stuck", "no leader %.1f s after healing", (double) limit / SECOND);
	return world->violation[0] == '\0';
}

/*
 * For a moment one standby alone receives, and what it gets it can neither replay nor
 * lead with: the others have to get it from there.  Returns that standby.
 */
static int
hold_last(SimWorld *world, int leader)
{
	int			holder = (leader + (int) sim_between(world, 1, world->members - 1)) % world->members;
	SimNode    *n = &world->node[holder];

	n->replay_held = world->now + 3600 * SECOND;
	n->apply_delay = sim_chance(world, 500);
	for (int i = 0; i < world->members; i++)
		if (i != holder)
			sim_cut(world, leader, i, true);
	sim_run(world, world->now + sim_between(world, 20, 200) * MS, NULL, NULL);
	return holder;
}

static void
let_replay(SimWorld *world, int holder)
{
	world->node[holder].apply_delay = false;
	world->node[holder].replay_held = world->now;
	if (world->node[holder].behind)
		sim_post(world, 0, SIM_REPLAY, holder, 0, 0, 0);
}

/* The healthy cluster loses its leader. */
static void
exam(SimWorld *world)
{
	int			leader = the_leader(world);
	int			holder = PGHA_NOBODY;
	const PghaSettings *settings = &world->node[leader].settings;

	sim_run(world, world->now + 2 * settings->heartbeat_interval + SECOND, NULL, NULL);
	if (world->violation[0] != '\0')
		return;
	leader = the_leader(world);
	if (leader == PGHA_NOBODY)
	{
		sim_violation(world, "stuck", "the leader does not last");
		return;
	}
	if (world->members > 2 && sim_chance(world, 300))
		holder = hold_last(world, leader);
	if (sim_chance(world, 400))
		sim_freeze(world, leader);
	else
		sim_kill(world, leader, sim_chance(world, 300));
	sim_heal_network(world);

	/* Where k standbys are left of S nobody else can be told. */
	sim_run(world, world->now + 5 * settings->failure_timeout + 5 * SECOND, any_leader, &leader);
	if (world->violation[0] == '\0' && !any_leader(world, &leader) && world->node[leader].core.durable.rule.k == 0)
		sim_violation(world, "stuck", "nobody took over from %s", settings->name[leader]);
	sim_thaw(world, leader);
	if (holder != PGHA_NOBODY)
		let_replay(world, holder);
	if (world->violation[0] == '\0' && await_leader(world))
		await_health(world, 60 * SECOND);
}

/* ---- the cluster ---- */

static void
choose_settings(SimWorld *world)
{
	pgha_time	heartbeat = sim_between(world, 1, 5) * 100 * MS;
	pgha_time	failure = sim_between(world, 1, 3) * SECOND;
	Profile		profile = profile_of(world->seed);

	world->ttls = sim_chance(world, 300);
	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		n->settings.heartbeat_interval = heartbeat;
		n->settings.failure_timeout = failure;
		n->settings.lease_ttl = world->ttls ? failure * sim_between(world, 1, 3) : failure;
		n->settings.startup_grace = 4 * SECOND;
		n->clock_rate = (int) sim_between(world, -20000, 20000);
		n->clock_offset = sim_between(world, 0, 1000) * SECOND;
		if (sim_chance(world, 200))
			n->settings.priority = (int) sim_between(world, 50, 150);
	}
	world->wished = world->count;
	world->keep_wal = profile != PROFILE_CRASH && profile != PROFILE_FREEZE && profile != PROFILE_SWITCHOVER;
	if (profile == PROFILE_SYNC || (profile == PROFILE_MIXED && sim_chance(world, 400)))
		choose_names(world);
	if (profile == PROFILE_CRASH || profile == PROFILE_MIXED)
	{
		world->crash_in_step = (int) sim_between(world, 0, 60);
		world->hitches = world->crash_in_step;
		world->crash_in_promotion = world->crash_in_step > 0 ? (int) sim_between(world, 0, 300) : 0;
	}
}

static void
form(SimWorld *world, uint64_t seed, bool no_quorum, uint64_t rules_off, FILE *trace)
{
	int			members;
	int			witnesses;
	uint64_t	random;

	sim_world_init(world, seed, 3);
	members = sim_chance(world, profile_of(seed) == PROFILE_SYNC || is_impolite(seed) ? 300 : 600) ? 3 : (int) sim_between(world, 2, 5);
	witnesses = members == 2 ? (int) sim_between(world, 1, 2) : sim_chance(world, 200) ? (int) sim_between(world, 1, 2) : 0;
	if (profile_of(seed) == PROFILE_DIRECTED)
		sim_directed_cluster(directed_of(seed), &members, &witnesses);
	if (no_quorum)
	{
		members = 3;
		witnesses = 0;
	}
	random = world->random;
	sim_world_init(world, seed, members + witnesses);
	world->no_quorum = no_quorum;
	world->random = random;
	world->rules_off = rules_off | (is_impolite(seed) ? UINT64_C(1) << PGHA_RULE_POLITE : 0);
	world->trace = trace;
	sim_observe(world, &sim_vote_checks);
	sim_observe(world, &storm);
	sim_shuffle_names(world);
	if (!no_quorum)
		sim_add_witnesses(world, witnesses);
	for (int i = 0; i < world->count && !no_quorum; i++)
		pgha_forget(&world->node[i].disk);
	choose_settings(world);
	sim_trace(world, -1, "seed %llu: %s, %d members, %d witnesses, failure_timeout %.1f s",
			  (unsigned long long) seed, sim_vote_profile_name(seed), members, witnesses,
			  (double) world->node[0].settings.failure_timeout / SECOND);
}

bool
sim_vote_schedule(SimWorld *world, uint64_t seed, bool no_quorum, uint64_t rules_off, FILE *trace)
{
	int			crash_in_step;
	int			crash_in_promotion;

	form(world, seed, no_quorum, rules_off, trace);
	crash_in_step = world->crash_in_step;
	crash_in_promotion = world->crash_in_promotion;
	world->crash_in_step = world->crash_in_promotion = world->hitches = world->stalls = 0;
	if (await_health(world, 60 * SECOND))
	{
		world->crash_in_step = world->hitches = crash_in_step;
		world->crash_in_promotion = crash_in_promotion;
		world->voting = true;
		world->faults = true;
		if (profile_of(seed) != PROFILE_DIRECTED && profile_of(seed) != PROFILE_CRASH)
			world->stalls = (int) sim_between(world, 0, 3);
		if (profile_of(seed) == PROFILE_DIRECTED && !no_quorum)
			sim_direct(world, directed_of(seed));
		else
		{
			later(world, sim_between(world, 0, 2 * SECOND), FAULT_RANDOM, 0);
			sim_run(world, world->now + sim_between(world, 15, 60) * SECOND, NULL, NULL);
		}
	}
	if (world->violation[0] == '\0' && !is_impolite(seed) && !no_quorum)
	{
		sim_trace(world, -1, "healing");
		heal(world);
		if (await_leader(world) && await_health(world, 60 * SECOND))
			exam(world);
	}
	return world->violation[0] == '\0';
}
