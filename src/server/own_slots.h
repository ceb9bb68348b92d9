/*
 * own_slots.h
 *		PGDATA/pgha.slots: which replication slots are pgha's.
 */
#ifndef PGHA_OWN_SLOTS_H
#define PGHA_OWN_SLOTS_H

#include "postgres.h"

extern bool PghaSlotIsOwn(const char *name);

/* Notes that the slot is pgha's, or that it is gone.  Written with PghaOwnSlotsSave(). */
extern void PghaSlotOwned(const char *name);
extern void PghaSlotForgotten(const char *name);

/* Makes durable what has changed since the last call.  A failure is logged once, and tried again. */
extern void PghaOwnSlotsSave(void);

#endif							/* PGHA_OWN_SLOTS_H */
