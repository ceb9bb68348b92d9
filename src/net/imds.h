/*
 * imds.h
 *		The instance metadata service of EC2, version 2.
 */
#ifndef PGHA_IMDS_H
#define PGHA_IMDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct PghaImds PghaImds;

typedef enum PghaImdsResult
{
	PGHA_IMDS_OK,
	PGHA_IMDS_ABSENT,			/* there is no such item on this instance */
	PGHA_IMDS_FAILED			/* it did not answer, or not with what was asked for */
} PghaImdsResult;

/*
 * `endpoint`: "" for http://169.254.169.254; "http://[fd00:ec2::254]" where only
 * IPv6 is there.  NULL: out of memory.
 */
extern PghaImds *pgha_imds_new(const char *endpoint);
extern void pgha_imds_free(PghaImds *imds);

/*
 * Reads an item below /latest/meta-data/.  *text is valid until the next call.
 * A sentence is in `error` unless OK.
 */
extern PghaImdsResult pgha_imds_get(PghaImds *imds, const char *path, const char **text,
									char *error, size_t error_size);

/* The same for an item of one word; FAILED also if it is not one, or does not fit. */
extern PghaImdsResult pgha_imds_word(PghaImds *imds, const char *path, char *word, size_t size,
									 char *error, size_t error_size);

/*
 * Takes the next word off a list with one on each line, without a slash at its
 * end.  Skips what does not fit or is not made of letters, digits and "._:/-@+=,".
 * False at the end.
 */
extern bool pgha_imds_next(const char **cursor, char *word, size_t size);

#endif							/* PGHA_IMDS_H */
