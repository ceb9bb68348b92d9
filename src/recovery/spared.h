/*
 * spared.h
 *		Can the vote of this node's server be spared while it is down?
 */
#ifndef PGHA_SPARED_H
#define PGHA_SPARED_H

#include "report.h"

/*
 * Waits until it can, as far as the leader knows, for some time; false, with the
 * reason, if it cannot.  True also where nobody votes, the server is down anyway, or
 * the leader does not answer that: what asks it next finds out why.
 */
extern bool pgha_await_spared(PghaJobRun *run);

#endif							/* PGHA_SPARED_H */
