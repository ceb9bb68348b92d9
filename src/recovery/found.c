/*
 * found.c
 *		What a recovery finds: whose directory that is, and how far it has come.
 *
 * Only looks.  What cannot be told is said to be so; deciding is the table's.
 */
#include "found.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/extension.h"
#include "../host/server_ctl.h"
#include "../host/state_file.h"
#include "history.h"
#include "leader.h"

/* pg_control of another directory than the node's. */
static bool
read_control(const PghaJobRun *run, const char *path, PghaControl *control)
{
	static PghaAgentConf there;
	char		error[600];

	there = *run->conf;
	(void) snprintf(there.data, sizeof(there.data), "%s", path);
	return pgha_server_control(&there, control, error, sizeof(error));
}

static pgha_lsn
end_of(const PghaControl *control)
{
	return control->checkpoint_lsn > control->min_recovery_lsn ? control->checkpoint_lsn : control->min_recovery_lsn;
}

void
pgha_found_directory(const PghaJobRun *run, const char *path, PghaDirectory *directory)
{
	struct stat st;
	char		file[PATH_MAX + 32];
	PghaControl control;
	PghaStateFacts facts;

	memset(directory, 0, sizeof(*directory));
	if (stat(path, &st) != 0)
		return;
	directory->device = (uint64_t) st.st_dev;
	directory->inode = (uint64_t) st.st_ino;
	(void) snprintf(file, sizeof(file), "%s/global/pg_control", path);
	if (stat(file, &st) != 0 || !read_control(run, path, &control))
		return;
	directory->written = (uint64_t) st.st_mtim.tv_sec * 1000000000u + (uint64_t) st.st_mtim.tv_nsec;
	directory->end = end_of(&control);
	directory->shut_down = strncmp(control.state, "shut down", 9) == 0;
	switch (pgha_state_file_read(path, &facts))
	{
		case PGHA_STATE_FILE_READ:
			/*
			 * The term is that of the data.  A copy has brought it along from another
			 * node together with them; only another cluster's says nothing.
			 */
			if (facts.system_identifier == control.system_identifier)
				directory->term = facts.term;
			break;
		case PGHA_STATE_FILE_ABSENT:
			break;
		case PGHA_STATE_FILE_UNUSABLE:
			directory->unreadable = true;
			break;
	}
}

bool
pgha_found_same(const PghaDirectory *one, const PghaDirectory *other)
{
	return one->inode != 0 && one->inode == other->inode && one->device == other->device;
}

PghaFact
pgha_found_changed(const PghaDirectory *now, const PghaDirectory *before)
{
	if (!pgha_found_same(now, before))
		return PGHA_YES;
	if (now->written == 0 || before->written == 0)
		return PGHA_NOT_KNOWN;
	return now->written == before->written && now->term == before->term && now->end <= before->end ?
		PGHA_NO : PGHA_YES;
}

PghaFact
pgha_found_paused(const PghaJobRun *run)
{
	PghaStateFacts facts;
	const char *self = run->conf->members.member[run->conf->self].name;

	switch (pgha_state_file_read(run->conf->data, &facts))
	{
		case PGHA_STATE_FILE_READ:
			/* Another node's, which a copy has brought along, says nothing of this one. */
			if (strcmp(facts.node, self) == 0)
				return facts.paused ? PGHA_YES : PGHA_NO;
			break;
		case PGHA_STATE_FILE_ABSENT:
			/* Where there is nobody else to ask, a server that has left nothing behind was never paused. */
			if (run->conf->members.count < 2)
				return PGHA_NO;
			break;
		case PGHA_STATE_FILE_UNUSABLE:
			break;
	}
	return PGHA_NOT_KNOWN;
}

/* A column of what the leader says of itself, while it leads; NULL: not known. */
static char *
leader_status(PGconn *leader, const char *column)
{
	char		error[512];
	char		query[256];
	char	   *schema = pgha_member_query(leader, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	char	   *text = NULL;

	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query), "SELECT %s FROM %s.pgha_status() WHERE state = 'primary'", column, schema);
		text = pgha_member_query(leader, query, NULL, error, sizeof(error));
	}
	free(schema);
	return text;
}

PghaFact
pgha_found_leader_paused(PGconn *leader)
{
	char	   *text = leader_status(leader, "paused");
	PghaFact	paused = PGHA_NOT_KNOWN;

	if (text != NULL && *text != '\0')
		paused = strcmp(text, "f") == 0 ? PGHA_NO : PGHA_YES;
	free(text);
	return paused;
}

uint64_t
pgha_found_leader_term(PGconn *leader)
{
	char	   *text = leader_status(leader, "term");
	uint64_t	term = text != NULL ? strtoull(text, NULL, 10) : 0;

	free(text);
	return term;
}

/* One that has no term was never led or followed under pgha: its WAL tells, and own.c compares that. */
PghaFact
pgha_found_above(const PghaDirectory *directory, uint64_t term)
{
	if (directory->unreadable || directory->written == 0 || term == 0)
		return PGHA_NOT_KNOWN;
	return directory->term > term ? PGHA_YES : PGHA_NO;
}

/* Has the leader written that far? */
static PghaFact
has_reached(PGconn *leader, pgha_lsn end)
{
	char		error[512];
	char	   *text = pgha_member_query(leader, "SELECT pg_catalog.pg_current_wal_flush_lsn()", NULL, error, sizeof(error));
	pgha_lsn	reached = text != NULL ? pgha_lsn_of(text) : 0;

	free(text);
	if (reached == 0)
		return PGHA_NOT_KNOWN;
	return end <= reached ? PGHA_YES : PGHA_NO;
}

PghaFact
pgha_found_contained(const PghaJobRun *run, PGconn *leader, const char *path)
{
	static PghaAgentConf there;
	static PghaJobRun asks;		/* its failure is none of the job's */
	PghaControl control;
	PghaFork	fork;
	pgha_lsn	end;
	PghaFact	contained;

	if (leader == NULL || !read_control(run, path, &control) || control.system_identifier == 0)
		return PGHA_NOT_KNOWN;
	there = *run->conf;
	(void) snprintf(there.data, sizeof(there.data), "%s", path);
	asks = *run;
	asks.conf = &there;
	if (!pgha_fork_find(&asks, leader, &control, &fork))
		return PGHA_NOT_KNOWN;
	end = end_of(&control);
	if (fork.same_timeline)
		contained = has_reached(leader, end);
	else
		contained = fork.own_timeline == fork.timeline && end <= fork.lsn ? PGHA_YES : PGHA_NO;

	/* By numbers and positions.  What is compared, and differs, is another timeline of that number. */
	if (contained == PGHA_YES && pgha_wal_same(&asks, leader, &control, &fork, end) == PGHA_SAME_NO)
		contained = PGHA_NO;
	return contained;
}
