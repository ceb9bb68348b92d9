/*
 * seen.c
 *		How far members have replayed, and of when what is known of them is, for
 *		pgha_status() and pgha_cluster().
 *
 * Reports come once in pgha.heartbeat_interval.  On a busy cluster that makes a lag
 * of its own, so what this server knows of its streams is taken where it is more.
 * A lag in time is not told of a member that does not answer, nor against a leader
 * that does not: nobody knows it then.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../agents.h"
#include "../gate.h"
#include "../replay.h"
#include "../sync.h"
#include "seen.h"
#include "voting.h"

PghaLeaderEnd
PghaSeenEnds(PghaPublished *published, bool in_recovery)
{
	PghaView   *view = &published->view;
	PghaLeaderEnd end = {0, false};
	const PghaMemberView *leader = NULL;

	if (view->leader >= 0 && view->leader < view->members.count)
		leader = &view->member[view->leader];
	if (!in_recovery)
	{
		pgha_lsn	flushed[PGHA_MAX_MEMBERS];
		pgha_lsn	applied[PGHA_MAX_MEMBERS];

		PghaSyncFlushed(&view->members, flushed, applied);
		for (int i = 0; i < view->members.count; i++)
		{
			PghaReport *report = &view->member[i].report;

			if (i == view->settings.self || !view->member[i].known || !report->in_recovery)
				continue;
			report->wal_end = Max(report->wal_end, flushed[i]);
			if (report->replayed != 0)
				report->replayed = Max(report->replayed, applied[i]);
		}
	}
	if (leader == NULL || !leader->known)
		return end;
	end.known = leader->report.wal_end;
	end.reachable = leader->contact == PGHA_CONTACT_ANSWERED;
	if (in_recovery && strcmp(view->member[view->settings.self].report.upstream, leader->name) == 0)
		end.known = Max(end.known, PghaUpstreamEnd());
	return end;
}

bool
PghaSeesAgent(const PghaPublished *published, int member, bool in_recovery)
{
	return !PghaHasNoData(&published->node, member) &&
		(member == published->view.settings.self || (!in_recovery && !pgha_is_witness(&published->node)));
}

static void
put_bytes_behind(PghaRow *row, XLogRecPtr leader_end, pgha_lsn position)
{
	if (leader_end == 0 || position == 0)
		PghaPutNull(row);
	else
		PghaPutInt64(row, leader_end > position ? (int64) (leader_end - position) : 0);
}

/* Replay, as a standby reports it: nothing of other members. */
static void
put_replay(PghaRow *row, const PghaMemberView *member, PghaLeaderEnd leader)
{
	bool		reachable = member->contact == PGHA_CONTACT_ANSWERED;
	pgha_lsn	replayed = member->known ? member->report.replayed : 0;

	put_bytes_behind(row, leader.known, replayed);
	PghaPutInterval(row, reachable && member->known ? PghaReplayLag(&member->report, leader.reachable ? leader.known : 0) : -1);
	if (replayed != 0)
		PghaPutBool(row, member->report.replay_paused);
	else
		PghaPutNull(row);
}

/* What a server that answers does with commits. */
static const char *
gate_of(const PghaReport *report)
{
	return !report->in_recovery && report->posted && (report->votes == 0 || report->rule.term == 0 || report->leased) ?
		"open" : "closed";
}

void
PghaPutSeen(PghaRow *row, const PghaPublished *published, int index, PghaLeaderEnd leader, bool in_recovery)
{
	const PghaView *view = &published->view;
	const PghaMemberView *member = &view->member[index];
	bool		self = index == view->settings.self;
	char		server[sizeof(((PghaAgent *) NULL)->server)] = "";

	PghaPutLsn(row, member->known ? member->report.replayed : 0);
	put_replay(row, member, leader);
	PghaPutInterval(row, self ? 0 : member->heard != 0 ? Max(GetCurrentTimestamp() - member->heard, 0) : -1);
	if (PghaSeesAgent(published, index, in_recovery))
		PghaAgentServer(member->name, server, sizeof(server));
	PghaPutTextOrNull(row, server);
	if (PghaHasNoData(&published->node, index) || member->contact != PGHA_CONTACT_ANSWERED || !member->known)
		PghaPutNull(row);
	else
		PghaPutText(row, self ? (PghaGateIsOpen() ? "open" : "closed") : gate_of(&member->report));
	if (self && published->node.posted && pgha_in_force(&published->node))
		PghaPutInt64(row, Max(0, published->node.voting.lease_deadline - pgha_clock_us()) / 1000);
	else
		PghaPutNull(row);
}

void
PghaPutOwnReplay(PghaRow *row, PghaPublished *published, bool in_recovery)
{
	if (published->view.valid && in_recovery)
	{
		PghaLeaderEnd leader;

		PghaLookAtSelf(published);
		leader = PghaSeenEnds(published, in_recovery);
		put_replay(row, &published->view.member[published->view.settings.self], leader);
		return;
	}
	for (int i = 0; i < 3; i++)
		PghaPutNull(row);
}
