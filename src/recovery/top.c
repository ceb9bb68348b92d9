/*
 * top.c
 *		What is special in the two data directories, before anything changes.
 *
 * Small files, links and directories that an administrator has put at the top of
 * this node's are carried along (settings.c).  What cannot be is kept with the
 * former data directory, by a clone beside it; else the recovery is refused.  What
 * pg_rewind or pg_basebackup cannot read on the leader is known ahead, too.
 */
#include "top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/extension.h"
#include "../host/top.h"
#include "leader.h"

#define MAX_DIRECTORIES	64

static char leaders[MAX_DIRECTORIES][256];
static int	leaders_count;
static char to_keep[400];

/* ---- the leader's ---- */

static bool
take_leaders(PghaJobRun *run, const PGresult *rows, PghaTopUse use)
{
	const char *leader = run->conf->members.member[run->leader].name;

	leaders_count = 0;
	for (int i = 0; i < PQntuples(rows); i++)
	{
		const char *name = PQgetvalue(rows, i, 0);
		const char *kind = PQgetvalue(rows, i, 1);

		if (strcmp(kind, "directory") == 0 && leaders_count < MAX_DIRECTORIES)
			(void) snprintf(leaders[leaders_count++], sizeof(leaders[0]), "%s", name);
		else if (strcmp(kind, "special") == 0 && use == PGHA_TOP_REWIND)
			return pgha_job_fail(run, STATE_NOT_IN_STATE, "It is a socket, a FIFO or a device.",
								 "Move it out of the primary's data directory, or use the method clone.",
								 "pg_rewind cannot read \"%s\" in the data directory of the primary \"%s\"", name, leader);
		else if (strcmp(kind, "link") == 0 && use != PGHA_TOP_REWIND && run->conf->clone_command[0] == '\0')
			return pgha_job_fail(run, STATE_NOT_IN_STATE, "pg_basebackup leaves out what is a symbolic link there.",
								 "Use a tablespace instead of the link, or set pgha.clone_command.",
								 "\"%s\" in the data directory of the primary \"%s\" is a symbolic link", name, leader);
	}
	return true;
}

static bool
ask_leader(PghaJobRun *run, PGconn *leader, PghaTopUse use)
{
	char		error[512];
	char		query[512];
	char	   *schema = pgha_member_query(leader, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	PGresult   *rows;
	bool		done;

	(void) snprintf(query, sizeof(query), "SELECT name, kind FROM %s.pgha_agent_files()", schema != NULL ? schema : "");
	free(schema);
	rows = PQexec(leader, query);
	done = PQresultStatus(rows) == PGRES_TUPLES_OK ? take_leaders(run, rows, use) :
		pgha_job_fail(run, PQstatus(leader) == CONNECTION_OK ? STATE_NOT_IN_STATE : STATE_CONNECTION,
					  PQresultErrorMessage(rows), "The primary's extension pgha must be of the same version.",
					  "could not ask the primary for its files");
	PQclear(rows);
	return done;
}

bool
pgha_top_is_leaders(const char *name)
{
	for (int i = 0; i < leaders_count; i++)
	{
		if (strcmp(leaders[i], name) == 0)
			return true;
	}
	return false;
}

/* ---- this node's ---- */

typedef struct Look
{
	PghaJobRun *run;
	PghaTopUse	use;
} Look;

/* Is this kind no reason to refuse? */
static bool
is_fine(PghaTopKind kind, PghaTopUse use)
{
	switch (kind)
	{
		case PGHA_TOP_FILE:
		case PGHA_TOP_LINK:
		case PGHA_TOP_DIRECTORY:
			return true;
		case PGHA_TOP_BULKY:
		case PGHA_TOP_LOCKED:
			return use == PGHA_TOP_BESIDE;
		case PGHA_TOP_SPECIAL:
			return use != PGHA_TOP_IN_PLACE;
		case PGHA_TOP_UNREADABLE:
			break;
	}
	return false;
}

static bool
judge(const char *name, PghaTopKind kind, void *arg)
{
	const Look *look = arg;
	const char *data = look->run->conf->data;
	const char *matter = pgha_top_matter(kind);

	/* Changes in what both have are the leader's. */
	if (matter == NULL || (kind == PGHA_TOP_BULKY && pgha_top_is_leaders(name)))
		return true;
	if (!is_fine(kind, look->use))
		return pgha_job_fail(look->run, STATE_IO, NULL, kind == PGHA_TOP_UNREADABLE ?
							 "Let the server's user read it, or move it out of the data directory." :
							 kind == PGHA_TOP_LOCKED ?
							 "Give it to the server's user, without chattr's flags, or move it out of the data directory." :
							 "Move it out of the data directory.",
							 "\"%s\" in \"%s\" is not PostgreSQL's, and %s; nothing was changed", name, data, matter);
	if (look->use == PGHA_TOP_BESIDE && to_keep[0] == '\0')
		(void) snprintf(to_keep, sizeof(to_keep), "\"%.200s\" in it is not PostgreSQL's, and %s", name, matter);
	return true;
}

bool
pgha_top_look(PghaJobRun *run, PGconn *leader, PghaTopUse use)
{
	Look		look = {run, use};

	to_keep[0] = '\0';
	if (!ask_leader(run, leader, use))
		return false;
	/* What is not whole was looked at before. */
	if (!run->data_ok)
		return true;
	pgha_job_forget_failure(run);
	if (pgha_top_scan(run->conf->data, judge, &look))
		return true;
	return run->sqlstate[0] == '\0' ?
		pgha_job_fail(run, STATE_IO, NULL, NULL, "could not read directory \"%s\": %s", run->conf->data, strerror(errno)) : false;
}

const char *
pgha_top_to_keep(void)
{
	return to_keep;
}
