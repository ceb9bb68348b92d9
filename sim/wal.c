/*
 * wal.c
 *		WAL as a list of records, timelines, and what synchronous commits wait for.
 *
 * Timelines are chosen the way PostgreSQL chooses them.  What it flushed is
 * never lost.
 */
#include "wal.h"

#include "../src/core/rule.h"

/* ---- WAL ---- */

pgha_lsn
sim_end_of(const SimWorld *world, const SimNode *n, int records)
{
	return records == 0 ? SIM_FIRST_LSN : world->record[n->wal[records - 1]].end;
}

/* Is the WAL receiver, or its end, what tells how far this server is? */
static bool
knows_own_end(const SimNode *n)
{
	return !n->in_recovery || n->replayed >= n->nwal || n->behind;
}

pgha_lsn
sim_end(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return sim_end_of(world, n, knows_own_end(n) ? n->nwal : n->replayed);
}

/* The same, but for WAL of promotions that were taken back, which nobody is to be preferred for. */
pgha_lsn
sim_end_of_history(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	pgha_lsn	end = sim_end(world, node);

	return n->in_recovery && n->disk.own_from != 0 && n->disk.own_from < end ? n->disk.own_from : end;
}

uint32_t
sim_timeline_of(const SimWorld *world, const SimNode *n)
{
	int			records = n->behind ? n->nwal : n->replayed;

	return records == 0 ? 1 : world->record[n->wal[records - 1]].timeline;
}

/* Is the WAL of `part` a beginning of that of `whole`? */
bool
sim_contains(const SimWorld *world, int whole, int part)
{
	const SimNode *w = &world->node[whole];
	const SimNode *p = &world->node[part];

	return p->nwal == 0 || (p->nwal <= w->nwal && w->wal[p->nwal - 1] == p->wal[p->nwal - 1]);
}

/* How many records here end at or before this place? */
int
sim_records_before(const SimWorld *world, const SimNode *n, pgha_lsn end)
{
	int			records = n->nwal;

	while (records > 0 && world->record[n->wal[records - 1]].end > end)
		records--;
	return records;
}

/* Are the last of so many records of `part` those of `whole`, too? */
PghaComparison
sim_compare_wal(const SimNode *whole, const SimNode *part, int records)
{
	if (records == 0)
		return PGHA_WAL_GONE;
	return records <= whole->nwal && records <= part->nwal && whole->wal[records - 1] == part->wal[records - 1] ?
		PGHA_WAL_SAME : PGHA_WAL_DIFFERS;
}

bool
sim_leads(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];

	return n->phase == SIM_UP && !n->in_recovery && !n->witness;
}

void
sim_append(SimWorld *world, int node, uint32_t timeline, int commit)
{
	SimNode    *n = &world->node[node];
	SimRecord  *record;
	int			size = (int) sim_between(world, 0x100, 0x2000);

	if (world->nrecord >= SIM_MAX_RECORDS)
		return;
	if (sim_chance(world, 20))
		size = 0x100000;
	record = &world->record[world->nrecord];
	*record = (SimRecord) {timeline, sim_end_of(world, n, n->nwal) + (pgha_lsn) size, commit};
	n->wal[n->nwal++] = world->nrecord++;
	n->replayed = n->nwal;

	for (int j = 0; j < world->count; j++)
	{
		SimNode    *standby = &world->node[j];

		if (n->sender[j].connection != 0 && standby->connection == n->sender[j].connection &&
			!standby->stream_pending)
		{
			standby->stream_pending = true;
			sim_post(world, sim_latency(world), SIM_STREAM, j, 0, 0, standby->connection);
		}
	}
}

/* ---- timelines ---- */

uint32_t
sim_newest_file(const SimNode *n)
{
	uint32_t	newest = SIM_MAX_TIMELINES - 1;

	while (newest > 1 && !n->real[newest] && !n->placeholder[newest])
		newest--;
	return newest > 1 ? newest : 0;
}

/* findNewestTimeLine(): probes upwards and stops at the first gap. */
uint32_t
sim_find_newest(const SimNode *n, uint32_t from)
{
	while (from + 1 < SIM_MAX_TIMELINES && (n->real[from + 1] || n->placeholder[from + 1]))
		from++;
	return from;
}

/* shmem_startup_hook: placeholders that no real history follows go. */
void
sim_remove_placeholders(SimNode *n)
{
	for (int t = SIM_MAX_TIMELINES - 1; t > 1 && !n->real[t]; t--)
		n->placeholder[t] = false;
}

bool
sim_history_of(const SimWorld *world, const SimNode *n, uint32_t timeline, PghaHistory *history)
{
	uint32_t	chain[PGHA_MAX_HISTORY];
	pgha_lsn	fork[PGHA_MAX_HISTORY];
	int			count = 0;

	memset(history, 0, sizeof(*history));
	history->timeline = timeline;
	if (timeline != 1 && (timeline >= SIM_MAX_TIMELINES || !n->real[timeline]))
		return false;
	while (timeline != 1 && count < PGHA_MAX_HISTORY)
	{
		fork[count] = world->timeline[timeline].fork;
		timeline = world->timeline[timeline].parent;
		chain[count++] = timeline;
	}
	history->count = count;
	for (int i = 0; i < count; i++)
		history->entry[i] = (PghaHistoryEntry) {chain[count - 1 - i], fork[count - 1 - i]};
	return true;
}

bool
sim_lists_timeline(const PghaHistory *history, uint32_t timeline)
{
	for (int i = 0; i < history->count; i++)
		if (history->entry[i].timeline == timeline)
			return true;
	return history->timeline == timeline;
}

/* Is the timeline of `node` one of those that led to the timeline of `leader`? */
bool
sim_knows_timeline(const SimWorld *world, int leader, int node)
{
	const SimNode *l = &world->node[leader];
	PghaHistory history;

	return sim_history_of(world, l, sim_timeline_of(world, l), &history) &&
		sim_lists_timeline(&history, sim_timeline_of(world, &world->node[node]));
}

void
sim_learn_histories(SimNode *n, const SimNode *upstream)
{
	for (int t = 2; t < SIM_MAX_TIMELINES; t++)
	{
		n->real[t] |= upstream->real[t];
		n->placeholder[t] |= upstream->placeholder[t] && !n->real[t];
	}
}

/*
 * Does the history of a new timeline describe the WAL that is here?  A node
 * that knew of a later timeline than it had WAL of gets that one as the parent:
 * right if that timeline began exactly where the WAL here ends, else LSNs go
 * backwards.
 */
bool
sim_history_ascends(const SimWorld *world, uint32_t timeline)
{
	while (timeline != 1)
	{
		uint32_t	parent = world->timeline[timeline].parent;

		if (parent != 1 && world->timeline[parent].fork > world->timeline[timeline].fork)
			return false;
		timeline = parent;
	}
	return true;
}

/* ---- synchronous replication ---- */

static bool
sync_candidate(const SimNode *n, int member)
{
	return n->sender[member].connection != 0 && n->sender[member].caught_up;
}

PghaSync
sim_sync_state(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	PghaSync	sync = {0};
	int			chosen = 0;

	if (n->sync_names.method == PGHA_SYNC_NONE)
		return sync;
	sync.method = n->sync_names.method;
	sync.num_sync = n->sync_names.k;
	for (int i = 0; i < n->sync_names.count; i++)
	{
		int			member = n->sync_names.member[i];

		if (member == node)
			continue;			/* a primary is no standby of its own */
		sync.num_listed++;
		sync.listed |= UINT32_C(1) << member;
		if (sync.method == PGHA_SYNC_FIRST && chosen < sync.num_sync && sync_candidate(n, member))
		{
			sync.current |= UINT32_C(1) << member;
			chosen++;
		}
	}
	return sync;
}

/* How many records of this primary have the acks that its settings ask for? */
static int
acknowledged_records(const SimWorld *world, int node)
{
	const SimNode *n = &world->node[node];
	int			flushed[SIM_MAX_NODES];
	int			count = 0;

	if (n->sync_names.method == PGHA_SYNC_NONE)
		return n->nwal;
	for (int i = 0; i < n->sync_names.count; i++)
	{
		int			member = n->sync_names.member[i];

		if (member == node || !sync_candidate(n, member))
			continue;
		if (n->sync_names.method == PGHA_SYNC_FIRST && count == n->sync_names.k)
			break;
		flushed[count++] = n->sender[member].flushed;
	}
	if (count < n->sync_names.k)
		return 0;
	for (int i = 1; i < count; i++)
		for (int j = i; j > 0 && flushed[j] > flushed[j - 1]; j--)
		{
			int			swap = flushed[j];

			flushed[j] = flushed[j - 1];
			flushed[j - 1] = swap;
		}
	return flushed[n->sync_names.k - 1];
}

/* Have enough of S, as one rule has it, flushed the commit? */
static bool
confirmed_by(const SimWorld *world, int node, const PghaVotingRule *rule, int position)
{
	const SimNode *n = &world->node[node];
	int			count = 0;

	for (int i = 0; i < rule->count; i++)
		for (int j = 0; j < world->members; j++)
			if ((rule->sync & (UINT32_C(1) << i)) != 0 && n->sender[j].flushed > position &&
				pgha_confirms(&n->core, j) && strcmp(rule->voter[i], n->settings.name[j]) == 0)
				count++;
	return count >= rule->k;
}

/*
 * The gate's check under quorum: the newest rule and the last one that is
 * committed both have the confirmations that they ask for.
 */
bool
sim_confirmed(const SimWorld *world, int node, int commit)
{
	const PghaNode *core = &world->node[node].core;
	int			position = world->commit[commit].position;

	return confirmed_by(world, node, &core->durable.rule, position) &&
		(confirmed_by(world, node, &core->voting.committed, position) || !sim_rule(world, PGHA_RULE_COMMIT));
}

void
sim_release_commits(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];
	int			enough = acknowledged_records(world, node);

	for (; n->first_waiting < enough && n->first_waiting < n->nwal; n->first_waiting++)
	{
		int			commit = world->record[n->wal[n->first_waiting]].commit;

		if (commit >= 0)
		{
			PghaSync	sync = sim_sync_state(world, node);
			pgha_time	delay;

			/* Whoever names a server that is not one of the members is told so, and promised nothing. */
			world->commit[commit].by_names = sync.num_sync > 0 && sync.listed >> n->settings.count == 0;
			delay = sim_between(world, MS / 5, 2 * MS);
			if (!world->commit[commit].local)
				sim_post(world, delay, SIM_COMMIT, node, commit, 0, 0);
		}
	}
}
