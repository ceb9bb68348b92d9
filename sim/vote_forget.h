/*
 * vote_forget.h
 *		A server that loses pgha.state.
 */
#ifndef SIM_VOTE_FORGET_H
#define SIM_VOTE_FORGET_H

#include "world.h"

/* It goes down, and what it remembered is gone.  False: it may not happen to it now, and has not. */
extern bool sim_forget_votes(SimWorld *world, int node);

#endif
