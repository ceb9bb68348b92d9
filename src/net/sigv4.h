/*
 * sigv4.h
 *		Signing of requests to AWS (Signature Version 4): POST to "/", no query.
 */
#ifndef PGHA_SIGV4_H
#define PGHA_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define PGHA_SIGV4_DATE_SIZE		17	/* 20150830T123600Z */
#define PGHA_SIGV4_MAX_HEADERS		16
#define PGHA_SIGV4_AUTHORIZATION_SIZE	1024

typedef struct PghaSigv4Key
{
	const char *access_key_id;
	const char *secret_access_key;
	const char *region;
	const char *service;
} PghaSigv4Key;

/* Name in any case; value as it is sent, on one line. */
typedef struct PghaSigv4Header
{
	const char *name;
	const char *value;
} PghaSigv4Header;

/*
 * Signs all `headers`, which must have Host exactly as it is sent, and
 * X-Amz-Date, which the caller sends with the value left in `date`.
 * `authorization` gets the value of the Authorization header.
 *
 * False if there are too many headers, something does not fit, or OpenSSL fails.
 */
extern bool pgha_sigv4_sign(const PghaSigv4Key *key, time_t when,
							const PghaSigv4Header *headers, int count, const char *body,
							char date[PGHA_SIGV4_DATE_SIZE],
							char authorization[PGHA_SIGV4_AUTHORIZATION_SIZE]);

#endif							/* PGHA_SIGV4_H */
