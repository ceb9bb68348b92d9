/*
 * heir_check.h
 *		Was it right to promote whom the leader has handed over to?
 */
#ifndef SIM_HEIR_CHECK_H
#define SIM_HEIR_CHECK_H

#include "world.h"

/* False if `leader` has not handed over to `node`: then the other rules hold.  *fault: NULL, or
 * what is wrong with the leader. */
extern bool sim_judge_heir(const SimWorld *world, int node, int leader, const char **fault);

#endif							/* SIM_HEIR_CHECK_H */
