/*
 * explain.c
 *		What would happen if the primary were lost now.
 *
 * Called for people (pgha_explain()) and by the simulator, with a copy of what a
 * node knows.  It takes the place of each member in turn, as that would find the
 * cluster when the primary has been missing for long enough, and asks there the
 * very functions that decide.  So it cannot judge otherwise than they do; but it
 * knows of others only what they have told this node, and of their networks
 * nothing.
 */
#include "explain.h"
#include "ballot.h"
#include "candidacy.h"
#include "eligibility.h"
#include "fencing.h"
#include "members.h"
#include "rule.h"

typedef struct Scene
{
	const PghaNode *here;
	PghaLossKind kind;
	int			leader;
	pgha_time	now;
	bool		patient;		/* candidates still wait for better ones */
	pgha_lsn	fetched;		/* how far the candidate's WAL is with what it gets from others before; 0: it gets none */
	pgha_lsn	elected_with;	/* ... of the one that is elected */
	PghaNode   *there;
} Scene;

static bool
answers(const Scene *scene, int member)
{
	const PghaNode *here = scene->here;

	return member != scene->leader && (pgha_is_self(here, member) || pgha_counts(here, &here->member[member]));
}

/* The report of the leader that is lost; NULL if nothing is known of it. */
static const PghaReport *
report_of_leader(const Scene *scene)
{
	const PghaNode *here = scene->here;

	if (scene->leader == PGHA_NOBODY || (!pgha_is_self(here, scene->leader) && here->member[scene->leader].heard == 0))
		return NULL;
	return &here->member[scene->leader].report;
}

/* ---- how a member would find the cluster ---- */

static void
lose_leader(const Scene *scene, PghaMember *m)
{
	pgha_time	long_ago = scene->now - 2 * scene->here->settings.failure_timeout;

	m->contact = scene->kind == PGHA_LOSS_KILLED ? PGHA_CONTACT_REFUSED : PGHA_CONTACT_SILENT;
	m->contact_since = m->alive = m->beat_heard = long_ago;
	m->heard = m->heard != 0 ? m->heard : long_ago;
	m->asked = m->told = scene->now;
	m->disproved = scene->kind == PGHA_LOSS_KILLED ? scene->now : 0;
	m->asking = false;
	m->was_primary = true;
	m->report.released = 0;
}

/* It hears the leader no more. */
static void
let_answer(const Scene *scene, PghaMember *m)
{
	m->contact = PGHA_CONTACT_ANSWERED;
	m->heard = m->alive = m->asked = m->told = scene->now;
	m->asking = false;
	m->report.candidacy = 0;
	m->report.promise_age = scene->here->settings.failure_timeout;
	if (m->report.in_recovery)
	{
		m->report.receiver = PGHA_RECEIVER_NONE;
		m->report.upstream[0] = '\0';
	}
}

/* Of a node the rest of the core knows what its report says. */
static void
take_over_report(PghaNode *there, const PghaReport *report)
{
	PghaDurable *durable = &there->durable;
	PghaLocal  *local = &there->local;

	durable->claim = report->claim;
	durable->role = report->role;
	durable->fenced = report->fenced;
	durable->diverged = report->diverged;
	durable->paused = report->paused;
	durable->support = report->support;
	durable->vote = report->vote;
	durable->vote_open = report->vote_open;
	durable->highest = report->highest;
	durable->withdrawn = report->withdrawn;
	durable->won = report->won;
	durable->rule = report->rule;
	durable->forgot = report->vote_open && report->vote.term == 0;	/* recall.c */
	memset(local, 0, sizeof(*local));
	local->in_recovery = report->in_recovery;
	local->timeline = report->timeline;
	local->wal_end = report->wal_end;
	local->replayed = report->wal_end > report->replay_lag ? report->wal_end - report->replay_lag : 0;
	local->upstream = PGHA_NOBODY;
	there->passive = report->passive;
	there->bar = report->bar;
	there->replayed_all = report->bar != PGHA_BAR_REPLAYING;
	there->settings.priority = report->priority;
	there->settings.instance = report->instance;
}

/* Takes the place of a member that answers. */
static PghaNode *
stand_at(const Scene *scene, int member)
{
	const PghaNode *here = scene->here;
	PghaNode   *there = scene->there;
	const PghaReport *leader = report_of_leader(scene);

	*there = *here;
	there->settings.self = member;
	for (int i = 0; i < pgha_everybody(here); i++)
	{
		if (i == scene->leader)
			lose_leader(scene, &there->member[i]);
		else if (answers(scene, i))
			let_answer(scene, &there->member[i]);
	}
	take_over_report(there, &here->member[member].report);
	if (leader != NULL && !leader->in_recovery)
		there->durable.sync = leader->sync;
	memset(&there->voting, 0, sizeof(there->voting));
	there->voting.handover = PGHA_NOBODY;
	there->state = pgha_is_witness(there) ? PGHA_WITNESS : PGHA_CANDIDATE;
	there->state_since = scene->patient ? scene->now : scene->now - 2 * here->settings.failure_timeout;
	there->receiver_lost = scene->now;
	there->started = there->awake = 0;
	there->upstream = there->stopping = there->stopped = PGHA_NOBODY;
	there->not_fenced = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	there->held_off = 0;
	return there;
}

/* ---- votes ---- */

/* Why that voter would not vote for `candidate`, who stands in a term that nobody has voted in. */
static PghaWhy
refusal_of(const Scene *scene, int voter, int candidate)
{
	PghaNode   *there;

	if (voter == candidate)
		return pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	if (!answers(scene, voter))
		return pgha_because(PGHA_WHY_ABSENT, PGHA_NOBODY);
	there = stand_at(scene, voter);
	there->member[candidate].report.candidacy = pgha_highest_term(there) + 1;
	if (scene->fetched != 0)
		there->member[candidate].report.wal_end = scene->fetched;
	return pgha_vote_refusal(there, candidate, scene->now);
}

/* Counts the votes for a candidate. */
static uint32_t
votes_for(const Scene *scene, int candidate, const PghaVotingRule *rule, PghaOutlook *outlook)
{
	uint32_t	votes = 0;

	outlook->best = candidate;
	for (int i = 0; i < rule->count; i++)
	{
		int			voter = pgha_find_voter(scene->here, rule->voter[i]);
		PghaProspect *prospect;

		if (voter == PGHA_NOBODY)
			continue;
		prospect = &outlook->member[voter];
		prospect->voter = true;
		prospect->refusal = refusal_of(scene, voter, candidate);
		if (prospect->refusal.reason == PGHA_WHY_NONE)
			votes |= UINT32_C(1) << i;
	}
	outlook->voters = rule->count;
	outlook->needed = pgha_majority_of(rule);
	outlook->votes = pgha_count_set(votes);
	return votes;
}

/* ---- who leads next ---- */

/* Why that member would not lead; PGHA_WHY_NONE if it would. */
static PghaWhy
obstacle(Scene *scene, int member, PghaOutlook *outlook)
{
	const PghaReport *report = &scene->here->member[member].report;
	const PghaVotingRule *rule = &report->rule;
	PghaNode   *there;
	PghaWhy		why;
	int			source;

	if (!answers(scene, member))
		return pgha_because(PGHA_WHY_ABSENT, PGHA_NOBODY);
	if (!report->in_recovery)
		return pgha_because(PGHA_WHY_LEADING, PGHA_NOBODY);
	if (report->bar != PGHA_MAY_PROMOTE)
		return (PghaWhy) {PGHA_WHY_BARRED, PGHA_NOBODY, report->bar, report->passive};
	there = stand_at(scene, member);
	if (!outlook->by_votes)
	{
		if (!pgha_primary_is_missing(there, scene->now, &why))
			return why;
		return pgha_members_objection(there, scene->now, scene->now);
	}
	if (!pgha_leader_is_missing(there, scene->now, &why))
		return why;
	why = pgha_election_objection(there, scene->now);
	if (why.reason != PGHA_WHY_NONE && why.reason != PGHA_WHY_FEW_VOTES && why.reason != PGHA_WHY_QUORUM)
		return why;
	source = why.reason != PGHA_WHY_NONE ? pgha_find_source(there, scene->now) : PGHA_NOBODY;
	scene->fetched = 0;
	if (source != PGHA_NOBODY)
	{
		scene->fetched = there->member[source].report.wal_end;
		why = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	}
	if (!pgha_elects(scene->here, rule, report->won, votes_for(scene, member, rule, outlook)))
		why = pgha_because(outlook->votes >= outlook->needed ? PGHA_WHY_QUORUM : PGHA_WHY_FEW_VOTES, PGHA_NOBODY);
	return why;
}

static void
look_for_next(Scene *scene, PghaOutlook *outlook)
{
	for (int i = 0; i < scene->here->settings.count; i++)
	{
		PghaProspect *prospect = &outlook->member[i];

		if (i == scene->leader || outlook->elected != PGHA_NOBODY)
			continue;
		prospect->why = obstacle(scene, i, outlook);
		if (prospect->why.reason == PGHA_WHY_NONE)
		{
			outlook->elected = outlook->best = i;
			scene->elected_with = scene->fetched;
		}
	}
	/* Those behind the one that was found are asked, too; its votes stay. */
	for (int i = outlook->elected + 1; outlook->elected != PGHA_NOBODY && i < scene->here->settings.count; i++)
	{
		PghaOutlook other = *outlook;

		if (i != scene->leader)
			outlook->member[i].why = obstacle(scene, i, &other);
	}
}

/* Nobody stands: what do the voters lack for the first that could? */
static void
count_anyway(Scene *scene, PghaOutlook *outlook)
{
	scene->fetched = 0;
	for (int i = 0; i < scene->here->settings.count && outlook->best == PGHA_NOBODY; i++)
	{
		const PghaReport *report = &scene->here->member[i].report;

		if (i != scene->leader && answers(scene, i) && report->in_recovery && report->bar == PGHA_MAY_PROMOTE)
			(void) votes_for(scene, i, &report->rule, outlook);
	}
}

/* ---- how soon ---- */

static pgha_time
waiting_time(const Scene *scene, const PghaOutlook *outlook)
{
	const PghaSettings *settings = &scene->here->settings;
	pgha_time	promise = pgha_promise_time(scene->here, scene->here->settings.lease_ttl);
	bool		refused = scene->kind == PGHA_LOSS_KILLED && (!outlook->by_votes || settings->refused_is_down);

	if (refused)
		return 0;				/* E1 */
	if (outlook->by_votes && promise > settings->failure_timeout)
		return promise;			/* V2 */
	return settings->failure_timeout;
}

static int
find_leader(const PghaNode *node, pgha_time now, bool *lost)
{
	int			leader = pgha_visible_leader(node, now);

	*lost = false;
	if (!node->local.in_recovery && node->posted)
		return node->settings.self;
	if (leader != PGHA_NOBODY)
		return leader;
	*lost = true;
	return pgha_in_force(node) ? pgha_supported(node) : pgha_known_leader(node);
}

/*
 * Of two standbys that keep up the one whose report is younger would look like the
 * better one.  So all of them are taken to be as far behind the leader as they
 * were, at least, when they were asked.
 */
static void
level(PghaNode *node, const PghaReport *own, int leader)
{
	pgha_lsn	end = pgha_end_of_leader(node);

	node->member[node->settings.self].report = *own;
	if (leader == PGHA_NOBODY || pgha_is_self(node, leader))
		end = node->local.wal_end > end ? node->local.wal_end : end;
	else if (node->member[leader].report.wal_end > end)
		end = node->member[leader].report.wal_end;
	for (int i = 0; i < node->settings.count; i++)
	{
		PghaMember *m = &node->member[i];
		PghaReport *report = &m->report;
		pgha_lsn	then = pgha_is_self(node, i) ? pgha_end_of_leader(node) : m->told_end;

		if (i == leader)
			report->wal_end = end;
		else if (report->in_recovery && report->receiver == PGHA_RECEIVER_STREAMING && leader != PGHA_NOBODY &&
				 report->timeline == node->member[leader].report.timeline && then != 0)
			report->wal_end = then > report->wal_end ? end - (then - report->wal_end) : end;
	}
}

void
pgha_foresee(PghaNode *node, const PghaReport *own, PghaLossKind kind, pgha_time now, PghaNode *scratch, PghaOutlook *outlook)
{
	Scene		scene = {.here = node, .kind = kind, .now = now, .patient = true, .there = scratch};
	const PghaReport *leader;

	memset(outlook, 0, sizeof(*outlook));
	outlook->leader = scene.leader = find_leader(node, now, &outlook->lost);
	level(node, own, scene.leader);
	outlook->elected = outlook->best = PGHA_NOBODY;
	outlook->by_votes = pgha_in_force(node);
	outlook->wait = waiting_time(&scene, outlook);
	if (outlook->by_votes)
	{
		outlook->voters = node->durable.rule.count;
		outlook->needed = pgha_majority_of(&node->durable.rule);
	}
	look_for_next(&scene, outlook);
	if (outlook->by_votes && outlook->elected == PGHA_NOBODY)
	{
		/* Whoever is better and cannot be elected is waited for no longer than this. */
		scene.patient = false;
		outlook->wait += 2 * node->settings.failure_timeout;
		look_for_next(&scene, outlook);
		if (outlook->elected == PGHA_NOBODY)
			count_anyway(&scene, outlook);
	}
	if (outlook->elected != PGHA_NOBODY)
		outlook->stops_old = pgha_needs_stop(stand_at(&scene, outlook->elected));
	leader = report_of_leader(&scene);
	outlook->safe = outlook->by_votes ? node->durable.rule.k > 0 :
		(leader != NULL && !leader->in_recovery ? leader->sync : node->durable.sync).method != PGHA_SYNC_NONE;
	for (int i = 0; leader != NULL && i < node->settings.count; i++)
	{
		pgha_lsn	end = node->member[i].report.wal_end;

		if (i == outlook->elected && scene.elected_with > end)
			end = scene.elected_with;
		outlook->member[i].lacks = pgha_wal_between(end, leader->wal_end, &leader->gap, 1);
	}
}
