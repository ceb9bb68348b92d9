/*
 * loop.c
 *		The loop: takes one event after the other to those that it is for.
 */
#include "loop.h"

#include "monitor.h"
#include "network.h"
#include "server.h"
#include "wal.h"

#define SENDER_TIMEOUT		(60 * SECOND)	/* wal_sender_timeout */

/* ---- clients ---- */

static bool
room_left(const SimWorld *world)
{
	return world->nrecord < SIM_MAX_RECORDS - 400 && world->ncommit < SIM_MAX_COMMITS - 4;
}

/* Clients try to write on every server that would let them. */
static void
write_some(SimWorld *world)
{
	for (int i = 0; i < world->count && room_left(world) && !world->idle; i++)
	{
		SimNode    *n = &world->node[i];
		int			commit;

		if (!sim_leads(world, i) || n->frozen)
			continue;
		if (!n->gate || !world->writes)
		{
			if (sim_chance(world, 30))
				sim_append(world, i, sim_timeline_of(world, n), -1);	/* vacuum, a checkpoint */
			continue;
		}
		commit = world->ncommit++;
		world->commit[commit] = (SimCommit) {.writer = i, .term = n->core.durable.claim.term,
			.position = n->nwal,.local = world->voting && !world->clocks_lie && commit % 8 == 0};
		sim_append(world, i, sim_timeline_of(world, n), commit);
		if (world->commit[commit].local)
			sim_post(world, MS, SIM_COMMIT, i, commit, 0, 0);
		sim_release_commits(world, i);
	}
}

static void
commit_done(SimWorld *world, int node, int commit)
{
	SimNode    *n = &world->node[node];

	/* The check after the flush and the synchronous wait. */
	if (n->gate_suspended)
	{
		sim_post(world, 10 * MS, SIM_COMMIT, node, commit, 0, 0);
		return;
	}
	if (!sim_leads(world, node) || !n->gate)
		return;
	if (sim_clock(world, node) >= n->gate_deadline && sim_rule(world, PGHA_RULE_POST))
		return;
	if (pgha_in_force(&n->core) && !world->commit[commit].local && !sim_confirmed(world, node, commit))
	{
		sim_post(world, 10 * MS, SIM_COMMIT, node, commit, 0, 0);
		return;
	}
	sim_tell(world, acknowledged, (world, node, commit));
	world->commit[commit].acknowledged = true;
	world->commit[commit].acknowledged_at = world->now;
	world->acknowledged++;
}

/* ---- the loop ---- */

static void
look(SimWorld *world)
{
	for (int i = 0; i < world->count; i++)
		for (int j = 0; j < world->count; j++)
			if (world->node[i].sender[j].connection != 0 && !world->node[i].frozen &&
				world->now - world->node[i].sender[j].heard > SENDER_TIMEOUT)
				world->node[i].sender[j].connection = 0;
	sim_tell(world, look, (world));
	sim_post(world, SIM_LOOK_INTERVAL, SIM_LOOK, -1, 0, 0, 0);
}

/* Is it the monitor that has to attend to this? */
static bool
is_for_monitor(SimEventType type)
{
	return type == SIM_WAKE || type == SIM_ANSWER || type == SIM_LIMIT || type == SIM_RECEIVER_STOPPED ||
		type == SIM_PROMOTION || type == SIM_CARRY_ON || type == SIM_OLD_STOPPED;
}

static void
work_off(SimWorld *world, const SimEvent *event)
{
	int			node = event->node;
	SimNode    *n = node < 0 ? NULL : &world->node[node];
	PghaEvent	core;

	if (n != NULL && event->run != 0 && event->run != n->run)
		return;
	if (n != NULL && n->frozen && event->type != SIM_THAW)
	{
		sim_put(&world->waiting[node], event);
		return;
	}
	if (n != NULL && n->hung > world->now && is_for_monitor(event->type))
	{
		SimEvent	later = *event;

		/* It may be set going before its time. */
		later.at = n->hung < world->now + 100 * MS ? n->hung : world->now + 100 * MS;
		sim_put(&world->queue, &later);
		return;
	}
	memset(&core, 0, sizeof(core));
	switch (event->type)
	{
		case SIM_WAKE:
			core.type = PGHA_EV_TICK;
			if ((uint64_t) event->a == n->wake)
				sim_step(world, node, &core);
			break;
		case SIM_ARRIVE:
			sim_arrive(world, node, (int) event->a, (SimQuestion) event->b, event->c);
			break;
		case SIM_ANSWER:
			sim_outcome(world, node, (int) event->a, (SimQuestion) event->b, event->c, false);
			break;
		case SIM_LIMIT:
			sim_outcome(world, node, (int) event->a, (SimQuestion) event->b, event->c, true);
			break;
		case SIM_RECEIVER_STOPPED:
			core.type = PGHA_EV_RECEIVER_STOPPED;
			core.ok = true;
			if (event->c == n->receiver_stop)	/* of two orders there is one outcome */
				sim_step(world, node, &core);
			break;
		case SIM_STOP_BEGIN:
			sim_stop_begin(world, node, (int) event->a, event->c);
			break;
		case SIM_STOP_EFFECT:
			sim_stop_effect(world, (int) event->a, (int) event->b, event->c);
			break;
		case SIM_OLD_STOPPED:
			sim_old_stopped(world, node, (int) event->a, event->b != 0, event->c);
			break;
		case SIM_PROMOTION:
			sim_promotion(world, node);
			break;
		case SIM_CARRY_ON:
			sim_carry_on(world, node);
			break;
		case SIM_THAW:
			if (n->frozen_at == (pgha_time) event->c)
				sim_thaw(world, node);
			break;
		case SIM_RECEIVER_START:
			sim_receiver_start(world, node);
			break;
		case SIM_CONNECT:
			if (event->c == n->connection)
				sim_connected(world, node);
			break;
		case SIM_STREAM:
			if (event->c == n->connection)
				sim_stream(world, node);
			break;
		case SIM_BEAT:
			if (event->c == n->connection)
				sim_beat(world, node);
			break;
		case SIM_BEAT_BACK:
			if (event->c == n->connection)
				sim_beat_back(world, node, (int) event->a);
			break;
		case SIM_RECEIVER_LOST:
			if (event->c == n->connection)
				sim_receiver_lost(world, node, event->a != 0, (int) event->b);
			break;
		case SIM_ACK:
			sim_acknowledge(world, node, (int) event->a, (int) event->b, event->c);
			break;
		case SIM_SENDER_GONE:
			if (n->sender[event->a].connection == event->c)
				n->sender[event->a].connection = 0;
			break;
		case SIM_REPLAY:
			sim_replay_more(world, node);
			break;
		case SIM_PHASE:
			sim_next_phase(world, node);
			break;
		case SIM_COMMIT:
			commit_done(world, node, (int) event->a);
			break;
		case SIM_WRITE:
			write_some(world);
			if (world->voting)
				sim_post(world, sim_between(world, 5 * MS, 60 * MS), SIM_WRITE, -1, 0, 0, 0);
			else
				sim_post(world, sim_between(world, 50 * MS, 150 * MS), SIM_WRITE, -1, 0, 0, 0);
			break;
		case SIM_LOOK:
			look(world);
			break;
		case SIM_START:
			sim_start(world, node);
			break;
		case SIM_FAULT:
			sim_tell(world, fault_due, (world, (int) event->a, (int) event->b));
			break;
	}
}

void
sim_run(SimWorld *world, pgha_time until, bool (*stop) (SimWorld *world, void *arg), void *arg)
{
	while (world->violation[0] == '\0' && world->queue.count > 0 &&
		   world->queue.event[0].at <= until)
	{
		SimEvent	event = sim_take(&world->queue);

		world->now = event.at;
		work_off(world, &event);
		if (stop != NULL && stop(world, arg))
			return;
	}
	if (world->violation[0] == '\0' && world->now < until)
		world->now = until;
}
