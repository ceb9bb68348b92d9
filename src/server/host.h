/*
 * host.h
 *		What the own agent says of its host, and is told to do to another's.
 */
#ifndef PGHA_SERVER_HOST_H
#define PGHA_SERVER_HOST_H

#include "postgres.h"

#include "../core/node.h"

/* What this server's own agent said last; both empty if it has not yet. */
extern void PghaHostRead(char instance[PGHA_INSTANCE_SIZE], char address[PGHA_ADDRESS_STATE_SIZE]);

/* Orders the own agent to stop an instance, in place of what was ordered before.  For the monitor. */
extern void PghaStopGive(const char *instance);

/* Takes the order back, unless the agent has begun; its outcome is of no account. */
extern void PghaStopForget(void);

/* Has the agent answered?  Then its order is over; *message is its reason if it is not `done`. */
extern bool PghaStopOutcome(bool *done, char *message, size_t size);

#endif							/* PGHA_SERVER_HOST_H */
