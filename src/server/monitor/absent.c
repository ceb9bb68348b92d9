/*
 * absent.c
 *		What the primary tells of members and agents that are not there: events for
 *		people, after a while, and when they are back.
 *
 * For the monitor, in its process only.  No decision depends on it.  Who restarts
 * within the while is not worth an event; a host that is gone is told once, not
 * also by its agent; and an agent that this primary has not seen is not missed, as
 * not every node has one.
 */
#include "postgres.h"

#include "../../common/presence.h"
#include "../agents.h"
#include "absent.h"
#include "tell.h"

/* At least, and at least so many failure_timeouts. */
#define ABSENT_AFTER	INT64CONST(10000000)
#define TIMEOUTS		3

static PghaPresence members[PGHA_PRESENCES];
static PghaPresence agents[PGHA_PRESENCES];

/* Of which lead that holds: once somebody else has led, it may have told otherwise. */
static uint64 term = 0;

static pgha_time
limit_of(const PghaNode *node)
{
	return Max(ABSENT_AFTER, TIMEOUTS * node->settings.failure_timeout);
}

static void
tend_member(const PghaNode *node, int i, pgha_time now)
{
	const char *name = node->settings.name[i];
	const char *what = i < node->settings.count ? "member" : "witness";
	PghaPresence *presence = pgha_presence_of(members, name, now);
	char		text[200];

	if (!pgha_presence_is_news(presence, node->member[i].contact == PGHA_CONTACT_ANSWERED, limit_of(node), now))
		return;
	if (presence->told)
		snprintf(text, sizeof(text), "%s \"%s\" has not answered for %d s: %s", what, name,
				 (int) (presence->waited / 1000000), pgha_contact_name(node->member[i].contact));
	else
		snprintf(text, sizeof(text), "%s \"%s\" answers again", what, name);
	PghaTellOwn(node, presence->told ? "absent" : "returned", text);
}

static void
tend_agent(const PghaNode *node, int i, pgha_time now)
{
	const char *name = node->settings.name[i];
	bool		there = PghaAgentConnected(name);
	PghaPresence *presence = pgha_presence_of(agents, name, now);
	char		text[200];

	/* Of a host that is gone, or of one that has no agent, nothing is said. */
	if (!there && (!presence->seen || pgha_presence_of(members, name, now)->absent_since != 0))
	{
		presence->absent_since = 0;
		return;
	}
	if (!pgha_presence_is_news(presence, there, limit_of(node), now))
		return;
	snprintf(text, sizeof(text), presence->told ? "the agent of node \"%s\" is not connected any more" :
			 "the agent of node \"%s\" is connected again", name);
	PghaTellOwn(node, presence->told ? "absent" : "returned", text);
}

/* While this node does not lead, nobody is missed; who was told absent stays so. */
static void
forget_waits(PghaPresence *all)
{
	for (int i = 0; i < PGHA_PRESENCES; i++)
	{
		if (!all[i].told)
			all[i].absent_since = 0;
	}
}

void
PghaAbsentTend(const PghaMonitor *monitor, pgha_time now)
{
	const PghaNode *node = &monitor->node;

	if (node->state != PGHA_PRIMARY)
	{
		forget_waits(members);
		forget_waits(agents);
		return;
	}
	if (node->durable.claim.term != term)
	{
		memset(members, 0, sizeof(members));
		memset(agents, 0, sizeof(agents));
		term = node->durable.claim.term;
	}
	for (int i = 0; i < monitor->config.members.voters; i++)
	{
		if (i != node->settings.self)
			tend_member(node, i, now);
		if (i < node->settings.count)
			tend_agent(node, i, now);
	}
}
