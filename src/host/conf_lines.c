/*
 * conf_lines.c
 *		Where in the configuration files each setting pgha.* stands, and what is
 *		wrong with it.
 *
 * A server would find the same at its start, and refuse it; `pgha agent` says it
 * before, without a server.  Filled by conf.c while it reads the files.  Nothing is
 * asked or changed here.
 */
#include "conf_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../common/command.h"
#include "../common/known.h"
#include "../common/pgpools.h"
#include "../common/timing.h"

/* Fewer servers do not vote (config_votes.c). */
#define VOTERS_NEEDED	3

static const PghaConfLine *
find_line(const PghaConfLines *lines, const char *name)
{
	for (int i = 0; i < lines->count; i++)
		if (strcasecmp(lines->line[i].name, name) == 0)
			return &lines->line[i];
	return NULL;
}

static void
free_line(PghaConfLine *line)
{
	free(line->name);
	free(line->value);
	free(line->file);
}

bool
pgha_conf_lines_add(PghaConfLines *lines, const char *name, const char *value, const char *file, int line)
{
	PghaConfLine *place = (PghaConfLine *) find_line(lines, name);

	if (strncasecmp(name, "pgha.", 5) != 0 || (place == NULL && lines->count == PGHA_MAX_CONF_LINES))
		return true;
	if (place != NULL)
		free_line(place);
	else
		place = &lines->line[lines->count++];
	place->name = strdup(name);
	place->value = strdup(value);
	place->file = strdup(file);
	place->line = line;
	if (place->name != NULL && place->value != NULL && place->file != NULL)
		return true;
	free_line(place);
	*place = lines->line[--lines->count];
	return false;
}

void
pgha_conf_lines_free(PghaConfLines *lines)
{
	for (int i = 0; i < lines->count; i++)
		free_line(&lines->line[i]);
	lines->count = 0;
}

static void
add_fault(PghaConfFaults *faults, const PghaConfLine *line, const char *sentence)
{
	if (faults->count == PGHA_MAX_FAULTS)
		return;
	if (line != NULL)
		(void) snprintf(faults->text[faults->count++], PGHA_FAULT_SIZE, "%s:%d: %s", line->file, line->line, sentence);
	else
		(void) snprintf(faults->text[faults->count++], PGHA_FAULT_SIZE, "%s", sentence);
}

void
pgha_conf_fault_add(const PghaConfLines *lines, const char *sentence, PghaConfFaults *faults)
{
	const PghaConfLine *named = NULL;
	const char *first = NULL;

	/* The setting that is named first: it is what the sentence is about; "pgha.pgpool" is not "pgha.pgpool_user". */
	for (int i = 0; i < lines->count; i++)
	{
		const char *at = strstr(sentence, lines->line[i].name);

		if (at != NULL && (first == NULL || at < first || (at == first && strlen(lines->line[i].name) > strlen(named->name))))
		{
			first = at;
			named = &lines->line[i];
		}
	}

	/* It has been told by its kind already. */
	for (int i = 0; named != NULL && i < faults->count; i++)
	{
		char		beginning[PGHA_FAULT_SIZE];

		(void) snprintf(beginning, sizeof(beginning), "%s:%d: ", named->file, named->line);
		if (strncmp(faults->text[i], beginning, strlen(beginning)) == 0)
			return;
	}
	add_fault(faults, named, sentence);
}

/* ---- the rules ---- */

static void
check_line(const PghaConfLine *line, PghaConfFaults *faults)
{
	const PghaKnown *known = pgha_known_find(line->name);
	char		sentence[400];
	int			number;

	if (known == NULL)
	{
		const char *nearest = pgha_known_nearest(line->name);

		(void) snprintf(sentence, sizeof(sentence), "\"%s\" is not a setting of pgha%s%s%s", line->name,
						nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
		add_fault(faults, line, sentence);
	}
	else if (!pgha_known_check(known, line->value, &number, sentence, sizeof(sentence)))
		add_fault(faults, line, sentence);
}

/* Commands and paths, by the rules of check_agent_settings() in the server. */
static void
check_texts(const PghaConfLines *lines, PghaConfFaults *faults)
{
	static const char *const commands[] = {"pgha.start_command", "pgha.stop_command", "pgha.clone_command", "pgha.clone_check"};
	static const char *const paths[] = {"pgha.agent_directory", "pgha.server_log"};
	static const PghaEscape escapes[] = {{'d', ""}, {'h', ""}, {'p', ""}, {'n', ""}, {0, NULL}};
	const PghaConfLine *line;
	PghaPgpools pgpools;
	char		reason[256];
	char		sentence[400];

	for (int i = 0; i < 4; i++)
	{
		char	  **argv;

		if ((line = find_line(lines, commands[i])) == NULL)
			continue;
		argv = pgha_command_split(line->value, i >= 2 ? escapes : NULL, reason, sizeof(reason));
		(void) snprintf(sentence, sizeof(sentence), argv == NULL ? "%s cannot be read: %s" : "%s does not begin with an absolute path",
						commands[i], reason);
		if (argv == NULL || (argv[0] != NULL && argv[0][0] != '/'))
			add_fault(faults, line, sentence);
		free(argv);
	}
	for (int i = 0; i < 2; i++)
	{
		(void) snprintf(sentence, sizeof(sentence), "%s is not an absolute path", paths[i]);
		if ((line = find_line(lines, paths[i])) != NULL && line->value[0] != '\0' && line->value[0] != '/')
			add_fault(faults, line, sentence);
	}
	if ((line = find_line(lines, "pgha.pgpool")) != NULL && !pgha_pgpools_parse(line->value, &pgpools, sentence, sizeof(sentence)))
		add_fault(faults, line, sentence);
}

/* What a number or time is set to; its default if it is not, or cannot be read. */
static int
number_of(const PghaConfLines *lines, const char *name)
{
	const PghaKnown *known = pgha_known_find(name);
	const PghaConfLine *line = find_line(lines, name);
	int			number = known->boot;
	char		ignored[400];

	if (line != NULL && !pgha_known_check(known, line->value, &number, ignored, sizeof(ignored)))
		number = known->boot;
	return number;
}

static void
check_times(const PghaConfLines *lines, int voters, PghaConfFaults *faults)
{
	const PghaConfLine *quorum = find_line(lines, "pgha.quorum");
	const PghaTiming timing = {
		.heartbeat_interval = number_of(lines, "pgha.heartbeat_interval"),
		.failure_timeout = number_of(lines, "pgha.failure_timeout"),
		.startup_grace = number_of(lines, "pgha.startup_grace"),
		.lease_ttl = number_of(lines, "pgha.lease_ttl"),
		.fence_timeout = number_of(lines, "pgha.fence_timeout"),
		.votes = voters >= VOTERS_NEEDED && (quorum == NULL || strcasecmp(quorum->value, "off") != 0)
	};
	char		error[300];
	char		hint[300];
	char		sentence[sizeof(error) + sizeof(hint) + 4];

	for (int i = 0; i < 3; i++)
	{
		if (i == 0 ? pgha_timing_check(&timing, error, sizeof(error), hint, sizeof(hint)) :
			i == 1 ? pgha_timing_check_lease(&timing, error, sizeof(error), hint, sizeof(hint)) :
			pgha_timing_check_fence(&timing, error, sizeof(error), hint, sizeof(hint)))
			continue;
		(void) snprintf(sentence, sizeof(sentence), "%s. %s", error, hint);
		pgha_conf_fault_add(lines, sentence, faults);
	}
}

void
pgha_conf_lines_check(const PghaConfLines *lines, int voters, PghaConfFaults *faults)
{
	for (int i = 0; i < lines->count; i++)
		check_line(&lines->line[i], faults);
	check_texts(lines, faults);
	check_times(lines, voters, faults);
}
