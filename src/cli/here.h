/*
 * here.h
 *		Sessions with the cluster of this host, by what its files say.
 */
#ifndef PGHA_HERE_H
#define PGHA_HERE_H

#include "connection.h"

/*
 * Connects to the member options->at, or to this host's server; where that is down or
 * refuses, unless options->here, to another member, and says to which.  With a place: to
 * that one.  With options->acts the login must be one that may call it.  NULL after an
 * error message.
 */
extern PGconn *pgha_here_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors);

/* A server that the environment names must not win over the one that was found. */
extern void pgha_here_forget_environment(void);

/*
 * Connection string for that member as the servers log in to each other.  False if there
 * is none, or it does not fit.
 */
extern bool pgha_here_conninfo(const PghaLocalCluster *local, const PghaAddress *member, char *out, size_t size);

#endif							/* PGHA_HERE_H */
