/*
 * heir_check.c
 *		Was it right to promote whom the leader has handed over to?
 *
 * For check.c, when the core has decided to promote: nobody was asked then, so the
 * truth is looked at in place of what the node was told.
 */
#include "heir_check.h"

/*
 * Did the leader hand over to this node?  Then it can acknowledge nothing any
 * more, and whatever it has acknowledged is here.
 */
bool
sim_judge_heir(const SimWorld *world, int node, int leader, const char **fault)
{
	const SimNode *n = &world->node[node];
	const SimNode *former = leader != PGHA_NOBODY ? &world->node[leader] : NULL;

	*fault = NULL;
	if (former == NULL || leader == node || n->core.why.reason != PGHA_WHY_STOPPING_RECEIVER ||
		n->core.voting.heir_heard == 0 || n->core.voting.heir.term != n->before.claim.term ||
		strcmp(n->core.voting.heir.name, n->settings.name[node]) != 0)
		return false;
	if (former->monitor && former->core.gate_open && former->core.durable.claim.term == n->before.claim.term)
		*fault = "accepts commits";
	for (int c = 0; c < world->ncommit; c++)
	{
		bool		here = false;

		if (!world->commit[c].acknowledged || world->commit[c].writer != leader ||
			world->commit[c].term != n->before.claim.term)
			continue;
		for (int i = 0; i < n->nwal && !here; i++)
			here = world->record[n->wal[i]].commit == c;
		if (!here)
			*fault = "has acknowledged what is not there";
	}
	return true;
}
