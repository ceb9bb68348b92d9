/*
 * mark.c
 *		A data directory that must not be started.
 *
 * Set by a rewind or a clone in place before it changes the directory; looked at
 * before a server is started here (server_ctl.c).
 */
#include "mark.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "durable.h"

#define MARK_NAME	"recovery.conf"
#define MARK_MODE	S_IXOTH

static void
mark_path(const char *data, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/" MARK_NAME, data);
}

PghaMark
pgha_mark_is_set(const char *data)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	if (stat(data, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR ? PGHA_MARK_NO : PGHA_MARK_UNKNOWN;
	if ((st.st_mode & S_IRWXO) == MARK_MODE)
		return PGHA_MARK_SET;
	mark_path(data, path, sizeof(path));
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? PGHA_MARK_NO : PGHA_MARK_UNKNOWN;
	return S_ISFIFO(st.st_mode) ? PGHA_MARK_SET : PGHA_MARK_NO;
}

static bool
change_mode(const char *data, bool set, char *error, size_t error_size)
{
	struct stat st;

	if (stat(data, &st) != 0 ||
		chmod(data, set ? (st.st_mode & 07777) | MARK_MODE : (st.st_mode & 07777 & ~(mode_t) MARK_MODE)) != 0 ||
		!pgha_sync_path(data))
		return pgha_fail(error, error_size, "could not change the permissions of \"%s\": %s", data, strerror(errno));
	return true;
}

bool
pgha_mark_set(const char *data, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	mark_path(data, path, sizeof(path));
	if (mkfifo(path, 0600) != 0)
	{
		if (errno != EEXIST || lstat(path, &st) != 0)
			return pgha_fail(error, error_size, "could not create \"%s\": %s", path, strerror(errno));
		if (!S_ISFIFO(st.st_mode))
			return pgha_fail(error, error_size, "\"%s\" is in the way: PostgreSQL does not start with it; remove it", path);
	}
	return change_mode(data, true, error, error_size);
}

bool
pgha_mark_clear(const char *data, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	mark_path(data, path, sizeof(path));
	if (lstat(path, &st) == 0 && S_ISFIFO(st.st_mode) && unlink(path) != 0)
		return pgha_fail(error, error_size, "could not remove \"%s\": %s", path, strerror(errno));
	return change_mode(data, false, error, error_size);
}
