/*
 * trace.c
 *		What happens in a simulated cluster, as lines of text.
 *
 * One line a fact: time, node, what.  Scenario scripts keep these lines as the
 * expected conversation, so they leave out what says nothing new.
 */
#include "trace.h"

#include <stdarg.h>

const char *
sim_lsn(pgha_lsn lsn)
{
	static char text[4][24];
	static int	turn;
	char	   *result = text[turn++ % 4];

	snprintf(result, sizeof(text[0]), "%X/%X", (unsigned) (lsn >> 32), (unsigned) lsn);
	return result;
}

void
sim_trace(SimWorld *world, int node, const char *format,...)
{
	va_list		args;

	if (world->trace == NULL)
		return;
	fprintf(world->trace, "%8.3f %s ", (double) (world->now - SIM_BEGIN) / SECOND,
			node < 0 ? "*" : world->node[node].settings.name[node]);
	va_start(args, format);
	vfprintf(world->trace, format, args);
	va_end(args);
	fputc('\n', world->trace);
}

/* A reason as a sentence. */
const char *
sim_why_text(const SimNode *n, const PghaWhy *why)
{
	static char text[300];
	const char *member = why->member == PGHA_NOBODY ? "" : n->settings.name[why->member];
	int			length = snprintf(text, sizeof(text), "%s", pgha_reason_text(why->reason));
	char	   *hole = strstr(text, "%s");

	if (hole != NULL)
		length = snprintf(text, sizeof(text), "%.*s%s%s", (int) (hole - text),
						  pgha_reason_text(why->reason), member,
						  pgha_reason_text(why->reason) + (hole - text) + 2);
	if (why->reason == PGHA_WHY_BARRED && length < (int) sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t) length, ": %s", pgha_bar_text(why->bar));
	if (why->reason == PGHA_WHY_PASSIVE && length < (int) sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t) length, ": %s",
				 pgha_passive_text(why->passive));
	return text;
}

static void
trace_reply(SimWorld *world, int node, const PghaEvent *event, bool news)
{
	SimNode    *n = &world->node[node];
	const PghaReport *report = event->report;
	char		text[240];
	char		more[180] = "";
	char	   *told = n->told[event->member];

	snprintf(text, sizeof(text), "hears of %s: %s%s", n->settings.name[event->member],
			 pgha_contact_name(event->contact),
			 report == NULL ? "" : report->in_recovery ? " as standby" : " as primary");
	if (report != NULL && !world->exact)
		snprintf(more, sizeof(more), "%s%s%s, term %d of %s, timeline %u, bar %d, receiver %s",
				 report->posted ? ", posted" : "", report->fenced ? ", fenced" : "",
				 report->diverged ? ", diverged" : "", (int) report->claim.term, report->claim.leader,
				 report->timeline, (int) report->bar, pgha_receiver_name(report->receiver));
	strncat(text, more, sizeof(text) - strlen(text) - 1);

	/* What was told before is told again only where it matters. */
	if ((strcmp(told, text) != 0 && (event->member != node || !world->exact)) ||
		(news && !world->exact))
		sim_trace(world, node, "%s%s%s", text, more[0] == '\0' ? "" : ", end ",
				  more[0] == '\0' ? "" : sim_lsn(report->wal_end));
	strcpy(told, text);
}

static void
trace_event(SimWorld *world, int node, const PghaEvent *event, bool news)
{
	switch (event->type)
	{
		case PGHA_EV_TICK:
			break;
		case PGHA_EV_REPLY:
			trace_reply(world, node, event, news);
			break;
		case PGHA_EV_HISTORY:
			sim_trace(world, node, "%s the history", event->history ? "gets" : "does not get");
			break;
		case PGHA_EV_COMPARED:
			sim_trace(world, node, "%s", event->compared == PGHA_WAL_NOT_COMPARED ? "gets no comparison" :
					  event->compared == PGHA_WAL_SAME ? "has the same WAL" :
					  event->compared == PGHA_WAL_DIFFERS ? "has other WAL" : "has no WAL to compare");
			break;
		case PGHA_EV_RECEIVER_STOPPED:
			sim_trace(world, node, "has stopped its receiver");
			break;
		case PGHA_EV_PROMOTED:
			sim_trace(world, node, "%s", event->ok ? "is promoted" : "is promoted, but not as it should be");
			break;
		case PGHA_EV_OLD_STOPPED:
			sim_trace(world, node, "hears that the instance of %s %s", world->node[node].settings.name[event->member],
					  event->ok ? "is stopped" : "cannot be stopped");
			break;
		case PGHA_EV_NOT_DURABLE:
			sim_trace(world, node, "could not write its state");
			break;
		case PGHA_EV_PAUSE:
			sim_trace(world, node, "%s", event->flag ? "pgha_pause()" : "pgha_resume()");
			break;
		case PGHA_EV_PROMOTE:
			break;
		case PGHA_EV_SWITCHOVER:
			sim_trace(world, node, "pgha_switchover(%s)", event->member == PGHA_NOBODY ? "" :
					  world->node[node].settings.name[event->member]);
			break;
	}
}

/* What is durable of votes and of the rule. */
static void
trace_voting(SimWorld *world, int node, const PghaDurable *durable)
{
	const PghaVotingRule *rule = &durable->rule;
	char		text[200];
	int			length;

	length = snprintf(text, sizeof(text), "supports %s in %d", durable->support.name, (int) durable->support.term);
	if (durable->vote_open)
		length += snprintf(text + length, sizeof(text) - (size_t) length, ", voted for %s in %d", durable->vote.name,
						   (int) durable->vote.term);
	if (rule->term != 0)
		length += snprintf(text + length, sizeof(text) - (size_t) length, ", rule %d.%u of %d voters",
						   (int) rule->term, rule->epoch, rule->count);
	if (rule->k > 0)
	{
		length += snprintf(text + length, sizeof(text) - (size_t) length, ", ANY %d of", rule->k);
		for (int i = 0; i < rule->count && length < (int) sizeof(text); i++)
			if ((rule->sync & (UINT32_C(1) << i)) != 0)
				length += snprintf(text + length, sizeof(text) - (size_t) length, " %s", rule->voter[i]);
	}
	sim_trace(world, node, "    %s", text);
}

static void
trace_action(SimWorld *world, int node, const PghaAction *action)
{
	const SimNode *n = &world->node[node];
	const PghaDurable *durable = &n->core.durable;
	const char *member = action->member == PGHA_NOBODY ? "" : n->settings.name[action->member];

	switch (action->type)
	{
		case PGHA_ACT_POLL:
		case PGHA_ACT_LEASE:
			break;
		case PGHA_ACT_WRITE_STATE:
			sim_trace(world, node, "  write state: term %d, fork %s, leader %s, %s%s%s%s",
					  (int) durable->claim.term, sim_lsn(durable->claim.fork_lsn), durable->claim.leader,
					  pgha_role_name(durable->role), durable->fenced ? ", fenced" : "",
					  durable->diverged ? ", diverged" : "", durable->paused ? ", paused" : "");
			if (durable->support.term != 0 || durable->rule.term != 0)
				trace_voting(world, node, durable);
			break;
		case PGHA_ACT_FOLLOW:
			sim_trace(world, node, "  follow %s on timeline %u", member, action->timeline);
			break;
		case PGHA_ACT_FETCH_HISTORY:
			sim_trace(world, node, "  ask %s for the history of timeline %u", member, action->timeline);
			break;
		case PGHA_ACT_COMPARE_WAL:
			sim_trace(world, node, "  compare WAL of timeline %u with %s", action->timeline, member);
			break;
		case PGHA_ACT_STOP_OLD:
			sim_trace(world, node, "  stop the instance of %s: %s", member, durable->leader_instance);
			break;
		case PGHA_ACT_PROMOTE:
			sim_trace(world, node, "  promote from timeline %u to %u", action->parent, action->timeline);
			break;
		case PGHA_ACT_EVENT:
			sim_trace(world, node, "  say: %s", sim_why_text(n, &action->why));
			break;
		default:
			sim_trace(world, node, "  %s", pgha_action_name(action->type));
	}
}

void
sim_trace_step(SimWorld *world, int node, const PghaEvent *event, const PghaActions *actions)
{
	SimNode    *n = &world->node[node];
	PghaWhy    *why = &n->core.why;
	bool		moved = n->core.state != n->state_before;
	bool		news = moved || n->core.why.reason != n->traced_why.reason ||
		n->core.why.member != n->traced_why.member;

	for (int i = 0; i < actions->count; i++)
		news |= actions->action[i].type != PGHA_ACT_POLL && actions->action[i].type != PGHA_ACT_LEASE;
	trace_event(world, node, event, news);
	for (int i = 0; i < n->core.entered_count; i++)
		sim_trace(world, node, "%s -> %s",
				  pgha_state_name(i == 0 ? n->state_before : n->core.entered[i - 1]),
				  pgha_state_name(n->core.entered[i]));
	if (why->reason != n->traced_why.reason || why->member != n->traced_why.member || moved)
		sim_trace(world, node, "  (%s)", sim_why_text(n, why));
	n->traced_why = *why;
	for (int i = 0; i < actions->count; i++)
		trace_action(world, node, &actions->action[i]);
}
