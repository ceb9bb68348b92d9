/*
 * lost.c
 *		The WAL that a rewind or a clone is about to throw away.
 *
 * It is copied to pgha_lost/<time>/ in the agent directory, with a summary of
 * what is in it: commits that were made on this node after the new primary's
 * history had left it.  Some of them may have been acknowledged to clients.
 * pg_waldump shows them in full.  Nothing deletes these copies, so that what was
 * saved before, by an attempt that came to nothing, is not saved again.
 */
#include "lost.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "../common/lsn.h"
#include "../host/durable.h"
#include "../host/process.h"
#include "leader.h"

#define WALDUMP_LIMIT_MS	600000

/* What may be there already when more is to be saved. */
#define LOST_LIMIT		(UINT64_C(16) << 30)

/* What pg_waldump finds. */
typedef struct Summary
{
	long		commits;
	char		first[64];
	char		last[64];
} Summary;

/* Does this file hold WAL beyond the fork?  Files behind the end are waiting to be used. */
static bool
is_lost(const PghaJobRun *run, const char *name, const PghaControl *control, const PghaFork *fork)
{
	uint32_t	timeline;
	uint64_t	segment;
	uint64_t	size = (uint64_t) control->wal_segment_size;

	if (!pgha_wal_name_parse(name, size, &timeline, &segment) || timeline < fork->timeline)
		return false;
	return segment >= fork->lsn / size && (run->wal_end == 0 || segment <= run->wal_end / size);
}

/* Counts the files, or copies them if `to` is given. */
static bool
each_file(PghaJobRun *run, const PghaControl *control, const PghaFork *fork, const char *to, int *count)
{
	char		wal[PATH_MAX + 16];
	DIR		   *dir;
	struct dirent *entry;
	bool		done = true;

	*count = 0;
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	dir = opendir(wal);
	if (dir == NULL)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not read directory \"%s\": %s", wal, strerror(errno));
	while (done && (entry = readdir(dir)) != NULL)
	{
		char		from_path[PATH_MAX + 300];
		char		to_path[PATH_MAX + 300];

		if (!is_lost(run, entry->d_name, control, fork))
			continue;
		++*count;
		if (to == NULL)
			continue;
		(void) snprintf(from_path, sizeof(from_path), "%s/%s", wal, entry->d_name);
		(void) snprintf(to_path, sizeof(to_path), "%s/%s", to, entry->d_name);
		done = pgha_copy_file(from_path, to_path) ||
			pgha_job_fail(run, errno == ENOSPC ? STATE_DISK_FULL : STATE_IO, NULL,
						  "Make room in the agent's directory, or set pgha.agent_directory.",
						  "could not copy diverged WAL file \"%s\": %s", from_path, strerror(errno));
	}
	(void) closedir(dir);
	return done;
}

static void
take_commit(const char *line, void *arg)
{
	Summary    *summary = arg;
	const char *commit = strstr(line, "desc: COMMIT");
	const char *time;
	size_t		length;

	if (commit == NULL)
		return;
	summary->commits++;
	time = strstr(commit, "COMMIT") + strlen("COMMIT");
	if (strncmp(time, "_PREPARED", 9) == 0)
		time += 9;
	time += strspn(time, " ");
	length = strcspn(time, ";");
	if (summary->first[0] == '\0')
		(void) snprintf(summary->first, sizeof(summary->first), "%.*s", (int) length, time);
	(void) snprintf(summary->last, sizeof(summary->last), "%.*s", (int) length, time);
}

/*
 * Counts the commits of one timeline.  pg_waldump ends with an error where the
 * WAL ends; what it printed before counts.
 */
static void
summarize_timeline(PghaJobRun *run, const char *directory, uint32_t timeline,
				   pgha_lsn from, pgha_lsn to, Summary *summary)
{
	char		program[PATH_MAX + 32];
	char		timeline_text[16];
	char		start[32];
	char		end[32];
	char	   *argv[12] = {program, "-p", (char *) directory, "-t", timeline_text, "-r", "Transaction", "-s", start};
	PghaRun		dump = {.argv = argv, .limit_ms = WALDUMP_LIMIT_MS, .line = take_commit, .arg = summary};

	(void) snprintf(program, sizeof(program), "%s/pg_waldump", run->conf->bin);
	(void) snprintf(timeline_text, sizeof(timeline_text), "%u", timeline);
	(void) snprintf(start, sizeof(start), PGHA_LSN_FORMAT, PGHA_LSN_ARGS(from));
	(void) snprintf(end, sizeof(end), PGHA_LSN_FORMAT, PGHA_LSN_ARGS(to));
	if (to != UINT64_MAX)
	{
		argv[9] = "-e";
		argv[10] = end;
	}
	(void) pgha_run(&dump);
}

/* The node may have been promoted after the fork: its WAL is then on several timelines. */
static void
summarize(PghaJobRun *run, const PghaFork *fork, const char *directory, Summary *summary)
{
	pgha_lsn from = fork->lsn;

	memset(summary, 0, sizeof(*summary));
	for (int i = 0; i < fork->own->count; i++)
	{
		const PghaHistoryEntry *entry = &fork->own->entry[i];

		if (entry->timeline < fork->timeline)
			continue;
		if (entry->end > from)
			summarize_timeline(run, directory, entry->timeline, from, entry->end, summary);
		from = entry->end > from ? entry->end : from;
	}
}

static bool
write_summary(PghaJobRun *run, const PghaFork *fork, const char *directory, const Summary *summary)
{
	char		text[PATH_MAX + 2048];
	char		path[PATH_MAX + 128];

	(void) snprintf(text, sizeof(text),
					"node:          %s\n"
					"timeline:      %u, left behind by timeline %u of the primary \"%s\"\n"
					"from:          " PGHA_LSN_FORMAT " (where the primary's history leaves this one)\n"
					"to:            " PGHA_LSN_FORMAT "\n"
					"commits:       %ld\n"
					"first commit:  %s\n"
					"last commit:   %s\n"
					"\n"
					"To see them:   pg_waldump -p %s -t %u -s " PGHA_LSN_FORMAT "\n",
					run->conf->members.member[run->conf->self].name,
					fork->own_timeline, fork->leader_timeline, run->conf->members.member[run->leader].name,
					PGHA_LSN_ARGS(fork->lsn),
					PGHA_LSN_ARGS(run->wal_end),
					summary->commits, summary->commits > 0 ? summary->first : "-",
					summary->commits > 0 ? summary->last : "-",
					directory, fork->timeline, PGHA_LSN_ARGS(fork->lsn));
	(void) snprintf(path, sizeof(path), "%s/summary.txt", directory);
	return pgha_write_file(path, text, strlen(text), 0600, true) ||
		pgha_job_fail(run, STATE_IO, NULL, NULL, "could not write file \"%s\": %s", path, strerror(errno));
}

/* Is there room for `count` segments in the agent directory? */
static bool
check_room(PghaJobRun *run, const PghaControl *control, int count)
{
	struct statvfs fs;
	uint64_t	needed = (uint64_t) count * (uint64_t) control->wal_segment_size;
	uint64_t	room;
	char		detail[256];

	if (statvfs(run->conf->directory, &fs) != 0)
		return true;
	room = (uint64_t) fs.f_bavail * fs.f_frsize;
	if (room > needed)
		return true;
	(void) snprintf(detail, sizeof(detail), "%llu MB are needed, %llu MB are free.",
					(unsigned long long) (needed >> 20), (unsigned long long) (room >> 20));
	return pgha_job_fail(run, STATE_DISK_FULL, detail,
						 "Make room in the agent's directory, or set pgha.agent_directory.",
						 "there is no room in \"%s\" to save the diverged WAL", run->conf->directory);
}

/* ---- one loss is saved once ---- */

/* Is every file to be saved in this directory already, in full? */
static bool
has_all(const PghaJobRun *run, const PghaControl *control, const PghaFork *fork, const char *saved)
{
	char		wal[PATH_MAX + 16];
	DIR		   *dir;
	struct dirent *entry;
	bool		all = true;

	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	dir = opendir(wal);
	if (dir == NULL)
		return false;
	while (all && (entry = readdir(dir)) != NULL)
	{
		char		here[PATH_MAX + 300];
		char		there[PATH_MAX + 600];

		if (!is_lost(run, entry->d_name, control, fork))
			continue;
		(void) snprintf(here, sizeof(here), "%s/%s", wal, entry->d_name);
		(void) snprintf(there, sizeof(there), "%s/%s", saved, entry->d_name);
		all = pgha_same_content(here, there);
	}
	(void) closedir(dir);
	return all;
}

/* Bytes of the files in a directory. */
static uint64_t
size_of(const char *directory)
{
	DIR		   *dir = opendir(directory);
	struct dirent *entry;
	uint64_t	sum = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		path[PATH_MAX + 600];
		struct stat st;

		(void) snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t) st.st_size;
	}
	if (dir != NULL)
		(void) closedir(dir);
	return sum;
}

/*
 * Looks through what was saved before: *total is its size, *again that this loss
 * is among it.  Only what has a summary was saved as a whole.
 */
static void
look_through(const PghaJobRun *run, const PghaControl *control, const PghaFork *fork,
			 const char *parent, uint64_t *total, bool *again)
{
	DIR		   *dir = opendir(parent);
	struct dirent *entry;

	*total = 0;
	*again = false;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		saved[PATH_MAX + 300];

		if (entry->d_name[0] == '.')
			continue;
		(void) snprintf(saved, sizeof(saved), "%s/%s", parent, entry->d_name);
		*total += size_of(saved);
		if (!*again && pgha_exists_in(saved, "summary.txt"))
			*again = has_all(run, control, fork, saved);
	}
	if (dir != NULL)
		(void) closedir(dir);
}

/* A directory that was not there before: a clock may have been set back. */
static bool
make_new_directory(PghaJobRun *run, const char *parent, char *directory, size_t size)
{
	if (!pgha_make_directory(parent))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s", parent, strerror(errno));
	for (int i = 1; i < 1000; i++)
	{
		char		number[16] = "";

		if (i > 1)
			(void) snprintf(number, sizeof(number), "-%d", i);
		(void) snprintf(directory, size, "%s/%s%s", parent, run->stamp, number);
		if (mkdir(directory, 0700) == 0)
			return true;
		if (errno != EEXIST)
			break;
	}
	return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s", directory, strerror(errno));
}

/*
 * Nothing of this is ever deleted, so that it must not grow without end: beyond
 * the limit nothing more is given up until somebody has looked.
 */
static bool
check_total(PghaJobRun *run, const char *parent, uint64_t total)
{
	if (total < LOST_LIMIT)
		return true;
	pgha_job_event(run, "lost", "node \"%s\" holds %llu MB of saved WAL in %s, and gives up nothing more before that is moved away",
				   run->conf->members.member[run->conf->self].name, (unsigned long long) (total >> 20), parent);
	return pgha_job_fail(run, STATE_DISK_FULL, NULL, "See what it is (summary.txt), and move it away or delete it.",
						 "\"%s\" holds %llu MB of WAL that was given up before", parent,
						 (unsigned long long) (total >> 20));
}

bool
pgha_lost_save(PghaJobRun *run, const PghaControl *control, const PghaFork *fork)
{
	char		parent[PATH_MAX + 32];
	char		directory[PATH_MAX + 80];
	Summary		summary;
	uint64_t	total;
	int			count;
	bool		again;

	if (!pgha_job_phase(run, "saving lost WAL", "saves the WAL that the primary does not have") ||
		!each_file(run, control, fork, NULL, &count))
		return false;
	if (count == 0)
		return pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, "Move the data directory away by hand, and try again.",
							 "the WAL here that the primary does not have, from " PGHA_LSN_FORMAT " on, is gone",
							 PGHA_LSN_ARGS(fork->lsn));
	(void) snprintf(parent, sizeof(parent), "%s/pgha_lost", run->conf->directory);
	look_through(run, control, fork, parent, &total, &again);
	if (again)
		return true;
	if (!check_total(run, parent, total) || !check_room(run, control, count) ||
		!make_new_directory(run, parent, directory, sizeof(directory)))
		return false;
	if (!each_file(run, control, fork, directory, &count))
	{
		(void) pgha_remove_tree(directory, true);
		return false;
	}
	summarize(run, fork, directory, &summary);
	if (!write_summary(run, fork, directory, &summary) || !pgha_sync_path(directory) || !pgha_sync_path(parent))
		return false;
	pgha_job_event(run, "lost", "node \"%s\" gives up %ld commit(s)%s%s%s%s that the primary \"%s\" does not have, WAL from " PGHA_LSN_FORMAT " on; saved in %s",
				   run->conf->members.member[run->conf->self].name, summary.commits,
				   summary.commits > 0 ? " made from " : "", summary.first,
				   summary.commits > 0 ? " to " : "", summary.last,
				   run->conf->members.member[run->leader].name,
				   PGHA_LSN_ARGS(fork->lsn), directory);
	if (total * 2 >= LOST_LIMIT)
		pgha_job_event(run, "lost", "node \"%s\" already holds %llu MB of saved WAL in %s: see summary.txt there; from %llu MB on nothing more is given up",
					   run->conf->members.member[run->conf->self].name, (unsigned long long) (total >> 20), parent,
					   (unsigned long long) (LOST_LIMIT >> 20));
	return true;
}
