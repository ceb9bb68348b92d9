/*
 * vip_lock.c
 *		One `pgha vip` of a user at a time for one address.
 *
 * The lock is one of fcntl() on a file that nobody but the user, and root, can
 * open, so that nobody else can hold the command up: root's is in /run/pgha-vip,
 * another user's in ~/.pgha-vip, the home as the user database has it.  The file's
 * name has the network namespace in it, as interfaces belong to one.  The kernel
 * ends the lock with the process, however that ends.
 *
 * Commands of different users do not wait for each other.  The lock spares the
 * user a muddle, no more: without a place for it, the command is carried out.
 */
#include "vip_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/errors.h"

#define ROOT_DIRECTORY	"/run/pgha-vip"
#define HOME_DIRECTORY	".pgha-vip"
#define POLL_MS			20

static int	directory_fd = -1;
static int	lock_fd = -1;
static char file_name[128];

/* Opens the directory, made if it is missing; -1 with a sentence unless it is ours alone. */
static int
open_directory(char *error, size_t error_size)
{
	const struct passwd *user = getpwuid(geteuid());
	char		path[512] = ROOT_DIRECTORY;
	struct stat found;
	int			fd;

	if (geteuid() != 0 &&
		(user == NULL || user->pw_dir[0] != '/' ||
		 snprintf(path, sizeof(path), "%s/" HOME_DIRECTORY, user->pw_dir) >= (int) sizeof(path)))
	{
		(void) pgha_fail(error, error_size, "the user %d has no home directory", (int) geteuid());
		return -1;
	}
	(void) mkdir(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
	{
		(void) pgha_fail(error, error_size, "could not open directory \"%s\": %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &found) == 0 && found.st_uid == geteuid() && (found.st_mode & 022) == 0)
	{
		/* keepalived runs its scripts with the umask 0177, under which nobody could use what was just made. */
		if ((found.st_mode & 0700) != 0700)
			(void) fchmod(fd, 0700);
		return fd;
	}
	(void) pgha_fail(error, error_size, "directory \"%s\" belongs to another user, or others can write into it", path);
	(void) close(fd);
	return -1;
}

static void
make_file_name(const char *address)
{
	struct stat space = {0};

	(void) stat("/proc/self/ns/net", &space);
	(void) snprintf(file_name, sizeof(file_name), "%.64s.%llu", address, (unsigned long long) space.st_ino);
}

/* Who holds it. */
static void
describe_holder(char *text, size_t size)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const struct passwd *user = getpwuid(geteuid());

	(void) snprintf(text, size, "another process");
	if (fcntl(lock_fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		(void) snprintf(text, size, "process %d of user %s", (int) lock.l_pid, user != NULL ? user->pw_name : "?");
}

/* Is the file still the one with that name?  The former holder removes it. */
static bool
is_current(void)
{
	struct stat held;
	struct stat named;

	return fstat(lock_fd, &held) == 0 && fstatat(directory_fd, file_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

PghaVipLock
pgha_vip_lock(const char *address, long long end_ms, char *text, size_t size)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

	directory_fd = open_directory(text, size);
	if (directory_fd < 0)
		return PGHA_VIP_NO_PLACE;
	make_file_name(address);
	for (;;)
	{
		lock_fd = openat(directory_fd, file_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (lock_fd < 0)
		{
			(void) pgha_fail(text, size, "could not open file \"%s\": %s", file_name, strerror(errno));
			return PGHA_VIP_NO_PLACE;
		}
		if (fcntl(lock_fd, F_SETLK, &lock) == 0)
		{
			if (is_current())
				return PGHA_VIP_LOCKED;
		}
		else if (errno != EACCES && errno != EAGAIN && errno != EINTR)
		{
			(void) pgha_fail(text, size, "could not lock file \"%s\": %s", file_name, strerror(errno));
			return PGHA_VIP_NO_PLACE;
		}
		else if (pgha_awake_ms() >= end_ms)
		{
			describe_holder(text, size);
			return PGHA_VIP_BUSY;
		}
		else
			(void) nanosleep(&pause, NULL);
		(void) close(lock_fd);
	}
}

void
pgha_vip_unlock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (lock_fd < 0)
		return;
	/* Only by the holder, which nobody can become before the descriptor is closed. */
	if (fcntl(lock_fd, F_SETLK, &lock) == 0 && is_current())
		(void) unlinkat(directory_fd, file_name, 0);
	(void) close(lock_fd);
	lock_fd = -1;
}
