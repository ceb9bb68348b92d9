/*
 * self.c
 *		Checks of pgha itself on this node: is it loaded, enabled, whole, alive?
 *
 * They come first, as most others cannot be made where these find something.
 * Called by doctor.c; they change nothing and wait for nothing.
 */
#include "postgres.h"

#include <unistd.h>

#include "commands/dbcommands.h"
#include "miscadmin.h"

#include "../../common/clock.h"
#include "../config.h"
#include "../io_child.h"
#include "checks.h"

/* A monitor that has published nothing for so long hangs. */
#define MONITOR_SILENT_MS	10000

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
	age_ms = (pgha_clock_us() - published) / 1000;

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
					   "the configuration files have a fault: %s", doctor->view->config_error);
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

const PghaCheck pgha_checks_self[] = {
	{"loaded", 0, check_loaded},
	{"enabled", PGHA_NEEDS_LIBRARY, check_enabled},
	{"monitor", PGHA_NEEDS_LIBRARY, check_monitor},
	{"program", PGHA_NEEDS_LIBRARY, check_program},
	{"configuration", PGHA_NEEDS_VIEW, check_configuration},
	{"pending_restart", 0, check_pending_restart},
	{"extension_version", 0, check_extension_version},
	{NULL, 0, NULL}
};
