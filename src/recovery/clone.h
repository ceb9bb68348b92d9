/*
 * clone.h
 *		Building this node anew from the leader.
 */
#ifndef PGHA_CLONE_H
#define PGHA_CLONE_H

#include "report.h"

/* Clones the leader, beside the old directory or in place, and starts the server. */
extern bool pgha_clone(PghaJobRun *run);

#endif							/* PGHA_CLONE_H */
