/*
 * monitor.c
 *		The real core in each server: what it sees, and what becomes of its actions.
 *
 * A promotion goes in stages, and a crash leaves behind what it would at each.
 */
#include "monitor.h"

#include "network.h"
#include "server.h"
#include "trace.h"
#include "wal.h"

#include <stdlib.h>

#define STOPPED_FOR			(15 * SECOND)	/* at least; an instance does not boot faster */

/* ---- a step and its actions ---- */

static PghaLocal
observe(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	PghaLocal	local;

	memset(&local, 0, sizeof(local));
	local.in_recovery = n->in_recovery;
	local.crash_recovery = n->in_recovery && n->promotion == 0 && (!n->standby_signal || n->no_wal);
	local.no_checkpoint = local.crash_recovery && n->no_wal;
	local.passive = n->passive;
	local.apply_delay = n->apply_delay;
	local.too_low = n->too_low;
	local.agent = n->agent;
	local.timeline = sim_timeline_of(world, n);
	local.newest_timeline = sim_newest_file(n);
	local.archived_timeline = n->archived;
	if (n->settings.voters > 0 && local.newest_timeline > 1)
		local.newest_fork = world->timeline[local.newest_timeline].fork;
	local.fork_lsn = n->in_recovery || local.timeline == 1 ? 0 :
		world->timeline[local.timeline].fork;
	local.wal_end = sim_end(world, node);
	local.replayed = sim_end_of(world, n, n->replayed);
	local.receiver = n->receiver;
	local.upstream = n->receiver == PGHA_RECEIVER_STREAMING ? n->upstream : PGHA_NOBODY;
	local.receiver_ended_clean = n->ended_clean;
	local.receiver_heard = sim_clock_at(world, node, n->heard);
	local.upstream_end = n->upstream_end;
	local.replaying = n->in_recovery && n->replayed < n->nwal;
	if (!n->in_recovery)
	{
		local.sync = sim_sync_state(world, node);
		for (int j = 0; j < world->members; j++)
			if (n->sender[j].connection != 0)
				local.flushed[j] = sim_end_of(world, n, n->sender[j].flushed);
	}
	return local;
}

static void
begin_promotion(SimWorld *world, int node, uint32_t parent, uint32_t timeline)
{
	SimNode    *n = &world->node[node];

	n->promotion = 1;
	n->promote_from = parent;
	n->promote_to = timeline;
	for (uint32_t t = parent + 1; t < timeline && t < SIM_MAX_TIMELINES; t++)
		if (!n->real[t])
			n->placeholder[t] = true;
	sim_post(world, n->slow_promotion > 0 ? n->slow_promotion :
			 sim_between(world, 5 * MS, sim_chance(world, 30) ? 3 * SECOND : 150 * MS),
			 SIM_PROMOTION, node, 0, 0, 0);
}

/* False if it could not be written: the core was told, and its actions are void. */
static bool
write_state(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	PghaEvent	event;

	/* Once PostgreSQL was told to promote the worker ends instead, and starts over. */
	if (n->core.state != PGHA_PROMOTING || !n->in_recovery || n->promotion != 0 ||
		(!n->disk_full && !sim_chance(world, world->hitches)))
	{
		n->disk = n->core.durable;
		return true;
	}
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_NOT_DURABLE;
	n->core.durable = n->disk;
	sim_step(world, node, &event);
	return false;
}

static void
crash_by_chance(SimWorld *world, int node, const PghaAction *after)
{
	if (!sim_chance(world, world->crash_in_step))
		return;
	sim_trace(world, node, "(crash after %s)", pgha_action_name(after->type));
	if (sim_chance(world, 500))
		sim_crash_restart(world, node);
	else
		sim_kill(world, node, false);
}

/* Stops in front of an action: a slow disk, or the whole host. */
static bool
stall_by_chance(SimWorld *world, int node, const PghaActions *actions, int at)
{
	SimNode    *n = &world->node[node];
	pgha_time	failure = n->settings.failure_timeout;

	if (!sim_chance(world, world->stalls))
		return false;
	n->pending = *actions;
	n->pending_at = at;
	sim_trace(world, node, "(stalls before %s)", pgha_action_name(actions->action[at].type));
	if (sim_chance(world, 500))
	{
		sim_freeze(world, node);
		sim_post_to_host(world, sim_between(world, failure / 4, 3 * failure), SIM_THAW, node, 0, 0,
						 (uint64_t) n->frozen_at);
	}
	else
		sim_hang(world, node, sim_between(world, failure / 4, 3 * failure));
	sim_post(world, 0, SIM_CARRY_ON, node, 0, 0, 0);
	return true;
}

/* Carries out the actions of a step.  A crash among them ends it. */
static void
carry_out(SimWorld *world, int node, const PghaActions *actions, int begin)
{
	SimNode    *n = &world->node[node];
	uint64_t	run = n->run;

	n->pending.count = 0;
	for (int i = begin; i < actions->count; i++)
	{
		const PghaAction *action = &actions->action[i];

		switch (action->type)
		{
			case PGHA_ACT_POLL:
				sim_ask(world, node, SIM_ASK_REPORT, action->member, 0,
						n->settings.failure_timeout / 2);
				break;
			case PGHA_ACT_FETCH_HISTORY:
				sim_ask(world, node, SIM_ASK_HISTORY, action->member, action->timeline,
						n->settings.failure_timeout);
				break;
			case PGHA_ACT_COMPARE_WAL:
				sim_ask(world, node, SIM_ASK_WAL, action->member, action->timeline,
						n->settings.failure_timeout);
				n->request[SIM_ASK_WAL][action->member].records = sim_records_before(world, n, action->end);
				break;
			case PGHA_ACT_WRITE_STATE:
				if (!write_state(world, node))
					return;
				break;
			case PGHA_ACT_OPEN_GATE:
				n->gate = true;
				n->gate_suspended = false;
				sim_tell(world, gate_opened, (world, node));
				break;
			case PGHA_ACT_CLOSE_GATE:
			case PGHA_ACT_SUSPEND_GATE:
				n->gate = false;
				n->gate_suspended = action->type == PGHA_ACT_SUSPEND_GATE;
				break;
			case PGHA_ACT_LEASE:
				n->gate_deadline = action->until;
				break;
			case PGHA_ACT_STOP_RECEIVER:
				n->receiver_stopped = true;
				if (n->receiver != PGHA_RECEIVER_NONE)
					sim_receiver_end(world, node, false, SIM_NEVER);
				n->receiver_stop = ++world->numbers;
				sim_post(world, sim_between(world, MS, 5 * MS), SIM_RECEIVER_STOPPED, node, 0, 0, n->receiver_stop);
				break;
			case PGHA_ACT_RELEASE_RECEIVER:
				n->receiver_stopped = false;
				sim_post(world, MS, SIM_RECEIVER_START, node, 0, 0, 0);
				break;
			case PGHA_ACT_FOLLOW:
				sim_follow(world, node, action->member, action->timeline);
				break;
			case PGHA_ACT_UNFOLLOW:
				sim_unfollow(world, node);
				break;
			case PGHA_ACT_STOP_OLD:
				n->stop_order = ++world->numbers;
				sim_post(world, sim_between(world, MS, 200 * MS), SIM_STOP_BEGIN, node,
						 action->member, 0, n->stop_order);
				break;
			case PGHA_ACT_FORGET_STOP:
				n->stop_order = 0;
				break;
			case PGHA_ACT_PROMOTE:
				sim_tell(world, promote, (world, node));
				begin_promotion(world, node, action->parent, action->timeline);
				break;
			case PGHA_ACT_FENCE:
				world->fencings++;
				n->standby_signal = true;
				sim_crash_restart(world, node);
				return;
			case PGHA_ACT_BECOME_STANDBY:
				n->standby_signal = true;
				break;
			case PGHA_ACT_HAND_OVER:
				n->standby_signal = true;
				sim_hand_over(world, node);
				return;
			case PGHA_ACT_EVENT:
				if (action->why.reason == PGHA_WHY_DIVERGED)
					world->divergences++;
				break;
		}
		if (action->type != PGHA_ACT_POLL && action->type != PGHA_ACT_EVENT && action->type != PGHA_ACT_LEASE)
			crash_by_chance(world, node, action);
		if (n->run != run)
			return;
		if (i + 1 < actions->count && action->type != PGHA_ACT_POLL && stall_by_chance(world, node, actions, i + 1))
			return;
	}
	sim_publish(world, node);
}

void
sim_carry_on(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	PghaActions actions = n->pending;

	if (actions.count > 0)
		carry_out(world, node, &actions, n->pending_at);
}

void
sim_step(SimWorld *world, int node, const PghaEvent *event)
{
	SimNode    *n = &world->node[node];
	PghaLocal	local;
	PghaActions actions;

	if (!n->monitor || world->violation[0] != '\0')
		return;
	if (n->pending.count > 0)
	{
		/* What an administrator asks of a monitor that is stuck comes too late. */
		if (n->hung > world->now || n->frozen)
			return;
		sim_carry_on(world, node);
		if (!n->monitor || n->pending.count > 0)
			return;
	}
	local = observe(world, node);
	n->state_before = n->core.state;
	sim_tell(world, before_step, (world, node, event));
	n->core.rules_off = world->rules_off;
	pgha_step(&n->core, event, &local, sim_clock(world, node), &actions);
	if (world->trace != NULL)
		sim_trace_step(world, node, event, &actions);
	sim_tell(world, after_step, (world, node));
	n->wake = ++world->numbers;
	sim_post(world, sim_time_until(world, node, n->core.wake_at),
			 SIM_WAKE, node, (int64_t) n->wake, 0, 0);
	carry_out(world, node, &actions, 0);
}

void
sim_outcome(SimWorld *world, int node, int member, SimQuestion question, uint64_t id, bool limit)
{
	SimRequest *request = &world->node[node].request[question][member];
	PghaEvent	event;

	if (request->id != id || request->done)
		return;
	request->done = true;
	if (limit)
	{
		request->contact = PGHA_CONTACT_SILENT;
		request->have_history = false;
	}
	if (question == SIM_ASK_BOOT)
	{
		sim_boot_decided(world, node);
		return;
	}
	memset(&event, 0, sizeof(event));
	event.member = member;
	if (question == SIM_ASK_HISTORY)
	{
		event.type = PGHA_EV_HISTORY;
		event.history = request->have_history ? &request->history : NULL;
	}
	else if (question == SIM_ASK_WAL)
	{
		event.type = PGHA_EV_COMPARED;
		if (request->contact == PGHA_CONTACT_ANSWERED)
			event.compared = request->compared;
	}
	else
	{
		event.type = PGHA_EV_REPLY;
		event.contact = request->contact;
		event.same_address = request->same_address;
		event.report = request->contact == PGHA_CONTACT_ANSWERED ? &request->report : NULL;

		/* From elsewhere a refusal is no answer of the member's. */
		sim_tell(world, outcome, (world, node, member, request->asked,
								  request->contact == PGHA_CONTACT_REFUSED && !request->same_address ?
								  PGHA_CONTACT_SILENT : request->contact, event.report));
	}
	sim_step(world, node, &event);
}

/* ---- the old primary's instance ---- */

/* How long it takes to stop an instance that runs, is being stopped already, or is off. */
static pgha_time
time_to_stop(SimWorld *world, SimNode *target)
{
	if (target->off_at > world->now)
		return target->off_at - world->now;
	if (target->phase == SIM_DOWN && target->host_down)
		return sim_between(world, 100 * MS, SECOND);
	if (target->stop_time > 0)
		return target->stop_time;
	return sim_between(world, 200 * MS, sim_chance(world, 100) ? 40 * SECOND : 10 * SECOND);
}

/* The agent of `node` has an order: from here on it cannot be taken back. */
void
sim_stop_begin(SimWorld *world, int node, int member, uint64_t order)
{
	SimNode    *target = &world->node[member];

	if (world->node[node].stop_order != order)
		return;
	if (target->stop_fails || sim_chance(world, world->stops_fail))
		sim_post(world, sim_between(world, 10 * MS, 3 * SECOND), SIM_OLD_STOPPED, node, member, false, order);
	else
	{
		pgha_time	duration = time_to_stop(world, target);

		target->off_at = world->now + duration;
		world->stops_begun++;
		sim_post_to_host(world, duration, SIM_STOP_EFFECT, -1, member, node, order);
	}
}

/* EC2 does what it was told, whatever became of the one who told it. */
void
sim_stop_effect(SimWorld *world, int member, int by, uint64_t order)
{
	SimNode    *target = &world->node[member];

	world->stops_begun--;
	world->stops++;
	sim_trace(world, member, "has its instance stopped by %s", target->settings.name[by]);
	sim_kill(world, member, true);
	target->off_until = world->now + STOPPED_FOR;
	sim_tell(world, instance_stopped, (world, member, STOPPED_FOR));
	if (!target->stop_answer_lost && !sim_chance(world, world->stops_unheard))
		sim_post(world, sim_between(world, MS, SECOND), SIM_OLD_STOPPED, by, member, true, order);
}

void
sim_old_stopped(SimWorld *world, int node, int member, bool done, uint64_t order)
{
	PghaEvent	event;

	if (world->node[node].stop_order != order)
		return;
	world->node[node].stop_order = 0;
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_OLD_STOPPED;
	event.member = member;
	event.ok = done;
	sim_step(world, node, &event);
}

/* ---- promotion ---- */

/* What PostgreSQL does with a promotion, in stages between which it may crash. */
void
sim_promotion(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	SimTimeline *timeline;
	uint32_t	chosen = sim_find_newest(n, n->target) + 1;
	PghaEvent	event;

	if (sim_chance(world, world->crash_in_promotion) || n->crash_at_stage == n->promotion)
	{
		n->crash_at_stage = 0;
		sim_trace(world, node, "(crash in promotion, stage %d)", n->promotion);
		if (sim_chance(world, 500))
			sim_crash_restart(world, node);
		else
			sim_kill(world, node, sim_chance(world, 200));
		return;
	}
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_PROMOTED;
	switch (n->promotion++)
	{
		case 1:
			if (n->disk_full || sim_chance(world, world->hitches))
			{
				/* A placeholder could not be written: PostgreSQL is not told. */
				n->promotion = 0;
				sim_remove_placeholders(n);
				sim_step(world, node, &event);
				return;
			}

			/*
			 * The signal is heeded when all that was received is replayed:
			 * never, while the upstream goes on sending.
			 */
			if ((n->receiver == PGHA_RECEIVER_STREAMING &&
				 world->now - n->heard < 200 * MS) || n->replayed < n->nwal)
			{
				n->promotion = 1;
				sim_post(world, 100 * MS, SIM_PROMOTION, node, 0, 0, 0);
				return;
			}
			if (n->receiver != PGHA_RECEIVER_NONE)
				sim_receiver_end(world, node, false, SIM_NEVER);
			n->standby_signal = false;
			sim_post(world, sim_between(world, MS, 5 * MS), SIM_PROMOTION, node, 0, 0, 0);
			return;
		case 2:
			if (chosen >= SIM_MAX_TIMELINES)
				abort();
			sim_tell(world, new_timeline, (world, node, chosen));
			timeline = &world->timeline[chosen];
			timeline->used = true;
			timeline->creator = node;
			timeline->parent = n->target;
			timeline->fork = sim_end_of(world, n, n->nwal);
			n->real[chosen] = true;
			n->placeholder[chosen] = false;
			n->target = chosen;
			sim_trace(world, node, "creates timeline %u, forked from %u at %s", chosen,
					  timeline->parent, sim_lsn(timeline->fork));
			sim_post(world, sim_between(world, MS, 30 * MS), SIM_PROMOTION, node, 0, 0, 0);
			return;
		case 3:
			sim_append(world, node, n->target, -1);
			n->in_recovery = false;
			n->first_waiting = n->nwal;
			world->promotions++;
			sim_post(world, sim_between(world, MS, 20 * MS), SIM_PROMOTION, node, 0, 0, 0);
			sim_changed(world, node);
			return;
		default:
			n->promotion = 0;
			event.ok = sim_timeline_of(world, n) == n->promote_to && sim_history_ascends(world, n->promote_to);
			if (!event.ok)
				world->failed_promotions++;
			sim_step(world, node, &event);
			return;
	}
}

/* pg_ctl promote: no stop of the receiver, no reserved timeline. */
void
sim_promote_without_pgha(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase != SIM_UP || !n->in_recovery)
		return;
	if (n->receiver != PGHA_RECEIVER_NONE)
		sim_receiver_end(world, node, false, SIM_NEVER);
	n->promotion = 1;
	n->promote_to = sim_find_newest(n, n->target) + 1;
	n->promote_from = n->target;
	sim_post(world, 5 * MS, SIM_PROMOTION, node, 0, 0, 0);
}

/* ---- the administrator ---- */

void
sim_pause(SimWorld *world, int node, bool pause)
{
	PghaEvent	event;

	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_PAUSE;
	event.flag = pause;
	if (world->node[node].phase == SIM_UP && !world->node[node].frozen)
		sim_step(world, node, &event);
}

PghaWhy
sim_promote(SimWorld *world, int node, bool force)
{
	SimNode    *n = &world->node[node];
	PghaWhy		why = {PGHA_WHY_NONE, PGHA_NOBODY, PGHA_MAY_PROMOTE, PGHA_ACTIVE};
	PghaEvent	event;

	if (n->phase != SIM_UP || n->frozen)
		return why;
	why = pgha_promote_refusal(&n->core, force, sim_clock(world, node));
	sim_trace(world, node, "pgha_promote(%s)%s", force ? "true" : "false",
			  why.reason == PGHA_WHY_NONE ? "" : ": refused");
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_PROMOTE;
	event.flag = force;
	if (why.reason == PGHA_WHY_NONE)
		sim_step(world, node, &event);
	return why;
}

void
sim_switchover(SimWorld *world, int node, int target)
{
	PghaEvent	event;

	if (!sim_leads(world, node) || world->node[node].frozen)
		return;
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_SWITCHOVER;
	event.member = target;
	sim_step(world, node, &event);
}

/* A reload: the settings of the node are taken over. */
void
sim_configure(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (!n->monitor)
		return;
	memset(n->request, 0, sizeof(n->request));
	pgha_node_configure(&n->core, &n->settings);
	sim_changed(world, node);
}
