/*
 * world.c
 *		Simulated time, network and PostgreSQL servers under the real core.
 *
 * One queue of events is worked off in the order of their time; all chance
 * comes from one generator, so that a seed determines everything.  A server is
 * modelled as far as the core can tell: phases of start and stop, WAL as a
 * list of records, timelines chosen the way PostgreSQL chooses them, a WAL
 * receiver that checks nothing but timeline numbers, what a crash leaves
 * behind at each point of a promotion.  What PostgreSQL flushed is never lost;
 * what the core wrote with WRITE_STATE is what it finds after a restart.
 *
 * Nothing here judges: check.c is told and does.
 */
#include "world.h"

#include <stdlib.h>

#define FIRST_LSN			UINT64_C(0x5000000)
#define RECEIVER_TIMEOUT	(60 * SECOND)	/* wal_receiver_timeout, wal_sender_timeout */
#define LOOK_INTERVAL		(100 * MS)
#define STOPPED_FOR			(15 * SECOND)	/* at least; an instance does not boot faster */

static void changed(SimWorld *world, int node);
static void receiver_end(SimWorld *world, int node, bool clean, pgha_time retry);

/* ---- chance and queue ---- */

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

static bool
earlier(const SimEvent *a, const SimEvent *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void
put(SimEvents *events, const SimEvent *event)
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

static SimEvent
take(SimEvents *events)
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

	put(&world->queue, &event);
}

/* Posts an event that arrives at the host whatever became of the server. */
static void
post_to_host(SimWorld *world, pgha_time delay, SimEventType type, int node,
			 int64_t a, int64_t b, uint64_t c)
{
	SimEvent	event = {world->now + delay, ++world->numbers, type, node, 0, a, b, c};

	put(&world->queue, &event);
}

static pgha_time
latency(SimWorld *world)
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

/* ---- WAL and timelines ---- */

static pgha_lsn
end_of(const SimWorld *world, const SimNode *n, int records)
{
	return records == 0 ? FIRST_LSN : world->record[n->wal[records - 1]].end;
}

/* Is the WAL receiver, or its end, what tells how far this server is? */
static bool
knows_own_end(const SimNode *n)
{
	return !n->in_recovery || n->replayed >= n->nwal;
}

pgha_lsn
sim_end(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return end_of(world, n, knows_own_end(n) ? n->nwal : n->replayed);
}

static uint32_t
timeline_of(const SimWorld *world, const SimNode *n)
{
	return n->replayed == 0 ? 1 : world->record[n->wal[n->replayed - 1]].timeline;
}

/* Is the WAL of `part` a beginning of that of `whole`? */
bool
sim_contains(const SimWorld *world, int whole, int part)
{
	const SimNode *w = &world->node[whole];
	const SimNode *p = &world->node[part];

	return p->nwal == 0 || (p->nwal <= w->nwal && w->wal[p->nwal - 1] == p->wal[p->nwal - 1]);
}

bool
sim_leads(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return n->phase == SIM_UP && !n->in_recovery;
}

static bool
room_left(const SimWorld *world)
{
	return world->nrecord < SIM_MAX_RECORDS - 400 && world->ncommit < SIM_MAX_COMMITS - 4;
}

static void
append(SimWorld *world, int node, uint32_t timeline, int commit)
{
	SimNode    *n = &world->node[node];
	SimRecord  *record;
	int			size = (int) sim_between(world, 0x100, 0x2000);

	if (world->nrecord >= SIM_MAX_RECORDS)
		return;
	if (sim_chance(world, 20))
		size = 0x100000;
	record = &world->record[world->nrecord];
	*record = (SimRecord) {timeline, end_of(world, n, n->nwal) + (pgha_lsn) size, commit};
	n->wal[n->nwal++] = world->nrecord++;
	n->replayed = n->nwal;

	for (int j = 0; j < world->count; j++)
	{
		SimNode    *standby = &world->node[j];

		if (n->sender[j].connection != 0 && standby->connection == n->sender[j].connection &&
			!standby->stream_pending)
		{
			standby->stream_pending = true;
			sim_post(world, latency(world), SIM_STREAM, j, 0, 0, standby->connection);
		}
	}
}

static uint32_t
newest_file(const SimNode *n)
{
	uint32_t	newest = SIM_MAX_TIMELINES - 1;

	while (newest > 1 && !n->real[newest] && !n->placeholder[newest])
		newest--;
	return newest > 1 ? newest : 0;
}

/* findNewestTimeLine(): probes upwards and stops at the first gap. */
static uint32_t
find_newest(const SimNode *n, uint32_t from)
{
	while (from + 1 < SIM_MAX_TIMELINES && (n->real[from + 1] || n->placeholder[from + 1]))
		from++;
	return from;
}

/* shmem_startup_hook: placeholders that no real history follows go. */
static void
remove_placeholders(SimNode *n)
{
	for (int t = SIM_MAX_TIMELINES - 1; t > 1 && !n->real[t]; t--)
		n->placeholder[t] = false;
}

static bool
history_of(const SimWorld *world, const SimNode *n, uint32_t timeline, PghaHistory *history)
{
	uint32_t	chain[PGHA_MAX_HISTORY];
	pgha_lsn	fork[PGHA_MAX_HISTORY];
	int			count = 0;

	memset(history, 0, sizeof(*history));
	history->timeline = timeline;
	if (timeline != 1 && (timeline >= SIM_MAX_TIMELINES || !n->real[timeline]))
		return false;
	while (timeline != 1 && count < PGHA_MAX_HISTORY)
	{
		fork[count] = world->timeline[timeline].fork;
		timeline = world->timeline[timeline].parent;
		chain[count++] = timeline;
	}
	history->count = count;
	for (int i = 0; i < count; i++)
		history->entry[i] = (PghaHistoryEntry) {chain[count - 1 - i], fork[count - 1 - i]};
	return true;
}

static bool
lists_timeline(const PghaHistory *history, uint32_t timeline)
{
	for (int i = 0; i < history->count; i++)
		if (history->entry[i].timeline == timeline)
			return true;
	return history->timeline == timeline;
}

/* Is the timeline of `node` one of those that led to the timeline of `leader`? */
bool
sim_knows_timeline(const SimWorld *world, int leader, int node)
{
	const SimNode *l = &world->node[leader];
	PghaHistory history;

	return history_of(world, l, timeline_of(world, l), &history) &&
		lists_timeline(&history, timeline_of(world, &world->node[node]));
}

/* ---- synchronous replication ---- */

static bool
sync_candidate(const SimNode *n, int member)
{
	return n->sender[member].connection != 0 && n->sender[member].caught_up;
}

PghaSync
sim_sync_state(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	PghaSync	sync = {0};
	int			chosen = 0;

	if (n->sync_names.method == PGHA_SYNC_NONE)
		return sync;
	sync.method = n->sync_names.method;
	sync.num_sync = n->sync_names.k;
	for (int i = 0; i < n->sync_names.count; i++)
	{
		int			member = n->sync_names.member[i];

		if (member == node)
			continue;			/* a primary is no standby of its own */
		sync.num_listed++;
		sync.listed |= UINT32_C(1) << member;
		if (sync.method == PGHA_SYNC_FIRST && chosen < sync.num_sync && sync_candidate(n, member))
		{
			sync.current |= UINT32_C(1) << member;
			chosen++;
		}
	}
	return sync;
}

/* How many records of this primary have the acks that its settings ask for? */
static int
acknowledged_records(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	int			flushed[SIM_MAX_NODES];
	int			count = 0;

	if (n->sync_names.method == PGHA_SYNC_NONE)
		return n->nwal;
	for (int i = 0; i < n->sync_names.count; i++)
	{
		int			member = n->sync_names.member[i];

		if (member == node || !sync_candidate(n, member))
			continue;
		if (n->sync_names.method == PGHA_SYNC_FIRST && count == n->sync_names.k)
			break;
		flushed[count++] = n->sender[member].flushed;
	}
	if (count < n->sync_names.k)
		return 0;
	for (int i = 1; i < count; i++)
		for (int j = i; j > 0 && flushed[j] > flushed[j - 1]; j--)
		{
			int			swap = flushed[j];

			flushed[j] = flushed[j - 1];
			flushed[j - 1] = swap;
		}
	return flushed[n->sync_names.k - 1];
}

static void
release_commits(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			enough = acknowledged_records(world, node);

	for (; n->first_waiting < enough && n->first_waiting < n->nwal; n->first_waiting++)
	{
		int			commit = world->record[n->wal[n->first_waiting]].commit;

		if (commit >= 0)
			sim_post(world, sim_between(world, MS / 5, 2 * MS), SIM_COMMIT, node, commit, 0, 0);
	}
}

/* Clients try to write on every server that would let them. */
static void
write_some(SimWorld *world)
{
	for (int i = 0; i < world->count && room_left(world); i++)
	{
		SimNode    *n = &world->node[i];
		int			commit;

		if (!sim_leads(world, i) || n->frozen)
			continue;
		if (!n->gate || !world->writes)
		{
			if (sim_chance(world, 30))
				append(world, i, timeline_of(world, n), -1);	/* vacuum, a checkpoint */
			continue;
		}
		commit = world->ncommit++;
		world->commit[commit] = (SimCommit) {.writer = i, .term = n->core.durable.claim.term,
			.position = n->nwal};
		append(world, i, timeline_of(world, n), commit);
		release_commits(world, i);
	}
}

/* ---- the monitor ---- */

static PghaLocal
observe(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	PghaLocal	local;

	memset(&local, 0, sizeof(local));
	local.in_recovery = n->in_recovery;
	local.crash_recovery = n->in_recovery && !n->standby_signal && n->promotion == 0;
	local.passive = n->passive;
	local.apply_delay = n->apply_delay;
	local.agent = n->agent;
	local.timeline = timeline_of(world, n);
	local.newest_timeline = newest_file(n);
	local.fork_lsn = n->in_recovery || local.timeline == 1 ? 0 :
		world->timeline[local.timeline].fork;
	local.wal_end = sim_end(world, node);
	local.replayed = end_of(world, n, n->replayed);
	local.receiver = n->receiver;
	local.upstream = n->receiver == PGHA_RECEIVER_STREAMING ? n->upstream : PGHA_NOBODY;
	local.receiver_ended_clean = n->ended_clean;
	local.receiver_heard = n->heard;
	local.upstream_end = n->upstream_end;
	if (!n->in_recovery)
		local.sync = sim_sync_state(world, node);
	return local;
}

static void
make_report(const SimWorld *world, int node, PghaReport *report)
{
	const SimNode *n = &world->node[node];
	const PghaNode *core = &n->core;

	memset(report, 0, sizeof(*report));
	strcpy(report->node, core->settings.name[node]);
	report->system_identifier = core->settings.system_identifier;
	report->instance = core->settings.instance;
	report->claim = core->durable.claim;
	report->role = core->durable.role;
	report->in_recovery = n->in_recovery;
	report->posted = core->posted;
	report->fenced = core->durable.fenced;
	report->diverged = core->durable.diverged;
	report->passive = core->passive;
	report->bar = core->bar;
	report->priority = core->settings.priority;
	report->timeline = timeline_of(world, n);
	report->wal_end = sim_end(world, node);
	report->receiver = n->receiver;
	if (n->receiver == PGHA_RECEIVER_STREAMING)
		strcpy(report->upstream, core->settings.name[n->upstream]);
	report->receiver_age = world->now - n->heard;
	report->paused = core->durable.paused;
	report->pause_generation = core->durable.pause_generation;
	report->config_hash = core->settings.config_hash;
	if (!n->in_recovery)
		report->sync = sim_sync_state(world, node);
	report->slots = UINT32_MAX;
	if (!n->no_instance)
		snprintf(report->ec2_instance, sizeof(report->ec2_instance), "i-%d", node);
}

/* Asks a member something; the outcome comes as an event. */
static void
ask(SimWorld *world, int node, SimQuestion question, int member, uint32_t timeline, pgha_time limit)
{
	SimRequest *request = &world->node[node].request[question][member];

	memset(request, 0, sizeof(*request));
	request->id = ++world->numbers;
	request->asked = world->now;
	request->timeline = timeline;
	if (!world->cut[node][member])
		post_to_host(world, latency(world), SIM_ARRIVE, member, node, question, request->id);
	sim_post(world, limit, SIM_LIMIT, node, member, question, request->id);
}

static void step(SimWorld *world, int node, const PghaEvent *event);
static void crash_restart(SimWorld *world, int node);
static void receiver_start(SimWorld *world, int node);
static void connect_to_order(SimWorld *world, int node);

static void
follow(SimWorld *world, int node, int member, uint32_t timeline)
{
	SimNode    *n = &world->node[node];

	n->order = member;
	n->order_timeline = timeline;
	if ((n->receiver == PGHA_RECEIVER_CONNECTING || n->receiver == PGHA_RECEIVER_STREAMING) &&
		n->upstream != member)
		receiver_end(world, node, false, sim_between(world, 2 * MS, 50 * MS));
	else if (n->receiver == PGHA_RECEIVER_WAITING)
		connect_to_order(world, node);
	else if (n->receiver == PGHA_RECEIVER_NONE)
		sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
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
	sim_post(world, sim_between(world, 5 * MS, sim_chance(world, 30) ? 3 * SECOND : 150 * MS),
			 SIM_PROMOTION, node, 0, 0, 0);
}

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
static void
stop_begin(SimWorld *world, int node, int member, uint64_t order)
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
		post_to_host(world, duration, SIM_STOP_EFFECT, -1, member, node, order);
	}
}

/* EC2 does what it was told, whatever became of the one who told it. */
static void
stop_effect(SimWorld *world, int member, int by, uint64_t order)
{
	SimNode    *target = &world->node[member];

	world->stops_begun--;
	world->stops++;
	sim_trace(world, member, "has its instance stopped by %s", target->settings.name[by]);
	sim_kill(world, member, true);
	target->off_until = world->now + STOPPED_FOR;
	sim_fault_stopped(world, member, STOPPED_FOR);
	if (!target->stop_answer_lost && !sim_chance(world, world->stops_unheard))
		sim_post(world, sim_between(world, MS, SECOND), SIM_OLD_STOPPED, by, member, true, order);
}

static void
old_stopped(SimWorld *world, int node, int member, bool done, uint64_t order)
{
	PghaEvent	event;

	if (world->node[node].stop_order != order)
		return;
	world->node[node].stop_order = 0;
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_OLD_STOPPED;
	event.member = member;
	event.ok = done;
	step(world, node, &event);
}

/* Carries out the actions of a step.  A crash among them ends it. */
static void
carry_out(SimWorld *world, int node, const PghaActions *actions)
{
	SimNode    *n = &world->node[node];
	uint64_t	run = n->run;

	for (int i = 0; i < actions->count; i++)
	{
		const PghaAction *action = &actions->action[i];

		switch (action->type)
		{
			case PGHA_ACT_POLL:
				ask(world, node, SIM_ASK_REPORT, action->member, 0,
					n->settings.failure_timeout / 2);
				break;
			case PGHA_ACT_FETCH_HISTORY:
				ask(world, node, SIM_ASK_HISTORY, action->member, action->timeline,
					n->settings.failure_timeout);
				break;
			case PGHA_ACT_WRITE_STATE:
				if (n->core.state == PGHA_PROMOTING && n->in_recovery &&
					(n->disk_full || sim_chance(world, world->hitches)))
				{
					PghaEvent	event;

					memset(&event, 0, sizeof(event));
					event.type = PGHA_EV_NOT_DURABLE;
					n->core.durable = n->disk;
					step(world, node, &event);
					return;
				}
				n->disk = n->core.durable;
				break;
			case PGHA_ACT_OPEN_GATE:
				n->gate = true;
				n->gate_suspended = false;
				check_gate_opened(world, node);
				break;
			case PGHA_ACT_CLOSE_GATE:
			case PGHA_ACT_SUSPEND_GATE:
				n->gate = false;
				n->gate_suspended = action->type == PGHA_ACT_SUSPEND_GATE;
				break;
			case PGHA_ACT_STOP_RECEIVER:
				n->receiver_stopped = true;
				if (n->receiver != PGHA_RECEIVER_NONE)
					receiver_end(world, node, false, SIM_NEVER);
				sim_post(world, sim_between(world, MS, 5 * MS), SIM_RECEIVER_STOPPED, node, 0, 0, 0);
				break;
			case PGHA_ACT_RELEASE_RECEIVER:
				n->receiver_stopped = false;
				sim_post(world, MS, SIM_RECEIVER_START, node, 0, 0, 0);
				break;
			case PGHA_ACT_FOLLOW:
				follow(world, node, action->member, action->timeline);
				break;
			case PGHA_ACT_UNFOLLOW:
				n->order = PGHA_NOBODY;
				if (n->receiver == PGHA_RECEIVER_CONNECTING || n->receiver == PGHA_RECEIVER_STREAMING)
					receiver_end(world, node, false, sim_between(world, 2 * MS, 50 * MS));
				else if (n->receiver == PGHA_RECEIVER_NONE)
					sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
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
				check_promote(world, node);
				begin_promotion(world, node, action->parent, action->timeline);
				break;
			case PGHA_ACT_FENCE:
				world->fencings++;
				n->standby_signal = true;
				crash_restart(world, node);
				return;
			case PGHA_ACT_EVENT:
				if (action->why.reason == PGHA_WHY_DIVERGED)
					world->divergences++;
				break;
		}
		if (action->type != PGHA_ACT_POLL && action->type != PGHA_ACT_EVENT &&
			sim_chance(world, world->crash_in_step))
		{
			sim_trace(world, node, "(crash after %s)", pgha_action_name(action->type));
			if (sim_chance(world, 500))
				crash_restart(world, node);
			else
				sim_kill(world, node, false);
		}
		if (n->run != run)
			return;
	}
}

static void
step(SimWorld *world, int node, const PghaEvent *event)
{
	SimNode    *n = &world->node[node];
	PghaLocal	local;
	PghaActions actions;

	if (!n->monitor || world->violation[0] != '\0')
		return;
	local = observe(world, node);
	check_before_step(world, node, event);
	n->core.rules_off = world->rules_off;
	pgha_step(&n->core, event, &local, world->now, &actions);
	if (world->trace != NULL)
		sim_trace_step(world, node, event, &actions);
	check_after_step(world, node);
	n->wake = ++world->numbers;
	sim_post(world, n->core.wake_at > world->now ? n->core.wake_at - world->now : MS,
			 SIM_WAKE, node, (int64_t) n->wake, 0, 0);
	carry_out(world, node, &actions);
}

/* The local observation changed: wakes the monitor. */
static void
changed(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (!n->monitor)
		return;
	n->wake = ++world->numbers;
	sim_post(world, sim_between(world, MS / 2, 2 * MS), SIM_WAKE, node, (int64_t) n->wake, 0, 0);
}

static void
start_monitor(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->monitor = true;
	n->settings.instance = ++world->numbers;
	memset(n->request, 0, sizeof(n->request));
	pgha_node_init(&n->core, &n->settings, &n->disk, world->now);
	check_monitor_start(world, node);
	changed(world, node);
}

/* ---- questions between nodes ---- */

static void boot_decided(SimWorld *world, int node);

/* A question arrives at the host of `node`. */
static void
arrive(SimWorld *world, int node, int asker, SimQuestion question, uint64_t id)
{
	SimNode    *n = &world->node[node];
	SimRequest *request = &world->node[asker].request[question][node];

	if (n->host_down || request->id != id || request->done)
		return;
	if (n->phase == SIM_RESTART)
	{
		/* In the backlog of the listening socket. */
		post_to_host(world, 20 * MS, SIM_ARRIVE, node, asker, question, id);
		return;
	}
	switch (n->phase)
	{
		case SIM_DOWN:
		case SIM_BOOT:
			request->contact = PGHA_CONTACT_REFUSED;
			break;
		case SIM_RECOVERY:
		case SIM_STOPPING:
			request->contact = PGHA_CONTACT_STARTING;
			break;
		default:
			request->contact = n->answers_error && asker != node ?
				PGHA_CONTACT_ERROR : PGHA_CONTACT_ANSWERED;
			if (request->contact == PGHA_CONTACT_ERROR)
				break;
			if (question == SIM_ASK_HISTORY)
				request->have_history = history_of(world, n, request->timeline, &request->history);
			else
			{
				int			who = n->impostor == PGHA_NOBODY ? node : n->impostor;

				/* A copy of the server, or a wrong address: another instance under this name. */
				make_report(world, who, &request->report);
				strcpy(request->report.node, n->settings.name[node]);
				if (who != node)
					request->report.bar = PGHA_BAR_PASSIVE;
			}
	}
	if (!world->cut[node][asker])
		post_to_host(world, latency(world), SIM_ANSWER, asker, node, question, id);
}

static void
outcome(SimWorld *world, int node, int member, SimQuestion question, uint64_t id, bool limit)
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
		boot_decided(world, node);
		return;
	}
	memset(&event, 0, sizeof(event));
	event.member = member;
	if (question == SIM_ASK_HISTORY)
	{
		event.type = PGHA_EV_HISTORY;
		event.history = request->have_history ? &request->history : NULL;
	}
	else
	{
		event.type = PGHA_EV_REPLY;
		event.contact = request->contact;
		event.report = request->contact == PGHA_CONTACT_ANSWERED ? &request->report : NULL;
		check_outcome(world, node, member, request->asked, request->contact, event.report);
	}
	step(world, node, &event);
}

/* ---- start and stop ---- */

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
			sim_post(world, latency(world), SIM_RECEIVER_LOST, j, false, 0, peer->connection);
		}
		if (n->connection != 0 && peer->sender[node].connection == n->connection &&
			sim_linked(world, node, j) && !n->host_down)
			sim_post(world, latency(world), SIM_SENDER_GONE, j, node, 0, n->connection);
	}
	memset(n->sender, 0, sizeof(n->sender));
	memset(n->request, 0, sizeof(n->request));
	n->run = ++world->numbers;
	n->monitor = false;
	n->gate = false;
	n->gate_suspended = false;
	n->promotion = 0;
	n->stop_order = 0;
	n->judged.fenced = false;
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

	/* What waited for a frozen server finds it gone. */
	memset(&world->waiting[node], 0, sizeof(SimEvents));
	for (int i = 0; i < held.count; i++)
	{
		held.event[i].at = world->now;
		held.event[i].number = ++world->numbers;
		put(&world->queue, &held.event[i]);
	}
	free(held.event);
}

static void
begin_recovery(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	pgha_time	duration = sim_between(world, 50 * MS, sim_chance(world, 100) ? 8 * SECOND : 600 * MS);

	if (n->slow_recovery > 0)
		duration = n->slow_recovery;

	n->phase = SIM_RECOVERY;
	n->in_recovery = true;
	remove_placeholders(n);
	n->replay_to = n->nwal;
	n->replayed = n->nwal - (int) sim_between(world, 0, 60);
	if (n->replayed < 1 || world->exact)
		n->replayed = n->nwal;
	n->target = find_newest(n, timeline_of(world, n));
	start_monitor(world, node);
	sim_post(world, duration, SIM_PHASE, node, 0, 0, 0);
}

static void
boot_decided(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	PghaContact contact[PGHA_MAX_MEMBERS];
	const PghaReport *report[PGHA_MAX_MEMBERS];
	PghaBootDecision decision;
	int			who;

	for (int j = 0; j < world->count; j++)
	{
		SimRequest *request = &n->request[SIM_ASK_BOOT][j];

		contact[j] = j == node ? PGHA_CONTACT_REFUSED : request->contact;
		report[j] = NULL;
		if (j == node)
			continue;
		if (!request->done)
			return;
		if (request->contact == PGHA_CONTACT_ANSWERED)
			report[j] = &request->report;
	}
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

void
sim_start(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase != SIM_DOWN || world->now < n->off_until)
		return;
	sim_trace(world, node, "starts%s", n->standby_signal ? " (standby.signal)" : "");
	n->host_down = false;
	if (n->standby_signal)
	{
		begin_recovery(world, node);
		return;
	}
	n->phase = SIM_BOOT;
	for (int j = 0; j < world->count; j++)
		if (j != node)
			ask(world, node, SIM_ASK_BOOT, j, 0, n->settings.failure_timeout / 3);
	if (world->count == 1)
		begin_recovery(world, node);
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
	if (!n->in_recovery)
	{
		append(world, node, timeline_of(world, n), -1);
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
			sim_post(world, latency(world), SIM_RECEIVER_LOST, j, true, n->nwal, connection[j]);
		}
	end_processes(world, node);
	n->phase = SIM_STOPPING;
	sim_post(world, sim_between(world, 50 * MS, 600 * MS), SIM_PHASE, node, 0, 0, 0);
}

static void
crash_restart(SimWorld *world, int node)
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
		crash_restart(world, node);
}

static void
next_phase(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	switch (n->phase)
	{
		case SIM_STOPPING:
			n->phase = SIM_DOWN;
			break;
		case SIM_RESTART:
			/* The boot check of a crash restart reads nothing but pgha.state. */
			if (n->disk.fenced || n->disk.diverged ||
				(n->disk.role == PGHA_ROLE_PRIMARY && !pgha_posted(&n->disk)))
				n->standby_signal = true;
			begin_recovery(world, node);
			break;
		case SIM_RECOVERY:
			n->phase = SIM_UP;
			sim_trace(world, node, "is up%s", n->standby_signal ? " as a standby" : "");
			if (n->standby_signal)
			{
				sim_post(world, sim_between(world, 2 * MS, 300 * MS), SIM_REPLAY, node, 0, 0, 0);
				break;
			}
			n->replayed = n->nwal;
			n->in_recovery = false;
			append(world, node, timeline_of(world, n), -1);
			n->first_waiting = n->nwal;
			changed(world, node);
			break;
		default:
			break;
	}
}

static void
replay_more(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->replayed += (int) sim_between(world, 5, 40);
	if (n->replayed >= n->replay_to)
	{
		n->replayed = n->replay_to;
		sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
	}
	else
		sim_post(world, sim_between(world, 2 * MS, 300 * MS), SIM_REPLAY, node, 0, 0, 0);
	changed(world, node);
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
	check_thaw(world, node);
	memset(&world->waiting[node], 0, sizeof(SimEvents));
	while (held.count > 0)
	{
		SimEvent	event = take(&held);

		event.at = world->now + sim_between(world, 0, 2 * MS);
		event.number = ++world->numbers;
		put(&world->queue, &event);
	}
	free(held.event);
}

/* The WAL receiver dies: a lost connection. */
void
sim_drop_stream(SimWorld *world, int node)
{
	if (world->node[node].receiver == PGHA_RECEIVER_STREAMING)
		receiver_end(world, node, false, sim_between(world, 100 * MS, 5 * SECOND));
}

void
sim_cut(SimWorld *world, int from, int to, bool cut)
{
	if (from == to || world->cut[from][to] == cut)
		return;
	sim_trace(world, from, "%s %s", cut ? "cannot send to" : "can send again to",
			  world->node[to].settings.name[to]);
	world->cut[from][to] = cut;
}

/* ---- the WAL receiver and its upstream ---- */

static void
receiver_end(SimWorld *world, int node, bool clean, pgha_time retry)
{
	SimNode    *n = &world->node[node];

	if (n->connection != 0 && sim_linked(world, node, n->upstream))
		sim_post(world, latency(world), SIM_SENDER_GONE, n->upstream, node, 0, n->connection);
	if (n->receiver == PGHA_RECEIVER_STREAMING)
	{
		n->ended_clean = clean;
		n->lost_at = world->now - n->heard < n->settings.failure_timeout ?
			world->now : n->heard + n->settings.failure_timeout;
		sim_trace(world, node, "receiver ends%s", clean ? " cleanly" : "");
	}
	n->receiver = PGHA_RECEIVER_NONE;
	n->connection = 0;
	if (retry != SIM_NEVER)
		sim_post(world, retry, SIM_RECEIVER_START, node, 0, 0, 0);
	changed(world, node);
}

static void
connect_to_order(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->receiver = PGHA_RECEIVER_CONNECTING;
	n->upstream = n->order;
	n->connection = ++world->numbers;
	n->stream_pending = false;
	n->end_coming = false;
	n->heard = world->now;
	n->upstream_end = 0;
	sim_post(world, 2 * latency(world), SIM_CONNECT, node, 0, 0, n->connection);
}

/* The startup process wants WAL, all that is here being replayed. */
static void
receiver_start(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->phase != SIM_UP || !n->in_recovery || n->replayed < n->nwal || n->receiver_stopped ||
		n->promotion != 0 || n->receiver != PGHA_RECEIVER_NONE)
		return;
	n->receiver = PGHA_RECEIVER_WAITING;
	if (n->order != PGHA_NOBODY)
		connect_to_order(world, node);
	changed(world, node);
}

static void
learn_histories(SimNode *n, const SimNode *upstream)
{
	for (int t = 2; t < SIM_MAX_TIMELINES; t++)
	{
		n->real[t] |= upstream->real[t];
		n->placeholder[t] |= upstream->placeholder[t] && !n->real[t];
	}
}

static void
connected(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	PghaHistory history;
	pgha_time	retry = sim_between(world, 100 * MS, 5 * SECOND);

	if (!sim_linked(world, node, upstream) || u->host_down || u->frozen || u->phase == SIM_RESTART)
	{
		if (world->now - n->heard > 30 * SECOND)
			receiver_end(world, node, false, retry);
		else
			sim_post(world, 100 * MS, SIM_CONNECT, node, 0, 0, n->connection);
		return;
	}
	if (u->phase != SIM_UP)
	{
		receiver_end(world, node, false, retry);
		return;
	}
	if (timeline_of(world, u) != n->order_timeline)
	{
		/* The history of another timeline was compared. */
		sim_trace(world, node, "%s is on timeline %u, not %u", u->settings.name[upstream],
				  timeline_of(world, u), n->order_timeline);
		receiver_end(world, node, false, retry);
		return;
	}
	check_stream(world, node, upstream);
	if (!history_of(world, u, timeline_of(world, u), &history) ||
		!lists_timeline(&history, timeline_of(world, n)))
	{
		sim_trace(world, node, "timeline %u is not in the history of %s", timeline_of(world, n),
				  u->settings.name[upstream]);
		receiver_end(world, node, false, retry);
		return;
	}
	sim_trace(world, node, "streams from %s", u->settings.name[upstream]);
	learn_histories(n, u);
	n->target = timeline_of(world, u);
	n->receiver = PGHA_RECEIVER_STREAMING;
	n->ended_clean = false;
	n->heard = world->now;
	n->upstream_end = sim_end(world, upstream);
	u->sender[node].connection = n->connection;
	u->sender[node].flushed = 0;
	u->sender[node].caught_up = false;
	u->sender[node].heard = world->now;
	sim_post(world, latency(world), SIM_BEAT, node, 0, 0, n->connection);
	changed(world, node);
}

static void
stream(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	uint32_t	timeline = timeline_of(world, n);
	int			batch = n->throttle > 0 ? 1 : SIM_MAX_RECORDS;

	n->stream_pending = false;
	if (n->receiver != PGHA_RECEIVER_STREAMING || !sim_linked(world, node, upstream) ||
		u->sender[node].connection != n->connection)
		return;
	if (timeline_of(world, u) != n->order_timeline)
	{
		/* A standby that was promoted ends its streams. */
		receiver_end(world, node, true, sim_between(world, 100 * MS, 5 * SECOND));
		return;
	}
	check_stream(world, node, upstream);
	while (n->nwal < u->nwal && batch-- > 0)
	{
		n->wal[n->nwal] = u->wal[n->nwal];
		n->nwal++;
	}
	n->replayed = n->nwal;
	n->heard = world->now;
	n->upstream_end = sim_end(world, upstream);
	sim_post(world, latency(world), SIM_ACK, upstream, node, n->nwal, n->connection);
	if (n->nwal < u->nwal || n->throttle > 0)
	{
		n->stream_pending = true;
		sim_post(world, n->throttle, SIM_STREAM, node, 0, 0, n->connection);
	}
	if (timeline_of(world, n) != timeline)
	{
		learn_histories(n, u);
		n->target = timeline_of(world, u);
		changed(world, node);
	}
}

/* In-band heartbeat, keepalives, and what TCP finds out by itself. */
static void
beat(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	bool		linked = sim_linked(world, node, upstream) && !u->host_down;

	if (n->receiver != PGHA_RECEIVER_STREAMING)
		return;
	if ((linked && u->sender[node].connection != n->connection && !n->end_coming) ||
		world->now - n->heard > RECEIVER_TIMEOUT)
	{
		receiver_end(world, node, false, sim_between(world, 100 * MS, 5 * SECOND));
		return;
	}
	sim_post(world, n->settings.heartbeat_interval, SIM_BEAT, node, 0, 0, n->connection);
	if (!linked)
		return;
	sim_post(world, latency(world), SIM_ACK, upstream, node, n->nwal, n->connection);
	if (!u->frozen)
		sim_post(world, 2 * latency(world), SIM_BEAT_BACK, node, u->nwal, 0, n->connection);
	if (!n->stream_pending && n->nwal < u->nwal && !u->frozen)
	{
		n->stream_pending = true;
		sim_post(world, n->throttle + latency(world), SIM_STREAM, node, 0, 0, n->connection);
	}
}

static void
acknowledge(SimWorld *world, int node, int standby, int flushed, uint64_t connection)
{
	SimNode    *n = &world->node[node];

	if (n->sender[standby].connection != connection)
		return;
	n->sender[standby].heard = world->now;
	n->sender[standby].flushed = flushed;
	if (flushed >= n->nwal - 2)
		n->sender[standby].caught_up = true;
	if (!n->in_recovery)
		release_commits(world, node);
}

/* ---- promotion ---- */

/*
 * Does the history of a new timeline describe the WAL that is here?  A node
 * that knew of a later timeline than it had WAL of gets that one as the parent:
 * right if that timeline began exactly where the WAL here ends, else LSNs go
 * backwards.
 */
static bool
history_ascends(const SimWorld *world, uint32_t timeline)
{
	while (timeline != 1)
	{
		uint32_t	parent = world->timeline[timeline].parent;

		if (parent != 1 && world->timeline[parent].fork > world->timeline[timeline].fork)
			return false;
		timeline = parent;
	}
	return true;
}

/* What PostgreSQL does with a promotion, in stages between which it may crash. */
static void
promotion(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	SimTimeline *timeline;
	uint32_t	chosen = find_newest(n, n->target) + 1;
	PghaEvent	event;

	if (sim_chance(world, world->crash_in_promotion) || n->crash_at_stage == n->promotion)
	{
		n->crash_at_stage = 0;
		sim_trace(world, node, "(crash in promotion, stage %d)", n->promotion);
		if (sim_chance(world, 500))
			crash_restart(world, node);
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
				remove_placeholders(n);
				step(world, node, &event);
				return;
			}

			/*
			 * The signal is heeded when all that was received is replayed:
			 * never, while the upstream goes on sending.
			 */
			if (n->receiver == PGHA_RECEIVER_STREAMING &&
				world->now - n->heard < 200 * MS)
			{
				n->promotion = 1;
				sim_post(world, 100 * MS, SIM_PROMOTION, node, 0, 0, 0);
				return;
			}
			if (n->receiver != PGHA_RECEIVER_NONE)
				receiver_end(world, node, false, SIM_NEVER);
			n->standby_signal = false;
			sim_post(world, sim_between(world, MS, 5 * MS), SIM_PROMOTION, node, 0, 0, 0);
			return;
		case 2:
			if (chosen >= SIM_MAX_TIMELINES)
				abort();
			check_new_timeline(world, node, chosen);
			timeline = &world->timeline[chosen];
			timeline->used = true;
			timeline->creator = node;
			timeline->parent = n->target;
			timeline->fork = end_of(world, n, n->nwal);
			n->real[chosen] = true;
			n->placeholder[chosen] = false;
			n->target = chosen;
			sim_trace(world, node, "creates timeline %u, forked from %u at %s", chosen,
					  timeline->parent, sim_lsn(timeline->fork));
			sim_post(world, sim_between(world, MS, 30 * MS), SIM_PROMOTION, node, 0, 0, 0);
			return;
		case 3:
			append(world, node, n->target, -1);
			n->in_recovery = false;
			n->first_waiting = n->nwal;
			world->promotions++;
			sim_post(world, sim_between(world, MS, 20 * MS), SIM_PROMOTION, node, 0, 0, 0);
			changed(world, node);
			return;
		default:
			n->promotion = 0;
			event.ok = timeline_of(world, n) == n->promote_to && history_ascends(world, n->promote_to);
			if (!event.ok)
				world->failed_promotions++;
			step(world, node, &event);
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
		receiver_end(world, node, false, SIM_NEVER);
	n->promotion = 1;
	n->promote_to = find_newest(n, n->target) + 1;
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
		step(world, node, &event);
}

PghaWhy
sim_promote(SimWorld *world, int node, bool force)
{
	SimNode    *n = &world->node[node];
	PghaWhy		why = {PGHA_WHY_NONE, PGHA_NOBODY, PGHA_MAY_PROMOTE, PGHA_ACTIVE};
	PghaEvent	event;

	if (n->phase != SIM_UP || n->frozen)
		return why;
	why = pgha_promote_refusal(&n->core, force, world->now);
	sim_trace(world, node, "pgha_promote(%s)%s", force ? "true" : "false",
			  why.reason == PGHA_WHY_NONE ? "" : ": refused");
	memset(&event, 0, sizeof(event));
	event.type = PGHA_EV_PROMOTE;
	event.flag = force;
	if (why.reason == PGHA_WHY_NONE)
		step(world, node, &event);
	return why;
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
	changed(world, node);
}

/* ---- the loop ---- */

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
	check_acknowledged(world, node);
	world->commit[commit].acknowledged = true;
	world->commit[commit].acknowledged_at = world->now;
	world->acknowledged++;
}

static void
look(SimWorld *world)
{
	for (int i = 0; i < world->count; i++)
		for (int j = 0; j < world->count; j++)
			if (world->node[i].sender[j].connection != 0 && !world->node[i].frozen &&
				world->now - world->node[i].sender[j].heard > RECEIVER_TIMEOUT)
				world->node[i].sender[j].connection = 0;
	check_now(world);
	sim_post(world, LOOK_INTERVAL, SIM_LOOK, -1, 0, 0, 0);
}

static void
work_off(SimWorld *world, const SimEvent *event)
{
	int			node = event->node;
	SimNode    *n = node < 0 ? NULL : &world->node[node];
	PghaEvent	core;

	if (n != NULL && event->run != 0 && event->run != n->run)
		return;
	if (n != NULL && n->frozen)
	{
		put(&world->waiting[node], event);
		return;
	}
	memset(&core, 0, sizeof(core));
	switch (event->type)
	{
		case SIM_WAKE:
			core.type = PGHA_EV_TICK;
			if ((uint64_t) event->a == n->wake)
				step(world, node, &core);
			break;
		case SIM_ARRIVE:
			arrive(world, node, (int) event->a, (SimQuestion) event->b, event->c);
			break;
		case SIM_ANSWER:
			outcome(world, node, (int) event->a, (SimQuestion) event->b, event->c, false);
			break;
		case SIM_LIMIT:
			outcome(world, node, (int) event->a, (SimQuestion) event->b, event->c, true);
			break;
		case SIM_RECEIVER_STOPPED:
			core.type = PGHA_EV_RECEIVER_STOPPED;
			core.ok = true;
			step(world, node, &core);
			break;
		case SIM_STOP_BEGIN:
			stop_begin(world, node, (int) event->a, event->c);
			break;
		case SIM_STOP_EFFECT:
			stop_effect(world, (int) event->a, (int) event->b, event->c);
			break;
		case SIM_OLD_STOPPED:
			old_stopped(world, node, (int) event->a, event->b != 0, event->c);
			break;
		case SIM_PROMOTION:
			promotion(world, node);
			break;
		case SIM_RECEIVER_START:
			receiver_start(world, node);
			break;
		case SIM_CONNECT:
			if (event->c == n->connection)
				connected(world, node);
			break;
		case SIM_STREAM:
			if (event->c == n->connection)
				stream(world, node);
			break;
		case SIM_BEAT:
			if (event->c == n->connection)
				beat(world, node);
			break;
		case SIM_BEAT_BACK:
			if (event->c == n->connection && n->receiver == PGHA_RECEIVER_STREAMING)
			{
				n->heard = world->now;
				n->upstream_end = end_of(world, &world->node[n->upstream], (int) event->a);
			}
			break;
		case SIM_RECEIVER_LOST:
			if (event->c != n->connection || n->receiver != PGHA_RECEIVER_STREAMING)
				break;
			if (event->a)
			{
				const SimNode *u = &world->node[n->upstream];

				check_stream(world, node, n->upstream);
				while (n->nwal < event->b)
				{
					n->wal[n->nwal] = u->wal[n->nwal];
					n->nwal++;
				}
				n->replayed = n->nwal;
				n->upstream_end = sim_end(world, node);
			}
			receiver_end(world, node, event->a != 0, sim_between(world, 100 * MS, 5 * SECOND));
			break;
		case SIM_ACK:
			acknowledge(world, node, (int) event->a, (int) event->b, event->c);
			break;
		case SIM_SENDER_GONE:
			if (n->sender[event->a].connection == event->c)
				n->sender[event->a].connection = 0;
			break;
		case SIM_REPLAY:
			replay_more(world, node);
			break;
		case SIM_PHASE:
			next_phase(world, node);
			break;
		case SIM_COMMIT:
			commit_done(world, node, (int) event->a);
			break;
		case SIM_WRITE:
			write_some(world);
			sim_post(world, sim_between(world, 50 * MS, 150 * MS), SIM_WRITE, -1, 0, 0, 0);
			break;
		case SIM_LOOK:
			look(world);
			break;
		case SIM_FAULT:
			sim_fault(world, (int) event->a, (int) event->b);
			break;
	}
}

void
sim_run(SimWorld *world, pgha_time until, bool (*stop) (SimWorld *world, void *arg), void *arg)
{
	while (world->violation[0] == '\0' && world->queue.count > 0 &&
		   world->queue.event[0].at <= until)
	{
		SimEvent	event = take(&world->queue);

		world->now = event.at;
		work_off(world, &event);
		if (stop != NULL && stop(world, arg))
			return;
	}
	if (world->violation[0] == '\0' && world->now < until)
		world->now = until;
}

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
	world->count = count;
	world->latency = 2 * MS;
	world->writes = true;
	world->timeline[1].used = true;
	world->nrecord = 1;
	world->record[0] = (SimRecord) {1, FIRST_LSN + 0x100, -1};
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
	sim_post(world, LOOK_INTERVAL, SIM_LOOK, -1, 0, 0, 0);
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
