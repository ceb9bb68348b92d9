/*
 * observe.h
 *		What the monitor sees of its own server.
 */
#ifndef PGHA_OBSERVE_H
#define PGHA_OBSERVE_H

#include "postgres.h"

#include "../../core/state.h"
#include "../config.h"

/* Fills *local with what is so now. */
extern void PghaObserve(const PghaConfig *config, pgha_time now, PghaLocal *local);

/* The WAL receiver's end, when it comes, is this worker's doing: nobody has refused it a stream. */
extern void PghaObserveOrderedEnd(void);

/* Has the startup process ask for a WAL receiver, if that is due. */
extern void PghaKickStartup(const PghaLocal *local, pgha_time now);

/* When to look for that again; PG_INT64_MAX if there is no need. */
extern pgha_time PghaKickDue(const PghaLocal *local, pgha_time now);

#endif							/* PGHA_OBSERVE_H */
