/*
 * doctor_pgpool.h
 *		Checks of `pgha doctor --pgpool-conf`: a pgpool.conf beside pgha.
 */
#ifndef PGHA_DOCTOR_PGPOOL_H
#define PGHA_DOCTOR_PGPOOL_H

#include <jansson.h>

#include "../host/conf.h"

/*
 * Against the members of the cluster (NULL: not known).  `conf` is this node's,
 * for its data directory; NULL if it is not known.
 */
extern void pgha_doctor_pgpool(const char *file, const PghaMembers *members,
							   const PghaAgentConf *conf, json_t *findings);

#endif							/* PGHA_DOCTOR_PGPOOL_H */
