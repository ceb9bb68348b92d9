/*
 * network.h
 *		What goes from one server to another: questions and WAL.
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "world.h"

extern void sim_cut(SimWorld *world, int from, int to, bool cut);

/* Lets others read what the monitor has decided. */
extern void sim_publish(SimWorld *world, int node);

/* What a node says of itself now. */
extern void sim_make_report(const SimWorld *world, int node, PghaReport *report);

extern void sim_ask(SimWorld *world, int node, SimQuestion question, int member,
					uint32_t timeline, pgha_time limit);
extern void sim_arrive(SimWorld *world, int node, int asker, SimQuestion question, uint64_t id);

extern void sim_receiver_start(SimWorld *world, int node);
extern void sim_receiver_end(SimWorld *world, int node, bool clean, pgha_time retry);
extern void sim_receiver_lost(SimWorld *world, int node, bool clean, int records);
extern void sim_follow(SimWorld *world, int node, int member, uint32_t timeline);
extern void sim_unfollow(SimWorld *world, int node);
extern void sim_connected(SimWorld *world, int node);
extern void sim_stream(SimWorld *world, int node);
extern void sim_drop_stream(SimWorld *world, int node);
extern void sim_beat(SimWorld *world, int node);
extern void sim_beat_back(SimWorld *world, int node, int records);
extern void sim_acknowledge(SimWorld *world, int node, int standby, int flushed, uint64_t connection);

#endif							/* SIM_NETWORK_H */
