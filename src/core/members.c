/*
 * members.c
 *		What the members say: who counts, who is silent, who leads.
 *
 * Called by every room that decides, and by pgha_step() when a member has
 * answered.  What is heard is taken in here; what follows from it for this
 * node's role is decided elsewhere.
 */
#include "members.h"
#include "claim.h"

int
pgha_find_member(const PghaNode *node, const char *name)
{
	for (int i = 0; i < node->settings.count; i++)
	{
		if (strcmp(node->settings.name[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

int
pgha_known_leader(const PghaNode *node)
{
	int			leader = pgha_find_member(node, node->durable.claim.leader);

	return leader != PGHA_NOBODY && pgha_is_self(node, leader) ? PGHA_NOBODY : leader;
}

bool
pgha_counts(const PghaNode *node, const PghaMember *member)
{
	return member->heard != 0 &&
		member->contact == PGHA_CONTACT_ANSWERED &&
		member->report.system_identifier == node->settings.system_identifier;
}

pgha_time
pgha_silence(const PghaNode *node, const PghaMember *member, pgha_time now)
{
	pgha_time	since = pgha_later(member->alive, node->awake);

	/* What this node could not find out then, by its own fault, is no evidence. */
	return now - (RULE(node, PGHA_RULE_UNLEARNT) ? pgha_later(since, member->unlearnt) : since);
}

bool
pgha_received_in_time(const PghaNode *node, pgha_time now)
{
	const PghaLocal *local = &node->local;

	if (local->upstream != PGHA_NOBODY && pgha_counts(node, &node->member[local->upstream]) &&
		node->member[local->upstream].report.in_recovery)
		return false;

	return local->receiver == PGHA_RECEIVER_STREAMING &&
		local->upstream != PGHA_NOBODY &&
		now - pgha_later(local->receiver_heard, node->awake) < node->settings.failure_timeout;
}

PghaPresence
pgha_presence(const PghaNode *node, const PghaMember *member, pgha_time since, pgha_time now)
{
	bool		asked_since = member->told >= since || !RULE(node, PGHA_RULE_FRESH);

	if (asked_since)
	{
		switch (member->contact)
		{
			case PGHA_CONTACT_ANSWERED:
				return pgha_counts(node, member) ? PGHA_PRESENCE_ANSWERS : PGHA_PRESENCE_ABSENT;
			case PGHA_CONTACT_REFUSED:
			case PGHA_CONTACT_STARTING:
			case PGHA_CONTACT_ERROR:
				return PGHA_PRESENCE_ABSENT;
			case PGHA_CONTACT_NEVER:
			case PGHA_CONTACT_SILENT:
			case PGHA_CONTACT_UNLEARNT:
				break;
		}
	}

	/* A member that this node can never ask, as with a name that is gone, holds nobody up for ever. */
	return pgha_silence(node, member, now) >= node->settings.failure_timeout ||
		now - pgha_later(member->alive, node->awake) >= node->settings.startup_grace ?
		PGHA_PRESENCE_ABSENT : PGHA_PRESENCE_UNKNOWN;
}

int
pgha_visible_leader(const PghaNode *node, pgha_time now)
{
	int			leader = PGHA_NOBODY;

	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (pgha_is_self(node, i) || !pgha_counts(node, m) ||
			m->report.in_recovery || !m->report.posted || m->report.released != 0 ||
			pgha_silence(node, m, now) >= node->settings.failure_timeout)
			continue;
		if (pgha_claim_compare(&m->report.claim, &node->durable.claim) < 0)
			continue;
		if (leader == PGHA_NOBODY ||
			pgha_claim_compare(&m->report.claim, &node->member[leader].report.claim) > 0)
			leader = i;
	}
	return leader;
}

/* Each one only once, and none that overlaps the one before. */
static void
remember_gap(PghaNode *node, const PghaGap *gap)
{
	if (gap->to <= gap->from || gap->from < node->gap[0].to)
		return;
	memmove(&node->gap[1], &node->gap[0], sizeof(node->gap) - sizeof(node->gap[0]));
	node->gap[0] = *gap;
}

/*
 * What a leader says of a switchover is remembered when it answers otherwise,
 * as after its restart, or not at all.
 */
static void
note_handover(PghaStep *step, const PghaReport *report)
{
	PghaNode   *node = step->node;
	PghaVoting *voting = &node->voting;
	uint64_t	term = pgha_followed_term(node);

	if (report->in_recovery || report->claim.term != term || term == 0 ||
		strcmp(report->claim.leader, report->node) != 0 ||
		strcmp(pgha_in_force(node) ? node->durable.support.name : node->durable.claim.leader, report->node) != 0)
		return;
	if (report->handover.term != term)
	{
		if (voting->heir_heard == 0)
			voting->heir.term = 0;
		return;
	}
	if (voting->heir.term != term || strcmp(voting->heir.name, report->handover.name) != 0)
	{
		voting->heir = report->handover;
		voting->heir_announced = step->now;
		voting->heir_heard = 0;
	}
	if (report->released == term && voting->heir_heard == 0)
	{
		voting->heir_heard = step->now;
		voting->heir_lsn = report->handover_lsn;
	}
}

uint64_t
pgha_followed_term(const PghaNode *node)
{
	return pgha_in_force(node) ? node->durable.support.term : node->durable.claim.term;
}

bool
pgha_has_let_go(const PghaNode *node)
{
	return node->voting.heir_heard != 0 && node->voting.heir.term == pgha_followed_term(node);
}

const char *
pgha_heir(const PghaNode *node, pgha_time now)
{
	const PghaVoting *voting = &node->voting;

	return pgha_has_let_go(node) && voting->heir_heard >= node->awake &&
		now - voting->heir_heard < node->settings.failure_timeout ? voting->heir.name : "";
}

bool
pgha_is_heir(const PghaNode *node, pgha_time now)
{
	return strcmp(pgha_heir(node, now), node->settings.name[node->settings.self]) == 0 &&
		node->local.wal_end >= node->voting.heir_lsn;
}

bool
pgha_expects_handover(const PghaNode *node, pgha_time now)
{
	const PghaVoting *voting = &node->voting;

	return voting->handover != PGHA_NOBODY ||
		(voting->heir.term != 0 && voting->heir.term == pgha_followed_term(node) &&
		 now - voting->heir_announced < 4 * node->settings.failure_timeout);
}

/*
 * How much later than it was asked for a report was made, at least: by the clock of
 * whoever made it, which may be faster than this one.
 */
static pgha_time
time_held(const PghaEvent *event, pgha_time longest)
{
	pgha_time	held;

	if (event->contact != PGHA_CONTACT_ANSWERED || event->report == NULL || event->report->held <= 0)
		return 0;
	held = event->report->held - event->report->held / 16;
	return held < longest ? held : longest > 0 ? longest : 0;
}

void
pgha_take_reply(PghaStep *step, const PghaEvent *event)
{
	PghaNode   *node = step->node;
	PghaMember *m = &node->member[event->member];
	PghaContact contact = event->contact;

	m->asking = false;
	m->told = m->asked + time_held(event, step->now - m->asked);
	m->told_end = m->asked_end;

	/* A server that answers under another name is not the member. */
	m->misnamed = contact == PGHA_CONTACT_ANSWERED && event->report != NULL &&
		strcmp(event->report->node, node->settings.name[event->member]) != 0;
	if (m->misnamed || (contact == PGHA_CONTACT_ANSWERED && event->report == NULL))
		contact = PGHA_CONTACT_ERROR;

	/* Of a server that answered elsewhere a refusal says nothing; under quorum the ballot looks at that. */
	if (contact == PGHA_CONTACT_REFUSED && m->heard != 0 && !event->same_address && !pgha_in_force(node) &&
		RULE(node, PGHA_RULE_REFUSED))
		contact = PGHA_CONTACT_SILENT;
	if (contact == PGHA_CONTACT_UNLEARNT && !RULE(node, PGHA_RULE_UNLEARNT))
		contact = PGHA_CONTACT_SILENT;

	if (contact != m->contact ||
		(contact == PGHA_CONTACT_ANSWERED && m->report.in_recovery != event->report->in_recovery))
	{
		m->contact = contact;
		m->contact_since = step->now;
	}
	if (contact == PGHA_CONTACT_ANSWERED || contact == PGHA_CONTACT_ERROR ||
		contact == PGHA_CONTACT_STARTING)
	{
		m->alive = step->now;
		m->answered = m->told;
	}
	if (contact == PGHA_CONTACT_UNLEARNT)
		m->unlearnt = step->now;
	if (contact != PGHA_CONTACT_ANSWERED)
		return;

	m->heard = step->now;
	m->report = *event->report;
	if (pgha_is_self(node, event->member) || !pgha_counts(node, m))
		return;
	if (!m->report.in_recovery)
		m->was_primary = true;
	note_handover(step, &m->report);
	if (node->max_term < m->report.claim.term)
		node->max_term = m->report.claim.term;
	if (node->max_timeline < m->report.timeline)
		node->max_timeline = m->report.timeline;

	/* The later pause or resume is valid everywhere; of two, the pause. */
	if (m->report.pause_generation > node->durable.pause_generation ||
		(m->report.pause_generation == node->durable.pause_generation &&
		 m->report.paused && !node->durable.paused))
	{
		bool		news = node->durable.paused != m->report.paused;

		node->durable.pause_generation = m->report.pause_generation;
		node->durable.paused = m->report.paused;
		pgha_act(step, PGHA_ACT_WRITE_STATE);
		if (news)
			pgha_tell(step, pgha_because(m->report.paused ? PGHA_WHY_PAUSED : PGHA_WHY_RESUMED_FAILOVER,
										 event->member));
	}

	/* Of the leader that is followed: how far it is, who its synchronous standbys are, where it runs. */
	if (event->member == pgha_known_leader(node) && !m->report.in_recovery &&
		pgha_claim_compare(&m->report.claim, &node->durable.claim) == 0)
	{
		PghaSync	sync = m->report.sync;

		node->leader_end = (pgha_lsn) pgha_later((pgha_time) node->leader_end,
											(pgha_time) m->report.wal_end);
		remember_gap(node, &m->report.gap);
		if (sync.method == PGHA_SYNC_FIRST && sync.current == 0)
			sync.current = node->durable.sync.current;

		/* What was confirmed before was confirmed by others. */
		if ((sync.current & ~node->durable.sync.current & (UINT32_C(1) << node->settings.self)) != 0)
			node->sync_reach = m->report.wal_end;
		if (sync.method != node->durable.sync.method ||
			sync.num_sync != node->durable.sync.num_sync ||
			sync.num_listed != node->durable.sync.num_listed ||
			sync.listed != node->durable.sync.listed ||
			sync.current != node->durable.sync.current)
		{
			node->durable.sync = sync;
			pgha_act(step, PGHA_ACT_WRITE_STATE);
		}
		if (strcmp(node->durable.leader_instance, m->report.ec2_instance) != 0)
		{
			strcpy(node->durable.leader_instance, m->report.ec2_instance);
			pgha_act(step, PGHA_ACT_WRITE_STATE);
		}
	}
}

bool
pgha_ask_meanwhile(PghaNode *node, int member, pgha_time now)
{
	PghaMember *m = &node->member[member];

	if (m->asking)
		return false;
	m->asking = true;
	m->asked = now;
	return true;
}

PghaPassive
pgha_find_passive(const PghaNode *node)
{
	bool		ours = false;
	bool		others = false;
	const PghaMember *self = &node->member[node->settings.self];

	if (node->local.in_recovery && node->local.passive != PGHA_ACTIVE)
		return node->local.passive;
	if (pgha_counts(node, self) && self->report.instance != node->settings.instance)
		return PGHA_PASSIVE_NAME_IN_USE;
	if (!node->local.in_recovery)
		return PGHA_ACTIVE;
	for (int i = 0; i < node->settings.count; i++)
	{
		const PghaMember *m = &node->member[i];

		if (pgha_is_self(node, i) || m->heard == 0)
			continue;
		if (m->report.system_identifier == node->settings.system_identifier)
			ours = true;
		else if (m->contact == PGHA_CONTACT_ANSWERED)
			others = true;
	}
	return others && !ours ? PGHA_PASSIVE_OTHER_SYSTEM : PGHA_ACTIVE;
}

/* A member or a witness. */
static int
find_anybody(const PghaNode *node, const char *name)
{
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		if (strcmp(node->settings.name[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

/* A set of members in the numbering of new settings. */
static uint32_t
renumber(const PghaNode *old, const PghaSettings *settings, uint32_t members)
{
	uint32_t	renumbered = 0;

	for (int i = 0; i < settings->count; i++)
	{
		int			was = pgha_find_member(old, settings->name[i]);

		if (was != PGHA_NOBODY && (members & (UINT32_C(1) << was)) != 0)
			renumbered |= UINT32_C(1) << i;
	}
	return renumbered;
}

void
pgha_node_configure(PghaNode *node, const PghaSettings *settings)
{
	PghaNode	old = *node;

	node->settings = *settings;
	memset(node->member, 0, sizeof(node->member));
	for (int i = 0; i < pgha_everybody(node); i++)
	{
		int			was = find_anybody(&old, settings->name[i]);

		if (was != PGHA_NOBODY)
			node->member[i] = old.member[was];

		/* Requests under way are dropped by the caller; others' numbering is lost. */
		node->member[i].asking = false;
		node->member[i].report.slots = 0;
	}
	node->durable.sync.listed = renumber(&old, settings, old.durable.sync.listed);
	node->durable.sync.current = renumber(&old, settings, old.durable.sync.current);
	node->upstream = PGHA_NOBODY;
	if (old.upstream != PGHA_NOBODY)
		node->upstream = pgha_find_member(node, old.settings.name[old.upstream]);
	node->history_of = PGHA_NOBODY;
	node->history_asked = false;
	memset(&node->compared, 0, sizeof(node->compared));
	node->compared.with = PGHA_NOBODY;
	node->stopped = PGHA_NOBODY;
	if (old.stopping != PGHA_NOBODY)
		node->stopping = pgha_find_member(node, old.settings.name[old.stopping]);
	if (old.voting.handover != PGHA_NOBODY)
		node->voting.handover = pgha_find_member(node, old.settings.name[old.voting.handover]);
	node->not_fenced = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
	node->voting.obstacle = pgha_because(PGHA_WHY_NONE, PGHA_NOBODY);
}
