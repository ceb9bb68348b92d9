/*
 * claim.c
 *		Claims, histories and timeline ids: compare, contain, reserve.
 *
 * Called by every room that decides, by the background worker and by the
 * simulator.  Never looks at a node's state, and never decides by itself.
 */
#include "claim.h"

int
pgha_claim_compare(const PghaClaim *a, const PghaClaim *b)
{
	if (a->term != b->term)
		return a->term < b->term ? -1 : 1;
	if (a->fork_lsn != b->fork_lsn)
		return a->fork_lsn < b->fork_lsn ? -1 : 1;
	return strcmp(a->leader, b->leader);
}

/*
 * Every promotion raises the term, and is posted by writing down where it left
 * its parent; only the first primary of all has neither.
 */
bool
pgha_posted(const PghaDurable *durable)
{
	return durable->role == PGHA_ROLE_PRIMARY &&
		(durable->claim.fork_lsn != 0 || durable->claim.term <= 1);
}

bool
pgha_claim_is_lost(const PghaDurable *durable)
{
	return durable->role == PGHA_ROLE_PRIMARY && durable->claim.term == 0;
}

bool
pgha_can_be_taken_back(const PghaDurable *durable)
{
	return durable->rule.term == 0 && durable->replaced.timeline != 0 &&
		durable->claim.term > 1 && durable->claim.fork_lsn == 0;
}

void
pgha_replace_claim(PghaDurable *durable, uint32_t timeline)
{
	PghaReplaced *replaced = &durable->replaced;

	/* A promotion that was begun before, and is begun anew, has replaced it already. */
	if (pgha_can_be_taken_back(durable))
		return;

	/* Of several that came to nothing the first one has left the leader's history. */
	if (durable->own_from == 0)
		replaced->timeline = timeline;
	replaced->claim = durable->claim;
	replaced->role = durable->role;
	replaced->fenced = durable->fenced;
	replaced->diverged = durable->diverged;
	memcpy(replaced->leader_instance, durable->leader_instance, sizeof(replaced->leader_instance));
}

void
pgha_settle_claim(PghaDurable *durable)
{
	memset(&durable->replaced, 0, sizeof(durable->replaced));
	durable->own_from = 0;
}

pgha_lsn
pgha_end_of_history(const PghaDurable *durable, pgha_lsn end)
{
	return durable->own_from != 0 && durable->own_from < end ? durable->own_from : end;
}

PghaFact
pgha_history_contains(const PghaHistory *history, uint32_t timeline, pgha_lsn end)
{
	if (timeline == history->timeline)
		return PGHA_YES;
	for (int i = 0; i < history->count; i++)
	{
		if (history->entry[i].timeline == timeline)
			return end <= history->entry[i].end ? PGHA_YES : PGHA_NO;
	}

	/* Timelines ascend, and so do their ends. */
	if (history->shortened &&
		(history->count == 0 || timeline < history->entry[0].timeline))
		return history->count > 0 && end > history->entry[0].end ? PGHA_NO : PGHA_NOT_KNOWN;
	return PGHA_NO;
}

uint32_t
pgha_reserve_timeline(uint32_t current, int index, int count)
{
	uint32_t	next = current + 1;

	while (next % (uint32_t) count != (uint32_t) index)
		next++;
	return next;
}

int
pgha_sorted_position(const PghaSettings *settings)
{
	int			position = 0;

	for (int i = 0; i < settings->count; i++)
	{
		if (strcmp(settings->name[i], settings->name[settings->self]) < 0)
			position++;
	}
	return position;
}

bool
pgha_is_void(const PghaReport *report)
{
	return report->diverged && report->claim.term > 1 && report->claim.fork_lsn == 0;
}
