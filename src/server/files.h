/*
 * files.h
 *		Small files in PGDATA that are read and written as a whole.
 */
#ifndef PGHA_FILES_H
#define PGHA_FILES_H

#include "postgres.h"

/*
 * Reads at most size - 1 bytes into `buffer` and terminates them.  The length,
 * or -1 with errno set.
 */
extern int	PghaReadFile(const char *path, char *buffer, int size);

/*
 * Creates the file (`flags`: O_TRUNC or O_EXCL) and writes `text`.  False with
 * errno set; the file may be there, and incomplete, then.
 */
extern bool PghaWriteFile(const char *path, int flags, const char *text, int length);

/* The same, and fsyncs it; the directory is the caller's. */
extern bool PghaWriteFileSynced(const char *path, int flags, const char *text, int length);

/* CRC-32C of what stands in front of it in such a file. */
extern uint32 PghaChecksum(const char *text, size_t length);

#endif							/* PGHA_FILES_H */
