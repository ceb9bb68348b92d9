/*
 * pgha.c
 *		Table of contents of the library: what is set up when it is loaded.
 *
 * Preloaded, it takes part in the server's work; loaded any other way (LOAD,
 * CREATE EXTENSION, pg_upgrade) it only offers its SQL functions.
 */
#include "agents.h"
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "boot.h"
#include "config.h"
#include "gate.h"
#include "monitor/monitor.h"
#include "refused.h"
#include "report.h"
#include "shmem.h"
#include "slots.h"
#include "walreceiver.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	PghaConfigInit();
	PghaGateInit();
	PghaSlotsInit();
	PghaReportInit();
	PghaAgentNewsInit();
	PghaShmemInit();

	/* The rest changes how the server works: only for a node that is managed. */
	if (!IsPostmasterEnvironment || IsBinaryUpgrade || pgha_node[0] == '\0')
		return;
	PghaBootInit();
	PghaWalReceiverInit();
	PghaMonitorInit();
	PghaRefusedInit();
}
