/*
 * check_limits.c
 *		The limits that options of `pgha check` give, and their units.
 *
 * Units are PostgreSQL's.  For check.c and the checks; nothing is printed here.
 */
#include "check_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* What is more is no limit. */
#define MOST	1e15

typedef struct Unit
{
	const char *name;
	PghaLimitUnit kind;
	double		factor;
} Unit;

/* Of each kind from the smallest on. */
static const Unit units[] = {
	{"B", PGHA_LIMIT_BYTES, 1}, {"kB", PGHA_LIMIT_BYTES, 1024}, {"MB", PGHA_LIMIT_BYTES, 1048576},
	{"GB", PGHA_LIMIT_BYTES, 1073741824}, {"TB", PGHA_LIMIT_BYTES, 1099511627776.0},
	{"ms", PGHA_LIMIT_SECONDS, 0.001}, {"s", PGHA_LIMIT_SECONDS, 1}, {"min", PGHA_LIMIT_SECONDS, 60},
	{"h", PGHA_LIMIT_SECONDS, 3600}, {"d", PGHA_LIMIT_SECONDS, 86400}
};

/* Takes one limit off *cursor, up to a comma or the end. */
static bool
take_limit(const char **cursor, bool plain_seconds, PghaLimitUnit *kind, double *value)
{
	char	   *end;
	size_t		length;

	if (**cursor < '0' || **cursor > '9')
		return false;
	*value = strtod(*cursor, &end);
	if (!(*value < MOST))
		return false;
	length = strcspn(end, ",");
	*cursor = end + length;
	if (length == 0)
	{
		*kind = plain_seconds ? PGHA_LIMIT_SECONDS : PGHA_LIMIT_COUNT;
		return true;
	}
	for (int i = 0; i < LENGTH(units); i++)
	{
		if (strlen(units[i].name) != length || strncmp(end, units[i].name, length) != 0)
			continue;
		*kind = units[i].kind;
		*value *= units[i].factor;
		return true;
	}
	return false;
}

bool
pgha_check_limits_parse(const char *text, int allowed, bool plain_seconds, PghaLimits *limits)
{
	PghaLimits	read = {.critical = -1};
	PghaLimitUnit other;

	if (!take_limit(&text, plain_seconds, &read.unit, &read.warning) || (allowed & (1 << read.unit)) == 0)
		return false;
	if (*text == ',')
	{
		text++;
		if (!take_limit(&text, plain_seconds, &other, &read.critical) || other != read.unit)
			return false;
	}
	*limits = read;
	return *text == '\0';
}

/* Of a limit, or of what is told in its unit; no library of mathematics is needed for that. */
static bool
is_whole(double value)
{
	return value < MOST && value == (double) (long long) value;
}

PghaCheckState
pgha_check_above(const PghaLimits *limits, double value)
{
	return value < 0 ? PGHA_CHECK_UNKNOWN : limits->critical >= 0 && value > limits->critical ? PGHA_CHECK_CRITICAL :
		limits->warning >= 0 && value > limits->warning ? PGHA_CHECK_WARNING : PGHA_CHECK_OK;
}

const char *
pgha_check_limit_text(double limit, bool lower, char text[PGHA_LIMIT_TEXT])
{
	if (limit < 0)
		return NULL;
	(void) snprintf(text, PGHA_LIMIT_TEXT, is_whole(limit) ? "%.0f%s" : "%.3f%s", limit, lower ? ":" : "");
	return text;
}

const char *
pgha_check_amount(PghaLimitUnit unit, double value, char text[PGHA_LIMIT_TEXT])
{
	const Unit *best = NULL;

	for (int i = 0; i < LENGTH(units); i++)
		if (units[i].kind == unit && (best == NULL || value >= units[i].factor))
			best = &units[i];
	if (best == NULL)
		(void) snprintf(text, PGHA_LIMIT_TEXT, "%.0f", value);
	else
	{
		double		number = value / best->factor;

		(void) snprintf(text, PGHA_LIMIT_TEXT, number >= 100 || is_whole(number) ? "%.0f %s" : "%.1f %s", number, best->name);
	}
	return text;
}
