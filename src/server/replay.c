/*
 * replay.c
 *		How far a standby's replay is, and since when it has been behind.
 *
 * PostgreSQL knows when the last commit that was replayed was made.  While the
 * primary has nothing to do that is long ago, and no lag.  So it is also kept when
 * this standby was last current: the last moment of which it has replayed all WAL that
 * the leader had told of then.  Under steady writing it never has all of now, so the
 * positions of some moments are kept until they are replayed.  The lag in time is the
 * lesser of the two, while there is WAL that is not replayed.  Both are the most that
 * it may be.
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
 * Is it the leader that is streamed from?  Another standby may itself be cut off, and
 * who has replayed all of that one's WAL is not current.  Under the lock.
 */
static bool
streams_from_leader(void)
{
	const PghaView *view = &PghaShmem->view;

	return PghaWalReceiverState() == PGHA_RECEIVER_STREAMING && view->valid && view->leader_name[0] != '\0' &&
		strcmp(view->leader_name, PghaShmem->receiver.upstream_name) == 0;
}

/*
 * Notes how far the leader's WAL goes.  Where there are too many, every second one is
 * forgotten: of what is long ago few are needed.
 */
static void
add_mark(PghaWalReceiver *receiver, pgha_lsn end, pgha_time heard)
{
	PghaUpstreamMark *last = receiver->marks > 0 ? &receiver->mark[receiver->marks - 1] : NULL;

	if (end == 0 || heard == 0 || (last != NULL && heard <= last->heard))
		return;
	if (last != NULL && end < last->end)
		receiver->marks = 0;
	else if (last != NULL && end == last->end)
		receiver->marks--;
	else if (receiver->marks == PGHA_UPSTREAM_MARKS)
	{
		receiver->marks /= 2;
		for (int i = 0; i < receiver->marks; i++)
			receiver->mark[i] = receiver->mark[2 * i + 1];
	}
	receiver->mark[receiver->marks++] = (PghaUpstreamMark) {end, heard};
}

/* Whoever has replayed all that the leader had at a time was current then. */
static void
take_replayed(PghaWalReceiver *receiver, pgha_lsn replayed)
{
	int			done = 0;

	while (done < receiver->marks && receiver->mark[done].end <= replayed)
		done++;
	if (done == 0)
		return;
	if ((uint64) receiver->mark[done - 1].heard > pg_atomic_read_u64(&receiver->current_at))
		pg_atomic_write_u64(&receiver->current_at, (uint64) receiver->mark[done - 1].heard);
	receiver->marks -= done;
	memmove(receiver->mark, receiver->mark + done, receiver->marks * sizeof(receiver->mark[0]));
}

/* By any process; the time is read first: what is told by then is no more than the end that is read after it. */
static void
note_current(pgha_lsn replayed)
{
	PghaWalReceiver *receiver = &PghaShmem->receiver;
	pgha_time	heard = (pgha_time) pg_atomic_read_u64(&receiver->heard);

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	if (streams_from_leader())
	{
		add_mark(receiver, PghaUpstreamEnd(), heard);
		take_replayed(receiver, replayed);
	}
	else
		receiver->marks = 0;
	LWLockRelease(PghaShmem->lock);
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
