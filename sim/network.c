/*
 * network.c
 *		What goes from one server to another: questions and WAL.
 *
 * Messages take their time and are lost where the network is cut.  A WAL
 * receiver checks nothing but timeline numbers.
 */
#include "network.h"

#include "trace.h"
#include "wal.h"

#define RECEIVER_TIMEOUT	(60 * SECOND)	/* wal_receiver_timeout */

/* ---- links ---- */

void
sim_cut(SimWorld *world, int from, int to, bool cut)
{
	if (from == to || world->cut[from][to] == cut)
		return;
	sim_trace(world, from, "%s %s", cut ? "cannot send to" : "can send again to",
			  world->node[to].settings.name[to]);
	world->cut[from][to] = cut;
}

/* ---- questions between nodes ---- */

/* Asks a member something; the outcome comes as an event. */
void
sim_ask(SimWorld *world, int node, SimQuestion question, int member, uint32_t timeline, pgha_time limit)
{
	SimRequest *request = &world->node[node].request[question][member];

	memset(request, 0, sizeof(*request));
	request->id = ++world->numbers;
	request->asked = world->now;
	request->timeline = timeline;
	if ((world->node[node].unable > world->now || world->node[node].nameless[member]) && question == SIM_ASK_REPORT)
	{
		request->contact = PGHA_CONTACT_UNLEARNT;
		sim_post(world, MS, SIM_ANSWER, node, member, question, request->id);
		return;
	}
	if (!world->cut[node][member])
		sim_post_to_host(world, sim_latency(world), SIM_ARRIVE, member, node, question, request->id);
	sim_post(world, limit, SIM_LIMIT, node, member, question, request->id);
}

/* What the monitor decides is published when the actions of its step are done. */
void
sim_publish(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	const PghaNode *core = &n->core;
	PghaReport *report = &n->shown;

	memset(report, 0, sizeof(*report));
	strcpy(report->node, core->settings.name[node]);
	report->system_identifier = core->settings.system_identifier;
	report->instance = core->settings.instance;
	report->claim = core->durable.claim;
	report->role = core->durable.role;
	report->posted = core->posted;
	report->fenced = core->durable.fenced;
	report->diverged = core->durable.diverged;
	report->own_wal = core->durable.own_from != 0;
	report->passive = core->passive;
	report->bar = core->bar;
	report->priority = core->settings.priority;
	report->paused = core->durable.paused;
	report->pause_generation = core->durable.pause_generation;
	report->config_hash = core->settings.config_hash;
	report->slots = UINT32_MAX;
	n->shown_at = sim_clock(world, node);
	pgha_report_voting(core, report, n->shown_at);
	if (!n->no_instance)
		snprintf(report->ec2_instance, sizeof(report->ec2_instance), "i-%d", node);
}

/* ... the rest is looked at when somebody asks. */
void
sim_make_report(const SimWorld *world, int node, PghaReport *report)
{
	const SimNode *n = &world->node[node];

	*report = n->shown;
	report->promise_age += sim_clock(world, node) - n->shown_at;
	report->in_recovery = n->in_recovery;
	report->timeline = sim_timeline_of(world, n);
	report->wal_end = sim_end_of_history(world, node);
	report->receiver = n->receiver;
	if (n->receiver == PGHA_RECEIVER_STREAMING)
		strcpy(report->upstream, n->core.settings.name[n->upstream]);
	report->receiver_age = world->now - n->heard;
	if (!n->in_recovery)
		report->sync = sim_sync_state(world, node);
}

/* A question arrives at the host of `node`. */
void
sim_arrive(SimWorld *world, int node, int asker, SimQuestion question, uint64_t id)
{
	SimNode    *n = &world->node[node];
	SimRequest *request = &world->node[asker].request[question][node];

	if (request->id != id || request->done)
		return;
	if (world->node[asker].rejected[node] && question == SIM_ASK_REPORT)
	{
		/* Somebody on the way answers for it; with its address, which is assumed not to be where votes are. */
		request->contact = PGHA_CONTACT_REFUSED;
		request->same_address = world->node[asker].settings.voters == 0 && (world->exact || id % 2 == 0);
		sim_post_to_host(world, sim_latency(world), SIM_ANSWER, asker, node, question, id);
		return;
	}
	if (n->host_down)
		return;
	if (n->phase == SIM_RESTART)
	{
		/* In the backlog of the listening socket. */
		sim_post_to_host(world, 20 * MS, SIM_ARRIVE, node, asker, question, id);
		return;
	}
	switch (n->phase)
	{
		case SIM_DOWN:
		case SIM_BOOT:
			request->contact = PGHA_CONTACT_REFUSED;
			request->same_address = true;
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
			request->same_address = true;
			if (question == SIM_ASK_WAL)
				request->compared = sim_compare_wal(n, &world->node[asker], request->records);
			else if (question == SIM_ASK_HISTORY)
				request->have_history = sim_history_of(world, n, request->timeline, &request->history);
			else
			{
				int			who = n->impostor == PGHA_NOBODY ? node : n->impostor;

				/* A copy of the server, or a wrong address: another instance under this name. */
				sim_make_report(world, who, &request->report);
				strcpy(request->report.node, n->settings.name[node]);
				if (who != node)
					request->report.bar = PGHA_BAR_PASSIVE;
			}
	}
	if (!world->cut[node][asker])
		sim_post_to_host(world, sim_latency(world), SIM_ANSWER, asker, node, question, id);
}

/* ---- the WAL receiver and its upstream ---- */

void
sim_receiver_end(SimWorld *world, int node, bool clean, pgha_time retry)
{
	SimNode    *n = &world->node[node];

	if (n->connection != 0 && sim_linked(world, node, n->upstream))
		sim_post(world, sim_latency(world), SIM_SENDER_GONE, n->upstream, node, 0, n->connection);
	if (n->receiver == PGHA_RECEIVER_STREAMING)
	{
		n->ended_clean = clean;
		sim_tell(world, receiver_ended, (world, node));
		sim_trace(world, node, "receiver ends%s", clean ? " cleanly" : "");
	}
	n->receiver = PGHA_RECEIVER_NONE;
	n->connection = 0;
	if (retry != SIM_NEVER)
		sim_post(world, retry, SIM_RECEIVER_START, node, 0, 0, 0);
	sim_changed(world, node);
}

/*
 * How much WAL a server sends, and of which timeline it says it is
 * (GetStandbyFlushRecPtr()): a standby sends what it has received and not replayed,
 * unless that is of a later timeline than the one it replays.
 */
static int
sendable(const SimWorld *world, const SimNode *u, uint32_t *timeline)
{
	bool		received = u->replayed < u->nwal && u->behind;

	*timeline = u->replayed == 0 ? 1 : world->record[u->wal[u->replayed - 1]].timeline;
	return received && world->record[u->wal[u->nwal - 1]].timeline == *timeline ? u->nwal : u->replayed;
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
	sim_post(world, 2 * sim_latency(world), SIM_CONNECT, node, 0, 0, n->connection);
}

void
sim_follow(SimWorld *world, int node, int member, uint32_t timeline)
{
	SimNode    *n = &world->node[node];

	n->order = member;
	n->order_timeline = timeline;
	if ((n->receiver == PGHA_RECEIVER_CONNECTING || n->receiver == PGHA_RECEIVER_STREAMING) &&
		n->upstream != member)
		sim_receiver_end(world, node, false, sim_between(world, 2 * MS, 50 * MS));
	else if (n->receiver == PGHA_RECEIVER_WAITING)
		connect_to_order(world, node);
	else if (n->receiver == PGHA_RECEIVER_NONE)
		sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
}

void
sim_unfollow(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	n->order = PGHA_NOBODY;
	if (n->receiver == PGHA_RECEIVER_CONNECTING || n->receiver == PGHA_RECEIVER_STREAMING)
		sim_receiver_end(world, node, false, sim_between(world, 2 * MS, 50 * MS));
	else if (n->receiver == PGHA_RECEIVER_NONE)
		sim_post(world, sim_between(world, 2 * MS, 50 * MS), SIM_RECEIVER_START, node, 0, 0, 0);
}

/* The startup process wants WAL, all that is here being replayed. */
void
sim_receiver_start(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if ((n->phase != SIM_UP && !(n->phase == SIM_RECOVERY && n->no_wal)) || !n->in_recovery ||
		n->replayed < n->nwal || n->receiver_stopped ||
		n->promotion != 0 || n->receiver != PGHA_RECEIVER_NONE)
		return;
	n->receiver = PGHA_RECEIVER_WAITING;
	if (n->order != PGHA_NOBODY)
		connect_to_order(world, node);
	sim_changed(world, node);
}

void
sim_connected(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	PghaHistory history;
	uint32_t	timeline;
	int			records;
	pgha_time	retry = sim_between(world, 100 * MS, 5 * SECOND);

	if (!sim_linked(world, node, upstream) || u->host_down || u->frozen || u->phase == SIM_RESTART)
	{
		if (world->now - n->heard > 30 * SECOND)
			sim_receiver_end(world, node, false, retry);
		else
			sim_post(world, 100 * MS, SIM_CONNECT, node, 0, 0, n->connection);
		return;
	}
	if (u->phase != SIM_UP || n->rejected[upstream] || n->unable > world->now)
	{
		sim_receiver_end(world, node, false, retry);
		return;
	}
	if (u->no_senders)
	{
		sim_trace(world, node, "%s lets no stream begin", u->settings.name[upstream]);
		sim_receiver_end(world, node, false, retry);
		return;
	}
	records = sendable(world, u, &timeline);
	if (timeline != n->order_timeline)
	{
		/* The history of another timeline was compared. */
		sim_trace(world, node, "%s is on timeline %u, not %u", u->settings.name[upstream],
				  timeline, n->order_timeline);
		sim_receiver_end(world, node, false, retry);
		return;
	}
	if (world->voting && u->in_recovery && n->nwal > records)
	{
		sim_trace(world, node, "%s has less WAL", u->settings.name[upstream]);
		sim_receiver_end(world, node, false, retry);
		return;
	}
	sim_tell(world, stream, (world, node, upstream));
	if (!sim_history_of(world, u, timeline, &history) ||
		!sim_lists_timeline(&history, sim_timeline_of(world, n)))
	{
		sim_trace(world, node, "timeline %u is not in the history of %s", sim_timeline_of(world, n),
				  u->settings.name[upstream]);
		sim_receiver_end(world, node, false, retry);
		return;
	}
	sim_trace(world, node, "streams from %s", u->settings.name[upstream]);
	sim_learn_histories(n, u);
	n->target = timeline;
	n->receiver = PGHA_RECEIVER_STREAMING;
	if (n->no_wal)
	{
		sim_trace(world, node, "has the WAL that it begins with, and is up as a standby");
		n->no_wal = false;
		n->phase = SIM_UP;
	}
	n->ended_clean = false;
	n->heard = world->now;
	n->upstream_end = sim_end(world, upstream);
	u->sender[node].connection = n->connection;
	u->sender[node].flushed = 0;
	u->sender[node].caught_up = false;
	u->sender[node].heard = world->now;
	sim_post(world, sim_latency(world), SIM_BEAT, node, 0, 0, n->connection);
	sim_changed(world, node);
}

/* What was received is replayed at once, unless a query holds it up. */
static void
replay(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->replay_held <= world->now && !n->behind)
		n->replayed = n->nwal;
	else if (!n->behind)
	{
		n->behind = true;
		sim_post(world, n->replay_held - world->now, SIM_REPLAY, node, 0, 0, 0);
	}
}

void
sim_stream(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	uint32_t	timeline = sim_timeline_of(world, n);
	uint32_t	sent;
	int			records;
	int			batch = n->throttle > 0 ? 1 : SIM_MAX_RECORDS;

	n->stream_pending = false;
	if (n->receiver != PGHA_RECEIVER_STREAMING || !sim_linked(world, node, upstream) ||
		u->sender[node].connection != n->connection)
		return;
	records = sendable(world, u, &sent);
	if (sent != n->order_timeline)
	{
		/* A standby that was promoted ends its streams. */
		sim_receiver_end(world, node, true, sim_between(world, 100 * MS, 5 * SECOND));
		return;
	}
	sim_tell(world, stream, (world, node, upstream));
	while (n->nwal < records && batch-- > 0)
	{
		n->wal[n->nwal] = u->wal[n->nwal];
		n->nwal++;
	}
	replay(world, node);
	n->heard = world->now;
	n->upstream_end = sim_end(world, upstream);
	sim_post(world, sim_latency(world), SIM_ACK, upstream, node, n->nwal, n->connection);
	if (n->nwal < records || n->throttle > 0)
	{
		n->stream_pending = true;
		sim_post(world, n->throttle, SIM_STREAM, node, 0, 0, n->connection);
	}
	if (sim_timeline_of(world, n) != timeline)
	{
		sim_learn_histories(n, u);
		n->target = sent;
		sim_changed(world, node);
	}
}

/* In-band heartbeat, keepalives, and what TCP finds out by itself. */
void
sim_beat(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			upstream = n->upstream;
	SimNode    *u = &world->node[upstream];
	uint32_t	timeline;
	int			records;
	bool		linked = sim_linked(world, node, upstream) && !u->host_down;

	if (n->receiver != PGHA_RECEIVER_STREAMING)
		return;
	if ((linked && u->sender[node].connection != n->connection && !n->end_coming) ||
		world->now - n->heard > RECEIVER_TIMEOUT)
	{
		sim_receiver_end(world, node, false, sim_between(world, 100 * MS, 5 * SECOND));
		return;
	}
	sim_post(world, n->settings.heartbeat_interval, SIM_BEAT, node, 0, 0, n->connection);
	if (!linked)
		return;
	records = sendable(world, u, &timeline);
	sim_post(world, sim_latency(world), SIM_ACK, upstream, node, n->nwal, n->connection);
	if (!u->frozen)
		sim_post(world, 2 * sim_latency(world), SIM_BEAT_BACK, node, records, 0, n->connection);
	if (!n->stream_pending && n->nwal < records && !u->frozen)
	{
		n->stream_pending = true;
		sim_post(world, n->throttle + sim_latency(world), SIM_STREAM, node, 0, 0, n->connection);
	}
}

/* The upstream's answer to a heartbeat: how far it was. */
void
sim_beat_back(SimWorld *world, int node, int records)
{
	SimNode    *n = &world->node[node];

	if (n->receiver != PGHA_RECEIVER_STREAMING)
		return;
	n->heard = world->now;
	n->upstream_end = sim_end_of(world, &world->node[n->upstream], records);
}

/* The upstream ended the stream; cleanly: after it had sent so many records. */
void
sim_receiver_lost(SimWorld *world, int node, bool clean, int records)
{
	SimNode    *n = &world->node[node];

	if (n->receiver != PGHA_RECEIVER_STREAMING)
		return;
	if (clean)
	{
		const SimNode *u = &world->node[n->upstream];

		sim_tell(world, stream, (world, node, n->upstream));
		while (n->nwal < records)
		{
			n->wal[n->nwal] = u->wal[n->nwal];
			n->nwal++;
		}
		replay(world, node);
		n->upstream_end = sim_end(world, node);
	}
	sim_receiver_end(world, node, clean, sim_between(world, 100 * MS, 5 * SECOND));
}

void
sim_acknowledge(SimWorld *world, int node, int standby, int flushed, uint64_t connection)
{
	SimNode    *n = &world->node[node];

	if (n->sender[standby].connection != connection)
		return;
	n->sender[standby].heard = world->now;
	n->sender[standby].flushed = flushed;
	if (flushed >= n->nwal - 2)
		n->sender[standby].caught_up = true;
	if (!n->in_recovery)
		sim_release_commits(world, node);
}

/* The WAL receiver dies: a lost connection. */
void
sim_drop_stream(SimWorld *world, int node)
{
	if (world->node[node].receiver == PGHA_RECEIVER_STREAMING)
		sim_receiver_end(world, node, false, sim_between(world, 100 * MS, 5 * SECOND));
}
