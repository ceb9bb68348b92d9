/*
 * functions.c
 *		The SQL functions: what this node says and does for an administrator.
 *
 * The reading ones show what the monitor last published in shared memory, and
 * for this server itself live values: WAL positions, recovery state, the commit
 * gate.  They copy under the lock, and build their rows after it.  They work on
 * primaries and standbys, in any database, also while pgha is disabled (empty
 * pgha.node) or the monitor has not reported yet, and then say so.
 *
 * The acting ones hand an order to the monitor (orders.c), which alone decides
 * and acts, and then watch its effect.  They can be cancelled at any moment;
 * what was ordered goes on.
 *
 * Who may call what is a matter of privileges (pgha--1.0.sql), not of code.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../agents.h"
#include "../compat.h"
#include "../config.h"
#include "../control.h"
#include "../events.h"
#include "../gate.h"
#include "../host.h"
#include "../orders.h"
#include "../report.h"
#include "../shmem.h"
#include "../sync.h"
#include "../wait.h"
#include "published.h"
#include "rows.h"
#include "seen.h"
#include "voting.h"

/* How long pgha_promote() watches a promotion that was accepted. */
#define PROMOTE_TIMEOUT_MS	60000

/* How often the acting functions look at what the monitor published. */
#define LOOK_EVERY_MS		50

PG_FUNCTION_INFO_V1(pgha_sql_status);
PG_FUNCTION_INFO_V1(pgha_sql_cluster);
PG_FUNCTION_INFO_V1(pgha_sql_status_1_1);
PG_FUNCTION_INFO_V1(pgha_sql_cluster_1_1);
PG_FUNCTION_INFO_V1(pgha_sql_events);
PG_FUNCTION_INFO_V1(pgha_sql_pause);
PG_FUNCTION_INFO_V1(pgha_sql_resume);
PG_FUNCTION_INFO_V1(pgha_sql_promote);

/*
 * ---------- what the monitor published ----------
 */

static const char *
own_state(const PghaPublished *published)
{
	if (!published->enabled)
		return "disabled";
	return pgha_state_name(published->view.valid ? published->view.state : PGHA_STARTING);
}

static bool
is_candidate(const PghaView *view, bool in_recovery)
{
	return in_recovery && view->bar == PGHA_MAY_PROMOTE &&
		view->state != PGHA_DIVERGED && view->state != PGHA_PASSIVE;
}

/* Why in this state or what for; and why not a candidate, if that adds to it. */
static const char *
own_reason(const PghaPublished *published, bool in_recovery)
{
	const PghaView *view = &published->view;
	StringInfoData text;

	if (!published->enabled)
		return pgha_node[0] == '\0' ? "pgha.node is empty" :
			"pgha only manages a server that runs normally";
	if (!view->valid)
		return published->running ? "the monitor has not made its first decision yet" :
			"the monitor is not running yet";

	initStringInfo(&text);
	if (!published->running)
		appendStringInfoString(&text, "the monitor is not running; it last said: ");
	else if (PghaGateMonitorLate())
		appendStringInfo(&text, "the monitor has not been heard of for %lld s%s; it last said: ",
						 (long long) (pgha_clock_us() - view->published) / 1000000,
						 in_recovery ? "" : ", and commits wait for it");
	appendStringInfoString(&text, view->reason);
	if (in_recovery && !is_candidate(view, in_recovery) &&
		(view->state == PGHA_STANDBY || view->state == PGHA_CANDIDATE) &&
		strstr(view->reason, pgha_bar_text(view->bar)) == NULL)
		appendStringInfo(&text, "%snot a candidate: %s", text.len > 0 ? "; " : "",
						 pgha_bar_text(view->bar));
	return text.data;
}

/*
 * What this standby is to the leader's synchronous replication, in the words of
 * pg_stat_replication.sync_state.
 */
static const char *
standby_sync_state(const PghaView *view)
{
	const PghaSync *sync = &view->durable.sync;
	int			self = view->settings.self;
	uint32		bit;

	if (!view->valid || self < 0 || self >= PGHA_MAX_MEMBERS)
		return "unknown";
	bit = UINT32_C(1) << self;
	if (view->leader >= 0 && view->leader < view->members.count &&
		view->member[view->leader].known)
		sync = &view->member[view->leader].report.sync;
	else if (sync->method == PGHA_SYNC_NONE)
		return "unknown";		/* nothing kept looks the same as nothing asked for */

	if (sync->method == PGHA_SYNC_NONE || (sync->listed & bit) == 0)
		return "async";
	if (sync->method == PGHA_SYNC_ANY)
		return "quorum";
	return (sync->current & bit) != 0 ? "sync" : "potential";
}

/*
 * pgha_status(): one row, this node.
 */
Datum
pgha_sql_status(PG_FUNCTION_ARGS)
{
	PghaPublished *published = PghaReadPublished();
	const PghaView *view = &published->view;
	bool		witness = view->valid && pgha_is_witness(&published->node);
	bool		in_recovery = RecoveryInProgress();
	TimeLineID	timeline;
	XLogRecPtr	wal_end = PghaWalEnd(in_recovery, &timeline);
	TupleDesc	tupdesc;
	PghaRow			row = {0};
	char		instance[PGHA_INSTANCE_SIZE];
	char		address[PGHA_ADDRESS_STATE_SIZE];

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	PghaPutText(&row, pgha_node);
	PghaPutText(&row, !published->enabled ? "none" : in_recovery ? "standby" :
				witness ? "witness" : "primary");
	PghaPutText(&row, own_state(published));
	if (view->valid)
		PghaPutInt64(&row, (int64) (witness ? view->durable.support.term : view->durable.claim.term));
	else
		PghaPutNull(&row);
	PghaPutTimeline(&row, witness ? 0 : timeline);
	PghaPutLsn(&row, witness ? InvalidXLogRecPtr : wal_end);
	PghaPutLsn(&row, in_recovery ? GetXLogReplayRecPtr(NULL) : InvalidXLogRecPtr);
	PghaPutTextOrNull(&row, view->valid ? view->leader_name : "");
	if (published->enabled && !witness)
		PghaPutText(&row, PghaGateIsOpen() ? "open" : "closed");
	else
		PghaPutNull(&row);
	if (witness)
		PghaPutNull(&row);
	else if (in_recovery)
		PghaPutText(&row, standby_sync_state(view));
	else
	{
		StringInfoData sync;

		initStringInfo(&sync);
		PghaSyncDescribe(&sync);
		PghaPutText(&row, sync.data);
	}
	if (view->valid && in_recovery)
		PghaPutBool(&row, is_candidate(view, in_recovery));
	else
		PghaPutNull(&row);
	PghaPutTextOrNull(&row, own_reason(published, in_recovery));
	PghaPutTime(&row, view->valid ? view->last_change_at : 0);
	PghaPutTextOrNull(&row, view->valid ? view->last_change : "");
	if (view->valid)
		PghaPutBool(&row, view->durable.paused);
	else
		PghaPutNull(&row);
	PghaPutTextOrNull(&row, view->valid ? view->config_error : "");
	PghaHostRead(instance, address);
	PghaPutTextOrNull(&row, published->enabled ? address : "");
	PghaPutVoting(&row, view->valid ? &published->node : NULL, pgha_clock_us());
	PghaPutOwnReplay(&row, published, in_recovery);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  row.value, row.null)));
}

/*
 * Version 1.1 of the extension calls this one, which fills the same row.  A library of
 * version 1.0, which a server that was not restarted still runs, lacks it: an error
 * there, where the other name would have it fill a row that it has not all columns of.
 */
Datum
pgha_sql_status_1_1(PG_FUNCTION_ARGS)
{
	return pgha_sql_status(fcinfo);
}

/* A word for what another member looks like from here. */
static const char *
member_state(const PghaMemberView *member, bool witness)
{
	const PghaReport *report = &member->report;

	switch (member->contact)
	{
		case PGHA_CONTACT_NEVER:
		case PGHA_CONTACT_UNLEARNT:
			return "unknown";
		case PGHA_CONTACT_REFUSED:
		case PGHA_CONTACT_SILENT:
			return "unreachable";
		case PGHA_CONTACT_STARTING:
			return pgha_state_name(PGHA_STARTING);
		case PGHA_CONTACT_ERROR:
			return "error";
		case PGHA_CONTACT_ANSWERED:
			break;
	}
	if (report->passive != PGHA_ACTIVE)
		return pgha_state_name(PGHA_PASSIVE);
	if (witness)
		return pgha_state_name(PGHA_WITNESS);
	if (!report->in_recovery)
		return pgha_state_name(report->posted ? PGHA_PRIMARY : PGHA_STARTING);
	if (report->diverged)
		return pgha_state_name(PGHA_DIVERGED);
	if (report->fenced)
		return "fenced";
	return pgha_state_name(report->role == PGHA_ROLE_PRIMARY ? PGHA_RETURNING : PGHA_STANDBY);
}

/* Puts one member's row. */
static void
put_member(PghaRow *row, const PghaPublished *published, int index, PghaLeaderEnd leader, bool in_recovery)
{
	const PghaView *view = &published->view;
	const PghaMemberView *member = &view->member[index];
	bool		witness = PghaHasNoData(&published->node, index);
	const PghaReport *report = &member->report;
	bool		self = index == view->settings.self;
	bool		reachable = member->contact == PGHA_CONTACT_ANSWERED;

	PghaPutText(row, view->members.member[index].name);
	PghaPutText(row, member->address);
	if (member->known)
		PghaPutText(row, witness ? "witness" : report->in_recovery ? "standby" : "primary");
	else
		PghaPutText(row, "none");
	PghaPutText(row, self ? pgha_state_name(view->state) : member_state(member, witness));
	PghaPutBool(row, reachable);
	if (member->known && !witness)
	{
		PghaPutInt64(row, (int64) report->claim.term);
		PghaPutTimeline(row, report->timeline);
		PghaPutLsn(row, report->wal_end);
		if (leader.known != 0)
			PghaPut(row, Int64GetDatum(leader.known > report->wal_end ?
								   (int64) (leader.known - report->wal_end) : 0), false);
		else
			PghaPutNull(row);
		PghaPutTextOrNull(row, report->upstream);
		if (report->in_recovery)
			PghaPutBool(row, reachable && report->bar == PGHA_MAY_PROMOTE);
		else
			PghaPutNull(row);
		PghaPutBool(row, report->paused);
	}
	else
	{
		for (int i = 0; i < 7; i++)
			PghaPutNull(row);
	}
	PghaPutTime(row, member->heard);
	PghaPutTextOrNull(row, self ? "" : member->error);

	if (PghaSeesAgent(published, index, in_recovery))
		PghaPutBool(row, PghaAgentConnected(member->name));
	else
		PghaPutNull(row);
	PghaPutTextOrNull(row, member->known ? report->ec2_instance : "");
	PghaPutTextOrNull(row, member->known ? report->address_state : "");
	PghaPutMemberVoting(row, &published->node, index, member->known ? report : NULL);
	PghaPutSeen(row, published, index, leader, in_recovery);
}

/*
 * pgha_cluster(): a row for each member, as this node sees it.  What an
 * unreachable member last said is shown as it was at last_heard.
 */
Datum
pgha_sql_cluster(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PghaPublished *published = PghaReadPublished();
	PghaView   *view = &published->view;
	bool		in_recovery = RecoveryInProgress();
	PghaLeaderEnd leader;

	InitMaterializedSRF(fcinfo, 0);
	if (!view->valid)
		return (Datum) 0;

	PghaLookAtSelf(published);
	leader = PghaSeenEnds(published, in_recovery);
	for (int i = 0; i < view->members.voters; i++)
	{
		PghaRow		row = {0};

		put_member(&row, published, i, leader, in_recovery);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.value, row.null);
	}
	return (Datum) 0;
}

/* As pgha_sql_status_1_1(). */
Datum
pgha_sql_cluster_1_1(PG_FUNCTION_ARGS)
{
	return pgha_sql_cluster(fcinfo);
}

/* Ids of records are the time they were made at, or close to it. */
static TimestampTz
record_time(const PghaRecord *record)
{
	const int64 epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	TimestampTz at;

	if (record->id > (uint64) PG_INT64_MAX)
		return DT_NOEND;
	at = (TimestampTz) record->id - epoch;
	return IS_VALID_TIMESTAMP(at) ? at : DT_NOEND;
}

/*
 * pgha_events(): the event log, this node's and what was pulled from others.
 */
Datum
pgha_sql_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PghaRecord *records;
	int			count;

	PghaRequireShmem();
	InitMaterializedSRF(fcinfo, 0);
	count = PghaEventsRead(&records);
	for (int i = 0; i < count; i++)
	{
		PghaRow			row = {0};

		CHECK_FOR_INTERRUPTS();
		PghaPut(&row, TimestampTzGetDatum(record_time(&records[i])), false);
		PghaPutText(&row, records[i].node);
		PghaPutText(&row, records[i].kind);
		PghaPutInt64(&row, (int64) records[i].term);
		PghaPutText(&row, records[i].what);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.value, row.null);
	}
	return (Datum) 0;
}

/*
 * ---------- orders ----------
 */

/*
 * Appends the names of the members that do not show `generation` yet to `names`.
 * Returns whether one of them is reachable, so that waiting makes sense.
 */
static bool
unconfirmed(uint64 generation, StringInfo names, long *failure_timeout_ms)
{
	const PghaView *view = &PghaShmem->view;
	bool		reachable = false;

	resetStringInfo(names);
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	*failure_timeout_ms = (long) (view->settings.failure_timeout / 1000);
	for (int i = 0; view->valid && i < view->members.count; i++)
	{
		const PghaMemberView *member = &view->member[i];
		bool		self = i == view->settings.self;
		bool		answers = self || member->contact == PGHA_CONTACT_ANSWERED;

		/* The monitor's answer to the order may be ahead of what it publishes. */
		if (self ? view->durable.pause_generation >= generation :
			answers && member->known && member->report.pause_generation >= generation)
			continue;
		appendStringInfo(names, "%s%s", names->len > 0 ? ", " : "", member->name);
		reachable |= answers;
	}
	LWLockRelease(PghaShmem->lock);
	return reachable;
}

/*
 * Orders a pause or its end and waits for the others to take it over.  True if
 * all members did.
 */
static bool
change_pause(PghaOrderKind kind, const char *function)
{
	PghaAnswer	answer;
	StringInfoData names;
	pgha_time	start;
	long		failure_timeout_ms;

	PghaRequireEnabled();
	initStringInfo(&names);
	enlargeStringInfo(&names, PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + 2));

	PghaOrderGive(kind, "", &answer);
	if (answer.refused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s was refused: %s", function, answer.message)));

	start = pgha_clock_us();
	while (unconfirmed(answer.pause_generation, &names, &failure_timeout_ms) &&
		   PghaLookAgain(start + (pgha_time) failure_timeout_ms * 1000, LOOK_EVERY_MS))
		;
	if (names.len == 0)
		return true;
	ereport(WARNING,
			(errmsg("%s is not confirmed by: %s", function, names.data),
			 errdetail("It is in force on this node; the others take it over when they next hear of it from any member.")));
	return false;
}

/*
 * pgha_pause(): no automatic failover until pgha_resume(), on all members.
 */
Datum
pgha_sql_pause(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(change_pause(PGHA_ORDER_PAUSE, "pgha_pause()"));
}

Datum
pgha_sql_resume(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(change_pause(PGHA_ORDER_RESUME, "pgha_resume()"));
}

/* Waits until this server leads and accepts commits, or will not. */
static void
await_promotion(void)
{
	bool		promoting = false;
	pgha_time	deadline = pgha_clock_us() + (pgha_time) PROMOTE_TIMEOUT_MS * 1000;

	while (RecoveryInProgress() || !PghaGateIsOpen())
	{
		PghaState	state;
		char		reason[sizeof(PghaShmem->view.reason)];
		bool		waited = PghaLookAgain(deadline, LOOK_EVERY_MS);

		LWLockAcquire(PghaShmem->lock, LW_SHARED);
		state = PghaShmem->view.state;
		strlcpy(reason, PghaShmem->view.reason, sizeof(reason));
		LWLockRelease(PghaShmem->lock);

		if (state == PGHA_PROMOTING)
			promoting = true;
		else if (promoting && RecoveryInProgress())
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the promotion was given up"),
					 errdetail("State \"%s\": %s.", pgha_state_name(state), reason),
					 errhint("See pgha_events() and the server log.")));
		if (!waited)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the promotion was not complete within %d seconds", PROMOTE_TIMEOUT_MS / 1000),
					 errdetail("It goes on. State \"%s\": %s.", pgha_state_name(state), reason),
					 errhint("See pgha_events() and the server log.")));
	}
}

/*
 * pgha_promote(force): makes this standby the primary.  Without force it is
 * refused while a primary is there.
 */
Datum
pgha_sql_promote(PG_FUNCTION_ARGS)
{
	PghaAnswer	answer;
	ControlFileData control;
	char		too_low[PGHA_TOO_LOW_SIZE] = "";

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("force must not be null")));
	PghaRequireData();
	if (!RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is the primary"),
				 errhint("Call pgha_promote() on the standby that is to become the primary.")));

	PghaOrderGive(PG_GETARG_BOOL(0) ? PGHA_ORDER_PROMOTE_FORCE : PGHA_ORDER_PROMOTE, "", &answer);
	if (answer.too_low && PghaReadControl(&control))
		(void) PghaSettingsTooLow(&control, too_low, sizeof(too_low));
	if (answer.refused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgha_promote() was refused: %s", answer.message),
				 too_low[0] != '\0' ? errdetail_internal("%s", too_low) : 0,
				 answer.force_helps ?
				 errhint("pgha_promote(force => true) promotes all the same; commits that this server has not received are lost.") :
				 answer.too_low ?
				 errhint("Raise it to at least the primary's value, and restart this server.") : 0));
	await_promotion();
	ereport(NOTICE,
			(errmsg("this server is the primary now")));
	PG_RETURN_VOID();
}
