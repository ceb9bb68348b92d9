/*
 * monitor.c
 *		The background worker that watches and acts.
 *
 * One loop: observe the server, take what the io children say, hand both to
 * the core (core/step.c), carry out what it answers.  The core decides; nothing
 * here does.  The loop waits on one WaitEventSet (its latch and the children's
 * sockets) and blocks on nothing but short local fsyncs.
 *
 * Who wakes it: the WAL receiver at each change of its state and at its end,
 * backends that give an order (orders.c), the postmaster's signals.  SIGTERM
 * and SIGHUP mean what they always mean.  It has no database, so that it does
 * not appear in pg_stat_activity: its process title and pgha_status() say what
 * it is doing.
 *
 * What it never does: talk to the network (children do), hold a lock while it
 * writes a file, run a query.  It ends with status 1 when asked to, and with
 * status 2, which makes the postmaster start over, only to fence a primary.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

#include "../common/clock.h"
#include "agents.h"
#include "boot.h"
#include "compat.h"
#include "config.h"
#include "events.h"
#include "fence.h"
#include "gate.h"
#include "host.h"
#include "io_child.h"
#include "monitor.h"
#include "orders.h"
#include "promote.h"
#include "report.h"
#include "shmem.h"
#include "slots.h"
#include "state.h"
#include "sync.h"
#include "walreceiver.h"

/* Kicks of a startup process that has not started a WAL receiver: often at first, then seldom. */
#define KICK_EAGER_TIME		2000000
#define KICK_INTERVAL		100000
/* A stream that lasted less than this was refused; the next one is asked for after the same time. */
#define REFUSED_INTERVAL	1000000
/* The end of a promotion is looked for often at first, then less so. */
#define PROMOTION_EAGER_TIME	2000000
/* A child that could not be started, or died, is tried again after this time. */
#define CHILD_RETRY			1000000

/* The monitor's side of one member: its child and what it is asked. */
typedef struct Peer
{
	PghaChild	child;
	bool		readable;		/* the child has written, or ended */
	pgha_time	retry_at;		/* not before this time */
	bool		want_poll;
	uint32		want_history;	/* timeline; 0 = none */
	bool		asked_history;	/* the request under way is for a history */
	uint32		history_timeline;
	bool		failed;			/* the outcome of a poll that could not be sent is due */
	char		error[256];
	TimestampTz heard;
} Peer;

static PghaConfig config;
static PghaNode node;
static Peer peer[PGHA_MAX_MEMBERS];
static char config_error[512];

static PghaDurable written;		/* what pgha.state holds */
static bool written_valid = false;

static WaitEventSet *wait_set = NULL;
static bool wait_set_stale = true;

static pgha_time receiver_gone_since = 0;
static bool stream_refused = false; /* the last receiver ended at once, by itself */
static pgha_time connecting_since = 0;	/* when the receiver was last seen to wait */
static bool receiver_ended = false; /* by our order */
static pgha_time kicked_at = 0;
static pgha_time heartbeat_at = 0;
static uint32 slots = 0;		/* members a slot is kept for */

static uint32 fork_timeline = 0;	/* timeline that fork_lsn belongs to */
static pgha_lsn fork_lsn = 0;
static uint32 newest_timeline = 0;
static bool newest_valid = false;

static char last_change[400];
static TimestampTz last_change_at;
static TimestampTz state_since;
static PghaWhy promotion_why;
static char stop_error[256];		/* why the last instance could not be stopped, as the agent says */
static bool promoted = false;	/* by this worker: the next leading is told with its times */

static MemoryContext loop_context;	/* reset after each round */

static void step(const PghaEvent *event);
static void publish(void);

/* ---- words ---- */

/* The sentence for a reason, with the member's name and what bars promotion. */
static void
why_text(const PghaWhy *why, char *text, size_t size)
{
	const char *format = pgha_reason_text(why->reason);
	const char *place = strstr(format, "%s");
	const char *name = why->member != PGHA_NOBODY ? node.settings.name[why->member] : "(unknown)";

	if (place != NULL)
		snprintf(text, size, "%.*s%s%s", (int) (place - format), format, name, place + 2);
	else
		strlcpy(text, format, size);
	if (why->reason == PGHA_WHY_BARRED)
	{
		strlcat(text, ": ", size);
		strlcat(text, pgha_bar_text(why->bar), size);
	}
	else if (why->reason == PGHA_WHY_PASSIVE)
	{
		strlcat(text, ": ", size);
		strlcat(text, pgha_passive_text(why->passive), size);
	}
	else if (why->reason == PGHA_WHY_STOP_FAILED && stop_error[0] != '\0')
	{
		strlcat(text, ": ", size);
		strlcat(text, stop_error, size);
	}
	else if (why->reason == PGHA_WHY_STOPPING_OLD)
	{
		strlcat(text, " (", size);
		strlcat(text, node.durable.leader_instance, size);
		strlcat(text, ")", size);
	}
}

/* One line in the log, one record in pgha.events. */
static void
tell(const char *kind, const char *what)
{
	ereport(LOG, (errmsg("pgha: %s", what)));
	strlcpy(last_change, what, sizeof(last_change));
	last_change_at = GetCurrentTimestamp();
	(void) PghaEventsAdd(kind, node.durable.claim.term, what);
}

static void
tell_event(const PghaWhy *why)
{
	char		what[400];

	why_text(why, what, sizeof(what));
	if (node.state == PGHA_PROMOTING && why->reason != PGHA_WHY_OLD_STOPPED)
	{
		char		cause[320];

		promotion_why = *why;
		strlcpy(cause, what, sizeof(cause));
		snprintf(what, sizeof(what), "promoting to primary of term %llu: %s",
				 (unsigned long long) node.durable.claim.term, cause);
	}
	else if (why->reason == PGHA_WHY_LEADING && promoted)
	{
		char		cause[200];
		char		times[160];

		why_text(&promotion_why, cause, sizeof(cause));
		PghaPromotionTimes(times, sizeof(times));
		snprintf(what, sizeof(what), "promoted to primary of term %llu on timeline %u (%s): %s",
				 (unsigned long long) node.durable.claim.term, node.local.timeline, cause, times);
	}
	else if (why->reason == PGHA_WHY_FOLLOWING)
		snprintf(what, sizeof(what), "follows \"%s\", primary of term %llu on timeline %u",
				 node.settings.name[why->member],
				 (unsigned long long) node.durable.claim.term, node.upstream_timeline);
	tell(pgha_reason_kind(why->reason), what);
}

/* ---- observing ---- */

static void
observe(PghaLocal *local, pgha_time now)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	TimeLineID	timeline = 0;

	memset(local, 0, sizeof(*local));
	local->in_recovery = RecoveryInProgress();
	local->crash_recovery = local->in_recovery && GetRecoveryState() == RECOVERY_STATE_CRASH;
	local->wal_end = PghaWalEnd(local->in_recovery, &timeline);
	local->timeline = timeline;
	local->upstream = PGHA_NOBODY;
	local->receiver = PGHA_RECEIVER_NONE;

	if (!local->in_recovery)
	{
		if (fork_timeline != timeline)
		{
			fork_timeline = timeline;
			fork_lsn = PghaForkOf(timeline);
		}
		local->fork_lsn = fork_lsn;
		PghaSyncRead(&config.members, &local->sync);
		return;
	}

	local->passive = PghaShmem->boot_passive;
	local->apply_delay = recovery_min_apply_delay > 0;
	local->agent = config.settings.fence && PghaAgentConnected(config.settings.name[config.settings.self]);
	local->replayed = GetXLogReplayRecPtr(NULL);
	local->receiver = PghaWalReceiverState();
	local->receiver_ended_clean = pg_atomic_read_u32(&receiver->ended_clean) != 0;
	local->receiver_heard = (pgha_time) pg_atomic_read_u64(&receiver->heard);
	if (local->receiver == PGHA_RECEIVER_STREAMING)
	{
		newest_valid = false;
		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		local->upstream = pgha_members_find(&config.members, receiver->upstream_name);
		LWLockRelease(PghaShmem->lock);
		SpinLockAcquire(&WalRcv->mutex);
		local->upstream_end = WalRcv->latestWalEnd;
		SpinLockRelease(&WalRcv->mutex);
	}
	else if (!newest_valid)
	{
		newest_timeline = PghaNewestTimeline();
		newest_valid = true;
	}
	local->newest_timeline = newest_timeline;

	if (local->receiver != PGHA_RECEIVER_NONE)
	{
		receiver_gone_since = 0;
		if (local->receiver == PGHA_RECEIVER_WAITING || connecting_since == 0)
			connecting_since = now;
	}
	else if (receiver_gone_since == 0)
	{
		receiver_gone_since = kicked_at = now;
		stream_refused = connecting_since != 0 && !receiver_ended &&
			now - connecting_since < REFUSED_INTERVAL;
		connecting_since = 0;
		receiver_ended = false;
	}
}

/*
 * The startup process may sleep up to wal_retrieve_retry_interval before it
 * asks for a new WAL receiver: cut that short.  But a receiver that ends as
 * soon as it begins to stream (its slot in use, WAL gone) is not hurried on.
 */
static void
kick_startup(pgha_time now)
{
	if (!node.local.in_recovery || receiver_gone_since == 0 ||
		PghaShmem->boot_passive != PGHA_ACTIVE)
		return;
	if (stream_refused ? now - kicked_at >= REFUSED_INTERVAL :
		now - receiver_gone_since < KICK_EAGER_TIME || now - kicked_at >= KICK_INTERVAL)
	{
		kicked_at = now;
		WakeupRecovery();
	}
}

/* ---- children ---- */

static void
set_error(Peer *p, const char *text)
{
	strlcpy(p->error, text, sizeof(p->error));
}

/* Sends what the member is to be asked next, starting its child if need be. */
static void
send_request(int member, pgha_time now)
{
	Peer	   *p = &peer[member];
	pgha_time	limit = Max(config.settings.failure_timeout / 3, 100000);
	const char *command;
	uint64		argument;

	if (p->child.request != 0 || p->failed || (!p->want_poll && p->want_history == 0))
		return;

	if (p->child.pid == 0)
	{
		char		conninfo[PGHA_CONNINFO_SIZE];

		if (now < p->retry_at && p->retry_at - now <= CHILD_RETRY)
		{
			p->failed = true;
			return;
		}
		if (!pgha_conninfo_build(conninfo, sizeof(conninfo), config.conninfo,
								 &config.members.member[member], PGHA_IO_NAME, NULL) ||
			!PghaChildStart(&p->child, conninfo))
		{
			ereport(LOG,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not start \"pgha io\": %m"),
					 errhint("Is the program pgha installed beside the server's executables?")));
			set_error(p, "could not start \"pgha io\"");
			p->retry_at = now + CHILD_RETRY;
			p->failed = true;
			return;
		}
		wait_set_stale = true;
	}

	p->asked_history = p->want_history != 0 && !p->want_poll;
	if (p->asked_history)
	{
		command = "history";
		argument = p->history_timeline = p->want_history;
		p->want_history = 0;
	}
	else
	{
		command = member == config.settings.self ? "check" : "report";
		argument = PghaEventsNewest(config.settings.name[member]);
		p->want_poll = false;
	}
	if (!PghaChildRequest(&p->child, command, argument, now, limit))
	{
		wait_set_stale = true;
		p->failed = true;
	}
}

static PghaContact
contact_of(const char *outcome)
{
	if (strcmp(outcome, "refused") == 0)
		return PGHA_CONTACT_REFUSED;
	if (strcmp(outcome, "silent") == 0)
		return PGHA_CONTACT_SILENT;
	if (strcmp(outcome, "starting") == 0)
		return PGHA_CONTACT_STARTING;
	return PGHA_CONTACT_ERROR;
}

static void
take_record(const PghaRecord *record, void *arg)
{
	(void) arg;
	(void) PghaEventsAddRemote(record);
}

/* Tells the core the outcome of the request under way. */
static void
deliver(int member, PghaContact contact, const PghaReport *report, const PghaHistory *history)
{
	Peer	   *p = &peer[member];
	PghaEvent	event = {.type = p->asked_history ? PGHA_EV_HISTORY : PGHA_EV_REPLY,
		.member = member, .contact = contact, .report = report, .history = history};

	p->asked_history = false;
	step(&event);
}

static void
take_answer(int member, const char *outcome, char *text)
{
	static PghaReport report;
	static PghaHistory history;
	Peer	   *p = &peer[member];

	if (strcmp(outcome, "ok") != 0)
	{
		set_error(p, text);
		deliver(member, contact_of(outcome), NULL, NULL);
	}
	else if (p->asked_history)
		deliver(member, PGHA_CONTACT_ANSWERED, NULL,
				pgha_history_parse(text, p->history_timeline, &history) ? &history : NULL);
	else if (!pgha_report_parse(text, &config.members, &report,
								member == config.settings.self ? NULL : take_record, NULL))
	{
		set_error(p, "the answer is not a report of pgha");
		deliver(member, PGHA_CONTACT_ERROR, NULL, NULL);
	}
	else
	{
		if (strcmp(report.node, config.settings.name[member]) != 0)
			snprintf(p->error, sizeof(p->error), "the server at this address calls itself \"%s\"",
					 report.node);
		else if (report.system_identifier != config.settings.system_identifier)
			set_error(p, "belongs to another database cluster: system identifiers differ");
		else if (report.config_hash != config.settings.config_hash &&
				 member != config.settings.self)
			set_error(p, "its pgha.* configuration differs from this node's");
		else
			p->error[0] = '\0';
		p->heard = GetCurrentTimestamp();
		deliver(member, PGHA_CONTACT_ANSWERED, &report, NULL);
	}
}

/* Reads all children, ends those that are late, sends what is to be sent. */
static void
tend_children(void)
{
	for (int i = 0; i < config.settings.count; i++)
	{
		Peer	   *p = &peer[i];
		pgha_time	now = pgha_clock_us();
		char	   *outcome;
		char	   *text;

		if (p->child.pid != 0 &&
			(p->readable || (p->child.request != 0 && now >= p->child.deadline)))
		{
			bool		busy = p->child.request != 0;

			p->readable = false;
			switch (PghaChildPoll(&p->child, &outcome, &text))
			{
				case PGHA_CHILD_REPLY:
					take_answer(i, outcome, text);
					break;
				case PGHA_CHILD_GONE:
					wait_set_stale = true;
					p->retry_at = now + CHILD_RETRY;
					if (busy)
					{
						/* Nothing was learnt: that must not look like silence. */
						set_error(p, "\"pgha io\" ended unexpectedly");
						deliver(i, PGHA_CONTACT_ERROR, NULL, NULL);
					}
					break;
				case PGHA_CHILD_NOTHING:
					if (p->child.request != 0 && now >= p->child.deadline)
					{
						PghaChildStop(&p->child);
						wait_set_stale = true;
						set_error(p, "\"pgha io\" did not answer in time");
						deliver(i, PGHA_CONTACT_SILENT, NULL, NULL);
					}
					break;
			}
		}
		if (p->failed && (p->child.pid != 0 || pgha_clock_us() >= p->retry_at))
		{
			/* As the program cannot run, nothing is known: that must not look like silence. */
			p->failed = false;
			deliver(i, PGHA_CONTACT_ERROR, NULL, NULL);
		}
		send_request(i, pgha_clock_us());
	}
}

static void
stop_children(void)
{
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		PghaChildStop(&peer[i].child);
	wait_set_stale = true;
}

/* ---- carrying out ---- */

/*
 * A decision that cannot be made durable must not be acted on.  A standby then
 * leaves the lead to others; anything else is decided anew by a new worker.
 */
static bool
write_state(void)
{
	if (written_valid && memcmp(&written, &node.durable, sizeof(written)) == 0)
		return true;
	if (!PghaStateWrite(&config.settings, &node.durable))
	{
		if (node.state == PGHA_PROMOTING && node.local.in_recovery)
			return false;
		ereport(FATAL,
				(errmsg("pgha could not make a decision durable, and starts over")));
	}
	written = node.durable;
	written_valid = true;
	return true;
}

static void
follow(int member, uint32 timeline)
{
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		slot[NAMEDATALEN] = "";

	if (node.upstream_slot)
		pgha_slot_name(config.settings.name[config.settings.self], slot);
	if (pgha_conninfo_build(conninfo, sizeof(conninfo), config.conninfo,
							&config.members.member[member],
							config.settings.name[config.settings.self], NULL))
		PghaWalReceiverOrder(member, config.settings.name[member], conninfo, timeline, slot);
}

/* False if the actions after this one must not be carried out. */
static bool
carry_out(const PghaAction *action)
{
	switch (action->type)
	{
		case PGHA_ACT_POLL:
			peer[action->member].want_poll = true;
			send_request(action->member, pgha_clock_us());
			break;
		case PGHA_ACT_FETCH_HISTORY:
			peer[action->member].want_history = action->timeline;
			send_request(action->member, pgha_clock_us());
			break;
		case PGHA_ACT_WRITE_STATE:
			return write_state();
		case PGHA_ACT_OPEN_GATE:
			PghaGateOpen();
			break;
		case PGHA_ACT_CLOSE_GATE:
			PghaGateClose();
			PghaGateDecided();
			break;
		case PGHA_ACT_SUSPEND_GATE:
			PghaGateSuspend();
			break;
		case PGHA_ACT_STOP_RECEIVER:
			PghaPromotionStopReceiver(pgha_clock_us());
			break;
		case PGHA_ACT_RELEASE_RECEIVER:
			PghaWalReceiverRelease();
			break;
		case PGHA_ACT_FOLLOW:
			follow(action->member, action->timeline);
			break;
		case PGHA_ACT_UNFOLLOW:
			receiver_ended = true;
			PghaWalReceiverRevoke();
			break;
		case PGHA_ACT_STOP_OLD:
			PghaStopGive(node.durable.leader_instance);
			break;
		case PGHA_ACT_FORGET_STOP:
			PghaStopForget();
			break;
		case PGHA_ACT_PROMOTE:
			(void) PghaEventsSync();
			PghaPromotionStart(action->parent, action->timeline, pgha_clock_us());
			break;
		case PGHA_ACT_FENCE:
			(void) PghaEventsSync();
			stop_children();
			PghaFence();
			break;
		case PGHA_ACT_EVENT:
			tell_event(&action->why);
			break;
	}
	return true;
}

/* Hands an event to the core and carries out what it answers. */
static void
step(const PghaEvent *event)
{
	PghaActions actions;
	PghaLocal	local;
	pgha_time	now = pgha_clock_us();
	PghaState	before = node.state;
	PghaDurable durable = node.durable;

	observe(&local, now);
	pgha_step(&node, event, &local, now, &actions);
	if (node.state != before)
	{
		state_since = GetCurrentTimestamp();
		promoted = before == PGHA_PROMOTING && node.state == PGHA_PRIMARY;
	}
	for (int i = 0; i < actions.count; i++)
	{
		if (!carry_out(&actions.action[i]))
		{
			PghaEvent	failure = {.type = PGHA_EV_NOT_DURABLE, .member = PGHA_NOBODY};

			node.durable = durable;
			step(&failure);
			return;
		}
	}
	promoted = false;

	/* A decision that leaves a gate shut that was not open: no commit need wait for another. */
	if (node.state != before && node.state == PGHA_PASSIVE && !local.in_recovery)
		PghaGateDecided();

	/* Members and agents read what is published: such news must not wait for the end of the round. */
	if (node.state != before || node.durable.paused != durable.paused)
	{
		publish();
		PghaAgentsWake();
	}
}

static void
tick(void)
{
	PghaEvent	event = {.type = PGHA_EV_TICK, .member = PGHA_NOBODY};

	step(&event);
}

static void
tend_promotion(void)
{
	PghaEvent	event = {.member = PGHA_NOBODY, .ok = true};

	switch (PghaPromotionPoll(pgha_clock_us()))
	{
		case PGHA_PROMOTION_IDLE:
		case PGHA_PROMOTION_BUSY:
			return;
		case PGHA_PROMOTION_STOPPED:
			event.type = PGHA_EV_RECEIVER_STOPPED;
			break;
		case PGHA_PROMOTION_DONE:
			event.type = PGHA_EV_PROMOTED;
			break;
		case PGHA_PROMOTION_FAILED:
			event.type = PGHA_EV_PROMOTED;
			event.ok = false;
			break;
	}
	step(&event);
}

/* Has the agent stopped the old primary's instance, or tried to? */
static void
tend_stop(void)
{
	PghaEvent	event = {.type = PGHA_EV_OLD_STOPPED, .member = node.stopping};
	char		message[sizeof(stop_error)];

	if (!PghaStopOutcome(&event.ok, message, sizeof(message)))
		return;

	/* The core tells of the first failure only; others may have another cause. */
	if (!event.ok && stop_error[0] != '\0' && strcmp(message, stop_error) != 0)
		ereport(LOG, (errmsg("pgha: the instance could not be stopped: %s", message)));
	strlcpy(stop_error, event.ok ? "" : message, sizeof(stop_error));
	step(&event);
}

static void
tend_orders(void)
{
	PghaAnswer	answer;
	uint64		number;
	PghaOrderKind kind = PghaOrderTake(&number);
	PghaEvent	event = {.member = PGHA_NOBODY};

	if (kind == PGHA_ORDER_NONE)
		return;
	memset(&answer, 0, sizeof(answer));
	switch (kind)
	{
		case PGHA_ORDER_NONE:
			return;
		case PGHA_ORDER_PAUSE:
		case PGHA_ORDER_RESUME:
			event.type = PGHA_EV_PAUSE;
			event.flag = kind == PGHA_ORDER_PAUSE;
			step(&event);
			answer.pause_generation = node.durable.pause_generation;
			break;
		case PGHA_ORDER_PROMOTE:
		case PGHA_ORDER_PROMOTE_FORCE:
			{
				PghaWhy		why;

				event.type = PGHA_EV_PROMOTE;
				event.flag = kind == PGHA_ORDER_PROMOTE_FORCE;
				why = pgha_promote_refusal(&node, event.flag, pgha_clock_us());
				answer.refused = why.reason != PGHA_WHY_NONE;
				if (answer.refused)
					why_text(&why, answer.message, sizeof(answer.message));
				else
					step(&event);
				break;
			}
	}
	PghaOrderAnswer(number, &answer);
}

/* What agents want to see in pgha.events. */
static void
tend_agents(void)
{
	PghaQueuedEvent event;

	while (PghaAgentsNextEvent(&event))
	{
		ereport(LOG, (errmsg("pgha agent: %s", event.what)));
		(void) PghaEventsAdd(event.kind, node.durable.claim.term, event.what);
	}
}

/* Once in heartbeat_interval: a sign of life in the stream, and the slots. */
static void
tend_heartbeat(pgha_time now)
{
	PghaMemberNeed need[PGHA_MAX_MEMBERS];

	if (now < heartbeat_at && heartbeat_at - now <= config.settings.heartbeat_interval)
		return;
	heartbeat_at = now + config.settings.heartbeat_interval;
	PghaWalReceiverHeartbeat();

	/* The startup process must have restored the slots from disk before. */
	if (PghaShmem->boot_passive != PGHA_ACTIVE ||
		(node.local.in_recovery && !HotStandbyActive()))
		return;
	for (int i = 0; i < config.settings.count; i++)
	{
		const PghaMember *m = &node.member[i];

		need[i].known = m->heard != 0 && !m->report.diverged &&
			m->report.system_identifier == config.settings.system_identifier;
		need[i].lsn = m->report.wal_end;
	}
	slots = PghaSlotsMaintain(&config.settings, need);
}

/* ---- showing ---- */

/* The member believed to lead, this one included. */
static int
leader_seen(void)
{
	int			leader = PGHA_NOBODY;

	if (!node.local.in_recovery && node.posted)
		return config.settings.self;
	for (int i = 0; i < config.settings.count; i++)
	{
		const PghaMember *m = &node.member[i];

		if (i == config.settings.self || m->contact != PGHA_CONTACT_ANSWERED ||
			m->report.in_recovery || !m->report.posted ||
			m->report.system_identifier != config.settings.system_identifier)
			continue;
		if (leader == PGHA_NOBODY ||
			pgha_claim_compare(&m->report.claim, &node.member[leader].report.claim) > 0)
			leader = i;
	}
	return leader;
}

static void
publish(void)
{
	static PghaView view;

	memset(&view, 0, sizeof(view));
	view.valid = true;
	view.published = pgha_clock_us();
	view.state = node.state;
	why_text(&node.why, view.reason, sizeof(view.reason));
	view.bar = node.bar;
	view.passive = node.passive;
	view.posted = node.posted;
	view.durable = node.durable;
	view.leader = leader_seen();
	if (view.leader != PGHA_NOBODY)
		strlcpy(view.leader_name, config.settings.name[view.leader], PGHA_NAME_SIZE);
	view.state_since = state_since;
	strlcpy(view.last_change, last_change, sizeof(view.last_change));
	view.last_change_at = last_change_at;
	strlcpy(view.config_error, config_error, sizeof(view.config_error));
	view.settings = config.settings;
	view.members = config.members;
	view.slots = slots;
	for (int i = 0; i < config.settings.count; i++)
	{
		PghaMemberView *m = &view.member[i];
		const PghaAddress *address = &config.members.member[i];

		strlcpy(m->name, config.settings.name[i], sizeof(m->name));
		snprintf(m->address, sizeof(m->address),
				 strchr(address->host, ':') ? "[%s]:%d" : "%s:%d", address->host, address->port);
		m->contact = node.member[i].contact;
		strlcpy(m->error, peer[i].error, sizeof(m->error));
		m->heard = peer[i].heard;
		m->known = node.member[i].heard != 0;
		m->report = node.member[i].report;
	}

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	memcpy(&PghaShmem->view, &view, sizeof(view));
	LWLockRelease(PghaShmem->lock);
}

static void
show_title(void)
{
	static char shown[256];
	char		title[256];
	char		reason[200];

	why_text(&node.why, reason, sizeof(reason));
	snprintf(title, sizeof(title), "%s: %s", pgha_state_name(node.state), reason);
	if (strcmp(title, shown) == 0)
		return;
	strlcpy(shown, title, sizeof(shown));
	set_ps_display(title);
}

/* ---- configuration ---- */

/* Of members that stay it is still known when they were heard; children start anew. */
static void
renumber_peers(const PghaMembers *members)
{
	TimestampTz heard[PGHA_MAX_MEMBERS] = {0};

	for (int i = 0; i < members->count; i++)
	{
		int			was = pgha_members_find(&config.members, members->member[i].name);

		if (was != PGHA_NOBODY)
			heard[i] = peer[was].heard;
	}
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		memset(&peer[i], 0, sizeof(peer[i]));
		PghaChildInit(&peer[i].child);
		peer[i].heard = heard[i];
	}
}

/* Takes the set in the files if it is valid; keeps the one in force if not. */
static void
configure(void)
{
	PghaConfig	next;
	char		hint[512];

	if (!PghaConfigBuild(&next, PghaShmem->instance, config_error, sizeof(config_error), hint, sizeof(hint)))
	{
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgha configuration is not valid, the former one stays in force: %s",
						config_error),
				 errhint("%s", hint)));
		return;
	}
	config_error[0] = '\0';
	PghaShmem->config = next;
	if (memcmp(&next.members, &config.members, sizeof(next.members)) != 0 ||
		strcmp(next.conninfo, config.conninfo) != 0)
	{
		stop_children();
		renumber_peers(&next.members);
		config = next;
		pgha_node_configure(&node, &next.settings);
		if (node.stopping == PGHA_NOBODY)
			PghaStopForget();
		if (node.upstream != PGHA_NOBODY)
			follow(node.upstream, node.upstream_timeline);
		else
			PghaWalReceiverRevoke();
	}
	else
	{
		config = next;
		node.settings = next.settings;
	}
}

/* ---- the loop ---- */

static void
build_wait_set(void)
{
	if (wait_set != NULL)
		FreeWaitEventSet(wait_set);
	wait_set = compat_wait_event_set(PGHA_MAX_MEMBERS + 2);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < config.settings.count; i++)
	{
		if (peer[i].child.fd >= 0)
			AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, peer[i].child.fd, NULL, &peer[i]);
	}
	wait_set_stale = false;
}

/* When there is something to do without being woken. */
static pgha_time
next_time(pgha_time now)
{
	pgha_time	next = Min(node.wake_at, heartbeat_at);

	if (node.local.in_recovery && PghaWalReceiverEnding())
		next = Min(next, now + 1000);
	if (node.state == PGHA_PROMOTING)
		return now + (now - node.state_since < PROMOTION_EAGER_TIME ? 1000 : 20000);
	if (node.local.in_recovery && receiver_gone_since != 0 &&
		PghaShmem->boot_passive == PGHA_ACTIVE)
		next = Min(next, now + (!stream_refused && now - receiver_gone_since < KICK_EAGER_TIME ? 1000 : KICK_INTERVAL));
	for (int i = 0; i < config.settings.count; i++)
	{
		if (peer[i].child.request != 0)
			next = Min(next, peer[i].child.deadline);
		if (peer[i].failed)
			next = Min(next, peer[i].retry_at);
	}
	return Max(next, now);
}

static void
wait_for_something(void)
{
	WaitEvent	events[PGHA_MAX_MEMBERS + 2];
	pgha_time	now = pgha_clock_us();
	long		timeout = (long) ((next_time(now) - now + 999) / 1000);
	int			count;

	if (wait_set_stale)
		build_wait_set();
	count = WaitEventSetWait(wait_set, timeout, events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < count; i++)
	{
		if (events[i].user_data != NULL)
			((Peer *) events[i].user_data)->readable = true;
	}
	ResetLatch(MyLatch);
}

static void
monitor_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	stop_children();
	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	PghaShmem->monitor_latch = NULL;
	PghaShmem->monitor_pid = 0;
	LWLockRelease(PghaShmem->lock);
}

static void
start(void)
{
	PghaDurable durable;
	char		hint[512];

	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		PghaChildInit(&peer[i].child);
	before_shmem_exit(monitor_exit, (Datum) 0);
	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	PghaShmem->monitor_latch = MyLatch;
	PghaShmem->monitor_pid = MyProcPid;
	LWLockRelease(PghaShmem->lock);

	/* A former worker may have left it open, or the receiver stopped. */
	PghaGateSuspend();
	PghaWalReceiverForget();
	PghaWalReceiverRelease();
	PghaStopForget();

	if (PghaConfigBuild(&config, PghaShmem->instance, config_error, sizeof(config_error), hint, sizeof(hint)))
		PghaShmem->config = config;
	else
	{
		/* The last valid one: a former worker's, or the one that the server started with. */
		config = PghaShmem->config.members.count > 0 ? PghaShmem->config : *PghaBootConfig();
		config.settings.instance = PghaShmem->instance;
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgha configuration is not valid, the former one stays in force: %s",
						config_error),
				 errhint("%s", hint)));
	}
	(void) PghaEventsOpen(config.settings.name[config.settings.self]);
	written_valid = PghaStateRead(&config.settings, &durable) == PGHA_STATE_READ;
	written = durable;
	pgha_node_init(&node, &config.settings, &durable, pgha_clock_us());
	state_since = GetCurrentTimestamp();
}

void
PghaMonitorMain(Datum arg)
{
	(void) arg;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGPIPE, SIG_IGN);
	BackgroundWorkerUnblockSignals();

	start();
	loop_context = AllocSetContextCreate(TopMemoryContext, "pgha monitor",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(loop_context);
	for (;;)
	{
		MemoryContextReset(loop_context);
		if (ShutdownRequestPending)
			proc_exit(1);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			configure();
		}
		CHECK_FOR_INTERRUPTS();

		tick();
		tend_orders();
		tend_agents();
		tend_stop();
		tend_children();
		tend_promotion();
		tend_heartbeat(pgha_clock_us());
		kick_startup(pgha_clock_us());
		publish();
		show_title();
		wait_for_something();
	}
}

void
PghaMonitorInit(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	strlcpy(worker.bgw_name, "pgha monitor", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgha monitor", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "pgha", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "PghaMonitorMain", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}
