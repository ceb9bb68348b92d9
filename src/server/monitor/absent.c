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

#include "../agents.h"
#include "absent.h"
#include "tell.h"

/* At least, and at least so many failure_timeouts. */
#define ABSENT_AFTER	INT64CONST(10000000)
#define TIMEOUTS		3

typedef struct Presence
{
	char		name[PGHA_NAME_SIZE];	/* whose; members may change */
	bool		seen;
	bool		told;			/* that it is absent */
	pgha_time	absent_since;	/* 0: it is there */
} Presence;

static Presence members[PGHA_MAX_MEMBERS];
static Presence agents[PGHA_MAX_MEMBERS];

static pgha_time
limit_of(const PghaNode *node)
{
	return Max(ABSENT_AFTER, TIMEOUTS * node->settings.failure_timeout);
}

/* Takes note whether it is there; true if that is to be told. */
static bool
is_news(Presence *presence, const char *name, bool there, pgha_time limit, pgha_time now)
{
	if (strcmp(presence->name, name) != 0)
	{
		memset(presence, 0, sizeof(*presence));
		strlcpy(presence->name, name, sizeof(presence->name));
	}
	if (there)
	{
		bool		back = presence->told;

		presence->seen = true;
		presence->told = false;
		presence->absent_since = 0;
		return back;
	}
	if (presence->absent_since == 0)
		presence->absent_since = now;
	if (presence->told || now - presence->absent_since < limit)
		return false;
	presence->told = true;
	return true;
}

static void
tend_member(const PghaNode *node, int i, pgha_time now)
{
	const char *name = node->settings.name[i];
	const char *what = i < node->settings.count ? "member" : "witness";
	char		text[200];

	if (!is_news(&members[i], name, node->member[i].contact == PGHA_CONTACT_ANSWERED, limit_of(node), now))
		return;
	if (members[i].told)
		snprintf(text, sizeof(text), "%s \"%s\" has not answered for %d s: %s", what, name,
				 (int) (limit_of(node) / 1000000), pgha_contact_name(node->member[i].contact));
	else
		snprintf(text, sizeof(text), "%s \"%s\" answers again", what, name);
	PghaTellOwn(node, members[i].told ? "absent" : "returned", text);
}

static void
tend_agent(const PghaNode *node, int i, pgha_time now)
{
	const char *name = node->settings.name[i];
	bool		there = PghaAgentConnected(name);
	char		text[200];

	/* Of a host that is gone, or of one that has no agent, nothing is said. */
	if (!there && (strcmp(agents[i].name, name) != 0 || !agents[i].seen || members[i].absent_since != 0))
	{
		agents[i].absent_since = 0;
		return;
	}
	if (!is_news(&agents[i], name, there, limit_of(node), now))
		return;
	snprintf(text, sizeof(text), agents[i].told ? "the agent of node \"%s\" is not connected any more" :
			 "the agent of node \"%s\" is connected again", name);
	PghaTellOwn(node, agents[i].told ? "absent" : "returned", text);
}

void
PghaAbsentTend(const PghaMonitor *monitor, pgha_time now)
{
	const PghaNode *node = &monitor->node;

	if (node->state != PGHA_PRIMARY)
	{
		memset(members, 0, sizeof(members));
		memset(agents, 0, sizeof(agents));
		return;
	}
	for (int i = 0; i < monitor->config.members.voters; i++)
	{
		if (i != node->settings.self)
			tend_member(node, i, now);
		if (i < node->settings.count)
			tend_agent(node, i, now);
	}
}
