/*
 * settings.c
 *		Checks of pgha_doctor() on PostgreSQL's settings: what rewinding,
 *		following and failing over need, and what works against them.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "replication/walreceiver.h"
#include "replication/walsender.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/guc.h"

#include "../compat.h"
#include "../config.h"
#include "../control.h"
#include "checks.h"

/* A setting that has to be `on`. */
static void
must_be_on(PghaDoctor *doctor, const char *name, PghaSeverity severity, const char *because, bool restart)
{
	const char *value = PghaDoctorSetting(name);

	if (strcmp(value, "on") == 0)
		PghaDoctorFine(doctor, "on");
	else
		PghaDoctorFind(doctor, severity,
					   psprintf("Write %s = on on every node, and %s.", name, restart ? "restart them" : "reload"),
					   "%s is %s: %s", name, value, because);
}

static void
check_wal_level(PghaDoctor *doctor)
{
	if (wal_level < WAL_LEVEL_REPLICA)
		PghaDoctorFind(doctor, PGHA_ERROR, "Write wal_level = replica on every node, and restart them.",
					   "wal_level is %s: standbys cannot follow", PghaDoctorSetting("wal_level"));
	else
		PghaDoctorFine(doctor, "%s", PghaDoctorSetting("wal_level"));
}

static void
check_hot_standby(PghaDoctor *doctor)
{
	must_be_on(doctor, "hot_standby", PGHA_ERROR, "as a standby this server cannot be asked for its state", true);
}

static void
check_fsync(PghaDoctor *doctor)
{
	must_be_on(doctor, "fsync", PGHA_ERROR,
			   "after a crash of the host this server's data are damaged, and what it decided is forgotten", false);
}

static void
check_full_page_writes(PghaDoctor *doctor)
{
	must_be_on(doctor, "full_page_writes", PGHA_WARNING,
			   "pg_rewind refuses, so that a fallen primary must be cloned", false);
}

static void
check_restart_after_crash(PghaDoctor *doctor)
{
	must_be_on(doctor, "restart_after_crash", PGHA_WARNING,
			   "a primary that gives way stays down until somebody starts it", false);
}

static void
check_rewind(PghaDoctor *doctor)
{
	if (wal_log_hints || DataChecksumsEnabled())
		PghaDoctorFine(doctor, "wal_log_hints is %s, data checksums are %s",
					   wal_log_hints ? "on" : "off", DataChecksumsEnabled() ? "on" : "off");
	else
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Write wal_log_hints = on on every node, and restart them; or enable checksums with pg_checksums.",
					   "neither wal_log_hints nor data checksums are on: a fallen primary cannot be rewound, only cloned");
}

/* ---- recovery settings ---- */

/*
 * What the files say of a setting that pgha overrides: its place, or NULL.  The
 * value is not told, as it may hold a password.
 */
static const char *
place_in_files(const char *name)
{
	ConfigVariable *head = NULL;
	ConfigVariable *tail = NULL;
	const char *place = NULL;
	const char *const files[] = {ConfigFileName, PG_AUTOCONF_FILENAME};

	for (int f = 0; f < (int) lengthof(files); f++)
	{
		/* An error in them is not this check's business. */
		head = tail = NULL;
		(void) ParseConfigFile(files[f], false, NULL, 0, 0, DEBUG2, &head, &tail);
		for (ConfigVariable *item = head; item != NULL; item = item->next)
			if (item->name != NULL && pg_strcasecmp(item->name, name) == 0)
				place = item->value == NULL || item->value[0] == '\0' ? NULL :
					psprintf("\"%s\", line %d", item->filename, item->sourceline);
	}
	return place;
}

static void
check_overridden(PghaDoctor *doctor)
{
	static const char *const names[] = {"primary_conninfo", "primary_slot_name"};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		const char *place = place_in_files(names[i]);

		if (place != NULL)
			PghaDoctorFind(doctor, PGHA_INFO,
						   psprintf("Run ALTER SYSTEM RESET %s, or remove the line: pgha sets it, and without pgha the server would follow an old primary.",
									names[i]),
						   "%s is set by hand (%s), which pgha overrides", names[i], place);
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "primary_conninfo and primary_slot_name are left to pgha");
}

static void
check_targets(PghaDoctor *doctor)
{
	static const char *const names[] = {
		"recovery_target", "recovery_target_lsn", "recovery_target_name", "recovery_target_time",
		"recovery_target_xid"
	};
	StringInfoData set;

	initStringInfo(&set);
	for (int i = 0; i < (int) lengthof(names); i++)
		if (*PghaDoctorSetting(names[i]) != '\0')
			PghaDoctorList(&set, names[i]);
	if (strcmp(PghaDoctorSetting("recovery_target_timeline"), "latest") != 0)
		PghaDoctorList(&set, "recovery_target_timeline");
	if (set.len > 0)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Remove these lines on a member of a cluster (recovery_target_timeline: 'latest'), and restart the server.",
					   "set: %s; as a standby this server stops there, or pgha leaves it alone", set.data);
	else
		PghaDoctorFine(doctor, "no recovery target is set");
}

static void
check_recovery_min_apply_delay(PghaDoctor *doctor)
{
	const char *value = PghaDoctorSetting("recovery_min_apply_delay");

	if (strcmp(value, "0") != 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Write recovery_min_apply_delay = 0 on a node that shall take over, and pgha.priority = 0 on one that shall not.",
					   "recovery_min_apply_delay is %s ms: this node is never promoted by itself", value);
	else
		PghaDoctorFine(doctor, "0");
}

/* ---- limits that a standby must share with its primary ---- */

static void
compare_limit(PghaDoctor *doctor, const char *name, int own, int primary)
{
	if (own != primary)
		PghaDoctorFind(doctor, own < primary ? PGHA_ERROR : PGHA_WARNING,
					   psprintf("Write the same %s on every node, and restart them (to raise it: standbys first).", name),
					   own < primary ?
					   "%s is %d here and %d on the primary: this standby pauses, cannot be promoted, and does not start again" :
					   "%s is %d here and %d on the primary: when this node leads, the other one pauses, and does not start again",
					   name, own, primary);
}

static void
check_standby_limits(PghaDoctor *doctor)
{
	ControlFileData control;

	if (!PghaReadControl(&control))
		return;
	compare_limit(doctor, "max_connections", MaxConnections, control.MaxConnections);
	compare_limit(doctor, "max_worker_processes", max_worker_processes, control.max_worker_processes);
	compare_limit(doctor, "max_wal_senders", max_wal_senders, control.max_wal_senders);
	compare_limit(doctor, "max_prepared_transactions", max_prepared_xacts, control.max_prepared_xacts);
	compare_limit(doctor, "max_locks_per_transaction", max_locks_per_xact, control.max_locks_per_xact);
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "max_connections and its kin are as on the primary");
}

/* ---- WAL that is kept ---- */

static void
check_max_slot_wal_keep_size(PghaDoctor *doctor)
{
	int			limit = max_slot_wal_keep_size_mb;
	int			pgha_limit = atoi(PghaDoctorSetting("pgha.slot_keep_size"));

	if (limit >= 0 && limit < pgha_limit)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("Write max_slot_wal_keep_size = '%dMB' or more, or a smaller pgha.slot_keep_size.", pgha_limit),
					   "max_slot_wal_keep_size is %d MB, less than pgha.slot_keep_size (%d MB): PostgreSQL takes WAL from members that pgha would still wait for",
					   limit, pgha_limit);
	else if (limit < 0)
		PghaDoctorFine(doctor, "-1; members' slots are limited by pgha.slot_keep_size (%d MB)", pgha_limit);
	else
		PghaDoctorFine(doctor, "%d MB, not less than pgha.slot_keep_size (%d MB)", limit, pgha_limit);
}

/* ---- archive ---- */

static void
check_archive(PghaDoctor *doctor)
{
	int			rows;

	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
	{
		PghaDoctorFine(doctor, "archive_mode is off");
		return;
	}
	if (*PghaDoctorSetting("archive_command") == '\0' && *PghaDoctorSetting("archive_library") == '\0')
	{
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Write an archive_command, or archive_mode = off and restart the server.",
					   "archive_mode is %s, but there is no archive_command: WAL is kept until the disk is full",
					   PghaDoctorSetting("archive_mode"));
		return;
	}
	rows = PghaDoctorQuery("SELECT failed_count, last_failed_wal, last_failed_time FROM pg_catalog.pg_stat_archiver"
						   " WHERE last_failed_time > coalesce(last_archived_time, '-infinity')");
	if (rows > 0)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "See the server log for what archive_command says; until it succeeds, WAL is kept and fills the disk.",
					   "archiving fails: %s failures, the last one of %s at %s",
					   PghaDoctorField(0, 0), PghaDoctorField(0, 1), PghaDoctorField(0, 2));
	else if (XLogArchiveMode != ARCHIVE_MODE_ALWAYS)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Write archive_mode = always on every node, with an archive_command that succeeds if the archive has the same file already, and restart them; or copy such WAL into the archive after a failover.",
					   "archive_mode is on: what a primary that falls has not archived yet is archived by no other node; its agent keeps it in pgha_unarchived");
	else
		PghaDoctorFine(doctor, "archive_mode is always, and archiving does not fail");
}

static void
check_restore_command(PghaDoctor *doctor)
{
	if (XLogArchiveMode == ARCHIVE_MODE_OFF)
		PghaDoctorFine(doctor, "not needed without an archive");
	/* A former primary's is overridden until its next start (boot.c): the files count. */
	else if (place_in_files("restore_command") == NULL && *PghaDoctorSetting("restore_command") == '\0')
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Write the restore_command that belongs to archive_command, on every node, and reload.",
					   "there is an archive, but no restore_command: a node that lacks WAL which others have removed must be cloned");
	else
		PghaDoctorFine(doctor, "set");
}

/* ---- times ---- */

static void
check_wal_timeouts(PghaDoctor *doctor)
{
	static const char *const names[] = {"wal_receiver_timeout", "wal_sender_timeout"};
	const int	values[] = {wal_receiver_timeout, wal_sender_timeout};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (values[i] == 0)
			PghaDoctorFind(doctor, PGHA_WARNING, psprintf("Write %s = '60s', and reload.", names[i]),
						   "%s is 0: a connection to a host that vanished is kept for hours", names[i]);
		else if (values[i] < pgha_failure_timeout)
			PghaDoctorFind(doctor, PGHA_WARNING,
						   psprintf("Write %s = '60s', and reload.", names[i]),
						   "%s (%d ms) is shorter than pgha.failure_timeout (%d ms): streams break off before pgha would judge",
						   names[i], values[i], pgha_failure_timeout);
	}
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "wal_receiver_timeout is %d ms, wal_sender_timeout %d ms", values[0], values[1]);
}

static void
check_client_keepalives(PghaDoctor *doctor)
{
	if (tcp_keepalives_idle == 0 && tcp_user_timeout == 0 && client_connection_check_interval == 0)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Write tcp_keepalives_idle = 30, tcp_keepalives_interval = 5, tcp_keepalives_count = 3, and reload; clients set keepalives or tcp_user_timeout in their connection strings.",
					   "tcp_keepalives_idle and tcp_user_timeout are left to the system: sessions of hosts that vanished keep their locks for two hours");
	else
		PghaDoctorFine(doctor, "tcp_keepalives_idle is %d s, tcp_user_timeout %d ms", tcp_keepalives_idle, tcp_user_timeout);
}

static void
check_idle_in_transaction(PghaDoctor *doctor)
{
	(void) PghaDoctorQuery("SELECT count(*), extract(epoch FROM max(clock_timestamp() - xact_start))::int8 / 60"
						   " FROM pg_catalog.pg_stat_activity"
						   " WHERE state LIKE 'idle in transaction%%' AND clock_timestamp() - xact_start > '1 hour'");
	if (atoi(PghaDoctorField(0, 0)) > 0)
		PghaDoctorFind(doctor, PGHA_INFO,
					   "Write idle_in_transaction_session_timeout = '10min', and reload; see pg_stat_activity for whose they are.",
					   "%s sessions are idle in a transaction for more than an hour (up to %s minutes): a smart shutdown waits for them",
					   PghaDoctorField(0, 0), PghaDoctorField(0, 1));
	else
		PghaDoctorFine(doctor, "no session is idle in a transaction for more than an hour");
}

/* ---- log ---- */

static void
check_log_min_messages(PghaDoctor *doctor)
{
	if (log_min_messages == FATAL || log_min_messages == PANIC)
		PghaDoctorFind(doctor, PGHA_WARNING, "Write log_min_messages = warning, and reload.",
					   "log_min_messages is %s: the log does not tell what pgha does and why",
					   PghaDoctorSetting("log_min_messages"));
	else if (log_min_messages <= DEBUG1)
		PghaDoctorFind(doctor, PGHA_INFO, "Write log_min_messages = warning, and reload.",
					   "log_min_messages is %s: the log grows fast, and can fill the disk",
					   PghaDoctorSetting("log_min_messages"));
	else
		PghaDoctorFine(doctor, "%s", PghaDoctorSetting("log_min_messages"));
}

/* ---- what does not survive ---- */

static void
check_unlogged_tables(PghaDoctor *doctor)
{
	(void) PghaDoctorQuery("SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'r' AND relpersistence = 'u'");
	if (atoi(PghaDoctorField(0, 0)) > 0)
		PghaDoctorFind(doctor, PGHA_INFO, "Run ALTER TABLE ... SET LOGGED for those whose content matters.",
					   "database \"%s\" has %s unlogged tables: they are empty after a failover",
					   get_database_name(MyDatabaseId),
					   PghaDoctorField(0, 0));
	else
		PghaDoctorFine(doctor, "there is none in this database that a failover would empty");
}

const PghaCheck pgha_checks_settings[] = {
	{"wal_level", PGHA_NEEDS_DATA, check_wal_level},
	{"hot_standby", PGHA_NEEDS_DATA, check_hot_standby},
	{"fsync", 0, check_fsync},
	{"full_page_writes", PGHA_NEEDS_DATA, check_full_page_writes},
	{"rewind", PGHA_NEEDS_DATA, check_rewind},
	{"restart_after_crash", PGHA_NEEDS_DATA, check_restart_after_crash},
	{"overridden", PGHA_NEEDS_VIEW | PGHA_NEEDS_DATA, check_overridden},
	{"recovery_target", PGHA_NEEDS_DATA, check_targets},
	{"recovery_min_apply_delay", PGHA_NEEDS_DATA, check_recovery_min_apply_delay},
	{"standby_limits", PGHA_NEEDS_STANDBY, check_standby_limits},
	{"max_slot_wal_keep_size", PGHA_NEEDS_LIBRARY | PGHA_NEEDS_DATA, check_max_slot_wal_keep_size},
	{"archive", PGHA_NEEDS_DATA, check_archive},
	{"restore_command", PGHA_NEEDS_DATA, check_restore_command},
	{"wal_timeouts", PGHA_NEEDS_LIBRARY | PGHA_NEEDS_DATA, check_wal_timeouts},
	{"client_keepalives", 0, check_client_keepalives},
	{"idle_in_transaction", 0, check_idle_in_transaction},
	{"log_min_messages", 0, check_log_min_messages},
	{"unlogged_tables", PGHA_NEEDS_DATA, check_unlogged_tables},
	{NULL, 0, NULL}
};
