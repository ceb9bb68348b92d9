/*
 * passfile.h
 *		The password file that libpq would read, and whether it would.
 */
#ifndef PGHA_PASSFILE_H
#define PGHA_PASSFILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Does libpq leave the password file of this connection string alone because others
 * may read it?  Then puts a sentence into `error`.  A file that is not there, or
 * cannot be looked at, is another matter.
 */
extern bool pgha_passfile_is_open(const char *conninfo, char *error, size_t error_size);

#endif							/* PGHA_PASSFILE_H */
