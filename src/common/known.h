/*
 * known.h
 *		All settings pgha.*, what kind they are, and what values they take.
 */
#ifndef PGHA_KNOWN_H
#define PGHA_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PghaKind
{
	PGHA_KIND_TEXT,
	PGHA_KIND_BOOL,
	PGHA_KIND_WORD,
	PGHA_KIND_NUMBER,
	PGHA_KIND_MS,				/* a time, in milliseconds */
	PGHA_KIND_MB				/* a size, in megabytes */
} PghaKind;

typedef struct PghaKnown
{
	const char *name;
	PghaKind	kind;
	const char *words;			/* PGHA_KIND_WORD: separated by commas */
	int			min;			/* of a number, time or size, as `boot` and `max` */
	int			max;
	int			boot;
} PghaKnown;

/* The setting of that name (case does not count), or NULL. */
extern const PghaKnown *pgha_known_find(const char *name);

/* The one that was probably meant, or NULL. */
extern const char *pgha_known_nearest(const char *name);

/* By number, for whoever goes through all; NULL behind the last one. */
extern const PghaKnown *pgha_known_get(int number);

/*
 * Is the value one that PostgreSQL takes for this setting?  Puts what a number,
 * time or size comes to into *number.  False with a sentence that says what to write.
 */
extern bool pgha_known_check(const PghaKnown *known, const char *value, int *number, char *error, size_t error_size);

#endif							/* PGHA_KNOWN_H */
