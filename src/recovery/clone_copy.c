/*
 * clone_copy.c
 *		Making a copy of the primary, and removing one.
 *
 * Copies by pg_basebackup or pgha.clone_command into the place that was planned,
 * and turns the result into this node's standby.  What the copy has outside of
 * its data directory is noted first, so that whatever happens it can be removed.
 * It never touches what the node uses: the exchange is swap.c's.
 */
#include "clone_copy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "leader.h"
#include "objects.h"
#include "settings.h"

#define REMOVE_TRIES	25

/* ---- copying ---- */

/* "1234/5678 kB (21%), 0/1 tablespace", as pg_basebackup --progress says it. */
static void
take_line(const char *line, void *arg)
{
	long long	done;
	long long	total;

	if (sscanf(line, " %lld/%lld kB", &done, &total) == 2)
		pgha_job_progress(arg, done * 1024, total * 1024);
}

static bool
report_copy(PghaJobRun *run, const PghaRun *program, const char *name, int status)
{
	if (program->was_cancelled)
		return pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled while cloning");
	return pgha_job_program_failed(run, program, NULL, "%s failed with status %d", name, status);
}

static bool
run_clone_command(PghaJobRun *run, const PghaClonePlan *plan)
{
	char		error[256];
	PghaRun		program = {.line = take_line, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	/* There is not a tool that would mind an empty directory; some need it. */
	if (!pgha_make_directory(plan->target))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s",
							 plan->target, strerror(errno));
	program.argv = pgha_clone_argv(run, plan, run->conf->clone_command, error, sizeof(error));
	if (program.argv == NULL)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, NULL, "pgha.clone_command cannot be read");
	status = pgha_run(&program);
	free(program.argv);
	return status == 0 || report_copy(run, &program, "pgha.clone_command", status);
}

/* "=" separates the two, and is escaped as pg_basebackup wants it. */
static char *
add_escaped(char *out, const char *path)
{
	for (; *path != '\0'; path++)
	{
		if (*path == '=')
			*out++ = '\\';
		*out++ = *path;
	}
	*out = '\0';
	return out;
}

static bool
run_pg_basebackup(PghaJobRun *run, const PghaClonePlan *plan)
{
	char		path[PATH_MAX + 32];
	char		source[PGHA_CONNINFO_SIZE];
	char		wal[PATH_MAX + 32];
	static char mapping[PGHA_MAX_CLONE_PLACES][PATH_MAX * 4 + 32];
	char	   *argv[PGHA_MAX_CLONE_PLACES + 20];
	int			n = 0;
	PghaRun		program = {.argv = argv, .line = take_line, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	if (!pgha_conninfo_build(source, sizeof(source), run->conf->conninfo,
							 &run->conf->members.member[run->leader], PGHA_AGENT_APPLICATION, PGHA_MEMBER_TCP))
		return pgha_job_fail(run, STATE_CONNECTION, NULL, "Shorten pgha.conninfo.", "the connection string is too long");
	(void) snprintf(path, sizeof(path), "%s/pg_basebackup", run->conf->bin);
	argv[n++] = path;
	argv[n++] = "-d";
	argv[n++] = source;
	argv[n++] = "-D";
	argv[n++] = (char *) plan->target;
	argv[n++] = "-X";
	argv[n++] = "stream";
	argv[n++] = "--checkpoint=fast";
	argv[n++] = "--progress";
	argv[n++] = "--no-password";
	if (plan->slot[0] != '\0')
	{
		argv[n++] = "--slot";
		argv[n++] = (char *) plan->slot;
	}
	if (plan->separate_wal)
	{
		(void) snprintf(wal, sizeof(wal), "--waldir=%s", plan->wal.target);
		argv[n++] = wal;
	}
	for (int i = 0; i < plan->count; i++)
	{
		char	   *end = add_escaped(stpcpy(mapping[i], "--tablespace-mapping="), plan->tablespace[i].source);

		*end++ = '=';
		(void) add_escaped(end, plan->tablespace[i].target);
		argv[n++] = mapping[i];
	}
	argv[n] = NULL;
	status = pgha_run(&program);
	return status == 0 || report_copy(run, &program, "pg_basebackup", status);
}

bool
pgha_clone_copy(PghaJobRun *run, const PghaClonePlan *plan)
{
	const char *source = run->conf->members.member[run->leader].name;

	if (!pgha_job_phase(run, "cloning", "%s \"%s\"%s",
						run->conf->clone_command[0] != '\0' ? "runs pgha.clone_command for" : "copies from",
						source, plan->in_place ? ", in place" : ""))
		return false;
	return run->conf->clone_command[0] != '\0' ? run_clone_command(run, plan) : run_pg_basebackup(run, plan);
}

/* Is it a copy of the primary?  Another tool may have taken another backup, or none. */
static bool
check_copy(PghaJobRun *run, const PghaClonePlan *plan)
{
	static PghaAgentConf there;
	PghaControl control;
	char		error[600];

	if (!pgha_exists_in(plan->target, "PG_VERSION"))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "It must fill the directory that %d stands for.",
							 "\"%s\" is not a data directory after the clone", plan->target);
	there = *run->conf;
	(void) snprintf(there.data, sizeof(there.data), "%s", plan->target);
	if (!pgha_server_control(&there, &control, error, sizeof(error)))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, NULL, "the clone cannot be read");
	if (plan->system_identifier != 0 && control.system_identifier != plan->system_identifier)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, "The system identifiers differ.",
							 "See what pgha.clone_command copies from.",
							 "the clone is not one of the primary \"%s\"",
							 run->conf->members.member[run->leader].name);
	return true;
}

bool
pgha_clone_finish_copy(PghaJobRun *run, const PghaClonePlan *plan)
{
	struct stat st;
	mode_t		mode = 0700;
	char		error[PATH_MAX + 256];

	if (!check_copy(run, plan))
		return false;
	/* Group-readable stays what was so; an administrator's empty directory becomes private.  In place it is marked. */
	if (stat(plan->in_place ? plan->target : run->conf->data, &st) == 0)
	{
		if ((st.st_mode & (S_IRWXG | S_IRWXO) & ~(mode_t) S_IXOTH) == (S_IRGRP | S_IXGRP))
			mode |= S_IRGRP | S_IXGRP;
		if (plan->in_place)
			mode |= st.st_mode & S_IXOTH;
	}
	if (chmod(plan->target, mode) != 0 ||
		(plan->in_place && !pgha_mark_set(plan->target, error, sizeof(error))))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not set permissions of \"%s\": %s",
							 plan->target, strerror(errno));
	if (run->conf->clone_command[0] != '\0' && !pgha_sync_tree(plan->target))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync \"%s\": %s", plan->target, strerror(errno));
	return pgha_make_standby(run, plan->target);
}

/* ---- what is outside of the data directory ---- */

/*
 * pg_basebackup makes the links to tablespaces last, and leaves those copies
 * behind when it fails.  So their paths stand in the file `copies` until they
 * belong to a data directory that is whole; each ends with a zero byte.
 */
static void
copies_path(const PghaJobRun *run, char *path)
{
	(void) snprintf(path, PATH_MAX + 32, "%s/copies", run->conf->directory);
}

bool
pgha_clone_note(PghaJobRun *run, const PghaClonePlan *plan)
{
	static char text[(PGHA_MAX_CLONE_PLACES + 1) * PATH_MAX];
	char		path[PATH_MAX + 32];
	size_t		length = 0;

	for (int i = 0; i <= plan->count; i++)
	{
		const char *target = i < plan->count ? plan->tablespace[i].target : plan->wal.target;
		size_t		size = strlen(target) + 1;

		if (size > 1)
			memcpy(text + length, target, size);
		length += size > 1 ? size : 0;
	}
	copies_path(run, path);
	if (length != 0 && !pgha_write_file(path, text, length, 0600, true))
		return pgha_job_fail(run, errno == ENOSPC ? STATE_DISK_FULL : STATE_IO, NULL,
							 "See that the agent's directory can be written to.",
							 "could not write file \"%s\": %s", path, strerror(errno));

	/* pg_basebackup fills what is empty; another tool goes elsewhere. */
	for (size_t at = 0; run->conf->clone_command[0] == '\0' && at < length; at += strlen(text + at) + 1)
	{
		if (!pgha_objects_make(run->conf, text + at))
		{
			pgha_job_fail(run, STATE_IO, NULL, "See that the directory above it can be written to.",
						  "could not create directory \"%s\": %s", text + at, strerror(errno));
			(void) pgha_clone_remove_noted(run, run->conf->data);
			return false;
		}
	}
	return true;
}

void
pgha_clone_forget(const PghaJobRun *run)
{
	char		path[PATH_MAX + 32];

	copies_path(run, path);
	(void) unlink(path);
}

/* A directory is the same by device and inode, whatever path led to it. */
static bool
is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Is it what the link leads to, or directly in that?  A tablespace's directory may be mounted in two places. */
static bool
is_in_link(const char *data, const char *name, const struct stat *wanted)
{
	char		path[PATH_MAX + 300];
	struct stat st;
	DIR		   *dir;
	struct dirent *entry;
	bool		found;

	(void) snprintf(path, sizeof(path), "%s/%s", data, name);
	if (stat(path, &st) != 0)
		return false;
	found = is_same(&st, wanted);
	dir = found ? NULL : opendir(path);
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL)
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode) && is_same(&st, wanted);
	if (dir != NULL)
		(void) closedir(dir);
	return found;
}

/* Does the data directory have its WAL or a tablespace at this place?  What cannot be looked at may be. */
static bool
is_used_by(const char *data, const char *place)
{
	char		path[PATH_MAX + 32];
	struct stat wanted;
	DIR		   *dir;
	struct dirent *entry;
	bool		used;

	if (stat(place, &wanted) != 0)
		return errno != ENOENT;
	used = is_in_link(data, "pg_wal", &wanted);
	(void) snprintf(path, sizeof(path), "%s/pg_tblspc", data);
	dir = opendir(path);
	if (dir == NULL)
		return errno != ENOENT;
	while (!used && (entry = readdir(dir)) != NULL)
	{
		char		name[300];

		(void) snprintf(name, sizeof(name), "pg_tblspc/%s", entry->d_name);
		used = entry->d_name[0] != '.' && is_in_link(data, name, &wanted);
	}
	(void) closedir(dir);
	return used;
}

bool
pgha_clone_remove_noted(const PghaJobRun *run, const char *kept)
{
	char		path[PATH_MAX + 32];
	size_t		length = 0;
	char	   *text;
	bool		done = true;

	copies_path(run, path);
	text = pgha_read_file(path, &length);
	for (size_t at = 0; text != NULL && at < length; at += strlen(text + at) + 1)
	{
		if (pgha_clone_is_copy(text + at) && (kept == NULL || !is_used_by(kept, text + at)))
			done &= pgha_objects_remove(run->conf, text + at);
	}
	free(text);
	if (done)
		pgha_clone_forget(run);
	return done;
}

/*
 * Empties a place that was in use before pgha made its copies: of what begins
 * so, all but those and what `kept` (NULL: none) uses.
 */
static void
empty_root(const char *root, const char *beginning, const char *kept)
{
	DIR		   *dir = opendir(root);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		path[PATH_MAX * 2];
		struct stat st;

		if (entry->d_name[0] == '.' || pgha_clone_is_copy(entry->d_name) ||
			strncmp(entry->d_name, beginning, strlen(beginning)) != 0)
			continue;
		(void) snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		if (lstat(path, &st) != 0)
			continue;
		if (!S_ISDIR(st.st_mode))
			(void) unlink(path);
		else if (kept == NULL || !is_used_by(kept, path))
			(void) pgha_remove_tree(path, true);
	}
	if (dir != NULL)
		(void) closedir(dir);
}

/* What the directory of a tablespace is called that belongs to this data directory, but for the catalog version. */
static void
tablespace_beginning(const char *data, char *beginning, size_t size)
{
	char		path[PATH_MAX + 32];
	char	   *version;

	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", data);
	version = pgha_read_file(path, NULL);
	/* Without a version there is none that could be told from another cluster's. */
	(void) snprintf(beginning, size, "PG_%.*s_", version != NULL ? (int) strcspn(version, "\r\n") : 0,
					version != NULL ? version : "");
	free(version);
}

/*
 * Removes what the link `name` of a data directory points to, as far as it is
 * that one's: unless the data directory `kept` (NULL: none) has its own there.
 */
static void
remove_outside(const PghaJobRun *run, const char *data, const char *name, const char *kept,
			   const char *const *beginnings)
{
	char		target[PATH_MAX];

	if (!pgha_clone_link(data, name, target) || (kept != NULL && is_used_by(kept, target)))
		return;
	if (pgha_clone_is_copy(target))
		(void) pgha_objects_remove(run->conf, target);
	for (; !pgha_clone_is_copy(target) && *beginnings != NULL; beginnings++)
		empty_root(target, *beginnings, kept);
}

bool
pgha_clone_remove_data(const PghaJobRun *run, const char *data, bool itself, const char *kept)
{
	static const char *const of_wal[] = {"0", "archive_status", NULL};
	char		beginning[32];
	const char *const of_tablespace[] = {beginning, NULL};
	char		path[PATH_MAX + 32];
	DIR		   *dir;
	struct dirent *entry;
	struct stat st;
	bool		there = lstat(data, &st) == 0;

	remove_outside(run, data, "pg_wal", kept, of_wal);
	tablespace_beginning(data, beginning, sizeof(beginning));
	(void) snprintf(path, sizeof(path), "%s/pg_tblspc", data);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		name[300];

		(void) snprintf(name, sizeof(name), "pg_tblspc/%s", entry->d_name);
		remove_outside(run, data, name, kept, of_tablespace);
	}
	if (dir != NULL)
		(void) closedir(dir);
	if (!pgha_remove_tree(data, itself))
		return false;
	if (there && itself)
		pgha_objects_forget(run->conf, &st);
	return true;
}

static bool
remove_clone(const PghaJobRun *run)
{
	bool		outside = pgha_clone_remove_noted(run, run->conf->data);

	return pgha_objects_remove(run->conf, run->new_directory) && outside;
}

void
pgha_clone_give_up(PghaJobRun *run)
{
	static const struct timespec pause = {.tv_nsec = 200000000};

	for (int i = 0; i < REMOVE_TRIES && !remove_clone(run); i++)
		(void) nanosleep(&pause, NULL);
	if (access(run->new_directory, F_OK) == 0)
		pgha_agent_warning("could not delete \"%s\": %s", run->new_directory, strerror(errno));
	run->new_directory[0] = '\0';
	memset(&run->new_id, 0, sizeof(run->new_id));
	run->new_whole = false;
}
