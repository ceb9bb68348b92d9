/*
 * status.h
 *		The cluster as one member sees it: fetched, and printed.
 */
#ifndef PGHA_STATUS_H
#define PGHA_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "client.h"
#include "progress.h"

#define PGHA_STATUS_LIMIT_MS	15000
#define PGHA_MAX_RATES			32

/* What is kept from one look to the next to say how fast recoveries go. */
typedef struct PghaRates
{
	char		node[PGHA_MAX_RATES][64];
	PghaRate	rate[PGHA_MAX_RATES];
} PghaRates;

/* The document that `pgha status --json` prints; NULL after an error message. */
extern json_t *pgha_status_fetch(PGconn *conn, int limit_ms, FILE *errors);

/* Its "recoveries" alone: only the primary knows of those of all nodes. */
extern json_t *pgha_recoveries_fetch(PGconn *conn, int limit_ms, FILE *errors);

/* Sends the question for them, for a caller that takes the answer (one value, JSON) later. */
extern bool pgha_recoveries_ask(PGconn *conn);

/* Prints it for people.  `width` is for bars only; rates may be NULL. */
extern void pgha_status_print(FILE *out, const json_t *document, bool coloured, int width, PghaRates *rates);

/* `pgha status --watch`; returns an exit code. */
extern int	pgha_watch(const PghaClientOptions *options);

#endif							/* PGHA_STATUS_H */
