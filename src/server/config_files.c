/*
 * config_files.c
 *		What the next start of this server would refuse in its configuration files.
 *
 * A server that runs takes over what is sound of a changed file, and keeps the rest
 * as it was: PostgreSQL logs a name or value that it cannot use, and goes on.  The
 * next start is refused because of it, and that may be the one after a crash, at
 * night.  So the monitor reads the files itself after each reload, as
 * PostgreSQL would at a start, and says what would be wrong (config_error of
 * pgha_status()).
 *
 * For the monitor, which has no database: check hooks that look into catalogs do not
 * do so there, as at a start.  Values are checked and not set.  Values of texts are
 * never told: one may be a secret.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#include "../common/nearest.h"
#include "compat.h"
#include "config_files.h"

#define PREFIX			"pgha."
#define PREFIX_LENGTH	5
#define MAX_NAMES		128

static bool
is_ours(const char *name)
{
	return pg_strncasecmp(name, PREFIX, PREFIX_LENGTH) == 0;
}

/* The variable of that name that somebody has defined, or NULL. */
static struct config_generic *
find_variable(const char *name)
{
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count; i++)
		if (pg_strcasecmp(variables[i]->name, name) == 0)
			return (variables[i]->flags & GUC_CUSTOM_PLACEHOLDER) == 0 ? variables[i] : NULL;
	return NULL;
}

const char *
PghaConfigNearest(const char *name)
{
	const char *names[MAX_NAMES];
	const char *nearest;
	int			known = 0;
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	if (!is_ours(name))
		return NULL;
	for (int i = 0; i < count && known < MAX_NAMES; i++)
		if (is_ours(variables[i]->name) && (variables[i]->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
			names[known++] = variables[i]->name + PREFIX_LENGTH;
	nearest = pgha_nearest(name + PREFIX_LENGTH, names, known);
	return nearest != NULL ? nearest - PREFIX_LENGTH : NULL;
}

/* What is written later of the same name counts instead. */
static bool
is_overridden(const ConfigVariable *item)
{
	for (const ConfigVariable *later = item->next; later != NULL; later = later->next)
		if (later->errmsg == NULL && pg_strcasecmp(later->name, item->name) == 0)
			return true;
	return false;
}

/* What is wrong with a name or value; false if nothing is. */
static bool
find_fault(const ConfigVariable *item, const char *node, const PghaMembers *members, char *fault, size_t size)
{
	const struct config_generic *variable;
	const char *nearest;

	if (item->errmsg != NULL)
	{
		snprintf(fault, size, "%s", item->errmsg);
		return true;
	}
	variable = find_variable(item->name);
	/* Other libraries' settings may not be defined yet, and PostgreSQL lets them pass. */
	if (variable == NULL && strchr(item->name, '.') != NULL && !is_ours(item->name))
		return false;

	/* PostgreSQL goes on to take former names of its own (sort_mem). */
	if (variable == NULL && (is_ours(item->name) || GetConfigOption(item->name, true, false) == NULL))
	{
		nearest = PghaConfigNearest(item->name);
		snprintf(fault, size, "unrecognized configuration parameter \"%s\"%s%s%s", item->name,
				 nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
		return true;
	}

	/* As if at a start: a setting that only takes effect then is none to be refused. */
	if (set_config_option(item->name, item->value, PGC_POSTMASTER, PGC_S_FILE, GUC_ACTION_SET, false, DEBUG5, false) == 0)
	{
		snprintf(fault, size, "invalid value for parameter \"%s\"", item->name);
		return true;
	}
	if (pg_strcasecmp(item->name, "pgha.node") == 0 && strcmp(item->value, node) != 0 &&
		pgha_voters_find(members, item->value) == PGHA_NOBODY)
	{
		snprintf(fault, size, "pgha.node \"%.64s\" is not one of pgha.members", item->value);
		return true;
	}
	return false;
}

bool
PghaConfigFilesGood(const char *node, const PghaMembers *members, char *error, size_t error_size)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "pgha configuration files", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(own);
	ConfigVariable *head = NULL;
	ConfigVariable *tail = NULL;
	int			faults = 0;

	error[0] = '\0';
	(void) ParseConfigFile(ConfigFileName, true, NULL, 0, 0, DEBUG5, &head, &tail);
	(void) ParseConfigFile(PG_AUTOCONF_FILENAME, false, NULL, 0, 0, DEBUG5, &head, &tail);
	for (const ConfigVariable *item = head; item != NULL; item = item->next)
	{
		char		fault[256];

		if ((item->errmsg == NULL && (item->ignore || is_overridden(item))) ||
			!find_fault(item, node, members, fault, sizeof(fault)))
			continue;
		if (faults++ == 0)
			snprintf(error, error_size, "%s (file \"%s\", line %d)", fault,
					 item->filename != NULL ? item->filename : ConfigFileName, item->sourceline);
	}
	if (faults > 1)
		snprintf(error + strlen(error), error_size - strlen(error), ", and %d more", faults - 1);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(own);
	return faults == 0;
}
