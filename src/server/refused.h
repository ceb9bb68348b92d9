/*
 * refused.h
 *		Why an agent is not connected: what this server answered to its login.
 */
#ifndef PGHA_REFUSED_H
#define PGHA_REFUSED_H

#include "postgres.h"

/* Installs the hook that sees such answers.  In the postmaster, as the library is loaded. */
extern void PghaRefusedInit(void);

/*
 * What the agent of `node` was told when it last tried to log in, if it was
 * refused and that was within the last minute; *host is from where it tried.
 * The agent tries every few seconds.  False if there is nothing of the kind.
 */
extern bool PghaLoginRefused(const char *node, char *message, size_t size, char *host, size_t host_size);

#endif							/* PGHA_REFUSED_H */
