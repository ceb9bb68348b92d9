/*
 * witness.h
 *		A server that votes, and has no data of the cluster.
 */
#ifndef PGHA_WITNESS_H
#define PGHA_WITNESS_H

#include "postgres.h"

/*
 * System identifier of the cluster that this witness serves, as this process
 * knows it: of the monitor, and of the postmaster at a start.  0: not known yet.
 */
extern uint64 PghaWitnessSystem(void);
extern void PghaWitnessServe(uint64 system_identifier);

/* At the start of a witness: FATAL if what is on disk is no witness's. */
extern void PghaWitnessBoot(void);

#endif							/* PGHA_WITNESS_H */
