/*
 * witness_from.h
 *		What `pgha witness init --from` asks of a member, and has the members told.
 */
#ifndef PGHA_CLI_WITNESS_FROM_H
#define PGHA_CLI_WITNESS_FROM_H

#include "witness_make.h"

/*
 * Fetches what must be the same on all nodes: members, witnesses with this one
 * among them, cluster, settings.  host and port may be NULL.  An exit code, after
 * an error message unless it is EXIT_OK.
 */
extern int	pgha_witness_fetch(PghaWitness *witness, const char *from, const char *host, const char *port);

/* Has the members take it up, after the former; likewise. */
extern int	pgha_witness_add(const PghaWitness *witness);

#endif							/* PGHA_CLI_WITNESS_FROM_H */
