/*
 * agents.h
 *		The agents of the members, as they show themselves to this server.
 */
#ifndef PGHA_AGENTS_H
#define PGHA_AGENTS_H

#include "postgres.h"

#include "board.h"

/* The board, for those who hold its lock; NULL if the library is not preloaded. */
extern PghaBoard *PghaTheBoard(void);

/*
 * The agent of `node`, with a new slot if it has none yet.  The lock must be
 * held exclusively.  NULL if the board is full, which only happens when members
 * were replaced and their agents are still connected.
 */
extern PghaAgent *PghaAgentOf(const char *node);

/* Is it connected, and does it poll?  One that is stopped keeps its session.  The lock must be held. */
extern bool PghaAgentPresent(const PghaAgent *agent);

/* Is an agent of `node` connected to this server, and does it poll? */
extern bool PghaAgentConnected(const char *node);

/* What the agent of `node` says of its host's server; "" if none is connected, or has said it. */
extern void PghaAgentServer(const char *node, char *server, size_t size);

/* Wakes all who wait for a change of the board, or of the monitor's state. */
extern void PghaAgentsWake(void);

/* Takes the oldest queued event; false if there is none.  For the monitor. */
extern bool PghaAgentsNextEvent(PghaQueuedEvent *event);

/* Defines what agents wait with (sql/agents.c); for _PG_init(). */
extern void PghaAgentNewsInit(void);

/* A new id for a job or command: random and positive. */
extern int64 PghaNewJobId(void);

#endif							/* PGHA_AGENTS_H */
