/*
 * stopping.h
 *		Sessions of the agent end when the server is told to stop.
 */
#ifndef PGHA_STOPPING_H
#define PGHA_STOPPING_H

#include "../../core/node.h"

/* While it waits a session of the agent looks so often whether the server is told to stop (microseconds). */
#define PGHA_STOP_LOOK_US	INT64_C(500000)

/*
 * Ends this session if the server has been told to stop: a smart shutdown waits
 * for each session, and an agent's never ends by itself.
 */
extern void PghaEndIfStopping(void);

#endif							/* PGHA_STOPPING_H */
