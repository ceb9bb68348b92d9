/*
 * exposition.h
 *		Writes numbers in Prometheus' formats.
 */
#ifndef PGHA_WEB_EXPOSITION_H
#define PGHA_WEB_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct PghaExposition
{
	FILE	   *out;
	bool		openmetrics;
	char		labels[512];	/* of all samples, already escaped; may be empty */
	char		name[96];		/* of the family under way */
	bool		counter;		/* its samples end in _total */
} PghaExposition;

/* Appends name="value" to `labels`, escaped. */
extern void pgha_exposition_label(char *labels, size_t size, const char *name, const char *value);

/*
 * Begins a family.  A counter's name is given without _total.  `unit` is what its
 * name ends in, or "".
 */
extern void pgha_family(PghaExposition *exposition, const char *name, const char *type, const char *unit, const char *help);

/* A sample of the family under way, with one label more unless `label` is NULL. */
extern void pgha_sample_int(PghaExposition *exposition, const char *label, const char *value, int64_t number);
extern void pgha_sample_real(PghaExposition *exposition, const char *label, const char *value, double number);

/* A family of one sample. */
extern void pgha_gauge_int(PghaExposition *exposition, const char *name, const char *unit, const char *help, int64_t number);

/* The end of the text. */
extern void pgha_exposition_end(PghaExposition *exposition);

#endif							/* PGHA_WEB_EXPOSITION_H */
