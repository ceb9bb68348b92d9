/*
 * reply.c
 *		What is answered to a request: which path means what.
 *
 * Paths and codes are Patroni's, so that what was written for it works unchanged:
 * 200 is yes; 503 is no, and "not known".  doc/http.md has the list.  A new page
 * is a line in the table.
 *
 * For the threads that answer; the lock is held while a reply is made.
 */
#include "reply.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../common/clock.h"
#include "metrics.h"
#include "own.h"
#include "patroni.h"
#include "ui.h"

/* The agent's loop goes round twice a second. */
#define ALIVE_LIMIT_MS	30000

#define TYPE_JSON			"application/json"
#define TYPE_HTML			"text/html; charset=utf-8"
#define TYPE_METRICS		"text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Yes, no, and what cannot be told because of the request itself. */
typedef enum Verdict
{
	NO = 503,
	YES = 200,
	BAD = 400
} Verdict;

typedef struct Asked
{
	const PghaWebView *view;
	const PghaWebRequest *request;
	int64_t		now;			/* pgha_clock_us() */
} Asked;

/* ---- verdicts ---- */

/* A size as Patroni takes it: bytes, or with a unit; false if it is none. */
static bool
parse_size(const char *text, double *bytes)
{
	static const struct
	{
		const char *name;
		double		bytes;
	}			units[] = {
		{"", 1}, {"b", 1}, {"k", 1024}, {"kb", 1024}, {"m", 1048576}, {"mb", 1048576},
		{"g", 1073741824}, {"gb", 1073741824}, {"t", 1099511627776}, {"tb", 1099511627776}
	};
	char	   *end;

	if (!isdigit((unsigned char) text[0]))
		return false;
	*bytes = strtod(text, &end);
	while (isspace((unsigned char) *end))
		end++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strcasecmp(end, units[i].name) == 0)
		{
			*bytes *= units[i].bytes;
			return true;
		}
	}
	return false;
}

/* Is the standby within lag=, or without that within `otherwise` (-1: any lag will do)? */
static Verdict
within_lag(const Asked *asked, bool received, double otherwise)
{
	double		limit = otherwise;
	int64_t		lag = pgha_view_lag(asked->view, received);

	if (asked->request->lag != NULL && !parse_size(asked->request->lag, &limit))
		return BAD;
	if (limit < 0)
		return YES;
	return lag >= 0 && (double) lag <= limit ? YES : NO;
}

static Verdict
leads(const Asked *asked)
{
	return pgha_view_leads(asked->view, asked->now) ? YES : NO;
}

static Verdict
is_replica(const Asked *asked)
{
	const char *wanted = asked->request->replication_state;

	if (asked->request->tags || !pgha_view_follows(asked->view, asked->now) ||
		(wanted != NULL && (strcmp(wanted, "streaming") != 0 || !asked->view->last.streaming)))
		return NO;
	return within_lag(asked, false, -1);
}

static bool
sync_state_is(const Asked *asked, const char *word)
{
	return strcmp(pgha_view_status(asked->view, "sync_state"), word) == 0;
}

static Verdict
is_sync(const Asked *asked)
{
	return sync_state_is(asked, "sync") ? is_replica(asked) : NO;
}

static Verdict
is_quorum(const Asked *asked)
{
	return sync_state_is(asked, "quorum") ? is_replica(asked) : NO;
}

static Verdict
is_async(const Asked *asked)
{
	return sync_state_is(asked, "async") || sync_state_is(asked, "potential") ? is_replica(asked) : NO;
}

/* Tags are for replicas, Patroni says; the primary has none either. */
static Verdict
leads_or(const Asked *asked, Verdict (*otherwise) (const Asked *asked))
{
	return leads(asked) == YES && !asked->request->tags ? YES : otherwise(asked);
}

static Verdict
may_read(const Asked *asked)
{
	return leads_or(asked, is_replica);
}

static Verdict
may_read_sync(const Asked *asked)
{
	return leads_or(asked, is_sync);
}

static Verdict
may_read_quorum(const Asked *asked)
{
	return leads_or(asked, is_quorum);
}

static Verdict
runs(const Asked *asked)
{
	return strcmp(pgha_patroni_state(asked->view, asked->now), "running") == 0 ? YES : NO;
}

/* Of the agent, not of the server. */
static Verdict
lives(const Asked *asked)
{
	return asked->now / 1000 - atomic_load(&asked->view->shared->alive_at) <= ALIVE_LIMIT_MS ? YES : NO;
}

static Verdict
is_ready(const Asked *asked)
{
	bool		received = asked->request->mode != NULL && strcmp(asked->request->mode, "write") == 0;

	if (leads(asked) == YES)
		return YES;
	if (!pgha_view_follows(asked->view, asked->now) || !asked->view->last.streaming)
		return NO;
	return within_lag(asked, received, (double) asked->view->last.max_failover_lag);
}

static Verdict
never(const Asked *asked)
{
	(void) asked;
	return NO;
}

static Verdict
always(const Asked *asked)
{
	(void) asked;
	return YES;
}

/* ---- bodies ---- */

static char *
dump(json_t *document)
{
	char	   *text = json_dumps(document, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(document);
	return text;
}

static char *
node_body(const Asked *asked)
{
	return dump(pgha_patroni_node(asked->view, asked->now));
}

static char *
cluster_body(const Asked *asked)
{
	return dump(pgha_patroni_cluster(asked->view, asked->now));
}

static char *
history_body(const Asked *asked)
{
	return dump(asked->view->history != NULL ? json_incref(asked->view->history) : json_array());
}

static char *
config_body(const Asked *asked)
{
	return dump(pgha_patroni_config(asked->view));
}

static char *
own_body(const Asked *asked)
{
	return dump(pgha_own_document(asked->view, asked->now));
}

static char *
ui_body(const Asked *asked)
{
	(void) asked;
	return pgha_ui_page();
}

static char *
no_body(const Asked *asked)
{
	(void) asked;
	return strdup("");
}

static char *
metrics_body(const Asked *asked)
{
	const char *names = asked->request->names;

	return pgha_metrics_text(asked->view, asked->now, asked->request->openmetrics,
							 names != NULL && strcmp(names, "patroni") == 0);
}

/* ---- paths ---- */

typedef struct Page
{
	const char *path;
	Verdict		(*verdict) (const Asked *asked);
	char	   *(*body) (const Asked *asked);
	const char *type;			/* NULL: JSON */
} Page;

static const Page pages[] = {
	{"/", leads, node_body, NULL},
	{"/primary", leads, node_body, NULL},
	{"/master", leads, node_body, NULL},
	{"/leader", leads, node_body, NULL},
	{"/read-write", leads, node_body, NULL},
	{"/standby-leader", never, node_body, NULL},
	{"/standby_leader", never, node_body, NULL},
	{"/replica", is_replica, node_body, NULL},
	{"/read-only", may_read, node_body, NULL},
	{"/read-only-sync", may_read_sync, node_body, NULL},
	{"/read-only-synchronous", may_read_sync, node_body, NULL},
	{"/read-only-quorum", may_read_quorum, node_body, NULL},
	{"/synchronous", is_sync, node_body, NULL},
	{"/sync", is_sync, node_body, NULL},
	{"/quorum", is_quorum, node_body, NULL},
	{"/asynchronous", is_async, node_body, NULL},
	{"/async", is_async, node_body, NULL},
	{"/health", runs, node_body, NULL},
	{"/liveness", lives, no_body, NULL},
	{"/readiness", is_ready, no_body, NULL},
	{"/patroni", always, node_body, NULL},
	{"/cluster", always, cluster_body, NULL},
	{"/history", always, history_body, NULL},
	{"/config", always, config_body, NULL},
	{"/pgha", always, own_body, NULL},
	{"/metrics", always, metrics_body, TYPE_METRICS},
	{"/ui", always, ui_body, TYPE_HTML}
};

/* A slash at the end does not matter. */
static const Page *
find_page(const char *path)
{
	size_t		length = strlen(path);

	if (length > 1 && path[length - 1] == '/')
		length--;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
	{
		if (strlen(pages[i].path) == length && strncmp(pages[i].path, path, length) == 0)
			return &pages[i];
	}
	return NULL;
}

static void
count(PghaWebView *view, int status)
{
	if (status >= 100 && status / 100 < PGHA_WEB_CLASSES)
		view->requests[status / 100]++;
}

void
pgha_web_count(PghaWebView *view, int status)
{
	(void) pthread_mutex_lock(&view->lock);
	count(view, status);
	(void) pthread_mutex_unlock(&view->lock);
}

void
pgha_web_reply(PghaWebView *view, const PghaWebRequest *request, PghaWebReply *reply)
{
	const Page *page = find_page(request->path);
	Asked		asked = {.view = view, .request = request};

	reply->type = TYPE_JSON;
	reply->policy = NULL;
	(void) pthread_mutex_lock(&view->lock);
	asked.now = pgha_clock_us();
	reply->status = page != NULL ? (int) page->verdict(&asked) : 404;
	count(view, reply->status);
	if (page == NULL)
		reply->body = strdup("{\"error\":\"not found\"}");
	else if (reply->status == BAD)
		reply->body = strdup("{\"error\":\"lag is a number of bytes, or one with a unit: lag=1048576, lag=10MB\"}");
	else
		reply->body = page->body(&asked);
	(void) pthread_mutex_unlock(&view->lock);
	if (page != NULL && page->type != NULL && reply->status != BAD)
		reply->type = page->body == metrics_body && request->openmetrics ? TYPE_OPENMETRICS : page->type;
	if (page != NULL && page->body == ui_body)
		reply->policy = pgha_ui_policy();
}
