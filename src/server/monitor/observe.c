/*
 * observe.c
 *		What the monitor sees of its own server, and how it hurries a standby on.
 *
 * Called by monitor.c before each step of the core.  It reads shared memory, and
 * of files a little where that is needed: pg_control, the history of a timeline
 * that it has not seen before, the end of a WAL segment.  It never waits for
 * anybody and decides nothing.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"

#include "../agents.h"
#include "../archive.h"
#include "../compat.h"
#include "../control.h"
#include "../gap.h"
#include "../promote.h"
#include "../replay.h"
#include "../report.h"
#include "../shmem.h"
#include "../sync.h"
#include "../walreceiver.h"
#include "observe.h"

/* Kicks of a startup process that has not started a WAL receiver: often at first, then seldom. */
#define KICK_EAGER_TIME		2000000
#define KICK_EAGER_INTERVAL	1000
#define KICK_INTERVAL		100000
/* pg_control is looked at this often, and while nothing is received. */
#define LOOK_INTERVAL		1000000
#define URGENT_LOOK_INTERVAL	20000
/* A stream that lasted less than this was refused; the next one is asked for after the same time. */
#define REFUSED_INTERVAL	1000000

static pgha_time receiver_gone = 0; /* since then; 0: it is there */
static bool stream_refused = false; /* the last receiver ended at once, by itself */
static pgha_time connecting_since = 0;	/* when the receiver was last seen to wait */
static bool receiver_ended = false; /* by our order */
static pgha_time kicked_at = 0;

static uint32 fork_timeline = 0;	/* timeline that fork_lsn belongs to */
static pgha_lsn fork_lsn = 0;
static uint32 newest_timeline = 0;
static pgha_lsn newest_fork = 0;	/* where it leaves its parent */
static bool newest_valid = false;

/*
 * How far may the data files be, before anything is replayed?  False if that is
 * not known.  The checkpoint record itself must be had from the leader, too.
 */
static bool
read_control(PghaLocal *local)
{
	ControlFileData control;

	if (!PghaReadControl(&control))
		return false;
	local->timeline = control.checkPointCopy.ThisTimeLineID;
	local->replayed = control.checkPoint + 1;
	if (control.minRecoveryPoint >= local->replayed)
	{
		local->timeline = control.minRecoveryPointTLI;
		local->replayed = control.minRecoveryPoint;
	}
	return true;
}

/*
 * The WAL tells a standby of the primary's settings, and pg_control keeps them.
 * What cannot be read for a moment is as it was.
 */
static bool
settings_too_low(const PghaLocal *local, pgha_time now)
{
	static pgha_time looked = 0;
	static bool too_low = false;
	ControlFileData control;

	if (looked != 0 && now - looked < (local->receiver == PGHA_RECEIVER_STREAMING ? LOOK_INTERVAL : URGENT_LOOK_INTERVAL))
		return too_low;
	looked = now;
	if (PghaReadControl(&control))
		too_low = PghaSettingsTooLow(&control, NULL, 0);
	return too_low;
}

/*
 * Only a standby asks for a WAL receiver.  As long as PostgreSQL says "crash
 * recovery" besides, it has not found the checkpoint that it begins with.
 */
static void
observe_missing_checkpoint(PghaLocal *local)
{
	static bool asked = false;	/* a receiver comes and goes */

	asked = local->crash_recovery && (asked || local->receiver != PGHA_RECEIVER_NONE);
	local->no_checkpoint = asked && read_control(local);
}

/*
 * Is there WAL that could be replayed?  What was received last may end within a
 * record, whose rest never comes: only that PostgreSQL asks for more of it, which
 * is when a receiver waits to be given an upstream, shows that it has replayed all.
 */
static bool
is_replaying(const PghaLocal *local)
{
	return local->wal_end > local->replayed && local->receiver != PGHA_RECEIVER_WAITING;
}

void
PghaObserve(const PghaConfig *config, pgha_time now, PghaLocal *local)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	PghaReplay	replay;
	TimeLineID	timeline = 0;

	memset(local, 0, sizeof(*local));
	local->in_recovery = RecoveryInProgress();
	local->crash_recovery = local->in_recovery && GetRecoveryState() == RECOVERY_STATE_CRASH;
	local->wal_end = PghaWalEnd(local->in_recovery, &timeline);
	local->timeline = timeline;
	local->upstream = PGHA_NOBODY;
	local->receiver = PGHA_RECEIVER_NONE;
	local->agent = PghaAgentConnected(config->settings.name[config->settings.self]);

	if (!local->in_recovery)
	{
		if (fork_timeline != timeline)
		{
			local->fork_unknown = !PghaForkOf(timeline, &fork_lsn);
			if (!local->fork_unknown)
				fork_timeline = timeline;
		}
		local->fork_lsn = fork_lsn;
		PghaSyncRead(&config->members, &local->sync);
		PghaSyncFlushed(&config->members, local->flushed, local->applied);
		return;
	}

	local->passive = PghaShmem->boot_passive;
	local->apply_delay = recovery_min_apply_delay > 0;
	PghaReplayLook(&replay);
	local->replayed = replay.replayed;
	local->receiver = PghaWalReceiverState();
	observe_missing_checkpoint(local);
	local->too_low = settings_too_low(local, now);
	if (local->receiver != PGHA_RECEIVER_STREAMING)
		PghaGapBehind(timeline, local->wal_end, &local->gap);
	local->receiver_ended_clean = pg_atomic_read_u32(&receiver->ended_clean) != 0;
	local->receiver_heard = (pgha_time) pg_atomic_read_u64(&receiver->heard);
	if (local->receiver == PGHA_RECEIVER_STREAMING)
	{
		newest_valid = false;
		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		local->upstream = pgha_members_find(&config->members, receiver->upstream_name);
		LWLockRelease(PghaShmem->lock);
		SpinLockAcquire(&WalRcv->mutex);
		local->upstream_end = WalRcv->latestWalEnd;
		SpinLockRelease(&WalRcv->mutex);
	}
	else if (!newest_valid)
	{
		newest_timeline = PghaNewestTimeline();
		if (newest_timeline <= 1 || !PghaForkOf(newest_timeline, &newest_fork))
			newest_fork = 0;
		newest_valid = true;
	}
	local->newest_timeline = newest_timeline;
	if (config->settings.voters > 0)
		local->newest_fork = newest_fork;
	local->replaying = is_replaying(local);
	local->archived_timeline = PghaArchiveNewest();

	if (local->receiver != PGHA_RECEIVER_NONE)
	{
		receiver_gone = 0;
		if (local->receiver == PGHA_RECEIVER_WAITING || connecting_since == 0)
			connecting_since = now;
	}
	else if (receiver_gone == 0)
	{
		receiver_gone = kicked_at = now;
		stream_refused = connecting_since != 0 && !receiver_ended &&
			now - connecting_since < REFUSED_INTERVAL;
		connecting_since = 0;
		receiver_ended = false;
	}
}

void
PghaObserveOrderedEnd(void)
{
	receiver_ended = true;
}

static bool
kicks_needed(const PghaLocal *local)
{
	return local->in_recovery && receiver_gone != 0 && PghaShmem->boot_passive == PGHA_ACTIVE;
}

/*
 * The startup process may sleep up to wal_retrieve_retry_interval before it
 * asks for a new WAL receiver: cut that short.  But a receiver that ends as
 * soon as it begins to stream (its slot in use, WAL gone) is not hurried on.
 */
void
PghaKickStartup(const PghaLocal *local, pgha_time now)
{
	if (!kicks_needed(local))
		return;
	if (stream_refused ? now - kicked_at >= REFUSED_INTERVAL :
		now - receiver_gone < KICK_EAGER_TIME || now - kicked_at >= KICK_INTERVAL)
	{
		kicked_at = now;
		WakeupRecovery();
	}
}

pgha_time
PghaKickDue(const PghaLocal *local, pgha_time now)
{
	if (!kicks_needed(local))
		return PG_INT64_MAX;
	return now + (!stream_refused && now - receiver_gone < KICK_EAGER_TIME ? KICK_EAGER_INTERVAL : KICK_INTERVAL);
}
