/*
 * standby.h
 *		In recovery: follow, diverged, return to lead.
 */
#ifndef PGHA_CORE_STANDBY_H
#define PGHA_CORE_STANDBY_H

#include "actions.h"

/* The decision of a server in recovery, once a step. */
extern void pgha_standby_side(PghaStep *step);

#endif							/* PGHA_CORE_STANDBY_H */
