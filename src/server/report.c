/*
 * report.c
 *		What this server says of itself to the other members: SHOW pgha.report.
 *
 * The other members' io children read it over a replication connection, which
 * needs no database, no extension and none of max_connections' slots.  The
 * text (common/report.h) is made by the show hook at the moment it is asked
 * for: WAL positions, recovery state and synchronous standbys are live; what
 * only the monitor knows is as it last published it.  A report only reads:
 * nothing that a peer asks for changes this server.
 *
 * SHOW pgha.report_changed is the same, but is answered only when there is
 * something new that members vote by since this session was last told, or when
 * pgha.heartbeat_interval has passed: so that a vote is read as fast as a message
 * would be.  SHOW pgha.report_soon is for members that cannot wait for that long.
 * Only members wait, which read over connections without a database; all others are
 * answered at once.
 *
 * Behind the report come this node's own events that the session has not been
 * given yet.  A peer says with pgha.events_since, in the options of its
 * connection, which one it knows already; from there on the session itself
 * remembers.  An answer that is lost takes the session with it, and the next
 * one starts again from what the peer really has.
 */
#include "postgres.h"

#include "access/xlogrecovery.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "replication/walsender.h"
#include "utils/acl.h"
#include "utils/guc.h"

#include "../common/clock.h"
#include "../core/ballot.h"
#include "compat.h"
#include "config.h"
#include "events.h"
#include "gap.h"
#include "host.h"
#include "replay.h"
#include "report.h"
#include "shmem.h"
#include "sync.h"
#include "wait.h"
#include "walreceiver.h"
#include "witness.h"

/*
 * The io child hands the report on as one escaped field of a line of
 * PGHA_LINE_SIZE; half of that is sure to fit.
 */
#define REPORT_SIZE			(PGHA_LINE_SIZE / 2)
#define EVENTS_PER_REPORT	16
/* The longest wait of pgha.report_soon (microseconds). */
#define SOON				20000

static char *report_variable = NULL;	/* never read: the show hooks speak */
static char *events_since = NULL;
static uint64 events_told = 0;	/* newest event that this session was given */
static pgha_time held = 0;		/* how long this statement's question has waited for news */
static uint64 news_told = 0;	/* PghaShmem->news as of the last report that it was given */

XLogRecPtr
PghaWalEnd(bool in_recovery, TimeLineID *timeline)
{
	XLogRecPtr	received;
	XLogRecPtr	replayed;
	TimeLineID	received_timeline = 0;
	TimeLineID	replayed_timeline = 0;

	if (!in_recovery)
	{
		*timeline = GetWALInsertionTimeLine();
		return GetFlushRecPtr(NULL);
	}

	/*
	 * The timeline must be that of the position returned: WAL received on a
	 * new timeline while the old one is still being replayed would else look
	 * as if the old one went on past the fork.
	 */
	received = GetWalRcvFlushRecPtr(NULL, &received_timeline);
	replayed = GetXLogReplayRecPtr(&replayed_timeline);
	if (received > replayed)
	{
		*timeline = received_timeline;
		return received;
	}
	*timeline = received == replayed ? Max(received_timeline, replayed_timeline) : replayed_timeline;
	return replayed;
}

/* What is said of votes, but for the lag of the replay: as the monitor has published it. */
static void
copy_voting(PghaReport *report, const PghaView *view)
{
	pgha_time	now = pgha_clock_us();

	*report = view->voting;
	report->promise_age += now - view->published;
	report->leased = report->leased && now < view->lease_deadline;
}

/*
 * The part that the monitor publishes; also the members, for the names of others,
 * and from where on WAL of a standby is nobody's history (0: from nowhere).
 */
static void
copy_published(PghaReport *report, PghaMembers *members, pgha_lsn *own_from)
{
	const PghaView *view = &PghaShmem->view;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	if (view->valid)
	{
		copy_voting(report, view);
		*members = view->members;
		report->claim = view->durable.claim;
		report->role = view->durable.role;
		report->posted = view->posted;
		report->fenced = view->durable.fenced;
		report->diverged = view->durable.diverged;
		report->passive = view->passive;
		report->bar = view->bar;
		report->priority = view->settings.priority;
		report->paused = view->durable.paused;
		report->pause_generation = view->durable.pause_generation;
		report->config_hash = view->settings.config_hash;
		report->own_wal = view->durable.own_from != 0;
		*own_from = view->durable.own_from;
		report->system_identifier = view->settings.system_identifier;
		report->slots = view->slots;
	}
	else
	{
		members->count = 0;
		report->bar = PGHA_BAR_NEVER_FOLLOWED;
	}
	strlcpy(report->upstream, PghaShmem->receiver.upstream_name, sizeof(report->upstream));
	LWLockRelease(PghaShmem->lock);
}

static uint64
lag_of_replay(XLogRecPtr wal_end)
{
	XLogRecPtr	replayed = GetXLogReplayRecPtr(NULL);

	return wal_end > replayed ? wal_end - replayed : 0;
}

/* Behind where a standby's WAL is nobody's history it says of its replay no more than of its WAL. */
static void
fill_replay(PghaReport *report)
{
	PghaReplay	replay;

	PghaReplayLook(&replay);
	report->replayed = Min(replay.replayed, report->wal_end);
	report->replay_paused = replay.paused;
	report->commit_age = replay.commit_age;
	report->current_age = replay.current_age;
}

static void
fill(PghaReport *report, PghaMembers *members)
{
	TimeLineID	timeline;
	pgha_lsn	own_from = 0;

	memset(report, 0, sizeof(*report));
	copy_published(report, members, &own_from);

	strlcpy(report->node, pgha_node, sizeof(report->node));
	if (!PghaIsWitness())
		report->system_identifier = GetSystemIdentifier();
	report->instance = PghaShmem->instance;
	report->in_recovery = RecoveryInProgress();

	/*
	 * Until all that was received is flushed, nobody may judge by wal_end who
	 * has most: so this is looked at first, and told as still receiving.
	 */
	if (report->in_recovery)
		report->receiver = PghaWalReceiverEnding() ? PGHA_RECEIVER_STREAMING : PghaWalReceiverState();
	pg_memory_barrier();
	report->wal_end = PghaWalEnd(report->in_recovery, &timeline);
	report->timeline = timeline;
	if (report->in_recovery)
	{
		uint64		heard = pg_atomic_read_u64(&PghaShmem->receiver.heard);

		report->posted = false;
		if (heard != 0)
			report->receiver_age = Max(pgha_clock_us() - (pgha_time) heard, 0);
		if (own_from != 0 && own_from < report->wal_end)
			report->wal_end = own_from;
		/* pgha_replay_lag() */
		if (report->votes != 0 && report->receiver != PGHA_RECEIVER_WAITING)
			report->replay_lag = lag_of_replay(report->wal_end);
		fill_replay(report);
	}
	else
	{
		/* Of this very position: whoever reads of a later one must hear of the switch before it, too. */
		PghaGapBefore(timeline, report->wal_end, &report->gap);
		PghaSyncRead(members, &report->sync);
	}
	if (report->receiver != PGHA_RECEIVER_STREAMING)
		report->upstream[0] = '\0';
	PghaHostRead(report->ec2_instance, report->address_state);
}

void
PghaReportFill(PghaReport *report)
{
	PghaMembers members;

	fill(report, &members);
}

/*
 * Appends what is new since the session's last report, as far as it fits.
 *
 * PostgreSQL may call a show hook more than once for one SHOW (for the result's
 * description, then for its value): each call of a statement gives the same.
 */
static void
add_events(PghaLine *line)
{
	static PghaRecord records[EVENTS_PER_REPORT];
	static TimestampTz statement = 0;
	static uint64 told_before = 0;
	uint64		newest = pg_atomic_read_u64(&PghaShmem->newest_event);
	int			count;

	if (statement != GetCurrentStatementStartTimestamp())
	{
		statement = GetCurrentStatementStartTimestamp();
		told_before = events_told;
	}
	count = PghaEventsSince(pgha_node, told_before, records, EVENTS_PER_REPORT);

	for (int i = 0; i < count; i++)
	{
		pgha_report_add_record(line, &records[i]);
		if (line->overflow)
			return;
		events_told = records[i].id;
	}

	/* Nothing more is to be found, even if the newest record is damaged. */
	if (count < EVENTS_PER_REPORT)
		events_told = Max(events_told, newest);
}

/*
 * Members read over replication connections, where there is no catalog to look
 * roles up in; the right to replicate is the right to read the report.
 */
static bool
may_see(void)
{
	if (am_walsender)
		return true;
	return IsTransactionState() && has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
}

/* Has the monitor published lately? */
static bool
monitor_is_alive(void)
{
	pgha_time	until;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	until = PghaShmem->view.valid ? PghaShmem->view.published + 2 * PghaShmem->view.settings.failure_timeout : 0;
	LWLockRelease(PghaShmem->lock);
	return pgha_clock_us() < until;
}

/* As in the report: by the settings in force, which need not be those in the files. */
static pgha_time
longest_wait(void)
{
	pgha_time	longest;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	longest = pgha_longest_wait(&PghaShmem->view.settings);
	LWLockRelease(PghaShmem->lock);
	return longest;
}

static const char *
show_report(void)
{
	static char text[REPORT_SIZE];
	PghaLine	line;
	PghaReport	report;
	PghaMembers members;

	if (PghaShmem == NULL || pgha_node == NULL || pgha_node[0] == '\0')
		return "";
	if (!may_see())
		return "<insufficient privilege>";

	/* What only the monitor knows must be of now; no report is an answer, too. */
	if (!monitor_is_alive())
		return "";

	/* What comes up while the report is made may not be in it. */
	news_told = pg_atomic_read_u64(&PghaShmem->news);
	pg_memory_barrier();
	fill(&report, &members);
	report.held = held;
	pgha_line_init(&line, text, sizeof(text));
	pgha_report_format(&line, &report, &members);
	add_events(&line);
	return text;
}

static const char *
show_report_at_once(void)
{
	held = 0;
	return show_report();
}

/* The session holds no snapshot meanwhile, as replication commands have none. */
static const char *
show_after(pgha_time longest)
{
	static TimestampTz statement = 0;
	pgha_time	begin = pgha_clock_us();

	/* Not twice for one statement, see add_events(). */
	if (PghaShmem != NULL && am_walsender && !am_db_walsender && statement != GetCurrentStatementStartTimestamp())
	{
		statement = GetCurrentStatementStartTimestamp();
		while (pg_atomic_read_u64(&PghaShmem->news) == news_told && monitor_is_alive() &&
			   PghaSleepUntil(&PghaShmem->news_changed, begin + longest))
			;
		ConditionVariableCancelSleep();
		held = pgha_clock_us() - begin;
	}
	return show_report();
}

static const char *
show_report_changed(void)
{
	return show_after(PghaShmem != NULL ? longest_wait() : 0);
}

static const char *
show_report_soon(void)
{
	return show_after(SOON);
}

static bool
check_events_since(char **newval, void **extra, GucSource source)
{
	uint64		id;

	(void) extra;
	(void) source;
	return pgha_parse_uint64(*newval, &id);
}

static void
assign_events_since(const char *newval, void *extra)
{
	(void) extra;
	if (!pgha_parse_uint64(newval, &events_told))
		events_told = 0;
}

void
PghaReportInit(void)
{
	DefineCustomStringVariable("pgha.report",
							   "This server's report to the other members of its cluster.",
							   NULL,
							   &report_variable, "", PGC_INTERNAL,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_report_at_once);
	DefineCustomStringVariable("pgha.report_changed",
							   "The same, for a member: as soon as it has changed.",
							   NULL,
							   &report_variable, "", PGC_INTERNAL,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_report_changed);
	DefineCustomStringVariable("pgha.report_soon",
							   "The same, for a member that cannot wait for long.",
							   NULL,
							   &report_variable, "", PGC_INTERNAL,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_report_soon);
	DefineCustomStringVariable("pgha.events_since",
							   "Newest event of this node that the reader of pgha.report knows.",
							   NULL,
							   &events_since, "0", PGC_BACKEND,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_events_since, assign_events_since, NULL);
}
