/*
 * two_gates.h
 *		Two servers that see each other do not both accept commits for long.
 */
#ifndef SIM_TWO_GATES_H
#define SIM_TWO_GATES_H

#include "world.h"

/* Would a commit on this server be acknowledged now? */
extern bool sim_open_for_commits(const SimWorld *world, int node);

/* Have two that see each other accepted commits for too long?  Called periodically. */
extern bool sim_two_gates(SimWorld *world, int *one, int *other);

#endif							/* SIM_TWO_GATES_H */
