/*
 * objects.h
 *		The directories that pgha has made, so that it deletes nothing else.
 */
#ifndef PGHA_RECOVERY_OBJECTS_H
#define PGHA_RECOVERY_OBJECTS_H

#include <sys/stat.h>

#include "report.h"

/* Makes a directory, and lists it, durably.  False with errno: one that is there already is somebody else's. */
extern bool pgha_objects_make(const PghaAgentConf *conf, const char *path);

/* Is what is there now listed?  The same device and inode, wherever it has been renamed to. */
extern bool pgha_objects_has(const PghaAgentConf *conf, const char *path);

/* Was one of them made with that time in its name? */
extern bool pgha_objects_name(const PghaAgentConf *conf, const char *stamp);

/*
 * Removes a listed directory with all that is in it, and takes it off the list.
 * What is not listed is removed only if it is empty; else it is told and stays:
 * true, as it is nobody's to remove.  False if it could not be removed.
 */
extern bool pgha_objects_remove(const PghaAgentConf *conf, const char *path);

/* What was this is deleted: its inode may be somebody else's next directory. */
extern void pgha_objects_forget(const PghaAgentConf *conf, const struct stat *st);

#endif							/* PGHA_RECOVERY_OBJECTS_H */
