/*
 * check_report.c
 *		What `pgha check` has found, as one line with performance data, or as JSON.
 *
 * The form is that of the Monitoring Plugins' guidelines: "PGHA OK - text |
 * label=value[unit];warning;critical;min;max".  A text from a server can hold
 * anything: a bar or a line break in it would become performance data or a second
 * line, and is replaced.
 *
 * For check.c and the checks; it asks nobody and decides nothing.
 */
#include "check_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"

/* What is longer is not shown by most consoles; the rest is told with -v. */
#define LINE_LIMIT		900

static const char *const state_names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

/* Which of two states is told, by the state's number. */
static const int weight[] = {0, 2, 3, 1};

const char *
pgha_check_state_name(PghaCheckState state)
{
	return state_names[state];
}

char *
pgha_check_clean(char *text)
{
	(void) pgha_shown(text, false);
	for (char *c = text; *c != '\0'; c++)
	{
		if (*c == '|')
			*c = '/';
		else if (*c == '\n' || *c == '\r' || *c == '\t')
			*c = ' ';
	}
	return text;
}

void
pgha_check_report_init(PghaCheckReport *report)
{
	report->findings = json_array();
	report->values = json_array();
}

void
pgha_check_report_free(PghaCheckReport *report)
{
	json_decref(report->findings);
	json_decref(report->values);
}

void
pgha_check_find(PghaCheckReport *report, const char *check, PghaCheckState state, const char *format,...)
{
	char		text[1024];
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void) pgha_check_clean(text);
	(void) json_array_append_new(report->findings, json_pack("{s:s, s:s, s:s}", "check", check,
															 "state", state_names[state], "text", text));
}

void
pgha_check_value(PghaCheckReport *report, const char *label, double value, const char *unit,
				 const char *warning, const char *critical, double max)
{
	(void) json_array_append_new(report->values,
								 json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:i, s:o}", "label", label,
										   "value", value < 0 ? json_null() : json_real(value), "unit", unit,
										   "warning", warning, "critical", critical, "min", 0,
										   "max", max < 0 ? json_null() : json_real(max)));
}

static PghaCheckState
state_of(const json_t *finding)
{
	const char *name = json_string_value(json_object_get(finding, "state"));

	for (int i = 0; name != NULL && i < 4; i++)
		if (strcmp(name, state_names[i]) == 0)
			return (PghaCheckState) i;
	return PGHA_CHECK_UNKNOWN;
}

PghaCheckState
pgha_check_worst(const PghaCheckReport *report)
{
	PghaCheckState worst = PGHA_CHECK_OK;
	size_t		index;
	const json_t *finding;

	json_array_foreach(report->findings, index, finding)
		if (weight[state_of(finding)] > weight[worst])
			worst = state_of(finding);
	return worst;
}

/* ---- the line ---- */

/* The findings of one state, separated by semicolons, as far as there is room. */
static size_t
add_findings(const PghaCheckReport *report, PghaCheckState state, char *line, size_t length, size_t size, int *left)
{
	size_t		index;
	const json_t *finding;

	json_array_foreach(report->findings, index, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "text"));

		if (state_of(finding) != state || text == NULL)
			continue;
		if (length > 0 && length + strlen(text) + 2 > LINE_LIMIT)
			(*left)++;
		else
			length += (size_t) snprintf(line + length, size - length, "%s%s", length > 0 ? "; " : "", text);
	}
	return length;
}

/* A number without needless digits: 16777216, 0.25. */
static void
print_number(const json_t *value)
{
	double		number = json_number_value(value);

	if (number == (double) (long long) number)
		printf("%lld", (long long) number);
	else
		printf("%.3f", number);
}

static void
print_values(const PghaCheckReport *report)
{
	size_t		index;
	const json_t *value;

	json_array_foreach(report->values, index, value)
	{
		const json_t *max = json_object_get(value, "max");
		const char *warning = json_string_value(json_object_get(value, "warning"));
		const char *critical = json_string_value(json_object_get(value, "critical"));

		printf("%s%s=", index == 0 ? " | " : " ", json_string_value(json_object_get(value, "label")));
		if (json_is_null(json_object_get(value, "value")))
			putchar('U');
		else
		{
			print_number(json_object_get(value, "value"));
			fputs(json_string_value(json_object_get(value, "unit")), stdout);
		}
		printf(";%s;%s;0", warning != NULL ? warning : "", critical != NULL ? critical : "");
		if (!json_is_null(max))
		{
			putchar(';');
			print_number(max);
		}
	}
}

static void
print_line(const PghaCheckReport *report, PghaCheckState worst, const char *title)
{
	static const PghaCheckState order[] = {PGHA_CHECK_CRITICAL, PGHA_CHECK_WARNING, PGHA_CHECK_UNKNOWN};
	char		line[LINE_LIMIT + 1200] = "";
	size_t		length = 0;
	int			left = 0;

	for (int i = 0; i < 3; i++)
		length = add_findings(report, order[i], line, length, sizeof(line), &left);
	printf("PGHA %s - %s", state_names[worst], length > 0 ? line : title);
	if (left > 0)
		printf("; and %d more (-v)", left);
	print_values(report);
	putchar('\n');
}

int
pgha_check_print(const PghaCheckReport *report, const char *title, bool details, bool json)
{
	PghaCheckState worst = pgha_check_worst(report);
	size_t		index;
	const json_t *finding;

	if (json)
	{
		json_t	   *document = json_pack("{s:s, s:i, s:s, s:O, s:O}", "state", state_names[worst], "exit_code", (int) worst,
										 "title", title, "checks", report->findings, "values", report->values);

		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
		return (int) worst;
	}
	print_line(report, worst, title);
	if (details)
		json_array_foreach(report->findings, index, finding)
			printf("%-8s  %s: %s\n", state_names[state_of(finding)], json_string_value(json_object_get(finding, "check")),
				   json_string_value(json_object_get(finding, "text")));
	return (int) worst;
}
