/*
 * vote_check.c
 *		What must be true where the members vote, in the words of a user.
 *
 * Nothing in here asks the core for a decision: who was elected, what was
 * acknowledged and what was promised with it are facts of the world.  The names
 * are those that the table of mutations prints:
 *
 *	one leader	two nodes were elected in one term
 *	beside		a commit acknowledged beside a later leader
 *	two gates	two asynchronous leaders could acknowledge at one time
 *	loss		a commit acknowledged under ANY k or FIRST k, or shown by a leader that was
 *				elected under it, is not on a later leader
 *	timeline	a timeline whose id is not its term, or is used twice
 *	durable		a promotion before the election was durable
 *	history		WAL streamed onto another history
 *	gate		open in recovery
 *	transition	not in the table of states
 *	step down	out of recovery for long without a lease, or beside a later leader in sight
 *	stuck		no single working leader in time after healing (vote_fault.c)
 */
#include "vote_check.h"

#include "check.h"
#include "trace.h"
#include "wal.h"

static const char *
name_of(const SimWorld *world, int node)
{
	return world->node[node].settings.name[node];
}

static bool
has_commit(const SimWorld *world, int node, int commit)
{
	const SimNode *n = &world->node[node];
	int			position = world->commit[commit].position;

	return position < n->nwal && world->record[n->wal[position]].commit == commit;
}

static void
check_promote(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	uint64_t	term = world->no_quorum ? n->core.durable.claim.term : n->core.durable.won;

	if ((!pgha_in_force(&n->core) && !world->no_quorum) || n->by_hand)
		return;
	world->elections++;
	if (term >= SIM_MAX_TERMS)
	{
		sim_violation(world, "stuck", "terms are used up");
		return;
	}
	if (world->winner[term] != 0 && world->winner[term] != node + 1 && !world->no_quorum)
		sim_violation(world, "one leader", "%s and %s are elected in term %d", name_of(world, node),
					  name_of(world, world->winner[term] - 1), (int) term);
	world->winner[term] = node + 1;
	world->elected[node] = term;
	if (n->disk.won != term && !world->no_quorum)
		sim_violation(world, "durable", "%s promotes before its election is durable", name_of(world, node));
	for (int c = 0; c < world->ncommit; c++)
	{
		SimCommit  *commit = &world->commit[c];

		if (!commit->acknowledged || commit->term >= term || has_commit(world, node, c))
			continue;
		if (commit->protected)
			sim_violation(world, "loss", "%s is elected without a commit that %s acknowledged at %.3f s",
						  name_of(world, node), name_of(world, commit->writer),
						  (double) (commit->acknowledged_at - SIM_BEGIN) / SECOND);
		else if (!commit->lost)
			world->lost_async++;
		commit->lost = true;
	}
}

static void
check_new_timeline(SimWorld *world, int node, uint32_t timeline)
{
	if (world->timeline[timeline].used)
		sim_violation(world, "timeline", "%s creates timeline %u, which %s has created",
					  name_of(world, node), timeline, name_of(world, world->timeline[timeline].creator));
	if (pgha_in_force(&world->node[node].core) && world->elected[node] != timeline)
		sim_violation(world, "timeline", "%s creates timeline %u in term %d", name_of(world, node), timeline,
					  (int) world->elected[node]);
}

static bool
could_acknowledge(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return sim_leads(world, node) && n->gate && sim_clock(world, node) < n->gate_deadline;
}

/*
 * Where all that the file of a node lists have lost pgha.state, and there are too
 * few to begin anew, nobody votes any more, and nothing is promised.
 */
static bool
anybody_votes(const SimWorld *world, int node)
{
	int			voters = world->node[node].settings.voters;

	for (int i = 0; i < voters; i++)
		if (world->node[i].disk.rule.term != 0)
			return true;
	return world->no_quorum;
}

static void
check_acknowledged(SimWorld *world, int node, int c)
{
	SimNode    *n = &world->node[node];
	SimCommit  *commit = &world->commit[c];
	const PghaVotingRule *rule = &n->core.durable.rule;

	if (!world->voting || !anybody_votes(world, node))
		return;

	/* Asked for by name; or what a leader acknowledges alone, unless it was told to and waits for others to catch up. */
	commit->protected = !commit->local && (commit->by_names || rule->k > 0 ||
		(rule->term != 0 && pgha_count_set(rule->eligible) == 1 && n->core.voting.change_at == 0));
	if (commit->term < world->acknowledged_term)
		sim_violation(world, "beside", "%s acknowledges a commit of term %d after one of term %d",
					  name_of(world, node), (int) commit->term, (int) world->acknowledged_term);
	world->acknowledged_term = commit->term;
	for (int j = 0; j < world->members; j++)
	{
		if (j == node)
			continue;
		if (world->elected[j] > commit->term && !has_commit(world, j, c))
			sim_violation(world, "beside", "%s acknowledges a commit of term %d that %s, elected in term %d, has not",
						  name_of(world, node), (int) commit->term, name_of(world, j), (int) world->elected[j]);
		if (could_acknowledge(world, j) && !world->no_quorum &&
			(commit->local || (n->core.voting.committed.k == 0 && world->node[j].core.voting.committed.k == 0)))
			sim_violation(world, "two gates", "%s and %s could both acknowledge", name_of(world, node),
						  name_of(world, j));
	}
}

/*
 * What waits for confirmation is not seen by anybody; but all that recovery has
 * replayed is, as soon as this leader serves.
 */
static void
check_gate_opened(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	if (n->shown_run == n->run)
		return;
	n->shown_run = n->run;
	if (!world->voting)
		return;
	for (int i = 0; i < n->nwal && n->core.durable.rule.k > 0; i++)
	{
		int			c = world->record[n->wal[i]].commit;

		if (c < 0 || (world->commit[c].acknowledged && world->commit[c].protected))
			continue;
		if (!world->commit[c].acknowledged)
			world->commit[c].acknowledged_at = world->now;
		world->commit[c].acknowledged = world->commit[c].protected = true;
		world->commit[c].term = n->core.durable.claim.term;
	}
}

/* Would this server know within a few requests if that one leads in a later term? */
static bool
sees_later_leader(const SimWorld *world, int node, int other)
{
	const SimNode *o = &world->node[other];

	return other != node && sim_leads(world, other) && !o->frozen && o->core.posted && o->shown.posted && !o->answers_error &&
		o->shown.claim.term > world->node[node].core.durable.claim.term &&
		sim_linked(world, node, other) && !world->node[node].rejected[other];
}

/* Ends the run if it has been so for longer than that. */
static void
check_lasting(SimWorld *world, int node, bool so, pgha_time *since, pgha_time limit, const char *what)
{
	if (!so)
		*since = world->now;
	else if (world->now - *since > limit)
		sim_violation(world, "step down", "%s is still a primary after %.1f s %s", name_of(world, node),
					  (double) limit / SECOND, what);
}

static void
check_look(SimWorld *world)
{
	for (int i = 0; i < world->members; i++)
	{
		SimNode    *n = &world->node[i];
		pgha_time	failure = n->settings.failure_timeout;
		bool		leads = sim_leads(world, i) && !n->frozen && n->hung <= world->now && n->core.posted &&
			pgha_in_force(&n->core);
		bool		later = false;

		for (int j = 0; j < n->settings.count; j++)
			later |= sees_later_leader(world, i, j);
		check_lasting(world, i, leads && sim_clock(world, i) >= n->core.voting.lease_deadline, &n->unled_since,
					  2 * failure + SECOND, "without a lease");

		/* A request that was lost before is given up after half of failure_timeout. */
		check_lasting(world, i, leads && later, &n->beside_since, failure / 2 + n->settings.heartbeat_interval +
					  4 * world->latency + 200 * MS, "beside a later leader that it sees");
	}
}

static void
check_after_step(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	PghaState	from = n->state_before;

	for (int i = 0; i < n->core.entered_count; i++)
	{
		PghaState	to = n->core.entered[i];

		if (!pgha_transition_allowed(from, to))
			sim_violation(world, "transition", "%s goes from %s to %s", name_of(world, node),
						  pgha_state_name(from), pgha_state_name(to));
		world->transition[from][to]++;
		from = to;
	}
	if (n->core.gate_open && n->in_recovery)
		sim_violation(world, "gate", "%s has its gate open in recovery", name_of(world, node));

	/* Given up before anything was done in that term: it will not be led in. */
	if (world->elected[node] > n->core.durable.won && n->core.durable.withdrawn >= world->elected[node])
		world->elected[node] = 0;
}

const SimObserver sim_vote_checks = {
	.promote = check_promote,
	.new_timeline = check_new_timeline,
	.acknowledged = check_acknowledged,
	.gate_opened = check_gate_opened,
	.stream = sim_check_stream,
	.look = check_look,
	.after_step = check_after_step,
};
