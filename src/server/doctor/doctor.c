/*
 * doctor.c
 *		pgha_doctor(): checks the set-up, and says what to do about what it finds.
 *
 * A check is a line in one of the tables (doctor_*.c): a name that monitoring
 * can rely on, and a function that looks at one thing and puts a row with the
 * value that it found.  Also what is in order makes a row, so that one sees what
 * was looked at.
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

#include <unistd.h>

#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "../compat.h"
#include "../config.h"
#include "doctor.h"
#include "../io_child.h"
#include "../report.h"
#include "../sql/rows.h"

/* A monitor that has published nothing for so long hangs. */
#define MONITOR_SILENT_MS	10000

PG_FUNCTION_INFO_V1(pgha_sql_doctor);

/*
 * ---------- what checks use ----------
 */

static char *format_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static char *
format_text(const char *format, va_list args)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&text, format, copy);
		va_end(copy);
		if (needed == 0)
			return text.data;
		enlargeStringInfo(&text, needed);
	}
}

static void
put_row(PghaDoctor *doctor, PghaSeverity severity, const char *finding, const char *remedy)
{
	static const char *const words[] = {"ok", "info", "warning", "error"};
	PghaRow		row = {0};

	PghaPutText(&row, words[severity]);
	PghaPutText(&row, doctor->check);
	PghaPutText(&row, finding);
	PghaPutTextOrNull(&row, remedy);
	tuplestore_putvalues(doctor->result->setResult, doctor->result->setDesc, row.value, row.null);
	doctor->findings++;
}

void
PghaDoctorFind(PghaDoctor *doctor, PghaSeverity severity, const char *remedy, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_row(doctor, severity, format_text(format, args), remedy);
	va_end(args);
}

void
PghaDoctorFine(PghaDoctor *doctor, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_row(doctor, PGHA_FINE, format_text(format, args), "");
	va_end(args);
}

int
PghaDoctorQuery(const char *format,...)
{
	va_list		args;
	char	   *query;

	va_start(args, format);
	query = format_text(format, args);
	va_end(args);
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run the query of a check: %s", query);
	return (int) SPI_processed;
}

const char *
PghaDoctorField(int row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);

	return value != NULL ? value : "";
}

bool
PghaDoctorTrue(int row, int column)
{
	return strcmp(PghaDoctorField(row, column), "t") == 0;
}

const char *
PghaDoctorSetting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value != NULL ? pstrdup(value) : "";
}

void
PghaDoctorList(StringInfo list, const char *text)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", text);
}

const char *
PghaDoctorMembers(const PghaView *view)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < view->members.count; i++)
		PghaDoctorList(&list, quote_literal_cstr(view->members.member[i].name));
	return psprintf("ARRAY[%s]::text[]", list.data);
}

const char *
PghaDoctorSize(uint64 bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double		amount = (double) bytes;
	int			unit = 0;

	while (amount >= 1024 && unit < (int) lengthof(units) - 1)
	{
		amount /= 1024;
		unit++;
	}
	return psprintf("%.*f %s", unit == 0 || amount >= 100 ? 0 : 1, amount, units[unit]);
}

const char *
PghaDoctorConninfo(const char *keyword)
{
	char		value[PGHA_CONNINFO_SIZE];

	return pgha_conninfo_get(pgha_conninfo, keyword, value, sizeof(value)) ? pstrdup(value) : NULL;
}

/*
 * ---------- pgha itself ----------
 */

static void
check_loaded(PghaDoctor *doctor)
{
	if (PghaShmem == NULL)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Add pgha to shared_preload_libraries in postgresql.conf and restart the server.",
					   "pgha is not loaded: shared_preload_libraries is \"%s\"",
					   PghaDoctorSetting("shared_preload_libraries"));
	else
		PghaDoctorFine(doctor, "shared_preload_libraries is \"%s\"",
					   PghaDoctorSetting("shared_preload_libraries"));
}

static void
check_enabled(PghaDoctor *doctor)
{
	if (pgha_node[0] == '\0')
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Write this node's name among pgha.members, as in pgha.node = 'db-1', and restart the server.",
					   "pgha.node is empty: pgha does not manage this server");
	else if (!PghaEnabled())
		PghaDoctorFind(doctor, PGHA_ERROR, "Start the server in the usual way.",
					   "pgha.node is \"%s\", but the server does not run normally", pgha_node);
	else
		PghaDoctorFine(doctor, "pgha.node is \"%s\"", pgha_node);
}

static void
check_monitor(PghaDoctor *doctor)
{
	pgha_time	published;
	pid_t		pid;
	bool		valid;
	int64		age_ms;

	if (!PghaEnabled())
		return;
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	pid = PghaShmem->monitor_pid;
	valid = PghaShmem->view.valid;
	published = PghaShmem->view.published;
	LWLockRelease(PghaShmem->lock);
	age_ms = (PghaNow() - published) / 1000;

	if (pid == 0)
		PghaDoctorFind(doctor, PGHA_ERROR, "See the server log for why it ended; it is started again within seconds.",
					   "the pgha monitor is not running");
	else if (!valid)
		PghaDoctorFind(doctor, PGHA_WARNING, "Wait for some seconds; if it stays so, see the server log.",
					   "the pgha monitor (process %d) has not made its first decision yet", (int) pid);
	else if (age_ms > MONITOR_SILENT_MS)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   psprintf("See what process %d waits for (disk, memory); if it hangs, restart the server.", (int) pid),
					   "the pgha monitor has published nothing for %lld s", (long long) (age_ms / 1000));
	else
		PghaDoctorFine(doctor, "process %d runs and decides", (int) pid);
}

static void
check_program(PghaDoctor *doctor)
{
	char		path[MAXPGPATH];

	PghaProgramPath(path);
	if (access(path, X_OK) != 0)
		PghaDoctorFind(doctor, PGHA_ERROR, "Run \"make install\", or install the package again.",
					   "the program \"%s\" cannot be run: %m", path);
	else
		PghaDoctorFine(doctor, "\"%s\" is there", path);
}

static void
check_configuration(PghaDoctor *doctor)
{
	if (doctor->view->config_error[0] != '\0')
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Correct the line and reload; until then the former settings stay in force.",
					   "the settings in the files are refused: %s", doctor->view->config_error);
	else
		PghaDoctorFine(doctor, "the settings in the files are in force");
}

static void
check_pending_restart(PghaDoctor *doctor)
{
	int			rows = PghaDoctorQuery("SELECT string_agg(name, ', ' ORDER BY name) FROM pg_catalog.pg_settings"
									   " WHERE pending_restart HAVING count(*) > 0");

	if (rows > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Restart the server at a quiet moment (\"pgha pause\" first, if it is the primary).",
					   "changed in the files, but not in force before a restart: %s", PghaDoctorField(0, 0));
	else
		PghaDoctorFine(doctor, "no setting waits for a restart");
}

static void
check_extension_version(PghaDoctor *doctor)
{
	int			rows = PghaDoctorQuery("SELECT e.extversion, a.default_version, e.extversion = a.default_version"
									   " FROM pg_catalog.pg_extension e"
									   " JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname"
									   " WHERE e.extname = 'pgha'");

	if (rows == 0)
		PghaDoctorFind(doctor, PGHA_WARNING, "Run \"make install\", or install the package again.",
					   "the files of the extension are missing in PostgreSQL's directory");
	else if (!PghaDoctorTrue(0, 2))
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Run ALTER EXTENSION pgha UPDATE; on the primary, in each database that has the extension.",
					   "the extension is version %s in database \"%s\", the files installed are version %s",
					   PghaDoctorField(0, 0), get_database_name(MyDatabaseId), PghaDoctorField(0, 1));
	else
		PghaDoctorFine(doctor, "version %s, as installed", PghaDoctorField(0, 0));
}

static const PghaCheck checks_self[] = {
	{"loaded", 0, check_loaded},
	{"enabled", PGHA_NEEDS_LIBRARY, check_enabled},
	{"monitor", PGHA_NEEDS_LIBRARY, check_monitor},
	{"program", PGHA_NEEDS_LIBRARY, check_program},
	{"configuration", PGHA_NEEDS_VIEW, check_configuration},
	{"pending_restart", 0, check_pending_restart},
	{"extension_version", 0, check_extension_version},
	{NULL, 0, NULL}
};

/*
 * ---------- the function ----------
 */

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
	return !((needs & PGHA_NEEDS_LIBRARY) != 0 && PghaShmem == NULL) &&
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
		checks_self, pgha_checks_cluster, pgha_checks_settings, pgha_checks_sync,
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
