/*
 * administrator.c
 *		What the manual tells an administrator to do where pgha waits for him.
 *
 * Called after the storm only.  He sees what the nodes say, and no more than their
 * logs tell.
 */
#include "administrator.h"

#include "monitor.h"
#include "wal.h"

/*
 * Does each member that this former primary waits for lack its WAL only, and know of no
 * later leader?  A promotion of its own that it only began with is none.
 */
static bool
waits_for_wal_only(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	if (!n->monitor || n->core.why.reason != PGHA_WHY_MAY_LEAD_STARTING)
		return false;
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *other = &world->node[i];

		if (i == node || other->phase == SIM_UP)
			continue;
		if (!other->monitor || !other->no_wal ||
			(pgha_claim_compare(&other->disk.claim, &n->disk.claim) > 0 &&
			 !(other->disk.role == PGHA_ROLE_PRIMARY && !pgha_posted(&other->disk))))
			return false;
	}
	return true;
}

static bool
somebody_leads(const SimWorld *world)
{
	for (int i = 0; i < world->count; i++)
		if (sim_leads(world, i) || (world->node[i].monitor && world->node[i].core.state == PGHA_PROMOTING))
			return true;
	return false;
}

/*
 * With fence a former primary waits for ever for a member that has not the WAL it
 * begins with, and so never answers.  Both say so: the administrator does what the
 * manual tells him.  What follows has to be as right as if he had not been needed.
 */
void
sim_promote_past_missing_wal(SimWorld *world)
{
	if (somebody_leads(world))
		return;
	for (int i = 0; i < world->count; i++)
	{
		if (waits_for_wal_only(world, i) && sim_promote(world, i, false).reason == PGHA_WHY_NONE)
		{
			world->node[i].by_hand_lead = false;
			world->past_missing_wal++;
			return;
		}
	}
}

/* Does it say that it is not to be promoted by itself, as it was set up, or not at all? */
static bool
is_barred_for_good(const SimNode *n)
{
	if (n->phase != SIM_UP || !n->monitor)
		return false;
	if (n->core.state == PGHA_PASSIVE || n->core.state == PGHA_DIVERGED)
		return true;
	return n->core.state == PGHA_STANDBY &&
		(n->core.bar == PGHA_BAR_TOO_LOW || n->core.bar == PGHA_BAR_PRIORITY ||
		 n->core.bar == PGHA_BAR_APPLY_DELAY || n->core.bar == PGHA_BAR_AUTO_FAILOVER);
}

/*
 * A primary that hands over does not lead again by itself.  If whom it has handed over
 * to dies before it leads, and all are barred by their settings, nobody is promoted:
 * who has set them up like that, and has ordered the switchover, decides.
 */
void
sim_promote_barred(SimWorld *world)
{
	if (somebody_leads(world))
		return;
	for (int i = 0; i < world->count; i++)
		if (!is_barred_for_good(&world->node[i]))
			return;
	for (int i = 0; i < world->count; i++)
	{
		if (sim_promote(world, i, false).reason == PGHA_WHY_NONE)
		{
			world->node[i].by_hand_lead = false;
			world->past_settings++;
			return;
		}
	}
}

/*
 * All have lost pgha.state before anybody led again: each says that it has followed
 * nobody, and who has the last WAL is for people to see.
 */
void
sim_promote_forgotten(SimWorld *world)
{
	int			best = PGHA_NOBODY;

	if (somebody_leads(world))
		return;
	for (int i = 0; i < world->members; i++)
	{
		const SimNode *n = &world->node[i];

		if (n->phase != SIM_UP || !n->monitor || n->core.state != PGHA_STANDBY || n->core.bar != PGHA_BAR_NEVER_FOLLOWED)
			return;
		if (best == PGHA_NOBODY ||
			pgha_wal_compare(n->core.local.timeline, n->core.local.wal_end, world->node[best].core.local.timeline,
							 world->node[best].core.local.wal_end) > 0)
			best = i;
	}
	(void) sim_promote(world, best, false);
}
