/*
 * durable.h
 *		Files and directories that must survive a crash, and their removal.
 */
#ifndef PGHA_DURABLE_H
#define PGHA_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All return false with errno set on failure. */

/* fsync of a file or directory. */
extern bool pgha_sync_path(const char *path);

/* fsync of the directory that `path` is in. */
extern bool pgha_sync_parent(const char *path);

/* fsync of everything below a directory, without following symbolic links. */
extern bool pgha_sync_tree(const char *path);

/*
 * Writes a file as a whole: new file beside it, fsync (if `durable`), rename,
 * fsync of the directory (if `durable`).
 */
extern bool pgha_write_file(const char *path, const char *text, size_t length, mode_t mode, bool durable);

/* Copies a regular file with its permissions, and syncs it.  Does not follow a symbolic link. */
extern bool pgha_copy_file(const char *from, const char *to);

/* Reads a file as a whole into malloc'd memory, NUL-terminated; NULL with errno. */
extern char *pgha_read_file(const char *path, size_t *length);

/* Removes what is below a directory, and the directory itself if `itself`; symbolic links are removed, not followed. */
extern bool pgha_remove_tree(const char *path, bool itself);

/* Has the directory an entry of that name? */
extern bool pgha_exists_in(const char *directory, const char *name);

/* Has it none?  False as well if that cannot be told. */
extern bool pgha_missing_in(const char *directory, const char *name);

/* The directory that an absolute path is in; `parent` has PATH_MAX bytes. */
extern void pgha_parent_of(const char *path, char *parent);

/* Makes a directory with mode 0700 unless it exists. */
extern bool pgha_make_directory(const char *path);

/* Have two files the same content?  Not known is no. */
extern bool pgha_same_content(const char *one, const char *two);

#endif							/* PGHA_DURABLE_H */
