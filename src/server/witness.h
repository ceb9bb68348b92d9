/*
 * witness.h
 *		A server that votes, and has no data of the cluster.
 */
#ifndef PGHA_WITNESS_H
#define PGHA_WITNESS_H

#include "postgres.h"

/* At a start, before there are other processes: this server is one of the witnesses. */
extern void PghaWitnessStart(void);

/* Is it? */
extern bool PghaIsWitness(void);

/*
 * System identifier of the cluster that this witness serves, as the monitor knows
 * it.  0: not known yet, and in other processes.
 */
extern uint64 PghaWitnessSystem(void);
extern void PghaWitnessServe(uint64 system_identifier);

#endif							/* PGHA_WITNESS_H */
