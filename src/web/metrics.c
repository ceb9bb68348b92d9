/*
 * metrics.c
 *		GET /metrics: numbers for Prometheus, under pgha's names.
 *
 * What is not known has no sample; pgha_up and pgha_primary are always there, so that
 * silence can be told from well-being, and so is pgha_answer_age_seconds once there was
 * an answer.  doc/metrics.md has the list.  For the threads that answer, who hold the view's lock.
 */
#include "metrics.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../common/event_kind.h"
#include "exposition.h"
#include "patroni_metrics.h"

/* Those of pgha_status() on a node with data. */
static const char *const states[] = {
	"starting", "primary", "fencing", "standby", "candidate", "promoting", "returning", "diverged", "passive"
};

static const char *
text_of(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "";
}

static bool
is_true(const json_t *row, const char *column)
{
	return json_is_true(json_object_get(row, column));
}

/* ---- this node ---- */

static void
put_always(PghaExposition *out, const PghaWebView *view, int64_t now)
{
	char		version[32];

	(void) snprintf(version, sizeof(version), "%d", view->server_version);
	pgha_family(out, "pgha_build_info", "gauge", "", "Always 1; the label says the version of pgha.");
	pgha_sample_int(out, "version", PGHA_VERSION, 1);
	pgha_gauge_int(out, "pgha_up", "", "1 if the server answers the agent.", pgha_view_fresh(view, now));
	pgha_gauge_int(out, "pgha_primary", "", "1 while this server may acknowledge commits.", pgha_view_leads(view, now));
	pgha_gauge_int(out, "pgha_following", "", "1 while this server is a standby that follows.", pgha_view_follows(view, now));
	pgha_family(out, "pgha_valid_seconds", "gauge", "seconds", "How long pgha_primary stays 1 if nothing is heard any more.");
	pgha_sample_real(out, NULL, NULL, (double) pgha_view_valid_ms(view, now) / 1000);
	if (view->answered)
	{
		pgha_family(out, "pgha_answer_age_seconds", "gauge", "seconds", "Age of what is shown here.");
		pgha_sample_real(out, NULL, NULL, (double) pgha_view_age_ms(view, now) / 1000);
	}
	if (view->server_version != 0)
	{
		pgha_family(out, "pgha_server_version_info", "gauge", "", "Always 1; the label is PostgreSQL's server_version_num.");
		pgha_sample_int(out, "server_version", version, 1);
		pgha_family(out, "pgha_postmaster_start_time_seconds", "gauge", "seconds", "When PostgreSQL was started, since the epoch.");
		pgha_sample_real(out, NULL, NULL, view->start_epoch);
	}
}

static void
put_number(PghaExposition *out, const PghaWebView *view, const char *column, const char *name, const char *help)
{
	const json_t *value = json_object_get(view->last.status, column);

	if (json_is_integer(value))
		pgha_gauge_int(out, name, "", help, json_integer_value(value));
}

static void
put_positions(PghaExposition *out, const PghaWebView *view)
{
	const json_t *seconds = json_object_get(view->last.replay, "lag");

	pgha_gauge_int(out, "pgha_wal_bytes", "bytes", "End of the WAL here: flushed, or received or replayed.",
				   (int64_t) pgha_view_lsn(view->last.status, "flushed_lsn"));
	if (!view->last.in_recovery)
		return;
	pgha_gauge_int(out, "pgha_wal_replayed_bytes", "bytes", "End of the WAL that was replayed here.",
				   (int64_t) pgha_view_lsn(view->last.status, "replayed_lsn"));
	if (pgha_view_lag(view, true) >= 0)
		pgha_gauge_int(out, "pgha_receive_lag_bytes", "bytes", "WAL of the leader that was not received, as last heard.",
					   pgha_view_lag(view, true));
	if (pgha_view_lag(view, false) >= 0)
		pgha_gauge_int(out, "pgha_replay_lag_bytes", "bytes", "WAL of the leader that was not replayed, as last heard.",
					   pgha_view_lag(view, false));
	if (json_is_number(seconds))
	{
		pgha_family(out, "pgha_replay_lag_seconds", "gauge", "seconds",
					"Age of the last transaction replayed, 0 if all that was received is replayed.");
		pgha_sample_real(out, NULL, NULL, json_number_value(seconds));
	}
	pgha_gauge_int(out, "pgha_streaming", "", "1 if WAL is streamed to here.", view->last.streaming);
	pgha_gauge_int(out, "pgha_replay_paused", "", "1 if replay is paused by hand.", is_true(view->last.replay, "paused"));
	pgha_gauge_int(out, "pgha_candidate", "", "1 if this standby may be promoted by itself.", is_true(view->last.status, "candidate"));
}

static void
put_node(PghaExposition *out, const PghaWebView *view)
{
	const char *state = pgha_view_status(view, "state");
	const json_t *lease = json_object_get(view->last.status, "lease_ms");

	pgha_gauge_int(out, "pgha_in_recovery", "", "1 if the server is a standby.", view->last.in_recovery);
	pgha_family(out, "pgha_state", "gauge", "", "1 for the state that this node is in (see pgha_status()).");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		pgha_sample_int(out, "state", states[i], strcmp(state, states[i]) == 0);
	put_number(out, view, "term", "pgha_term", "Term of the leader that this node follows or is.");
	put_number(out, view, "timeline", "pgha_timeline", "Timeline of the last WAL here.");
	put_positions(out, view);
	pgha_gauge_int(out, "pgha_leader_known", "", "1 if this node knows of a leader.", pgha_view_status(view, "leader")[0] != '\0');
	pgha_gauge_int(out, "pgha_gate_open", "", "1 if commits are accepted here.", strcmp(pgha_view_status(view, "gate"), "open") == 0);
	pgha_gauge_int(out, "pgha_paused", "", "1 if failover is paused.", is_true(view->last.status, "paused"));
	pgha_gauge_int(out, "pgha_config_error", "", "1 if the settings in the files are not in force.",
				   pgha_view_status(view, "config_error")[0] != '\0');
	pgha_gauge_int(out, "pgha_pending_restart", "", "1 if settings wait for a restart.", view->last.pending_restart[0] != '\0');
	pgha_gauge_int(out, "pgha_quorum_in_force", "", "1 if the members vote.",
				   strcmp(pgha_view_status(view, "quorum"), "in force") == 0);
	if (json_is_integer(lease))
	{
		pgha_family(out, "pgha_lease_remaining_seconds", "gauge", "seconds", "On the leader: how long its lease lasted, when it last answered.");
		pgha_sample_real(out, NULL, NULL, (double) json_integer_value(lease) / 1000);
	}
	if (view->conf->address[0] != '\0')
		pgha_gauge_int(out, "pgha_address_held", "", "1 if pgha.address is here.",
					   strcmp(pgha_view_status(view, "address_state"), "held") == 0);
}

/* ---- the members, as this node sees them ---- */

/* "db-1 (term 3)" supports db-1. */
static bool
supports(const json_t *member, const char *leader)
{
	const char *text = text_of(member, "supports");
	size_t		length = strlen(leader);

	return length > 0 && strncmp(text, leader, length) == 0 && text[length] == ' ';
}

static void
put_each(PghaExposition *out, const PghaWebView *view, const char *name, const char *column, const char *help)
{
	size_t		index;
	json_t	   *member;

	pgha_family(out, name, "gauge", "", help);
	json_array_foreach(view->last.members, index, member)
	{
		const json_t *value = json_object_get(member, column);

		if (json_is_boolean(value))
			pgha_sample_int(out, "member", text_of(member, "node"), json_is_true(value));
	}
}

/* A column that an older extension does not have is not known. */
static void
put_bytes(PghaExposition *out, const PghaWebView *view, const char *name, const char *column, const char *help)
{
	size_t		index;
	json_t	   *member;

	pgha_family(out, name, "gauge", "bytes", help);
	json_array_foreach(view->last.members, index, member)
	{
		const json_t *value = json_object_get(member, column);

		if (json_is_integer(value))
			pgha_sample_int(out, "member", text_of(member, "node"), json_integer_value(value));
	}
}

static void
put_members(PghaExposition *out, const PghaWebView *view)
{
	const char *leader = pgha_view_status(view, "leader");
	int			reachable = 0;
	int			voters = 0;
	int			votes = 0;
	size_t		index;
	json_t	   *member;

	json_array_foreach(view->last.members, index, member)
	{
		reachable += is_true(member, "reachable");
		voters += is_true(member, "votes");
		votes += is_true(member, "votes") && is_true(member, "reachable") && supports(member, leader);
	}
	pgha_gauge_int(out, "pgha_members", "", "Members and witnesses.", (int64_t) json_array_size(view->last.members));
	pgha_gauge_int(out, "pgha_members_up", "", "Members and witnesses that answer.", reachable);
	pgha_gauge_int(out, "pgha_voters", "", "Members and witnesses that take part in votes.", voters);
	pgha_gauge_int(out, "pgha_votes", "", "Voters that answer and support the leader.", votes);
	put_each(out, view, "pgha_member_up", "reachable", "1 if the member answers.");
	put_each(out, view, "pgha_member_agent_connected", "agent", "1 if the member's agent is connected to this server.");
	pgha_family(out, "pgha_member_leader", "gauge", "", "1 for the member believed to lead.");
	json_array_foreach(view->last.members, index, member)
		pgha_sample_int(out, "member", text_of(member, "node"), strcmp(text_of(member, "node"), leader) == 0);
	put_bytes(out, view, "pgha_member_lag_bytes", "lag_bytes", "WAL of the leader that the member has not received.");
	put_bytes(out, view, "pgha_member_replay_lag_bytes", "replay_lag_bytes", "WAL of the leader that the member has not replayed.");
}

static void
put_recoveries(PghaExposition *out, const PghaWebView *view)
{
	size_t		index;
	json_t	   *row;

	pgha_family(out, "pgha_recovery_running", "gauge", "", "1 while a recovery of the member goes on, as this server knows.");
	json_array_foreach(view->last.recoveries, index, row)
		pgha_sample_int(out, "member", text_of(row, "node"),
						json_is_integer(json_object_get(row, "job")) && !json_is_string(json_object_get(row, "outcome")));
	pgha_family(out, "pgha_recovery_done_ratio", "gauge", "ratio", "How far the phase of such a recovery is.");
	json_array_foreach(view->last.recoveries, index, row)
	{
		if (json_is_number(json_object_get(row, "percent")) && !json_is_string(json_object_get(row, "outcome")))
			pgha_sample_real(out, "member", text_of(row, "node"), json_number_value(json_object_get(row, "percent")) / 100);
	}
}

/* ---- counters ---- */

static void
put_counters(PghaExposition *out, const PghaWebView *view)
{
	static const char *const outcomes[PGHA_WEB_OUTCOMES] = {"done", "failed", "cancelled"};
	static const char *const classes[PGHA_WEB_CLASSES] = {NULL, NULL, "2xx", NULL, "4xx", "5xx"};
	const char *kind;

	pgha_family(out, "pgha_events", "counter", "", "Events of this node since the agent was started, by kind (see pgha_events()).");
	for (int i = 0; (kind = pgha_event_record_kind(i)) != NULL; i++)
	{
		int64_t		count = 0;

		for (int j = 0; j < view->kinds; j++)
			if (strcmp(view->event[j].kind, kind) == 0)
				count = view->event[j].count;
		pgha_sample_int(out, "kind", kind, count);
	}
	pgha_family(out, "pgha_promotions", "counter", "", "Times that the server was seen to become a primary since the agent was started.");
	pgha_sample_int(out, NULL, NULL, view->promotions);
	pgha_family(out, "pgha_demotions", "counter", "", "Times that the server was seen to become a standby since the agent was started.");
	pgha_sample_int(out, NULL, NULL, view->demotions);
	pgha_family(out, "pgha_recoveries", "counter", "", "Recoveries of this node that ended since the agent was started.");
	for (int i = 0; i < PGHA_WEB_OUTCOMES; i++)
		pgha_sample_int(out, "outcome", outcomes[i], view->recoveries[i]);
	pgha_family(out, "pgha_http_requests", "counter", "", "Requests answered here, by class of status code.");
	for (int i = 0; i < PGHA_WEB_CLASSES; i++)
		if (classes[i] != NULL)
			pgha_sample_int(out, "code", classes[i], view->requests[i]);
}

char *
pgha_metrics_text(const PghaWebView *view, int64_t now_us, bool openmetrics, bool patroni)
{
	PghaExposition out = {.openmetrics = openmetrics};
	char	   *text = NULL;
	size_t		size;

	out.out = open_memstream(&text, &size);
	if (out.out == NULL)
		return NULL;
	pgha_exposition_label(out.labels, sizeof(out.labels), patroni ? "scope" : "cluster", view->conf->cluster);
	pgha_exposition_label(out.labels, sizeof(out.labels), patroni ? "name" : "node", view->conf->members.member[view->conf->self].name);
	if (patroni)
		pgha_patroni_metrics(&out, view, now_us);
	else
	{
		put_always(&out, view, now_us);
		if (pgha_view_fresh(view, now_us))
		{
			put_node(&out, view);
			put_members(&out, view);
			put_recoveries(&out, view);
		}
		put_counters(&out, view);
	}
	pgha_exposition_end(&out);
	if (fclose(out.out) != 0)
	{
		free(text);
		return NULL;
	}
	return text;
}
