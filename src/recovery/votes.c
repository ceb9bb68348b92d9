/*
 * votes.c
 *		What this node has voted in, carried over a rewind or a clone.
 *
 * Where the members vote, a node must never vote twice in a term, nor forget whom
 * it has promised to follow.  It remembers that in pgha.state, which a rewind and
 * a clone bring along from another node.  So its own file is copied to `votes` in
 * the agent directory before its data directory changes, and from there to
 * pgha.votes in the one that it will start with; the server (server/state.c) takes
 * from it what is about votes, and removes it once it has written that itself.
 *
 * The job may be killed at any point, and what is older than the node's last vote
 * is worse than nothing.  Hence, whatever becomes of it:
 *
 *	- `votes` is taken when the server is proven to be down and cannot be started,
 *	  as the data directory is marked.  It counts only until that is whole again:
 *	  while it is not, no server has run on it, and the node has not voted.  What
 *	  such a directory still has of the node's own is not older.
 *	- One that is whole and tells nothing (no file, damaged, another node's) has
 *	  the copy removed: then it is not known what the node has voted in, and it says
 *	  so itself (core/recall.c).
 *	- A clone beside gets pgha.votes directly before the exchange, while the former
 *	  data directory is marked; one that the exchange was interrupted for has it taken
 *	  anew, as that server may have run since.
 */
#include "votes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/durable.h"
#include "../host/state_file.h"

static bool
failed(PghaJobRun *run, const char *what, const char *path)
{
	return pgha_job_fail(run, errno == ENOSPC || errno == EDQUOT ? STATE_DISK_FULL : STATE_IO, NULL, NULL,
						 "could not %s file \"%s\": %s", what, path, strerror(errno));
}

static bool
remove_file(PghaJobRun *run, const char *path)
{
	if (unlink(path) == 0)
		return pgha_sync_parent(path) || failed(run, "remove", path);
	return errno == ENOENT || failed(run, "remove", path);
}

/* A copy that is whole at every moment, or not there. */
static bool
copy(PghaJobRun *run, const char *from, const char *to)
{
	size_t		length = 0;
	char	   *text = pgha_read_file(from, &length);
	bool		done;

	if (text == NULL)
		return failed(run, "read", from);
	done = pgha_write_file(to, text, length, 0600, true);
	free(text);
	if (!done)
		return failed(run, "write", to);
	return pgha_same_content(from, to) ||
		pgha_job_fail(run, STATE_IO, NULL, NULL, "\"%s\" is not what was written into it", to);
}

/*
 * The file of the node's data directory that tells of its votes: pgha.state, or of
 * one that was put into place and has written none yet, what was put there.
 */
static bool
find_own(const PghaJobRun *run, char *path)
{
	PghaStateFacts facts;
	PghaStateLook look = pgha_state_file_read(run->conf->data, &facts);

	(void) snprintf(path, PATH_MAX + 32, "%s/pgha.state", run->conf->data);
	if (look == PGHA_STATE_FILE_ABSENT)
	{
		(void) snprintf(path, PATH_MAX + 32, "%s/" PGHA_VOTES_FILE, run->conf->data);
		look = pgha_votes_file_read(run->conf->data, &facts);
	}
	return look == PGHA_STATE_FILE_READ && strcmp(facts.node, run->conf->members.member[run->conf->self].name) == 0;
}

bool
pgha_votes_save(PghaJobRun *run)
{
	char		saved[PATH_MAX + 32];
	char		own[PATH_MAX + 32];

	pgha_job_path(run->conf, "votes", saved);
	if (find_own(run, own))
		return copy(run, own, saved);
	return !run->data_ok || remove_file(run, saved);
}

bool
pgha_votes_clear(PghaJobRun *run, const char *data)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/" PGHA_VOTES_FILE, data);
	return remove_file(run, path);
}

bool
pgha_votes_put(PghaJobRun *run, const char *data)
{
	char		saved[PATH_MAX + 32];
	char		path[PATH_MAX + 32];

	pgha_job_path(run->conf, "votes", saved);
	if (access(saved, F_OK) != 0)
		return errno == ENOENT ? pgha_votes_clear(run, data) : failed(run, "read", saved);
	(void) snprintf(path, sizeof(path), "%s/" PGHA_VOTES_FILE, data);
	return copy(run, saved, path);
}
