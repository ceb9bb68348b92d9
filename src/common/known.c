/*
 * known.c
 *		All settings pgha.*, what kind they are, and what values they take.
 *
 * The server defines them to PostgreSQL (config.c and others), which checks names
 * and values itself; the agent looks at the same files without a server.  A test
 * (t/551_check_files.pl) compares the table with pg_settings.  Nothing is allocated.
 */
#include "known.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "errors.h"
#include "nearest.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))
#define PREFIX_LENGTH	5		/* "pgha." */
#define MAX_MS			(INT_MAX / 1000)
#define MOST			1e15	/* what is more is a value of nothing */

static const PghaKnown settings[] = {
	{"pgha.address", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.agent_directory", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.arbiter", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.agent_log_format", PGHA_KIND_WORD, "text,json", 0, 0, 0},
	{"pgha.auto_failover", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.auto_rejoin", PGHA_KIND_WORD, "off,rewind,clone", 0, 0, 0},
	{"pgha.clone_check", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.clone_command", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.clone_in_place", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.cluster", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.commit_guard", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.conninfo", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.ec2_endpoint", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.ec2_insecure", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.failure_timeout", PGHA_KIND_MS, NULL, 1, MAX_MS, 3000},
	{"pgha.fence", PGHA_KIND_WORD, "off,ec2-stop", 0, 0, 0},
	{"pgha.fence_timeout", PGHA_KIND_MS, NULL, 1, MAX_MS, 120000},
	{"pgha.heartbeat_interval", PGHA_KIND_MS, NULL, 1, MAX_MS, 500},
	{"pgha.http", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.http_tls_cert", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.http_tls_key", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.imds_endpoint", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.keep_old_data", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.lease_ttl", PGHA_KIND_MS, NULL, 0, MAX_MS, 0},
	{"pgha.max_failover_lag", PGHA_KIND_MB, NULL, 0, INT_MAX, 16},
	{"pgha.members", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.node", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.notify_command", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.notify_events", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.notify_timeout", PGHA_KIND_MS, NULL, 1, MAX_MS, 30000},
	{"pgha.pgpool", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.pgpool_passfile", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.pgpool_user", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.priority", PGHA_KIND_NUMBER, NULL, 0, 1000, 100},
	{"pgha.quorum", PGHA_KIND_WORD, "auto,on,off", 0, 0, 0},
	{"pgha.refused_is_down", PGHA_KIND_BOOL, NULL, 0, 0, 0},
	{"pgha.server_log", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.slot_keep_size", PGHA_KIND_MB, NULL, 1, INT_MAX, 8192},
	{"pgha.start_command", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.startup_grace", PGHA_KIND_MS, NULL, 1, MAX_MS, 30000},
	{"pgha.stop_command", PGHA_KIND_TEXT, NULL, 0, 0, 0},
	{"pgha.witnesses", PGHA_KIND_TEXT, NULL, 0, 0, 0},
};

const PghaKnown *
pgha_known_get(int number)
{
	return number < LENGTH(settings) ? &settings[number] : NULL;
}

const PghaKnown *
pgha_known_find(const char *name)
{
	for (int i = 0; i < LENGTH(settings); i++)
		if (strcasecmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

const char *
pgha_known_nearest(const char *name)
{
	const char *names[LENGTH(settings)];
	const char *nearest;

	for (int i = 0; i < LENGTH(settings); i++)
		names[i] = settings[i].name + PREFIX_LENGTH;
	nearest = strlen(name) > PREFIX_LENGTH ? pgha_nearest(name + PREFIX_LENGTH, names, LENGTH(settings)) : NULL;
	return nearest != NULL ? nearest - PREFIX_LENGTH : NULL;
}

/* As parse_bool() does: a word may be cut as long as it is one. */
static bool
is_bool(const char *value)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "1", "0"};
	size_t		length = strlen(value);

	for (int i = 0; i < LENGTH(words); i++)
		if (length > 0 && strncasecmp(words[i], value, length) == 0 && (words[i][0] != 'o' || length > 1))
			return true;
	return false;
}

/* Is it one of the words, which are separated by commas? */
static bool
is_word(const char *value, const char *words)
{
	size_t		length = strlen(value);

	while (length > 0 && *words != '\0')
	{
		size_t		end = strcspn(words, ",");

		if (end == length && strncasecmp(words, value, length) == 0)
			return true;
		words += end + (words[end] == ',');
	}
	return false;
}

/* What a unit is in that of the setting; 0 if it is none of its kind. */
static double
unit_factor(PghaKind kind, const char *unit)
{
	static const struct
	{
		PghaKind	kind;
		const char *unit;
		double		factor;
	}			units[] = {
		{PGHA_KIND_MS, "us", 0.001}, {PGHA_KIND_MS, "ms", 1}, {PGHA_KIND_MS, "s", 1000},
		{PGHA_KIND_MS, "min", 60000}, {PGHA_KIND_MS, "h", 3600000}, {PGHA_KIND_MS, "d", 86400000},
		{PGHA_KIND_MB, "B", 1.0 / 1048576}, {PGHA_KIND_MB, "kB", 1.0 / 1024}, {PGHA_KIND_MB, "MB", 1},
		{PGHA_KIND_MB, "GB", 1024}, {PGHA_KIND_MB, "TB", 1048576}
	};

	if (*unit == '\0')
		return 1;
	for (int i = 0; i < LENGTH(units); i++)
		if (units[i].kind == kind && strcmp(units[i].unit, unit) == 0)
			return units[i].factor;
	return 0;
}

/* As parse_int() does: a number, which may have a fraction, and a unit. */
static bool
take_number(const PghaKnown *known, const char *value, int *number)
{
	char		unit[8];
	char	   *end;
	double		amount;
	double		factor;
	size_t		length;

	amount = strtod(value, &end);
	if (end == value || !(amount > -MOST && amount < MOST))
		return false;
	end += strspn(end, " \t");
	length = strcspn(end, " \t");
	if (length >= sizeof(unit) || end[length + strspn(end + length, " \t")] != '\0')
		return false;
	memcpy(unit, end, length);
	unit[length] = '\0';
	factor = unit_factor(known->kind, unit);
	amount *= factor;
	if (factor == 0 || amount < known->min - 0.5 || amount >= known->max + 0.5)
		return false;
	*number = (int) (amount + 0.5);
	return true;
}

bool
pgha_known_check(const PghaKnown *known, const char *value, int *number, char *error, size_t error_size)
{
	switch (known->kind)
	{
		case PGHA_KIND_TEXT:
			return true;
		case PGHA_KIND_BOOL:
			return is_bool(value) ||
				pgha_fail(error, error_size, "%s is \"%s\": write on or off", known->name, value);
		case PGHA_KIND_WORD:
			return is_word(value, known->words) ||
				pgha_fail(error, error_size, "%s is \"%s\": write one of %s", known->name, value, known->words);
		case PGHA_KIND_NUMBER:
			return take_number(known, value, number) ||
				pgha_fail(error, error_size, "%s is \"%s\": write a number from %d to %d", known->name, value, known->min, known->max);
		case PGHA_KIND_MS:
			return take_number(known, value, number) ||
				pgha_fail(error, error_size, "%s is \"%s\": write a time with its unit, such as '500ms' or '3s'", known->name, value);
		case PGHA_KIND_MB:
			return take_number(known, value, number) ||
				pgha_fail(error, error_size, "%s is \"%s\": write a size with its unit, such as '16MB' or '8GB'", known->name, value);
	}
	return true;
}
