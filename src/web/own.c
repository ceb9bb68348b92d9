/*
 * own.c
 *		GET /pgha: all that this node knows, in pgha's own words.
 *
 * The rows of the SQL functions as they are, with their age, so that whoever shows
 * them never shows old news as new.  For the threads that answer, who hold the
 * view's lock.
 */
#include "own.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../common/clock.h"
#include "../host/server_ctl.h"

/* Text that other servers wrote is in the rows as it came from the own one, which has cleaned it. */
static json_t *
rows(const json_t *array)
{
	return json_is_array(array) ? json_deep_copy(array) : json_array();
}

/* When the answer came, by the time of day: of a clock that may have been set since. */
static json_t *
time_of(int64_t age_ms)
{
	struct timespec now = {0};
	struct tm	parts;
	char		text[64];
	time_t		second;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	second = (time_t) (((int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000 - age_ms) / 1000);
	if (gmtime_r(&second, &parts) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		return json_null();
	return json_string(text);
}

static const char *
leader_name(const PghaWebView *view, int64_t now_us)
{
	if (pgha_view_leads(view, now_us))
		return view->conf->members.member[view->conf->self].name;
	return pgha_view_fresh(view, now_us) && view->last.in_recovery ? pgha_view_status(view, "leader") : "";
}

json_t *
pgha_own_document(const PghaWebView *view, int64_t now_us)
{
	const PghaAgentConf *conf = view->conf;
	const char *leader = leader_name(view, now_us);
	int64_t		age = pgha_view_age_ms(view, now_us);
	json_t	   *document = json_object();

	(void) json_object_set_new(document, "cluster", json_string(conf->cluster));
	(void) json_object_set_new(document, "node", json_string(conf->members.member[conf->self].name));
	(void) json_object_set_new(document, "version", json_string(PGHA_VERSION));
	(void) json_object_set_new(document, "at", age >= 0 ? time_of(age) : json_null());
	(void) json_object_set_new(document, "age_ms", age >= 0 ? json_integer(age) : json_null());
	(void) json_object_set_new(document, "fresh", json_boolean(pgha_view_fresh(view, now_us)));
	(void) json_object_set_new(document, "primary", leader[0] != '\0' ? json_string(leader) : json_null());
	(void) json_object_set_new(document, "valid_ms", json_integer(pgha_view_valid_ms(view, now_us)));
	(void) json_object_set_new(document, "server",
							   json_string(pgha_server_word((PghaServer) atomic_load(&view->shared->server))));
	(void) json_object_set_new(document, "status", view->last.status != NULL ? json_deep_copy(view->last.status) : json_null());
	(void) json_object_set_new(document, "replay", view->last.replay != NULL ? json_deep_copy(view->last.replay) : json_null());
	(void) json_object_set_new(document, "pending_restart", json_string(view->last.pending_restart));
	(void) json_object_set_new(document, "max_failover_lag", json_integer(view->last.max_failover_lag));
	(void) json_object_set_new(document, "members", rows(view->last.members));
	(void) json_object_set_new(document, "recoveries", rows(view->last.recoveries));
	(void) json_object_set_new(document, "events", rows(view->events));
	return document;
}
