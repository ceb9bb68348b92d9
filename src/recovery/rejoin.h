/*
 * rejoin.h
 *		Bringing this node back: start it, else rewind it, else clone it.
 */
#ifndef PGHA_REJOIN_H
#define PGHA_REJOIN_H

#include "report.h"

/* Carries out run->order.  False after pgha_job_fail(). */
extern bool pgha_rejoin(PghaJobRun *run);

#endif							/* PGHA_REJOIN_H */
