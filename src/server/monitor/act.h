/*
 * act.h
 *		Carrying out what the core decides.
 */
#ifndef PGHA_ACT_H
#define PGHA_ACT_H

#include "postgres.h"

#include "context.h"
#include "peers.h"

/* Reads pgha.state; what it holds need not be written again. */
extern void PghaActInit(const PghaSettings *settings, PghaDurable *durable);

/* Carries out one action.  False if those after it must not be carried out. */
extern bool PghaAct(const PghaMonitor *monitor, const PghaAction *action);

/* At the end of each step: the monitor lives, and an open gate may stay open for a while. */
extern void PghaActAlive(const PghaMonitor *monitor);

/*
 * Shuts the server down that has let go of the lead, as soon as the session that has
 * ordered it has its answer.  Returns when to call this again at the latest.
 */
extern pgha_time PghaActWayDown(pgha_time now);

/* Names the member that the WAL receiver streams from. */
extern void PghaActFollow(const PghaMonitor *monitor, int member, uint32 timeline);

/*
 * How long may a member take that this node asks now?  `fresh`: because something
 * is to be known that was said after a certain time.
 */
extern PghaPatience PghaPatienceOf(const PghaNode *node, bool fresh);

#endif							/* PGHA_ACT_H */
