/*
 * tell.h
 *		How the monitor shows what it does, and why.
 */
#ifndef PGHA_TELL_H
#define PGHA_TELL_H

#include "postgres.h"

#include "context.h"

/* The sentence for a reason, with the member's name and what bars promotion. */
extern void PghaWhyText(const PghaNode *node, const PghaWhy *why, char *text, size_t size);

/* An event of the core: a line in the log, and a record in pgha.events. */
extern void PghaTellEvent(const PghaMonitor *monitor, const PghaWhy *why);

/* What became of the order to stop the old primary's instance. */
extern void PghaTellStop(bool done, const char *message);

/* Writes the view in shared memory, from which SQL functions, members and agents learn. */
extern void PghaPublish(const PghaMonitor *monitor);

/* Says it in the process title. */
extern void PghaShowTitle(const PghaNode *node);

#endif							/* PGHA_TELL_H */
