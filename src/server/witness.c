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
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"

#include "state.h"
#include "witness.h"

static uint64 served = 0;

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

void
PghaWitnessBoot(void)
{
	struct stat st;

	if (stat(STANDBY_SIGNAL_FILE, &st) == 0 || stat(RECOVERY_SIGNAL_FILE, &st) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is one of pgha.witnesses, but has been told to recover"),
				 errhint("A witness has no data of the cluster: make one with \"pgha witness init\".")));

	/* A member keeps its own system identifier there, a witness that of the cluster. */
	if (PghaStateSystem() == GetSystemIdentifier())
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is one of pgha.witnesses, but has the data of a member"),
				 errhint("Make a witness with \"pgha witness init\", or write this node's name in pgha.members only.")));
}
