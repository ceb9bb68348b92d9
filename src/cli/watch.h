/*
 * watch.h
 *		`pgha status --watch`: the page again and again.
 */
#ifndef PGHA_WATCH_H
#define PGHA_WATCH_H

#include "client.h"

/* Returns an exit code. */
extern int	pgha_watch(const PghaClientOptions *options);

#endif							/* PGHA_WATCH_H */
