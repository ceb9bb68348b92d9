/*
 * vote_forget.c
 *		A server that loses pgha.state, and what the simulator may expect then.
 *
 * For the random faults of vote_fault.c.
 */
#include "vote_forget.h"
#include "../src/core/recall.h"
#include "server.h"
#include "trace.h"

/* Has anybody WAL of this timeline?  A promotion may have begun it, and have died before. */
static bool
has_wal_of(const SimWorld *world, int timeline)
{
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];

		if (n->nwal > 0 && world->record[n->wal[n->nwal - 1]].timeline >= (uint32_t) timeline)
			return true;
	}
	return false;
}

/*
 * pgha.state is lost while the server is down; without standby.signal the server
 * can tell that it was managed, and may have led (server/boot.c).
 */
bool
sim_forget_votes(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	/* One that waits for a leader does not answer (see sim_lose_wal()). */
	for (int i = 0; i < world->count; i++)
		if (world->node[i].no_wal)
			return false;
	sim_kill(world, node, false);
	sim_trace(world, node, "loses pgha.state");
	world->forgets++;

	/* Elected, and not promoted yet: nobody will ever lead in that term, nor know of it if others forget it as well. */
	for (int term = 1; term < SIM_MAX_TERMS; term++)
	{
		if (world->winner[term] != node + 1 || (term < SIM_MAX_TIMELINES && has_wal_of(world, term)))
			continue;
		world->winner[term] = 0;
		if (term < SIM_MAX_TIMELINES && world->timeline[term].creator == node)
			n->real[term] = world->timeline[term].used = false;
		if (world->elected[node] == (uint64_t) term)
			world->elected[node] = 0;
	}
	pgha_forget(&n->disk);
	if (!n->witness && !n->standby_signal)
		n->disk.role = PGHA_ROLE_PRIMARY;
	return true;
}
