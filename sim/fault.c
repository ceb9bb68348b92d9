/*
 * fault.c
 *		Schedules out of a seed: a cluster, a storm of faults, healing, an exam.
 *
 * The seed chooses the profile, too (seed modulo their number).  After the storm
 * everything is healed: then one primary must lead within bounded time, all
 * that can follow it must do so, and clients must be served.  Finally that
 * primary is taken away once more, so that a cluster that only looks healthy
 * is found out.
 */
#include "fault.h"

#include "administrator.h"
#include "check.h"
#include "loop.h"
#include "monitor.h"
#include "network.h"
#include "server.h"
#include "trace.h"
#include "wal.h"

/* How often each fault is chosen. */
static const int weight[SIM_PROFILES][FAULT_KINDS] = {
	[SIM_PROFILE_CRASH] = {
		[FAULT_KILL] = 8,[FAULT_POWER] = 2,[FAULT_STOP] = 3,[FAULT_RESTART] = 4,
		[FAULT_QUICK_RESTART] = 3,[FAULT_START] = 6,[FAULT_BACKEND] = 4,[FAULT_PROMOTE] = 1
	},
	[SIM_PROFILE_FREEZE] = {
		[FAULT_FREEZE] = 10,[FAULT_HANG] = 4,[FAULT_KILL] = 2,[FAULT_START] = 2,[FAULT_BACKEND] = 1,[FAULT_SLOW] = 1
	},
	[SIM_PROFILE_PARTITION] = {
		[FAULT_CUT] = 6,[FAULT_CUT_ONE_WAY] = 3,[FAULT_ISOLATE] = 4,[FAULT_HEAL] = 3,
		[FAULT_KILL] = 3,[FAULT_START] = 2,[FAULT_SLOW] = 1,[FAULT_UNABLE] = 3,[FAULT_DROP] = 3
	},
	[SIM_PROFILE_COLD_START] = {
		[FAULT_SITE_DOWN] = 4,[FAULT_SITE_STOP] = 3,[FAULT_START] = 8,[FAULT_KILL] = 3,[FAULT_CUT] = 1
	},
	[SIM_PROFILE_SYNC] = {
		[FAULT_KILL] = 6,[FAULT_START] = 4,[FAULT_CUT] = 4,[FAULT_ISOLATE] = 2,[FAULT_FREEZE] = 3,
		[FAULT_HEAL] = 3,[FAULT_STOP] = 1,[FAULT_THROTTLE] = 2
	},
	[SIM_PROFILE_CONFIG] = {
		[FAULT_KILL] = 6,[FAULT_START] = 4,[FAULT_STOP] = 2,[FAULT_QUICK_RESTART] = 2,[FAULT_PAUSE] = 3,
		[FAULT_RESUME] = 3,[FAULT_THROTTLE] = 6,[FAULT_ERRORS] = 2,[FAULT_PRIORITY] = 3,
		[FAULT_FREEZE] = 2,[FAULT_PROMOTE] = 2,[FAULT_FORCE] = 1,[FAULT_SWITCHOVER] = 8
	},
	[SIM_PROFILE_MIXED] = {
		[FAULT_KILL] = 4,[FAULT_POWER] = 2,[FAULT_STOP] = 2,[FAULT_RESTART] = 2,
		[FAULT_QUICK_RESTART] = 1,[FAULT_START] = 4,[FAULT_BACKEND] = 2,[FAULT_FREEZE] = 4,
		[FAULT_CUT] = 4,[FAULT_CUT_ONE_WAY] = 2,[FAULT_ISOLATE] = 2,[FAULT_HEAL] = 3,[FAULT_SLOW] = 2,
		[FAULT_THROTTLE] = 1,[FAULT_ERRORS] = 1,[FAULT_PAUSE] = 1,[FAULT_RESUME] = 2,
		[FAULT_PROMOTE] = 1,[FAULT_FORCE] = 1,[FAULT_SITE_DOWN] = 1,[FAULT_HANG] = 1,[FAULT_UNABLE] = 1,
		[FAULT_DROP] = 1,[FAULT_SWITCHOVER] = 2
	},
};

const char *
sim_profile_name(SimProfile profile)
{
	static const char *const names[SIM_PROFILES] = {
		"crash", "freeze", "partition", "cold start", "sync", "config", "mixed"
	};

	return names[profile];
}

SimProfile
sim_profile_of(uint64_t seed)
{
	return (SimProfile) (seed % SIM_PROFILES);
}

/* ---- the storm ---- */

void
sim_later_fault(SimWorld *world, pgha_time delay, SimFault fault, int node)
{
	sim_post(world, delay, SIM_FAULT, -1, fault, node, 0);
}

/* Durations are chosen around the limits that matter. */
pgha_time
sim_some_time(SimWorld *world)
{
	pgha_time	failure = world->node[0].settings.failure_timeout;

	switch (sim_between(world, 0, 3))
	{
		case 0:
			return sim_between(world, 5 * MS, failure / 2);
		case 1:
			return sim_between(world, failure / 2, 2 * failure);
		case 2:
			return sim_between(world, failure, 5 * failure);
		default:
			return sim_between(world, failure, 10 * failure);
	}
}

int
sim_some_node(SimWorld *world)
{
	if (sim_chance(world, 500))
		for (int i = 0; i < world->count; i++)
			if (sim_leads(world, i))
				return i;
	return (int) sim_between(world, 0, world->count - 1);
}

static SimFault
some_fault(SimWorld *world)
{
	const int  *weights = weight[world->profile];
	int			total = 0;
	int			choice;

	for (int i = 0; i < FAULT_KINDS; i++)
		total += weights[i];
	choice = (int) sim_between(world, 0, total - 1);
	for (int i = 0; i < FAULT_KINDS; i++)
	{
		choice -= weights[i];
		if (choice < 0)
			return (SimFault) i;
	}
	return FAULT_KILL;
}

void
sim_heal_network(SimWorld *world)
{
	for (int i = 0; i < world->count; i++)
		for (int j = 0; j < world->count; j++)
			sim_cut(world, i, j, false);
}

static void
site_down(SimWorld *world, bool clean)
{
	for (int i = 0; i < world->count; i++)
	{
		if (clean)
			sim_stop(world, i);
		else
			sim_kill(world, i, sim_chance(world, 300));
		if (sim_chance(world, 700))
			sim_later_fault(world, sim_some_time(world), FAULT_START, i);
	}
}

/*
 * Some standbys come back without their first WAL, as long as there is somebody who
 * has it; and where the members vote, as long as a majority can do so without them.
 * Not by chance, which would change all schedules.
 */
static void
lose_wal_by_turns(SimWorld *world, int node)
{
	int			able = 0;

	if ((world->seed + world->node[node].run) % 4 != 0)
		return;
	for (int i = 0; i < world->count; i++)
		able += i != node && !world->node[i].no_wal;
	if (world->voting && (able < world->count / 2 + 1 || world->keep_wal))
		return;
	for (int i = 0; i < world->count; i++)
	{
		if (i != node && sim_leads(world, i) && sim_contains(world, i, node))
		{
			sim_lose_wal(world, node);
			return;
		}
	}
}

void
sim_strike(SimWorld *world, SimFault fault, int node)
{
	SimNode    *n = &world->node[node];
	int			other = (node + (int) sim_between(world, 1, world->count - 1)) % world->count;

	switch (fault)
	{
		case FAULT_KILL:
		case FAULT_POWER:
			sim_kill(world, node, fault == FAULT_POWER);
			if (sim_chance(world, 700))
				sim_later_fault(world, sim_some_time(world), FAULT_START, node);
			break;
		case FAULT_STOP:
			sim_stop(world, node);
			if (sim_chance(world, 700))
				sim_later_fault(world, sim_some_time(world), FAULT_START, node);
			break;
		case FAULT_RESTART:
			sim_kill(world, node, false);
			sim_later_fault(world, sim_between(world, 5 * MS, 500 * MS), FAULT_START, node);
			break;
		case FAULT_QUICK_RESTART:
			sim_stop(world, node);
			sim_later_fault(world, sim_between(world, 600 * MS, 1200 * MS), FAULT_START, node);
			break;
		case FAULT_START:
			lose_wal_by_turns(world, node);
			sim_start(world, node);
			break;
		case FAULT_BACKEND:
			sim_backend_crash(world, node);
			break;
		case FAULT_FREEZE:
			sim_freeze(world, node);
			sim_later_fault(world, sim_some_time(world), FAULT_THAW, node);
			break;
		case FAULT_THAW:
			sim_thaw(world, node);
			break;
		case FAULT_CUT:
		case FAULT_CUT_ONE_WAY:
			sim_cut(world, node, other, true);
			if (fault == FAULT_CUT)
				sim_cut(world, other, node, true);
			if (sim_chance(world, 500))
				sim_later_fault(world, sim_some_time(world), FAULT_HEAL, node);
			break;
		case FAULT_ISOLATE:
			for (int j = 0; j < world->count; j++)
			{
				sim_cut(world, node, j, true);
				sim_cut(world, j, node, true);
			}
			if (sim_chance(world, 500))
				sim_later_fault(world, sim_some_time(world), FAULT_HEAL, node);
			break;
		case FAULT_HEAL:
			sim_heal_network(world);
			break;
		case FAULT_SLOW:
			world->latency = sim_between(world, 20 * MS, world->node[0].settings.failure_timeout / 3);
			sim_later_fault(world, sim_some_time(world), FAULT_FAST, node);
			break;
		case FAULT_FAST:
			world->latency = 2 * MS;
			break;
		case FAULT_THROTTLE:
			for (int j = 0; j < world->count; j++)
			{
				if (j != node && !sim_chance(world, 600))
					continue;
				world->node[j].throttle = sim_between(world, 100 * MS, SECOND);
				sim_later_fault(world, sim_some_time(world), FAULT_UNTHROTTLE, j);
			}
			if (sim_chance(world, 500))
				sim_later_fault(world, sim_some_time(world), FAULT_KILL_LEADER, node);
			break;
		case FAULT_KILL_LEADER:
			for (int j = 0; j < world->count; j++)
				if (sim_leads(world, j))
					sim_kill(world, j, false);
			break;
		case FAULT_UNTHROTTLE:
			n->throttle = 0;
			break;
		case FAULT_ERRORS:
			n->answers_error = true;
			sim_later_fault(world, sim_some_time(world), FAULT_NO_ERRORS, node);
			if (sim_chance(world, 300))
				sim_kill(world, node, false);
			break;
		case FAULT_NO_ERRORS:
			n->answers_error = false;
			break;
		case FAULT_PAUSE:
		case FAULT_RESUME:
			sim_pause(world, node, fault == FAULT_PAUSE);
			break;
		case FAULT_PROMOTE:
		case FAULT_FORCE:
			sim_promote(world, node, fault == FAULT_FORCE);
			break;
		case FAULT_SITE_DOWN:
		case FAULT_SITE_STOP:
			site_down(world, fault == FAULT_SITE_STOP);
			break;
		case FAULT_PRIORITY:
			n->settings.priority = (int) sim_between(world, 0, 2) * 50;
			sim_configure(world, node);
			break;
		case FAULT_HANG:
			if (n->hung <= world->now)
				sim_hang(world, node, sim_some_time(world));
			break;
		case FAULT_UNABLE:
			n->unable = world->now + sim_some_time(world);
			sim_trace(world, node, "cannot ask anybody for %.3f s", (double) (n->unable - world->now) / SECOND);
			if (sim_chance(world, 600))
				sim_drop_stream(world, node);
			break;
		case FAULT_DROP:
			sim_drop_stream(world, node);
			if (sim_chance(world, 700))
				sim_later_fault(world, sim_between(world, 100 * MS, SECOND), FAULT_REJECT, node);
			break;
		case FAULT_REJECT:
			sim_trace(world, node, "is rejected on its way to all others");
			for (int j = 0; j < world->count; j++)
				n->rejected[j] = j != node;
			sim_later_fault(world, sim_between(world, 20 * MS, 900 * MS), FAULT_NO_REJECT, node);
			break;
		case FAULT_NO_REJECT:
			memset(n->rejected, 0, sizeof(n->rejected));
			break;
		case FAULT_RANDOM:
		case FAULT_SWITCHOVER:
			for (int i = 0; i < world->count; i++)
				sim_switchover(world, i, sim_chance(world, 500) ? PGHA_NOBODY : other);
			break;
		case FAULT_KINDS:
			break;
	}
}

static void
fault_due(SimWorld *world, int kind, int node)
{
	if (!world->faults)
		return;
	if (kind == FAULT_RANDOM)
	{
		sim_strike(world, some_fault(world), sim_some_node(world));
		sim_later_fault(world, sim_chance(world, 200) ? sim_between(world, MS, 100 * MS) : sim_some_time(world),
					FAULT_RANDOM, 0);
	}
	else
		sim_strike(world, (SimFault) kind, node);
}

/* An instance was stopped: it may come back as soon as it can, and see nobody. */
static void
instance_stopped(SimWorld *world, int node, pgha_time back)
{
	if (!world->faults || !sim_chance(world, 400))
		return;
	for (int j = 0; j < world->count; j++)
	{
		sim_cut(world, node, j, true);
		sim_cut(world, j, node, true);
	}
	sim_later_fault(world, back + 100 * MS, FAULT_START, node);
}

static const SimObserver storm = {
	.fault_due = fault_due,
	.instance_stopped = instance_stopped,
};

/* ---- the cluster ---- */

void
sim_shuffle_names(SimWorld *world)
{
	char		letter[SIM_MAX_NODES] = {'a', 'b', 'c', 'd', 'e', 'f', 'g'};

	for (int i = world->count - 1; i > 0; i--)
	{
		int			j = (int) sim_between(world, 0, i);
		char		swap = letter[i];

		letter[i] = letter[j];
		letter[j] = swap;
	}
	for (int i = 0; i < world->count; i++)
		for (int j = 0; j < world->count; j++)
			snprintf(world->node[i].settings.name[j], PGHA_NAME_SIZE, "%c", letter[j]);
}

static void
choose_sync(SimWorld *world)
{
	SimSyncNames names = {0};
	int			start = (int) sim_between(world, 0, world->count - 1);

	names.method = sim_chance(world, 500) ? PGHA_SYNC_FIRST : PGHA_SYNC_ANY;
	for (int i = 0; i < world->count; i++)
		if (world->count < 3 || !sim_chance(world, 150))
			names.member[names.count++] = (start + i) % world->count;
	names.k = names.count > 2 ? (int) sim_between(world, 1, names.count - 1) : 1;
	for (int i = 0; i < world->count; i++)
		world->node[i].sync_names = names;
}

/* Old primaries have their instances stopped; not always, and not always heard of. */
static void
choose_fence(SimWorld *world)
{
	for (int i = 0; i < world->count; i++)
	{
		world->node[i].settings.fence = true;
		world->node[i].settings.fence_timeout = 30 * SECOND;
	}
	world->stops_fail = (int) sim_between(world, 0, 300);
	world->stops_unheard = (int) sim_between(world, 0, 300);
}

static void
choose_settings(SimWorld *world)
{
	pgha_time	heartbeat = sim_between(world, 1, 5) * 100 * MS;
	pgha_time	failure = sim_between(world, 1, 3) * SECOND;
	pgha_time	grace = sim_between(world, 4, 10) * SECOND;

	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		n->settings.heartbeat_interval = heartbeat;
		n->settings.failure_timeout = failure;
		n->settings.startup_grace = grace;
		if (sim_chance(world, 200))
			n->settings.priority = (int) sim_between(world, 50, 150);
	}
	if (world->profile == SIM_PROFILE_SYNC ||
		(world->profile == SIM_PROFILE_MIXED && sim_chance(world, 300)))
		choose_sync(world);
	if (world->profile == SIM_PROFILE_CONFIG)
	{
		for (int i = 0; i < world->count; i++)
		{
			SimNode    *n = &world->node[i];

			switch (sim_between(world, 0, 12))
			{
				case 0:
					n->settings.priority = 0;
					break;
				case 1:
					n->settings.auto_failover = false;
					break;
				case 2:
					n->apply_delay = true;
					break;
				case 3:
					if (i != 0)
						n->passive = sim_chance(world, 500) ?
							PGHA_PASSIVE_RECOVERY_SIGNAL : PGHA_PASSIVE_RECOVERY_TARGET;
					break;
				case 4:
					if (i == 1 && world->count > 2)
						n->settings.system_identifier = 43;
					break;
				case 5:
					n->too_low = true;
					break;
			}
			n->settings.max_failover_lag = sim_chance(world, 400) ? 16 << 20 : 4 << 10;
		}
	}
	if (world->seed / SIM_PROFILES % 3 == 0)
		choose_fence(world);
	world->crash_in_step = world->profile == SIM_PROFILE_CRASH || world->profile == SIM_PROFILE_MIXED ?
		(int) sim_between(world, 0, 60) : 0;
	world->hitches = world->crash_in_step;
	world->crash_in_promotion = world->crash_in_step > 0 ? (int) sim_between(world, 0, 300) : 0;
}

/*
 * Before pgha was put to use, two servers were promoted by hand, at the same
 * place and onto the same timeline; each has WAL of its own on it.
 */
static void
promote_two_by_hand(SimWorld *world)
{
	const int	two[] = {0, world->count - 1};

	for (int i = 0; i < 2; i++)
	{
		SimNode    *n = &world->node[two[i]];
		int			records = (int) sim_between(world, 1, 3);

		world->timeline[2] = (SimTimeline) {true, 0, 1, sim_end_of(world, n, n->nwal)};
		n->real[2] = true;
		n->target = 2;
		for (int j = 0; j < records; j++)
			sim_append(world, two[i], 2, -1);
	}
}

/* ---- healing and health ---- */

static bool
managed(const SimNode *n)
{
	return n->passive == PGHA_ACTIVE && n->settings.system_identifier == 42;
}

static int
the_leader(const SimWorld *world)
{
	int			leader = PGHA_NOBODY;

	for (int i = 0; i < world->count; i++)
	{
		if (!sim_leads(world, i) || world->node[i].frozen || !managed(&world->node[i]))
			continue;
		if (leader != PGHA_NOBODY || !world->node[i].gate || world->node[i].core.state != PGHA_PRIMARY)
			return PGHA_NOBODY;
		leader = i;
	}
	return leader;
}

/*
 * A node without its WAL does not follow whom it cannot, nor one that leads by a claim
 * less than its own; and nobody hears of that claim, for it does not answer.
 */
static bool
needs_clone(const SimWorld *world, int node, int leader)
{
	const SimNode *n = &world->node[node];

	return n->no_wal && n->monitor &&
		((n->core.state == PGHA_DIVERGED && !sim_contains(world, leader, node)) ||
		 pgha_claim_compare(&n->disk.claim, &world->node[leader].disk.claim) > 0);
}

/* Does each node do what it can?  *what says what is amiss. */
static bool
healthy(const SimWorld *world, char *what, size_t size)
{
	int			leader = the_leader(world);

	what[0] = '\0';
	if (world->stops_begun > 0)
	{
		snprintf(what, size, "an instance is being stopped");
		return false;
	}
	if (leader == PGHA_NOBODY)
	{
		snprintf(what, size, "there is not one primary");
		return false;
	}
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];
		const char *name = n->settings.name[i];

		if (i == leader || !managed(n))
			continue;
		if (needs_clone(world, i, leader))
			continue;
		if (n->phase != SIM_UP || n->frozen)
			snprintf(what, size, "%s is not up", name);
		else if (n->core.state == PGHA_DIVERGED)
		{
			if (sim_contains(world, leader, i) && sim_knows_timeline(world, leader, i))
				snprintf(what, size, "%s calls itself diverged and is not", name);
		}
		else if (n->receiver != PGHA_RECEIVER_STREAMING || n->upstream != leader)
			snprintf(what, size, "%s does not follow", name);
	}
	return what[0] == '\0';
}

/* Can synchronous commits be acknowledged at all? */
static bool
enough_standbys(const SimWorld *world, int leader)
{
	const SimNode *n = &world->node[leader];
	int			there = 0;

	for (int i = 0; i < n->sync_names.count; i++)
		if (n->sender[n->sync_names.member[i]].connection != 0)
			there++;
	return there >= n->sync_names.k;
}

static void
heal(SimWorld *world)
{
	world->faults = false;
	world->crash_in_step = world->crash_in_promotion = world->hitches = world->stalls = 0;
	world->stops_fail = world->stops_unheard = 0;
	world->latency = 2 * MS;
	sim_heal_network(world);
	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		sim_thaw(world, i);
		n->answers_error = false;
		n->throttle = 0;
		n->host_down = false;
		n->unable = 0;
		memset(n->rejected, 0, sizeof(n->rejected));
		if (n->hung > world->now)
			n->hung = world->now;
	}
}

/* Runs until all is well, and has been for a while; false if it takes too long. */
static bool
await_health(SimWorld *world, pgha_time limit)
{
	pgha_time	deadline = world->now + limit;
	pgha_time	since = 0;
	int			acknowledged = 0;
	char		what[100] = "";

	while (world->violation[0] == '\0')
	{
		int			leader;

		for (int i = 0; i < world->count; i++)
		{
			sim_start(world, i);
			if (world->node[i].monitor && world->node[i].core.durable.paused)
				sim_pause(world, i, false);
		}
		sim_promote_past_missing_wal(world);
		sim_promote_barred(world);
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
			leader = the_leader(world);
			if (world->acknowledged > acknowledged || !enough_standbys(world, leader) ||
				world->nrecord > SIM_MAX_RECORDS - 500)
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

static bool
leader_but(SimWorld *world, void *arg)
{
	int			leader = the_leader(world);

	return leader != PGHA_NOBODY && leader != *(int *) arg;
}

/* Somebody may take over if this primary dies now. */
static bool
successor_exists(const SimWorld *world, int leader)
{
	PghaSync	sync = sim_sync_state(world, leader);
	int			able = 0;
	int			listed = 0;

	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];
		uint32_t	bit = UINT32_C(1) << i;

		if (i == leader || !managed(n) || n->core.state == PGHA_DIVERGED || n->no_wal)
			continue;
		if (sync.listed & bit)
			listed++;
		if (n->settings.priority == 0 || !n->settings.auto_failover || n->apply_delay ||
			n->too_low)
			continue;
		if (sync.method != PGHA_SYNC_NONE && (sync.listed & bit) == 0)
			continue;
		if (sync.method == PGHA_SYNC_FIRST && (sync.current & bit) == 0)
			continue;
		able++;
	}
	if (sync.method == PGHA_SYNC_ANY && listed < sync.num_listed - sync.num_sync + 1)
		return false;
	return able > 0;
}

/* How long after everything is well again may it take until all is healthy? */
static pgha_time
limit_of(const SimWorld *world)
{
	const PghaSettings *settings = &world->node[0].settings;

	return 10 * settings->failure_timeout + settings->startup_grace + 20 * SECOND +
		(settings->fence ? 2 * settings->fence_timeout + settings->startup_grace : 0);
}

/* The healthy cluster loses its primary, in the simplest ways. */
static void
exam(SimWorld *world)
{
	int			leader = the_leader(world);
	const PghaSettings *settings = &world->node[leader].settings;
	bool		freeze = sim_chance(world, 400);
	bool		expected = successor_exists(world, leader);
	pgha_time	limit;

	/* The news of the last change must be around, and WAL be received. */
	sim_run(world, world->now + 2 * settings->heartbeat_interval + SECOND, NULL, NULL);
	if (world->violation[0] != '\0')
		return;
	if (freeze)
		sim_freeze(world, leader);
	else
		sim_kill(world, leader, sim_chance(world, 300));
	limit = 3 * settings->failure_timeout + 5 * SECOND +
		(settings->fence ? 2 * settings->fence_timeout + settings->failure_timeout : 0);
	sim_run(world, world->now + limit, leader_but, &leader);
	if (expected && !leader_but(world, &leader))
		sim_violation(world, "stuck", "nobody took over from %s", settings->name[leader]);
	sim_thaw(world, leader);
	if (world->violation[0] == '\0')
		await_health(world, limit_of(world));
}

bool
sim_schedule(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace)
{
	SimProfile	profile = sim_profile_of(seed);
	int			count;

	sim_world_init(world, seed, 2);
	world->profile = profile;
	world->rules_off = rules_off;
	world->trace = trace;
	count = sim_chance(world, 300) ? 2 : sim_chance(world, 800) ? 3 : (int) sim_between(world, 4, 5);
	if (profile == SIM_PROFILE_SYNC && count == 2)
		count = (int) sim_between(world, 2, 4);
	if (count != 2)
	{
		uint64_t	random = world->random;

		sim_world_init(world, seed, count);
		world->profile = profile;
		world->rules_off = rules_off;
		world->trace = trace;
		world->random = random;
	}
	sim_observe(world, &sim_checks);
	sim_observe(world, &storm);
	sim_shuffle_names(world);
	choose_settings(world);
	sim_trace(world, -1, "seed %llu: %s, %d nodes, failure_timeout %.1f s, startup_grace %.1f s",
			  (unsigned long long) seed, sim_profile_name(profile), count,
			  (double) world->node[0].settings.failure_timeout / SECOND,
			  (double) world->node[0].settings.startup_grace / SECOND);
	if (world->seed / SIM_PROFILES % 7 == 5)
		promote_two_by_hand(world);

	if (await_health(world, 60 * SECOND))
	{
		world->faults = true;
		if (profile == SIM_PROFILE_FREEZE || profile == SIM_PROFILE_MIXED)
			world->stalls = (int) sim_between(world, 0, 3);
		sim_later_fault(world, sim_between(world, 0, 2 * SECOND), FAULT_RANDOM, 0);
		sim_run(world, world->now + sim_between(world, 15, 60) * SECOND, NULL, NULL);
	}
	if (world->violation[0] == '\0')
	{
		sim_trace(world, -1, "healing");
		heal(world);
		if (await_health(world, limit_of(world)))
			exam(world);
	}
	return world->violation[0] == '\0';
}
