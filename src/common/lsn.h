/*
 * lsn.h
 *		WAL positions as text: "hi/lo", both hexadecimal.
 */
#ifndef PGHA_LSN_H
#define PGHA_LSN_H

#include <stdbool.h>
#include <stdint.h>

#include "../core/node.h"

/* For printf(): "%X/%X" and its arguments. */
#define PGHA_LSN_FORMAT		"%X/%X"
#define PGHA_LSN_ARGS(lsn)	(unsigned) ((lsn) >> 32), (unsigned) (lsn)

/* A WAL position; moves *text behind it.  False if there is none. */
extern bool pgha_lsn_take(const char **text, pgha_lsn *lsn);

/* The WAL position that `text` begins with; 0 if it begins with none. */
extern pgha_lsn pgha_lsn_of(const char *text);

#endif							/* PGHA_LSN_H */
