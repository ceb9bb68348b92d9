/*
 * doctor_address.h
 *		Checks of `pgha doctor -D` on pgha.address, where EC2 moves it.
 */
#ifndef PGHA_DOCTOR_ADDRESS_H
#define PGHA_DOCTOR_ADDRESS_H

#include <jansson.h>

#include "../host/conf.h"

/* Would this host get the address? */
extern void pgha_doctor_address(const PghaAgentConf *conf, json_t *findings);

#endif							/* PGHA_DOCTOR_ADDRESS_H */
