/*
 * config_votes.c
 *		The settings of who votes, and how: a part of config.c's set.
 *
 * Members and witnesses vote where there are three of them or more; where there
 * are fewer no majority outlives the loss of one, and a cluster does what it does
 * without votes (quorum.md, 2 and 7).  What is in the files is a wish besides:
 * whom a cluster has let vote is remembered in pgha.state, and a file cannot take
 * that back (PghaConfigKeepVoters() in config.c).
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "../common/timing.h"
#include "../core/rule.h"
#include "config_votes.h"

/* Fewer cannot lose one and still have a majority. */
#define VOTERS_NEEDED	3

enum
{
	QUORUM_AUTO, QUORUM_ON, QUORUM_OFF
};

int			pgha_quorum = QUORUM_AUTO;
char	   *pgha_witnesses = NULL;
int			pgha_lease_ttl = 0;
bool		pgha_refused_is_down = true;

static const struct config_enum_entry quorum_options[] = {
	{"auto", QUORUM_AUTO, false},
	{"on", QUORUM_ON, false},
	{"off", QUORUM_OFF, false},
	{NULL, 0, false}
};

void
PghaConfigVotesInit(void)
{
	DefineCustomEnumVariable("pgha.quorum",
							 "Whether the members and witnesses elect the primary by majority.",
							 "auto: if there are three of them or more. With fewer there is no majority to lose one of.",
							 &pgha_quorum, QUORUM_AUTO, quorum_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.witnesses",
							   "Servers that vote and have no data: 'name=host:port, …', the same on each node.",
							   "A server whose pgha.node is listed here is a witness.",
							   &pgha_witnesses, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pgha.lease_ttl",
							"How long a primary may acknowledge commits after a majority was last heard.",
							"0: as long as pgha.failure_timeout.",
							&pgha_lease_ttl, 0, 0, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("pgha.refused_is_down",
							 "Whether a refused connection proves that the primary's server has ended.",
							 "Off where a firewall, a proxy or a service address may answer in its place.",
							 &pgha_refused_is_down, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* By the files alone: do the members vote? */
static bool
wants_votes(const PghaMembers *members)
{
	return pgha_quorum != QUORUM_OFF && members->voters >= VOTERS_NEEDED;
}

bool
PghaConfigVotesBuild(PghaMembers *members, PghaSettings *settings, int heartbeat_interval, int failure_timeout,
					 char *error, size_t error_size, char *hint, size_t hint_size)
{
	char		reason[400];
	int			ttl = pgha_lease_ttl != 0 ? pgha_lease_ttl : failure_timeout;
	PghaTiming	timing;

	if (!pgha_witnesses_parse(pgha_witnesses, members, reason, sizeof(reason)))
	{
		snprintf(error, error_size, "pgha.witnesses cannot be read: %.*s", (int) strlen(reason) - 1, reason);
		snprintf(hint, hint_size, "Write pgha.witnesses = 'w-1=10.0.0.3:5433': servers without data, the same on all nodes, at most %d with the members; or '' for none.",
				 PGHA_MAX_MEMBERS);
		return false;
	}
	timing = (PghaTiming) {
		.heartbeat_interval = heartbeat_interval, .failure_timeout = failure_timeout,
		.lease_ttl = pgha_lease_ttl, .votes = wants_votes(members)
	};
	if (!pgha_timing_check_lease(&timing, error, error_size, hint, hint_size))
		return false;
	settings->voters = wants_votes(members) ? members->voters : 0;
	settings->lease_ttl = (pgha_time) ttl * 1000;
	settings->refused_is_down = pgha_refused_is_down;
	return true;
}

void
PghaConfigVotesWarn(const PghaMembers *members)
{
	if (pgha_quorum == QUORUM_OFF && members->voters >= VOTERS_NEEDED)
		ereport(WARNING,
				(errmsg("pgha.quorum is off: two halves of a divided cluster may both acknowledge commits"),
				 errhint("Write pgha.quorum = auto on all nodes; the %d voters are enough for a majority.",
						 members->voters)));
	else if (members->voters < VOTERS_NEEDED && (pgha_quorum == QUORUM_ON || members->voters > members->count))
		ereport(WARNING,
				(errmsg(pgha_quorum == QUORUM_ON ?
						"pgha.quorum is on, but %d voters are too few: nobody votes in this cluster" :
						"there is a witness, but %d voters are too few: nobody votes in this cluster", members->voters),
				 errhint("Add a member to pgha.members or a witness to pgha.witnesses on all nodes, so that there are three voters.")));
}

void
PghaConfigVotesText(const PghaMembers *members, char *text, size_t size)
{
	size_t		length = 0;

	text[0] = '\0';

	/* An older version, which knows nothing of it, must not look like another configuration. */
	if (members->voters == members->count && pgha_quorum == QUORUM_AUTO && pgha_lease_ttl == 0 && pgha_refused_is_down)
		return;
	for (int i = members->count; i < members->voters && length < size; i++)
		length += snprintf(text + length, size - length, "%s=%s:%d ", members->member[i].name,
						   members->member[i].host, members->member[i].port);
	if (length < size)
		snprintf(text + length, size - length, "%d %d %d", pgha_quorum, pgha_lease_ttl, pgha_refused_is_down);
}

/* Nobody is asked twice at one address, and under the name of another. */
static bool
is_listed(const PghaMembers *members, const PghaAddress *address)
{
	for (int i = 0; i < members->voters; i++)
		if (strcmp(members->member[i].name, address->name) == 0 ||
			(members->member[i].port == address->port && strcmp(members->member[i].host, address->host) == 0))
			return true;
	return false;
}

void
PghaConfigKeepLeaving(PghaMembers *members, PghaSettings *settings, const PghaMembers *former,
					  const PghaNode *node)
{
	for (int i = 0; i < former->voters; i++)
	{
		const PghaAddress *address = &former->member[i];

		if (!pgha_is_needed(node, address->name) || is_listed(members, address) ||
			members->voters == PGHA_MAX_MEMBERS)
			continue;
		strlcpy(settings->name[members->voters], address->name, PGHA_NAME_SIZE);
		members->member[members->voters++] = *address;
		settings->leaving++;
	}
	if (settings->leaving > 0)
		settings->voters = members->voters;
}
