/*
 * vote_directed.c
 *		Schedules that lead straight to where a rule of quorum.md is needed.
 *
 * Chance finds some counterexamples of the model in none of thousands of storms:
 * they take five steps in one order, each in the short time before a lease or a
 * promise is over.  Here the director waits for each step, and then does the
 * next one; chance has the settings, the latencies and the clocks.  Who plays
 * which part is decided as it goes: the leader, the one who is elected beside it,
 * the one whose vote makes that.
 */
#include "vote_directed.h"

#include "../src/core/recall.h"
#include "fault.h"
#include "loop.h"
#include "monitor.h"
#include "network.h"
#include "server.h"
#include "wal.h"

void
sim_directed_cluster(SimDirected kind, int *members, int *witnesses)
{
	*members = kind == DIRECTED_START ? 2 : 3;
	*witnesses = kind == DIRECTED_START ? 1 : kind >= DIRECTED_AGE ? 2 : 0;
}

/* Who plays, and what the director waits for. */
typedef struct Cast
{
	int			leader;
	int			rival;			/* who is elected beside it */
	int			voter;			/* whose vote that takes */
	uint64_t	term;			/* of the leader */
	uint64_t	rival_term;
	int			acknowledged;
} Cast;

typedef bool (*Cue) (SimWorld *world, void *cast);

/* Runs until the cue; false if it does not come in time. */
static bool
await(SimWorld *world, Cue cue, Cast *cast, pgha_time limit)
{
	sim_run(world, world->now + limit, cue, cast);
	return world->violation[0] == '\0' && cue(world, cast);
}

static void
run_for(SimWorld *world, pgha_time duration)
{
	sim_run(world, world->now + duration, NULL, NULL);
}

static void
cut_off(SimWorld *world, int a, int b, bool cut)
{
	sim_cut(world, a, b, cut);
	sim_cut(world, b, a, cut);
}

static void
isolate(SimWorld *world, int node)
{
	for (int i = 0; i < world->count; i++)
		cut_off(world, node, i, true);
}

/* synchronous_standby_names = 'ANY 1 (...)' with the members of a set; none: empty. */
static void
set_names(SimWorld *world, unsigned set)
{
	SimSyncNames names = {0};

	for (int i = 0; i < world->members; i++)
		if ((set & (1u << i)) != 0)
			names.member[names.count++] = i;
	names.method = names.count > 0 ? PGHA_SYNC_ANY : PGHA_SYNC_NONE;
	names.k = names.count > 0 ? 1 : 0;
	for (int i = 0; i < world->members; i++)
	{
		world->node[i].sync_names = names;
		sim_changed(world, i);
	}
}

/* ---- cues ---- */

static bool
is_elected_beside(SimWorld *world, void *arg)
{
	Cast	   *cast = arg;

	for (int i = 0; i < world->members; i++)
	{
		if (i == cast->leader || world->elected[i] <= cast->term)
			continue;
		if (i != cast->rival)
			cast->voter = cast->rival;
		cast->rival = i;
		cast->rival_term = world->elected[i];
		return true;
	}
	return false;
}

static bool
has_opened(SimWorld *world, void *arg)
{
	const SimNode *n = &world->node[((Cast *) arg)->leader];

	return n->phase == SIM_UP && n->gate && !n->gate_suspended;
}

static bool
rival_is_out_of_recovery(SimWorld *world, void *arg)
{
	return sim_leads(world, ((Cast *) arg)->rival);
}

static bool
rival_gave_up(SimWorld *world, void *arg)
{
	const Cast *cast = arg;
	const PghaNode *core = &world->node[cast->rival].core;

	return core->durable.withdrawn > cast->rival_term && core->voting.candidacy == 0 &&
		core->durable.won == cast->rival_term;
}

static bool
voter_has_heard(SimWorld *world, void *arg)
{
	const Cast *cast = arg;

	return world->node[cast->voter].core.member[cast->rival].report.withdrawn > cast->rival_term;
}

/* Commits go on, under a rule that is committed, and as it was asked for. */
static bool
goes_on(SimWorld *world, void *arg)
{
	const Cast *cast = arg;
	const PghaNode *core = &world->node[cast->leader].core;

	return core->gate_open && pgha_rule_compare(&core->voting.committed, &core->durable.rule) == 0 &&
		core->durable.rule.k == world->node[cast->leader].sync_names.k;
}

static bool
has_acknowledged(SimWorld *world, void *arg)
{
	return goes_on(world, arg) && world->acknowledged > ((Cast *) arg)->acknowledged + 3;
}

static bool
is_degraded(SimWorld *world, void *arg)
{
	return goes_on(world, arg) &&
		pgha_count_set(world->node[((Cast *) arg)->leader].core.voting.committed.eligible) == 1;
}

/* Commits that were asked for by the names of now. */
static bool
await_acknowledged(SimWorld *world, Cast *cast)
{
	if (!await(world, goes_on, cast, 5 * SECOND))
		return false;
	cast->acknowledged = world->acknowledged;
	return await(world, has_acknowledged, cast, 5 * SECOND);
}

/* ---- the pieces ---- */

/*
 * The voter forgets its promise as it restarts, and votes for one who was cut off
 * long before; the leader's lease goes on.
 */
static void
direct_start(SimWorld *world, Cast *cast)
{
	int			witness = world->members;
	pgha_time	failure = world->node[witness].settings.failure_timeout;

	cut_off(world, cast->leader, cast->rival, true);
	run_for(world, failure + failure / 8 + sim_between(world, 200, 400) * MS);
	sim_kill(world, witness, false);
	cut_off(world, cast->leader, witness, true);
	world->node[witness].slow_recovery = sim_between(world, 2 * MS, 20 * MS);
	sim_start(world, witness);
	run_for(world, 2 * failure);
}

/*
 * The rival is elected while the leader is frozen, and stands again before its
 * voter has seen it lead: what it then withdraws is not the term that it won.
 */
static void
direct_won(SimWorld *world, Cast *cast)
{
	pgha_time	failure = world->node[cast->leader].settings.failure_timeout;

	sim_freeze(world, cast->leader);
	if (!await(world, is_elected_beside, cast, 10 * failure))
		return;
	world->node[cast->voter].rejected[cast->rival] = true;
	world->node[cast->voter].settings.priority = 0;
	sim_configure(world, cast->voter);
	if (!await(world, rival_is_out_of_recovery, cast, 5 * SECOND))
		return;
	run_for(world, sim_between(world, 0, 50 * MS));
	sim_kill(world, cast->rival, false);
	sim_start(world, cast->rival);
	if (!await(world, rival_gave_up, cast, 20 * failure))
		return;
	world->node[cast->voter].rejected[cast->rival] = false;
	if (!await(world, voter_has_heard, cast, failure))
		return;
	sim_kill(world, cast->rival, false);
	sim_thaw(world, cast->leader);
	run_for(world, 3 * failure);
}

/*
 * Clocks are not what they should be: a promise is over at once, so that the rival
 * is elected while the leader has its lease.  What is confirmed must not depend on
 * that.
 */
static void
end_promise(SimWorld *world, int node)
{
	world->clocks_lie = true;
	world->node[node].core.voting.promise_until = 0;
	sim_changed(world, node);
}

/* Leases that were given before last up to three times failure_timeout (start_monitor()): nobody uses them up. */
static void
end_lie(SimWorld *world, const Cast *cast)
{
	world->idle = true;
	run_for(world, 4 * world->node[cast->leader].settings.failure_timeout);
	world->idle = world->clocks_lie = false;
}

/* Nothing is written until the rival is elected, so that it, cut off, has all. */
static bool
elect_beside(SimWorld *world, Cast *cast)
{
	pgha_time	failure = world->node[cast->leader].settings.failure_timeout;

	set_names(world, 7);
	world->node[cast->rival].settings.priority = 200;
	sim_configure(world, cast->rival);
	if (!await_acknowledged(world, cast))
		return false;
	world->idle = true;
	run_for(world, 300 * MS);
	cut_off(world, cast->leader, cast->rival, true);
	end_promise(world, cast->rival);
	if (!await(world, is_elected_beside, cast, failure - failure / 8))
	{
		cut_off(world, cast->leader, cast->voter, true);
		run_for(world, 50 * MS);
		end_promise(world, cast->rival);
		end_promise(world, cast->voter);
		if (!await(world, is_elected_beside, cast, 2 * failure))
			return false;
	}

	/* That it leads by now must not be known. */
	cut_off(world, cast->voter, cast->rival, true);
	cut_off(world, cast->leader, cast->voter, false);
	return true;
}

/* The voter goes back to the leader, and confirms what it writes. */
static void
direct_follow(SimWorld *world, Cast *cast)
{
	if (elect_beside(world, cast))
	{
		world->idle = false;
		run_for(world, 2 * world->node[cast->leader].settings.failure_timeout);
	}
	end_lie(world, cast);
}

/* ... or it stores the leader's rule that no confirmation is needed any more. */
static void
direct_store(SimWorld *world, Cast *cast)
{
	if (elect_beside(world, cast))
	{
		set_names(world, 0);
		world->idle = false;
		run_for(world, 2 * world->node[cast->leader].settings.failure_timeout);
	}
	end_lie(world, cast);
}

/*
 * A leader crashes with commits that nobody has confirmed, and shows them when it
 * is back; then it dies, and nobody else has them.
 */
static void
direct_open(SimWorld *world, Cast *cast)
{
	set_names(world, 7);
	if (!await_acknowledged(world, cast))
		return;
	world->node[cast->rival].throttle = world->node[cast->voter].throttle = sim_between(world, SECOND, 2 * SECOND);
	run_for(world, sim_between(world, 100 * MS, 500 * MS));
	sim_backend_crash(world, cast->leader);
	if (!await(world, has_opened, cast, 10 * SECOND))
		return;
	run_for(world, sim_between(world, 0, 10 * MS));
	sim_kill(world, cast->leader, false);
	run_for(world, 5 * world->node[cast->rival].settings.failure_timeout);
}

/*
 * The leader restarts, and hears of the promise that its voter gave before; the
 * voter reads no beat of it any more, and votes for the rival when its promise is over.
 */
static void
direct_instance(SimWorld *world, Cast *cast)
{
	pgha_time	failure = world->node[cast->leader].settings.failure_timeout;

	world->node[cast->voter].settings.priority = 0;
	sim_configure(world, cast->voter);
	world->idle = true;
	run_for(world, 300 * MS);
	cut_off(world, cast->leader, cast->rival, true);
	sim_kill(world, cast->leader, false);
	world->node[cast->voter].rejected[cast->leader] = true;
	world->node[cast->leader].slow_recovery = sim_between(world, 2 * MS, 20 * MS);
	sim_start(world, cast->leader);
	(void) await(world, is_elected_beside, cast, 5 * failure);
	world->idle = false;
	run_for(world, failure);
}

static bool
has_rule_of_two(SimWorld *world, void *arg)
{
	return world->node[((Cast *) arg)->leader].core.durable.rule.count == 2;
}

/* The answer with the vote is on its way. */
static bool
vote_is_sent(SimWorld *world, void *arg)
{
	const Cast *cast = arg;
	const SimNode *rival = &world->node[cast->rival];
	const SimRequest *request = &rival->request[SIM_ASK_REPORT][cast->voter];

	return !request->done && request->contact == PGHA_CONTACT_ANSWERED && request->report.vote_open &&
		request->report.vote.term > cast->term &&
		strcmp(request->report.vote.name, rival->settings.name[cast->rival]) == 0;
}

/*
 * The leader, cut off, takes the rival out of a rule that nobody has stored; the
 * voter votes for the rival, which hangs before it counts that, and loses pgha.state.
 * Of the rival it hears nothing more.
 */
static void
direct_recall(SimWorld *world, Cast *cast)
{
	SimNode    *leader = &world->node[cast->leader];
	SimNode    *voter;
	pgha_time	failure = leader->settings.failure_timeout;

	/* A file is cut short at its end. */
	if (cast->leader == world->members - 1)
		return;
	cast->rival = world->members - 1;
	cast->voter = 3 - cast->leader - cast->rival;
	voter = &world->node[cast->voter];
	voter->settings.priority = 0;
	sim_configure(world, cast->voter);
	run_for(world, 300 * MS);
	isolate(world, cast->leader);
	leader->settings.voters = leader->settings.count = 2;
	sim_configure(world, cast->leader);
	if (!await(world, has_rule_of_two, cast, failure) || !await(world, vote_is_sent, cast, 6 * failure))
		return;
	sim_hang(world, cast->rival, 60 * SECOND);
	cut_off(world, cast->voter, cast->rival, true);
	sim_kill(world, cast->voter, false);
	pgha_forget(&voter->disk);
	cut_off(world, cast->leader, cast->voter, false);
	voter->slow_recovery = 20 * MS;
	sim_start(world, cast->voter);
	cast->acknowledged = world->acknowledged;
	(void) await(world, has_acknowledged, cast, 8 * failure);
	world->node[cast->rival].hung = world->now;
	run_for(world, 2 * failure);
}

/* The leader and the standby that has everything die; the one that was cut off finds a majority in the witnesses. */
static void
leave_rival_with_witnesses(SimWorld *world, Cast *cast)
{
	run_for(world, sim_between(world, 0, 500 * MS));
	sim_kill(world, cast->leader, false);
	sim_kill(world, cast->voter, false);
	sim_heal_network(world);
	run_for(world, 5 * world->node[cast->rival].settings.failure_timeout + 2 * SECOND);
}

/* It was cut off before confirmations were asked for: it stands by a rule that does not. */
static void
direct_age(SimWorld *world, Cast *cast)
{
	set_names(world, 0);
	if (!await_acknowledged(world, cast))
		return;
	isolate(world, cast->rival);
	set_names(world, 1u << cast->leader | 1u << cast->voter);
	if (await_acknowledged(world, cast))
		leave_rival_with_witnesses(world, cast);
}

/* ... or lacks what was confirmed when confirmations were given up: the leader alone has it. */
static void
direct_eligible(SimWorld *world, Cast *cast)
{
	set_names(world, 1u << cast->leader | 1u << cast->voter);
	if (!await_acknowledged(world, cast))
		return;
	isolate(world, cast->rival);
	if (!await_acknowledged(world, cast))
		return;
	set_names(world, 0);
	if (await(world, is_degraded, cast, 5 * SECOND))
		leave_rival_with_witnesses(world, cast);
}

/* ... or is to confirm from now on, and lacks what others have confirmed. */
static void
direct_catch_up(SimWorld *world, Cast *cast)
{
	set_names(world, 1u << cast->leader | 1u << cast->voter);
	if (!await_acknowledged(world, cast))
		return;
	isolate(world, cast->rival);
	if (!await_acknowledged(world, cast))
		return;
	set_names(world, 1u << cast->leader | 1u << cast->rival);
	run_for(world, SECOND);
	leave_rival_with_witnesses(world, cast);
}

/* ... or is one of those that may confirm, and the other one did. */
static void
direct_enough(SimWorld *world, Cast *cast)
{
	set_names(world, 7);
	if (!await_acknowledged(world, cast))
		return;
	isolate(world, cast->rival);
	if (await_acknowledged(world, cast))
		leave_rival_with_witnesses(world, cast);
}

/* Two that do not see each other stand in one term, and ask the same witnesses. */
static void
direct_once(SimWorld *world, Cast *cast)
{
	cut_off(world, cast->rival, cast->voter, true);
	world->idle = true;
	run_for(world, 300 * MS);
	sim_kill(world, cast->leader, false);
	run_for(world, 3 * world->node[cast->rival].settings.failure_timeout);
	world->idle = false;
}

static int
leader_of(const SimWorld *world)
{
	for (int i = 0; i < world->members; i++)
		if (sim_leads(world, i) && world->node[i].core.gate_open)
			return i;
	return PGHA_NOBODY;
}

void
sim_direct(SimWorld *world, SimDirected kind)
{
	static void (*const direct[DIRECTED_KINDS]) (SimWorld *world, Cast *cast) = {
		[DIRECTED_START] = direct_start,
		[DIRECTED_WON] = direct_won,
		[DIRECTED_FOLLOW] = direct_follow,
		[DIRECTED_STORE] = direct_store,
		[DIRECTED_OPEN] = direct_open,
		[DIRECTED_INSTANCE] = direct_instance,
		[DIRECTED_RECALL] = direct_recall,
		[DIRECTED_AGE] = direct_age,
		[DIRECTED_ELIGIBLE] = direct_eligible,
		[DIRECTED_CATCH_UP] = direct_catch_up,
		[DIRECTED_ENOUGH] = direct_enough,
		[DIRECTED_ONCE] = direct_once,
	};
	Cast		cast = {.leader = leader_of(world)};

	if (cast.leader == PGHA_NOBODY)
		return;
	cast.term = world->node[cast.leader].core.durable.claim.term;
	cast.rival = (cast.leader + 1) % world->members;
	cast.voter = (cast.leader + 2) % world->members;
	if (world->members > 2 && sim_chance(world, 500))
	{
		cast.rival = cast.voter;
		cast.voter = (cast.leader + 1) % world->members;
	}
	direct[kind] (world, &cast);
}
