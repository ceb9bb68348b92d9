/*
 * administrator.h
 *		What the manual tells an administrator to do where pgha waits for him.
 */
#ifndef SIM_ADMINISTRATOR_H
#define SIM_ADMINISTRATOR_H

#include "world.h"

extern void sim_promote_past_missing_wal(SimWorld *world);
extern void sim_promote_barred(SimWorld *world);
extern void sim_promote_forgotten(SimWorld *world);

#endif
