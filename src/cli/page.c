/*
 * page.c
 *		The cluster as one member sees it, drawn for people: a headline, the table
 *		of the members, and below it what does not fit in.
 *
 * For `pgha status`, once or again and again (watch.c).  It asks nobody, and
 * changes nothing.  What is coloured is what the text says, too.
 */
#include "page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "cluster.h"
#include "table.h"
#include "terminal.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* For so long a recovery that failed is told of, in seconds. */
#define FAILURE_SHOWN	3600

/* What was heard longer ago, in seconds, is not of now. */
#define OLD_SECONDS		3

/* For bars, where there is no width. */
#define PLAIN_WIDTH		100

/* ---- cells ---- */

/* Its agent finds no data directory, or an empty one; as long as the server answers that is old news. */
static bool
has_lost_data(const json_t *member)
{
	return pgha_has_text(member, "server", "absent") && !json_is_true(json_object_get(member, "reachable"));
}

/* The state of a member at a glance; an unreachable one's role is old. */
static PghaPaint
paint_state(const json_t *member)
{
	static const char *const bad[] = {"unreachable", "error", "diverged", "fenced", "fencing"};
	static const char *const warn[] = {"returning", "candidate", "promoting", "starting", "unknown"};

	if (has_lost_data(member))
		return PGHA_PAINT_BAD;
	for (int i = 0; i < LENGTH(bad); i++)
		if (pgha_has_text(member, "state", bad[i]))
			return PGHA_PAINT_BAD;
	for (int i = 0; i < LENGTH(warn); i++)
		if (pgha_has_text(member, "state", warn[i]))
			return PGHA_PAINT_WARN;
	return pgha_member_leads(member) ? PGHA_PAINT_GOOD : PGHA_PAINT_NONE;
}

static PghaPaint
paint_primary(const json_t *member)
{
	return pgha_member_leads(member) ? PGHA_PAINT_GOOD : PGHA_PAINT_NONE;
}

static void
format_state(const json_t *row, const json_t *value, char *out, size_t size)
{
	if (has_lost_data(row))
		(void) snprintf(out, size, "data lost");
	else
		pgha_table_value(value, out, size);
}

/* Is the agent there, and if its server does not run, what does it say? */
static void
format_agent(const json_t *row, const json_t *value, char *out, size_t size)
{
	const json_t *server = json_object_get(row, "server");

	if (json_is_true(value) && json_is_string(server) && !pgha_has_text(row, "server", "running"))
		pgha_table_value(server, out, size);
	else
		pgha_table_value(value, out, size);
}

static PghaPaint
paint_agent(const json_t *member)
{
	return json_is_false(json_object_get(member, "agent")) ? PGHA_PAINT_WARN : PGHA_PAINT_NONE;
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
	(void) snprintf(out, size, "%c%c", pgha_member_leads(row) ? '>' : ' ',
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

/* What was received, and is not shown to queries yet. */
static void
format_replay(const json_t *row, const json_t *value, char *out, size_t size)
{
	format_bytes(row, value, out, size);
	if (json_is_true(json_object_get(row, "replay_paused")))
		(void) snprintf(out + strlen(out), size - strlen(out), "%spaused", out[0] != '\0' ? ", " : "");
}

static PghaPaint
paint_replay(const json_t *member)
{
	return json_is_true(json_object_get(member, "replay_paused")) ? PGHA_PAINT_WARN : PGHA_PAINT_NONE;
}

static void
format_time_lag(const json_t *row, const json_t *value, char *out, size_t size)
{
	const json_t *lag = json_object_get(row, "time_lag_seconds");
	double		seconds = json_number_value(lag);

	(void) value;
	if (!json_is_number(lag))
		out[0] = '\0';
	else if (seconds < 100)
		(void) snprintf(out, size, "%.*f s", seconds == 0 ? 0 : 1, seconds);
	else if (seconds < 2 * 3600)
		(void) snprintf(out, size, "%.0f min", seconds / 60);
	else
		(void) snprintf(out, size, "%.0f h", seconds / 3600);
}

/* The term only if it is not the one of the row. */
static void
format_supports(const json_t *row, const json_t *value, char *out, size_t size)
{
	char		term[64];
	char		number[32];
	size_t		length;

	pgha_table_value(value, out, size);
	pgha_table_value(json_object_get(row, "term"), number, sizeof(number));
	length = (size_t) snprintf(term, sizeof(term), " (term %s)", number);
	if (strlen(out) > length && strcmp(out + strlen(out) - length, term) == 0 && strncmp(out, "voted", 5) != 0)
		out[strlen(out) - length] = '\0';
}

/* By now, if the row was grown older since. */
static double
seconds_ago(const json_t *row)
{
	const json_t *shown = json_object_get(row, "shown_seconds_ago");

	return json_number_value(shown != NULL ? shown : json_object_get(row, "heard_seconds_ago"));
}

static PghaPaint
paint_age(const json_t *member)
{
	return seconds_ago(member) >= OLD_SECONDS ? PGHA_PAINT_WARN : PGHA_PAINT_NONE;
}

static void
format_age(const json_t *row, const json_t *value, char *out, size_t size)
{
	double		seconds = seconds_ago(row);

	if (json_is_true(json_object_get(row, "answered")) && seconds < OLD_SECONDS)
		(void) snprintf(out, size, "now");
	else if (!json_is_number(value))
		(void) snprintf(out, size, "never");
	else if (seconds < 100)
		(void) snprintf(out, size, "%.1f s", seconds);
	else if (seconds < 2 * 3600)
		(void) snprintf(out, size, "%.0f min", seconds / 60);
	else
		(void) snprintf(out, size, "%.0f h", seconds / 3600);
}

/* Those that matter first are first: a narrow terminal gets no others. */
static const PghaColumn member_columns[] = {
	{"  ", "node", false, format_mark, paint_primary},
	{"Node", "node", false, NULL, paint_primary},
	{"Role", "role", false, NULL, paint_primary},
	{"State", "state", false, format_state, paint_state},
	{"Lag", "lag_bytes", true, format_bytes, paint_lag},
	{"Replay", "replay_lag_bytes", true, format_replay, paint_replay},
	{"Time lag", "time_lag", true, format_time_lag, NULL},
	{"Agent", "agent", false, format_agent, paint_agent},
	{"Age", "heard_seconds_ago", false, format_age, paint_age},
	{"TL", "timeline", true, NULL, NULL},
	{"Upstream", "upstream", false, NULL, NULL},
	{"Supports", "voting", false, format_supports, NULL},
	{"Cand.", "candidate", false, NULL, NULL},
	{"Term", "term", true, NULL, NULL},
	{"LSN", "lsn", true, NULL, NULL},
	{"Address", "address", false, NULL, NULL},
};

/* ---- the page ---- */

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
		if (leader.text[0] == '\0' && pgha_has_text(member, "role", "primary"))
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
	if (pgha_has_text(status, "state", "disabled"))
		fprintf(page->out, "pgha does not manage the server that answered");
	else if (count == 0 && leader.text[0] != '\0')
		print_painted(page, PGHA_PAINT_BAD, "NO PRIMARY, the last one known is %s", leader.text);
	else if (count == 0)
		print_painted(page, PGHA_PAINT_BAD, "NO PRIMARY");
	else if (count == 1)
	{
		print_painted(page, PGHA_PAINT_GOOD, "primary %s", primaries);
		fprintf(page->out, ", term %s", get(status, "term").text);
		if (json_is_integer(json_object_get(status, "timeline")))
			fprintf(page->out, ", timeline %s", get(status, "timeline").text);
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

/* Votes, where the members vote or are about to. */
static void
print_votes(const Page *page, const json_t *status)
{
	static const struct
	{
		const char *title;
		const char *key;
	}			lines[] = {
		{"quorum ", "quorum"}, {"voters: ", "voters"}, {"rule: ", "rule"}, {"open vote for ", "vote"},
		{"promised ", "promise"}, {"stands for election in term ", "candidacy"}, {"did not vote for ", "refusal"}
	};

	/* An older version's has no such column. */
	if (!json_is_string(json_object_get(status, "voters")))
		return;
	for (int i = 0; i < LENGTH(lines); i++)
		print_note(page, status, lines[i].title, lines[i].key);
	if (json_is_integer(json_object_get(status, "lease_ms")))
		fprintf(page->out, "%s: lease for %s ms\n", get(status, "node").text, get(status, "lease_ms").text);
}

/* What does not fit into a table. */
static void
print_notes(const Page *page, const json_t *status, const json_t *members)
{
	char		title[64] = "last change ";
	size_t		index;
	const json_t *member;

	print_note(page, status, "", "reason");
	if (pgha_has_text(status, "role", "primary"))
	{
		print_note(page, status, "commit gate: ", "gate");
		print_note(page, status, "synchronous replication: ", "sync_state");
	}
	print_votes(page, status);
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

		if (!pgha_member_leads(member))
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

/* All of it, but for the width of texts. */
static void
print_page(const Page *page, const json_t *document, const PghaLook *look)
{
	const json_t *status = json_object_get(document, "status");
	const json_t *members = json_object_get(document, "members");
	char		primaries[1024];
	int			count = pgha_list_primaries(members, primaries, sizeof(primaries));

	print_headline(page, document, status, count, primaries);
	if (json_array_size(members) > 0)
	{
		fputc('\n', page->out);
		pgha_table_print(page->out, members, member_columns, LENGTH(member_columns), page->coloured,
						 look->wide ? 0 : look->width);
	}
	print_address(page, document);
	print_recoveries(page, json_object_get(document, "recoveries"), look->rates);
	fputc('\n', page->out);
	print_notes(page, status, members);
}

void
pgha_status_print(FILE *out, const json_t *document, const PghaLook *look)
{
	char	   *text = NULL;
	size_t		size;
	FILE	   *whole = look->width > 0 && !look->wide ? open_memstream(&text, &size) : NULL;
	const Page	page = {
		.out = whole != NULL ? whole : out,
		.coloured = look->coloured,
		.width = look->width > 0 ? look->width : PLAIN_WIDTH
	};

	print_page(&page, document, look);
	if (whole == NULL)
		return;
	(void) fclose(whole);
	if (text != NULL)
		pgha_text_fold(out, text, look->width);
	free(text);
}
