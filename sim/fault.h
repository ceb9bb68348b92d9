/*
 * fault.h
 *		Schedules out of a seed.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "world.h"

extern const char *sim_profile_name(SimProfile profile);
extern SimProfile sim_profile_of(uint64_t seed);

/* One whole schedule.  False: a rule was broken, see world->violation. */
extern bool sim_schedule(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace);

#endif							/* SIM_FAULT_H */
