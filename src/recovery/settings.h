/*
 * settings.h
 *		The node's own files in PGDATA, over a rewind or a clone.
 */
#ifndef PGHA_SETTINGS_H
#define PGHA_SETTINGS_H

#include "report.h"

/* Copies them away; before the data directory changes. */
extern bool pgha_settings_save(PghaJobRun *run);

/* Lets pg_rewind write to the node's files that are read-only; they were saved with their permissions. */
extern bool pgha_settings_open(PghaJobRun *run);

/* Puts them back as they were, where pg_rewind has changed nothing. */
extern bool pgha_settings_restore(PghaJobRun *run);

/*
 * Turns a directory that came from the leader into this node's standby:
 * settings, standby.signal, no pgha.state; synced.
 */
extern bool pgha_make_standby(PghaJobRun *run, const char *data);

#endif							/* PGHA_SETTINGS_H */
