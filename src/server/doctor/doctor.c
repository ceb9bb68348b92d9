/*
 * doctor.c
 *		pgha_doctor(): checks the set-up, and says what to do about what it finds.
 *
 * A check is a line in one of the tables of checks.h: a name that monitoring can
 * rely on, and a function that looks at one thing and puts a row with the value
 * that it found (finding.h).  Also what is in order makes a row, so that one sees
 * what was looked at.
 *
 * Nothing here changes anything, waits, or talks to another host: what other
 * members say is what the monitor last published.  Catalogs and views are read
 * with the caller's rights, by queries that members of pg_monitor may run; what
 * only superusers may see (the rules of pg_hba.conf) is left out for others.  Of
 * settings that may hold secrets only names and places are told, and single
 * options of pgha.conninfo that are no secrets: user, dbname, passfile.
 *
 * It runs on primaries and standbys, in any database, also where pgha is not
 * loaded or not enabled, and then says that first of all.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "../compat.h"
#include "../report.h"
#include "checks.h"

PG_FUNCTION_INFO_V1(pgha_sql_doctor);

/* Of itself a node knows what it would report, whatever its monitor has heard. */
static PghaView *
read_view(void)
{
	PghaView   *view = palloc(sizeof(PghaView));
	PghaMemberView *self;

	if (!PghaEnabled())
		return NULL;
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	*view = PghaShmem->view;
	LWLockRelease(PghaShmem->lock);
	if (!view->valid)
		return NULL;
	self = &view->member[view->settings.self];
	self->contact = PGHA_CONTACT_ANSWERED;
	self->known = true;
	PghaReportFill(&self->report);
	return view;
}

static bool
possible(const PghaDoctor *doctor, int needs)
{
	bool		witness = doctor->view != NULL && doctor->view->settings.self >= doctor->view->members.count;

	return !((needs & PGHA_NEEDS_DATA) != 0 && witness) &&
		!((needs & PGHA_NEEDS_LIBRARY) != 0 && PghaShmem == NULL) &&
		!((needs & (PGHA_NEEDS_VIEW | PGHA_NEEDS_OTHERS)) != 0 && doctor->view == NULL) &&
		!((needs & PGHA_NEEDS_OTHERS) != 0 && doctor->view->members.count < 2) &&
		!((needs & PGHA_NEEDS_PRIMARY) != 0 && doctor->in_recovery) &&
		!((needs & PGHA_NEEDS_STANDBY) != 0 && !doctor->in_recovery);
}

/*
 * pgha_doctor(): a row for each check, several if it found several things.
 */
Datum
pgha_sql_doctor(PG_FUNCTION_ARGS)
{
	static const PghaCheck *const tables[] = {
		pgha_checks_self, pgha_checks_cluster, pgha_checks_quorum, pgha_checks_settings, pgha_checks_sync,
		pgha_checks_access, pgha_checks_host
	};
	PghaDoctor	doctor = {0};
	int			nesting;

	InitMaterializedSRF(fcinfo, 0);
	doctor.result = (ReturnSetInfo *) fcinfo->resultinfo;
	doctor.in_recovery = RecoveryInProgress();

	/* The queries mean PostgreSQL's own functions and operators. */
	nesting = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	doctor.view = read_view();
	for (int t = 0; t < (int) lengthof(tables); t++)
	{
		for (const PghaCheck *check = tables[t]; check->name != NULL; check++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!possible(&doctor, check->needs))
				continue;
			doctor.check = check->name;
			doctor.findings = 0;
			check->run(&doctor);
		}
	}
	SPI_finish();
	AtEOXact_GUC(true, nesting);
	return (Datum) 0;
}
