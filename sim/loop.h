/*
 * loop.h
 *		Moves simulated time on.
 */
#ifndef SIM_LOOP_H
#define SIM_LOOP_H

#include "world.h"

/* Runs to `until`, a violation, or until `stop` says so (may be NULL). */
extern void sim_run(SimWorld *world, pgha_time until, bool (*stop) (SimWorld *world, void *arg), void *arg);

#endif							/* SIM_LOOP_H */
