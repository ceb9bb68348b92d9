/*
 * published.c
 *		What the monitor published, for the SQL functions that read.
 *
 * It is copied under the lock, so that rows are built after it.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "../report.h"
#include "published.h"

PghaPublished *
PghaReadPublished(void)
{
	PghaPublished *published = palloc(sizeof(PghaPublished));

	PghaRequireShmem();
	published->enabled = PghaEnabled();
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	published->running = PghaShmem->monitor_pid != 0;
	published->view = PghaShmem->view;
	published->node = PghaShmem->node;
	LWLockRelease(PghaShmem->lock);
	if (!published->enabled)
		published->view.valid = false;
	return published;
}

void
PghaLookAtSelf(PghaPublished *published)
{
	int			self = published->view.settings.self;
	PghaMemberView *member = &published->view.member[self];

	member->contact = PGHA_CONTACT_ANSWERED;
	member->heard = GetCurrentTimestamp();
	member->known = true;
	PghaReportFill(&member->report);
}
