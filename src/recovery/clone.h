/*
 * clone.h
 *		Building this node anew from the leader.
 */
#ifndef PGHA_CLONE_H
#define PGHA_CLONE_H

#include "report.h"

/* Clones the leader, beside the old directory or in place, and starts the server. */
extern bool pgha_clone(PghaJobRun *run);

/* Finishes or clears away what an earlier process of a job left of a clone. */
extern bool pgha_clone_tidy(PghaJobRun *run);

/* A clone streams: deletes the former data directory, or says where it is kept. */
extern void pgha_clone_finish(PghaJobRun *run);

#endif							/* PGHA_CLONE_H */
