/*
 * table.h
 *		Aligned tables of JSON values.
 */
#ifndef PGHA_TABLE_H
#define PGHA_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "terminal.h"

typedef struct PghaColumn
{
	const char *title;
	const char *key;			/* of the row's object */
	bool		right;			/* numbers */
	/* Writes the cell; NULL: the value as it is. */
	void		(*format) (const json_t *row, const json_t *value, char *out, size_t size);
	PghaPaint	(*paint) (const json_t *row);	/* NULL: none */
} PghaColumn;

/*
 * Prints an array of objects; an empty cell is a dash, and a column of a key
 * that no row has is left out.  `width` is 0, or what the lines must fit into:
 * columns are left out from the last one on, and what is still too wide is cut.
 */
extern void pgha_table_print(FILE *out, const json_t *rows, const PghaColumn *columns, int count, bool coloured, int width);

/* A value as text: booleans as yes and no, null as nothing. */
extern void pgha_table_value(const json_t *value, char *out, size_t size);

/* A time as "2026-01-31 12:00:00.123+00:00". */
extern void pgha_table_time(const json_t *row, const json_t *value, char *out, size_t size);

#endif							/* PGHA_TABLE_H */
