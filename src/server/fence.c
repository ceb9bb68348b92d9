/*
 * fence.c
 *		How a primary stops being one.
 *
 * Not by a fast shutdown: that would let the monitor go first, and then stream
 * a checkpoint to standbys that may follow another leader already.  The
 * monitor ends like a crashed process instead, upon which the postmaster kills
 * every other one and starts over, in recovery.  The commit gate was shut, and
 * the reason made durable, before this is called.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "fence.h"

bool
PghaWriteStandbySignal(void)
{
	int			fd = OpenTransientFilePerm(STANDBY_SIGNAL_FILE, O_WRONLY | O_CREAT | PG_BINARY,
										   pg_file_create_mode);
	bool		done;

	if (fd < 0)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", STANDBY_SIGNAL_FILE)));
		return false;
	}
	done = pg_fsync(fd) == 0;
	if (!done)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not fsync file \"%s\": %m", STANDBY_SIGNAL_FILE)));
	if (CloseTransientFile(fd) != 0)
		done = false;
	return done && fsync_fname_ext(".", true, false, LOG) == 0;
}

void
PghaFence(void)
{
	if (!PghaWriteStandbySignal())
		return;
	if (restart_after_crash)
		proc_exit(2);

	/* The postmaster would not come back by itself: at least it goes at once. */
	kill(PostmasterPid, SIGQUIT);
	proc_exit(1);
}
