/*
 * vote_fault.h
 *		Schedules out of a seed, for clusters whose members vote.
 */
#ifndef SIM_VOTE_FAULT_H
#define SIM_VOTE_FAULT_H

#include "world.h"

extern const char *sim_vote_profile_name(uint64_t seed);

/*
 * One whole schedule.  False: a promise was broken, see world->violation.  With
 * no_quorum the same storm meets three members that do not vote: it shows what
 * they cannot promise.
 */
extern bool sim_vote_schedule(SimWorld *world, uint64_t seed, bool no_quorum, uint64_t rules_off, FILE *trace);

#endif							/* SIM_VOTE_FAULT_H */
