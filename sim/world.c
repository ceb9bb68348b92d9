/*
 * world.c
 *		Simulated time and chance: what all other rooms of the simulator stand on.
 *
 * One queue of events is worked off in the order of their time; all chance
 * comes from one generator, so that a seed determines everything.
 */
#include "world.h"

#include <stdlib.h>

/* ---- chance ---- */

uint64_t
sim_random(SimWorld *world)
{
	uint64_t	x = world->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return world->random = x;
}

/* A number from low to high; low in scripts. */
int64_t
sim_between(SimWorld *world, int64_t low, int64_t high)
{
	if (world->exact || high <= low)
		return low;
	return low + (int64_t) ((sim_random(world) >> 11) % (uint64_t) (high - low + 1));
}

bool
sim_chance(SimWorld *world, int permille)
{
	return permille > 0 && !world->exact && sim_between(world, 0, 999) < permille;
}

/* ---- the queue of events ---- */

static bool
earlier(const SimEvent *a, const SimEvent *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

void
sim_put(SimEvents *events, const SimEvent *event)
{
	int			i = events->count++;

	if (events->count > events->size)
	{
		events->size = events->size == 0 ? 256 : events->size * 2;
		events->event = realloc(events->event, (size_t) events->size * sizeof(SimEvent));
		if (events->event == NULL)
			abort();
	}
	while (i > 0 && earlier(event, &events->event[(i - 1) / 2]))
	{
		events->event[i] = events->event[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	events->event[i] = *event;
}

SimEvent
sim_take(SimEvents *events)
{
	SimEvent	first = events->event[0];
	SimEvent	last = events->event[--events->count];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= events->count)
			break;
		if (child + 1 < events->count &&
			earlier(&events->event[child + 1], &events->event[child]))
			child++;
		if (!earlier(&events->event[child], &last))
			break;
		events->event[i] = events->event[child];
		i = child;
	}
	events->event[i] = last;
	return first;
}

/* Posts an event that is dropped if the node's server ends before. */
void
sim_post(SimWorld *world, pgha_time delay, SimEventType type, int node,
		 int64_t a, int64_t b, uint64_t c)
{
	SimEvent	event = {world->now + delay, ++world->numbers, type, node,
	node < 0 ? 0 : world->node[node].run, a, b, c};

	sim_put(&world->queue, &event);
}

/* Posts an event that arrives at the host whatever became of the server. */
void
sim_post_to_host(SimWorld *world, pgha_time delay, SimEventType type, int node,
				 int64_t a, int64_t b, uint64_t c)
{
	SimEvent	event = {world->now + delay, ++world->numbers, type, node, 0, a, b, c};

	sim_put(&world->queue, &event);
}

/* The local observation changed: wakes the monitor. */
void
sim_changed(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (!n->monitor)
		return;
	n->wake = ++world->numbers;
	sim_post(world, sim_between(world, MS / 2, 2 * MS), SIM_WAKE, node, (int64_t) n->wake, 0, 0);
}

/* ---- clocks ---- */

/* What the node's CLOCK_BOOTTIME shows at a time of the world. */
pgha_time
sim_clock_at(const SimWorld *world, int node, pgha_time at)
{
	const SimNode *n = &world->node[node];

	return at == 0 ? 0 : at + n->clock_offset + at / 1000000 * n->clock_rate;
}

pgha_time
sim_clock(const SimWorld *world, int node)
{
	return sim_clock_at(world, node, world->now);
}

/* How long it is until the node's clock shows that; at least a little. */
pgha_time
sim_time_until(const SimWorld *world, int node, pgha_time clock)
{
	pgha_time	left = clock - sim_clock(world, node);

	left -= left / 1000000 * world->node[node].clock_rate;
	return left > 0 ? left : MS;
}

/* ---- the network, and what is switched off ---- */

pgha_time
sim_latency(SimWorld *world)
{
	return sim_between(world, MS / 2, world->latency);
}

bool
sim_linked(const SimWorld *world, int a, int b)
{
	return !world->cut[a][b] && !world->cut[b][a];
}

bool
sim_rule(const SimWorld *world, PghaRule rule)
{
	return (world->rules_off & (UINT64_C(1) << rule)) == 0;
}

/* ---- beginning and end ---- */

void
sim_world_init(SimWorld *world, uint64_t seed, int count)
{
	/* All but the long lists, which are valid up to their counts. */
	sim_world_free(world);
	memset(world, 0, sizeof(*world));
	world->seed = seed;
	world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (int i = 0; i < 8; i++)
		sim_random(world);
	world->now = SIM_BEGIN;
	world->count = world->members = count;
	world->latency = 2 * MS;
	world->writes = true;
	world->timeline[1].used = true;
	world->nrecord = 1;
	world->record[0] = (SimRecord) {1, SIM_FIRST_LSN + 0x100, -1};
	for (int i = 0; i < count; i++)
	{
		SimNode    *n = &world->node[i];

		n->run = ++world->numbers;
		n->nwal = n->replayed = 1;
		n->target = 1;
		n->standby_signal = i != 0;
		n->agent = true;
		n->order = n->upstream = n->impostor = PGHA_NOBODY;
		n->settings = (PghaSettings) {.self = i,.count = count,
			.heartbeat_interval = 500 * MS,.failure_timeout = 3 * SECOND,
			.startup_grace = 30 * SECOND,.fence_timeout = 120 * SECOND,.max_failover_lag = 16 << 20,
		.priority = 100,.auto_failover = true,.system_identifier = 42};
		for (int j = 0; j < count; j++)
			snprintf(n->settings.name[j], PGHA_NAME_SIZE, "%c", 'a' + j);
	}
	sim_post(world, 0, SIM_WRITE, -1, 0, 0, 0);
	sim_post(world, SIM_LOOK_INTERVAL, SIM_LOOK, -1, 0, 0, 0);
}

/*
 * The last ones become witnesses: a server of its own each, without the
 * cluster's data.
 */
void
sim_add_witnesses(SimWorld *world, int witnesses)
{
	world->members = world->count - witnesses;
	for (int i = 0; i < world->count; i++)
	{
		SimNode    *n = &world->node[i];

		n->settings.count = world->members;
		n->settings.voters = world->count;
		n->settings.lease_ttl = n->settings.failure_timeout;
		n->settings.refused_is_down = true;
		n->witness = i >= world->members;
		if (n->witness)
			n->standby_signal = false;
	}
}

/* Whoever calls this is told what happens from now on, until sim_world_init(). */
void
sim_observe(SimWorld *world, const SimObserver *observer)
{
	if (world->observers == SIM_MAX_OBSERVERS)
		abort();
	world->observer[world->observers++] = observer;
}

void
sim_world_free(SimWorld *world)
{
	free(world->queue.event);
	memset(&world->queue, 0, sizeof(world->queue));
	for (int i = 0; i < SIM_MAX_NODES; i++)
	{
		free(world->waiting[i].event);
		memset(&world->waiting[i], 0, sizeof(SimEvents));
	}
}
