/*
 * absent.h
 *		What the primary tells of members and agents that are not there.
 */
#ifndef PGHA_ABSENT_H
#define PGHA_ABSENT_H

#include "context.h"

/* Call it with each heartbeat, whatever this node is. */
extern void PghaAbsentTend(const PghaMonitor *monitor, pgha_time now);

#endif							/* PGHA_ABSENT_H */
