/*
 * gate.h
 *		The commit gate: no commit is acknowledged by a server that does not lead.
 */
#ifndef PGHA_GATE_H
#define PGHA_GATE_H

#include "postgres.h"

#include "../core/node.h"

/* Called while shared_preload_libraries are loaded. */
extern void PghaGateInit(void);

/* Is it open at this moment? */
extern bool PghaGateIsOpen(void);

/* Is it shut, or would it be if this server led, because the monitor has not been round for so long? */
extern bool PghaGateMonitorLate(void);

/* The rest is for the monitor alone. */

/*
 * This server leads: commits may be acknowledged while the monitor is heard
 * of (PghaGateAlive()), and, if the members vote, while the lease runs that
 * was last given (PghaGateLease()).
 */
extern void PghaGateOpen(bool leased, pgha_time alive);

/* An open gate closes by itself at `until`, and opens by a later call. */
extern void PghaGateLease(pgha_time until);

/* Once a round: the monitor lives.  An open gate closes by itself at `until` unless it is called again. */
extern void PghaGateAlive(pgha_time until);

/* From now on no commit is acknowledged; one under way loses its client. */
extern void PghaGateClose(void);

/* The first decision is made and the gate stays closed: commits need not wait for it. */
extern void PghaGateDecided(void);

/* Shuts the gate until the next decision; commits wait for it instead of failing. */
extern void PghaGateSuspend(void);

/* The monitor ends: an open gate is suspended. */
extern void PghaGateLeave(void);

#endif							/* PGHA_GATE_H */
