/*
 * witness.c
 *		A server that votes, and has no data of the cluster.
 *
 * A witness is an instance of its own initdb, so that its system identifier is
 * its own.  Which cluster it serves it learns from the members
 * (monitor/cluster.c) and keeps in pgha.state; wherever members compare system
 * identifiers it goes by that one, and says so in its report.  Nothing that is
 * committed here is the cluster's: the gate stands open for it (gate.c), and the
 * functions that act on replication are for the members.
 *
 * Here is only what all of pgha asks of it.  It never looks at a file.
 */
#include "postgres.h"

#include "witness.h"

static bool is_witness = false;
static uint64 served = 0;

void
PghaWitnessStart(void)
{
	is_witness = true;
}

bool
PghaIsWitness(void)
{
	return is_witness;
}

uint64
PghaWitnessSystem(void)
{
	return served;
}

void
PghaWitnessServe(uint64 system_identifier)
{
	served = system_identifier;
}
