/*
 * status.c
 *		`pgha status` and `pgha events`: the cluster as one member sees it.
 *
 * One query fetches all as one JSON document, so that the table and --json show
 * the same moment, and columns that a newer extension adds come through.  What
 * is coloured is what the text says, too.
 */
#include "program.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "client.h"
#include "progress.h"
#include "status.h"
#include "table.h"
#include "terminal.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* For bars, where there is no terminal to be asked. */
#define PLAIN_WIDTH		100
/* For so long a recovery that failed is told of, in seconds. */
#define FAILURE_SHOWN	3600

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
"      AS heard_seconds_ago FROM pgha_cluster() c) m))"
" FROM pgha_status() s";

static const char recoveries_query[] =
"(SELECT coalesce(json_agg(r), '[]') FROM"
"  (SELECT p.*, extract(epoch FROM clock_timestamp() - p.started)::float8 AS seconds,"
"     extract(epoch FROM clock_timestamp() - p.updated)::float8 AS updated_seconds_ago"
"   FROM pgha_recovery_progress() p WHERE p.job IS NOT NULL ORDER BY p.node) r)";

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

/* The state of a member at a glance; an unreachable one's role is old. */
static PghaPaint
paint_state(const json_t *member)
{
	static const char *const bad[] = {"unreachable", "error", "diverged", "fenced", "fencing"};
	static const char *const warn[] = {"returning", "candidate", "promoting", "starting", "unknown"};

	for (int i = 0; i < LENGTH(bad); i++)
		if (has_text(member, "state", bad[i]))
			return PGHA_PAINT_BAD;
	for (int i = 0; i < LENGTH(warn); i++)
		if (has_text(member, "state", warn[i]))
			return PGHA_PAINT_WARN;
	return is_primary(member) ? PGHA_PAINT_GOOD : PGHA_PAINT_NONE;
}

static PghaPaint
paint_primary(const json_t *member)
{
	return is_primary(member) ? PGHA_PAINT_GOOD : PGHA_PAINT_NONE;
}

/* "lags" was put into the rows of those that are too far behind to be promoted. */
static PghaPaint
paint_lag(const json_t *member)
{
	return json_is_true(json_object_get(member, "lags")) ? PGHA_PAINT_WARN : PGHA_PAINT_NONE;
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
	{"  ", "node", false, format_mark, paint_primary},
	{"Node", "node", false, NULL, paint_primary},
	{"Address", "address", false, NULL, NULL},
	{"Role", "role", false, NULL, paint_primary},
	{"State", "state", false, NULL, paint_state},
	{"Term", "term", true, NULL, NULL},
	{"TL", "timeline", true, NULL, NULL},
	{"LSN", "lsn", true, NULL, NULL},
	{"Lag", "lag_bytes", true, format_bytes, paint_lag},
	{"Upstream", "upstream", false, NULL, NULL},
	{"Candidate", "candidate", false, NULL, NULL},
	{"Agent", "agent", false, NULL, NULL},
	{"Heard", "heard_seconds_ago", false, format_age, NULL},
};

static const PghaColumn event_columns[] = {
	{"Time", "at", false, pgha_table_time, NULL},
	{"Node", "node", false, NULL, NULL},
	{"Kind", "kind", false, NULL, NULL},
	{"Term", "term", true, NULL, NULL},
	{"What", "what", false, NULL, NULL},
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

/* Where a status is printed. */
typedef struct Page
{
	FILE	   *out;
	bool		coloured;
	int			width;
} Page;

/* Prints in a paint. */
static void __attribute__((format(printf, 3, 4)))
print_painted(const Page *page, PghaPaint paint, const char *format,...)
{
	va_list		args;

	fputs(paint != PGHA_PAINT_NONE ? pgha_paint(page->coloured, paint) : "", page->out);
	va_start(args, format);
	(void) vfprintf(page->out, format, args);
	va_end(args);
	fputs(paint != PGHA_PAINT_NONE ? pgha_paint(page->coloured, PGHA_PAINT_NONE) : "", page->out);
}

/* The lines that say it all. */
static void
print_headline(const Page *page, const json_t *document, const json_t *status, int count, const char *primaries)
{
	Text		node = get(status, "node");
	Text		leader = last_primary(status, json_object_get(document, "members"));
	Text		config_error = get(status, "config_error");

	fprintf(page->out, "Cluster %s: ", get(document, "cluster").text);
	if (has_text(status, "state", "disabled"))
		fprintf(page->out, "pgha does not manage the server that answered");
	else if (count == 0 && leader.text[0] != '\0')
		print_painted(page, PGHA_PAINT_BAD, "NO PRIMARY, the last one known is %s", leader.text);
	else if (count == 0)
		print_painted(page, PGHA_PAINT_BAD, "NO PRIMARY");
	else if (count == 1)
	{
		print_painted(page, PGHA_PAINT_GOOD, "primary %s", primaries);
		fprintf(page->out, ", term %s, timeline %s", get(status, "term").text, get(status, "timeline").text);
	}
	else
		print_painted(page, PGHA_PAINT_BAD, "MORE THAN ONE PRIMARY: %s", primaries);
	fprintf(page->out, "  (as %s sees it)\n", node.text[0] != '\0' ? node.text : "the server");

	if (json_is_true(json_object_get(status, "paused")))
		print_painted(page, PGHA_PAINT_WARN, "PAUSED: no automatic failover until \"pgha resume\"\n");
	if (config_error.text[0] != '\0')
		print_painted(page, PGHA_PAINT_BAD, "CONFIGURATION ERROR on %s: %s\n", node.text, config_error.text);
}

/* Prints "<node>: <title><text>" if there is a text. */
static void
print_note(const Page *page, const json_t *object, const char *title, const char *key)
{
	Text		node = get(object, "node");
	Text		text = get(object, key);

	if (text.text[0] != '\0')
		fprintf(page->out, "%s: %s%s\n", node.text[0] != '\0' ? node.text : "server", title, text.text);
}

/* What does not fit into a table. */
static void
print_notes(const Page *page, const json_t *status, const json_t *members)
{
	char		title[64] = "last change ";
	size_t		index;
	const json_t *member;

	print_note(page, status, "", "reason");
	if (has_text(status, "role", "primary"))
	{
		print_note(page, status, "commit gate: ", "gate");
		print_note(page, status, "synchronous replication: ", "sync_state");
	}
	pgha_table_time(status, json_object_get(status, "last_change"),
					title + strlen(title), sizeof(title) - strlen(title) - 2);
	strcat(title, ": ");
	print_note(page, status, title, "last_change_reason");
	json_array_foreach(members, index, member)
		print_note(page, member, "", "error");
}

/* The rate that belongs to a node; a new one takes the place of one without a job. */
static PghaRate *
find_rate(PghaRates *rates, const PghaProgress *progress)
{
	for (int i = 0; rates != NULL && i < PGHA_MAX_RATES; i++)
	{
		if (rates->node[i][0] != '\0' && strcmp(rates->node[i], progress->node) != 0)
			continue;
		(void) snprintf(rates->node[i], sizeof(rates->node[i]), "%s", progress->node);
		return &rates->rate[i];
	}
	return NULL;
}

/* A line for each recovery that runs, or has failed not long ago. */
static void
print_recoveries(const Page *page, const json_t *recoveries, PghaRates *rates)
{
	size_t		index;
	const json_t *row;
	int			count = 0;
	int			widest = 0;

	json_array_foreach(recoveries, index, row)
	{
		int			width = pgha_text_width(get(row, "node").text);

		widest = width > widest ? width : widest;
	}
	json_array_foreach(recoveries, index, row)
	{
		PghaProgress progress;
		char		line[1024];
		double		ago = json_number_value(json_object_get(row, "updated_seconds_ago"));
		bool		failed;

		if (!pgha_progress_read(row, &progress))
			continue;
		failed = strcmp(progress.outcome, "failed") == 0;
		if (progress.outcome[0] != '\0' && (!failed || ago > FAILURE_SHOWN))
			continue;
		if (count++ == 0)
			fputc('\n', page->out);
		fprintf(page->out, "Recovery of %s%*s  ", progress.node, widest - pgha_text_width(progress.node), "");
		if (failed)
			print_painted(page, PGHA_PAINT_BAD, "failed %.0f min ago: %s\n", ago / 60, progress.message);
		else
		{
			PghaRate   *rate = find_rate(rates, &progress);

			if (rate != NULL)
				pgha_rate_look(rate, &progress, pgha_awake_ms());
			pgha_progress_line(&progress, rate != NULL ? pgha_rate(rate) : -1, page->width - widest - 14, line, sizeof(line));
			fprintf(page->out, "%s\n", line);
		}
	}
}

/*
 * A line for pgha.address, where it is set: who holds it, and why the primary
 * does not.  That is as its agent said last.
 */
static void
print_address(const Page *page, const json_t *document)
{
	Text		address = get(document, "follows_primary");
	size_t		index;
	const json_t *member;
	bool		said = false;

	if (address.text[0] == '\0')
		return;
	fprintf(page->out, "\nAddress %s: ", address.text);
	json_array_foreach(json_object_get(document, "members"), index, member)
	{
		Text		node = get(member, "node");
		Text		state = get(member, "address_state");

		if (!is_primary(member))
			continue;
		fputs(said ? "; " : "", page->out);
		if (strcmp(state.text, "held") == 0)
			print_painted(page, PGHA_PAINT_GOOD, "held by %s", node.text);
		else
			print_painted(page, PGHA_PAINT_BAD, "NOT HELD by %s%s%s", node.text,
						  strcmp(state.text, "not held") == 0 ? "" : ", ",
						  state.text[0] == '\0' ? "its agent has not told of it" :
						  strcmp(state.text, "not held") == 0 ? "" : state.text);
		said = true;
	}
	if (!said)
		print_painted(page, PGHA_PAINT_BAD, "NO PRIMARY to hold it");
	fputc('\n', page->out);
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
								   json_boolean(node != NULL && has_text(member, "node", node)));
		if (json_is_integer(limit) && lag > json_integer_value(limit))
			(void) json_object_set_new(member, "lags", json_true());
	}
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
	count = list_primaries(json_object_get(document, "members"), primaries, sizeof(primaries));
	(void) json_object_set_new(document, "primary", count == 1 ? json_string(primaries) : json_null());
	return document;
}

void
pgha_status_print(FILE *out, const json_t *document, bool coloured, int width, PghaRates *rates)
{
	const json_t *status = json_object_get(document, "status");
	const json_t *members = json_object_get(document, "members");
	const Page	page = {.out = out, .coloured = coloured, .width = width};
	char		primaries[1024];
	int			count = list_primaries(members, primaries, sizeof(primaries));

	print_headline(&page, document, status, count, primaries);
	if (json_array_size(members) > 0)
	{
		fputc('\n', out);
		pgha_table_print(out, members, member_columns, LENGTH(member_columns), coloured);
	}
	print_address(&page, document);
	print_recoveries(&page, json_object_get(document, "recoveries"), rates);
	fputc('\n', out);
	print_notes(&page, status, members);
}

int
pgha_status_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *document;
	bool		managed;
	bool		led;
	int			width = PLAIN_WIDTH;
	int			rows;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON | PGHA_OPTION_WATCH | PGHA_OPTION_COLOR, &options))
		return EXIT_USAGE;
	if (options.watch > 0)
		return pgha_watch(&options);
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	document = pgha_status_fetch(conn, PGHA_STATUS_LIMIT_MS, stderr);
	PQfinish(conn);
	if (document == NULL)
		return EXIT_ERROR;

	managed = !has_text(json_object_get(document, "status"), "state", "disabled");
	led = json_is_string(json_object_get(document, "primary"));
	if (options.json)
	{
		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else
	{
		if (pgha_terminal_is(stdout))
			pgha_terminal_size(stdout, &width, &rows);
		pgha_status_print(stdout, document, pgha_terminal_coloured(stdout, options.color), width, NULL);
	}
	json_decref(document);
	return !managed ? EXIT_ERROR : led ? EXIT_OK : EXIT_NO_PRIMARY;
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
		pgha_table_print(stdout, events, event_columns, LENGTH(event_columns), false);
	json_decref(events);
	return EXIT_OK;
}
