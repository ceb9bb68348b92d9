/*
 * page.h
 *		The cluster as one member sees it, drawn for people.
 */
#ifndef PGHA_PAGE_H
#define PGHA_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "progress.h"

#define PGHA_MAX_RATES			32

/* What is kept from one look to the next to say how fast recoveries go. */
typedef struct PghaRates
{
	char		node[PGHA_MAX_RATES][64];
	PghaRate	rate[PGHA_MAX_RATES];
} PghaRates;

/* How it is drawn. */
typedef struct PghaLook
{
	bool		coloured;
	int			width;			/* of the lines; 0: as wide as they are */
	bool		wide;			/* all columns of the table, whatever the width */
	PghaRates  *rates;			/* NULL: none are kept */
} PghaLook;

/* Prints a document of pgha_status_fetch(). */
extern void pgha_status_print(FILE *out, const json_t *document, const PghaLook *look);

#endif							/* PGHA_PAGE_H */
