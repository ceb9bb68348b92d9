/*
 * credentials.h
 *		Credentials for AWS, from where its own tools take them.
 */
#ifndef PGHA_CREDENTIALS_H
#define PGHA_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "imds.h"

typedef struct PghaCredentials
{
	char		access_key_id[132];
	char		secret_access_key[132];
	char		session_token[4096];	/* empty: none */
	time_t		expiration;		/* 0: never */
} PghaCredentials;

typedef struct PghaCredentialStore
{
	char		profile[128];	/* empty: AWS_PROFILE, "default" */
	PghaImds   *imds;
	PghaCredentials current;
	bool		loaded;
	int64_t		next_refresh;	/* of pgha_clock_ms(): not before, unless it must be */
} PghaCredentialStore;

extern void pgha_credentials_init(PghaCredentialStore *store, const char *profile, PghaImds *imds);
extern void pgha_credentials_clear(PghaCredentialStore *store);

/*
 * Sees to it that store->current is good for a request at `now` (by AWS's
 * clock).  Costs nothing while it is not near its end.  Credentials with an end
 * are renewed well before the last five minutes, and used up to the end if that fails.
 */
extern bool pgha_credentials_ready(PghaCredentialStore *store, time_t now,
								   char *error, size_t error_size);

/* Are they good for a request now, however near their end? */
extern bool pgha_credentials_usable(const PghaCredentialStore *store, time_t now);

/* Reads them again.  True if there are other ones now. */
extern bool pgha_credentials_renew(PghaCredentialStore *store, char *error, size_t error_size);

/* The region that the profile's section of the shared config file names. */
extern bool pgha_profile_region(const char *profile, char *region, size_t size);

/* An instance role's credentials as the metadata service writes them, in JSON. */
extern bool pgha_credentials_parse(const char *json, size_t length, PghaCredentials *credentials);

/*
 * Value of "key = value" in the section "[section]" of a shared credentials or
 * config file.  False if it is not there, empty, or does not fit.
 */
extern bool pgha_profile_value(const char *text, const char *section, const char *key,
							   char *value, size_t size);

#endif							/* PGHA_CREDENTIALS_H */
