/*
 * clone_place.c
 *		Where a clone goes, and whether there is room for it.
 *
 * Beside the old data directory if there is a place, in it if there is none and
 * pgha.clone_in_place allows that.  Asks the primary and the file systems;
 * changes nothing.
 */
#include "clone_place.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../common/command.h"
#include "../host/durable.h"
#include "../host/server_ctl.h"
#include "leader.h"

#define PREFIX			"pgha-"

/* Above what the primary says it holds, for what it writes meanwhile. */
#define MARGIN_PERCENT	5
#define MARGIN_BYTES	(64LL * 1024 * 1024)

/* ---- whose directory is it? ---- */

/*
 * What an earlier job has emptied is ours; else something in it must be
 * PostgreSQL's.  postgresql.auto.conf is nowhere else, and is what is left where
 * all but the configuration was lost.
 */
bool
pgha_clone_check_place(PghaJobRun *run)
{
	const char *data = run->conf->data;
	pid_t		pid;

	if (!run->data_ok || pgha_server_look(run->conf, &pid) == PGHA_SERVER_ABSENT ||
		pgha_exists_in(data, "PG_VERSION") || pgha_exists_in(data, "postgresql.auto.conf") ||
		(pgha_exists_in(data, "base") && pgha_exists_in(data, "global")))
		return true;
	return pgha_job_fail(run, STATE_NOT_IN_STATE, "It is neither empty nor missing, and has no file PG_VERSION or postgresql.auto.conf.",
						 "Correct data_directory, or move away what is there.",
						 "\"%s\" is not a data directory of PostgreSQL", data);
}

/* ---- where things go ---- */

bool
pgha_clone_is_copy(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	const char *time = name + strlen(PREFIX);

	return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strlen(time) == strlen("yyyymmddThhmmssZ") &&
		strspn(time, "0123456789") == 8 && time[8] == 'T' && strspn(time + 9, "0123456789") == 6 && time[15] == 'Z';
}

/*
 * The directory that copies of what a link points to are put into.  What
 * already is such a copy has it as its parent.
 */
static void
root_of(const char *link_target, char *root, size_t size)
{
	if (pgha_clone_is_copy(link_target))
		(void) snprintf(root, size, "%.*s", (int) (strrchr(link_target, '/') - link_target), link_target);
	else
		(void) snprintf(root, size, "%s", link_target);
}

bool
pgha_clone_link(const char *data, const char *name, char *target)
{
	char		path[PATH_MAX + 64];
	char		place[PATH_MAX];
	ssize_t		length;

	(void) snprintf(path, sizeof(path), "%s/%s", data, name);
	length = readlink(path, place, sizeof(place) - 1);
	if (length <= 0)
		return false;
	place[length] = '\0';

	if (place[0] == '/')
		(void) snprintf(target, PATH_MAX, "%s", place);
	else if (realpath(path, target) == NULL)
		return false;			/* a relative one that leads nowhere */
	return true;
}

static void
set_target(PghaJobRun *run, PghaClonePlace *place)
{
	size_t		length = strnlen(place->root, sizeof(place->target) - 64);

	memcpy(place->target, place->root, length);
	(void) snprintf(place->target + length, sizeof(place->target) - length, "/" PREFIX "%s", run->stamp);
}

/* Takes one row: oid, location (empty: in the data directory), size. */
static bool
plan_tablespace(PghaJobRun *run, PghaClonePlan *plan, const PGresult *result, int row)
{
	const char *location = PQgetvalue(result, row, 1);
	int64_t		size = strtoll(PQgetvalue(result, row, 2), NULL, 10);
	char		name[64];
	char		link_target[PATH_MAX];
	PghaClonePlace *place = &plan->tablespace[plan->count];

	/* A relative one is a directory inside of pg_tblspc. */
	if (location[0] != '/')
	{
		plan->size += size;
		return true;
	}
	if (plan->count == PGHA_MAX_CLONE_PLACES)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Clone it with pgha.clone_command.",
							 "there are more than %d tablespaces", PGHA_MAX_CLONE_PLACES);
	(void) snprintf(place->oid, sizeof(place->oid), "%s", PQgetvalue(result, row, 0));
	(void) snprintf(place->source, sizeof(place->source), "%s", location);
	(void) snprintf(name, sizeof(name), "pg_tblspc/%s", place->oid);
	root_of(pgha_clone_link(run->conf->data, name, link_target) ? link_target : location, place->root, sizeof(place->root));
	set_target(run, place);
	place->size = size;
	plan->count++;
	return true;
}

static bool
ask_sizes(PghaJobRun *run, PghaClonePlan *plan, PGconn *leader)
{
	char		error[512];
	char	   *wal;
	char	   *system;
	PGresult   *result = PQexec(leader,
								"SELECT oid, pg_catalog.pg_tablespace_location(oid),"
								" coalesce(pg_catalog.pg_tablespace_size(oid), 0)"
								" FROM pg_catalog.pg_tablespace");
	bool		done = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done)
		pgha_job_fail(run, STATE_CONNECTION, PQresultErrorMessage(result),
					  "The role of pgha.conninfo must be a member of pg_monitor; see pgha_setup_role().",
					  "could not ask the primary for its size");
	for (int i = 0; done && i < PQntuples(result); i++)
		done = plan_tablespace(run, plan, result, i);
	PQclear(result);
	if (!done)
		return false;

	wal = pgha_member_query(leader, "SELECT coalesce(sum(size), 0) FROM pg_catalog.pg_ls_waldir()", NULL,
							error, sizeof(error));
	plan->wal.size = wal != NULL ? strtoll(wal, NULL, 10) : 0;
	free(wal);
	system = pgha_member_query(leader, "SELECT system_identifier FROM pg_catalog.pg_control_system()", NULL,
							   error, sizeof(error));
	plan->system_identifier = system != NULL ? strtoull(system, NULL, 10) : 0;
	free(system);
	if (!plan->separate_wal)
		plan->size += plan->wal.size;
	return true;
}

static void
choose_slot(PghaJobRun *run, PghaClonePlan *plan, PGconn *leader)
{
	char		error[512];
	char		slot[64];
	char	   *free_slots;

	pgha_slot_name(run->conf->members.member[run->conf->self].name, slot);
	free_slots = pgha_member_query(leader, "SELECT count(*) FROM pg_catalog.pg_replication_slots"
								   " WHERE slot_name = $1 AND NOT active AND slot_type = 'physical'"
								   " AND coalesce(wal_status, '') <> 'lost'", slot, error, sizeof(error));
	if (free_slots != NULL && strcmp(free_slots, "1") == 0)
		memcpy(plan->slot, slot, sizeof(slot));
	free(free_slots);
}

/* ---- is there room? ---- */

/* Why there cannot be a second directory beside PGDATA; NULL if there can. */
static const char *
no_place_beside(const PghaAgentConf *conf)
{
	char		parent[PATH_MAX];
	struct stat st;
	struct stat parent_st;

	pgha_parent_of(conf->data, parent);
	if (stat(parent, &parent_st) != 0 || access(parent, W_OK | X_OK) != 0)
		return "the directory that it is in cannot be written to";
	if (stat(conf->data, &st) == 0 && st.st_dev != parent_st.st_dev)
		return "it is a mount point";
	return NULL;
}

/* A file system, what will be written to it, and what can be. */
typedef struct Volume
{
	dev_t		device;
	char		path[PATH_MAX];
	int64_t		needed;
	int64_t		room;
} Volume;

typedef struct Volumes
{
	int			count;
	Volume		volume[PGHA_MAX_CLONE_PLACES + 2];
} Volumes;

static bool
need_room(PghaJobRun *run, Volumes *volumes, const char *path, int64_t size)
{
	struct stat st;
	struct statvfs fs;
	Volume	   *volume = volumes->volume;

	if (stat(path, &st) != 0 || statvfs(path, &fs) != 0)
		return pgha_job_fail(run, STATE_IO, NULL,
							 "Create it, for the owner of the data directory, as it is on the primary.",
							 "directory \"%s\" cannot be used: %s", path, strerror(errno));
	while (volume < volumes->volume + volumes->count && volume->device != st.st_dev)
		volume++;
	if (volume == volumes->volume + volumes->count)
	{
		volumes->count++;
		volume->device = st.st_dev;
		(void) snprintf(volume->path, sizeof(volume->path), "%s", path);
		volume->needed = MARGIN_BYTES;
		volume->room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
	}
	volume->needed += size + size * MARGIN_PERCENT / 100;
	return true;
}

/* Bytes in use below a directory, without following links. */
static int64_t
used_by(const char *path)
{
	DIR		   *dir = opendir(path);
	struct dirent *entry;
	int64_t		sum = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		name[PATH_MAX * 2];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void) snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (strlen(name) >= PATH_MAX || lstat(name, &st) != 0)
			continue;
		sum += S_ISDIR(st.st_mode) ? used_by(name) : (int64_t) st.st_blocks * 512;
	}
	if (dir != NULL)
		(void) closedir(dir);
	return sum;
}

/* What emptying the old places gives back, in place. */
static void
add_freed_room(PghaJobRun *run, const PghaClonePlan *plan, Volumes *volumes)
{
	for (int v = 0; v < volumes->count; v++)
	{
		struct stat st;

		if (stat(run->conf->data, &st) == 0 && st.st_dev == volumes->volume[v].device)
			volumes->volume[v].room += used_by(run->conf->data);
		for (int i = 0; i < plan->count; i++)
		{
			if (stat(plan->tablespace[i].root, &st) == 0 && st.st_dev == volumes->volume[v].device)
				volumes->volume[v].room += used_by(plan->tablespace[i].root);
		}
		if (plan->separate_wal && stat(plan->wal.root, &st) == 0 && st.st_dev == volumes->volume[v].device)
			volumes->volume[v].room += used_by(plan->wal.root);
	}
}

static bool
check_room(PghaJobRun *run, const PghaClonePlan *plan)
{
	Volumes		volumes = {.count = 0};
	char		parent[PATH_MAX];
	char		detail[512];

	pgha_parent_of(run->conf->data, parent);
	if (!need_room(run, &volumes, plan->in_place ? run->conf->data : parent, plan->size) ||
		(plan->separate_wal && !need_room(run, &volumes, plan->wal.root, plan->wal.size)))
		return false;
	for (int i = 0; i < plan->count; i++)
	{
		if (!need_room(run, &volumes, plan->tablespace[i].root, plan->tablespace[i].size))
			return false;
	}
	if (plan->in_place)
		add_freed_room(run, plan, &volumes);
	for (int v = 0; v < volumes.count; v++)
	{
		const Volume *volume = &volumes.volume[v];

		if (volume->room > volume->needed)
			continue;
		(void) snprintf(detail, sizeof(detail), "%lld MB are needed, %lld MB are free.",
						(long long) (volume->needed >> 20), (long long) (volume->room >> 20));
		return pgha_job_fail(run, STATE_DISK_FULL, detail,
							 plan->in_place ? "Make room there." : run->old_directory[0] != '\0' ?
							 "Make room there: there still is the former data directory .old-<time>, as no clone has streamed since." :
							 "Make room there, or set pgha.clone_in_place = on, which gives up the old copy first.",
							 "there is no room for a clone at \"%s\"", volume->path);
	}
	return true;
}

/* pg_basebackup fills an empty directory only. */
static bool
holds_lost_and_found(const PghaAgentConf *conf)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/lost+found", conf->data);
	return access(path, F_OK) == 0;
}

/* Beside the old directory if possible, in place if that is allowed. */
static bool
choose_place(PghaJobRun *run, PghaClonePlan *plan)
{
	const char *obstacle = no_place_beside(run->conf);

	plan->in_place = false;
	(void) snprintf(plan->target, sizeof(plan->target), "%.*s.new-%s", PATH_MAX - 64, run->conf->data, run->stamp);
	if (obstacle == NULL && check_room(run, plan))
		return true;
	if (obstacle == NULL && strcmp(run->sqlstate, STATE_DISK_FULL) != 0)
		return false;
	if (!run->conf->clone_in_place)
		return obstacle == NULL ? false :
			pgha_job_fail(run, STATE_NOT_IN_STATE, obstacle,
						  "Set pgha.clone_in_place = on: the old copy is then given up before the new one is there.",
						  "no copy can be made beside the data directory \"%s\"", run->conf->data);
	if (holds_lost_and_found(run->conf))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, "It holds the directory \"lost+found\".",
							 "Make the data directory a directory below the mount point.",
							 "the data directory \"%s\" cannot be emptied", run->conf->data);
	plan->in_place = true;
	(void) snprintf(plan->target, sizeof(plan->target), "%s", run->conf->data);
	return check_room(run, plan);
}

bool
pgha_clone_make_plan(PghaJobRun *run, PghaClonePlan *plan, PGconn *leader)
{
	char		link_target[PATH_MAX];

	memset(plan, 0, sizeof(*plan));
	plan->separate_wal = pgha_clone_link(run->conf->data, "pg_wal", link_target);
	if (plan->separate_wal)
	{
		root_of(link_target, plan->wal.root, sizeof(plan->wal.root));
		set_target(run, &plan->wal);
	}
	if (!ask_sizes(run, plan, leader) || !choose_place(run, plan))
		return false;
	choose_slot(run, plan, leader);
	pgha_job_forget_failure(run);
	return true;
}

char **
pgha_clone_argv(const PghaJobRun *run, const PghaClonePlan *plan, const char *command, char *error, size_t error_size)
{
	const PghaAddress *leader = &run->conf->members.member[run->leader];
	char		port[16];
	PghaEscape	escapes[] = {
		{'d', plan->target}, {'h', leader->host}, {'p', port},
		{'n', run->conf->members.member[run->conf->self].name}, {0, NULL}
	};

	(void) snprintf(port, sizeof(port), "%d", leader->port);
	return pgha_command_split(command, escapes, error, error_size);
}
