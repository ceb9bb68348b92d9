/*
 * cluster.h
 *		Which cluster a witness serves.
 */
#ifndef PGHA_MONITOR_CLUSTER_H
#define PGHA_MONITOR_CLUSTER_H

#include "context.h"

/* Takes up what a former run, or a former monitor, knew.  Does nothing unless this is a witness. */
extern void PghaClusterRecall(PghaMonitor *monitor);

/* Once a round: learns it from the members, and tells of those that are not of it. */
extern void PghaClusterTend(PghaMonitor *monitor);

#endif							/* PGHA_MONITOR_CLUSTER_H */
