/*
 * conninfo.h
 *		Connection strings between members, without libpq (the server module
 *		does not link it).
 */
#ifndef PGHA_CONNINFO_H
#define PGHA_CONNINFO_H

#include "members.h"

#define PGHA_CONNINFO_SIZE	2048

/*
 * application_name of the agent's sessions; that of the session in which it
 * polls is followed by a blank and the node's name.
 */
#define PGHA_AGENT_APPLICATION	"pgha agent"

/*
 * Checks pgha.conninfo: keyword=value form with libpq's quoting rules.  False
 * with a sentence in `error` for a URI, bad syntax, and keywords that pgha sets
 * itself or must not be written there: password (use passfile), host, hostaddr,
 * port, application_name, fallback_application_name, replication, options,
 * service, dbname is allowed.  The sentence never repeats a value.
 */
extern bool pgha_conninfo_check(const char *shared, char *error, size_t error_size);

/*
 * Writes "<shared> host='…' port='…' application_name='…' <extra>" with quoting
 * into `out`.  False if it does not fit.  `extra` may be NULL.
 */
extern bool pgha_conninfo_build(char *out, size_t size, const char *shared,
								const PghaAddress *address, const char *application_name,
								const char *extra);

/* Appends keyword='value' with quoting to what is in `out`.  False if it does not fit. */
extern bool pgha_conninfo_add(char *out, size_t size, const char *keyword, const char *value);

/*
 * Value of a keyword (lower case) of a text that pgha_conninfo_check() has
 * accepted; of the last one, if it is there several times, as libpq does.  False
 * if it is not there, or does not fit.
 */
extern bool pgha_conninfo_get(const char *shared, const char *keyword, char *out, size_t size);

#endif							/* PGHA_CONNINFO_H */
