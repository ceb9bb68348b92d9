/*
 * passfile.c
 *		The password file that libpq would read, and whether it would.
 *
 * libpq does not use a file that others may read, and says so on stderr at each
 * connection, that is several times a second.  What it says there is dropped
 * (net/connect.c); the server's monitor and the agent say it once instead.
 */
#include "passfile.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conninfo.h"

/* Where libpq looks: what the connection string says, the environment, the home directory. */
static bool
find_passfile(const char *conninfo, char *path, size_t size)
{
	const char *named = getenv("PGPASSFILE");
	const char *home = getenv("HOME");

	if (pgha_conninfo_get(conninfo, "passfile", path, size) && path[0] != '\0')
		return true;
	if (named != NULL && named[0] != '\0')
		return snprintf(path, size, "%s", named) < (int) size;
	if (home == NULL || home[0] == '\0')
	{
		const struct passwd *user = getpwuid(geteuid());

		home = user != NULL ? user->pw_dir : NULL;
	}
	return home != NULL && snprintf(path, size, "%s/.pgpass", home) < (int) size;
}

bool
pgha_passfile_is_open(const char *conninfo, char *error, size_t error_size)
{
	char		path[PATH_MAX];
	struct stat st;

	if (!find_passfile(conninfo, path, sizeof(path)) || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
		(st.st_mode & (S_IRWXG | S_IRWXO)) == 0)
		return false;
	(void) snprintf(error, error_size, "password file \"%.300s\" has mode %04o: it is not used, as others may read it",
					path, (unsigned) (st.st_mode & 07777));
	return true;
}
