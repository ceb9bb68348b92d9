/*
 * settings.c
 *		The node's own files in PGDATA, over a rewind or a clone.
 *
 * pg_rewind and pg_basebackup copy everything that is not a table, so that a
 * node would come up with the other one's port, name and certificates.  Before
 * the data directory changes, its own files are copied to `settings` in the
 * agent directory: all small files, symbolic links and small directories at the
 * top of PGDATA that are not PostgreSQL's (host/top.c), and what the configuration
 * includes or names from below it.  Afterwards they are put back.  Links are copied as
 * links: what they lead to is outside, and stays.
 *
 * A node that is built for the first time has none.  Its postgresql.auto.conf is
 * then the primary's, or what a tool has written, and is freed of what can only
 * be true of another node.
 */
#include "settings.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/durable.h"
#include "../host/top.h"
#include "top.h"
#include "votes.h"

/* Settings that are no other node's business, wherever postgresql.auto.conf came from. */
static const char *const not_theirs[] = {
	"port", "listen_addresses", "unix_socket_directories", "cluster_name", "external_pid_file",
	"hba_file", "ident_file", "primary_conninfo", "primary_slot_name", "promote_trigger_file",
	"restore_command", "recovery_target", "recovery_target_action", "recovery_target_inclusive",
	"recovery_target_lsn", "recovery_target_name", "recovery_target_time", "recovery_target_timeline",
	"recovery_target_xid", "pgha.node", "pgha.priority", "pgha.agent_directory"
};

static bool
failed(PghaJobRun *run, const char *what, const char *path)
{
	return pgha_job_fail(run, errno == ENOSPC ? STATE_DISK_FULL : STATE_IO, NULL, errno == EACCES || errno == EPERM ?
						 "Let the server's user read it, or move it out of the data directory." : NULL,
						 "could not %s \"%s\": %s", what, path, strerror(errno));
}

/* Makes the directories below `to_root` that `name` is in, with the modes of those below `from_root`. */
static bool
make_parents(const char *from_root, const char *to_root, const char *name)
{
	char		path[PATH_MAX * 2];

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		struct stat st;

		(void) snprintf(path, sizeof(path), "%s/%.*s", from_root, (int) (slash - name), name);
		if (stat(path, &st) != 0)
			return false;
		(void) snprintf(path, sizeof(path), "%s/%.*s", to_root, (int) (slash - name), name);
		if (mkdir(path, 0700) != 0 ? errno != EEXIST : chmod(path, (st.st_mode & 0777) | S_IRWXU) != 0)
			return false;
	}
	return true;
}

/* Copies a file, or a link as a link. */
static bool
copy_entry(const char *from, const char *to)
{
	char		target[PATH_MAX];
	struct stat st;
	ssize_t		length;

	if (lstat(from, &st) != 0)
		return false;
	if (S_ISREG(st.st_mode))
		return pgha_copy_file(from, to);
	if (!S_ISLNK(st.st_mode))
		return true;			/* a socket, say, in a directory */
	length = readlink(from, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return symlink(target, to) == 0 && pgha_sync_parent(to);
}

/* What came from the leader makes room: a directory, too, where this node has a link. */
static bool
make_room(const char *from, const char *to)
{
	struct stat here;
	struct stat there;

	if (lstat(to, &there) != 0)
		return errno == ENOENT;
	if (S_ISDIR(there.st_mode) && lstat(from, &here) == 0 && S_ISLNK(here.st_mode))
		return pgha_remove_tree(to, true);
	return unlink(to) == 0;
}

/* What has vanished meanwhile is not missed. */
static bool
copy_one(PghaJobRun *run, const char *from_root, const char *to_root, const char *name)
{
	char		from[PATH_MAX * 2];
	char		to[PATH_MAX * 2];
	struct stat st;

	(void) snprintf(from, sizeof(from), "%s/%s", from_root, name);
	(void) snprintf(to, sizeof(to), "%s/%s", to_root, name);
	if (!make_parents(from_root, to_root, name) || !make_room(from, to) || !copy_entry(from, to))
		return (errno == ENOENT && lstat(from, &st) != 0 && errno == ENOENT) || failed(run, "copy file", from);
	return true;
}

/* Copies what is in a directory; the name is empty for the roots. */
static bool
copy_below(PghaJobRun *run, const char *from_root, const char *to_root, const char *below)
{
	char		path[PATH_MAX * 2];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	(void) snprintf(path, sizeof(path), "%s%s%s", from_root, *below != '\0' ? "/" : "", below);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT || failed(run, "read directory", path);
	while (done && (entry = readdir(dir)) != NULL)
	{
		char		name[PATH_MAX];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void) snprintf(name, sizeof(name), "%s%s%s", below, *below != '\0' ? "/" : "", entry->d_name);
		(void) snprintf(path, sizeof(path), "%s/%s", from_root, name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			done = copy_below(run, from_root, to_root, name);
		else
			done = copy_one(run, from_root, to_root, name);
	}
	(void) closedir(dir);
	return done;
}

/* Where to, for save_found(). */
typedef struct Save
{
	PghaJobRun *run;
	const char *to;
} Save;

/* Copies what can be carried along; a clone that keeps the rest has asked (top.c). */
static bool
save_found(const char *name, PghaTopKind kind, void *arg)
{
	const Save *save = arg;
	const char *data = save->run->conf->data;
	char		path[PATH_MAX + 300];
	struct stat st;

	(void) snprintf(path, sizeof(path), "%s/%s", data, name);
	switch (kind)
	{
		case PGHA_TOP_LOCKED:
			if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
				return true;
			/* FALLTHROUGH */
		case PGHA_TOP_FILE:
		case PGHA_TOP_LINK:
			return copy_one(save->run, data, save->to, name);
		case PGHA_TOP_DIRECTORY:
			return pgha_top_is_leaders(name) || copy_below(save->run, data, save->to, name);
		case PGHA_TOP_UNREADABLE:
			errno = EACCES;
			return failed(save->run, "read", path);
		case PGHA_TOP_BULKY:
		case PGHA_TOP_SPECIAL:
			break;
	}
	return true;
}

/* Copies what is at the top of PGDATA. */
static bool
save_top(PghaJobRun *run, const char *to)
{
	Save		save = {run, to};

	pgha_job_forget_failure(run);
	if (pgha_top_scan(run->conf->data, save_found, &save))
		return true;
	return run->sqlstate[0] != '\0' ? false : failed(run, "read directory", run->conf->data);
}

/* Is a directory on the way a link?  That is carried along, and what it leads to stays. */
static bool
is_behind_link(const char *data, const char *name)
{
	char		path[PATH_MAX * 2];
	struct stat st;

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		(void) snprintf(path, sizeof(path), "%s/%.*s", data, (int) (slash - name), name);
		if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			return true;
	}
	return false;
}

/* Copies what the configuration includes, or names, from below the top. */
static bool
save_included(PghaJobRun *run, const char *to)
{
	size_t		length = strlen(run->conf->data);

	for (int i = 0; i < run->conf->file_count; i++)
	{
		const char *file = run->conf->file[i];

		if (strncmp(file, run->conf->data, length) == 0 && file[length] == '/' &&
			strchr(file + length + 1, '/') != NULL && strstr(file, "/../") == NULL &&
			!is_behind_link(run->conf->data, file + length + 1) &&
			!copy_one(run, run->conf->data, to, file + length + 1))
			return false;
	}
	return true;
}

/*
 * While the data directory is not whole its files may be the leader's, and in one
 * that is missing or empty there are none: what was saved before then stays.
 */
bool
pgha_settings_save(PghaJobRun *run)
{
	char		directory[PATH_MAX + 32];
	char		fresh[PATH_MAX + 32];

	(void) snprintf(directory, sizeof(directory), "%s/settings", run->conf->directory);
	(void) snprintf(fresh, sizeof(fresh), "%s/settings.new", run->conf->directory);
	if ((!run->data_ok || (!pgha_exists_in(run->conf->data, "PG_VERSION") && !pgha_exists_in(run->conf->data, "postgresql.auto.conf"))) &&
		access(directory, F_OK) == 0)
		return true;
	if (!pgha_remove_tree(fresh, true) || !pgha_make_directory(fresh))
		return failed(run, "create directory", fresh);
	if (!save_top(run, fresh) || !save_included(run, fresh))
		return false;
	if (!pgha_sync_tree(fresh) || !pgha_remove_tree(directory, true) ||
		rename(fresh, directory) != 0 || !pgha_sync_parent(directory))
		return failed(run, "write directory", directory);
	return true;
}

static bool
restore(PghaJobRun *run, const char *data)
{
	char		directory[PATH_MAX + 32];

	(void) snprintf(directory, sizeof(directory), "%s/settings", run->conf->directory);
	return copy_below(run, directory, data, "");
}

/* pg_rewind writes into the file: what has other names would change under these, too. */
static bool
make_single(const char *saved, const char *path)
{
	return unlink(path) == 0 && copy_entry(saved, path);
}

/* pg_rewind opens for writing what both nodes have. */
bool
pgha_settings_open(PghaJobRun *run)
{
	char		directory[PATH_MAX + 32];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	(void) snprintf(directory, sizeof(directory), "%s/settings", run->conf->directory);
	dir = opendir(directory);
	if (dir == NULL)
		return errno == ENOENT || failed(run, "read directory", directory);
	while (done && (entry = readdir(dir)) != NULL)
	{
		char		saved[PATH_MAX + 300];
		char		path[PATH_MAX + 300];
		struct stat st;

		(void) snprintf(saved, sizeof(saved), "%s/%s", directory, entry->d_name);
		(void) snprintf(path, sizeof(path), "%s/%s", run->conf->data, entry->d_name);
		if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		if (st.st_nlink > 1)
			done = make_single(saved, path) || failed(run, "copy file", path);
		if (done && access(path, W_OK) != 0)
			done = chmod(path, (st.st_mode & 0777) | S_IWUSR) == 0 || failed(run, "make writable file", path);
	}
	(void) closedir(dir);
	return done;
}

bool
pgha_settings_restore(PghaJobRun *run)
{
	return restore(run, run->conf->data);
}

static bool
is_theirs(const char *line)
{
	size_t		length = strcspn(line, " =");

	for (size_t i = 0; i < sizeof(not_theirs) / sizeof(not_theirs[0]); i++)
	{
		if (length == strlen(not_theirs[i]) && strncasecmp(line, not_theirs[i], length) == 0)
			return true;
	}
	return false;
}

/* Takes another node's settings out of a postgresql.auto.conf, unless it is our own. */
static bool
clean_auto_conf(PghaJobRun *run, const char *data)
{
	char		path[PATH_MAX + 64];
	char	   *text;
	char	   *kept;
	char	   *line;
	char	   *rest;
	size_t		size;
	size_t		length = 0;
	bool		done;

	(void) snprintf(path, sizeof(path), "%s/settings/postgresql.auto.conf", run->conf->directory);
	if (access(path, F_OK) == 0)
		return true;
	(void) snprintf(path, sizeof(path), "%s/postgresql.auto.conf", data);
	text = pgha_read_file(path, &size);
	if (text == NULL)
		return errno == ENOENT || failed(run, "read file", path);
	kept = malloc(size + 2);
	rest = text;
	while (kept != NULL && (line = strsep(&rest, "\n")) != NULL)
	{
		if (*line != '\0' && !is_theirs(line))
			length += (size_t) sprintf(kept + length, "%s\n", line);
	}
	done = kept != NULL && pgha_write_file(path, kept, length, 0600, true);
	free(kept);
	free(text);
	return done || failed(run, "write file", path);
}

bool
pgha_make_standby(PghaJobRun *run, const char *data)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/pgha.state", data);
	if (unlink(path) != 0 && errno != ENOENT)
		return failed(run, "remove file", path);
	/* Of a clone beside, the node's server may vote on meanwhile: its votes come with the exchange. */
	if (!(strcmp(data, run->conf->data) == 0 ? pgha_votes_put(run, data) : pgha_votes_clear(run, data)))
		return false;
	(void) snprintf(path, sizeof(path), "%s/recovery.signal", data);
	if (unlink(path) != 0 && errno != ENOENT)
		return failed(run, "remove file", path);
	if (!restore(run, data) || !clean_auto_conf(run, data))
		return false;
	(void) snprintf(path, sizeof(path), "%s/standby.signal", data);
	if (!pgha_write_file(path, "", 0, 0600, true))
		return failed(run, "create file", path);
	if (!pgha_sync_path(data))
		return failed(run, "sync directory", data);
	return true;
}
