/*
 * kept_wal.c
 *		This node's own WAL from the last common checkpoint to the fork, over a
 *		rewind.
 *
 * A rewound server begins to replay at the redo position of the last checkpoint
 * before the fork.  Up to version 17 pg_rewind removes every WAL segment that the
 * primary does not have any more, those included, and the server would wait for
 * ever for WAL that nobody has.  In front of the fork both have the same WAL, so
 * that this node's own segments serve: they are put aside before pg_rewind begins,
 * and what it has removed is put back.  What it has fetched from the primary stays.
 *
 * The segment that contains the fork is not put back, and is removed where
 * pg_rewind has left it: behind the fork it holds what is given up.  The primary's
 * first segment of its own timeline begins with the same WAL.
 *
 * What the primary still has is copied: pg_rewind empties such a file before it
 * asks for the primary's, through every link to it, and removes it if the primary
 * has recycled its own meanwhile.  What the primary has no longer is removed at
 * most, so that a hard link serves.
 */
#include "kept_wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/lsn.h"
#include "../host/durable.h"
#include "../host/process.h"
#include "../net/member.h"

/* How much of a segment is compared with the primary's. */
#define COMPARE_SIZE		65536
#define WALDUMP_LIMIT_MS	60000
#define WAL_NAME_SIZE		25

static const char *const clone_hint = "The method clone builds the node anew.";

/* What is needed, in numbers of segments, and who has it. */
typedef struct Needed
{
	uint64_t	first;			/* with the redo position of the last common checkpoint */
	uint64_t	fork;			/* with the fork */
	uint64_t	last;			/* that the primary writes now */
	uint32_t	timeline;		/* the last common one */
	bool		left;			/* the primary has left that one at the fork */
	uint64_t	size;			/* of a segment */
	const PghaHistory *history;	/* timelines in front of the fork */
	bool	   *here;			/* from `first` on */
	bool	   *there;
	char		shared[WAL_NAME_SIZE];	/* newest one in front of the fork that both have */
} Needed;

/* Of what this job has put aside. */
static uint64_t kept_size;		/* of a segment */
static uint64_t kept_fork;		/* number of the one with the fork */
static uint32_t kept_timeline;	/* the last common one */
static bool kept_left;			/* the primary has left that one */

static void
kept_path(const PghaAgentConf *conf, const char *name, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/rewind_wal%s%s", conf->directory, *name != '\0' ? "/" : "", name);
}

static void
wal_path(const PghaJobRun *run, const char *name, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/pg_wal/%s", run->conf->data, name);
}

static void
format_name(uint32_t timeline, uint64_t segment, uint64_t segment_size, char *name)
{
	uint64_t	per_id = UINT64_C(0x100000000) / segment_size;

	(void) snprintf(name, WAL_NAME_SIZE, "%08X%08X%08X", timeline,
					(unsigned) (segment / per_id), (unsigned) (segment % per_id));
}

/* ---- what is needed ---- */

static void
take_redo(const char *line, void *arg)
{
	const char *checkpoint = strstr(line, "desc: CHECKPOINT");
	const char *redo = checkpoint != NULL ? strstr(checkpoint, " redo ") : NULL;

	if (redo != NULL && *(pgha_lsn *) arg == 0)
		*(pgha_lsn *) arg = pgha_lsn_of(redo + strlen(" redo "));
}

/*
 * Redo position of a checkpoint, from its record; 0 if it cannot be read.  Its
 * segment may bear the number of a later timeline of this node.
 */
static pgha_lsn
find_redo(PghaJobRun *run, const PghaFork *fork, pgha_lsn checkpoint, uint32_t timeline)
{
	char		program[PATH_MAX + 32];
	char		wal[PATH_MAX + 32];
	char		timeline_text[16];
	char		start[32];
	char	   *argv[] = {program, "-p", wal, "-t", timeline_text, "-s", start, "-n", "1", NULL};
	pgha_lsn	redo = 0;

	(void) snprintf(program, sizeof(program), "%s/pg_waldump", run->conf->bin);
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	(void) snprintf(start, sizeof(start), PGHA_LSN_FORMAT, PGHA_LSN_ARGS(checkpoint));
	for (int i = 0; i < fork->own->count && redo == 0; i++)
	{
		PghaRun		dump = {.argv = argv, .limit_ms = WALDUMP_LIMIT_MS, .line = take_redo, .arg = &redo};

		if (fork->own->entry[i].timeline < timeline)
			continue;
		(void) snprintf(timeline_text, sizeof(timeline_text), "%u", fork->own->entry[i].timeline);
		(void) pgha_run(&dump);
	}
	return redo;
}

/* ---- who has it ---- */

/*
 * The timeline whose file of a segment in front of the fork is whole: that of its
 * end.  Where timelines have changed within the segment, those before it have files
 * of it, too; behind the change these hold what nobody has replayed.
 */
static uint32_t
timeline_of(const Needed *needed, uint64_t segment)
{
	int			i = 0;

	while (i < needed->history->count - 1 && needed->history->entry[i].end < (segment + 1) * needed->size)
		i++;
	return needed->history->entry[i].timeline;
}

/* Notes what is here in front of the fork, and hands each file to `keep` (may be NULL). */
static bool
each_own(PghaJobRun *run, Needed *needed, bool (*keep) (PghaJobRun *run, const char *name, bool shared))
{
	char		wal[PATH_MAX + 32];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	wal_path(run, "", wal, sizeof(wal));
	dir = opendir(wal);
	if (dir == NULL)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not read directory \"%s\": %s", wal, strerror(errno));
	while (done && (entry = readdir(dir)) != NULL)
	{
		char		path[PATH_MAX + 300];
		struct stat st;
		uint32_t	timeline;
		uint64_t	segment;

		wal_path(run, entry->d_name, path, sizeof(path));
		if (!pgha_wal_name_parse(entry->d_name, needed->size, &timeline, &segment) ||
			segment < needed->first || segment >= needed->fork || timeline != timeline_of(needed, segment) ||
			stat(path, &st) != 0 || st.st_size != (off_t) needed->size)
			continue;
		needed->here[segment - needed->first] = true;
		done = keep == NULL || keep(run, entry->d_name, needed->there[segment - needed->first]);
	}
	(void) closedir(dir);
	return done;
}

/* Notes what the primary has. */
static bool
ask_leader(PghaJobRun *run, PGconn *leader, Needed *needed)
{
	char		from[WAL_NAME_SIZE];
	char		to[WAL_NAME_SIZE];
	const char *const values[] = {from + 8, to + 8};
	PGresult   *result;
	bool		done;
	uint64_t	newest = 0;

	format_name(0, needed->first, needed->size, from);
	format_name(0, needed->last, needed->size, to);
	result = PQexecParams(leader, "SELECT name FROM pg_catalog.pg_ls_waldir()"
						  " WHERE length(name) = 24 AND substr(name, 9) BETWEEN $1 AND $2",
						  2, NULL, values, NULL, NULL, 0);
	done = PQresultStatus(result) == PGRES_TUPLES_OK ||
		pgha_job_fail(run, STATE_CONNECTION, PQresultErrorMessage(result), NULL,
					  "could not ask the primary for its WAL");
	for (int i = 0; done && i < PQntuples(result); i++)
	{
		const char *name = PQgetvalue(result, i, 0);
		char		path[PATH_MAX + 64];
		uint32_t	timeline;
		uint64_t	segment;

		if (!pgha_wal_name_parse(name, needed->size, &timeline, &segment) ||
			segment < needed->first || segment > needed->last ||
			(segment < needed->fork ? timeline != timeline_of(needed, segment) :
			 (timeline > needed->timeline) != needed->left))
			continue;
		needed->there[segment - needed->first] = true;
		wal_path(run, name, path, sizeof(path));
		if (segment < needed->fork && segment >= newest && access(path, R_OK) == 0)
		{
			newest = segment;
			(void) snprintf(needed->shared, sizeof(needed->shared), "%s", name);
		}
	}
	PQclear(result);
	return done;
}

/*
 * Is the newest segment in front of the fork that both have the same?  WAL is
 * chained: what is before it is then the same as well.
 */
static bool
compare_shared(PghaJobRun *run, PGconn *leader, const Needed *needed)
{
	static char own[COMPARE_SIZE];
	char		path[PATH_MAX + 64];
	char		leader_path[64];
	char		from[32];
	char		size[32];
	const char *const values[] = {leader_path, from, size};
	off_t		offset = (off_t) needed->size - COMPARE_SIZE;
	PGresult   *result;
	int			fd;
	bool		same;

	if (needed->shared[0] == '\0')
		return true;
	wal_path(run, needed->shared, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	same = fd >= 0 && pread(fd, own, sizeof(own), offset) == (ssize_t) sizeof(own);
	if (fd >= 0)
		(void) close(fd);
	if (!same)
		return pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not read file \"%s\": %s", path, strerror(errno));
	(void) snprintf(leader_path, sizeof(leader_path), "pg_wal/%s", needed->shared);
	(void) snprintf(from, sizeof(from), "%lld", (long long) offset);
	(void) snprintf(size, sizeof(size), "%d", COMPARE_SIZE);
	result = PQexecParams(leader, "SELECT pg_catalog.pg_read_binary_file($1::text, $2::bigint, $3::bigint, true)",
						  3, NULL, values, NULL, NULL, 1);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		same = pgha_job_fail(run, STATE_CONNECTION, PQresultErrorMessage(result),
							 "Grant EXECUTE on pg_read_binary_file() to the role of pgha.conninfo.",
							 "could not read the primary's WAL segment %s", needed->shared);
	else if (PQntuples(result) == 1 && PQgetlength(result, 0, 0) == COMPARE_SIZE &&
			 memcmp(PQgetvalue(result, 0, 0), own, sizeof(own)) != 0)
		same = pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint,
							 "WAL segment %s here is not the primary's segment of that name, although it is in front of the point where they part",
							 needed->shared);
	PQclear(result);
	return same;
}

/* Nothing is missing, or may come from the archive. */
static bool
check_complete(PghaJobRun *run, const Needed *needed)
{
	for (uint64_t segment = needed->first; segment <= needed->last; segment++)
	{
		uint64_t	i = segment - needed->first;
		char		name[WAL_NAME_SIZE];
		char		detail[256];

		if (needed->there[i] || (segment < needed->fork && needed->here[i]))
			continue;
		format_name(needed->timeline, segment, needed->size, name);
		if (segment < needed->fork)
			(void) snprintf(detail, sizeof(detail),
							"WAL segment %s, before the point where the two part, is neither here nor on the primary.",
							name + 8);
		else
			(void) snprintf(detail, sizeof(detail),
							"The primary no longer has WAL segment %s, from the point where the two part on.",
							name + 8);
		if (run->conf->restore_command[0] == '\0')
			return pgha_job_fail(run, STATE_UNDEFINED_FILE, detail, clone_hint,
								 "node \"%s\" cannot be rewound: WAL that it would need then is gone",
								 run->conf->members.member[run->conf->self].name);
		pgha_agent_log("recovery: %s restore_command has to get it.", detail);
	}
	return true;
}

/* ---- putting aside, and back ---- */

/* Links, where the file system allows it. */
static bool
link_or_copy(const char *from, const char *to)
{
	return link(from, to) == 0 || pgha_copy_file(from, to);
}

/* Is there a file that tells whether the segment was archived? */
static bool
has_status(const PghaJobRun *run, const char *name, const char *suffix)
{
	char		path[PATH_MAX + 300];

	(void) snprintf(path, sizeof(path), "%s/pg_wal/archive_status/%s%s", run->conf->data, name, suffix);
	return access(path, F_OK) == 0;
}

/* `shared`: the primary has it as well. */
static bool
keep_one(PghaJobRun *run, const char *name, bool shared)
{
	static const char *const suffixes[] = {".ready", ".done"};
	char		from[PATH_MAX + 300];
	char		to[PATH_MAX + 300];
	char		status[PATH_MAX + 320];
	bool		done;

	wal_path(run, name, from, sizeof(from));
	kept_path(run->conf, name, to, sizeof(to));
	done = shared ? pgha_copy_file(from, to) : link_or_copy(from, to);
	for (int i = 0; done && i < 2; i++)
	{
		(void) snprintf(status, sizeof(status), "%s%s", to, suffixes[i]);
		done = !has_status(run, name, suffixes[i]) || pgha_write_file(status, "", 0, 0600, false);
	}
	return done || pgha_job_fail(run, errno == ENOSPC || errno == EDQUOT ? STATE_DISK_FULL : STATE_IO, NULL,
								 "Make room in the agent's directory, or set pgha.agent_directory.",
								 "could not put WAL file \"%s\" aside in \"%s\": %s", from, to, strerror(errno));
}

bool
pgha_kept_wal_save(PghaJobRun *run, PGconn *leader, const PghaControl *control,
				   const PghaFork *fork, pgha_lsn checkpoint, uint32_t timeline)
{
	uint64_t	size = (uint64_t) control->wal_segment_size;
	pgha_lsn	redo = find_redo(run, fork, checkpoint, timeline);
	Needed		needed = {
		.fork = fork->lsn / size, .timeline = fork->timeline, .left = fork->leader_timeline != fork->timeline,
		.size = size, .history = fork->own
	};
	char		kept[PATH_MAX + 300];
	char		error[512];
	char	   *now;
	bool		done;

	/* Where redo begins can be told only by reading the checkpoint, which pg_rewind has just done. */
	if (redo == 0)
		return pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, clone_hint,
							 "the last common checkpoint at " PGHA_LSN_FORMAT " cannot be read from the WAL here",
							 PGHA_LSN_ARGS(checkpoint));
	now = pgha_member_query(leader, "SELECT pg_catalog.pg_current_wal_flush_lsn()", NULL, error, sizeof(error));
	if (now == NULL)
		return pgha_job_fail(run, STATE_CONNECTION, error, NULL, "could not ask the primary for its WAL position");
	needed.first = redo / size;
	needed.last = pgha_lsn_of(now) / size;
	free(now);
	if (needed.last < needed.fork)
		needed.last = needed.fork;
	kept_size = size;
	kept_fork = needed.fork;
	kept_timeline = needed.timeline;
	kept_left = needed.left;

	kept_path(run->conf, "", kept, sizeof(kept));
	needed.here = calloc(needed.last - needed.first + 1, sizeof(bool));
	needed.there = calloc(needed.last - needed.first + 1, sizeof(bool));
	if (needed.here == NULL || needed.there == NULL)
		done = pgha_job_fail(run, STATE_IO, NULL, NULL, "out of memory");
	else if (!pgha_remove_tree(kept, true) || !pgha_make_directory(kept))
		done = pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s", kept, strerror(errno));
	else
		done = each_own(run, &needed, NULL) && ask_leader(run, leader, &needed) &&
			check_complete(run, &needed) && compare_shared(run, leader, &needed) &&
			each_own(run, &needed, keep_one);
	free(needed.here);
	free(needed.there);
	if (!done)
		pgha_kept_wal_forget(run->conf);
	return done;
}

/* One segment, unless pg_rewind has left or fetched it; and whether it is to be archived. */
static bool
put_back_one(PghaJobRun *run, const char *name)
{
	static const char *const suffixes[] = {".ready", ".done"};
	char		from[PATH_MAX + 300];
	char		to[PATH_MAX + 300];
	char		status[PATH_MAX + 320];
	struct stat st;

	kept_path(run->conf, name, from, sizeof(from));
	wal_path(run, name, to, sizeof(to));
	if (access(to, F_OK) == 0)
		return true;
	if (errno == ENOENT && stat(from, &st) == 0 && st.st_size != (off_t) kept_size)
		return pgha_job_fail(run, STATE_IO, NULL, clone_hint, "WAL file \"%s\" is not whole any more", from);
	if (errno != ENOENT || !link_or_copy(from, to))
		return pgha_job_fail(run, errno == ENOSPC || errno == EDQUOT ? STATE_DISK_FULL : STATE_IO, NULL, clone_hint,
							 "could not put WAL file \"%s\" back: %s", to, strerror(errno));
	for (int i = 0; i < 2; i++)
	{
		(void) snprintf(status, sizeof(status), "%s%s", from, suffixes[i]);
		if (access(status, F_OK) != 0 || has_status(run, name, suffixes[i]))
			continue;
		(void) snprintf(status, sizeof(status), "%s/pg_wal/archive_status/%s%s", run->conf->data, name, suffixes[i]);
		if (!pgha_write_file(status, "", 0, 0600, true))
			return pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not write file \"%s\": %s",
								 status, strerror(errno));
	}
	return true;
}

/*
 * From the fork on, nothing of the common timeline is needed: what is there was
 * left by pg_rewind, and would be replayed where a segment of the primary's own
 * timeline is missing.  Where the primary has never left that one, it is what
 * pg_rewind has fetched.
 */
static bool
remove_given_up(PghaJobRun *run)
{
	char		path[PATH_MAX + 300];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	if (!kept_left)
		return true;
	wal_path(run, "", path, sizeof(path));
	dir = opendir(path);
	if (dir == NULL)
		return pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not read directory \"%s\": %s",
							 path, strerror(errno));
	while (done && (entry = readdir(dir)) != NULL)
	{
		uint32_t	timeline;
		uint64_t	segment;

		if (!pgha_wal_name_parse(entry->d_name, kept_size, &timeline, &segment) ||
			timeline > kept_timeline || segment < kept_fork)
			continue;
		wal_path(run, entry->d_name, path, sizeof(path));
		done = unlink(path) == 0 ||
			pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not remove file \"%s\": %s", path, strerror(errno));
	}
	(void) closedir(dir);
	return done;
}

bool
pgha_kept_wal_put_back(PghaJobRun *run)
{
	char		path[PATH_MAX + 300];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	kept_path(run->conf, "", path, sizeof(path));
	dir = opendir(path);
	if (dir == NULL)
		return pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not read directory \"%s\": %s",
							 path, strerror(errno));
	while (done && (entry = readdir(dir)) != NULL)
		done = strlen(entry->d_name) != WAL_NAME_SIZE - 1 || put_back_one(run, entry->d_name);
	(void) closedir(dir);
	if (!done || !remove_given_up(run))
		return false;
	wal_path(run, "", path, sizeof(path));
	return pgha_sync_path(path) ||
		pgha_job_fail(run, STATE_IO, NULL, clone_hint, "could not sync directory \"%s\": %s", path, strerror(errno));
}

void
pgha_kept_wal_forget(const PghaAgentConf *conf)
{
	char		path[PATH_MAX + 300];

	kept_path(conf, "", path, sizeof(path));
	if (!pgha_remove_tree(path, true))
		pgha_agent_warning("could not remove directory \"%s\": %s", path, strerror(errno));
}
