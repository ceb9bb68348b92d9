/*
 * history.c
 *		Where this node's history and the leader's part, and whether what they
 *		have in common is the same.
 *
 * pg_rewind compares timelines by their numbers.  Two servers that were promoted
 * onto the same number, unknown to each other, have histories that look alike;
 * pg_rewind would then leave foreign rows in place.  pgha gives each node
 * numbers of its own, but a promotion by hand, or lists of members that differ,
 * can still bring it about.  So the WAL itself is compared, just before the
 * point where the histories part: it is chained, so that two histories do not
 * agree there by chance.
 */
#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/durable.h"
#include "leader.h"

/* How much WAL is compared, at most. */
#define COMPARE_SIZE	65536

#define NO_END		UINT64_MAX

/* A timeline's history with itself as the last entry, which has no end. */
static bool
complete_history(PghaHistory *history, const char *text, uint32_t timeline)
{
	char	   *copy;
	bool		parsed;

	memset(history, 0, sizeof(*history));
	history->timeline = timeline;
	if (timeline > 1)
	{
		copy = strdup(text);
		parsed = copy != NULL && pgha_history_parse(copy, timeline, history);
		free(copy);
		if (!parsed || history->shortened || history->count >= PGHA_MAX_HISTORY)
			return false;
	}
	history->entry[history->count].timeline = timeline;
	history->entry[history->count].end = NO_END;
	history->count++;
	return true;
}

static bool
read_own_history(PghaJobRun *run, uint32_t timeline, PghaHistory *history)
{
	char		path[PATH_MAX + 64];
	char	   *text = NULL;
	bool		done;

	(void) snprintf(path, sizeof(path), "%s/pg_wal/%08X.history", run->conf->data, timeline);
	if (timeline > 1 && (text = pgha_read_file(path, NULL)) == NULL)
		return pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, "The method clone builds the node anew.",
							 "could not read timeline history file \"%s\": %s", path, strerror(errno));
	done = complete_history(history, text != NULL ? text : "", timeline);
	free(text);
	return done || pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, "The method clone builds the node anew.",
								 "timeline history file \"%s\" cannot be read", path);
}

/* Where this node leads: nothing else needs a replication login from a node to itself. */
static bool
read_file_of(PGconn *leader, uint32_t timeline, PghaHistory *history, char *error, size_t error_size)
{
	char		name[64];
	char	   *text;
	bool		done;

	(void) snprintf(name, sizeof(name), "pg_wal/%08X.history", timeline);
	text = pgha_member_query(leader, "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file($1::text, 0, 1000000, false), 'escape')",
							 name, error, error_size);
	done = text != NULL && complete_history(history, text, timeline);
	free(text);
	return done;
}

/* From its replication protocol, as a WAL receiver gets it. */
static bool
read_leader_history(PghaJobRun *run, PGconn *leader, uint32_t timeline, PghaHistory *history)
{
	char		error[512] = "no answer";
	char		command[64];
	PGconn	   *conn = NULL;
	PGresult   *result;
	bool		done = false;

	if (timeline == 1)
		return complete_history(history, "", timeline);
	if (run->leader == run->conf->self)
		done = read_file_of(leader, timeline, history, error, sizeof(error));
	else
		conn = pgha_job_connect(run, run->leader, "replication=true connect_timeout=10", error, sizeof(error));
	if (conn != NULL)
	{
		(void) snprintf(command, sizeof(command), "TIMELINE_HISTORY %u", timeline);
		result = PQexec(conn, command);
		if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
			done = complete_history(history, PQgetvalue(result, 0, 1), timeline);
		else
			(void) snprintf(error, sizeof(error), "%s", PQresultErrorMessage(result));
		PQclear(result);
		PQfinish(conn);
	}
	return done || pgha_job_fail(run, STATE_CONNECTION, error, "See that the role of pgha.conninfo has REPLICATION.",
								 "could not read the primary's timeline history %u", timeline);
}

static bool
leader_timeline(PghaJobRun *run, PGconn *leader, uint32_t *timeline)
{
	char		error[512];
	char	   *text = pgha_member_query(leader, "SELECT ('x' || substr(pg_catalog.pg_walfile_name("
										 "pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint",
										 NULL, error, sizeof(error));

	*timeline = text != NULL ? (uint32_t) strtoul(text, NULL, 10) : 0;
	free(text);
	return *timeline != 0 ||
		pgha_job_fail(run, STATE_CONNECTION, error, NULL, "could not ask the primary for its timeline");
}

bool
pgha_fork_find(PghaJobRun *run, PGconn *leader, const PghaControl *control, PghaFork *fork)
{
	static PghaHistory own;
	static PghaHistory theirs;
	int			common = -1;

	memset(fork, 0, sizeof(*fork));
	fork->own_timeline = control->min_recovery_timeline > control->checkpoint_timeline ?
		control->min_recovery_timeline : control->checkpoint_timeline;
	if (!leader_timeline(run, leader, &fork->leader_timeline) ||
		!read_own_history(run, fork->own_timeline, &own) ||
		!read_leader_history(run, leader, fork->leader_timeline, &theirs))
		return false;

	/* Common is a timeline with the same number that begins at the same place. */
	while (common + 1 < own.count && common + 1 < theirs.count &&
		   own.entry[common + 1].timeline == theirs.entry[common + 1].timeline &&
		   (common < 0 || own.entry[common].end == theirs.entry[common].end))
		common++;
	if (common < 0)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "The method clone builds the node anew.",
							 "this node's history and the primary's have no timeline in common");
	fork->timeline = own.entry[common].timeline;
	fork->lsn = own.entry[common].end < theirs.entry[common].end ?
		own.entry[common].end : theirs.entry[common].end;
	fork->same_timeline = fork->lsn == NO_END;
	fork->own = &own;
	fork->theirs = &theirs;
	return true;
}

/* ---- proof ---- */

void
pgha_wal_name(uint32_t timeline, pgha_lsn lsn, const PghaControl *control, char *name)
{
	uint64_t	segment = lsn / (uint64_t) control->wal_segment_size;
	uint64_t	per_id = UINT64_C(0x100000000) / (uint64_t) control->wal_segment_size;

	(void) snprintf(name, 32, "%08X%08X%08X", timeline, (unsigned) (segment / per_id), (unsigned) (segment % per_id));
}

bool
pgha_wal_name_parse(const char *name, uint64_t segment_size, uint32_t *timeline, uint64_t *segment)
{
	unsigned int tli;
	unsigned int id;
	unsigned int part;

	if (strlen(name) != 24 || strspn(name, "0123456789ABCDEF") != 24 ||
		sscanf(name, "%8X%8X%8X", &tli, &id, &part) != 3)
		return false;
	*timeline = tli;
	*segment = (uint64_t) id * (UINT64_C(0x100000000) / segment_size) + part;
	return true;
}

/* Reads WAL from pg_wal here; false if it is not there. */
static bool
read_own_wal(PghaJobRun *run, const char *name, off_t offset, char *out, size_t length)
{
	char		path[PATH_MAX + 64];
	int			fd;
	bool		done;

	(void) snprintf(path, sizeof(path), "%s/pg_wal/%s", run->conf->data, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = pread(fd, out, length, offset) == (ssize_t) length;
	(void) close(fd);
	return done;
}

/* The same of the leader. */
static bool
read_leader_wal(PGconn *leader, const char *name, off_t offset, char *out, size_t length)
{
	char		path[64];
	char		from[32];
	char		size[32];
	const char *const values[] = {path, from, size};
	PGresult   *result;
	bool		done;

	(void) snprintf(path, sizeof(path), "pg_wal/%s", name);
	(void) snprintf(from, sizeof(from), "%lld", (long long) offset);
	(void) snprintf(size, sizeof(size), "%zu", length);
	result = PQexecParams(leader, "SELECT pg_catalog.pg_read_binary_file($1::text, $2::bigint, $3::bigint, true)",
						  3, NULL, values, NULL, NULL, 1);
	done = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		PQgetlength(result, 0, 0) == (int) length;
	if (done)
		memcpy(out, PQgetvalue(result, 0, 0), length);
	PQclear(result);
	return done;
}

/*
 * Reads WAL of the common timeline from a segment.  Where a later timeline of
 * the history begins in the same segment, that one's file has it as well.
 */
static bool
read_wal(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaHistory *history,
		 uint32_t timeline, pgha_lsn from, char *out, size_t length)
{
	uint64_t	size = (uint64_t) control->wal_segment_size;
	off_t		offset = (off_t) (from % size);

	for (int i = history->count - 1; i >= 0 && history->entry[i].timeline >= timeline; i--)
	{
		char		name[32];

		pgha_wal_name(history->entry[i].timeline, from, control, name);
		if (leader != NULL ? read_leader_wal(leader, name, offset, out, length) :
			read_own_wal(run, name, offset, out, length))
			return true;
	}
	return false;
}

static PghaSame
same_piece(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork,
		   pgha_lsn from, pgha_lsn end)
{
	static char own[COMPARE_SIZE];
	static char theirs[COMPARE_SIZE];
	size_t		length = (size_t) (end - from);

	if (!read_wal(run, NULL, control, fork->own, fork->timeline, from, own, length) ||
		!read_wal(run, leader, control, fork->theirs, fork->timeline, from, theirs, length))
		return PGHA_SAME_UNKNOWN;
	return memcmp(own, theirs, length) == 0 ? PGHA_SAME_YES : PGHA_SAME_NO;
}

PghaSame
pgha_wal_same(PghaJobRun *run, PGconn *leader, const PghaControl *control,
			  const PghaFork *fork, pgha_lsn end)
{
	uint64_t	size = (uint64_t) control->wal_segment_size;
	pgha_lsn segment_start;
	pgha_lsn from;
	PghaSame	same;

	if (end == 0)
		return PGHA_SAME_UNKNOWN;
	segment_start = (end - 1) / size * size;
	from = end - segment_start > COMPARE_SIZE ? end - COMPARE_SIZE : segment_start;
	same = same_piece(run, leader, control, fork, from, end);

	/* The beginning of a segment says less: the end of the one before it counts as well, where both have it. */
	if (same == PGHA_SAME_YES && from == segment_start && end - from < COMPARE_SIZE / 2 && from >= size &&
		same_piece(run, leader, control, fork, from - COMPARE_SIZE, from) == PGHA_SAME_NO)
		same = PGHA_SAME_NO;
	return same;
}

bool
pgha_fork_proven(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork)
{
	static const char *const hint = "The method clone builds the node anew.";

	if (fork->same_timeline)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, hint,
							 "this node has diverged from the primary on the same timeline %u", fork->own_timeline);

	/* The first timeline is that of the system identifier. */
	if (fork->timeline == 1)
		return true;

	switch (pgha_wal_same(run, leader, control, fork, fork->lsn))
	{
		case PGHA_SAME_YES:
			return true;
		case PGHA_SAME_NO:
			return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, hint,
								 "timeline %u here is not the primary's timeline of that number", fork->timeline);
		case PGHA_SAME_UNKNOWN:
			break;
	}
	return pgha_job_fail(run, STATE_UNDEFINED_FILE,
						 "The WAL just before the point where they part is gone on one of them.", hint,
						 "it cannot be proven that timeline %u is the same here and on the primary", fork->timeline);
}
