/*
 * fault.h
 *		Schedules out of a seed.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "world.h"

typedef enum SimFault
{
	FAULT_RANDOM,
	FAULT_KILL,
	FAULT_POWER,
	FAULT_STOP,
	FAULT_RESTART,				/* killed and started at once */
	FAULT_QUICK_RESTART,		/* stopped and started at once */
	FAULT_START,
	FAULT_BACKEND,
	FAULT_FREEZE,
	FAULT_THAW,
	FAULT_CUT,
	FAULT_CUT_ONE_WAY,
	FAULT_ISOLATE,
	FAULT_HEAL,
	FAULT_SLOW,
	FAULT_FAST,
	FAULT_THROTTLE,
	FAULT_KILL_LEADER,
	FAULT_UNTHROTTLE,
	FAULT_ERRORS,
	FAULT_NO_ERRORS,
	FAULT_PAUSE,
	FAULT_RESUME,
	FAULT_PROMOTE,
	FAULT_FORCE,
	FAULT_SITE_DOWN,			/* all at once */
	FAULT_SITE_STOP,
	FAULT_PRIORITY,
	FAULT_HANG,					/* the monitor */
	FAULT_UNABLE,				/* to ask anybody: the fault is its own */
	FAULT_DROP,					/* the WAL receiver's connection, and a moment later perhaps ... */
	FAULT_REJECT,				/* ... a firewall answers in the others' place */
	FAULT_NO_REJECT,
	FAULT_SWITCHOVER,			/* by whoever leads */
	FAULT_KINDS
} SimFault;

/* What schedules of other kinds are made of, too. */
extern void sim_later_fault(SimWorld *world, pgha_time delay, SimFault fault, int node);
extern void sim_strike(SimWorld *world, SimFault fault, int node);
extern void sim_heal_network(SimWorld *world);
extern void sim_shuffle_names(SimWorld *world);
extern pgha_time sim_some_time(SimWorld *world);
extern int	sim_some_node(SimWorld *world);

extern const char *sim_profile_name(SimProfile profile);
extern SimProfile sim_profile_of(uint64_t seed);

/* One whole schedule.  False: a rule was broken, see world->violation. */
extern bool sim_schedule(SimWorld *world, uint64_t seed, uint64_t rules_off, FILE *trace);

#endif							/* SIM_FAULT_H */
