/*
 * startup.c
 *		What a server that does not accept connections yet is at, seen from outside.
 *
 * Nobody can log in to ask.  The titles of its processes say which WAL segment the
 * startup process reads or waits for, and what the WAL receiver waits for; the
 * kernel says how much the startup process reads.  One that waits for WAL looks for
 * it time and again, and reads a page or two each time.
 *
 * A recovery calls it while it waits for the server, and the agent.  It changes
 * nothing.
 */
#include "startup.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/text.h"
#include "running.h"

/* Less than this is no replay, in bytes a second. */
#define STANDING_RATE	300000

static bool
read_small(const char *path, char *text, size_t size)
{
	FILE	   *file = fopen(path, "re");
	size_t		length = file != NULL ? fread(text, 1, size - 1, file) : 0;

	if (file != NULL)
		(void) fclose(file);
	text[length] = '\0';
	return length > 0;
}

static pid_t
parent_of(pid_t pid)
{
	char		path[64];
	char		text[1024];
	char	   *rest;
	int			parent = 0;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	if (!read_small(path, text, sizeof(text)) || (rest = strrchr(text, ')')) == NULL ||
		sscanf(rest + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

/* What stands in a title after the kind of process: "postgres: [cluster: ]kind what". */
static bool
title_says(const char *title, const char *kind, char *says, size_t size)
{
	const char *found = strncmp(title, "postgres: ", 10) == 0 ? title + 9 : NULL;

	while (found != NULL && (found = strstr(found, kind)) != NULL &&
		   (found[-1] != ' ' || (found[strlen(kind)] != ' ' && found[strlen(kind)] != '\0')))
		found++;
	if (found == NULL)
		return false;
	found += strlen(kind);
	(void) snprintf(says, size, "%s", found + strspn(found, " "));
	pgha_text_clean(says);
	for (size_t end = strlen(says); end > 0 && says[end - 1] == ' '; end--)
		says[end - 1] = '\0';
	if (*says == '\0')
		(void) snprintf(says, size, "says nothing");
	return true;
}

static int64_t
bytes_read(pid_t pid)
{
	char		path[64];
	char		text[1024];
	char	   *line;

	(void) snprintf(path, sizeof(path), "/proc/%d/io", (int) pid);
	if (!read_small(path, text, sizeof(text)) || (line = strstr(text, "rchar: ")) == NULL)
		return -1;
	return strtoll(line + strlen("rchar: "), NULL, 10);
}

/* The last word, if it is the name of a segment. */
static void
take_segment(PghaStartup *startup)
{
	const char *word = strrchr(startup->startup, ' ');

	if (word != NULL && strspn(word + 1, "0123456789ABCDEF") == 24 && word[25] == '\0')
		(void) snprintf(startup->segment, sizeof(startup->segment), "%s", word + 1);
}

/* What postmaster.pid says of its state. */
static bool
is_starting(const PghaAgentConf *conf)
{
	char		status[32];

	return pgha_pid_line(conf->data, 8, status, sizeof(status)) && strncmp(status, "starting", 8) == 0;
}

bool
pgha_startup_goes_on(const PghaAgentConf *conf)
{
	char		why[PATH_MAX + 256];
	pid_t		postmaster;

	return is_starting(conf) && pgha_runs(conf->data, &postmaster, why, sizeof(why)) == PGHA_RUNS_YES;
}

/* Looks.  False if the server does not run, or that cannot be told. */
static bool
look(const PghaAgentConf *conf, PghaStartup *startup)
{
	char		text[1024];
	char		why[PATH_MAX + 256];
	pid_t		postmaster;
	DIR		   *dir;
	struct dirent *entry;

	memset(startup, 0, sizeof(*startup));
	startup->read = -1;
	if (pgha_runs(conf->data, &postmaster, why, sizeof(why)) != PGHA_RUNS_YES || postmaster == 0)
		return false;
	startup->up = !is_starting(conf);
	if (startup->up)
		return true;
	dir = opendir("/proc");
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		path[300];
		pid_t		pid = isdigit((unsigned char) entry->d_name[0]) ? (pid_t) atoi(entry->d_name) : 0;

		if (pid == 0 || parent_of(pid) != postmaster)
			continue;
		(void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
		if (!read_small(path, text, sizeof(text)))
			continue;
		if (title_says(text, "startup", startup->startup, sizeof(startup->startup)))
		{
			startup->read = bytes_read(pid);
			if (startup->read >= 0)
				take_segment(startup);
		}
		else
			(void) title_says(text, "walreceiver", startup->receiver, sizeof(startup->receiver));
	}
	if (dir != NULL)
		(void) closedir(dir);
	return true;
}

int
pgha_startup_stands(const PghaAgentConf *conf, PghaStartupWatch *watch)
{
	int64_t		now = pgha_awake_ms();
	int64_t		read;

	if (!look(conf, &watch->now) || watch->now.up || watch->now.segment[0] == '\0')
	{
		watch->moved_at = 0;
		return 0;
	}
	read = watch->now.read - watch->read;
	if (watch->moved_at == 0 || strcmp(watch->segment, watch->now.segment) != 0 || read < 0 ||
		read > (now - watch->moved_at) * STANDING_RATE / 1000 + STANDING_RATE)
	{
		watch->moved_at = now;
		watch->read = watch->now.read;
		memcpy(watch->segment, watch->now.segment, sizeof(watch->segment));
		return 0;
	}
	return (int) ((now - watch->moved_at) / 1000);
}
