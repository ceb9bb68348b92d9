/*
 * event_kind.h
 *		The kinds of events: how much they matter, and which of them people are told.
 */
#ifndef PGHA_EVENT_KIND_H
#define PGHA_EVENT_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"

/* A set of kinds, a bit each. */
typedef uint32_t PghaEventKinds;

/* What a record of the kind "lead" begins with that ends a failover or a switchover. */
#define PGHA_PROMOTED_TEXT	"promoted to primary of term "

/* The kinds of records of pgha_events(), from 0 on; NULL: there are no more. */
extern const char *pgha_event_record_kind(int number);

/* How a record of that kind of pgha_events() stands in the server's log. */
extern PghaSeverity pgha_event_log_severity(const char *kind);

/*
 * The kind that is told of a record of pgha_events(), which is finer than the
 * record's own: failover, switchover, and promoting, with which they begin.
 */
extern const char *pgha_event_told_kind(const char *kind, const char *what);

/* How much it matters whoever is told. */
extern PghaSeverity pgha_event_told_severity(const char *told_kind);

/* Does the set have this kind?  Of one that is not known: if it has all. */
extern bool pgha_event_kinds_have(PghaEventKinds kinds, const char *told_kind);

/*
 * Reads a list of kinds, 'failover, fence'; empty: those worth telling; 'all'.
 * False with a sentence.
 */
extern bool pgha_event_kinds_parse(const char *text, PghaEventKinds *kinds, char *error, size_t error_size);

#endif							/* PGHA_EVENT_KIND_H */
