/*
 * durable.c
 *		Files and directories that must survive a crash, and their removal.
 *
 * For all who keep something on this host: recoveries, marks, the agent.  Nothing
 * is logged here: errno says what went wrong.
 */
#include "durable.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPEN	32

bool
pgha_sync_path(const char *path)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC);
	bool		done;
	int			save_errno;

	if (fd < 0)
		return false;
	done = fsync(fd) == 0;
	save_errno = errno;
	(void) close(fd);
	errno = save_errno;
	return done;
}

bool
pgha_sync_parent(const char *path)
{
	char		parent[PATH_MAX];
	char	   *slash;

	if (snprintf(parent, sizeof(parent), "%s", path) >= (int) sizeof(parent) ||
		(slash = strrchr(parent, '/')) == NULL)
	{
		errno = EINVAL;
		return false;
	}
	slash[slash == parent ? 1 : 0] = '\0';
	return pgha_sync_path(parent);
}

static int
sync_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) ftw;
	if ((type == FTW_F && S_ISREG(st->st_mode)) || type == FTW_D || type == FTW_DP)
		return pgha_sync_path(path) ? 0 : -1;
	return 0;
}

bool
pgha_sync_tree(const char *path)
{
	return nftw(path, sync_one, MAX_OPEN, FTW_PHYS | FTW_DEPTH) == 0;
}

static bool
write_all(int fd, const char *text, size_t length)
{
	while (length > 0)
	{
		ssize_t		written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			errno = written == 0 ? ENOSPC : errno;
			return false;
		}
		text += written;
		length -= (size_t) written;
	}
	return true;
}

bool
pgha_write_file(const char *path, const char *text, size_t length, mode_t mode, bool durable)
{
	char		new_path[PATH_MAX];
	int			fd;
	bool		done;
	int			save_errno;

	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int) sizeof(new_path))
	{
		errno = ENAMETOOLONG;
		return false;
	}
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return false;
	done = write_all(fd, text, length) && (!durable || fsync(fd) == 0);
	save_errno = errno;
	if (close(fd) != 0 && done)
		return false;
	errno = save_errno;
	return done && rename(new_path, path) == 0 && (!durable || pgha_sync_parent(path));
}

bool
pgha_copy_file(const char *from, const char *to)
{
	int			in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int			out = -1;
	struct stat st;
	char		buffer[65536];
	ssize_t		got = 0;
	bool		done;
	int			save_errno;

	if (in < 0)
		return false;
	done = fstat(in, &st) == 0 &&
		(out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, st.st_mode & 0777)) >= 0 &&
		fchmod(out, st.st_mode & 0777) == 0;
	while (done && (got = read(in, buffer, sizeof(buffer))) > 0)
		done = write_all(out, buffer, (size_t) got);
	done = done && got == 0 && fsync(out) == 0;
	save_errno = errno;
	(void) close(in);
	if (out >= 0 && close(out) != 0 && done)
		return false;
	errno = save_errno;
	return done;
}

char *
pgha_read_file(const char *path, size_t *length)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char	   *text = NULL;
	size_t		filled = 0;
	ssize_t		got = 1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (text = malloc((size_t) st.st_size + 1)) != NULL)
	{
		while (filled < (size_t) st.st_size &&
			   (got = read(fd, text + filled, (size_t) st.st_size - filled)) > 0)
			filled += (size_t) got;
		text[filled] = '\0';
	}
	(void) close(fd);
	if (text != NULL && got < 0)
	{
		free(text);
		return NULL;
	}
	if (length != NULL)
		*length = filled;
	return text;
}

/* What nftw() must leave. */
static const char *tree_root;
static bool keep_root;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st;
	(void) ftw;
	if (keep_root && strcmp(path, tree_root) == 0)
		return 0;
	return (type == FTW_DP ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT ? 0 : -1;
}

bool
pgha_remove_tree(const char *path, bool itself)
{
	tree_root = path;
	keep_root = !itself;
	return nftw(path, remove_one, MAX_OPEN, FTW_PHYS | FTW_DEPTH | FTW_MOUNT) == 0 || errno == ENOENT;
}

bool
pgha_make_directory(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool
pgha_exists_in(const char *directory, const char *name)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

bool
pgha_missing_in(const char *directory, const char *name)
{
	return !pgha_exists_in(directory, name) && (errno == ENOENT || errno == ENOTDIR);
}

void
pgha_parent_of(const char *path, char *parent)
{
	const char *slash = strrchr(path, '/');

	(void) snprintf(parent, PATH_MAX, "%.*s", slash == path ? 1 : (int) (slash - path), path);
}

bool
pgha_same_content(const char *one, const char *two)
{
	size_t		length = 0;
	size_t		other_length = 0;
	char	   *text = pgha_read_file(one, &length);
	char	   *other = text != NULL ? pgha_read_file(two, &other_length) : NULL;
	bool		same = other != NULL && length == other_length && memcmp(text, other, length) == 0;

	free(text);
	free(other);
	return same;
}
