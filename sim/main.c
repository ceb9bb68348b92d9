/*
 * main.c
 *		The program pgha-sim: the core of pgha under simulated faults.
 *
 *	pgha-sim --seeds 1-2000				schedules of these seeds must hold
 *	pgha-sim --seed 17 -v				one of them, told step by step
 *	pgha-sim --rule-off veto --seeds 1-500	with a rule of the core switched off
 *	pgha-sim --mutations				each rule switched off in turn must be noticed
 *	pgha-sim --foresee --seeds ...					what was said would happen happens
 *	pgha-sim --votes --seeds|--seed|--mutations ...	the same of clusters whose members vote
 *	pgha-sim --no-quorum --seeds 1-2000	what is promised to those, where they do not: how often it is broken
 *	pgha-sim --script FILE ...			scenarios with the expected conversation;
 *		--all-transitions before it: each one of the table must occur
 *	pgha-sim --rewrite FILE ...			writes what happens into them
 *	pgha-sim --states					the table of states and transitions
 *
 * Exit status 0: all is as it must be; 1: it is not; 2: wrong usage.
 */
#include "fault.h"
#include "foresee.h"
#include "script.h"
#include "vote_fault.h"

#include <stdlib.h>

/* A rule, and the number of seeds within which its loss must be noticed. */
typedef struct Rule
{
	PghaRule	rule;
	const char *name;
	int			limit;
	const char *meaning;
} Rule;

static const Rule rules[] = {
	{PGHA_RULE_RECEIVER_LOST, "receiver-lost", 500, "the own receiver is gone or silent"},
	{PGHA_RULE_PRIMARY_GONE, "primary-gone", 100, "the primary does not answer"},
	{PGHA_RULE_CLEAN_STOP, "clean-stop", 500, "a clean shutdown gets failure_timeout"},
	{PGHA_RULE_STARTUP_GRACE, "startup-grace", 500, "a primary that starts gets startup_grace"},
	{PGHA_RULE_VETO, "veto", 500, "a member that still receives vetoes"},
	{PGHA_RULE_BEST, "best", 100, "only the best of those that answer"},
	{PGHA_RULE_FRESH, "fresh", 500, "members are asked after the loss"},
	{PGHA_RULE_PRIORITY, "priority", 500, "priority 0 is never promoted"},
	{PGHA_RULE_PAUSED, "paused", 1000, "not while paused"},
	{PGHA_RULE_AUTO_FAILOVER, "auto-failover", 500, "not with auto_failover = off"},
	{PGHA_RULE_TOO_LOW, "too-low", 500, "not with settings lower than the primary's"},
	{PGHA_RULE_APPLY_DELAY, "apply-delay", 500, "not with an apply delay"},
	{PGHA_RULE_LAG, "lag", 3000, "not beyond max_failover_lag"},
	{PGHA_RULE_SYNC_LISTED, "sync-listed", 1000, "only a listed standby"},
	{PGHA_RULE_SYNC_FIRST, "sync-first", 500, "FIRST: only one last reported synchronous"},
	{PGHA_RULE_SYNC_ANY, "sync-any", 500, "ANY: only when enough listed standbys answered"},
	{PGHA_RULE_PASSIVE, "passive", 500, "a passive node does nothing"},
	{PGHA_RULE_DIVERGED, "diverged", 500, "a diverged or fenced node is no candidate"},
	{PGHA_RULE_TERM, "term", 100, "the term is raised, durably"},
	{PGHA_RULE_STOP_RECEIVER, "stop-receiver", 100, "the receiver is stopped before promoting"},
	{PGHA_RULE_TIMELINE, "timeline", 500, "own residue class of timeline ids"},
	{PGHA_RULE_FENCE, "fence", 100, "a primary yields to a greater term"},
	{PGHA_RULE_FENCE_TIE, "fence-tie", 2000, "... and to a greater claim of the same term"},
	{PGHA_RULE_FORK, "fork", 500, "no upstream before the fork was compared"},
	{PGHA_RULE_SAME_WAL, "same-wal", 500, "a timeline of the same number is compared"},
	{PGHA_RULE_BOOT, "boot", 500, "a former primary asks before it starts as one"},
	{PGHA_RULE_RETURN, "return", 500, "an undecided former primary waits"},
	{PGHA_RULE_GATE, "gate", 100, "the gate is shut until the first decision"},
	{PGHA_RULE_SLEPT, "slept", 500, "a node that slept starts its clocks again"},
	{PGHA_RULE_STOP_OLD, "stop-old", 500, "fence: the old primary's instance is stopped first"},
	{PGHA_RULE_RETURN_HEARD, "return-heard", 3000, "fence: a former primary hears all that may lead"},
	{PGHA_RULE_NO_WAL, "no-wal", 500, "a standby without its first WAL follows"},
	{PGHA_RULE_RESUME, "resume", 500, "a former primary that returns does not raise its term"},
	{PGHA_RULE_UNLEARNT, "unlearnt", 500, "what a node fails to find out is no silence"},
	{PGHA_RULE_TAKE_BACK, "take-back", 500, "a promotion that a crash came between is taken back"},
	{PGHA_RULE_REFUSED, "refused", 500, "a refusal lasts, or comes with the end of the stream"},
	{PGHA_RULE_POST, "dead-man", 500, "a monitor that hangs shuts the gate"},
};

#define RULES	((int) (sizeof(rules) / sizeof(rules[0])))

/*
 * Those of quorum.md, by its numbers; noticed by schedules of clusters whose members
 * vote, and by the model (sim/model/check.sh).
 */
static const Rule vote_rules[] = {
	{PGHA_RULE_ONCE, "B1-once", 2000, "one vote a term"},
	{PGHA_RULE_BOUND, "B2-bound", 2000, "whose vote is open promises nothing"},
	{PGHA_RULE_FREE, "B2-free", 2000, "a vote does not close by itself"},
	{PGHA_RULE_WON, "B2b-won", 2000, "a term that was led in is not withdrawn"},
	{PGHA_RULE_DROP, "B2c-drop", 2000, "a second vote hides no open one"},
	{PGHA_RULE_FOLLOW, "B4-follow", 2000, "only the leader that is supported is followed"},
	{PGHA_RULE_FETCH, "B4-fetch", 2000, "what is fetched from a standby is WAL of the leader that is supported"},
	{PGHA_RULE_PROMISE, "V2-promise", 2000, "no vote before the promise is over"},
	{PGHA_RULE_MARGIN, "P1-margin", 2000, "a promise outlives the lease, whatever the clocks' rates"},
	{PGHA_RULE_START, "P-start", 2000, "a promise may have been given before the start"},
	{PGHA_RULE_INSTANCE, "L5-instance", 2000, "nothing of a lease survives a restart"},
	{PGHA_RULE_LEASE, "L2-lease", 2000, "the lease is that of a majority"},
	{PGHA_RULE_POST, "L3-post", 2000, "the lease is checked before an acknowledgement"},
	{PGHA_RULE_STEP_DOWN, "L4-step-down", 2000, "without a lease for failure_timeout a leader steps down"},
	{PGHA_RULE_REFUSED, "E1-refused", 2000, "a refusal counts from the address that answered only"},
	{PGHA_RULE_RELEASE, "E2-release", 2000, "the gate is closed before it is said to be"},
	{PGHA_RULE_STOP, "V5-stop", 2000, "the receiver is stopped before a vote"},
	{PGHA_RULE_MAJORITY, "C3-majority", 2000, "elected by a majority"},
	{PGHA_RULE_ENOUGH, "S3-enough", 2000, "enough of S are among the voters"},
	{PGHA_RULE_TERM_ID, "C4-id", 2000, "the timeline's id is the term"},
	{PGHA_RULE_RULE_AGE, "V3-age", 2000, "no vote under an older rule, and whoever sees a newer one takes it"},
	{PGHA_RULE_ELIGIBLE, "V3-eligible", 2000, "only who is eligible"},
	{PGHA_RULE_UP_TO_DATE, "V4-up-to-date", 2000, "no vote for less WAL than the own"},
	{PGHA_RULE_DURABLE, "V6-durable", 2000, "a vote is durable before it is published"},
	{PGHA_RULE_COMMIT, "R1-commit", 2000, "the gate waits for the rule"},
	{PGHA_RULE_STORE, "R2-store", 2000, "a rule counts where its leader is supported"},
	{PGHA_RULE_OPEN, "S5-open", 2000, "a new leader opens when its WAL is as safe as it promises"},
	{PGHA_RULE_CATCH_UP, "S6-catch-up", 2000, "whoever joins S has all that was confirmed"},
	{PGHA_RULE_FORGOT, "B1-forgot", 2000, "who has lost its votes does not vote before all were heard"},
	{PGHA_RULE_LATER, "F1-later", 2000, "a leader yields to a later one"},
};

#define VOTE_RULES	((int) (sizeof(vote_rules) / sizeof(vote_rules[0])))

static SimWorld *world;
static bool foreseeing;			/* calm clusters that lose their primary, and have said what will happen */
static bool voting;				/* schedules of clusters whose members vote */
static bool no_quorum;			/* the same, and they do not */

/* What a run of many seeds came upon, so that nobody praises an idle simulator. */
typedef struct Totals
{
	long		schedules;
	long		acknowledged;
	long		lost_async;
	long		lost_other;
	long		promotions;
	long		failed_promotions;
	long		fencings;
	long		stops;
	long		divergences;
	long		past_missing_wal;
	long		past_settings;
	long		transition[PGHA_STATE_COUNT][PGHA_STATE_COUNT];
} Totals;

static void
add(Totals *totals)
{
	totals->schedules++;
	totals->acknowledged += world->acknowledged;
	totals->lost_async += world->lost_async;
	totals->lost_other += world->lost_other;
	totals->promotions += world->promotions;
	totals->failed_promotions += world->failed_promotions;
	totals->fencings += world->fencings;
	totals->stops += world->stops;
	totals->divergences += world->divergences;
	totals->past_missing_wal += world->past_missing_wal;
	totals->past_settings += world->past_settings;
	for (int i = 0; i < PGHA_STATE_COUNT; i++)
		for (int j = 0; j < PGHA_STATE_COUNT; j++)
			totals->transition[i][j] += world->transition[i][j];
}

static void
print_totals(const Totals *totals)
{
	int			count;
	const PghaTransition *transition = pgha_transitions(&count);

	printf("%ld schedules: %ld promotions (%ld with a wrong timeline), %ld fencings, %ld instances stopped,\n%ld divergences, %ld former primaries promoted past one without its WAL, %ld standbys past their settings,\n"
		   "%ld commits acknowledged, %ld of asynchronous clusters lost, %ld others\n",
		   totals->schedules, totals->promotions, totals->failed_promotions, totals->fencings,
		   totals->stops, totals->divergences, totals->past_missing_wal, totals->past_settings, totals->acknowledged, totals->lost_async, totals->lost_other);
	for (int i = 0; i < count; i++)
		printf("  %-10s -> %-10s %8ld\n", pgha_state_name(transition[i].from),
			   pgha_state_name(transition[i].to),
			   totals->transition[transition[i].from][transition[i].to]);
}

static bool
run_one(uint64_t seed, uint64_t rules_off, FILE *trace)
{
	if (foreseeing)
		return sim_foresee_schedule(world, seed, rules_off, trace);
	return voting ? sim_vote_schedule(world, seed, no_quorum, rules_off, trace) :
		sim_schedule(world, seed, rules_off, trace);
}

static int
run_seeds(uint64_t from, uint64_t to, uint64_t rules_off, bool verbose)
{
	Totals		totals = {0};
	int			broken = 0;

	for (uint64_t seed = from; seed <= to; seed++)
	{
		if (!run_one(seed, rules_off, verbose ? stdout : NULL))
		{
			printf("seed %llu (%s), %.3f s: %s: %s\n", (unsigned long long) seed,
				   foreseeing ? "foresight" : voting ? sim_vote_profile_name(seed) : sim_profile_name(sim_profile_of(seed)),
				   (double) world->now / SECOND,
				   world->invariant, world->violation);
			if (++broken == 10)
				break;
		}
		add(&totals);
	}
	if (from != to)
		print_totals(&totals);
	if (broken > 0)
		printf("%d schedules broke a rule; to see one: pgha-sim --seed N -v\n", broken);
	return broken > 0 ? 1 : 0;
}

/*
 * Members that do not vote cannot promise what those who do can: how often is it
 * broken?  Nothing has to hold here.
 */
static int
count_without_quorum(uint64_t from, uint64_t to, uint64_t rules_off)
{
	long		loss = 0;
	long		beside = 0;
	long		others = 0;
	long		acknowledged = 0;

	for (uint64_t seed = from; seed <= to; seed++)
	{
		if (!run_one(seed, rules_off, NULL))
		{
			long	   *count = strcmp(world->invariant, "loss") == 0 ? &loss :
				strcmp(world->invariant, "beside") == 0 ? &beside : &others;

			if ((*count)++ == 0)
				printf("seed %llu (%s), %.3f s: %s: %s\n", (unsigned long long) seed, sim_vote_profile_name(seed),
					   (double) world->now / SECOND, world->invariant, world->violation);
		}
		acknowledged += world->acknowledged;
	}
	printf("three members that do not vote, %llu schedules, %ld commits acknowledged:\n"
		   "%ld with a commit acknowledged beside a later leader, %ld with a synchronous one that a later leader lacks, %ld with others\n",
		   (unsigned long long) (to - from + 1), acknowledged, beside, loss, others);
	return 0;
}

static int
run_mutations(void)
{
	int			missed = 0;
	const Rule *table = voting ? vote_rules : rules;
	int			count = voting ? VOTE_RULES : RULES;

	printf("%-15s %-12s %6s %6s   %s\n", "rule removed", "caught by", "seed", "limit", "rule");
	for (int i = 0; i < count; i++)
	{
		uint64_t	seed = 0;
		bool		caught = false;

		while (!caught && seed < (uint64_t) table[i].limit)
			caught = !run_one(++seed, UINT64_C(1) << table[i].rule, NULL);
		printf("%-15s %-12s %6llu %6d   %s\n", table[i].name, caught ? world->invariant : "NOT CAUGHT",
			   (unsigned long long) seed, table[i].limit, table[i].meaning);
		fflush(stdout);
		if (!caught)
			missed++;
	}
	return missed > 0 ? 1 : 0;
}

static void
print_states(void)
{
	int			count;
	const PghaTransition *transition = pgha_transitions(&count);

	for (int i = 0; i < count; i++)
		printf("%-10s -> %-10s %s\n", pgha_state_name(transition[i].from),
			   pgha_state_name(transition[i].to), transition[i].when);
}

/* Does any transition of the table of states lack a scenario? */
static bool
show_missing(SimTransitions made)
{
	int			count;
	const PghaTransition *transition = pgha_transitions(&count);
	bool		all = true;

	for (int i = 0; i < count; i++)
	{
		if (made[transition[i].from][transition[i].to])
			continue;
		printf("no scenario: %s -> %s (%s)\n", pgha_state_name(transition[i].from),
			   pgha_state_name(transition[i].to), transition[i].when);
		all = false;
	}
	return all;
}

static const Rule *
find_rule(const char *name)
{
	for (int i = 0; i < RULES; i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	for (int i = 0; i < VOTE_RULES; i++)
		if (strcmp(vote_rules[i].name, name) == 0)
			return &vote_rules[i];
	return NULL;
}

static int
usage(void)
{
	fprintf(stderr, "usage: pgha-sim [--votes | --no-quorum | --foresee] [--rule-off NAME]... [-v] --seeds FROM-TO | --seed N\n"
			"       pgha-sim [--votes] --mutations | --states\n"
			"       pgha-sim [-v] [--all-transitions] --script FILE... | --rewrite FILE...\n");
	return 2;
}

int
main(int argc, char **argv)
{
	uint64_t	rules_off = 0;
	unsigned long long from = 0;
	unsigned long long to = 0;
	bool		verbose = false;
	bool		all_transitions = false;
	int			status = 2;

	/* What was found is there, too, if the run is ended from outside. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	world = calloc(1, sizeof(SimWorld));
	if (world == NULL)
		abort();
	for (int i = 1; i < argc && status == 2; i++)
	{
		if (strcmp(argv[i], "-v") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--all-transitions") == 0)
			all_transitions = true;
		else if (strcmp(argv[i], "--foresee") == 0)
			foreseeing = true;
		else if (strcmp(argv[i], "--votes") == 0)
			voting = true;
		else if (strcmp(argv[i], "--no-quorum") == 0)
			voting = no_quorum = true;
		else if (strcmp(argv[i], "--mutations") == 0)
			status = run_mutations();
		else if (strcmp(argv[i], "--states") == 0)
		{
			print_states();
			status = 0;
		}
		else if (strcmp(argv[i], "--rule-off") == 0 && i + 1 < argc)
		{
			const Rule *rule = find_rule(argv[++i]);

			if (rule == NULL)
				break;
			rules_off |= UINT64_C(1) << rule->rule;
		}
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc && sscanf(argv[i + 1], "%llu", &from) == 1)
		{
			to = from;
			i++;
		}
		else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc &&
				 sscanf(argv[i + 1], "%llu-%llu", &from, &to) == 2)
			i++;
		else if ((strcmp(argv[i], "--script") == 0 || strcmp(argv[i], "--rewrite") == 0) && i + 1 < argc)
		{
			bool		rewrite = strcmp(argv[i], "--rewrite") == 0;
			SimTransitions made = {0};

			status = 0;
			while (++i < argc)
				if (!sim_script(argv[i], rewrite, verbose, made))
					status = 1;
			if (all_transitions && !show_missing(made))
				status = 1;
		}
		else
			break;
	}
	if (status == 2 && from != 0 && from != to && no_quorum)
		status = count_without_quorum(from, to, rules_off);
	else if (status == 2 && from != 0)
		status = run_seeds(from, to, rules_off, verbose);
	sim_world_free(world);
	free(world);
	return status == 2 ? usage() : status;
}
