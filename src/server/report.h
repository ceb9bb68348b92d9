/*
 * report.h
 *		This server's report to the other members: the GUC pgha.report.
 */
#ifndef PGHA_SERVER_REPORT_H
#define PGHA_SERVER_REPORT_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "../core/node.h"

/* Defines pgha.report and pgha.events_since. */
extern void PghaReportInit(void);

/* Fills a report from live state; needs shared memory, no transaction. */
extern void PghaReportFill(PghaReport *report);

/*
 * How far the WAL here reaches, and on which timeline.  Primary: flushed;
 * standby: the greater of received and replayed.
 */
extern XLogRecPtr PghaWalEnd(bool in_recovery, TimeLineID *timeline);

#endif							/* PGHA_SERVER_REPORT_H */
