/*
 * notified.c
 *		What pgha.notify_command was told of: the file `notified` in the agent's
 *		directory.
 *
 * For the process that tells (notify.c).  Lines of words, separated by tabs.  It is
 * written after each event, so that a new agent goes on where the former one ended.
 */
#include "notified.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host/durable.h"

#define FILE_SIZE	(PGHA_NOTIFIED_NODES * (PGHA_NAME_SIZE + 40) + 512)

static void
path_of(const PghaAgentConf *conf, char *path)
{
	(void) snprintf(path, PATH_MAX + 32, "%s/notified", conf->directory);
}

static void
take_line(PghaNotified *notified, const char *line)
{
	char		word[32];
	char		name[64];
	long long	number;

	_Static_assert(PGHA_NAME_SIZE <= 64, "longer names than are read below");
	if (sscanf(line, "node\t%63[^\t]\t%lld", name, &number) == 2)
		pgha_notified_pass(notified, name, number);
	else if (sscanf(line, "job\t%lld\t%15[a-z]\t%llu", &number, word, (unsigned long long *) &notified->failure) >= 2)
	{
		notified->job = number;
		(void) snprintf(notified->outcome, sizeof(notified->outcome), "%.15s", word);
	}
	else if (sscanf(line, "%31[a-z_]\t%lld", word, &number) == 2)
	{
		if (strcmp(word, "since") == 0)
			notified->since = number;
		else if (strcmp(word, "leads_since") == 0)
			notified->leads_since = number;
		else if (strcmp(word, "dropped") == 0)
			notified->dropped = (int) number;
	}
}

bool
pgha_notified_read(const PghaAgentConf *conf, PghaNotified *notified, int64_t now_us)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	char	   *rest;

	memset(notified, 0, sizeof(*notified));
	path_of(conf, path);
	text = pgha_read_file(path, NULL);
	for (char *line = text != NULL ? strtok_r(text, "\n", &rest) : NULL; line != NULL; line = strtok_r(NULL, "\n", &rest))
		take_line(notified, line);
	free(text);
	if (notified->since > 0)
		return true;
	memset(notified, 0, sizeof(*notified));
	notified->since = now_us;
	return false;
}

bool
pgha_notified_write(const PghaAgentConf *conf, const PghaNotified *notified)
{
	char		path[PATH_MAX + 32];
	char		text[FILE_SIZE];
	size_t		length;

	length = (size_t) snprintf(text, sizeof(text), "since\t%lld\nleads_since\t%lld\ndropped\t%d\n",
							   (long long) notified->since, (long long) notified->leads_since, notified->dropped);
	if (notified->outcome[0] != '\0')
		length += (size_t) snprintf(text + length, sizeof(text) - length, "job\t%lld\t%s\t%llu\n", (long long) notified->job,
									notified->outcome, (unsigned long long) notified->failure);
	for (int i = 0; i < notified->count; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length, "node\t%s\t%lld\n",
									notified->node[i].name, (long long) notified->node[i].id);
	path_of(conf, path);
	return pgha_write_file(path, text, length, 0600, true);
}

int64_t
pgha_notified_up_to(const PghaNotified *notified, const char *node)
{
	for (int i = 0; i < notified->count; i++)
	{
		if (strcmp(notified->node[i].name, node) == 0)
			return notified->node[i].id > notified->since ? notified->node[i].id : notified->since;
	}
	return notified->since;
}

void
pgha_notified_pass(PghaNotified *notified, const char *node, int64_t id)
{
	int			oldest = 0;

	for (int i = 0; i < notified->count; i++)
	{
		if (strcmp(notified->node[i].name, node) == 0)
		{
			if (id > notified->node[i].id)
				notified->node[i].id = id;
			return;
		}
		if (notified->node[i].id < notified->node[oldest].id)
			oldest = i;
	}
	if (notified->count < PGHA_NOTIFIED_NODES)
		oldest = notified->count++;
	(void) snprintf(notified->node[oldest].name, sizeof(notified->node[oldest].name), "%s", node);
	notified->node[oldest].id = id;
}
