/*
 * lost.h
 *		The WAL that a rewind or a clone is about to throw away.
 */
#ifndef PGHA_LOST_H
#define PGHA_LOST_H

#include "history.h"

/* Saves the WAL here beyond the fork into pgha_lost/. */
extern bool pgha_lost_save(PghaJobRun *run, const PghaControl *control, const PghaFork *fork);

#endif							/* PGHA_LOST_H */
