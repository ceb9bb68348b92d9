/*
 * fence.h
 *		How a primary stops being one.
 */
#ifndef PGHA_FENCE_H
#define PGHA_FENCE_H

#include "postgres.h"

/* Creates standby.signal, durably.  False, with a LOG line, if that failed. */
extern bool PghaWriteStandbySignal(void);

/*
 * Turns this primary into a read-only standby: the postmaster ends all
 * processes at once and comes back in recovery.  For the monitor; returns only
 * if standby.signal could not be written.
 */
extern void PghaFence(void);

/* Begins a fast shutdown; of the start after it standby.signal has been told. */
extern void PghaShutDown(void);

#endif							/* PGHA_FENCE_H */
