/*
 * source.h
 *		The session with the own server, from which all that is answered comes.
 */
#ifndef PGHA_WEB_SOURCE_H
#define PGHA_WEB_SOURCE_H

#include "view.h"

/* Asks the server for as long as the agent lives; returns when `pipe` is closed. */
extern void pgha_source_run(PghaWebView *view, int pipe);

#endif							/* PGHA_WEB_SOURCE_H */
