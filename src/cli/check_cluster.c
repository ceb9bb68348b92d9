/*
 * check_cluster.c
 *		Checks of `pgha check` on the cluster, as the server that was asked sees it.
 *
 * They judge what check.c has fetched, and ask nothing.  A fact has three values:
 * what the server does not know is UNKNOWN, never OK.
 */
#include "check_items.h"

#include <stdio.h>
#include <string.h>

#include "check_limits.h"
#include "cluster.h"

/* ---- helpers ---- */

const char *
pgha_check_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

void
pgha_check_elsewhere(PghaCheckContext *check, const char *name, const char *why)
{
	if (check->named)
		pgha_check_find(&check->report, name, PGHA_CHECK_UNKNOWN, "%s: %s", name, why);
	else
		pgha_check_find(&check->report, name, PGHA_CHECK_OK, "not looked at: %s", why);
}

static bool
is_witness(const json_t *member)
{
	return json_is_true(json_object_get(member, "witness"));
}

static bool
is_reachable(const json_t *member)
{
	return json_is_true(json_object_get(member, "reachable"));
}

static bool
is_one_of(const char *word, const char *const *words)
{
	while (*words != NULL && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

static const json_t *
find_member(const PghaCheckContext *check, const char *node)
{
	size_t		index;
	const json_t *member;

	json_array_foreach(check->members, index, member)
		if (pgha_has_text(member, "node", node))
			return member;
	return NULL;
}

/* ---- who leads ---- */

void
pgha_check_role(PghaCheckContext *check)
{
	const char *role = pgha_check_text(check->status, "role");
	const char *state = pgha_check_text(check->status, "state");
	bool		any = check->role == NULL || strcmp(check->role, "any") == 0;
	bool		fits = any ? strcmp(role, "none") != 0 : strcmp(role, check->role) == 0 && strcmp(state, role) == 0;

	pgha_check_find(&check->report, "role", fits ? PGHA_CHECK_OK : PGHA_CHECK_CRITICAL,
					fits ? "%s is a %s" : "%s is a %s (%s), not %s", check->node, role, state, any ? "a member" : check->role);
}

void
pgha_check_primary(PghaCheckContext *check)
{
	char		names[1024];
	int			count = pgha_list_primaries(check->members, names, sizeof(names));

	if (count == 1)
		pgha_check_find(&check->report, "primary", PGHA_CHECK_OK, "%s leads", names);
	else if (count > 1)
		pgha_check_find(&check->report, "primary", PGHA_CHECK_CRITICAL, "%d members claim to lead: %s", count, names);
	else
		pgha_check_find(&check->report, "primary", PGHA_CHECK_CRITICAL, "no member leads, as %s sees it: %s", check->node,
						pgha_check_text(check->status, "reason"));
}

void
pgha_check_state(PghaCheckContext *check)
{
	static const char *const sound[] = {"primary", "standby", "witness", NULL};
	static const char *const sick[] = {"diverged", "passive", NULL};
	const char *state = pgha_check_text(check->status, "state");
	PghaCheckState found = is_one_of(state, sound) ? PGHA_CHECK_OK : is_one_of(state, sick) ? PGHA_CHECK_CRITICAL : PGHA_CHECK_WARNING;

	pgha_check_find(&check->report, "state", found, "%s is %s: %s", check->node, state, pgha_check_text(check->status, "reason"));
}

void
pgha_check_gate(PghaCheckContext *check)
{
	const char *gate = pgha_check_text(check->status, "gate");
	const json_t *lease = json_object_get(check->status, "lease_ms");

	if (!check->primary)
		pgha_check_elsewhere(check, "gate", "this server is no primary, which alone accepts commits");
	else if (strcmp(gate, "open") != 0)
		pgha_check_find(&check->report, "gate", PGHA_CHECK_CRITICAL, "%s accepts no commits: %s", check->node,
						pgha_check_text(check->status, "reason"));
	else
		pgha_check_find(&check->report, "gate", PGHA_CHECK_OK, "%s accepts commits", check->node);
	if (json_is_integer(lease))
		pgha_check_value(&check->report, "lease", (double) json_integer_value(lease) / 1000, "s", NULL, NULL, -1);
}

/*
 * Those who vote, and how many of them answer.  Of whom it is not known whether they vote,
 * they count as well, and all do where nobody votes yet.
 */
static int
count_voters(const PghaCheckContext *check, int *heard)
{
	int			voters = 0;
	int			answering = 0;
	size_t		index;
	const json_t *member;

	*heard = 0;
	json_array_foreach(check->members, index, member)
	{
		bool		votes = !json_is_false(json_object_get(member, "votes"));

		voters += votes;
		*heard += votes && is_reachable(member);
		answering += is_reachable(member);
	}
	if (voters > 0)
		return voters;
	*heard = answering;
	return (int) json_array_size(check->members);
}

/* Do those that answer have the majority? */
void
pgha_check_quorum(PghaCheckContext *check)
{
	const char *quorum = pgha_check_text(check->status, "quorum");
	int			heard;
	int			voters = count_voters(check, &heard);

	if (strncmp(quorum, "in force", 8) == 0 || strncmp(quorum, "not yet", 7) == 0)
	{
		char		limit[PGHA_LIMIT_TEXT];

		(void) pgha_check_limit_text(voters / 2 + 1, true, limit);
		pgha_check_value(&check->report, "voters", heard, "", NULL, limit, voters);
	}
	if (*quorum == '\0')
		pgha_check_find(&check->report, "quorum", PGHA_CHECK_UNKNOWN, "%s does not say whether the members vote", check->node);
	else if (strncmp(quorum, "off", 3) == 0)
		pgha_check_find(&check->report, "quorum", check->named ? PGHA_CHECK_WARNING : PGHA_CHECK_OK, "quorum %s", quorum);
	else if (heard <= voters / 2)
		pgha_check_find(&check->report, "quorum", PGHA_CHECK_CRITICAL, "quorum lost: %s hears %d of %d voters", check->node, heard, voters);
	else if (strncmp(quorum, "not yet", 7) == 0)
		pgha_check_find(&check->report, "quorum", PGHA_CHECK_WARNING, "quorum %s", quorum);
	else if (pgha_has_text(check->status, "vote", "not known"))
		pgha_check_find(&check->report, "quorum", PGHA_CHECK_WARNING, "what %s voted in is lost (pgha.state)", check->node);
	else
		pgha_check_find(&check->report, "quorum", PGHA_CHECK_OK, "quorum %s, %d of %d voters answer", quorum, heard, voters);
}

/* ---- the others ---- */

void
pgha_check_members(PghaCheckContext *check)
{
	static const char *const sick[] = {"diverged", "fenced", "error", "passive", NULL};
	int			heard = 0;
	int			bad = 0;
	size_t		index;
	const json_t *member;

	json_array_foreach(check->members, index, member)
	{
		const char *node = pgha_check_text(member, "node");
		const char *state = pgha_check_text(member, "state");
		const char *error = pgha_check_text(member, "error");
		const char *kind = is_witness(member) ? "witness " : "";

		heard += is_reachable(member);
		if (strcmp(state, "unknown") == 0)
			pgha_check_find(&check->report, "members", PGHA_CHECK_UNKNOWN, "%s%s: not known: %s", kind, node,
							*error != '\0' ? error : "not asked yet");
		else if (!is_reachable(member))
			pgha_check_find(&check->report, "members", PGHA_CHECK_WARNING, "%s%s cannot be reached: %s", kind, node,
							*error != '\0' ? error : state);
		else if (is_one_of(state, sick))
			pgha_check_find(&check->report, "members", PGHA_CHECK_WARNING, "%s%s is %s%s%s", kind, node, state,
							*error != '\0' ? ": " : "", error);
		else
			continue;
		bad++;
	}
	if (bad == 0)
		pgha_check_find(&check->report, "members", PGHA_CHECK_OK, "all %d members answer", heard);
	pgha_check_value(&check->report, "members", heard, "", NULL, NULL, (double) json_array_size(check->members));
}

/* How many standbys could take over: lower limits. */
void
pgha_check_redundancy(PghaCheckContext *check)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_REDUNDANCY];
	char		texts[2][PGHA_LIMIT_TEXT];
	char		barred[512] = "";
	size_t		length = 0;
	int			able = 0;
	int			unknown = 0;
	int			standbys = 0;
	int			data = 0;
	size_t		index;
	const json_t *member;
	PghaCheckState state;

	json_array_foreach(check->members, index, member)
	{
		const json_t *candidate = json_object_get(member, "candidate");
		bool		leads = pgha_member_leads(member);

		data += !is_witness(member);
		if (is_witness(member) || leads)
			continue;
		standbys++;
		if (is_reachable(member) && json_is_true(candidate))
			able++;
		else if (pgha_has_text(member, "state", "unknown") || (is_reachable(member) && json_is_null(candidate)))
			unknown++;
		else if (length < sizeof(barred))
			length += (size_t) snprintf(barred + length, sizeof(barred) - length, ", not %s (%s)", pgha_check_text(member, "node"),
										pgha_check_text(member, "state"));
	}
	if (data < 2 && !check->named)
	{
		pgha_check_find(&check->report, "redundancy", PGHA_CHECK_OK, "there is no other member that could take over");
		return;
	}
	state = able < limits->critical ? PGHA_CHECK_CRITICAL : able < limits->warning ? PGHA_CHECK_WARNING : PGHA_CHECK_OK;
	if (state != PGHA_CHECK_OK && able + unknown >= limits->warning)
		state = PGHA_CHECK_UNKNOWN;
	pgha_check_find(&check->report, "redundancy", state, "%d of %d standbys could take over%s", able, standbys, barred);
	pgha_check_value(&check->report, "standbys", able, "", pgha_check_limit_text(limits->warning, true, texts[0]),
					 pgha_check_limit_text(limits->critical, true, texts[1]), data > 0 ? data - 1 : 0);
}

/* The primary knows of all agents, another member of its own. */
void
pgha_check_agents(PghaCheckContext *check)
{
	char		names[2][512] = {"", ""};
	size_t		length[2] = {0, 0};
	size_t		index;
	const json_t *member;

	if (check->witness)
	{
		pgha_check_elsewhere(check, "agents", "a witness knows of none; ask the primary");
		return;
	}
	json_array_foreach(check->members, index, member)
	{
		const json_t *agent = json_object_get(member, "agent");
		const char *node = pgha_check_text(member, "node");
		int			which = json_is_false(agent) ? 0 : 1;

		if (is_witness(member) || json_is_true(agent) || (!check->primary && strcmp(node, check->node) != 0))
			continue;
		if (length[which] < sizeof(names[which]))
			length[which] += (size_t) snprintf(names[which] + length[which], sizeof(names[which]) - length[which], "%s%s",
											   length[which] > 0 ? ", " : "", node);
	}
	if (length[0] > 0)
		pgha_check_find(&check->report, "agents", PGHA_CHECK_WARNING, "no agent for %s", names[0]);
	if (length[1] > 0)
		pgha_check_find(&check->report, "agents", PGHA_CHECK_UNKNOWN, "not known whether there is an agent for %s", names[1]);
	if (length[0] + length[1] == 0)
		pgha_check_find(&check->report, "agents", PGHA_CHECK_OK, "%s connected",
						check->primary ? "the agents of all members are" : "this member's agent is");
}

/* ---- what went wrong before ---- */

/* The agent of a node has said that there is no data directory, or not a whole one. */
static int
check_data(PghaCheckContext *check)
{
	static const char *const gone[] = {"absent", "marked", "crashed", NULL};
	int			bad = 0;
	size_t		index;
	const json_t *server;

	json_array_foreach(json_object_get(check->server, "agents"), index, server)
	{
		const char *what = pgha_check_text(server, "server");
		const char *node = pgha_check_text(server, "node");
		bool		unclear = strcmp(what, "unknown") == 0;

		if (json_is_true(json_object_get(server, "running")) || (!unclear && !is_one_of(what, gone)))
			continue;
		pgha_check_find(&check->report, "recoveries", unclear ? PGHA_CHECK_UNKNOWN : PGHA_CHECK_WARNING, "%s: %s", node,
						strcmp(what, "absent") == 0 ? "its data directory is lost" :
						strcmp(what, "marked") == 0 ? "its data directory is not whole" :
						unclear ? "its agent cannot tell what its server is; its log says why" : "its server has crashed, and is down");
		bad++;
	}
	return bad;
}

void
pgha_check_recoveries(PghaCheckContext *check)
{
	int			bad = 0;
	size_t		index;
	const json_t *recovery;

	if (!check->primary)
	{
		pgha_check_elsewhere(check, "recoveries", "the primary knows of them");
		return;
	}
	json_array_foreach(json_object_get(check->cluster, "recoveries"), index, recovery)
	{
		const char *node = pgha_check_text(recovery, "node");
		const json_t *member = find_member(check, node);

		/* One that is well again was brought back in another way. */
		if (!pgha_has_text(recovery, "outcome", "failed") ||
			(member != NULL && is_reachable(member) && (pgha_has_text(member, "state", "standby") || pgha_member_leads(member))))
			continue;
		pgha_check_find(&check->report, "recoveries", PGHA_CHECK_WARNING, "the recovery of %s has failed: %s", node,
						pgha_check_text(recovery, "message"));
		bad++;
	}
	bad += check_data(check);
	if (bad == 0)
		pgha_check_find(&check->report, "recoveries", PGHA_CHECK_OK, "no recovery has failed");
}

void
pgha_check_lost(PghaCheckContext *check)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_LOST];
	char		text[2][PGHA_LIMIT_TEXT];
	int			count = 0;
	size_t		index;
	const json_t *event;

	json_array_foreach(json_object_get(check->server, "lost"), index, event)
	{
		double		age = json_number_value(json_object_get(event, "seconds_ago"));

		if (age > limits->warning)
			continue;
		if (count++ == 0)
			pgha_check_find(&check->report, "lost", PGHA_CHECK_WARNING, "commits were lost, %s ago: %s: %s",
							pgha_check_amount(PGHA_LIMIT_SECONDS, age, text[0]), pgha_check_text(event, "node"),
							pgha_check_text(event, "what"));
	}
	if (count == 0)
		pgha_check_find(&check->report, "lost", PGHA_CHECK_OK, "no commits were lost within %s",
						pgha_check_amount(PGHA_LIMIT_SECONDS, limits->warning, text[1]));
	pgha_check_value(&check->report, "lost", count, "", "0", NULL, -1);
}

/* ---- the address that follows the primary ---- */

void
pgha_check_address(PghaCheckContext *check)
{
	const char *address = pgha_check_text(check->cluster, "follows_primary");
	int			bad = 0;
	int			leaders = 0;
	int			unheard = 0;
	size_t		index;
	const json_t *member;

	if (*address == '\0')
	{
		pgha_check_elsewhere(check, "address", "pgha.address is not set");
		return;
	}
	json_array_foreach(check->members, index, member)
	{
		const char *state = pgha_check_text(member, "address_state");
		const char *node = pgha_check_text(member, "node");
		bool		leads = pgha_member_leads(member);

		leaders += leads;
		unheard += !is_witness(member) && !is_reachable(member);
		if (is_witness(member) || (leads && strcmp(state, "held") == 0) || (!leads && strcmp(state, "held") != 0))
			continue;
		if (*state == '\0')
			pgha_check_find(&check->report, "address", PGHA_CHECK_UNKNOWN, "it is not known whether %s, which leads, holds the address %s", node, address);
		else if (leads)
			pgha_check_find(&check->report, "address", PGHA_CHECK_CRITICAL, "%s leads and does not hold the address %s: %s", node, address, state);
		else
			pgha_check_find(&check->report, "address", is_reachable(member) ? PGHA_CHECK_CRITICAL : PGHA_CHECK_UNKNOWN,
							"%s holds the address %s%s, and does not lead", node, address, is_reachable(member) ? "" : " as last heard");
		bad++;
	}
	if (leaders == 0)
		pgha_check_find(&check->report, "address", unheard > 0 ? PGHA_CHECK_UNKNOWN : PGHA_CHECK_CRITICAL,
						unheard > 0 ? "it is not known who holds the address %s: no member is known to lead" :
						"no member leads, which would hold the address %s", address);
	else if (bad == 0)
		pgha_check_find(&check->report, "address", PGHA_CHECK_OK, "the primary holds the address %s", address);
}

/* ---- a pause ---- */

void
pgha_check_pause(PghaCheckContext *check)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_PAUSE];
	const json_t *seconds = json_object_get(check->server, "paused_seconds");
	double		age = json_is_number(seconds) ? json_number_value(seconds) : -1;
	char		text[PGHA_LIMIT_TEXT];

	if (!json_is_boolean(json_object_get(check->status, "paused")))
		pgha_check_find(&check->report, "pause", PGHA_CHECK_UNKNOWN, "not known whether failover is paused");
	else if (json_is_false(json_object_get(check->status, "paused")))
		pgha_check_find(&check->report, "pause", PGHA_CHECK_OK, "failover is not paused");
	else if (age < 0)
		pgha_check_find(&check->report, "pause", PGHA_CHECK_WARNING, "failover is paused, it is not known since when");
	else
		pgha_check_find(&check->report, "pause", pgha_check_above(limits, age), "failover is paused for %s",
						pgha_check_amount(PGHA_LIMIT_SECONDS, age, text));
}
