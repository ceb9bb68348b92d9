/*
 * mark.c
 *		A data directory that must not be started.
 *
 * Set by a rewind or a clone in place before it changes the directory; looked at
 * before a server is started here (server_ctl.c).
 */
#include "mark.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/errors.h"
#include "durable.h"

#define MARK	S_IXOTH

bool
pgha_mark_is_set(const char *data)
{
	struct stat st;

	return stat(data, &st) == 0 && (st.st_mode & MARK) != 0;
}

static bool
change_mode(const char *data, bool set, char *error, size_t error_size)
{
	struct stat st;

	if (stat(data, &st) != 0 ||
		chmod(data, set ? (st.st_mode & 07777) | MARK : (st.st_mode & 07777 & ~(mode_t) MARK)) != 0 ||
		!pgha_sync_path(data))
		return pgha_fail(error, error_size, "could not change the permissions of \"%s\": %s", data, strerror(errno));
	return true;
}

bool
pgha_mark_set(const char *data, char *error, size_t error_size)
{
	return change_mode(data, true, error, error_size);
}

bool
pgha_mark_clear(const char *data, char *error, size_t error_size)
{
	return change_mode(data, false, error, error_size);
}
