/*
 * listener.h
 *		The sockets of pgha.http, and the threads that answer on them.
 */
#ifndef PGHA_WEB_LISTENER_H
#define PGHA_WEB_LISTENER_H

#include <stdint.h>

#include "view.h"

typedef struct PghaListener PghaListener;

/* NULL: out of memory. */
extern PghaListener *pgha_listener_new(PghaWebView *view);

/*
 * Call it often: listens where it does not yet (a port may have been in use), says
 * once why it cannot, takes a renewed certificate over, and ends connections whose
 * request does not come to its end.  Returns when to call it again (pgha_clock_ms()).
 * Waits for the look-up of a name at most, for a second.
 */
extern int64_t pgha_listener_tend(PghaListener *listener);

/* Stops listening, and ends all threads. */
extern void pgha_listener_end(PghaListener *listener);

#endif							/* PGHA_WEB_LISTENER_H */
