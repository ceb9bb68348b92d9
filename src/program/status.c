/*
 * status.c
 *		`pgha status` and `pgha events`: the cluster as one member sees it.
 *
 * One query fetches all as one JSON document, so that the table and --json show
 * the same moment, and columns that a newer extension adds come through.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "table.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

static const char status_query[] =
"SELECT json_build_object("
" 'cluster', current_setting('pgha.cluster', true),"
" 'answered_by', s.node,"
" 'status', row_to_json(s),"
" 'members', (SELECT coalesce(json_agg(m), '[]') FROM"
"   (SELECT c.*, CASE WHEN c.last_heard IS NOT NULL THEN"
"      greatest(0, extract(epoch FROM clock_timestamp() - c.last_heard))::float8 END"
"      AS heard_seconds_ago FROM pgha_cluster() c) m))"
" FROM pgha_status() s";

static const char events_query[] =
"SELECT coalesce(json_agg(e), '[]') FROM"
" (SELECT * FROM (SELECT * FROM pgha_events() ORDER BY at DESC LIMIT $1::int8) n ORDER BY at) e";

/* ---- cells ---- */

static bool
has_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL && strcmp(value, text) == 0;
}

/* Does the member lead, as far as the one that answered knows? */
static bool
is_primary(const json_t *member)
{
	return json_is_true(json_object_get(member, "reachable")) &&
		has_text(member, "role", "primary") && has_text(member, "state", "primary");
}

/*
 * Marks in front of the name; "answered" was put into the row of the member
 * that did.
 */
static void
format_mark(const json_t *row, const json_t *value, char *out, size_t size)
{
	(void) value;
	(void) snprintf(out, size, "%c%c", is_primary(row) ? '>' : ' ',
					json_is_true(json_object_get(row, "answered")) ? '*' : ' ');
}

static void
format_bytes(const json_t *row, const json_t *value, char *out, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double		amount = (double) json_integer_value(value);
	int			unit = 0;

	(void) row;
	if (!json_is_integer(value))
	{
		out[0] = '\0';
		return;
	}
	while (amount >= 1024 && unit < LENGTH(units) - 1)
	{
		amount /= 1024;
		unit++;
	}
	(void) snprintf(out, size, "%.*f %s", unit == 0 || amount >= 100 ? 0 : 1, amount, units[unit]);
}

static void
format_age(const json_t *row, const json_t *value, char *out, size_t size)
{
	double		seconds = json_number_value(value);

	if (json_is_true(json_object_get(row, "answered")))
		(void) snprintf(out, size, "now");
	else if (!json_is_number(value))
		(void) snprintf(out, size, "never");
	else if (seconds < 100)
		(void) snprintf(out, size, "%.1f s ago", seconds);
	else if (seconds < 2 * 3600)
		(void) snprintf(out, size, "%.0f min ago", seconds / 60);
	else
		(void) snprintf(out, size, "%.0f h ago", seconds / 3600);
}

static const PghaColumn member_columns[] = {
	{"  ", "node", false, format_mark},
	{"Node", "node", false, NULL},
	{"Address", "address", false, NULL},
	{"Role", "role", false, NULL},
	{"State", "state", false, NULL},
	{"Term", "term", true, NULL},
	{"TL", "timeline", true, NULL},
	{"LSN", "lsn", true, NULL},
	{"Lag", "lag_bytes", true, format_bytes},
	{"Upstream", "upstream", false, NULL},
	{"Candidate", "candidate", false, NULL},
	{"Heard", "heard_seconds_ago", false, format_age},
};

static const PghaColumn event_columns[] = {
	{"Time", "at", false, pgha_table_time},
	{"Node", "node", false, NULL},
	{"Kind", "kind", false, NULL},
	{"Term", "term", true, NULL},
	{"What", "what", false, NULL},
};

/* ---- status ---- */

/* Names of the members that lead, separated by commas. */
static int
list_primaries(const json_t *members, char *names, size_t size)
{
	int			count = 0;
	size_t		length = 0;
	size_t		index;
	const json_t *member;

	names[0] = '\0';
	json_array_foreach(members, index, member)
	{
		if (!is_primary(member))
			continue;
		if (length < size)
			length += (size_t) snprintf(names + length, size - length, "%s%s", count > 0 ? ", " : "",
										json_string_value(json_object_get(member, "node")));
		count++;
	}
	return count;
}

/* A value of `object` as text, for a message; "" if it is null. */
typedef struct Text
{
	char		text[1024];
} Text;

static Text
get(const json_t *object, const char *key)
{
	Text		value;

	pgha_table_value(json_object_get(object, key), value.text, sizeof(value.text));
	return value;
}

/* Who led last, as far as it is known; "" if it is not. */
static Text
last_primary(const json_t *status, const json_t *members)
{
	Text		leader = get(status, "leader");
	size_t		index;
	const json_t *member;

	json_array_foreach(members, index, member)
	{
		if (leader.text[0] == '\0' && has_text(member, "role", "primary"))
			leader = get(member, "node");
	}
	return leader;
}

/* The lines that say it all. */
static void
print_headline(const json_t *document, const json_t *status, int count, const char *primaries)
{
	Text		node = get(status, "node");
	Text		leader = last_primary(status, json_object_get(document, "members"));
	Text		config_error = get(status, "config_error");

	printf("Cluster %s: ", get(document, "cluster").text);
	if (has_text(status, "state", "disabled"))
		printf("pgha does not manage the server that answered");
	else if (count == 0 && leader.text[0] != '\0')
		printf("NO PRIMARY, the last one known is %s", leader.text);
	else if (count == 0)
		printf("NO PRIMARY");
	else if (count == 1)
		printf("primary %s, term %s, timeline %s", primaries,
			   get(status, "term").text, get(status, "timeline").text);
	else
		printf("MORE THAN ONE PRIMARY: %s", primaries);
	printf("  (as %s sees it)\n", node.text[0] != '\0' ? node.text : "the server");

	if (json_is_true(json_object_get(status, "paused")))
		printf("PAUSED: no automatic failover until \"pgha resume\"\n");
	if (config_error.text[0] != '\0')
		printf("CONFIGURATION ERROR on %s: %s\n", node.text, config_error.text);
}

/* Prints "<node>: <title><text>" if there is a text. */
static void
print_note(const json_t *object, const char *title, const char *key)
{
	Text		node = get(object, "node");
	Text		text = get(object, key);

	if (text.text[0] != '\0')
		printf("%s: %s%s\n", node.text[0] != '\0' ? node.text : "server", title, text.text);
}

/* What does not fit into a table. */
static void
print_notes(const json_t *status, const json_t *members)
{
	char		title[64] = "last change ";
	size_t		index;
	const json_t *member;

	print_note(status, "", "reason");
	if (has_text(status, "role", "primary"))
	{
		print_note(status, "commit gate: ", "gate");
		print_note(status, "synchronous replication: ", "sync_state");
	}
	pgha_table_time(status, json_object_get(status, "last_change"),
					title + strlen(title), sizeof(title) - strlen(title) - 2);
	strcat(title, ": ");
	print_note(status, title, "last_change_reason");
	json_array_foreach(members, index, member)
		print_note(member, "", "error");
}

static void
print_status(const json_t *document, int count, const char *primaries)
{
	const json_t *status = json_object_get(document, "status");
	const json_t *members = json_object_get(document, "members");

	print_headline(document, status, count, primaries);
	if (json_array_size(members) > 0)
	{
		putchar('\n');
		pgha_table_print(members, member_columns, LENGTH(member_columns));
	}
	putchar('\n');
	print_notes(status, members);
}

/* Adds what people read as marks. */
static void
mark_answered(json_t *document)
{
	const char *node = json_string_value(json_object_get(document, "answered_by"));
	json_t	   *members = json_object_get(document, "members");
	size_t		index;
	json_t	   *member;

	json_array_foreach(members, index, member)
		(void) json_object_set_new(member, "answered",
								   json_boolean(node != NULL && has_text(member, "node", node)));
}

int
pgha_status_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *document;
	char		primaries[1024];
	int			count;
	bool		managed;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON, &options))
		return EXIT_USAGE;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	document = pgha_client_query_json(conn, status_query, NULL);
	PQfinish(conn);
	if (document == NULL)
		return EXIT_ERROR;

	managed = !has_text(json_object_get(document, "status"), "state", "disabled");
	count = list_primaries(json_object_get(document, "members"), primaries, sizeof(primaries));
	mark_answered(document);
	if (options.json)
	{
		(void) json_object_set_new(document, "primary", count == 1 ? json_string(primaries) : json_null());
		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else
		print_status(document, count, primaries);
	json_decref(document);
	return !managed ? EXIT_ERROR : count == 1 ? EXIT_OK : EXIT_NO_PRIMARY;
}

/* ---- events ---- */

int
pgha_events_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *events;
	char		limit[16];

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON | PGHA_OPTION_LIMIT, &options))
		return EXIT_USAGE;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	(void) snprintf(limit, sizeof(limit), "%d", options.limit);
	events = pgha_client_query_json(conn, events_query, limit);
	PQfinish(conn);
	if (events == NULL)
		return EXIT_ERROR;

	if (options.json)
	{
		(void) json_dumpf(events, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else if (json_array_size(events) == 0)
		printf("No events.\n");
	else
		pgha_table_print(events, event_columns, LENGTH(event_columns));
	json_decref(events);
	return EXIT_OK;
}
