/*
 * actions.c
 *		The only way out of the core: actions, events, states, the gate, requests.
 *
 * Called by every room that does something.  Each action of a step is added
 * here; what it is for was decided by the caller, and nothing here asks whether
 * it is right.
 */
#include "actions.h"

/* The own address is asked, to find out whether the name is in use, this often, ... */
#define SELF_CHECK_INTERVAL	30000000
/* ... for the first time when the server has had time to begin to answer. */
#define SELF_CHECK_DELAY	2000000

PghaAction *
pgha_act(PghaStep *step, PghaActionType type)
{
	PghaActions *actions = step->actions;
	PghaAction *action = &actions->action[actions->count];

	/* One step asks each member once and does a bounded number of other things. */
	if (actions->count < PGHA_MAX_ACTIONS - 1)
		actions->count++;
	*action = (PghaAction) {.type = type, .member = PGHA_NOBODY,
	.why = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY)};
	return action;
}

void
pgha_tell(PghaStep *step, PghaWhy why)
{
	pgha_act(step, PGHA_ACT_EVENT)->why = why;
}

void
pgha_enter(PghaStep *step, PghaState state, PghaWhy why)
{
	PghaNode   *node = step->node;

	if (node->state != state)
	{
#ifdef PGHA_SIM
		node->entered[node->entered_count++ % 16] = state;
#endif
		node->state = state;
		node->state_since = step->now;
	}
	node->why = why;
	node->why.bar = node->bar;
	node->why.passive = node->passive;
}

void
pgha_close_gate(PghaStep *step)
{
	if (step->node->gate_open)
	{
		step->node->gate_open = false;
		pgha_act(step, PGHA_ACT_CLOSE_GATE);
	}
}

void
pgha_open_gate(PghaStep *step)
{
	if (!step->node->gate_open)
	{
		step->node->gate_open = true;
		pgha_act(step, PGHA_ACT_OPEN_GATE);
	}
}

pgha_lsn
pgha_end_of_leader(const PghaNode *node)
{
	pgha_lsn	end = node->leader_end;

	if (pgha_is_witness(node))
	{
		for (int i = 0; i < node->settings.count; i++)
			if (strcmp(node->settings.name[i], node->durable.support.name) == 0 && node->member[i].heard != 0)
				end = node->member[i].report.wal_end;
	}
	else if (!node->local.in_recovery)
		end = node->local.wal_end;
	return end;
}

static void
ask(PghaStep *step, int member)
{
	PghaMember *m = &step->node->member[member];

	if (m->asking)
		return;
	m->asking = true;
	m->asked = step->now;
	m->asked_end = pgha_end_of_leader(step->node);
	pgha_act(step, PGHA_ACT_POLL)->member = member;
}

void
pgha_ask_members(PghaStep *step, pgha_time interval, pgha_time since)
{
	PghaNode   *node = step->node;

	for (int i = 0; i < pgha_everybody(node); i++)
	{
		PghaMember *m = &node->member[i];

		if (pgha_is_self(node, i))
		{
			if (node->state != PGHA_STARTING &&
				(m->asked == 0 ? (node->state == PGHA_RETURNING ||
								  step->now - node->started >= SELF_CHECK_DELAY) :
				 step->now - m->asked >= (node->state == PGHA_RETURNING &&
										  m->contact == PGHA_CONTACT_SILENT ?
										  interval : SELF_CHECK_INTERVAL)))
				ask(step, i);
		}
		else if (m->asked == 0 || m->asked < since || step->now - m->asked >= interval)
			ask(step, i);
	}
}

void
pgha_unfollow(PghaStep *step)
{
	PghaNode   *node = step->node;

	if (node->upstream == PGHA_NOBODY && node->local.receiver != PGHA_RECEIVER_STREAMING &&
		node->local.receiver != PGHA_RECEIVER_CONNECTING)
		return;
	node->upstream = PGHA_NOBODY;
	pgha_act(step, PGHA_ACT_UNFOLLOW);
}
