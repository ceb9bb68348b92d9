/*
 * peers.c
 *		The other members, through a `pgha io` child for each.
 *
 * For monitor.c: it says what is to be asked, and is called back with what the
 * core should know: a report, a history, a comparison, or why there is none.  A child that
 * cannot run must never look like a member that is silent, as silence is what
 * starts a failover; and a refusal only says that a member is gone if it comes
 * from where that member, and nobody else, answered last.  The only wait is in PghaPeersWait(), where the monitor
 * sleeps.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../compat.h"
#include "../events.h"
#include "../io_child.h"
#include "peers.h"

/* A child that could not be started, or died, is tried again after this time. */
#define CHILD_RETRY			1000000
/* A member is not asked for news more often than this, but by the core (microseconds). */
#define NEWS_INTERVAL		2000
/* How long a comparison may take; twice that if its connection takes as long (microseconds). */
#define COMPARE_LIMIT		20000000

/* The monitor's side of one member: its child and what it is asked. */
typedef struct Peer
{
	PghaChild	child;
	bool		readable;		/* the child has written, or ended */
	pgha_time	retry_at;		/* not before this time */
	bool		want_poll;
	PghaPatience patience;		/* of that poll */
	pgha_time	sent_at;		/* when the last poll was sent */
	pgha_time	waits;			/* how long it may keep a question for news, as it last said */
	uint32		want_history;	/* timeline; 0 = none */
	bool		asked_history;	/* the request under way is for a history */
	uint32		history_timeline;
	bool		failed;			/* the outcome of a poll that could not be sent is due */
	char		error[256];
	TimestampTz heard;
	char		proved[80];		/* address and port where it, and nobody else, answered last; empty: nowhere yet */
	bool		same_address;	/* a refusal just now came from there, or an answer */
} Peer;

static Peer peer[PGHA_MAX_MEMBERS];

/*
 * The comparison of WAL that is under way.  It has a child of its own: it takes
 * its time on a slow line, and the member must not look silent meanwhile.
 */
static struct
{
	PghaChild	child;
	int			member;			/* PGHA_NOBODY: none */
	bool		readable;
	bool		failed;			/* it could not begin */
}			comparison = {.member = PGHA_NOBODY};

static PghaPeerNews tell_core;

static WaitEventSet *wait_set = NULL;
static bool wait_set_stale = true;

void
PghaPeersInit(PghaPeerNews news)
{
	tell_core = news;
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		PghaChildInit(&peer[i].child);
	PghaChildInit(&comparison.child);
}

void
PghaPeersStop(void)
{
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
		PghaChildStop(&peer[i].child);
	PghaChildStop(&comparison.child);
	comparison.member = PGHA_NOBODY;
	wait_set_stale = true;
}

void
PghaPeersRenumber(const PghaMembers *before, const PghaMembers *members)
{
	TimestampTz heard[PGHA_MAX_MEMBERS] = {0};

	PghaPeersStop();
	for (int i = 0; i < members->voters; i++)
	{
		int			was = pgha_voters_find(before, members->member[i].name);

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

static void
set_error(Peer *p, const char *text)
{
	strlcpy(p->error, text, sizeof(p->error));
}

/*
 * Would it keep a question for news for longer than this node waits for an answer?
 * Other settings are in force there, if only for the moment; it must not look silent.
 */
static bool
waits_too_long(const PghaConfig *config, const Peer *p)
{
	return p->waits > config->settings.heartbeat_interval;
}

/* Sends what the member is to be asked next, starting its child if need be. */
static void
send_request(const PghaConfig *config, int member)
{
	Peer	   *p = &peer[member];
	pgha_time	now = pgha_clock_us();
	pgha_time	limit = Max(config->settings.failure_timeout / 3, 100000);
	char		request[128];

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
		if (!pgha_conninfo_build(conninfo, sizeof(conninfo), config->conninfo,
								 &config->members.member[member], PGHA_IO_NAME, NULL) ||
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
		snprintf(request, sizeof(request), "history\t%u", p->want_history);
		p->history_timeline = p->want_history;
		p->want_history = 0;
	}
	else
	{
		static const char *const words[] = {
			[PGHA_AT_ONCE] = "report",
			[PGHA_SOON] = "soon",
			[PGHA_WHEN_CHANGED] = "changed",
		};
		/* What is to be asked behind it does not wait. */
		PghaPatience patience = p->want_history != 0 || (p->patience == PGHA_WHEN_CHANGED && waits_too_long(config, p)) ?
			PGHA_AT_ONCE : p->patience;

		snprintf(request, sizeof(request), "%s\t" UINT64_FORMAT,
				 member == config->settings.self ? "check" : words[patience],
				 PghaEventsNewest(config->settings.name[member]));
		if (patience != PGHA_AT_ONCE)
			limit += config->settings.heartbeat_interval;
		p->want_poll = false;
		p->sent_at = now;
	}
	if (!PghaChildRequest(&p->child, request, now, limit))
	{
		wait_set_stale = true;
		p->failed = true;
	}
}

void
PghaPeersPoll(const PghaConfig *config, int member, PghaPatience patience)
{
	peer[member].want_poll = true;
	peer[member].patience = patience;
	send_request(config, member);
}

pgha_time
PghaPeersFree(const PghaConfig *config, int member)
{
	const Peer *p = &peer[member];

	if (p->child.pid == 0 || p->child.request != 0 || !p->child.connected || p->child.plain || p->failed ||
		p->want_poll || p->want_history != 0 || waits_too_long(config, p))
		return PG_INT64_MAX;
	return p->sent_at + NEWS_INTERVAL;
}

void
PghaPeersFetchHistory(const PghaConfig *config, int member, uint32 timeline)
{
	peer[member].want_history = timeline;
	send_request(config, member);
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
	if (strcmp(outcome, "unlearnt") == 0)
		return PGHA_CONTACT_UNLEARNT;
	return PGHA_CONTACT_ERROR;
}

/* A witness knows of a cluster only from its members. */
static const char *
other_system(const PghaConfig *config, int member, const PghaReport *report)
{
	if (config->settings.system_identifier == 0)
		return "this witness does not know yet which cluster it serves";
	if (report->system_identifier == 0)
		return "does not know yet which cluster it serves";
	return member < config->settings.count ? "belongs to another database cluster: system identifiers differ" :
		"serves another database cluster: system identifiers differ";
}

static void
take_record(const PghaRecord *record, void *arg)
{
	(void) arg;
	(void) PghaEventsAddRemote(record);
}

/* Is this address among those of a list with commas? */
static bool
is_among(const char *list, const char *address)
{
	size_t		length = strlen(address);

	while (length > 0 && *list != '\0')
	{
		size_t		next = strcspn(list, ",");

		if (next == length && strncmp(list, address, length) == 0)
			return true;
		list += next + (list[next] == ',');
	}
	return false;
}

/* Tells the core the outcome of the request under way. */
static void
deliver(int member, PghaContact contact, const PghaReport *report, const PghaHistory *history)
{
	Peer	   *p = &peer[member];
	PghaEvent	event = {.type = p->asked_history ? PGHA_EV_HISTORY : PGHA_EV_REPLY,
		.member = member, .contact = contact, .report = report, .same_address = p->same_address, .history = history};

	p->asked_history = false;
	tell_core(&event);
}

static void
take_answer(const PghaConfig *config, int member, const char *outcome, char *text)
{
	static PghaReport report;
	static PghaHistory history;
	Peer	   *p = &peer[member];

	if (strcmp(outcome, "ok") != 0)
	{
		set_error(p, text);
		p->same_address = is_among(p->child.where, p->proved);
		deliver(member, contact_of(outcome), NULL, NULL);
		p->same_address = false;
	}
	else if (p->asked_history)
		deliver(member, PGHA_CONTACT_ANSWERED, NULL,
				pgha_history_parse(text, p->history_timeline, &history) ? &history : NULL);
	else if (!pgha_report_parse(text, &config->members, &report,
								member == config->settings.self ? NULL : take_record, NULL))
	{
		set_error(p, "the answer is not a report of pgha");
		deliver(member, PGHA_CONTACT_ERROR, NULL, NULL);
	}
	else
	{
		if (strcmp(report.node, config->settings.name[member]) != 0)
			snprintf(p->error, sizeof(p->error), "the server at this address calls itself \"%s\"",
					 report.node);
		else if (report.system_identifier != config->settings.system_identifier)
			set_error(p, other_system(config, member, &report));
		else if (PghaConfigDiffers(&config->settings, member, report.config_hash))
			set_error(p, "its pgha.* configuration differs from this node's");
		else
			p->error[0] = '\0';
		p->heard = GetCurrentTimestamp();
		p->waits = report.waits;
		if (strcmp(report.node, config->settings.name[member]) == 0 &&
			report.system_identifier == config->settings.system_identifier)
		{
			p->same_address = strcmp(p->proved, p->child.where) == 0;
			strlcpy(p->proved, p->child.where, sizeof(p->proved));
		}
		deliver(member, PGHA_CONTACT_ANSWERED, &report, NULL);
		p->same_address = false;
	}
}

/* ---- comparing WAL ---- */

static void
end_comparison(PghaComparison outcome)
{
	PghaEvent	event = {.type = PGHA_EV_COMPARED, .member = comparison.member, .compared = outcome};

	PghaChildStop(&comparison.child);
	wait_set_stale = true;
	comparison.member = PGHA_NOBODY;
	comparison.readable = false;
	tell_core(&event);
}

void
PghaPeersCompareWal(const PghaConfig *config, int member, uint32 timeline, pgha_lsn begin, pgha_lsn end)
{
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		request[128];

	PghaChildStop(&comparison.child);
	wait_set_stale = true;
	comparison.member = member;
	comparison.readable = false;
	snprintf(request, sizeof(request), "compare\t%u\t" UINT64_FORMAT "\t" UINT64_FORMAT "\t%d",
			 timeline, begin, end, wal_segment_size);
	comparison.failed = !pgha_conninfo_build(conninfo, sizeof(conninfo), config->conninfo,
											 &config->members.member[member], PGHA_IO_NAME, NULL) ||
		!PghaChildStart(&comparison.child, conninfo) ||
		!PghaChildRequest(&comparison.child, request, pgha_clock_us(), COMPARE_LIMIT);
}

static void
tend_comparison(void)
{
	char	   *outcome;
	char	   *text;

	if (comparison.member == PGHA_NOBODY)
		return;
	if (comparison.failed || pgha_clock_us() >= comparison.child.deadline)
		end_comparison(PGHA_WAL_NOT_COMPARED);
	else if (comparison.readable)
	{
		comparison.readable = false;
		switch (PghaChildPoll(&comparison.child, &outcome, &text))
		{
			case PGHA_CHILD_REPLY:
				end_comparison(strcmp(outcome, "ok") != 0 ? PGHA_WAL_NOT_COMPARED :
							   strcmp(text, "same") == 0 ? PGHA_WAL_SAME :
							   strcmp(text, "differs") == 0 ? PGHA_WAL_DIFFERS :
							   strcmp(text, "not needed") == 0 ? PGHA_WAL_NOT_NEEDED : PGHA_WAL_GONE);
				break;
			case PGHA_CHILD_GONE:
				end_comparison(PGHA_WAL_NOT_COMPARED);
				break;
			case PGHA_CHILD_NOTHING:
				break;
		}
	}
}

/* ---- the loop ---- */

void
PghaPeersTend(const PghaConfig *config)
{
	for (int i = 0; i < config->members.voters; i++)
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
					take_answer(config, i, outcome, text);
					break;
				case PGHA_CHILD_GONE:
					wait_set_stale = true;
					p->retry_at = now + CHILD_RETRY;
					if (busy)
					{
						set_error(p, "\"pgha io\" ended unexpectedly");
						deliver(i, PGHA_CONTACT_UNLEARNT, NULL, NULL);
					}
					break;
				case PGHA_CHILD_NOTHING:
					if (p->child.request != 0 && now >= p->child.deadline)
					{
						PghaChildStop(&p->child);
						wait_set_stale = true;
						/* It keeps the limits itself, but for the look-up of a name. */
						set_error(p, "\"pgha io\" did not answer in time");
						deliver(i, PGHA_CONTACT_UNLEARNT, NULL, NULL);
					}
					break;
			}
		}
		if (p->failed && (p->child.pid != 0 || pgha_clock_us() >= p->retry_at))
		{
			/* The program cannot run. */
			p->failed = false;
			deliver(i, PGHA_CONTACT_UNLEARNT, NULL, NULL);
		}
		send_request(config, i);
	}
	tend_comparison();
}

pgha_time
PghaPeersDue(const PghaConfig *config)
{
	pgha_time	due = PG_INT64_MAX;

	for (int i = 0; i < config->members.voters; i++)
	{
		if (peer[i].child.request != 0)
			due = Min(due, peer[i].child.deadline);
		if (peer[i].failed)
			due = Min(due, peer[i].retry_at);
	}
	if (comparison.member != PGHA_NOBODY)
		due = comparison.failed ? 0 : Min(due, comparison.child.deadline);
	return due;
}

static void
build_wait_set(const PghaConfig *config)
{
	if (wait_set != NULL)
		FreeWaitEventSet(wait_set);
	wait_set = compat_wait_event_set(PGHA_MAX_MEMBERS + 3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < config->members.voters; i++)
	{
		if (peer[i].child.fd >= 0)
			AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, peer[i].child.fd, NULL, &peer[i].readable);
	}
	if (comparison.child.fd >= 0)
		AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, comparison.child.fd, NULL, &comparison.readable);
	wait_set_stale = false;
}

void
PghaPeersWait(const PghaConfig *config, long timeout_ms)
{
	WaitEvent	events[PGHA_MAX_MEMBERS + 3];
	int			count;

	if (wait_set_stale)
		build_wait_set(config);
	count = WaitEventSetWait(wait_set, timeout_ms, events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < count; i++)
	{
		if (events[i].user_data != NULL)
			*(bool *) events[i].user_data = true;
	}
	ResetLatch(MyLatch);
}

void
PghaPeersShow(int member, PghaMemberView *view)
{
	strlcpy(view->error, peer[member].error, sizeof(view->error));
	view->heard = peer[member].heard;
}
