/*
 * vote_check.h
 *		Says when a promise of quorum.md, section 8, was broken.
 */
#ifndef SIM_VOTE_CHECK_H
#define SIM_VOTE_CHECK_H

#include "world.h"

extern const SimObserver sim_vote_checks;

#endif							/* SIM_VOTE_CHECK_H */
