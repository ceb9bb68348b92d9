/*
 * monitor.h
 *		The real core in each server.
 */
#ifndef SIM_MONITOR_H
#define SIM_MONITOR_H

#include "world.h"

extern void sim_carry_on(SimWorld *world, int node);
extern void sim_step(SimWorld *world, int node, const PghaEvent *event);
extern void sim_outcome(SimWorld *world, int node, int member, SimQuestion question,
						uint64_t id, bool limit);

extern void sim_stop_begin(SimWorld *world, int node, int member, uint64_t order);
extern void sim_stop_effect(SimWorld *world, int member, int by, uint64_t order);
extern void sim_old_stopped(SimWorld *world, int node, int member, bool done, uint64_t order);

extern void sim_promotion(SimWorld *world, int node);
extern void sim_promote_without_pgha(SimWorld *world, int node);

extern void sim_pause(SimWorld *world, int node, bool pause);
extern PghaWhy sim_promote(SimWorld *world, int node, bool force);
extern void sim_switchover(SimWorld *world, int node, int target);
extern void sim_configure(SimWorld *world, int node);

#endif							/* SIM_MONITOR_H */
