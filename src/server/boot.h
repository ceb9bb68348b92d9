/*
 * boot.h
 *		Start as a primary or as a standby?
 */
#ifndef PGHA_BOOT_H
#define PGHA_BOOT_H

#include "config.h"

/*
 * Called while shared_preload_libraries are loaded, after PghaShmemInit(): has
 * the postmaster decide at its start and at each crash restart, before the
 * startup process runs.
 */
extern void PghaBootInit(void);

/* The configuration that was valid when the postmaster last looked; inherited by its children. */
extern const PghaConfig *PghaBootConfig(void);

#endif							/* PGHA_BOOT_H */
