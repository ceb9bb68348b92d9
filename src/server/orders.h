/*
 * orders.h
 *		What SQL functions ask of the monitor.
 */
#ifndef PGHA_ORDERS_H
#define PGHA_ORDERS_H

#include "shmem.h"

typedef struct PghaAnswer
{
	bool		refused;
	bool		force_helps;	/* PROMOTE: it would not be refused with force */
	bool		too_low;		/* PROMOTE: settings of this server are the cause */
	char		message[400];	/* why */
	uint64		pause_generation;	/* PAUSE, RESUME: the new generation */
	PghaReason	reason;			/* SWITCHOVER: why it was refused */
	uint64		handover;		/* ... or its number (PghaHandover) */
} PghaAnswer;

/*
 * For backends: gives an order and waits for the monitor's answer; `target` is a
 * member's name, or empty.  Raises an
 * error if the monitor does not answer; can be cancelled.
 */
extern void PghaOrderGive(PghaOrderKind kind, const char *target, PghaAnswer *answer);

/*
 * This session does not wait for the switchover that it has ordered any more: that is
 * called off, if it is not too late.  Nothing is done if it has ordered none.  Waits
 * for nobody, raises no error.
 */
extern void PghaOrderCallOff(void);

/* For the monitor: the order that waits for an answer, or PGHA_ORDER_NONE; target: PGHA_NAME_SIZE
 * bytes; by: the session. */
extern PghaOrderKind PghaOrderTake(uint64 *number, char *target, pid_t *by);

/*
 * For the monitor, before it begins the switchover of order `number`: from now on this
 * session can call it off.  False: it has been cancelled meanwhile.
 */
extern bool PghaOrderAdopt(uint64 number, pid_t by);

/* For the monitor: does the session not wait any more for the switchover that was adopted last? */
extern bool PghaOrderCalledOff(void);

/* For the monitor: answers the order that was taken. */
extern void PghaOrderAnswer(uint64 number, const PghaAnswer *answer);

#endif							/* PGHA_ORDERS_H */
