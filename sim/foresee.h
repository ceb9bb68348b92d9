/*
 * foresee.h
 *		Does what pgha_foresee() says come true?
 */
#ifndef SIM_FORESEE_H
#define SIM_FORESEE_H

#include "world.h"

/* One schedule: a calm cluster loses its primary.  False: see world->violation. */
extern bool sim_foresee_schedule(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace);

#endif							/* SIM_FORESEE_H */
