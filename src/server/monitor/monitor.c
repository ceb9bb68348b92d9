/*
 * monitor.c
 *		The background worker that watches and acts.
 *
 * One loop: observe the server (observe.c), take what the io children say
 * (peers.c), hand both to the core (core/step.c), carry out what it answers
 * (act.c) and show it (tell.c).  The core decides; nothing here does.  The loop
 * waits on one WaitEventSet (its latch and the children's sockets) and blocks on
 * nothing but short local fsyncs.
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

#include "access/xlogrecovery.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../../common/passfile.h"
#include "../../core/claim.h"
#include "../../core/election.h"
#include "../../core/members.h"
#include "../../core/rule.h"
#include "../../core/step.h"
#include "../../core/switchover.h"
#include "../agents.h"
#include "../archive.h"
#include "../boot.h"
#include "../compat.h"
#include "../config_files.h"
#include "../config_votes.h"
#include "../confirm.h"
#include "../events.h"
#include "../gate.h"
#include "../host.h"
#include "../orders.h"
#include "../promote.h"
#include "../shmem.h"
#include "../slots.h"
#include "../sync.h"
#include "../walreceiver.h"
#include "../witness.h"
#include "absent.h"
#include "act.h"
#include "cluster.h"
#include "context.h"
#include "monitor.h"
#include "observe.h"
#include "peers.h"
#include "tell.h"

/* The end of a promotion is looked for often at first, then less so. */
#define PROMOTION_EAGER_TIME	2000000

static PghaMonitor monitor;
static pgha_time heartbeat_at = 0;
static uint64 ordered = 0;		/* the last switchover that a session has ordered, and not called off; 0: none */
static bool receiver_held = false;	/* a former monitor's order to stop it is still in force */
static pgha_time news_at = PG_INT64_MAX;	/* somebody may be asked for news then */
static MemoryContext loop_context;	/* reset after each round */

/* Hands an event to the core and carries out what it answers. */
static void
step(const PghaEvent *event)
{
	PghaActions actions;
	PghaLocal	local;
	pgha_time	now = pgha_clock_us();
	PghaState	before = monitor.node.state;
	bool		open = monitor.node.gate_open;
	PghaDurable durable = monitor.node.durable;
	uint64		beat = monitor.node.voting.beat;
	uint64		candidacy = monitor.node.voting.candidacy;

	PghaObserve(&monitor.config, now, &local);
	pgha_step(&monitor.node, event, &local, now, &actions);
	PghaConfirmSet(&monitor.node, &monitor.config.members);
	if (monitor.node.state != before)
	{
		monitor.state_since = GetCurrentTimestamp();
		monitor.promoted = before == PGHA_PROMOTING && monitor.node.state == PGHA_PRIMARY;
	}
	for (int i = 0; i < actions.count; i++)
	{
		if (!PghaAct(&monitor, &actions.action[i]))
		{
			PghaEvent	failure = {.type = PGHA_EV_NOT_DURABLE, .member = PGHA_NOBODY};

			monitor.node.durable = durable;
			step(&failure);
			return;
		}
	}
	monitor.promoted = false;
	PghaActAlive(&monitor);

	/* A rule may have come into force here just now. */
	PghaConfigKeepVoters(&monitor.config, &monitor.node.durable);
	monitor.node.settings.voters = monitor.config.settings.voters;

	/* A decision that leaves a gate shut that was not open: no commit need wait for another. */
	if (monitor.node.state != before && monitor.node.state == PGHA_PASSIVE && !local.in_recovery)
		PghaGateDecided();

	/* Members and agents read what is published: such news must not wait for the end of the round. */
	if (monitor.node.state != before || memcmp(&monitor.node.durable, &durable, sizeof(durable)) != 0 ||
		monitor.node.voting.beat != beat || monitor.node.voting.candidacy != candidacy)
		PghaPublish(&monitor);
	if (monitor.node.state != before || monitor.node.gate_open != open || monitor.node.durable.paused != durable.paused)
		PghaAgentsWake();
}

static void
tick(void)
{
	PghaEvent	event = {.type = PGHA_EV_TICK, .member = PGHA_NOBODY};

	step(&event);
}

/*
 * Under quorum each member always has a question of this node's, which it answers
 * as soon as it has news: a vote is read as soon as it is given.  Returns when to
 * look again.
 */
static pgha_time
tend_news(pgha_time now)
{
	pgha_time	next = PG_INT64_MAX;

	if (!pgha_in_force(&monitor.node))
		return next;
	for (int i = 0; i < monitor.config.settings.voters; i++)
	{
		pgha_time	due = PghaPeersFree(&monitor.config, i);

		if (i == monitor.config.settings.self || monitor.node.member[i].contact != PGHA_CONTACT_ANSWERED)
			continue;
		if (due > now)
			next = Min(next, due);
		else if (pgha_ask_meanwhile(&monitor.node, i, now))
			PghaPeersPoll(&monitor.config, i, PghaPatienceOf(&monitor.node, false));
	}
	return next;
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
	PghaEvent	event = {.type = PGHA_EV_OLD_STOPPED, .member = monitor.node.stopping};
	char		message[256];

	if (!PghaStopOutcome(&event.ok, message, sizeof(message)))
		return;
	PghaTellStop(event.ok, message);
	step(&event);
}

static void
order_switchover(uint64 number, const char *target, pid_t by, PghaAnswer *answer)
{
	PghaEvent	event = {.type = PGHA_EV_SWITCHOVER, .member = PGHA_NOBODY};
	PghaWhy		why;

	if (target[0] != '\0')
		event.member = pgha_members_find(&monitor.config.members, target);
	if (target[0] != '\0' && event.member == PGHA_NOBODY)
		why = pgha_because(PGHA_WHY_NO_TARGET, PGHA_NOBODY);	/* the files have changed meanwhile */
	else
		why = pgha_switchover_refusal(&monitor.node, event.member, pgha_clock_us());
	answer->refused = why.reason != PGHA_WHY_NONE;
	answer->reason = why.reason;
	if (answer->refused)
		PghaWhyText(&monitor.node, &why, answer->message, sizeof(answer->message));
	else if (PghaOrderAdopt(number, by))
	{
		step(&event);
		ordered = monitor.node.voting.handovers;
	}
	answer->handover = monitor.node.voting.handovers;
}

/* Does the session that has ordered the switchover under way still want it? */
static void
tend_call_off(void)
{
	PghaEvent	event = {.type = PGHA_EV_SWITCHOVER, .member = PGHA_NOBODY, .flag = true};

	if (ordered == 0 || !PghaOrderCalledOff())
		return;
	if (ordered == monitor.node.voting.handovers)
		step(&event);
	ordered = 0;
}

static void
tend_orders(void)
{
	PghaAnswer	answer;
	uint64		number;
	char		target[PGHA_NAME_SIZE];
	pid_t		by;
	PghaOrderKind kind = PghaOrderTake(&number, target, &by);
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
			answer.pause_generation = monitor.node.durable.pause_generation;
			break;
		case PGHA_ORDER_PROMOTE:
		case PGHA_ORDER_PROMOTE_FORCE:
			{
				PghaWhy		why;

				event.type = PGHA_EV_PROMOTE;
				event.flag = kind == PGHA_ORDER_PROMOTE_FORCE;
				why = pgha_promote_refusal(&monitor.node, event.flag, pgha_clock_us());
				answer.refused = why.reason != PGHA_WHY_NONE;
				answer.too_low = why.reason == PGHA_WHY_BARRED && why.bar == PGHA_BAR_TOO_LOW;
				if (answer.refused)
				{
					PghaWhyText(&monitor.node, &why, answer.message, sizeof(answer.message));
					answer.force_helps = !event.flag &&
						pgha_promote_refusal(&monitor.node, true, pgha_clock_us()).reason == PGHA_WHY_NONE;
				}
				else
					step(&event);
				break;
			}
		case PGHA_ORDER_SWITCHOVER:
			order_switchover(number, target, by, &answer);
			break;
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
		ereport(PghaEventLevel(event.kind), (errmsg("pgha agent: %s", event.what)));
		(void) PghaEventsAdd(event.kind, monitor.node.durable.claim.term, event.what);
	}
}

/* Once in heartbeat_interval: a sign of life in the stream, and the slots. */
static void
tend_heartbeat(pgha_time now)
{
	PghaMemberNeed need[PGHA_MAX_MEMBERS];

	if (now < heartbeat_at && heartbeat_at - now <= monitor.config.settings.heartbeat_interval)
		return;
	heartbeat_at = now + monitor.config.settings.heartbeat_interval;
	PghaWalReceiverHeartbeat();
	PghaAbsentTend(&monitor, now);

	/* Nobody streams from a witness. */
	if (PghaIsWitness())
		return;

	/* The startup process must have restored the slots from disk before. */
	if (PghaShmem->boot_passive != PGHA_ACTIVE ||
		(monitor.node.local.in_recovery && !HotStandbyActive()))
		return;
	for (int i = 0; i < monitor.config.settings.count; i++)
	{
		const PghaMember *m = &monitor.node.member[i];

		need[i].known = m->heard != 0 && !m->report.diverged &&
			m->report.system_identifier == monitor.config.settings.system_identifier;
		need[i].follows = need[i].known && m->contact == PGHA_CONTACT_ANSWERED &&
			pgha_claim_compare(&m->report.claim, &monitor.node.durable.claim) == 0;
		need[i].lsn = m->report.wal_end;
	}
	monitor.slots = PghaSlotsMaintain(&monitor.config.settings, need);
}

/*
 * Which timelines the archive has is asked ahead, by a standby with nothing else
 * to do: nothing may hold up a promotion.
 */
static bool
asks_archive(void)
{
	return monitor.node.local.in_recovery && PghaShmem->boot_passive == PGHA_ACTIVE &&
		monitor.node.state != PGHA_CANDIDATE && monitor.node.state != PGHA_PROMOTING;
}

static void
tend_archive(pgha_time now)
{
	if (asks_archive())
		PghaArchiveTend(monitor.node.local.timeline,
						pgha_newest_timeline(&monitor.node), monitor.config.settings.count, now);
	else if (!monitor.node.local.in_recovery)
		PghaArchiveStop();
}

/* ---- configuration ---- */

/* What is told of other settings than pgha's own. */
static void
warn_of_names(void)
{
	if (pgha_takes_part(&monitor.node))
		PghaSyncWarn(&monitor.config.members);
}

/* libpq says it at each connection, and is not heard; here it is said when it begins. */
static void
warn_of_passfile(void)
{
	static char told[400] = "";
	char		error[sizeof(told)] = "";

	if (pgha_passfile_is_open(monitor.config.conninfo, error, sizeof(error)) && strcmp(error, told) != 0)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pgha: %s", error),
				 errhint("Run \"chmod 0600\" on it, as the user that runs the server, and reload.")));
	strlcpy(told, error, sizeof(told));
}

/* What would be found out by the next start, which may be the one after a crash, is said now. */
static void
check_files(void)
{
	char		error[sizeof(monitor.start_error)];

	if (!PghaConfigFilesGood(pgha_node, &monitor.config.members, error, sizeof(error)) && strcmp(error, monitor.start_error) != 0)
		ereport(LOG,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pgha: the next start of this server would be refused: %s", error),
				 errhint("Correct or remove the line, and reload.")));
	strlcpy(monitor.start_error, error, sizeof(monitor.start_error));
}

/* Takes the set in the files if it is valid; keeps the one in force if not. */
static void
configure(void)
{
	PghaConfig	next;
	char		hint[512];

	if (!PghaConfigBuild(&next, PghaShmem->instance, monitor.config_error, sizeof(monitor.config_error),
						 hint, sizeof(hint)))
	{
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgha configuration is not valid, the former one stays in force: %s",
						monitor.config_error),
				 errhint("%s", hint)));
		return;
	}
	monitor.config_error[0] = '\0';
	PghaConfigKeepVoters(&next, &monitor.node.durable);
	PghaConfigKeepLeaving(&next.members, &next.settings, &monitor.config.members, &monitor.node);
	PghaShmem->config = next;
	if (memcmp(&next.members, &monitor.config.members, sizeof(next.members)) != 0 ||
		strcmp(next.conninfo, monitor.config.conninfo) != 0)
	{
		PghaPeersRenumber(&monitor.config.members, &next.members);
		monitor.config = next;
		pgha_node_configure(&monitor.node, &next.settings);
		if (monitor.node.stopping == PGHA_NOBODY)
			PghaStopForget();
		if (monitor.node.upstream != PGHA_NOBODY)
			PghaActFollow(&monitor, monitor.node.upstream, monitor.node.upstream_timeline);
		else
			PghaWalReceiverRevoke();
	}
	else
	{
		monitor.config = next;
		monitor.node.settings = next.settings;
	}
}

/* Who has left the vote, after the files, need not be asked any more; files that cannot be used wait for a reload. */
static bool
somebody_has_left(void)
{
	const PghaSettings *settings = &monitor.config.settings;

	if (monitor.config_error[0] != '\0')
		return false;
	for (int i = settings->voters - settings->leaving; i < settings->voters; i++)
		if (!pgha_is_needed(&monitor.node, settings->name[i]))
			return true;
	return false;
}

/* ---- the loop ---- */

/* When there is something to do without being woken. */
static pgha_time
next_time(pgha_time now)
{
	pgha_time	next = Min(Min(monitor.node.wake_at, heartbeat_at), news_at);

	if (monitor.node.local.in_recovery && PghaWalReceiverEnding())
		next = Min(next, now + 1000);
	if (monitor.node.voting.receiver == PGHA_STOP_ORDERED)
		next = Min(next, now + 1000);
	if (receiver_held)
		next = Min(next, now + 20000);
	if (monitor.node.state == PGHA_PROMOTING)
		return now + (now - monitor.node.state_since < PROMOTION_EAGER_TIME ? 1000 : 20000);
	next = Min(next, PghaKickDue(&monitor.node.local, now));
	next = Min(next, PghaPeersDue(&monitor.config));
	if (asks_archive())
		next = Min(next, PghaArchiveDue(now));
	return Max(next, now);
}

/* The receiver that a former monitor has stopped for a vote may be let go when it has really ended. */
static void
tend_receiver(void)
{
	if (!receiver_held)
		return;

	/* The core has ordered it itself meanwhile, and knows when. */
	if (monitor.node.voting.receiver != PGHA_NOT_STOPPED || monitor.node.state == PGHA_PROMOTING)
		receiver_held = false;
	else if (PghaWalReceiverStopped())
	{
		receiver_held = false;
		PghaWalReceiverRelease();
	}
}

/* Who has ordered a switchover waits to see in what is published that it cannot be taken back. */
static void
tell_release(void)
{
	static uint64 told = 0;

	if (monitor.node.voting.released != told && monitor.node.voting.released != 0)
		ConditionVariableBroadcast(&PghaShmem->order.done);
	told = monitor.node.voting.released;
}

static void
wait_for_something(void)
{
	pgha_time	now = pgha_clock_us();
	pgha_time	next = Min(next_time(now), PghaActWayDown(now));

	PghaPeersWait(&monitor.config, (long) ((Max(next, now) - now + 999) / 1000));
}

static void
monitor_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	PghaGateLeave();
	PghaPeersStop();
	PghaArchiveStop();
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

	PghaPeersInit(step);
	before_shmem_exit(monitor_exit, (Datum) 0);
	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	PghaShmem->monitor_latch = MyLatch;
	PghaShmem->monitor_pid = MyProcPid;
	LWLockRelease(PghaShmem->lock);

	/* A former worker may have left it open, or the receiver stopped. */
	PghaGateSuspend();
	PghaWalReceiverForget();
	PghaStopForget();

	if (PghaConfigBuild(&monitor.config, PghaShmem->instance, monitor.config_error, sizeof(monitor.config_error),
						hint, sizeof(hint)))
		PghaShmem->config = monitor.config;
	else
	{
		/* The last valid one: a former worker's, or the one that the server started with. */
		monitor.config = PghaShmem->config.members.count > 0 ? PghaShmem->config : *PghaBootConfig();
		monitor.config.settings.instance = PghaShmem->instance;
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgha configuration is not valid, the former one stays in force: %s",
						monitor.config_error),
				 errhint("%s", hint)));
	}
	(void) PghaEventsOpen(monitor.config.settings.name[monitor.config.settings.self]);
	PghaActInit(&monitor.config.settings, &durable);

	/* A vote was given: what still streams from before must not acknowledge any more. */
	receiver_held = durable.vote_open && !durable.forgot;
	if (!receiver_held)
		PghaWalReceiverRelease();
	PghaConfigKeepVoters(&monitor.config, &durable);
	PghaClusterRecall(&monitor);
	pgha_node_init(&monitor.node, &monitor.config.settings, &durable, pgha_clock_us());

	/* A voter may still have to answer to a beat of a former monitor, and means that one. */
	monitor.node.voting.beat = PghaShmem->beat;
	monitor.state_since = GetCurrentTimestamp();
	check_files();
	warn_of_passfile();
	warn_of_names();
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
			check_files();
			warn_of_passfile();
			warn_of_names();
		}
		else if (somebody_has_left())
			configure();
		CHECK_FOR_INTERRUPTS();

		tick();
		tend_call_off();
		tend_orders();
		tend_agents();
		tend_stop();
		PghaPeersTend(&monitor.config);
		news_at = tend_news(pgha_clock_us());
		PghaClusterTend(&monitor);
		tend_promotion();
		tend_receiver();
		tend_heartbeat(pgha_clock_us());
		tend_archive(pgha_clock_us());
		PghaKickStartup(&monitor.node.local, pgha_clock_us());
		PghaPublish(&monitor);
		tell_release();
		PghaShowTitle(&monitor.node);
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
