/*
 * patroni.c
 *		The documents of Patroni's REST API, made from what this node knows.
 *
 * Fields and words are those that programs written for Patroni read; what pgha has
 * no counterpart for is left out, and what is not known is not guessed: "unknown",
 * null, or no field.  doc/http.md has the list.
 *
 * For the threads that answer, who hold the view's lock.
 */
#include "patroni.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../host/server_ctl.h"

static const char *
text_of(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "";
}

static void
put(json_t *object, const char *key, json_t *value)
{
	(void) json_object_set_new(object, key, value);
}

const char *
pgha_patroni_state(const PghaWebView *view, int64_t now_us)
{
	PghaServer	server = (PghaServer) atomic_load(&view->shared->server);

	if (pgha_view_fresh(view, now_us))
		return strcmp(pgha_view_status(view, "state"), "starting") == 0 && view->last.in_recovery ? "starting" : "running";
	switch (server)
	{
		case PGHA_SERVER_STOPPED:
			return "stopped";
		case PGHA_SERVER_CRASHED:
			return "crashed";
		case PGHA_SERVER_MARKED:
			return "creating replica";
		default:
			return "unknown";
	}
}

const char *
pgha_patroni_role(const PghaWebView *view, int64_t now_us)
{
	if (pgha_view_leads(view, now_us))
		return "primary";
	if (!view->answered)
		return "uninitialized";
	return view->last.in_recovery ? "replica" : "demoted";
}

/* Where the server's WAL is; nothing while that is not known. */
static void
put_xlog(json_t *node, const PghaWebView *view)
{
	json_int_t	end = (json_int_t) pgha_view_lsn(view->last.status, "flushed_lsn");
	json_t	   *xlog = json_object();

	if (view->last.in_recovery)
	{
		const json_t *time = json_object_get(view->last.replay, "time");

		put(xlog, "received_location", json_integer(end));
		put(xlog, "replayed_location", json_integer((json_int_t) pgha_view_lsn(view->last.status, "replayed_lsn")));
		put(xlog, "replayed_timestamp", json_is_string(time) ? json_string(json_string_value(time)) : json_null());
		put(xlog, "paused", json_boolean(json_is_true(json_object_get(view->last.replay, "paused"))));
	}
	else
		put(xlog, "location", json_integer(end));
	put(node, "xlog", xlog);
}

static void
put_pending_restart(json_t *node, const char *names)
{
	json_t	   *reasons;
	char		list[sizeof(((PghaWebAnswer *) 0)->pending_restart)];
	char	   *rest = list;
	char	   *name;

	if (names[0] == '\0')
		return;
	reasons = json_object();
	memcpy(list, names, sizeof(list));
	while ((name = strsep(&rest, ",")) != NULL)
		put(reasons, name + strspn(name, " "), json_object());
	put(node, "pending_restart", json_true());
	put(node, "pending_restart_reason", reasons);
}

static void
put_server(json_t *node, const PghaWebView *view)
{
	const char *sync_state = view->last.in_recovery ? pgha_view_status(view, "sync_state") : "";
	json_t	   *timeline = json_object_get(view->last.status, "timeline");

	put_xlog(node, view);
	if (json_is_integer(timeline))
		put(node, "timeline", json_integer(json_integer_value(timeline)));
	if (strcmp(sync_state, "sync") == 0)
		put(node, "sync_standby", json_true());
	else if (strcmp(sync_state, "quorum") == 0)
		put(node, "quorum_standby", json_true());
	if (view->last.in_recovery && view->last.streaming)
		put(node, "replication_state", json_string("streaming"));
	if (json_is_array(view->last.replication))
		put(node, "replication", json_deep_copy(view->last.replication));
	put_pending_restart(node, view->last.pending_restart);
	if (json_is_true(json_object_get(view->last.status, "paused")))
		put(node, "pause", json_true());
	if (pgha_view_status(view, "leader")[0] == '\0')
		put(node, "cluster_unlocked", json_true());
}

json_t *
pgha_patroni_node(const PghaWebView *view, int64_t now_us)
{
	const PghaAgentConf *conf = view->conf;
	json_t	   *node = json_object();
	struct timespec now = {0};

	put(node, "state", json_string(pgha_patroni_state(view, now_us)));
	put(node, "role", json_string(pgha_patroni_role(view, now_us)));
	if (view->server_version != 0)
	{
		put(node, "postmaster_start_time", json_string(view->start_time));
		put(node, "server_version", json_integer(view->server_version));
		put(node, "database_system_identifier", json_string(view->system_identifier));
	}
	if (pgha_view_fresh(view, now_us))
		put_server(node, view);
	if (view->answered)
	{
		(void) clock_gettime(CLOCK_REALTIME, &now);
		put(node, "dcs_last_seen", json_integer(now.tv_sec - pgha_view_age_ms(view, now_us) / 1000));
	}
	put(node, "patroni", json_pack("{s:s, s:s, s:s, s:s}", "version", PGHA_PATRONI_VERSION, "scope", conf->cluster,
								   "name", conf->members.member[conf->self].name, "pgha", PGHA_VERSION));
	return node;
}

/* ---- /cluster ---- */

static const char *
member_state(const PghaWebView *view, const json_t *member, bool leads)
{
	const char *state = text_of(member, "state");

	if (!json_is_true(json_object_get(member, "reachable")))
		return strcmp(state, "starting") == 0 ? "starting" : "unknown";
	if (leads)
		return "running";
	if (strcmp(state, "standby") != 0)
		return strcmp(state, "candidate") == 0 ? "running" : "unknown";
	(void) view;
	return text_of(member, "upstream")[0] != '\0' ? "streaming" : "running";
}

/* What the primary knows of those that stream from it: theirs by their application_name. */
static const char *
standby_role(const PghaWebView *view, const char *name)
{
	size_t		index;
	json_t	   *sender;

	json_array_foreach(view->last.replication, index, sender)
	{
		if (strcmp(text_of(sender, "application_name"), name) != 0)
			continue;
		if (strcmp(text_of(sender, "sync_state"), "sync") == 0)
			return "sync_standby";
		if (strcmp(text_of(sender, "sync_state"), "quorum") == 0)
			return "quorum_standby";
	}
	return "replica";
}

static json_t *
lag_or_unknown(const json_t *member, const char *column)
{
	const json_t *lag = json_object_get(member, column);

	return json_is_integer(lag) ? json_integer(json_integer_value(lag)) : json_string("unknown");
}

static void
put_lags(json_t *out, const json_t *member)
{
	const char *replay = json_object_get(member, "replay_lag_bytes") != NULL ? "replay_lag_bytes" : "lag_bytes";

	put(out, "receive_lag", lag_or_unknown(member, "lag_bytes"));
	put(out, "receive_lsn", json_string(text_of(member, "lsn")));
	put(out, "replay_lag", lag_or_unknown(member, replay));
	if (json_is_string(json_object_get(member, "replayed_lsn")))
		put(out, "replay_lsn", json_string(text_of(member, "replayed_lsn")));
	put(out, "lag", lag_or_unknown(member, replay));
}

static void
put_address(json_t *out, const PghaWebView *view, const char *name)
{
	const PghaMembers *members = &view->conf->members;
	int			index = pgha_members_find(members, name);
	char		url[PGHA_HOST_SIZE + 64];
	const char *host;

	if (index == PGHA_NOBODY)
		return;
	host = members->member[index].host;
	(void) snprintf(url, sizeof(url), strchr(host, ':') != NULL ? "%s://[%s]:%d/patroni" : "%s://%s:%d/patroni",
					view->conf->http_tls_cert[0] != '\0' ? "https" : "http", host, view->conf->http_listen.at[0].port);
	put(out, "api_url", json_string(url));
	put(out, "host", json_string(host));
	put(out, "port", json_integer(members->member[index].port));
}

static json_t *
cluster_member(const PghaWebView *view, const json_t *member, int64_t now_us)
{
	const char *name = text_of(member, "node");
	bool		self = strcmp(name, view->conf->members.member[view->conf->self].name) == 0;
	bool		leads = self ? pgha_view_leads(view, now_us) :
		pgha_view_fresh(view, now_us) && strcmp(text_of(member, "state"), "primary") == 0 &&
		strcmp(name, pgha_view_status(view, "leader")) == 0;
	json_t	   *out = json_object();

	put(out, "name", json_string(name));
	put(out, "role", json_string(leads ? "leader" : standby_role(view, name)));
	put(out, "state", json_string(self && !pgha_view_fresh(view, now_us) ? pgha_patroni_state(view, now_us) :
								  pgha_view_fresh(view, now_us) ? member_state(view, member, leads) : "unknown"));
	put_address(out, view, name);
	if (json_is_integer(json_object_get(member, "timeline")))
		put(out, "timeline", json_incref(json_object_get(member, "timeline")));
	if (!leads)
		put_lags(out, member);
	return out;
}

json_t *
pgha_patroni_cluster(const PghaWebView *view, int64_t now_us)
{
	json_t	   *cluster = json_object();
	json_t	   *members = json_array();
	size_t		index;
	json_t	   *member;

	/* A witness has no data: Patroni knows no such thing. */
	json_array_foreach(view->last.members, index, member)
	{
		if (!json_is_true(json_object_get(member, "witness")))
			(void) json_array_append_new(members, cluster_member(view, member, now_us));
	}
	put(cluster, "members", members);
	put(cluster, "scope", json_string(view->conf->cluster));
	if (json_is_true(json_object_get(view->last.status, "paused")))
		put(cluster, "pause", json_true());
	return cluster;
}

json_t *
pgha_patroni_config(const PghaWebView *view)
{
	const PghaMembers *members = &view->conf->members;
	json_t	   *names = json_array();
	json_t	   *config = json_object();

	for (int i = 0; i < members->count; i++)
		(void) json_array_append_new(names, json_string(members->member[i].name));
	put(config, "ttl", json_integer((view->conf->failure_timeout_ms + 999) / 1000));
	put(config, "maximum_lag_on_failover", json_integer(view->last.max_failover_lag));
	put(config, "members", names);
	return config;
}
