/*
 * spared.c
 *		Can the vote of this node's server be spared while it is down?
 *
 * Where the members vote, the leader needs the promises of a majority.  A server that
 * has diverged promises as any other one does: stopped for a rewind at the wrong moment
 * it takes the majority away, the leader steps down, and the rewind fails as well.
 *
 * Of two that have diverged the first by name goes first, as long as its agent is
 * there: the last one of those that are down together has counted none of the others.
 */
#include "spared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/extension.h"
#include "../host/server_ctl.h"
#include "leader.h"

#define WAIT_MS			60000
#define LOOK_MS			500

typedef enum Vote
{
	VOTE_SPARED,
	VOTE_IN_TURN,				/* another one goes first */
	VOTE_NEEDED
} Vote;

/* By what the leader sees; it promises itself.  Whose vote is open promises nothing. */
static const char *const question =
	"SELECT CASE WHEN NOT (SELECT quorum LIKE 'in force%%' FROM %s.pgha_status()) OR count(*) FILTER (WHERE promises AND NOT first) > count(*) / 2"
	" THEN 'spared' WHEN count(*) FILTER (WHERE promises) > count(*) / 2 THEN 'in turn' ELSE 'needed' END"
	" FROM (SELECT node <> $1 AND (node = self OR reachable AND vote IS NULL AND pg_catalog.starts_with(supports, self || ' (')) AS promises,"
	" state = 'diverged' AND agent AND node < $1 AS first"
	" FROM %s.pgha_cluster(), pg_catalog.current_setting('pgha.node') AS self) AS voter";

static Vote
ask(PghaJobRun *run, PGconn *leader)
{
	char		error[512];
	char		query[1024];
	char	   *schema = pgha_member_query(leader, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	char	   *text = NULL;
	Vote		vote = VOTE_SPARED;

	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query), question, schema, schema);
		text = pgha_member_query(leader, query, run->conf->members.member[run->conf->self].name, error, sizeof(error));
	}
	if (text != NULL && strcmp(text, "in turn") == 0)
		vote = VOTE_IN_TURN;
	else if (text != NULL && strcmp(text, "needed") == 0)
		vote = VOTE_NEEDED;
	free(text);
	free(schema);
	return vote;
}

static bool
await_spared(PghaJobRun *run, PGconn *leader)
{
	const char *name = run->conf->members.member[run->leader].name;
	int64_t		start = pgha_awake_ms();
	bool		told = false;

	for (;;)
	{
		Vote		vote = ask(run, leader);

		/* Whose turn it is may be unable to go; it has had the time. */
		if (vote == VOTE_SPARED || (vote == VOTE_IN_TURN && pgha_awake_ms() - start > WAIT_MS))
			return true;
		if (pgha_awake_ms() - start > WAIT_MS)
			return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Start the others that vote.",
								 "without the vote of this node the primary \"%s\" would have no majority", name);
		if (!told && !pgha_job_phase(run, "waiting", vote == VOTE_NEEDED ?
									 "is not stopped yet: the primary \"%s\" would have no majority" :
									 "is not stopped yet: another one goes first, so that the primary \"%s\" has a majority", name))
			return false;
		told = true;
		if (!pgha_job_check_cancel(run))
			return false;
		pgha_job_sleep(run, LOOK_MS);
	}
}

bool
pgha_await_spared(PghaJobRun *run)
{
	PGconn	   *leader;
	pid_t		pid;
	bool		spared;

	if (pgha_server_look(run->conf, &pid) != PGHA_SERVER_RUNNING)
		return true;
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	spared = await_spared(run, leader);
	PQfinish(leader);
	return spared;
}
