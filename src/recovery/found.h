/*
 * found.h
 *		What a recovery finds: whose directory that is, and how far it has come.
 */
#ifndef PGHA_RECOVERY_FOUND_H
#define PGHA_RECOVERY_FOUND_H

#include <libpq-fe.h>

#include "report.h"
#include "table.h"

/* Looks at a data directory; what cannot be told is 0. */
extern void pgha_found_directory(const PghaJobRun *run, const char *path, PghaDirectory *directory);

/* The same device and inode? */
extern bool pgha_found_same(const PghaDirectory *one, const PghaDirectory *other);

/* Has this directory become another one, or got more, since it was looked at? */
extern PghaFact pgha_found_changed(const PghaDirectory *now, const PghaDirectory *before);

/* The pause that the server of the data directory remembers. */
extern PghaFact pgha_found_paused(const PghaJobRun *run);

/* Is failover paused, by what the leader says? */
extern PghaFact pgha_found_leader_paused(PGconn *leader);

/* Term that the leader leads in; 0: not known. */
extern uint64_t pgha_found_leader_term(PGconn *leader);

/* Is this directory's term above the leader's?  `term` is 0 if that is not known. */
extern PghaFact pgha_found_above(const PghaDirectory *directory, uint64_t term);

/* Has the leader (NULL: there is none) all that the data directory at `path` has? */
extern PghaFact pgha_found_contained(const PghaJobRun *run, PGconn *leader, const char *path);

#endif							/* PGHA_RECOVERY_FOUND_H */
