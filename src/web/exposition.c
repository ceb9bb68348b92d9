/*
 * exposition.c
 *		Writes numbers in Prometheus' formats: OpenMetrics, and the older text format,
 *		which has no units and another name for a counter's family.
 */
#include "exposition.h"

#include <string.h>

void
pgha_exposition_label(char *labels, size_t size, const char *name, const char *value)
{
	size_t		length = strlen(labels);
	int			head = snprintf(labels + length, size - length, "%s%s=\"", length > 0 ? "," : "", name);
	size_t		at = length + (size_t) head;

	/* Worst of all, each character is escaped; what does not fit is left out as a whole. */
	if (at + 2 * strlen(value) + 2 > size)
	{
		labels[length] = '\0';
		return;
	}
	for (; *value != '\0'; value++)
	{
		if (*value == '\\' || *value == '"' || *value == '\n')
			labels[at++] = '\\';
		labels[at++] = *value == '\n' ? 'n' : *value;
	}
	labels[at++] = '"';
	labels[at] = '\0';
}

void
pgha_family(PghaExposition *exposition, const char *name, const char *type, const char *unit, const char *help)
{
	bool		counter = strcmp(type, "counter") == 0;
	const char *suffix = counter && !exposition->openmetrics ? "_total" : "";

	(void) snprintf(exposition->name, sizeof(exposition->name), "%s", name);
	exposition->counter = counter;
	fprintf(exposition->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, type);
	if (exposition->openmetrics && unit[0] != '\0')
		fprintf(exposition->out, "# UNIT %s %s\n", name, unit);
}

static void
put_name(PghaExposition *exposition, const char *label, const char *value)
{
	char		labels[sizeof(exposition->labels) + 256];

	(void) snprintf(labels, sizeof(labels), "%s", exposition->labels);
	if (label != NULL)
		pgha_exposition_label(labels, sizeof(labels), label, value);
	fprintf(exposition->out, "%s%s{%s} ", exposition->name, exposition->counter ? "_total" : "", labels);
}

void
pgha_sample_int(PghaExposition *exposition, const char *label, const char *value, int64_t number)
{
	put_name(exposition, label, value);
	fprintf(exposition->out, "%lld\n", (long long) number);
}

void
pgha_sample_real(PghaExposition *exposition, const char *label, const char *value, double number)
{
	put_name(exposition, label, value);
	fprintf(exposition->out, "%.3f\n", number);
}

void
pgha_gauge_int(PghaExposition *exposition, const char *name, const char *unit, const char *help, int64_t number)
{
	pgha_family(exposition, name, "gauge", unit, help);
	pgha_sample_int(exposition, NULL, NULL, number);
}

void
pgha_exposition_end(PghaExposition *exposition)
{
	if (exposition->openmetrics)
		fputs("# EOF\n", exposition->out);
}
