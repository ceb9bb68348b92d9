/*
 * objects.c
 *		The directories that pgha has made, so that it deletes nothing else.
 *
 * The file `objects` of the agent directory has a line for each: device, inode,
 * the path that it was made with.  A directory is what it is by device and
 * inode: a name, or the text of a link, may lead to what somebody else uses.
 * It is listed before anything is put into it.
 */
#include "objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"

/* Does this line of the file name that directory? */
static bool
names(const char *line, const struct stat *st)
{
	unsigned long long device;
	unsigned long long inode;

	return sscanf(line, "%llu %llu", &device, &inode) == 2 &&
		device == (unsigned long long) st->st_dev && inode == (unsigned long long) st->st_ino;
}

/* Does this line name what is there no more, or another directory by now? */
static bool
is_stale(const char *line)
{
	const char *path = strchr(line, '/');
	struct stat st;

	return path == NULL || (lstat(path, &st) != 0 && errno == ENOENT && strstr(path, ".new-") == NULL);
}

/*
 * Writes the list again without `gone` and with `added` (NULL: none).  Clones
 * are renamed: their lines stay although their paths are there no more.
 */
static bool
write_list(const PghaAgentConf *conf, const struct stat *gone, const struct stat *added, const char *path)
{
	char		file[PATH_MAX + 32];
	char		line[PATH_MAX + 64] = "";
	size_t		length = 0;
	char	   *old;
	char	   *rest;
	char	   *one;
	char	   *text;
	bool		done;

	pgha_job_path(conf, "objects", file);
	old = pgha_read_file(file, &length);
	if (old == NULL && errno != ENOENT)
		return false;
	if (added != NULL)
		(void) snprintf(line, sizeof(line), "%llu %llu %s\n", (unsigned long long) added->st_dev,
						(unsigned long long) added->st_ino, path);
	text = calloc(1, length + strlen(line) + 2);
	if (text == NULL)
	{
		free(old);
		return false;
	}
	rest = old;
	while (rest != NULL && (one = strsep(&rest, "\n")) != NULL)
	{
		if (*one == '\0' || is_stale(one) || (gone != NULL && names(one, gone)) || (added != NULL && names(one, added)))
			continue;
		strcat(strcat(text, one), "\n");
	}
	strcat(text, line);
	done = pgha_write_file(file, text, strlen(text), 0600, true);
	free(text);
	free(old);
	return done;
}

bool
pgha_objects_make(const PghaAgentConf *conf, const char *path)
{
	struct stat st;

	return mkdir(path, 0700) == 0 && lstat(path, &st) == 0 && write_list(conf, NULL, &st, path);
}

static bool
is_listed(const PghaAgentConf *conf, const struct stat *st)
{
	char		file[PATH_MAX + 32];
	char	   *text;
	char	   *rest;
	char	   *line;
	bool		found = false;

	pgha_job_path(conf, "objects", file);
	text = pgha_read_file(file, NULL);
	rest = text;
	while (!found && rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		found = names(line, st);
	free(text);
	return found;
}

bool
pgha_objects_has(const PghaAgentConf *conf, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && is_listed(conf, &st);
}

bool
pgha_objects_name(const PghaAgentConf *conf, const char *stamp)
{
	char		file[PATH_MAX + 32];
	char	   *text;
	bool		found;

	pgha_job_path(conf, "objects", file);
	text = pgha_read_file(file, NULL);
	found = text != NULL && strstr(text, stamp) != NULL;
	free(text);
	return found;
}

void
pgha_objects_forget(const PghaAgentConf *conf, const struct stat *st)
{
	if (is_listed(conf, st) && !write_list(conf, st, NULL, NULL))
		pgha_agent_warning("could not write the file \"objects\" in \"%s\": %s", conf->directory, strerror(errno));
}

bool
pgha_objects_remove(const PghaAgentConf *conf, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	if (!is_listed(conf, &st))
	{
		if (rmdir(path) != 0)
			pgha_agent_warning("\"%s\" was not made by this agent, and is left as it is", path);
		return true;
	}
	if (!pgha_remove_tree(path, true))
		return false;
	pgha_objects_forget(conf, &st);
	return true;
}
