/*
 * two_gates.c
 *		Two servers that see each other do not both accept commits for long.
 *
 * A part of check.c, which is called periodically: it looks at the servers from
 * outside, and at the network between them.
 */
#include "two_gates.h"

#include "network.h"
#include "wal.h"

bool
sim_open_for_commits(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return sim_leads(world, node) && n->gate && !n->frozen && sim_clock(world, node) < n->gate_deadline;
}

/* Would a node hear of the other one, if it asked? */
static bool
sees(const SimWorld *world, int node, int other)
{
	const SimNode *n = &world->node[node];

	return sim_linked(world, node, other) && !world->node[other].answers_error && !n->rejected[other] &&
		n->unable <= world->now && n->hung <= world->now;
}

bool
sim_two_gates(SimWorld *world, int *one, int *other)
{
	for (int i = 0; i < world->count; i++)
	{
		for (int j = i + 1; j < world->count; j++)
		{
			const PghaSettings *settings = &world->node[i].settings;
			pgha_time  *since = &world->both_since[i][j];

			if (!sim_open_for_commits(world, i) || !sim_open_for_commits(world, j) ||
				settings->system_identifier != world->node[j].settings.system_identifier ||
				!sees(world, i, j) || !sees(world, j, i))
				*since = 0;
			else if (*since == 0)
				*since = world->now;
			else if (world->now - *since > settings->failure_timeout + 2 * settings->heartbeat_interval +
					 4 * world->latency)
			{
				*one = i;
				*other = j;
				return true;
			}
		}
	}
	return false;
}
