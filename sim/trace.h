/*
 * trace.h
 *		What happens in a simulated cluster, as lines of text.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "world.h"

extern void sim_trace(SimWorld *world, int node, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern void sim_trace_step(SimWorld *world, int node, const PghaEvent *event,
						   const PghaActions *actions);
extern const char *sim_why_text(const SimNode *node, const PghaWhy *why);
extern const char *sim_lsn(pgha_lsn lsn);

#endif							/* SIM_TRACE_H */
