/*
 * act.c
 *		Carrying out what the core decides.
 *
 * For monitor.c, in the monitor's process only.  An action is done when
 * PghaAct() returns, but for those that take time: promotion, asking a member,
 * stopping an instance, whose outcome the loop looks for.  FATAL, or the end of
 * the process, where going on would be wrong.
 */
#include "postgres.h"

#include "../../common/clock.h"
#include "../events.h"
#include "../fence.h"
#include "../gate.h"
#include "../host.h"
#include "../orders.h"
#include "../promote.h"
#include "../shmem.h"
#include "../slots.h"
#include "../state.h"
#include "../walreceiver.h"
#include "act.h"
#include "observe.h"
#include "peers.h"
#include "tell.h"

/* A node that is to be called again so soon has something to decide. */
#define URGENT_INTERVAL		20000

/* So long the session that has ordered a switchover has for its answer, which takes it a thousandth of that. */
#define ANSWER_TIME			500000

static PghaDurable written;		/* what pgha.state holds */
static PghaSettings written_with;	/* its sets of members are names there, bits of these settings here */
static bool written_valid = false;
static pgha_time down_at = 0;	/* when the server that has let go is shut down at the latest; 0: it is not to be */
static bool promotion_given = false;	/* PostgreSQL will end recovery, whatever is decided now */

void
PghaActInit(const PghaSettings *settings, PghaDurable *durable)
{
	PghaStateFile file = PghaStateRead(settings, durable);

	/* Damaged or removed while the server runs: a former worker has published what it held. */
	if (file != PGHA_STATE_READ)
	{
		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		if (PghaShmem->view.valid)
			*durable = PghaShmem->view.durable;
		LWLockRelease(PghaShmem->lock);
	}

	/* A former monitor may have ended as it could not make durable what is read here. */
	if (file == PGHA_STATE_READ && !PghaStateSync())
		ereport(FATAL,
				(errmsg("pgha could not make sure of what it remembers, and starts over")));
	written_valid = file == PGHA_STATE_READ;
	written = *durable;
	written_with = *settings;
}

/* Do the same bits stand for the same members of the same cluster as when pgha.state was written? */
static bool
same_members(const PghaSettings *settings)
{
	return settings->count == written_with.count &&
		settings->system_identifier == written_with.system_identifier &&
		memcmp(settings->name, written_with.name, sizeof(settings->name)) == 0;
}

/*
 * A decision that cannot be made durable must not be acted on.  A standby then
 * leaves the lead to others, while PostgreSQL has not been told to promote;
 * anything else is decided anew by a new worker.
 */
static bool
write_state(const PghaMonitor *monitor)
{
	if (written_valid && same_members(&monitor->config.settings) && memcmp(&written, &monitor->node.durable, sizeof(written)) == 0)
		return true;
	if (!PghaStateWrite(&monitor->config.settings, &monitor->node.durable))
	{
		/* The new file may be in place, unsynced: what is on disk must be written again, whatever it is. */
		written_valid = false;
		if (monitor->node.state == PGHA_PROMOTING && monitor->node.local.in_recovery && !promotion_given)
			return false;
		ereport(FATAL,
				(errmsg("pgha could not make a decision durable, and starts over")));
	}
	written = monitor->node.durable;
	written_with = monitor->config.settings;
	written_valid = true;
	return true;
}

void
PghaActFollow(const PghaMonitor *monitor, int member, uint32 timeline)
{
	const PghaConfig *config = &monitor->config;
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		slot[NAMEDATALEN] = "";

	if (monitor->node.upstream_slot)
		pgha_slot_name(config->settings.name[config->settings.self], slot);
	if (pgha_conninfo_build(conninfo, sizeof(conninfo), config->conninfo,
							&config->members.member[member],
							config->settings.name[config->settings.self], NULL))
		PghaWalReceiverOrder(member, config->settings.name[member], conninfo, timeline, slot);
}

PghaPatience
PghaPatienceOf(const PghaNode *node, bool fresh)
{
	/* Where nobody votes no answer is waited for. */
	if (!pgha_in_force(node))
		return PGHA_AT_ONCE;
	if (node->wake_at - node->stepped > URGENT_INTERVAL)
		return PGHA_WHEN_CHANGED;
	return fresh ? PGHA_AT_ONCE : PGHA_SOON;
}

/*
 * The dead-man's switch.  A step that begins within failure_timeout of the last
 * one pushes the deadline on; they are a quarter of that apart at most.  Not
 * sooner: a slow fsync of pgha.state, or a host that is overloaded for a moment,
 * must not hold up commits; the core does not take less for a sleep of its own,
 * either.  Not later: after as long without a sign of life a standby may take
 * over, and the core, once it goes on, asks the members before it opens the
 * gate again.
 */
static pgha_time
alive_until(const PghaMonitor *monitor)
{
	return monitor->node.stepped + monitor->config.settings.failure_timeout;
}

void
PghaActAlive(const PghaMonitor *monitor)
{
	/* Also when quorum has begun in this step with the gate open. */
	if (pgha_in_force(&monitor->node))
		PghaGateLease(monitor->node.voting.gate_deadline);
	PghaGateAlive(alive_until(monitor));
}

bool
PghaAct(const PghaMonitor *monitor, const PghaAction *action)
{
	if (monitor->node.state != PGHA_PROMOTING)
		promotion_given = false;
	switch (action->type)
	{
		case PGHA_ACT_POLL:
			PghaPeersPoll(&monitor->config, action->member, PghaPatienceOf(&monitor->node, true));
			break;
		case PGHA_ACT_FETCH_HISTORY:
			PghaPeersFetchHistory(&monitor->config, action->member, action->timeline);
			break;
		case PGHA_ACT_COMPARE_WAL:
			PghaPeersCompareWal(&monitor->config, action->member, action->timeline, action->begin, action->end);
			break;
		case PGHA_ACT_WRITE_STATE:
			return write_state(monitor);
		case PGHA_ACT_OPEN_GATE:
			PghaGateOpen(pgha_in_force(&monitor->node), alive_until(monitor));
			break;
		case PGHA_ACT_CLOSE_GATE:
			PghaGateClose();
			PghaGateDecided();
			break;
		case PGHA_ACT_SUSPEND_GATE:
			PghaGateSuspend();
			break;
		case PGHA_ACT_LEASE:
			/* Without quorum it is the dead-man's switch alone. */
			if (pgha_in_force(&monitor->node))
				PghaGateLease(action->until);
			else
				PghaGateAlive(action->until);
			break;
		case PGHA_ACT_BECOME_STANDBY:
			/* It has let go, durably: a new worker tries to step down. */
			if (!PghaWriteStandbySignal())
				ereport(FATAL,
						(errmsg("pgha could not prepare a switchover, and starts over")));
			break;
		case PGHA_ACT_HAND_OVER:
			(void) PghaEventsSync();
			if (down_at == 0)
				down_at = pgha_clock_us() + ANSWER_TIME;
			break;
		case PGHA_ACT_STOP_RECEIVER:
			PghaPromotionStopReceiver(pgha_clock_us());
			break;
		case PGHA_ACT_RELEASE_RECEIVER:
			PghaWalReceiverRelease();
			break;
		case PGHA_ACT_FOLLOW:
			PghaActFollow(monitor, action->member, action->timeline);
			break;
		case PGHA_ACT_UNFOLLOW:
			PghaObserveOrderedEnd();
			PghaWalReceiverRevoke();
			break;
		case PGHA_ACT_STOP_OLD:
			PghaStopGive(monitor->node.durable.leader_instance);
			break;
		case PGHA_ACT_FORGET_STOP:
			PghaStopForget();
			break;
		case PGHA_ACT_PROMOTE:
			(void) PghaEventsSync();
			promotion_given = true;
			PghaPromotionStart(action->parent, action->timeline, pgha_clock_us());
			break;
		case PGHA_ACT_FENCE:
			(void) PghaEventsSync();
			PghaPeersStop();
			PghaFence();
			break;
		case PGHA_ACT_EVENT:
			PghaTellEvent(monitor, &action->why);
			break;
	}
	return true;
}

pgha_time
PghaActWayDown(pgha_time now)
{
	if (down_at != 0 && (now >= down_at || PghaOrderCalledOff()))
	{
		down_at = 0;
		PghaShutDown();
	}
	return down_at != 0 ? down_at : PG_INT64_MAX;
}
