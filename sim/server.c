/*
 * server.c
 *		PostgreSQL as far as the core can tell: phases of start and stop.
 *
 * What the core wrote with WRITE_STATE is what it finds after a restart.
 */
#include "server.h"

#include "network.h"
#include "trace.h"
#include "wal.h"

#include <stdlib.h>

/* ---- start ---- */

static void
start_monitor(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->monitor = true;
	n->settings.instance = ++world->numbers;
	if (world->ttls)
		n->settings.lease_ttl = n->settings.failure_timeout * sim_between(world, 1, 3);
	memset(n->request, 0, sizeof(n->request));
	pgha_node_init(&n->core, &n->settings, &n->disk, sim_clock(world, node));

	/* What it begins with depends on the rules, too. */
	n->core.rules_off = world->rules_off;
	n->core.voting.promise_until = 0;
	pgha_begin_voting(&n->core, sim_clock(world, node));
	sim_publish(world, node);
	sim_tell(world, monitor_start, (world, node));
	sim_changed(world, node);
}

static void
begin_recovery(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	pgha_time	duration = sim_between(world, 50 * MS, sim_chance(world, 100) ? 8 * SECOND : 600 * MS);

	if (n->slow_recovery > 0)
		duration = n->slow_recovery;

	n->phase = SIM_RECOVERY;
	n->behind = false;
	if (n->witness)
	{
		start_monitor(world, node);
		sim_post(world, duration, SIM_PHASE, node, 0, 0, 0);
		return;
	}
	n->in_recovery = true;
	sim_remove_placeholders(n);
	n->replay_to = n->nwal;
	n->replayed = n->nwal - (int) sim_between(world, 0, 60);
	if (n->replayed < 1 || world->exact)
		n->replayed = n->nwal;
	n->target = sim_find_newest(n, sim_timeline_of(world, n));
	if (n->no_wal)
	{
		/* What pg_control says: the data files may be so far. */
		n->replayed = n->nwal;
		start_monitor(world, node);
		sim_post(world, duration, SIM_RECEIVER_START, node, 0, 0, 0);
		return;
	}
	start_monitor(world, node);
	sim_post(world, duration, SIM_PHASE, node, 0, 0, 0);
}

/*
 * The server was down in the middle of a promotion, which is taken back.  A timeline
 * that was begun, and has no WAL yet, goes; of one that has, it is remembered where
 * it began.
 */
static void
take_back_promotion(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	uint32_t	parent = n->disk.replaced.timeline;
	uint32_t	last = n->nwal == 0 ? 1 : world->record[n->wal[n->nwal - 1]].timeline;
	int			followed = n->nwal;
	uint64_t	elected = n->disk.won;

	/* With votes the monitor withdraws from a term in which no WAL was written. */
	if (n->disk.rule.term != 0 && elected > n->disk.claim.term && elected < SIM_MAX_TIMELINES && n->real[elected] && last < elected)
		n->real[elected] = world->timeline[elected].used = false;
	if (!sim_rule(world, PGHA_RULE_TAKE_BACK) || !pgha_take_back_promotion(&n->disk))
		return;
	n->standby_signal = true;
	if (last == parent)
	{
		for (uint32_t t = parent + 1; t < SIM_MAX_TIMELINES; t++)
			if (world->timeline[t].creator == node && world->timeline[t].parent == parent && n->real[t])
				n->real[t] = world->timeline[t].used = false;
	}
	while (followed > 0 && world->record[n->wal[followed - 1]].timeline != parent)
		followed--;
	n->disk.own_from = followed < n->nwal ? sim_end_of(world, n, followed) : 0;
	if (n->disk.own_from == 0)
		pgha_settle_claim(&n->disk);
	sim_trace(world, node, "takes its promotion back");
}

void
sim_boot_decided(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	PghaContact contact[PGHA_MAX_MEMBERS];
	const PghaReport *report[PGHA_MAX_MEMBERS];
	PghaBootDecision decision;
	int			who;
	bool		all_done = true;

	if (n->phase != SIM_BOOT)
		return;					/* decided without this answer */
	for (int j = 0; j < world->count; j++)
	{
		SimRequest *request = &n->request[SIM_ASK_BOOT][j];

		contact[j] = j == node ? PGHA_CONTACT_REFUSED : request->done ? request->contact : PGHA_CONTACT_NEVER;
		report[j] = contact[j] == PGHA_CONTACT_ANSWERED ? &request->report : NULL;
		all_done &= j == node || request->done;
	}
	if (!all_done && !pgha_boot_is_decided(&n->settings, &n->disk, contact, report))
		return;
	decision = pgha_boot_decision(&n->settings, &n->disk, contact, report, &who);
	if (!sim_rule(world, PGHA_RULE_BOOT))
		decision = PGHA_BOOT_PRIMARY;
	sim_trace(world, node, "boot check: %s", decision == PGHA_BOOT_PRIMARY ? "primary" :
			  decision == PGHA_BOOT_STANDBY ? "standby" : "undecided");
	if (decision != PGHA_BOOT_PRIMARY)
		n->standby_signal = true;
	if (decision == PGHA_BOOT_STANDBY)
	{
		n->disk.role = PGHA_ROLE_STANDBY;
		n->disk.fenced = true;
	}
	begin_recovery(world, node);
}

/* As after a rewind whose primary has recycled what both had: only of a standby that is down. */
void
sim_lose_wal(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase != SIM_DOWN || !n->standby_signal || n->no_wal)
		return;

	/* Whoever has lost its votes waits for all others: with one that waits for a leader it is an administrator's case. */
	for (int i = 0; i < world->count; i++)
		if (world->node[i].disk.forgot)
			return;
	sim_trace(world, node, "loses the WAL that it begins with");
	n->no_wal = true;
}

void
sim_start(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase != SIM_DOWN || world->now < n->off_until)
		return;
	sim_trace(world, node, "starts%s", n->standby_signal ? " (standby.signal)" : "");
	n->host_down = false;
	take_back_promotion(world, node);
	if (n->standby_signal || n->witness)
	{
		begin_recovery(world, node);
		return;
	}
	n->phase = SIM_BOOT;
	for (int j = 0; j < world->count; j++)
		if (j != node)
			sim_ask(world, node, SIM_ASK_BOOT, j, 0, n->settings.failure_timeout / 3);
	if (world->count == 1)
		begin_recovery(world, node);
}

void
sim_next_phase(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	switch (n->phase)
	{
		case SIM_STOPPING:
			n->phase = SIM_DOWN;
			break;
		case SIM_RESTART:
			take_back_promotion(world, node);

			/* The boot check of a crash restart reads nothing but pgha.state. */
			if (n->disk.fenced || n->disk.diverged || pgha_boots_undecided(&n->disk))
				n->standby_signal = !n->witness;
			begin_recovery(world, node);
			break;
		case SIM_RECOVERY:
			n->phase = SIM_UP;
			if (n->witness)
			{
				sim_trace(world, node, "is up as a witness");
				break;
			}
			sim_trace(world, node, "is up%s", n->standby_signal ? " as a standby" : "");
			if (n->standby_signal)
			{
				sim_post(world, sim_between(world, 2 * MS, 300 * MS), SIM_REPLAY, node, 0, 0, 0);
				break;
			}
			n->replayed = n->nwal;
			n->in_recovery = false;
			sim_append(world, node, sim_timeline_of(world, n), -1);
			n->first_waiting = n->nwal;
			sim_changed(world, node);
			break;
		default:
			break;
	}
}

void
sim_replay_more(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->behind)
	{
		/* What held it up is over, or is not yet. */
		if (n->replay_held > world->now)
		{
			sim_post(world, n->replay_held - world->now, SIM_REPLAY, node, 0, 0, 0);
			return;
		}
		n->behind = false;
		n->replayed = n->nwal;
		if (n->receiver == PGHA_RECEIVER_NONE)
			sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
		sim_changed(world, node);
		return;
	}
	n->replayed += (int) sim_between(world, 5, 40);
	if (n->replayed >= n->replay_to)
	{
		n->replayed = n->replay_to;
		sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
	}
	else
		sim_post(world, sim_between(world, 2 * MS, 300 * MS), SIM_REPLAY, node, 0, 0, 0);
	sim_changed(world, node);
}

/* ---- stop ---- */

/* All processes of a server are gone. */
static void
end_processes(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	SimEvents	held = world->waiting[node];

	for (int j = 0; j < world->count; j++)
	{
		SimNode    *peer = &world->node[j];

		if (n->sender[j].connection != 0 && peer->connection == n->sender[j].connection &&
			sim_linked(world, node, j) && !n->host_down)
		{
			peer->end_coming = true;
			sim_post(world, sim_latency(world), SIM_RECEIVER_LOST, j, false, 0, peer->connection);
		}
		if (n->connection != 0 && peer->sender[node].connection == n->connection &&
			sim_linked(world, node, j) && !n->host_down)
			sim_post(world, sim_latency(world), SIM_SENDER_GONE, j, node, 0, n->connection);
	}
	memset(n->sender, 0, sizeof(n->sender));
	memset(n->request, 0, sizeof(n->request));
	n->run = ++world->numbers;
	n->monitor = false;
	n->gate = false;
	n->gate_suspended = false;
	n->gate_deadline = 0;
	n->hung = 0;
	n->unable = 0;
	n->pending.count = 0;
	n->promotion = 0;
	n->stop_order = 0;
	n->receiver = PGHA_RECEIVER_NONE;
	n->receiver_stopped = false;
	n->ended_clean = false;
	n->connection = 0;
	n->order = PGHA_NOBODY;
	n->upstream = PGHA_NOBODY;
	n->upstream_end = 0;
	n->stream_pending = false;
	n->heard = 0;
	n->frozen = false;
	sim_tell(world, server_ended, (world, node));

	/* What waited for a frozen server finds it gone. */
	memset(&world->waiting[node], 0, sizeof(SimEvents));
	for (int i = 0; i < held.count; i++)
	{
		held.event[i].at = world->now;
		held.event[i].number = ++world->numbers;
		sim_put(&world->queue, &held.event[i]);
	}
	free(held.event);
}

void
sim_kill(SimWorld *world, int node, bool with_host)
{
	SimNode    *n = &world->node[node];

	if (n->phase == SIM_DOWN)
	{
		n->host_down |= with_host;
		return;
	}
	sim_trace(world, node, with_host ? "loses power" : "is killed");
	n->host_down = with_host;
	end_processes(world, node);
	n->phase = SIM_DOWN;
}

/* Fast shutdown: what was written reaches the standbys, then the stream ends cleanly. */
void
sim_stop(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	uint64_t	connection[SIM_MAX_NODES] = {0};

	if (n->phase != SIM_UP || n->frozen)
		return;
	sim_trace(world, node, "is shut down");
	if (sim_leads(world, node))
	{
		sim_append(world, node, sim_timeline_of(world, n), -1);
		for (int j = 0; j < world->count; j++)
			if (sim_linked(world, node, j))
			{
				connection[j] = n->sender[j].connection;
				n->sender[j].connection = 0;
			}
	}
	for (int j = 0; j < world->count; j++)
		if (connection[j] != 0 && world->node[j].connection == connection[j])
		{
			world->node[j].end_coming = true;
			sim_post(world, sim_latency(world), SIM_RECEIVER_LOST, j, true, n->nwal, connection[j]);
		}
	end_processes(world, node);
	n->phase = SIM_STOPPING;
	sim_post(world, sim_between(world, 50 * MS, 600 * MS), SIM_PHASE, node, 0, 0, 0);
}

/* A planned hand-over: shut down, and started again at once by the agent, if there is one. */
void
sim_hand_over(SimWorld *world, int node)
{
	sim_stop(world, node);
	if (world->node[node].agent)
		sim_post_to_host(world, sim_between(world, 700 * MS, 900 * MS), SIM_START, node, 0, 0, 0);
}

void
sim_crash_restart(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	sim_trace(world, node, "restarts after a crash");
	end_processes(world, node);
	n->phase = SIM_RESTART;
	sim_post(world, sim_between(world, 50 * MS, 300 * MS), SIM_PHASE, node, 0, 0, 0);
}

void
sim_backend_crash(SimWorld *world, int node)
{
	if (world->node[node].phase == SIM_UP && !world->node[node].frozen)
		sim_crash_restart(world, node);
}

/* ---- freeze ---- */

void
sim_hang(SimWorld *world, int node, pgha_time duration)
{
	SimNode    *n = &world->node[node];

	n->hung = world->now + duration;
	sim_trace(world, node, "has its monitor hung for %.3f s", (double) duration / SECOND);
}

void
sim_freeze(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase == SIM_DOWN || n->frozen)
		return;
	sim_trace(world, node, "is frozen");
	n->frozen = true;
	n->frozen_at = world->now;
}

void
sim_thaw(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	SimEvents	held = world->waiting[node];

	if (!n->frozen)
		return;
	sim_trace(world, node, "is thawed");
	n->frozen = false;
	sim_tell(world, thaw, (world, node));
	memset(&world->waiting[node], 0, sizeof(SimEvents));
	while (held.count > 0)
	{
		SimEvent	event = sim_take(&held);

		event.at = world->now + sim_between(world, 0, 2 * MS);
		event.number = ++world->numbers;
		sim_put(&world->queue, &event);
	}
	free(held.event);
}
