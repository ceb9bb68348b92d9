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

/* An event of another part of the monitor: the same, and no change of state. */
extern void PghaTellOwn(const PghaNode *node, const char *kind, const char *what);

/* How an event of that kind stands in the server's log: LOG or WARNING. */
extern int	PghaEventLevel(const char *kind);

/* What became of the order to stop the old primary's instance. */
extern void PghaTellStop(bool done, const char *message);

/* Writes the view in shared memory, from which SQL functions, members and agents learn. */
extern void PghaPublish(const PghaMonitor *monitor);

/* Says it in the process title. */
extern void PghaShowTitle(const PghaNode *node);

#endif							/* PGHA_TELL_H */
