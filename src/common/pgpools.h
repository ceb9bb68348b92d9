/*
 * pgpools.h
 *		The list of pgha.pgpool: 'host:9898, [fd00::1]:9898'; the port defaults to 9898.
 */
#ifndef PGHA_POOLS_H
#define PGHA_POOLS_H

#include <stdbool.h>

#include "members.h"

#define PGHA_MAX_PGPOOLS	8

typedef struct PghaPgpools
{
	int			count;
	struct
	{
		char		host[PGHA_HOST_SIZE];
		int			port;
	}			pgpool[PGHA_MAX_PGPOOLS];
} PghaPgpools;

/* False with a sentence in `error` that says what to write. */
extern bool pgha_pgpools_parse(const char *list, PghaPgpools *pgpools,
							   char *error, size_t error_size);

#endif							/* PGHA_POOLS_H */
