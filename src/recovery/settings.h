/*
 * settings.h
 *		The node's own files in PGDATA, over a rewind or a clone.
 */
#ifndef PGHA_SETTINGS_H
#define PGHA_SETTINGS_H

#include "report.h"

/* Copies them away; before the data directory changes. */
extern bool pgha_settings_save(PghaJobRun *run);

/*
 * Turns a directory that came from the leader into this node's standby:
 * settings, standby.signal, no pgha.state; synced.
 */
extern bool pgha_make_standby(PghaJobRun *run, const char *data);

#endif							/* PGHA_SETTINGS_H */
