/*
 * why.h
 *		The core's reasons as sentences.
 */
#ifndef PGHA_WHY_H
#define PGHA_WHY_H

#include "postgres.h"

#include "../core/state.h"

/* The sentence for a reason, with the member's name and what bars promotion. */
extern void PghaReasonText(const PghaNode *node, const PghaWhy *why, char *text, size_t size);

#endif							/* PGHA_WHY_H */
