/*
 * listen.h
 *		The list of pgha.http: '0.0.0.0:8008, [::]:8008'; the port defaults to 8008.
 */
#ifndef PGHA_LISTEN_H
#define PGHA_LISTEN_H

#include <stdbool.h>

#include "members.h"

#define PGHA_MAX_LISTEN		4

typedef struct PghaListen
{
	int			count;
	struct
	{
		char		host[PGHA_HOST_SIZE];	/* name or numeric address, without brackets */
		int			port;
	}			at[PGHA_MAX_LISTEN];
} PghaListen;

/* False with a sentence in `error` that says what to write.  An empty text is an empty list. */
extern bool pgha_listen_parse(const char *list, PghaListen *listen, char *error, size_t error_size);

/* Are certificate and key both absolute paths, or both empty?  False with a sentence. */
extern bool pgha_listen_tls_check(const char *cert, const char *key, char *error, size_t error_size);

#endif							/* PGHA_LISTEN_H */
