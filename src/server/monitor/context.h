/*
 * context.h
 *		What the monitor's rooms look at.  There is one, in monitor.c.
 */
#ifndef PGHA_MONITOR_CONTEXT_H
#define PGHA_MONITOR_CONTEXT_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "../../core/state.h"
#include "../config.h"

typedef struct PghaMonitor
{
	PghaConfig	config;			/* in force */
	char		config_error[512];	/* what is wrong with the files; empty: that set is in force */
	char		start_error[448];	/* what the next start would refuse in them; empty: nothing */
	PghaNode	node;			/* the core's */
	TimestampTz state_since;
	bool		promoted;		/* by this worker, in this step: the leading is told with its times */
	uint32		slots;			/* members a slot is kept for */
} PghaMonitor;

#endif							/* PGHA_MONITOR_CONTEXT_H */
