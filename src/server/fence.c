/*
 * fence.c
 *		How a primary stops being one.
 *
 * Not by a fast shutdown: that would let the monitor go first, and then stream
 * a checkpoint to standbys that may follow another leader already.  The
 * monitor ends like a crashed process instead, upon which the postmaster kills
 * every other one and starts over, in recovery.  The commit gate was shut, and
 * the reason made durable, before this is called.
 *
 * A switchover is the exception: nobody leads yet, and the one that is to lead
 * shall receive that checkpoint.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "fence.h"
#include "files.h"

bool
PghaWriteStandbySignal(void)
{
	if (!PghaWriteFileSynced(STANDBY_SIGNAL_FILE, O_TRUNC, "", 0))
	{
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", STANDBY_SIGNAL_FILE)));
		return false;
	}
	return fsync_fname_ext(".", true, false, LOG) == 0;
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

void
PghaShutDown(void)
{
	if (kill(PostmasterPid, SIGINT) != 0)
		ereport(WARNING,
				(errmsg("could not signal the server: %m")));
}
