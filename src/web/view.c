/*
 * view.c
 *		What the own server said last, and how long that holds.
 *
 * A fact has three values.  That the server leads is only said until the time that
 * it named itself, by this host's clock: one that is frozen is silent, and no
 * leader any more when that is over.  That it follows, or runs, is said as long as
 * its answers are fresh.  All else is "not known", which is no.
 *
 * For the thread that asks the server, which writes, and for those that answer.
 * Nothing here waits, but for the lock, which is held for as long as it takes to
 * write one answer.
 */
#include "view.h"

#include <stdio.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/lsn.h"

/* The server is asked anew every second. */
#define FRESH_MS	3000

void
pgha_view_init(PghaWebView *view, const PghaAgentConf *conf, PghaWebShared *shared)
{
	memset(view, 0, sizeof(*view));
	(void) pthread_mutex_init(&view->lock, NULL);
	view->conf = conf;
	view->shared = shared;
}

static void
forget_documents(PghaWebAnswer *answer)
{
	json_decref(answer->status);
	json_decref(answer->members);
	json_decref(answer->recoveries);
	json_decref(answer->replication);
	json_decref(answer->replay);
	json_decref(answer->events);
	memset(answer, 0, sizeof(*answer));
}

static void
count_kind(PghaWebView *view, const char *kind)
{
	int			i = 0;

	while (i < view->kinds && strcmp(view->event[i].kind, kind) != 0)
		i++;
	if (i == PGHA_WEB_KINDS)
		return;
	if (i == view->kinds)
		(void) snprintf(view->event[view->kinds++].kind, sizeof(view->event[i].kind), "%s", kind);
	view->event[i].count++;
}

static const char *
text_of(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "";
}

/* Counts the own events that are new since this process began. */
static void
count_events(PghaWebView *view)
{
	const char *self = view->conf->members.member[view->conf->self].name;
	const char *newest = "";
	bool		first = view->counted_to[0] == '\0';
	size_t		index;
	json_t	   *event;

	json_array_foreach(view->events, index, event)
	{
		const char *at = text_of(event, "at");

		/* Those of other nodes have the times of other clocks, and come when they come. */
		if (strcmp(text_of(event, "node"), self) != 0)
			continue;
		if (newest[0] == '\0')
			newest = at;

		/* They have the same form, and the same time zone: that of the session. */
		if (first || strcmp(at, view->counted_to) <= 0)
			break;
		count_kind(view, text_of(event, "kind"));
	}
	if (first || newest[0] != '\0')
		(void) snprintf(view->counted_to, sizeof(view->counted_to), "%s", newest[0] != '\0' ? newest : "0");
}

/* Where a leader is known, how far it was when it was last heard. */
static void
note_leader(PghaWebView *view)
{
	const char *leader = pgha_view_status(view, "leader");
	size_t		index;
	json_t	   *member;

	json_array_foreach(view->last.members, index, member)
	{
		uint64_t	lsn = pgha_view_lsn(member, "lsn");

		if (leader[0] != '\0' && strcmp(text_of(member, "node"), leader) == 0 && lsn != 0)
			view->leader_lsn = lsn;
	}
}

/* Counts the own node's recoveries that have ended since this process began: the server may have been down meanwhile. */
static void
count_recoveries(PghaWebView *view, bool first)
{
	static const char *const outcomes[PGHA_WEB_OUTCOMES] = {"done", "failed", "cancelled"};
	const char *self = view->conf->members.member[view->conf->self].name;
	size_t		index;
	json_t	   *row;

	json_array_foreach(view->last.recoveries, index, row)
	{
		int64_t		job = json_integer_value(json_object_get(row, "job"));

		if (strcmp(text_of(row, "node"), self) != 0 || !json_is_string(json_object_get(row, "outcome")) ||
			job == view->counted_job)
			continue;
		view->counted_job = job;
		for (int i = 0; !first && i < PGHA_WEB_OUTCOMES; i++)
			view->recoveries[i] += strcmp(text_of(row, "outcome"), outcomes[i]) == 0;
	}
}

bool
pgha_view_take(PghaWebView *view, PghaWebAnswer *answer)
{
	bool		first = !view->answered;

	if (strcmp(text_of(answer->status, "node"), view->conf->members.member[view->conf->self].name) != 0)
	{
		forget_documents(answer);
		return false;
	}
	(void) pthread_mutex_lock(&view->lock);
	if (answer->events != NULL)
	{
		json_decref(view->events);
		view->events = answer->events;
		answer->events = NULL;
		count_events(view);
	}
	if (!first && view->last.in_recovery != answer->in_recovery)
	{
		view->promotions += view->last.in_recovery;
		view->demotions += answer->in_recovery;
	}
	forget_documents(&view->last);
	view->last = *answer;
	view->connected = view->answered = true;
	note_leader(view);
	count_recoveries(view, first);
	(void) pthread_mutex_unlock(&view->lock);
	return true;
}

void
pgha_view_lost(PghaWebView *view)
{
	(void) pthread_mutex_lock(&view->lock);
	view->connected = false;
	(void) pthread_mutex_unlock(&view->lock);
}

bool
pgha_view_leads(const PghaWebView *view, int64_t now_us)
{
	return view->connected && view->answered && !view->last.in_recovery && now_us < view->last.valid_until_us;
}

int64_t
pgha_view_valid_ms(const PghaWebView *view, int64_t now_us)
{
	return pgha_view_leads(view, now_us) ? (view->last.valid_until_us - now_us) / 1000 : 0;
}

int64_t
pgha_view_age_ms(const PghaWebView *view, int64_t now_us)
{
	return view->answered ? (now_us - view->last.answered_us) / 1000 : -1;
}

bool
pgha_view_fresh(const PghaWebView *view, int64_t now_us)
{
	return view->connected && view->answered && pgha_view_age_ms(view, now_us) <= FRESH_MS;
}

const char *
pgha_view_status(const PghaWebView *view, const char *column)
{
	return text_of(view->last.status, column);
}

bool
pgha_view_follows(const PghaWebView *view, int64_t now_us)
{
	const char *state = pgha_view_status(view, "state");

	/* A candidate is a standby whose primary is missing: what it has can still be read. */
	return pgha_view_fresh(view, now_us) && view->last.in_recovery &&
		(strcmp(state, "standby") == 0 || strcmp(state, "candidate") == 0);
}

uint64_t
pgha_view_lsn(const json_t *row, const char *column)
{
	return pgha_lsn_of(text_of(row, column));
}

int64_t
pgha_view_lag(const PghaWebView *view, bool received)
{
	uint64_t	own = pgha_view_lsn(view->last.status, received ? "flushed_lsn" : "replayed_lsn");

	if (view->leader_lsn == 0 || own == 0)
		return -1;
	return view->leader_lsn > own ? (int64_t) (view->leader_lsn - own) : 0;
}
