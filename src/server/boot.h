/*
 * boot.h
 *		Start as a primary or as a standby?
 */
#ifndef PGHA_BOOT_H
#define PGHA_BOOT_H

#include "config.h"

/*
 * Called by the postmaster at its start and at each crash restart, before the
 * startup process runs.  FATAL if the configuration is bad or a decision cannot
 * be carried out.
 */
extern void PghaBoot(void);

/* The configuration that was valid when the postmaster last looked; inherited by its children. */
extern const PghaConfig *PghaBootConfig(void);

#endif							/* PGHA_BOOT_H */
