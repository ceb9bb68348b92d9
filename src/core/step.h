/*
 * step.h
 *		The decisions of one node: events in, actions out.
 *
 * pgha_step() is a pure function of the node's state, the event, the local
 * observation and the time.  It is called by the background worker and by the
 * simulator, and by nobody else.
 */
#ifndef PGHA_STEP_H
#define PGHA_STEP_H

#include "state.h"

/*
 * Starts a node.  `durable` is what pgha.state held (all zero if there was
 * none), `now` the current time.
 */
extern void pgha_node_init(PghaNode *node, const PghaSettings *settings,
						   const PghaDurable *durable, pgha_time now);

/*
 * One step.  Fills `actions` and sets node->wake_at.  Each POLL, FETCH_HISTORY,
 * STOP_RECEIVER and PROMOTE is answered by exactly one event later, a STOP_OLD
 * by at most one, and by none once it was taken back; the other actions are done
 * when the caller has carried them out.
 */
extern void pgha_step(PghaNode *node, const PghaEvent *event, const PghaLocal *local,
					  pgha_time now, PghaActions *actions);

#endif							/* PGHA_STEP_H */
