/*
 * cluster.c
 *		The cluster as one member sees it, asked for as one JSON document.
 *
 * One query fetches all, so that the table and --json show the same moment, and
 * columns that a newer extension adds come through.  For `pgha status`, with
 * --watch too, and for the bar of `pgha recover`.  Nothing is printed here but
 * what went wrong.
 */
#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "client.h"

/* %s: what tells of recoveries. */
static const char status_query[] =
"SELECT json_build_object("
" 'cluster', current_setting('pgha.cluster', true),"
" 'answered_by', s.node,"
" 'max_failover_lag', pg_size_bytes(current_setting('pgha.max_failover_lag', true)),"
" 'recoveries', %s,"
" 'follows_primary', nullif(current_setting('pgha.address', true), ''),"
" 'status', row_to_json(s),"
" 'members', (SELECT coalesce(json_agg(m), '[]') FROM"
"   (SELECT c.*, CASE WHEN c.last_heard IS NOT NULL THEN"
"      greatest(0, extract(epoch FROM clock_timestamp() - c.last_heard))::float8 END"
"      AS heard_seconds_ago,"
"      extract(epoch FROM (to_json(c)->>'time_lag')::interval)::float8 AS time_lag_seconds"
"      FROM pgha_cluster() c) m))"
" FROM pgha_status() s";

static const char recoveries_query[] =
"(SELECT coalesce(json_agg(r), '[]') FROM"
"  (SELECT p.*, extract(epoch FROM clock_timestamp() - p.started)::float8 AS seconds,"
"     extract(epoch FROM clock_timestamp() - p.updated)::float8 AS updated_seconds_ago"
"   FROM pgha_recovery_progress() p WHERE p.job IS NOT NULL ORDER BY p.node) r)";

/* ---- reading it ---- */

bool
pgha_has_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL && strcmp(value, text) == 0;
}

bool
pgha_member_leads(const json_t *member)
{
	return json_is_true(json_object_get(member, "reachable")) &&
		pgha_has_text(member, "role", "primary") && pgha_has_text(member, "state", "primary");
}

int
pgha_list_primaries(const json_t *members, char *names, size_t size)
{
	int			count = 0;
	size_t		length = 0;
	size_t		index;
	const json_t *member;

	names[0] = '\0';
	json_array_foreach(members, index, member)
	{
		if (!pgha_member_leads(member))
			continue;
		if (length < size)
			length += (size_t) snprintf(names + length, size - length, "%s%s", count > 0 ? ", " : "",
										json_string_value(json_object_get(member, "node")));
		count++;
	}
	(void) pgha_shown(names, false);
	return count;
}

json_t *
pgha_member_of(const json_t *document, const char *node)
{
	size_t		index;
	json_t	   *member;

	json_array_foreach(json_object_get(document, "members"), index, member)
	{
		if (pgha_has_text(member, "node", node))
			return member;
	}
	return NULL;
}

void
pgha_members_grow_older(json_t *document, double seconds)
{
	size_t		index;
	json_t	   *member;

	json_array_foreach(json_object_get(document, "members"), index, member)
	{
		const json_t *heard = json_object_get(member, "heard_seconds_ago");

		if (json_is_number(heard))
			(void) json_object_set_new(member, "shown_seconds_ago", json_real(json_number_value(heard) + seconds));
	}
}

/* ---- asking for it ---- */

/* Whom each voter is for, in a cell; only where anybody votes. */
static void
mark_votes(json_t *members)
{
	size_t		index;
	json_t	   *member;
	bool		anybody = false;

	json_array_foreach(members, index, member)
		anybody = anybody || json_is_true(json_object_get(member, "votes"));
	json_array_foreach(members, index, member)
	{
		const char *vote = json_string_value(json_object_get(member, "vote"));
		const char *support = json_string_value(json_object_get(member, "supports"));

		if (anybody)
			(void) json_object_set_new(member, "voting", vote != NULL ? json_sprintf("voted: %s", vote) :
									   support != NULL ? json_string(support) : json_null());
	}
}

/* Adds what people read as marks. */
static void
mark_members(json_t *document)
{
	const char *node = json_string_value(json_object_get(document, "answered_by"));
	json_t	   *limit = json_object_get(document, "max_failover_lag");
	json_t	   *members = json_object_get(document, "members");
	size_t		index;
	json_t	   *member;

	json_array_foreach(members, index, member)
	{
		json_int_t	lag = json_integer_value(json_object_get(member, "lag_bytes"));

		(void) json_object_set_new(member, "answered",
								   json_boolean(node != NULL && pgha_has_text(member, "node", node)));
		if (json_is_integer(limit) && lag > json_integer_value(limit))
			(void) json_object_set_new(member, "lags", json_true());
	}
	mark_votes(members);
}

bool
pgha_recoveries_ask(PGconn *conn)
{
	char		query[sizeof(recoveries_query) + 16];

	(void) snprintf(query, sizeof(query), "SELECT %s", recoveries_query);
	return PQsendQuery(conn, query) == 1;
}

json_t *
pgha_recoveries_fetch(PGconn *conn, int limit_ms, FILE *errors)
{
	char		query[sizeof(recoveries_query) + 16];

	(void) snprintf(query, sizeof(query), "SELECT %s", recoveries_query);
	return pgha_client_try_query_json(conn, query, NULL, limit_ms, errors);
}

json_t *
pgha_status_fetch(PGconn *conn, int limit_ms, FILE *errors)
{
	char		query[sizeof(status_query) + sizeof(recoveries_query)];
	char	   *known;
	json_t	   *document;
	char		primaries[1024];
	int			count;

	/* Version 1.0 of the extension has no such function. */
	known = pgha_client_try_query(conn, "SELECT to_regprocedure('pgha_recovery_progress()')", NULL, limit_ms, errors);
	if (known == NULL)
		return NULL;
	(void) snprintf(query, sizeof(query), status_query, *known != '\0' ? recoveries_query : "'[]'::json");
	free(known);
	document = pgha_client_try_query_json(conn, query, NULL, limit_ms, errors);
	if (document == NULL)
		return NULL;
	mark_members(document);
	count = pgha_list_primaries(json_object_get(document, "members"), primaries, sizeof(primaries));
	(void) json_object_set_new(document, "primary", count == 1 ? json_string(primaries) : json_null());
	return document;
}
