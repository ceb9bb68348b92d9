/*
 * clone_copy.h
 *		Making a copy of the primary, and removing one.
 */
#ifndef PGHA_CLONE_COPY_H
#define PGHA_CLONE_COPY_H

#include "clone_place.h"

/* Fills plan->target from the leader. */
extern bool pgha_clone_copy(PghaJobRun *run, const PghaClonePlan *plan);

/*
 * Makes sure that it is a copy of the primary, and turns it into this node's
 * standby.  pg_basebackup has synced what it wrote; another tool perhaps has not.
 */
extern bool pgha_clone_finish_copy(PghaJobRun *run, const PghaClonePlan *plan);

/*
 * What a copy has outside of its data directory is noted before it is made, and
 * forgotten when it belongs to a data directory that is whole.
 */
extern bool pgha_clone_note(PghaJobRun *run, const PghaClonePlan *plan);
extern void pgha_clone_forget(const PghaJobRun *run);

/*
 * Removes them, but for those that the data directory `kept` (NULL: none) uses.
 * False if one could not be removed: they stay noted.
 */
extern bool pgha_clone_remove_noted(const PghaJobRun *run, const char *kept);

/*
 * Removes what is in a data directory, or (`itself`) it as well, with its storage
 * outside: of pgha's copies only those that are listed (objects.h), and nothing,
 * by whatever path, that `kept` (NULL: none) uses, as another tool may have placed
 * the tablespaces of the new copy where those of the old one were.
 */
extern bool pgha_clone_remove_data(const PghaJobRun *run, const char *data, bool itself, const char *kept);

/*
 * Removes a clone that will not be used.  What pgha wanted outside of it is what
 * was noted; links in it are not followed: another tool may have made them to
 * what the node uses.  A pg_basebackup that was killed may have left its process
 * for the WAL, which adds a file before it ends, too.
 */
extern void pgha_clone_give_up(PghaJobRun *run);

#endif							/* PGHA_CLONE_COPY_H */
