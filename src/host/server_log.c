/*
 * server_log.c
 *		Where a server that is started here logs to.
 *
 * Whoever watches the log of a server watches the file that its start script
 * chose.  A server that the agent has started goes on writing there: into the
 * file that pg_ctl's option -l named, as the standard error of the running
 * postmaster shows; or into Debian's, as pg_ctlcluster does.  Rotating those is
 * the business of whoever does so now.  With logging_collector, or systemd's
 * journal, there is no such file; what is written before a logging collector
 * begins then goes to postgres.log in the agent's directory, which is ours.
 */
#include "server_log.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "conf_syntax.h"
#include "durable.h"
#include "running.h"

#define OWN_LOG			"postgres.log"
#define REMEMBERED		"server_log"
#define DEBIAN_CONF		"/etc/postgresql"
#define DEBIAN_DATA		"/var/lib/postgresql/"
#define DEBIAN_LOG		"/var/log/postgresql"
#define DEBIAN_CLUSTERS	DEBIAN_CONF "/*/*/postgresql.conf"

/* Two of them are kept: the present one and the one before. */
#define OWN_LOG_LIMIT	(16 * 1024 * 1024)
#define TEND_EVERY_MS	1000

static void
own_log(const PghaAgentConf *conf, char *path)
{
	(void) snprintf(path, PATH_MAX, "%.*s/" OWN_LOG, PATH_MAX - 32, conf->directory);
}

/* Can it be appended to, or be created? */
static bool
is_usable(const char *path)
{
	char		parent[PATH_MAX];
	struct stat st;

	if (path[0] != '/')
		return false;
	if (stat(path, &st) == 0)
		return S_ISREG(st.st_mode) && access(path, W_OK) == 0;
	if (errno != ENOENT)
		return false;
	pgha_parent_of(path, parent);
	return access(parent, W_OK | X_OK) == 0;
}

/* ---- the file that it had ---- */

static void
remembered_path(const PghaAgentConf *conf, char *path)
{
	(void) snprintf(path, PATH_MAX, "%.*s/" REMEMBERED, PATH_MAX - 32, conf->directory);
}

static bool
remembered(const PghaAgentConf *conf, char *path)
{
	char		file[PATH_MAX];
	char	   *text;

	remembered_path(conf, file);
	text = pgha_read_file(file, NULL);
	(void) snprintf(path, PATH_MAX, "%.*s", text != NULL ? (int) strcspn(text, "\n") : 0, text != NULL ? text : "");
	free(text);
	return is_usable(path);
}

/* The file that a process has as its standard error; false if that is none. */
static bool
stderr_of(pid_t pid, char *path)
{
	char		link[64];
	ssize_t		length;
	struct stat opened;
	struct stat named;

	(void) snprintf(link, sizeof(link), "/proc/%d/fd/2", (int) pid);
	length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0 || stat(link, &opened) != 0 || !S_ISREG(opened.st_mode))
		return false;
	path[length] = '\0';

	/* Rotated away, deleted, or of another mount namespace: it is not the file of that name. */
	return stat(path, &named) == 0 && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino &&
		strchr(path, '\n') == NULL;
}

static void
remember(const PghaAgentConf *conf, pid_t pid)
{
	char		file[PATH_MAX];
	char		path[PATH_MAX];
	char		before[PATH_MAX];
	char		own[PATH_MAX];
	struct stat st;
	struct stat own_st;

	own_log(conf, own);
	if (!stderr_of(pid, path) || !is_usable(path) || stat(path, &st) != 0 ||
		(stat(own, &own_st) == 0 && own_st.st_dev == st.st_dev && own_st.st_ino == st.st_ino))
		return;
	if (conf->server_log[0] != '\0' && strcmp(path, conf->server_log) == 0)
		return;
	if (remembered(conf, before) && strcmp(before, path) == 0)
		return;
	remembered_path(conf, file);
	if (!pgha_write_file(file, path, strlen(path), 0600, true))
		pgha_agent_warning("could not write file \"%s\": %s", file, strerror(errno));
}

/* ---- Debian's ---- */

/* "15/main" of a path that goes on so after `beginning`; false if it does not, or goes on further. */
static bool
cluster_in(const char *path, const char *beginning, const char *end, char *name, size_t size)
{
	size_t		length = strlen(path);
	const char *slash;

	if (strncmp(path, beginning, strlen(beginning)) != 0 || length < strlen(beginning) + strlen(end) ||
		strcmp(path + length - strlen(end), end) != 0)
		return false;
	(void) snprintf(name, size, "%.*s", (int) (length - strlen(beginning) - strlen(end)), path + strlen(beginning));
	slash = strchr(name, '/');
	return slash != NULL && slash != name && slash[1] != '\0' && strchr(slash + 1, '/') == NULL;
}

/* Is the data directory the one that this configuration names? */
static bool
names_data(const char *path, const char *data)
{
	FILE	   *file = fopen(path, "re");
	char	   *line = NULL;
	size_t		size = 0;
	struct stat st = {.st_ino = 0};
	struct stat data_st;
	bool		found = false;

	while (file != NULL && getline(&line, &size, file) > 0)
	{
		char	   *name = strdup(line);
		char	   *value = strdup(line);

		line[strcspn(line, "\r\n")] = '\0';
		if (name != NULL && value != NULL && pgha_conf_split_line(line, name, value) &&
			strcasecmp(name, "data_directory") == 0)
			found = stat(value, &st) == 0;
		free(name);
		free(value);
	}
	free(line);
	if (file != NULL)
		(void) fclose(file);
	return found && stat(data, &data_st) == 0 && st.st_dev == data_st.st_dev && st.st_ino == data_st.st_ino;
}

/* Which of Debian's clusters is it? */
static bool
find_cluster(const PghaAgentConf *conf, char *name, size_t size)
{
	glob_t		found;
	bool		known = cluster_in(conf->config_file, DEBIAN_CONF "/", "/postgresql.conf", name, size) ||
		cluster_in(conf->data, DEBIAN_DATA, "", name, size);

	if (known || glob(DEBIAN_CLUSTERS, 0, NULL, &found) != 0)
		return known;
	for (size_t i = 0; i < found.gl_pathc && !known; i++)
		known = names_data(found.gl_pathv[i], conf->data) &&
			cluster_in(found.gl_pathv[i], DEBIAN_CONF "/", "/postgresql.conf", name, size);
	globfree(&found);
	return known;
}

/* As pg_ctlcluster has it: the link "log" beside the configuration, else a file of that name. */
static bool
debian_log(const PghaAgentConf *conf, char *path)
{
	char		name[256];
	char		link[PATH_MAX];
	char	   *slash;

	if (!find_cluster(conf, name, sizeof(name)))
		return false;
	(void) snprintf(link, sizeof(link), DEBIAN_CONF "/%s/log", name);
	if (realpath(link, path) != NULL && is_usable(path))
		return true;
	slash = strchr(name, '/');
	*slash = '\0';
	(void) snprintf(path, PATH_MAX, DEBIAN_LOG "/postgresql-%s-%s.log", name, slash + 1);
	return is_usable(path);
}

void
pgha_server_log_path(const PghaAgentConf *conf, char *path)
{
	if (conf->server_log[0] != '\0')
		(void) snprintf(path, PATH_MAX, "%s", conf->server_log);
	else if (!remembered(conf, path) && !debian_log(conf, path))
		own_log(conf, path);
}

/* ---- our own ---- */

/*
 * The server has it open and cannot be told to open another one: what is in it
 * is copied, and it is emptied.  It is appended to, so that the next line comes
 * first then.
 */
static void
rotate(const PghaAgentConf *conf)
{
	char		path[PATH_MAX];
	char		former[PATH_MAX + 8];
	struct stat st;

	own_log(conf, path);
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < OWN_LOG_LIMIT)
		return;
	(void) snprintf(former, sizeof(former), "%s.1", path);
	if (!pgha_copy_file(path, former) || truncate(path, 0) != 0)
		pgha_agent_warning("could not rotate \"%s\": %s", path, strerror(errno));
}

void
pgha_server_log_tend(const PghaAgentConf *conf)
{
	static long long next = 0;
	long long	now = pgha_awake_ms();
	char		why[PATH_MAX + 256];
	pid_t		pid;

	if (now < next)
		return;
	next = now + TEND_EVERY_MS;
	if (pgha_runs(conf->data, &pid, why, sizeof(why)) == PGHA_RUNS_YES && pid != 0)
		remember(conf, pid);
	rotate(conf);
}
