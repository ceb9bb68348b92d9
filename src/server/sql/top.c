/*
 * top.c
 *		What of this data directory cannot simply be copied: for the agent of a node
 *		that is rewound to this one, or cloned from it.
 *
 * pg_rewind reads everything here through SQL, and a backend that opens a FIFO
 * waits for its writer, deaf to every signal; pg_basebackup leaves out what is a
 * symbolic link.  So this server says what it has of the kind.  Nothing is opened
 * but directories.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"

#include "rows.h"

/* pg_rewind follows links, those in a circle too. */
#define MAX_DEPTH	10

PG_FUNCTION_INFO_V1(pgha_sql_agent_files);

/* Must these be directories for pg_basebackup? */
static bool
is_data(const char *path)
{
	static const char *const data[] = {"base", "global", "pg_xact", "pg_multixact", "pg_commit_ts", "pg_twophase", "pg_logical"};

	for (size_t i = 0; i < lengthof(data); i++)
	{
		if (strcmp(path, data[i]) == 0)
			return true;
	}
	return strncmp(path, "base/", 5) == 0;
}

static void
put(ReturnSetInfo *rsinfo, const char *path, const char *kind)
{
	PghaRow		row = {0};

	PghaPutText(&row, path);
	PghaPutText(&row, kind);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.value, row.null);
}

static void
look_below(ReturnSetInfo *rsinfo, const char *directory, int depth)
{
	DIR		   *dir = AllocateDir(directory[0] != '\0' ? directory : ".");
	struct dirent *entry;

	while (dir != NULL && (entry = ReadDirExtended(dir, directory, LOG)) != NULL)
	{
		char		path[MAXPGPATH];
		struct stat st;
		struct stat itself;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			snprintf(path, sizeof(path), "%s%s%s", directory, directory[0] != '\0' ? "/" : "", entry->d_name) >= (int) sizeof(path))
			continue;
		if (lstat(path, &itself) != 0 || stat(path, &st) != 0)
			continue;			/* gone, or a link that leads nowhere */
		if (S_ISLNK(itself.st_mode) && is_data(path))
			put(rsinfo, path, "link");
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			put(rsinfo, path, "special");
		if (!S_ISDIR(st.st_mode))
			continue;
		if (depth == 0)
			put(rsinfo, path, "directory");
		if (depth < MAX_DEPTH)
			look_below(rsinfo, path, depth + 1);
	}
	if (dir != NULL)
		FreeDir(dir);
}

/*
 * pgha_agent_files(): the directories at the top of the data directory; sockets,
 * FIFOs and devices anywhere in it; links where pg_basebackup would leave data out.
 */
Datum
pgha_sql_agent_files(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	look_below((ReturnSetInfo *) fcinfo->resultinfo, "", 0);
	return (Datum) 0;
}
