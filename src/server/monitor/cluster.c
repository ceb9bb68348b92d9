/*
 * cluster.c
 *		Which cluster a witness serves.
 *
 * Its first members tell: as soon as each has been asked, and all that answer
 * are of one cluster, that is the one, for good.  A witness that could be talked
 * into another one would vote in two; so a member of another is told of in the
 * log and in pgha_cluster(), and counts for nothing.
 *
 * For monitor.c, in the monitor's process of a witness.  It never asks anybody.
 */
#include "postgres.h"

#include "access/xlog.h"

#include "../events.h"
#include "../shmem.h"
#include "../witness.h"
#include "act.h"
#include "cluster.h"

static uint64 told[PGHA_MAX_MEMBERS];	/* identifier of a foreign cluster that was told of each member */
static bool told_disagree = false;
static bool told_copy = false;

static void
serve(PghaMonitor *monitor, uint64 system_identifier)
{
	PghaWitnessServe(system_identifier);
	monitor->config.settings.system_identifier = system_identifier;
	monitor->node.settings.system_identifier = system_identifier;
}

void
PghaClusterRecall(PghaMonitor *monitor)
{
	uint64		system = PghaWitnessSystem();

	if (!PghaIsWitness())
		return;

	/* pgha.state cannot be read any more, but a former monitor has. */
	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	if (system == 0 && PghaShmem->view.valid)
		system = PghaShmem->view.settings.system_identifier;
	LWLockRelease(PghaShmem->lock);
	serve(monitor, system);
}

/* What the members that answer are all of; 0: not known yet. */
static uint64
common_system(const PghaMonitor *monitor)
{
	uint64		system = 0;
	bool		disagree = false;

	for (int i = 0; i < monitor->config.settings.count; i++)
	{
		const PghaMember *m = &monitor->node.member[i];

		if (m->contact == PGHA_CONTACT_NEVER)
			return 0;
		if (m->contact != PGHA_CONTACT_ANSWERED || m->report.system_identifier == 0)
			continue;
		if (m->report.system_identifier == GetSystemIdentifier())
		{
			if (!told_copy)
				ereport(WARNING,
						(errmsg("pgha: this witness has a copy of the cluster's data, and does not vote"),
						 errhint("Make a witness with \"pgha witness init\".")));
			told_copy = true;
			return 0;
		}
		disagree |= system != 0 && m->report.system_identifier != system;
		system = m->report.system_identifier;
	}
	if (disagree && !told_disagree)
		ereport(WARNING,
				(errmsg("pgha: the members that answer do not belong to one database cluster: this witness serves none of them"),
				 errhint("Build the members anew that do not belong to the cluster, as copies of its primary.")));
	told_disagree = disagree;
	return disagree ? 0 : system;
}

void
PghaClusterTend(PghaMonitor *monitor)
{
	const PghaAction write = {.type = PGHA_ACT_WRITE_STATE, .member = PGHA_NOBODY};
	uint64		system;
	char		what[128];

	if (!PghaIsWitness())
		return;
	if (PghaWitnessSystem() == 0)
	{
		system = common_system(monitor);
		if (system == 0)
			return;
		serve(monitor, system);
		PghaShmem->config = monitor->config;
		(void) PghaAct(monitor, &write);
		snprintf(what, sizeof(what), "serves the cluster with system identifier %llu from now on", (unsigned long long) system);
		ereport(LOG, (errmsg("pgha: %s", what)));
		(void) PghaEventsAdd("start", 0, what);
	}
	for (int i = 0; i < monitor->config.settings.count; i++)
	{
		const PghaMember *m = &monitor->node.member[i];

		if (m->heard == 0 || m->contact != PGHA_CONTACT_ANSWERED ||
			m->report.system_identifier == PghaWitnessSystem() || m->report.system_identifier == told[i])
			continue;
		told[i] = m->report.system_identifier;
		ereport(WARNING,
				(errmsg("pgha: member \"%s\" belongs to another database cluster (system identifier %llu) than the one that this witness serves (%llu), and is refused",
						monitor->config.settings.name[i], (unsigned long long) told[i], (unsigned long long) PghaWitnessSystem()),
				 errhint("A witness serves one cluster: make another one with \"pgha witness init\", or correct pgha.members.")));
	}
}
