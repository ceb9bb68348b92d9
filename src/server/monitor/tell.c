/*
 * tell.c
 *		How the monitor shows what it does, and why: the server log, pgha.events,
 *		the view in shared memory, the process title.
 *
 * For monitor.c and act.c, in the monitor's process only.  It decides nothing,
 * and holds PghaShmem->lock only while it copies the view.
 */
#include "postgres.h"

#include "utils/ps_status.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../../common/event_kind.h"
#include "../../core/ballot.h"
#include "../../core/claim.h"
#include "../events.h"
#include "../promote.h"
#include "../shmem.h"
#include "../why.h"
#include "peers.h"
#include "tell.h"

static char last_change[400];
static TimestampTz last_change_at;
static PghaWhy promotion_why;
static char stop_error[256];		/* why the last instance could not be stopped, as the agent says */

void
PghaWhyText(const PghaNode *node, const PghaWhy *why, char *text, size_t size)
{
	PghaReasonText(node, why, text, size);
	if (why->reason == PGHA_WHY_STOP_FAILED && stop_error[0] != '\0')
	{
		strlcat(text, ": ", size);
		strlcat(text, stop_error, size);
	}
	else if (why->reason == PGHA_WHY_STOPPING_OLD)
	{
		strlcat(text, " (", size);
		strlcat(text, node->durable.leader_instance, size);
		strlcat(text, ")", size);
	}
}

/* The term that this node leads in, or follows a leader of, or was just elected for. */
static uint64
term_of(const PghaNode *node)
{
	return node->state == PGHA_PROMOTING ? Max(node->durable.claim.term, node->durable.won) : node->durable.claim.term;
}

int
PghaEventLevel(const char *kind)
{
	return pgha_event_log_severity(kind) == PGHA_SEVERITY_LOG ? LOG : WARNING;
}

void
PghaTellOwn(const PghaNode *node, const char *kind, const char *what)
{
	ereport(PghaEventLevel(kind), (errmsg("pgha: %s", what)));
	(void) PghaEventsAdd(kind, node->durable.claim.term, what);
}

/* One line in the log, one record in pgha.events. */
static void
tell(const PghaNode *node, const char *kind, const char *what)
{
	ereport(PghaEventLevel(kind), (errmsg("pgha: %s", what)));
	strlcpy(last_change, what, sizeof(last_change));
	last_change_at = GetCurrentTimestamp();
	(void) PghaEventsAdd(kind, term_of(node), what);
}

void
PghaTellEvent(const PghaMonitor *monitor, const PghaWhy *why)
{
	const PghaNode *node = &monitor->node;
	char		what[400];

	PghaWhyText(node, why, what, sizeof(what));
	if (node->state == PGHA_PROMOTING && why->reason != PGHA_WHY_OLD_STOPPED)
	{
		char		cause[320];

		promotion_why = *why;
		strlcpy(cause, what, sizeof(cause));
		snprintf(what, sizeof(what), "promoting to primary of term %llu: %s",
				 (unsigned long long) term_of(node), cause);
	}
	else if (why->reason == PGHA_WHY_LEADING && monitor->promoted)
	{
		char		cause[200];
		char		times[160];

		PghaWhyText(node, &promotion_why, cause, sizeof(cause));
		PghaPromotionTimes(times, sizeof(times));
		snprintf(what, sizeof(what), PGHA_PROMOTED_TEXT "%llu on timeline %u (%s): %s",
				 (unsigned long long) node->durable.claim.term, node->local.timeline, cause, times);
	}
	else if (why->reason == PGHA_WHY_NO_CHECKPOINT && node->durable.claim.term != 0)
	{
		size_t		length = strlen(what);

		/* By that an administrator sees whether it may have led since a former primary that waits for it. */
		snprintf(what + length, sizeof(what) - length, "; the last one known here is \"%s\", primary of term %llu",
				 node->durable.claim.leader, (unsigned long long) node->durable.claim.term);
	}
	else if (why->reason == PGHA_WHY_FOLLOWING)
		snprintf(what, sizeof(what), "follows \"%s\", primary of term %llu on timeline %u",
				 node->settings.name[why->member],
				 (unsigned long long) node->durable.claim.term, node->upstream_timeline);
	tell(node, pgha_reason_kind(why->reason), what);
}

void
PghaTellStop(bool done, const char *message)
{
	/* The core tells of the first failure only; others may have another cause. */
	if (!done && stop_error[0] != '\0' && strcmp(message, stop_error) != 0)
		ereport(WARNING, (errmsg("pgha: the instance could not be stopped: %s", message)));
	strlcpy(stop_error, done ? "" : message, sizeof(stop_error));
}

/* The member believed to lead, this one included. */
static int
leader_seen(const PghaConfig *config, const PghaNode *node)
{
	int			leader = PGHA_NOBODY;

	if (!node->local.in_recovery && node->posted)
		return config->settings.self;
	for (int i = 0; i < config->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (i == config->settings.self || m->contact != PGHA_CONTACT_ANSWERED ||
			m->report.in_recovery || !m->report.posted ||
			m->report.system_identifier != config->settings.system_identifier)
			continue;
		if (leader == PGHA_NOBODY ||
			pgha_claim_compare(&m->report.claim, &node->member[leader].report.claim) > 0)
			leader = i;
	}
	return leader;
}

static void
publish_handover(const PghaNode *node, PghaHandover *handover)
{
	const PghaVoting *voting = &node->voting;

	handover->number = voting->handovers;
	handover->under_way = voting->handover != PGHA_NOBODY;
	handover->holding = voting->holding;
	if (voting->handover_end.reason != PGHA_WHY_NONE)
		PghaWhyText(node, &voting->handover_end, handover->end, sizeof(handover->end));
}

/* What members that vote wait for, of what a view says; times that only pass are left out. */
typedef struct News
{
	PghaState	state;
	PghaBar		bar;
	PghaPassive passive;
	PghaClaim	claim;
	PghaReport	voting;
	PghaContact contact[PGHA_MAX_MEMBERS];	/* who sees whom: what they wait for may depend on it */
	bool		sought[PGHA_MAX_MEMBERS];	/* who seeks to be elected waits for a word of all the others */
} News;

static bool
is_news(const PghaView *view)
{
	static News last;
	static News next;

	memset(&next, 0, sizeof(next));
	next.state = view->state;
	next.bar = view->bar;
	next.passive = view->passive;
	next.claim = view->durable.claim;
	next.voting = view->voting;
	next.voting.promise_age = 0;
	next.voting.replay_lag = 0;
	for (int i = 0; i < view->members.voters; i++)
	{
		next.contact[i] = view->member[i].contact;
		next.sought[i] = view->member[i].report.seeks;
	}
	if (memcmp(&next, &last, sizeof(next)) == 0)
		return false;
	last = next;
	return true;
}

/*
 * What pgha_status() shows of votes, and pgha_explain() thinks over: without the
 * histories, which are long and say nothing that the bar does not.
 */
static void
publish_node(PghaNode *to, const PghaNode *node)
{
	const size_t from = offsetof(PghaNode, compared);

	memcpy(to, node, offsetof(PghaNode, history));
	memset(&to->history, 0, offsetof(PghaHistory, entry));
	memcpy((char *) to + from, (const char *) node + from, offsetof(PghaNode, member) - from);
	memcpy(to->member, node->member, sizeof(PghaMember) * pgha_everybody(node));
}

void
PghaPublish(const PghaMonitor *monitor)
{
	static PghaView view;
	const PghaConfig *config = &monitor->config;
	const PghaNode *node = &monitor->node;

	memset(&view, 0, sizeof(view));
	view.valid = true;
	view.published = pgha_clock_us();
	view.state = node->state;
	PghaWhyText(node, &node->why, view.reason, sizeof(view.reason));
	view.bar = node->bar;
	view.passive = node->passive;
	view.posted = node->posted;
	view.durable = node->durable;
	publish_handover(node, &view.handover);
	view.leader = leader_seen(config, node);
	if (view.leader != PGHA_NOBODY)
		strlcpy(view.leader_name, config->settings.name[view.leader], PGHA_NAME_SIZE);
	view.state_since = monitor->state_since;
	strlcpy(view.last_change, last_change, sizeof(view.last_change));
	view.last_change_at = last_change_at;
	if (monitor->config_error[0] != '\0' || monitor->start_error[0] == '\0')
		strlcpy(view.config_error, monitor->config_error, sizeof(view.config_error));
	else
		snprintf(view.config_error, sizeof(view.config_error), "the next start would be refused: %s", monitor->start_error);
	view.settings = config->settings;
	view.members = config->members;
	view.slots = monitor->slots;
	view.lease_deadline = node->posted ? node->voting.lease_deadline : 0;
	pgha_report_voting(node, &view.voting, view.published);
	for (int i = 0; i < config->members.voters; i++)
	{
		PghaMemberView *m = &view.member[i];
		const PghaAddress *address = &config->members.member[i];

		strlcpy(m->name, config->settings.name[i], sizeof(m->name));
		snprintf(m->address, sizeof(m->address),
				 strchr(address->host, ':') ? "[%s]:%d" : "%s:%d", address->host, address->port);
		m->contact = node->member[i].contact;
		m->told = node->member[i].told;
		PghaPeersShow(i, m);
		m->known = node->member[i].heard != 0;
		m->report = node->member[i].report;
	}

	LWLockAcquire(PghaShmem->lock, LW_EXCLUSIVE);
	memcpy(&PghaShmem->view, &view, sizeof(view));
	PghaShmem->beat = Max(PghaShmem->beat, node->voting.beat);
	publish_node(&PghaShmem->node, node);
	LWLockRelease(PghaShmem->lock);
	if (view.voting.votes != 0 && is_news(&view))
	{
		pg_atomic_fetch_add_u64(&PghaShmem->news, 1);
		ConditionVariableBroadcast(&PghaShmem->news_changed);
	}
}

void
PghaShowTitle(const PghaNode *node)
{
	static char shown[256];
	char		title[256];
	char		reason[200];

	PghaWhyText(node, &node->why, reason, sizeof(reason));
	snprintf(title, sizeof(title), "%s: %s", pgha_state_name(node->state), reason);
	if (strcmp(title, shown) == 0)
		return;
	strlcpy(shown, title, sizeof(shown));
	set_ps_display(title);
}
