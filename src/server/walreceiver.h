/*
 * walreceiver.h
 *		The WAL receiver under pgha's command.
 */
#ifndef PGHA_WALRECEIVER_H
#define PGHA_WALRECEIVER_H

#include "shmem.h"

/* Wraps libpqwalreceiver's functions; called in the postmaster while libraries are preloaded. */
extern void PghaWalReceiverInit(void);

/*
 * The rest is for the monitor.
 *
 * Names `member` the upstream from which a receiver may stream on `timeline`.
 * A receiver that streams already is not disturbed.
 */
extern void PghaWalReceiverOrder(int member, const char *name, const char *conninfo,
								 uint32 timeline, const char *slot);

/* No upstream for the next connection; a running stream goes on. */
extern void PghaWalReceiverForget(void);

/* No upstream; a receiver that streams or connects is ended. */
extern void PghaWalReceiverRevoke(void);

/* No upstream; from now on no ack leaves and no connection is made, until released. */
extern void PghaWalReceiverStop(void);
extern void PghaWalReceiverRelease(void);

/* Has the stop taken effect: no ack under way, nothing streams? */
extern bool PghaWalReceiverStopped(void);

/* State of the receiver process, if there is one.  For any process. */
extern PghaReceiver PghaWalReceiverState(void);

/* Has it lost its upstream, but not yet flushed all that it received?  For any process. */
extern bool PghaWalReceiverEnding(void);

/* Asks the upstream for a sign of life in the stream. */
extern void PghaWalReceiverHeartbeat(void);

#endif							/* PGHA_WALRECEIVER_H */
