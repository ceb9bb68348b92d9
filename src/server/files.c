/*
 * files.c
 *		Small files in PGDATA that are read and written as a whole.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#include "files.h"

int
PghaReadFile(const char *path, char *buffer, int size)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	int			length;
	int			save_errno;

	if (fd < 0)
		return -1;
	length = read(fd, buffer, size - 1);
	if (length >= 0)
		buffer[length] = '\0';
	save_errno = errno;
	CloseTransientFile(fd);
	errno = save_errno;
	return length;
}

uint32
PghaChecksum(const char *text, size_t length)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, text, length);
	FIN_CRC32C(crc);
	return crc;
}

static bool
write_file(const char *path, int flags, const char *text, int length, bool sync)
{
	int			fd = OpenTransientFilePerm(path, O_WRONLY | O_CREAT | flags | PG_BINARY,
										   pg_file_create_mode);
	bool		done;
	int			save_errno;

	if (fd < 0)
		return false;
	errno = 0;
	done = write(fd, text, length) == length;
	if (!done && errno == 0)
		errno = ENOSPC;
	if (done && sync)
		done = pg_fsync(fd) == 0;
	save_errno = errno;
	if (CloseTransientFile(fd) != 0 && done)
		return false;
	errno = save_errno;
	return done;
}

bool
PghaWriteFile(const char *path, int flags, const char *text, int length)
{
	return write_file(path, flags, text, length, false);
}

bool
PghaWriteFileSynced(const char *path, int flags, const char *text, int length)
{
	return write_file(path, flags, text, length, true);
}
