/*
 * cluster.h
 *		The cluster as one member sees it, asked for as one JSON document.
 */
#ifndef PGHA_CLUSTER_H
#define PGHA_CLUSTER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <libpq-fe.h>

/* The document that `pgha status --json` prints; NULL after an error message. */
extern json_t *pgha_status_fetch(PGconn *conn, int limit_ms, FILE *errors);

/* Its "recoveries" alone: only the primary knows of those of all nodes. */
extern json_t *pgha_recoveries_fetch(PGconn *conn, int limit_ms, FILE *errors);

/* Sends the question for them, for a caller that takes the answer (one value, JSON) later. */
extern bool pgha_recoveries_ask(PGconn *conn);

/* The row of a node in it; NULL if there is none. */
extern json_t *pgha_member_of(const json_t *document, const char *node);

/* For those who show it later: sets "shown_seconds_ago" of each row to how long ago the member was heard by now. */
extern void pgha_members_grow_older(json_t *document, double seconds);

/* Does the member lead, as far as the one that answered knows? */
extern bool pgha_member_leads(const json_t *member);

/* How many members lead; their names, separated by commas. */
extern int	pgha_list_primaries(const json_t *members, char *names, size_t size);

/* Is the object's value of that key this text? */
extern bool pgha_has_text(const json_t *object, const char *key, const char *text);

#endif							/* PGHA_CLUSTER_H */
