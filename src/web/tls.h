/*
 * tls.h
 *		Certificate and private key of pgha.http.
 */
#ifndef PGHA_WEB_TLS_H
#define PGHA_WEB_TLS_H

#include <stdbool.h>
#include <stddef.h>

/* As libmicrohttpd wants them: PEM, with a zero behind.  NULL: none. */
typedef struct PghaTls
{
	char	   *cert;
	char	   *key;
} PghaTls;

/*
 * Reads both files.  False with a sentence that names the file, and never shows
 * what is in it: one cannot be read, is too long, is no PEM, others may read the key,
 * or they do not belong together.  Always to be followed by pgha_tls_free().
 */
extern bool pgha_tls_load(const char *cert, const char *key, PghaTls *tls, char *error, size_t error_size);

/* The key does not stay in memory. */
extern void pgha_tls_free(PghaTls *tls);

#endif							/* PGHA_WEB_TLS_H */
