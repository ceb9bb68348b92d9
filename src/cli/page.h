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

/* Prints a document of pgha_status_fetch().  `width` is for bars only; rates may be NULL. */
extern void pgha_status_print(FILE *out, const json_t *document, bool coloured, int width, PghaRates *rates);

#endif							/* PGHA_PAGE_H */
