/*
 * state.c
 *		PGDATA/pgha.state: what this node must remember over a restart.
 *
 * A text file of key=value lines that ends with a checksum line, small enough
 * to be written as a whole each time.  Only the monitor writes it, and the
 * postmaster while it starts, when there is no monitor.
 */
#include "postgres.h"

#include <fcntl.h>
#include <limits.h>

#include "lib/stringinfo.h"
#include "storage/fd.h"

#include "../common/fields.h"
#include "files.h"
#include "state.h"
#include "text.h"

#define STATE_FILE		"pgha.state"
#define STATE_FILE_NEW	"pgha.state.new"
#define STATE_HEADER	"pgha state 1"
#define STATE_MAX		8192

/* Members of a bitmap by name: the numbering is that of one pgha.members. */
static void
append_names(StringInfo text, const char *key, const PghaSettings *settings, uint32 set)
{
	const char *separator = "";

	appendStringInfo(text, "%s=", key);
	for (int i = 0; i < settings->count; i++)
	{
		if (set & (UINT32_C(1) << i))
		{
			appendStringInfo(text, "%s%s", separator, settings->name[i]);
			separator = ",";
		}
	}
	appendStringInfoChar(text, '\n');
}

static uint32
parse_names(char *value, const PghaSettings *settings)
{
	uint32		set = 0;
	char	   *rest = value;
	char	   *name;

	while ((name = strsep(&rest, ",")) != NULL)
	{
		for (int i = 0; i < settings->count; i++)
		{
			if (strcmp(settings->name[i], name) == 0)
				set |= UINT32_C(1) << i;
		}
	}
	return set;
}

PghaStateFile
PghaStateRead(const PghaSettings *settings, PghaDurable *durable)
{
	char		text[STATE_MAX];
	char	   *sum;
	char	   *rest;
	char	   *line;
	char		node[PGHA_NAME_SIZE] = "";
	uint64		system_identifier = 0;
	bool		good = true;

	memset(durable, 0, sizeof(*durable));
	if (PghaReadFile(STATE_FILE, text, sizeof(text)) < 0)
	{
		if (errno == ENOENT)
			return PGHA_STATE_ABSENT;
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", STATE_FILE)));
		return PGHA_STATE_UNUSABLE;
	}

	sum = strstr(text, "\ncrc=");
	if (sum == NULL || strncmp(text, STATE_HEADER "\n", strlen(STATE_HEADER) + 1) != 0 ||
		strtoul(sum + 5, NULL, 16) != PghaChecksum(text, sum + 1 - text))
	{
		ereport(LOG,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" is damaged and cannot be used", STATE_FILE),
				 errhint("The node learns its leader anew from the other members.")));
		return PGHA_STATE_UNUSABLE;
	}

	*sum = '\0';
	rest = text;
	strsep(&rest, "\n");		/* the header */
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		char	   *value = strchr(line, '=');
		uint64		number = 0;
		bool		is_number;

		if (value == NULL)
		{
			good = false;
			continue;
		}
		*value++ = '\0';
		is_number = pgha_parse_uint64(value, &number);

		if (strcmp(line, "node") == 0)
			strlcpy(node, value, sizeof(node));
		else if (strcmp(line, "leader") == 0)
			good &= strlcpy(durable->claim.leader, value, PGHA_NAME_SIZE) < PGHA_NAME_SIZE;
		else if (strcmp(line, "sync_listed") == 0)
			durable->sync.listed = parse_names(value, settings);
		else if (strcmp(line, "sync_current") == 0)
			durable->sync.current = parse_names(value, settings);
		else if (strcmp(line, "leader_instance") == 0)
			good &= strlcpy(durable->leader_instance, value, PGHA_INSTANCE_SIZE) < PGHA_INSTANCE_SIZE;
		else if (!is_number)
			good = false;
		else if (strcmp(line, "system_identifier") == 0)
			system_identifier = number;
		else if (strcmp(line, "term") == 0)
			durable->claim.term = number;
		else if (strcmp(line, "fork_lsn") == 0)
			durable->claim.fork_lsn = number;
		else if (strcmp(line, "role") == 0)
			durable->role = (PghaRole) Min(number, PGHA_ROLE_PRIMARY);
		else if (strcmp(line, "fenced") == 0)
			durable->fenced = number != 0;
		else if (strcmp(line, "diverged") == 0)
			durable->diverged = number != 0;
		else if (strcmp(line, "paused") == 0)
			durable->paused = number != 0;
		else if (strcmp(line, "pause_generation") == 0)
			durable->pause_generation = number;
		else if (strcmp(line, "sync_method") == 0)
			durable->sync.method = (PghaSyncMethod) Min(number, PGHA_SYNC_ANY);
		else if (strcmp(line, "sync_num") == 0)
			durable->sync.num_sync = (int) Min(number, INT_MAX);
		else if (strcmp(line, "sync_num_listed") == 0)
			durable->sync.num_listed = (int) Min(number, INT_MAX);
	}

	if (strcmp(node, settings->name[settings->self]) != 0 ||
		system_identifier != settings->system_identifier)
	{
		ereport(LOG,
				(errmsg("file \"%s\" belongs to node \"%s\" of system %llu and is ignored",
						STATE_FILE, PghaClip(node, PGHA_NAME_SIZE), (unsigned long long) system_identifier),
				 errdetail("A base backup or pg_rewind brought it here.")));
		good = false;
	}
	if (!good)
	{
		memset(durable, 0, sizeof(*durable));
		return PGHA_STATE_UNUSABLE;
	}
	return PGHA_STATE_READ;
}

bool
PghaStateWrite(const PghaSettings *settings, const PghaDurable *durable)
{
	StringInfoData text;
	bool		done;

	initStringInfo(&text);
	appendStringInfo(&text, "%s\n", STATE_HEADER);
	appendStringInfo(&text, "node=%s\n", settings->name[settings->self]);
	appendStringInfo(&text, "system_identifier=%llu\n", (unsigned long long) settings->system_identifier);
	appendStringInfo(&text, "term=%llu\n", (unsigned long long) durable->claim.term);
	appendStringInfo(&text, "fork_lsn=%llu\n", (unsigned long long) durable->claim.fork_lsn);
	appendStringInfo(&text, "leader=%s\n", durable->claim.leader);
	appendStringInfo(&text, "role=%d\n", (int) durable->role);
	appendStringInfo(&text, "fenced=%d\n", durable->fenced);
	appendStringInfo(&text, "diverged=%d\n", durable->diverged);
	appendStringInfo(&text, "paused=%d\n", durable->paused);
	appendStringInfo(&text, "pause_generation=%llu\n", (unsigned long long) durable->pause_generation);
	appendStringInfo(&text, "sync_method=%d\n", (int) durable->sync.method);
	appendStringInfo(&text, "sync_num=%d\n", durable->sync.num_sync);
	appendStringInfo(&text, "sync_num_listed=%d\n", durable->sync.num_listed);
	append_names(&text, "sync_listed", settings, durable->sync.listed);
	append_names(&text, "sync_current", settings, durable->sync.current);
	appendStringInfo(&text, "leader_instance=%s\n", durable->leader_instance);
	appendStringInfo(&text, "crc=%08X\n", PghaChecksum(text.data, text.len));

	done = PghaWriteFileSynced(STATE_FILE_NEW, O_TRUNC, text.data, text.len);
	if (!done)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", STATE_FILE_NEW)));
	else
	{
		/* durable_rename() would sync the files twice more, in the middle of a failover. */
		done = rename(STATE_FILE_NEW, STATE_FILE) == 0;
		if (!done)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not rename file \"%s\" to \"%s\": %m",
							STATE_FILE_NEW, STATE_FILE)));
		done = done && fsync_fname_ext(".", true, false, LOG) == 0;
	}
	pfree(text.data);
	return done;
}
