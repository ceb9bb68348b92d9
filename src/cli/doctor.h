/*
 * doctor.h
 *		What the checks of `pgha doctor` share.
 *
 * A finding is a JSON object as pgha_doctor() makes it: severity (ok, info,
 * warning, error), check (a stable name), finding, remedy (null if it is ok).
 */
#ifndef PGHA_PROGRAM_DOCTOR_H
#define PGHA_PROGRAM_DOCTOR_H

#include <jansson.h>

#include "../host/conf.h"

/* Appends a finding; `remedy` is NULL for one that is "ok". */
extern void pgha_finding(json_t *findings, const char *severity, const char *check,
						 const char *remedy, const char *format,...)
			__attribute__((format(printf, 5, 6)));

/* What the checks of this host go by. */
typedef struct PghaHost
{
	const PghaAgentConf *conf;
	json_t	   *findings;
} PghaHost;

/*
 * The address that follows the primary, if EC2 moves it (doctor_address.c): would
 * this host get it?
 */
extern void pgha_doctor_address(const PghaAgentConf *conf, json_t *findings);

/* This host, as its agent would find it (doctor_host.c). */
extern void pgha_doctor_host(const PghaAgentConf *conf, json_t *findings);

/*
 * A pgpool.conf, against the members of the cluster (doctor_pgpool.c).  `conf` is
 * this node's, for its data directory; NULL if it is not known.
 */
extern void pgha_doctor_pgpool(const char *file, const PghaMembers *members,
							   const PghaAgentConf *conf, json_t *findings);

#endif							/* PGHA_PROGRAM_DOCTOR_H */
