/*
 * gate.h
 *		The commit gate: no commit is acknowledged by a server that does not lead.
 */
#ifndef PGHA_GATE_H
#define PGHA_GATE_H

#include "postgres.h"

/* Called while shared_preload_libraries are loaded. */
extern void PghaGateInit(void);

/* The rest is for the monitor alone. */

/* This server leads: commits may be acknowledged until further notice. */
extern void PghaGateOpen(void);

/* From now on no commit is acknowledged; one under way loses its client. */
extern void PghaGateClose(void);

/* The first decision is made and the gate stays closed: commits need not wait for it. */
extern void PghaGateDecided(void);

/* Shuts the gate until the next decision; commits wait for it instead of failing. */
extern void PghaGateSuspend(void);

extern bool PghaGateIsOpen(void);

#endif							/* PGHA_GATE_H */
