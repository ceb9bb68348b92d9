/*
 * handover.h
 *		Has the server, which is down, handed over the lead?
 */
#ifndef PGHA_AGENT_HANDOVER_H
#define PGHA_AGENT_HANDOVER_H

#include <stdbool.h>

#include "../host/conf.h"

/* False if that is not known.  For a server that was shut down. */
extern bool pgha_has_handed_over(const PghaAgentConf *conf);

#endif							/* PGHA_AGENT_HANDOVER_H */
