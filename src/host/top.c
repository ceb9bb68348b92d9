/*
 * top.c
 *		What there is at the top of a data directory that is not PostgreSQL's.
 *
 * Configuration, keys, links, an administrator's notes: what a rewind or a clone
 * would take away.  For a recovery, which carries it along or refuses, and for
 * `pgha doctor`, which tells ahead of need.  It only looks.
 */
#include "top.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is longer is no setting; pgha.events is. */
#define MAX_SIZE		(4 * 1024 * 1024)
/* The same for a directory. */
#define MAX_ENTRIES		1000
#define MAX_DEPTH		16

/* PostgreSQL's, and pgha.state, which must not outlive the data it speaks of (of the votes in it see recovery/votes.c). */
static const char *const not_ours[] = {
	"PG_VERSION", "postmaster.pid", "postmaster.opts", "backup_label", "backup_label.old", "backup_manifest",
	"tablespace_map", "tablespace_map.old", "standby.signal", "recovery.signal", "current_logfiles",
	"pgha.state", "pgha.state.new", "pgha.votes", "pgha.votes.new", "pgha.slots.new", "pgha.follow", "pg_internal.init", "recovery.conf"
};

/* What PostgreSQL, or initdb, may have made a link of. */
static const char *const directories[] = {
	"base", "global", "pg_wal", "pg_tblspc", "pg_xact", "pg_multixact", "pg_subtrans", "pg_commit_ts", "pg_notify",
	"pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_replslot", "pg_logical", "pg_dynshmem", "pg_twophase"
};

/* Logs are not carried along; a link to where they are written is. */
static const char *const logs[] = {"logfile", "log", "pg_log", "pg_upgrade_output.d", "lost+found"};

static bool
is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

#define IS_AMONG(name, names)	is_among(name, names, sizeof(names) / sizeof((names)[0]))

/* Nobody misses it: dumps of crashed servers, and a server's sockets. */
static bool
is_litter(const char *name)
{
	return strcmp(name, "core") == 0 || strncmp(name, "core.", 5) == 0 || strncmp(name, ".s.PGSQL.", 9) == 0;
}

/* Has it a flag that root has to take off (chattr +i, +a)? */
static bool
is_immutable(const char *path)
{
	int			flags = 0;
	int			fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	bool		immutable;

	if (fd < 0)
		return false;
	immutable = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0;
	(void) close(fd);
	return immutable;
}

static PghaTopKind
kind_of_file(const char *path, const struct stat *st)
{
	if (access(path, R_OK) != 0)
		return PGHA_TOP_UNREADABLE;
	if (st->st_size > MAX_SIZE)
		return PGHA_TOP_BULKY;
	return is_immutable(path) ? PGHA_TOP_LOCKED : PGHA_TOP_FILE;
}

/* What has been seen of a directory. */
typedef struct Measure
{
	PghaTopKind kind;
	long long	size;
	int			entries;
} Measure;

/* False as soon as the directory cannot be carried along. */
static bool
measure(const char *directory, Measure *seen, int depth)
{
	DIR		   *dir = opendir(directory);
	struct dirent *entry;

	if (dir == NULL || access(directory, W_OK | X_OK) != 0 || is_immutable(directory))
	{
		seen->kind = dir == NULL ? PGHA_TOP_UNREADABLE : PGHA_TOP_LOCKED;
		if (dir != NULL)
			(void) closedir(dir);
		return false;
	}
	while (seen->kind == PGHA_TOP_DIRECTORY && (entry = readdir(dir)) != NULL)
	{
		char		path[PATH_MAX * 2];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void) snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (lstat(path, &st) != 0)
			continue;
		if (S_ISREG(st.st_mode))
		{
			PghaTopKind kind = kind_of_file(path, &st);

			seen->size += st.st_size;
			seen->kind = kind == PGHA_TOP_FILE ? seen->kind : kind;
		}
		else if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
			seen->kind = PGHA_TOP_SPECIAL;
		if (seen->size > MAX_SIZE || ++seen->entries > MAX_ENTRIES || depth == MAX_DEPTH)
			seen->kind = PGHA_TOP_BULKY;
		else if (S_ISDIR(st.st_mode))
			(void) measure(path, seen, depth + 1);
	}
	(void) closedir(dir);
	return seen->kind == PGHA_TOP_DIRECTORY;
}

static PghaTopKind
kind_of(const char *path, const struct stat *st)
{
	Measure		seen = {.kind = PGHA_TOP_DIRECTORY};

	if (S_ISLNK(st->st_mode))
		return PGHA_TOP_LINK;
	if (S_ISREG(st->st_mode))
		return kind_of_file(path, st);
	if (!S_ISDIR(st->st_mode))
		return PGHA_TOP_SPECIAL;
	(void) measure(path, &seen, 0);
	return seen.kind;
}

bool
pgha_top_scan(const char *data, PghaTopFound found, void *arg)
{
	DIR		   *dir = opendir(data);
	struct dirent *entry;
	bool		good = true;
	int			save_errno;

	if (dir == NULL)
		return errno == ENOENT;
	while (good && (entry = readdir(dir)) != NULL)
	{
		const char *name = entry->d_name;
		char		path[PATH_MAX + 300];
		struct stat st;

		(void) snprintf(path, sizeof(path), "%s/%s", data, name);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_litter(name) || IS_AMONG(name, not_ours) ||
			IS_AMONG(name, directories) || lstat(path, &st) != 0 || (!S_ISLNK(st.st_mode) && IS_AMONG(name, logs)))
			continue;
		good = found(name, kind_of(path, &st), arg);
	}
	save_errno = errno;
	(void) closedir(dir);
	errno = save_errno;
	return good;
}

const char *
pgha_top_matter(PghaTopKind kind)
{
	switch (kind)
	{
		case PGHA_TOP_FILE:
		case PGHA_TOP_LINK:
		case PGHA_TOP_DIRECTORY:
			break;
		case PGHA_TOP_BULKY:
			return "is too large to be carried along";
		case PGHA_TOP_SPECIAL:
			return "is, or holds, a socket, a FIFO or a device";
		case PGHA_TOP_UNREADABLE:
			return "cannot be read";
		case PGHA_TOP_LOCKED:
			return "cannot be changed";
	}
	return NULL;
}
