/*
 * replay.c
 *		How far a standby's replay is, and since when it has been behind.
 *
 * PostgreSQL knows when the last commit that was replayed was made.  While the
 * primary has nothing to do that is long ago, and no lag.  So it is also kept when
 * this standby was last current: when it had replayed all WAL that its upstream
 * had told of.  The lag in time is the lesser of the two, while there is WAL that is
 * not replayed.
 *
 * The monitor looks at each of its rounds (observe.c), reports and SQL functions
 * when they are made.  Nobody decides anything by this.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "replication/walreceiver.h"
#include "utils/timestamp.h"

#include "../common/clock.h"
#include "replay.h"
#include "shmem.h"
#include "walreceiver.h"

pgha_lsn
PghaUpstreamEnd(void)
{
	XLogRecPtr	end;

	SpinLockAcquire(&WalRcv->mutex);
	end = WalRcv->latestWalEnd;
	SpinLockRelease(&WalRcv->mutex);
	return end;
}

/*
 * Notes the moment if all is replayed that the upstream has told of; that is as of
 * when it was heard.  Another process that does so at the same time notes the same.
 */
static void
note_current(pgha_lsn replayed)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	uint64		heard = pg_atomic_read_u64(&receiver->heard);
	pgha_lsn	upstream_end;

	if (PghaWalReceiverState() != PGHA_RECEIVER_STREAMING)
		return;
	upstream_end = PghaUpstreamEnd();
	if (upstream_end != 0 && replayed >= upstream_end && heard > pg_atomic_read_u64(&receiver->current_at))
		pg_atomic_write_u64(&receiver->current_at, heard);
}

void
PghaReplayLook(PghaReplay *replay)
{
	TimestampTz commit;
	pgha_time	current_at;

	memset(replay, 0, sizeof(*replay));
	if (!RecoveryInProgress())
		return;
	replay->replayed = GetXLogReplayRecPtr(NULL);
	replay->paused = GetRecoveryPauseState() != RECOVERY_NOT_PAUSED;
	commit = GetLatestXTime();
	replay->commit_age = commit != 0 ? Max(GetCurrentTimestamp() - commit, 0) : -1;
	note_current(replay->replayed);
	current_at = (pgha_time) pg_atomic_read_u64(&PghaShmem->receiver.current_at);
	replay->current_age = current_at != 0 ? Max(pgha_clock_us() - current_at, 0) : -1;
}

pgha_time
PghaReplayLag(const PghaReport *report, pgha_lsn leader_end)
{
	if (report->replayed == 0)
		return -1;
	if (report->replayed >= report->wal_end)
	{
		if (leader_end == 0)
			return -1;
		if (report->replayed >= leader_end)
			return 0;
	}
	if (report->commit_age < 0 || report->current_age < 0)
		return Max(report->commit_age, report->current_age);
	return Min(report->commit_age, report->current_age);
}
