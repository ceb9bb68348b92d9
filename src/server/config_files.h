/*
 * config_files.h
 *		What the next start of this server would refuse in its configuration files.
 */
#ifndef PGHA_CONFIG_FILES_H
#define PGHA_CONFIG_FILES_H

#include "postgres.h"

#include "../common/members.h"

/*
 * False, with a sentence about the first fault and the number of others, if the files
 * as they are now could not be started with.  `node` and `members` are those in force.
 */
extern bool PghaConfigFilesGood(const char *node, const PghaMembers *members, char *error, size_t error_size);

/* The setting of pgha that was probably meant, or NULL. */
extern const char *PghaConfigNearest(const char *name);

#endif							/* PGHA_CONFIG_FILES_H */
