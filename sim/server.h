/*
 * server.h
 *		Start, stop, crash and freeze of simulated servers.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "world.h"

extern void sim_lose_wal(SimWorld *world, int node);
extern void sim_start(SimWorld *world, int node);
extern void sim_boot_decided(SimWorld *world, int node);
extern void sim_next_phase(SimWorld *world, int node);
extern void sim_replay_more(SimWorld *world, int node);

extern void sim_kill(SimWorld *world, int node, bool with_host);
extern void sim_stop(SimWorld *world, int node);
extern void sim_hand_over(SimWorld *world, int node);
extern void sim_crash_restart(SimWorld *world, int node);
extern void sim_backend_crash(SimWorld *world, int node);

extern void sim_hang(SimWorld *world, int node, pgha_time duration);	/* the monitor */
extern void sim_freeze(SimWorld *world, int node);
extern void sim_thaw(SimWorld *world, int node);

#endif							/* SIM_SERVER_H */
