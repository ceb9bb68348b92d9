/*
 * doctor_host.h
 *		Checks of `pgha doctor -D`: this host, as its agent would find it.
 */
#ifndef PGHA_DOCTOR_HOST_H
#define PGHA_DOCTOR_HOST_H

#include <jansson.h>

#include "../host/conf.h"

/* The address that follows the primary included. */
extern void pgha_doctor_host(const PghaAgentConf *conf, json_t *findings);

#endif							/* PGHA_DOCTOR_HOST_H */
