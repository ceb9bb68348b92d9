/*
 * preflight.h
 *		What would make a clone fail, found out before anything is touched.
 */
#ifndef PGHA_PREFLIGHT_H
#define PGHA_PREFLIGHT_H

#include "clone_place.h"

/*
 * Goes once through all that a clone by this plan needs of the leader and of
 * this host, but for the room (clone_place.h).  Changes nothing.
 */
extern bool pgha_preflight(PghaJobRun *run, const PghaClonePlan *plan, PGconn *leader);

#endif							/* PGHA_PREFLIGHT_H */
