/*
 * control.c
 *		What pg_control says, for processes that cannot look into shared memory for it.
 *
 * For the monitor, and for SQL functions.  PostgreSQL's own get_controlfile()
 * raises errors, which would end the monitor.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "replication/walsender.h"
#include "storage/lock.h"

#include "control.h"
#include "files.h"

bool
PghaReadControl(ControlFileData *control)
{
	char		text[sizeof(ControlFileData) + 1];
	pg_crc32c	crc;

	if (PghaReadFile(XLOG_CONTROL_FILE, text, sizeof(text)) != (int) sizeof(*control))
		return false;
	memcpy(control, text, sizeof(*control));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, text, offsetof(ControlFileData, crc));
	FIN_CRC32C(crc);
	return EQ_CRC32C(crc, control->crc);
}

/* As PostgreSQL itself compares, CheckRequiredParameterValues(). */
bool
PghaSettingsTooLow(const ControlFileData *control, char *text, size_t size)
{
	const struct
	{
		const char *name;
		int			here;
		int			needed;
	}			settings[] = {
		{"max_connections", MaxConnections, control->MaxConnections},
		{"max_worker_processes", max_worker_processes, control->max_worker_processes},
		{"max_wal_senders", max_wal_senders, control->max_wal_senders},
		{"max_prepared_transactions", max_prepared_xacts, control->max_prepared_xacts},
		{"max_locks_per_transaction", max_locks_per_xact, control->max_locks_per_xact},
	};
	size_t		length = 0;
	bool		too_low = false;

	if (!EnableHotStandby)
		return false;
	if (text != NULL)
		text[0] = '\0';
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (settings[i].here >= settings[i].needed)
			continue;
		if (text != NULL && length < size)
			length += snprintf(text + length, size - length, "%s%s is %d here and %d on the primary",
							   too_low ? ", " : "", settings[i].name, settings[i].here, settings[i].needed);
		too_low = true;
	}
	if (too_low && text != NULL && length < size)
		(void) snprintf(text + length, size - length, ".");
	return too_low;
}
