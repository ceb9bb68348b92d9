/*
 * monitor.h
 *		The background worker that watches and acts.
 */
#ifndef PGHA_MONITOR_H
#define PGHA_MONITOR_H

#include "postgres.h"

/* Registers the worker; called while shared_preload_libraries are loaded. */
extern void PghaMonitorInit(void);

extern PGDLLEXPORT void PghaMonitorMain(Datum arg);

#endif							/* PGHA_MONITOR_H */
