/*
 * stopping.c
 *		Sessions of the agent end when the server is told to stop.
 *
 * Nobody is signalled by a smart shutdown, but the postmaster writes it to its
 * lock file first of all.  For functions of the agent that wait; nothing here does.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/pidfile.h"

#include "../files.h"
#include "stopping.h"

void
PghaEndIfStopping(void)
{
	char		text[MAXPGPATH * 3];
	char	   *line = text;

	if (PghaReadFile("postmaster.pid", text, sizeof(text)) < 0)
		return;
	for (int i = 1; line != NULL && i < LOCK_FILE_LINE_PM_STATUS; i++)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	if (line != NULL && strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("the session of the agent ends, as the server is told to stop"),
				 errhidestmt(true)));
}
