/*
 * archive.c
 *		WAL of this node that is not in the archive yet.
 *
 * A primary that falls may leave segments that its archiver had not got to.  The
 * new primary holds them for archived, as all that it has received, and a rewind
 * or a clone takes them away here: the archive would have a hole.  So they are
 * copied to pgha_unarchived/ in the agent directory, and told of; nothing
 * deletes these copies.  They are also put back into pg_wal, to be archived:
 * by PostgreSQL's own archiver, as pgha runs no archive_command.  That is at
 * work on a standby with archive_mode = always, and after the next promotion of
 * this node.  With archive_mode = on a restartpoint of a standby recycles them
 * before: the copies are what holds in any case.
 */
#include "archive.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"
#include "leader.h"

#define KEPT		"pgha_unarchived"
#define HANDED_ON	"handed-on"
#define NAME_SIZE	256

/* "name.ready" without ".ready"; false for another name. */
static bool
ready_name(const char *entry, char *name, size_t size)
{
	size_t		length = strlen(entry);

	if (length <= 6 || strcmp(entry + length - 6, ".ready") != 0 || length - 6 >= size)
		return false;
	memcpy(name, entry, length - 6);
	name[length - 6] = '\0';
	return true;
}

/*
 * Is the file part of the leader's history, too?  A segment that the fork is in
 * is not, nor is what tells of a timeline that only this node has.
 */
static bool
is_common(const char *name, const PghaControl *control, const PghaFork *fork)
{
	uint64_t	size = (uint64_t) control->wal_segment_size;
	unsigned int timeline;
	unsigned int id;
	unsigned int part;

	if (strlen(name) < 8 || strspn(name, "0123456789ABCDEF") < 8 || sscanf(name, "%8X", &timeline) != 1 ||
		timeline > fork->timeline)
		return false;
	if (strcmp(name + 8, ".history") == 0)
		return true;
	if (strlen(name) < 24 || strspn(name, "0123456789ABCDEF") != 24 || strstr(name, ".partial") != NULL ||
		sscanf(name + 8, "%8X%8X", &id, &part) != 2)
		return false;
	return id * (UINT64_C(0x100000000) / size) + part < fork->lsn / size;
}

/*
 * What this job has kept, or found kept: that alone is handed on.  What another one
 * has left may lie behind the point where this leader's history began.
 */
static char (*ours)[NAME_SIZE] = NULL;
static int	ours_count = 0;

static bool
remember(const char *name)
{
	void	   *larger = realloc(ours, (size_t) (ours_count + 1) * sizeof(*ours));

	if (larger == NULL)
		return false;
	ours = larger;
	(void) snprintf(ours[ours_count++], NAME_SIZE, "%s", name);
	return true;
}

static bool
keep_one(PghaJobRun *run, const char *name, const char *kept, int *count)
{
	char		from[PATH_MAX + 600];
	char		to[PATH_MAX + 600];
	char		before[PATH_MAX + 600];
	struct stat st;
	struct statvfs fs;

	(void) snprintf(from, sizeof(from), "%s/pg_wal/%s", run->conf->data, name);
	(void) snprintf(to, sizeof(to), "%s/%s", kept, name);
	(void) snprintf(before, sizeof(before), "%s/" HANDED_ON "/%s", kept, name);
	if (stat(from, &st) != 0)
		return errno == ENOENT ||
			pgha_job_fail(run, STATE_IO, NULL, NULL, "could not read file \"%s\": %s", from, strerror(errno));
	if (!remember(name))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, NULL, "out of memory");
	if (pgha_same_content(from, to) || pgha_same_content(from, before))
		return true;
	if (!pgha_make_directory(kept))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s", kept, strerror(errno));
	errno = ENOSPC;
	if ((statvfs(kept, &fs) == 0 && (uint64_t) fs.f_bavail * fs.f_frsize < (uint64_t) st.st_size) ||
		!pgha_copy_file(from, to))
		return pgha_job_fail(run, errno == ENOSPC ? STATE_DISK_FULL : STATE_IO, NULL,
							 "Make room in the agent's directory, or set pgha.agent_directory.",
							 "could not keep WAL file \"%s\", which is not archived yet: %s", from, strerror(errno));
	++*count;
	return true;
}

bool
pgha_archive_keep(PghaJobRun *run, const PghaControl *control, const PghaFork *fork)
{
	char		status[PATH_MAX + 64];
	char		kept[PATH_MAX + 64];
	DIR		   *dir;
	struct dirent *entry;
	int			count = 0;
	bool		done = true;

	(void) snprintf(status, sizeof(status), "%s/pg_wal/archive_status", run->conf->data);
	(void) snprintf(kept, sizeof(kept), "%s/" KEPT, run->conf->directory);
	dir = opendir(status);
	if (dir == NULL)
		return errno == ENOENT ||
			pgha_job_fail(run, STATE_IO, NULL, NULL, "could not read directory \"%s\": %s", status, strerror(errno));
	while (done && (entry = readdir(dir)) != NULL)
	{
		char		name[NAME_SIZE];

		if (ready_name(entry->d_name, name, sizeof(name)) && is_common(name, control, fork))
			done = keep_one(run, name, kept, &count);
	}
	(void) closedir(dir);
	if (!done)
		return false;
	if (count > 0 && !pgha_sync_path(kept))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync directory \"%s\": %s", kept, strerror(errno));
	if (count > 0)
		pgha_job_event(run, "archive", "node \"%s\" had %d WAL file(s) that were not archived yet: kept in %s; see that the archive has them",
					   run->conf->members.member[run->conf->self].name, count, kept);
	return true;
}

/* Puts one file back, and its mark.  What is in pg_wal is the leader's, and the same. */
static bool
hand_on(PghaJobRun *run, const char *kept, const char *name)
{
	char		from[PATH_MAX + 600];
	char		to[PATH_MAX + 600];
	char		path[PATH_MAX + 600];

	(void) snprintf(from, sizeof(from), "%s/%s", kept, name);
	(void) snprintf(to, sizeof(to), "%s/pg_wal/%s", run->conf->data, name);
	if (access(to, F_OK) != 0 && !pgha_copy_file(from, to))
		return false;
	(void) snprintf(path, sizeof(path), "%s/pg_wal/archive_status/%s.ready", run->conf->data, name);
	if (!pgha_write_file(path, "", 0, 0600, true))
		return false;
	(void) snprintf(path, sizeof(path), "%s/pg_wal/archive_status/%s.done", run->conf->data, name);
	(void) unlink(path);
	(void) snprintf(to, sizeof(to), "%s/" HANDED_ON, kept);
	if (!pgha_make_directory(to))
		return false;
	(void) snprintf(to, sizeof(to), "%s/" HANDED_ON "/%s", kept, name);
	return rename(from, to) == 0;
}

void
pgha_archive_hand_on(PghaJobRun *run)
{
	char		kept[PATH_MAX + 64];

	(void) snprintf(kept, sizeof(kept), "%s/" KEPT, run->conf->directory);
	for (int i = 0; i < ours_count; i++)
	{
		if (!hand_on(run, kept, ours[i]) && errno != ENOENT)
			pgha_agent_warning("could not hand on WAL file \"%s\" in \"%s\" for archiving: %s",
					ours[i], kept, strerror(errno));
	}
}
