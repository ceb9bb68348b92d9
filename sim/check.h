/*
 * check.h
 *		Says when a rule was broken.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "world.h"

extern const SimObserver sim_checks;

/* What a standby streams must go on from what it has; of any kind of cluster. */
extern void sim_check_stream(SimWorld *world, int node, int upstream);

/* Ends the run: a rule was broken. */
extern void sim_violation(SimWorld *world, const char *invariant, const char *format,...)
			__attribute__((format(printf, 3, 4)));

#endif							/* SIM_CHECK_H */
