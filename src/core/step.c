/*
 * step.c
 *		One step of a node, from the event to the time of the next one: the way in.
 *
 * pgha_step() first takes in what the event and the local observation say,
 * then lets the half that fits the server decide: pgha_primary_side() for a
 * server out of recovery, pgha_standby_side() for one in recovery.  Each half
 * reads like the rules it carries out (protocol.md, section 10.1): no arbiter,
 * claims ordered by (term, fork LSN, name), and never an upstream before the
 * WAL here was compared with the leader's history.
 *
 * From top to bottom, each room calling only those below it:
 *
 *	step
 *	standby						in recovery: follow, diverged, return to lead
 *	candidacy					under quorum: stand for election, be elected
 *	election					candidate, promotion, by hand
 *	switchover					hand over as planned
 *	primary, eligibility		out of recovery: lead, fence; may it be promoted
 *	fencing						the old primary's instance is stopped first
 *	ballot						under quorum: support, votes, promises
 *	recall						... of who does not know what it has voted in
 *	lease, rule					a leader's lease and gate; who votes, who confirms
 *	members						what the members say
 *	actions, claim				the only way out; claims and histories
 *	state, node					what all of them look at
 *
 * boot.c stands beside: it decides before there is a node, and needs claim only.
 *
 * Called by the background worker and by the simulator.  Nothing in the core
 * does I/O, reads a clock or keeps state outside PghaNode.
 */
#include "step.h"
#include "ballot.h"
#include "candidacy.h"
#include "claim.h"
#include "election.h"
#include "eligibility.h"
#include "fencing.h"
#include "lease.h"
#include "members.h"
#include "primary.h"
#include "recall.h"
#include "rule.h"
#include "standby.h"
#include "switchover.h"

/* While the primary is missing, members are asked this often. */
#define URGENT_INTERVAL		20000

/* So long an order to promote stands, if nobody leads meanwhile. */
#define ORDER_LASTS			60000000

/* While commits are held, each moment counts. */
#define HANDOVER_INTERVAL	2000

/*
 * A node that was stopped itself (SIGSTOP, a frozen virtual machine) must not
 * take its own sleep for the others' silence; and a primary that slept may
 * have been replaced meanwhile.
 */
static void
notice_sleep(PghaStep *step)
{
	PghaNode   *node = step->node;
	pgha_time	slept;

	if (step->now - node->wake_at < node->settings.failure_timeout / 4 ||
		!RULE(node, PGHA_RULE_SLEPT))
		return;
	slept = step->now - node->stepped;
	node->awake = step->now;
	if (node->receiver_lost != 0)
		node->receiver_lost = step->now;
	node->deciding_since = step->now;
	pgha_forget_stop(step);
	node->stopped = PGHA_NOBODY;

	/* Under quorum the lease has ended long ago: that is enough. */
	if (node->state == PGHA_PRIMARY && slept >= node->settings.failure_timeout && !pgha_in_force(node))
	{
		node->gate_open = false;
		pgha_act(step, PGHA_ACT_SUSPEND_GATE);
		node->posted = false;
		pgha_tell(step, pgha_because(PGHA_WHY_SLEPT, PGHA_NOBODY));
		pgha_enter(step, PGHA_STARTING, pgha_because(PGHA_WHY_SLEPT, PGHA_NOBODY));
	}
}

static void
observe(PghaStep *step, const PghaLocal *local)
{
	PghaNode   *node = step->node;
	int			leader = pgha_known_leader(node);
	bool		streamed = node->local.receiver == PGHA_RECEIVER_STREAMING && leader != PGHA_NOBODY &&
		node->local.upstream == leader && node->upstream == leader;

	node->local = *local;
	if (local->in_recovery)
		node->local.wal_end = pgha_end_of_history(&node->durable, local->wal_end);
	if (local->in_recovery && local->upstream != PGHA_NOBODY && local->upstream == leader &&
		local->receiver == PGHA_RECEIVER_STREAMING)
	{
		node->member[leader].was_primary = true;
		if (node->leader_end < local->upstream_end)
			node->leader_end = local->upstream_end;
	}
	if (local->in_recovery && !local->crash_recovery)
		node->was_standby = true;
	if (!local->in_recovery || (local->receiver != PGHA_RECEIVER_NONE && !local->crash_recovery))
		node->replayed_all = true;
	if (!local->in_recovery || pgha_received_in_time(node, step->now))
		node->receiver_lost = 0;
	else if (node->receiver_lost == 0)
		node->receiver_lost = step->now;
	if (local->receiver == PGHA_RECEIVER_STREAMING)
		node->stream_ended = 0;
	else if (streamed)
		node->stream_ended = step->now;
	if (node->max_timeline < local->timeline)
		node->max_timeline = local->timeline;
}

void
pgha_node_init(PghaNode *node, const PghaSettings *settings,
			   const PghaDurable *durable, pgha_time now)
{
	memset(node, 0, sizeof(*node));
	node->settings = *settings;
	node->durable = *durable;
	node->state = PGHA_STARTING;
	node->why = pgha_because(PGHA_WHY_STARTED, PGHA_NOBODY);
	node->started = node->stepped = node->awake = now;
	node->state_since = node->deciding_since = now;
	node->max_term = durable->claim.term;
	node->upstream = PGHA_NOBODY;
	node->history_of = node->compared.with = PGHA_NOBODY;
	node->stopping = node->stopped = PGHA_NOBODY;
	node->wake_at = now;
	pgha_begin_voting(node, now);
}

static void
take_event(PghaStep *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;

	switch (event->type)
	{
		case PGHA_EV_TICK:
			break;
		case PGHA_EV_REPLY:
			pgha_take_reply(step, event);
			if (pgha_takes_part(node))
				pgha_hear_voter(step, event);
			break;
		case PGHA_EV_HISTORY:
			node->history_asked = false;
			if (event->history != NULL && event->member == node->history_of)
				node->history = *event->history;
			break;
		case PGHA_EV_COMPARED:
			node->compared.asking = false;
			if (event->member == node->compared.with)
				node->compared.outcome = event->compared;
			break;
		case PGHA_EV_RECEIVER_STOPPED:
			if (node->voting.receiver == PGHA_STOP_ORDERED)
				node->voting.receiver = PGHA_STOPPED;

			/* Of two orders, for a vote and for a promotion by hand, there is one outcome. */
			if (node->state == PGHA_PROMOTING && node->why.reason == PGHA_WHY_STOPPING_RECEIVER)
				pgha_continue_promotion(step);
			break;
		case PGHA_EV_PROMOTED:
			if (node->state == PGHA_PROMOTING)
				pgha_promotion_done(step, event->ok);
			break;
		case PGHA_EV_OLD_STOPPED:
			pgha_take_old_stopped(step, event);
			break;
		case PGHA_EV_NOT_DURABLE:
			pgha_promotion_not_durable(step);
			break;
		case PGHA_EV_PAUSE:
			node->durable.pause_generation++;
			node->durable.paused = event->flag;
			pgha_act(step, PGHA_ACT_WRITE_STATE);
			pgha_tell(step, pgha_because(event->flag ? PGHA_WHY_PAUSED : PGHA_WHY_RESUMED_FAILOVER,
										 PGHA_NOBODY));
			break;
		case PGHA_EV_PROMOTE:
			if (pgha_promote_refusal(node, event->flag, step->now).reason != PGHA_WHY_NONE)
				break;

			/* Without force it is left to the votes; but it need not wait for its turn, and its settings are no bar. */
			if (pgha_in_force(node) && !event->flag)
			{
				node->voting.next_try = 0;
				node->voting.ordered_until = step->now + pgha_later(ORDER_LASTS, 4 * node->settings.failure_timeout);
			}
			else
				pgha_begin_promotion(step, pgha_because(PGHA_WHY_BY_HAND, PGHA_NOBODY));
			break;
		case PGHA_EV_SWITCHOVER:
			if (event->flag)
				pgha_call_off_switchover(step);
			else if (pgha_switchover_refusal(node, event->member, step->now).reason == PGHA_WHY_NONE)
				pgha_begin_switchover(step, event->member);
			break;
	}
}

/* The earliest time at which the passing of time alone may change a decision. */
static pgha_time
next_wake(const PghaNode *node, pgha_time now, pgha_time interval)
{
	const PghaSettings *settings = &node->settings;
	pgha_time	wake = now + settings->heartbeat_interval;	/* or less, for notice_sleep() */
	pgha_time	deadline[5] = {0};

	if (settings->heartbeat_interval > settings->failure_timeout / 4)
		wake = now + settings->failure_timeout / 4;
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		const PghaMember *m = &node->member[i];
		pgha_time	due = m->asked + interval;
		pgha_time	silent = now - pgha_silence(node, m, now) + settings->failure_timeout;

		if (!pgha_is_self(node, i) && !m->asking && due > now && due < wake)
			wake = due;
		if (silent > now && silent < wake)
			wake = silent;
		if (m->contact_since != 0)
		{
			deadline[0] = pgha_later(m->contact_since, node->awake) + settings->failure_timeout;
			deadline[1] = pgha_later(m->contact_since, node->awake) + settings->startup_grace;
			deadline[2] = pgha_later(m->contact_since, node->awake) + PGHA_REFUSAL_LASTS;
			for (int k = 0; k < 3; k++)
				if (deadline[k] > now && deadline[k] < wake)
					wake = deadline[k];
		}
	}
	deadline[3] = pgha_later(node->local.receiver_heard, node->awake) + settings->failure_timeout;
	deadline[4] = node->awake + settings->startup_grace;
	for (int k = 3; k < 5; k++)
		if (deadline[k] > now && deadline[k] < wake)
			wake = deadline[k];
	if (node->voting.handover != PGHA_NOBODY && node->state == PGHA_PRIMARY)
		wake = now + HANDOVER_INTERVAL;
	if (pgha_in_force(node))
	{
		pgha_time	due = pgha_election_due(node, now);

		if (wake > now + interval)
			wake = now + interval;
		if (due != 0 && due < wake)
			wake = due;
	}
	return wake;
}

/*
 * Under quorum beats and their echoes must be around in time, and while anything
 * is being decided by votes or stored rules each answer matters.
 */
static pgha_time
voting_interval(const PghaNode *node, pgha_time now, pgha_time interval, pgha_time *since)
{
	const PghaVoting *voting = &node->voting;
	bool		urgent = node->durable.vote_open || node->state == PGHA_CANDIDATE ||
		node->state == PGHA_PROMOTING;
	pgha_time	usual;

	if (node->state == PGHA_CANDIDATE)
		*since = node->state_since;
	if (node->posted)
		urgent |= pgha_rule_compare(&voting->committed, &node->durable.rule) != 0 || now >= voting->lease_deadline;
	if (urgent && now - node->state_since < 10 * node->settings.failure_timeout)
		return URGENT_INTERVAL;
	usual = (node->posted ? pgha_beat_interval(node) : node->settings.heartbeat_interval) / 2;
	return interval < usual ? interval : usual;
}

void
pgha_step(PghaNode *node, const PghaEvent *event, const PghaLocal *local,
		  pgha_time now, PghaActions *actions)
{
	PghaStep	step = {node, now, actions};
	PghaPassive was_passive = node->passive;
	pgha_time	interval = node->settings.heartbeat_interval;
	pgha_time	since = 0;

	actions->count = 0;
#ifdef PGHA_SIM
	node->entered_count = 0;
#endif
	node->stop_wanted = false;
	notice_sleep(&step);
	observe(&step, local);
	take_event(&step, event);
	node->passive = pgha_find_passive(node);
	node->bar = pgha_promotion_bar(node, now);

	if (was_passive != PGHA_ACTIVE && node->passive == PGHA_ACTIVE && node->state == PGHA_PASSIVE)
		pgha_enter(&step, PGHA_STARTING, pgha_because(PGHA_WHY_STARTED, PGHA_NOBODY));

	if (pgha_takes_part(node))
		pgha_tend_ballot(&step);
	if (pgha_is_witness(node))
		pgha_enter(&step, PGHA_WITNESS, pgha_is_unaware(node) ?
				   pgha_because(PGHA_WHY_FORGOT, pgha_recall_missing(node)) : pgha_because(PGHA_WHY_WITNESS, PGHA_NOBODY));
	else if (node->local.in_recovery)
		pgha_standby_side(&step);
	else
	{
		/* Promoted by hand, or started so: the members are asked before the gate opens. */
		if (node->state == PGHA_STANDBY || node->state == PGHA_CANDIDATE ||
			node->state == PGHA_RETURNING || node->state == PGHA_DIVERGED)
		{
			node->deciding_since = now;
			pgha_enter(&step, PGHA_STARTING, pgha_because(PGHA_WHY_ASKING_MEMBERS, PGHA_NOBODY));
		}
		pgha_primary_side(&step);
	}
	if (node->stopping != PGHA_NOBODY && !node->stop_wanted)
		pgha_forget_stop(&step);

	/* In doubt, ask at once and often; but not for ever. */
	if (node->local.in_recovery && node->receiver_lost != 0)
	{
		since = node->state == PGHA_CANDIDATE ? pgha_candidate_since(node, now) : node->receiver_lost;
		if (now - node->receiver_lost < node->settings.failure_timeout ||
			(node->state == PGHA_CANDIDATE &&
			 now - node->state_since < node->settings.failure_timeout))
			interval = URGENT_INTERVAL;
	}
	else if (!node->local.in_recovery && node->state == PGHA_STARTING)
		since = node->deciding_since;
	if (pgha_expects_handover(node, now))
		interval = URGENT_INTERVAL;
	if (pgha_in_force(node))
		interval = voting_interval(node, now, interval, &since);
	if (interval > node->settings.heartbeat_interval)
		interval = node->settings.heartbeat_interval;
	pgha_ask_members(&step, interval, since);
	if (pgha_takes_part(node))
		pgha_release_receiver(&step);

	node->stepped = now;
	node->wake_at = next_wake(node, now, interval);
}
