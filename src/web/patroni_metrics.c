/*
 * patroni_metrics.c
 *		Patroni's metrics (GET /metrics?names=patroni), so that dashboards and alerts
 *		made for it show a cluster of pgha.
 *
 * Patroni has a number for everything, also where it is not known: 0.  So is it here.
 * For the threads that answer, who hold the view's lock.
 */
#include "patroni_metrics.h"

#include <string.h>
#include <time.h>

#include "patroni.h"

/* Patroni's numbers of the states that pgha has a word for. */
static int
state_number(const char *state)
{
	static const struct
	{
		const char *name;
		int			number;
	}			states[] = {{"creating replica", 4}, {"running", 5}, {"starting", 6}, {"stopped", 12}, {"crashed", 14}};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(state, states[i].name) == 0)
			return states[i].number;
	return 12;
}

/* Positions only grow, but for a rewind: Patroni calls them counters, under these names. */
static void
position(PghaExposition *out, const char *name, const char *help, uint64_t number)
{
	pgha_gauge_int(out, name, "", help, (int64_t) number);
}

static void
put_server(PghaExposition *out, const PghaWebView *view, int64_t now, bool fresh)
{
	const char *role = pgha_patroni_role(view, now);
	const char *sync_state = fresh && view->last.in_recovery ? pgha_view_status(view, "sync_state") : "";
	bool		standby = fresh && view->last.in_recovery;
	const json_t *epoch = json_object_get(view->last.replay, "epoch");

	pgha_gauge_int(out, "patroni_primary", "", "Value is 1 if this node is the leader, 0 otherwise.", strcmp(role, "primary") == 0);
	position(out, "patroni_xlog_location", "End of the WAL, 0 if this node is not the leader.",
			 fresh && !view->last.in_recovery ? pgha_view_lsn(view->last.status, "flushed_lsn") : 0);
	pgha_gauge_int(out, "patroni_standby_leader", "", "Always 0: there are no standby clusters here.", 0);
	pgha_gauge_int(out, "patroni_replica", "", "Value is 1 if this node is a replica, 0 otherwise.", strcmp(role, "replica") == 0);
	pgha_gauge_int(out, "patroni_sync_standby", "", "Value is 1 if this node is a sync standby, 0 otherwise.", strcmp(sync_state, "sync") == 0);
	pgha_gauge_int(out, "patroni_quorum_standby", "", "Value is 1 if this node is a quorum standby, 0 otherwise.", strcmp(sync_state, "quorum") == 0);
	position(out, "patroni_xlog_received_location", "End of the WAL received, 0 if this node is not a replica.",
			 standby ? pgha_view_lsn(view->last.status, "flushed_lsn") : 0);
	position(out, "patroni_xlog_replayed_location", "End of the WAL replayed, 0 if this node is not a replica.",
			 standby ? pgha_view_lsn(view->last.status, "replayed_lsn") : 0);
	pgha_family(out, "patroni_xlog_replayed_timestamp", "gauge", "", "Time of the last transaction replayed, 0 if there is none.");
	pgha_sample_real(out, NULL, NULL, standby ? json_number_value(epoch) : 0);
	pgha_gauge_int(out, "patroni_xlog_paused", "", "Value is 1 if replay is paused, 0 otherwise.",
				   standby && json_is_true(json_object_get(view->last.replay, "paused")));
	pgha_gauge_int(out, "patroni_postgres_streaming", "", "Value is 1 if this node streams from another one, 0 otherwise.",
				   standby && view->last.streaming);
	pgha_gauge_int(out, "patroni_postgres_in_archive_recovery", "", "Value is 1 if this replica does not stream, 0 otherwise.",
				   standby && !view->last.streaming);
	pgha_gauge_int(out, "patroni_postgres_server_version", "", "Version of PostgreSQL if it runs, 0 otherwise.", fresh ? view->server_version : 0);
	pgha_gauge_int(out, "patroni_cluster_unlocked", "", "Value is 1 if no leader is known, 0 otherwise.",
				   !fresh || pgha_view_status(view, "leader")[0] == '\0');
	pgha_gauge_int(out, "patroni_failsafe_mode_is_active", "", "Always 0.", 0);
	position(out, "patroni_postgres_timeline", "Timeline of this node if it runs, 0 otherwise.",
			 fresh ? (uint64_t) json_integer_value(json_object_get(view->last.status, "timeline")) : 0);
}

void
pgha_patroni_metrics(PghaExposition *out, const PghaWebView *view, int64_t now_us)
{
	bool		fresh = pgha_view_fresh(view, now_us);
	const char *state = pgha_patroni_state(view, now_us);
	int64_t		age = pgha_view_age_ms(view, now_us);

	pgha_gauge_int(out, "patroni_version", "", "Version of Patroni whose interface this is, without dots.", PGHA_PATRONI_VERSION_NUMBER);
	pgha_gauge_int(out, "patroni_postgres_running", "", "Value is 1 if PostgreSQL runs, 0 otherwise.", strcmp(state, "running") == 0);
	pgha_family(out, "patroni_postmaster_start_time", "gauge", "", "When PostgreSQL was started, since the epoch.");
	pgha_sample_real(out, NULL, NULL, fresh ? view->start_epoch : 0);
	put_server(out, view, now_us, fresh);
	pgha_gauge_int(out, "patroni_dcs_last_seen", "", "When the server was last heard of, since the epoch.",
				   age >= 0 ? (int64_t) time(NULL) - age / 1000 : 0);
	pgha_gauge_int(out, "patroni_pending_restart", "", "Value is 1 if settings wait for a restart, 0 otherwise.",
				   fresh && view->last.pending_restart[0] != '\0');
	pgha_gauge_int(out, "patroni_is_paused", "", "Value is 1 if failover is paused, 0 otherwise.",
				   json_is_true(json_object_get(view->last.status, "paused")));
	pgha_gauge_int(out, "patroni_postgres_state", "", "State of PostgreSQL: 4 creating_replica, 5 running, 6 starting, 12 stopped, 14 crashed.",
				   state_number(state));
}
