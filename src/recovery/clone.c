/*
 * clone.c
 *		Building this node anew from the leader: pg_basebackup, or pgha.clone_command.
 *
 * The copy is made beside the old data directory, as <PGDATA>.new-<time>, while
 * the old server may go on serving reads.  When it is whole, the two are
 * exchanged, and the old one is called <PGDATA>.old-<time> until the new one
 * streams.  If it never does and another clone is made, the old one stays, and
 * the clone goes.  Storage outside of the data directory (a separate pg_wal,
 * tablespaces) goes to new directories pgha-<time> inside the old places: the
 * links to them are part of the data directory, so that one rename swaps it all.
 *
 * Where there is no place for that, the data directory can be emptied and
 * filled again, if pgha.clone_in_place allows it; it is marked (mark.h)
 * meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "../common/command.h"
#include "../host/durable.h"
#include "job_run.h"
#include "../host/mark.h"
#include "../host/process.h"

#define MAX_PLACES		64
#define PREFIX			"pgha-"
#define REMOVE_TRIES	25

/* Above what the primary says it holds, for what it writes meanwhile. */
#define MARGIN_PERCENT	5
#define MARGIN_BYTES	(64LL * 1024 * 1024)

/* A part of the database with a place of its own. */
typedef struct Place
{
	char		oid[16];		/* tablespace; empty: the data directory itself */
	char		source[PATH_MAX];	/* where it is on the primary */
	char		root[PATH_MAX]; /* directory on this host that the new copy goes into */
	char		target[PATH_MAX];	/* the new copy */
	int64_t		size;			/* bytes, on the primary */
} Place;

typedef struct Plan
{
	uint64_t	system_identifier;	/* of the primary; 0: not known */
	int			count;			/* tablespaces with a place of their own */
	Place		tablespace[MAX_PLACES];
	int64_t		size;			/* of the data directory with WAL */
	bool		separate_wal;
	Place		wal;
	bool		in_place;
	char		target[PATH_MAX];	/* directory to be filled */
	char		slot[64];		/* empty: a temporary one */
} Plan;

/* ---- whose directory is it? ---- */

static bool
exists_in(const char *directory, const char *name)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

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
		exists_in(data, "PG_VERSION") || exists_in(data, "postgresql.auto.conf") ||
		(exists_in(data, "base") && exists_in(data, "global")))
		return true;
	return pgha_job_fail(run, STATE_NOT_IN_STATE, "It is neither empty nor missing, and has no file PG_VERSION or postgresql.auto.conf.",
						 "Correct data_directory, or move away what is there.",
						 "\"%s\" is not a data directory of PostgreSQL", data);
}

/* ---- where things go ---- */

/*
 * Is this a copy that pgha made?  Its last component is PREFIX and a time; what
 * else the path contains must not matter.
 */
static bool
is_copy(const char *path)
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
	if (is_copy(link_target))
		(void) snprintf(root, size, "%.*s", (int) (strrchr(link_target, '/') - link_target), link_target);
	else
		(void) snprintf(root, size, "%s", link_target);
}

/* Target of a link below a data directory; false if it is none. */
static bool
read_link(const char *data, const char *name, char *target)
{
	char		path[PATH_MAX + 64];
	ssize_t		length;

	(void) snprintf(path, sizeof(path), "%s/%s", data, name);
	length = readlink(path, target, PATH_MAX - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	return true;
}

static void
set_target(PghaJobRun *run, Place *place)
{
	size_t		length = strnlen(place->root, sizeof(place->target) - 64);

	memcpy(place->target, place->root, length);
	(void) snprintf(place->target + length, sizeof(place->target) - length, "/" PREFIX "%s", run->stamp);
}

/* Takes one row: oid, location (empty: in the data directory), size. */
static bool
plan_tablespace(PghaJobRun *run, Plan *plan, const PGresult *result, int row)
{
	const char *location = PQgetvalue(result, row, 1);
	int64_t		size = strtoll(PQgetvalue(result, row, 2), NULL, 10);
	char		name[64];
	char		link_target[PATH_MAX];
	Place	   *place = &plan->tablespace[plan->count];

	/* A relative one is a directory inside of pg_tblspc. */
	if (location[0] != '/')
	{
		plan->size += size;
		return true;
	}
	if (plan->count == MAX_PLACES)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Clone it with pgha.clone_command.",
							 "there are more than %d tablespaces", MAX_PLACES);
	(void) snprintf(place->oid, sizeof(place->oid), "%s", PQgetvalue(result, row, 0));
	(void) snprintf(place->source, sizeof(place->source), "%s", location);
	(void) snprintf(name, sizeof(name), "pg_tblspc/%s", place->oid);
	root_of(read_link(run->conf->data, name, link_target) ? link_target : location, place->root, sizeof(place->root));
	set_target(run, place);
	place->size = size;
	plan->count++;
	return true;
}

static bool
ask_sizes(PghaJobRun *run, Plan *plan, PGconn *leader)
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

	wal = pgha_job_query(leader, "SELECT coalesce(sum(size), 0) FROM pg_catalog.pg_ls_waldir()", NULL,
						 error, sizeof(error));
	plan->wal.size = wal != NULL ? strtoll(wal, NULL, 10) : 0;
	free(wal);
	system = pgha_job_query(leader, "SELECT system_identifier FROM pg_catalog.pg_control_system()", NULL,
							error, sizeof(error));
	plan->system_identifier = system != NULL ? strtoull(system, NULL, 10) : 0;
	free(system);
	if (!plan->separate_wal)
		plan->size += plan->wal.size;
	return true;
}

static void
choose_slot(PghaJobRun *run, Plan *plan, PGconn *leader)
{
	char		error[512];
	char		slot[64];
	char	   *free_slots;

	pgha_slot_name(run->conf->members.member[run->conf->self].name, slot);
	free_slots = pgha_job_query(leader, "SELECT count(*) FROM pg_catalog.pg_replication_slots"
								" WHERE slot_name = $1 AND NOT active AND slot_type = 'physical'"
								" AND coalesce(wal_status, '') <> 'lost'", slot, error, sizeof(error));
	if (free_slots != NULL && strcmp(free_slots, "1") == 0)
		memcpy(plan->slot, slot, sizeof(slot));
	free(free_slots);
}

/* ---- is there room? ---- */

static void
parent_of(const char *path, char *parent, size_t size)
{
	const char *slash = strrchr(path, '/');

	(void) snprintf(parent, size, "%.*s", slash == path ? 1 : (int) (slash - path), path);
}

/* Why there cannot be a second directory beside PGDATA; NULL if there can. */
static const char *
no_place_beside(const PghaAgentConf *conf)
{
	char		parent[PATH_MAX];
	struct stat st;
	struct stat parent_st;

	parent_of(conf->data, parent, sizeof(parent));
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
	Volume		volume[MAX_PLACES + 2];
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
add_freed_room(PghaJobRun *run, const Plan *plan, Volumes *volumes)
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
check_room(PghaJobRun *run, const Plan *plan)
{
	Volumes		volumes = {.count = 0};
	char		parent[PATH_MAX];
	char		detail[512];

	parent_of(run->conf->data, parent, sizeof(parent));
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
choose_place(PghaJobRun *run, Plan *plan)
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

static bool
make_plan(PghaJobRun *run, Plan *plan, PGconn *leader)
{
	char		link_target[PATH_MAX];

	memset(plan, 0, sizeof(*plan));
	plan->separate_wal = read_link(run->conf->data, "pg_wal", link_target);
	if (plan->separate_wal)
	{
		root_of(link_target, plan->wal.root, sizeof(plan->wal.root));
		set_target(run, &plan->wal);
	}
	if (!ask_sizes(run, plan, leader) || !choose_place(run, plan))
		return false;
	choose_slot(run, plan, leader);
	run->sqlstate[0] = run->message[0] = run->detail[0] = run->hint[0] = '\0';
	return true;
}

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

static bool
note_copies(PghaJobRun *run, const Plan *plan)
{
	static char text[(MAX_PLACES + 1) * PATH_MAX];
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
	return length == 0 || pgha_write_file(path, text, length, 0600, true) ||
		pgha_job_fail(run, errno == ENOSPC ? STATE_DISK_FULL : STATE_IO, NULL,
					  "See that the agent's directory can be written to.",
					  "could not write file \"%s\": %s", path, strerror(errno));
}

static void
forget_copies(const PghaJobRun *run)
{
	char		path[PATH_MAX + 32];

	copies_path(run, path);
	(void) unlink(path);
}

/* False if one could not be removed: they stay noted. */
static bool
remove_copies(const PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	size_t		length = 0;
	char	   *text;
	bool		done = true;

	copies_path(run, path);
	text = pgha_read_file(path, &length);
	for (size_t at = 0; text != NULL && at < length; at += strlen(text + at) + 1)
	{
		if (is_copy(text + at))
			done &= pgha_remove_tree(text + at, true);
	}
	free(text);
	if (done)
		forget_copies(run);
	return done;
}

static bool
run_clone_command(PghaJobRun *run, const Plan *plan)
{
	const PghaAddress *leader = &run->conf->members.member[run->leader];
	char		port[16];
	PghaEscape	escapes[] = {
		{'d', plan->target}, {'h', leader->host}, {'p', port},
		{'n', run->conf->members.member[run->conf->self].name}, {0, NULL}
	};
	char		error[256];
	PghaRun		program = {.line = take_line, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	/* There is not a tool that would mind an empty directory; some need it. */
	if (!pgha_make_directory(plan->target))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s",
							 plan->target, strerror(errno));
	(void) snprintf(port, sizeof(port), "%d", leader->port);
	program.argv = pgha_command_split(run->conf->clone_command, escapes, error, sizeof(error));
	if (program.argv == NULL)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, NULL, "pgha.clone_command cannot be read");
	status = pgha_run(&program);
	free(program.argv);
	return status == 0 || report_copy(run, &program, "pgha.clone_command", status);
}

static bool
run_pg_basebackup(PghaJobRun *run, const Plan *plan)
{
	char		path[PATH_MAX + 32];
	char		source[PGHA_CONNINFO_SIZE];
	char		wal[PATH_MAX + 32];
	char		mapping[MAX_PLACES][PATH_MAX * 2 + 32];
	char	   *argv[MAX_PLACES + 20];
	int			n = 0;
	PghaRun		program = {.argv = argv, .line = take_line, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	if (!pgha_conninfo_build(source, sizeof(source), run->conf->conninfo,
							 &run->conf->members.member[run->leader], PGHA_AGENT_APPLICATION, PGHA_JOB_TCP))
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
		(void) snprintf(mapping[i], sizeof(mapping[i]), "--tablespace-mapping=%s=%s",
						plan->tablespace[i].source, plan->tablespace[i].target);
		argv[n++] = mapping[i];
	}
	argv[n] = NULL;
	status = pgha_run(&program);
	return status == 0 || report_copy(run, &program, "pg_basebackup", status);
}

/* Does the data directory have its WAL or a tablespace at this place? */
static bool
is_used_by(const char *data, const char *place)
{
	char		path[PATH_MAX + 32];
	char		target[PATH_MAX];
	DIR		   *dir;
	struct dirent *entry;
	bool		used = read_link(data, "pg_wal", target) && strcmp(target, place) == 0;

	(void) snprintf(path, sizeof(path), "%s/pg_tblspc", data);
	dir = opendir(path);
	while (dir != NULL && !used && (entry = readdir(dir)) != NULL)
	{
		char		name[300];

		(void) snprintf(name, sizeof(name), "pg_tblspc/%s", entry->d_name);
		used = read_link(data, name, target) && strcmp(target, place) == 0;
	}
	if (dir != NULL)
		(void) closedir(dir);
	return used;
}

/* Empties a place that was in use before pgha made its copies: of what begins so, all but those. */
static void
empty_root(const char *root, const char *beginning)
{
	DIR		   *dir = opendir(root);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		path[PATH_MAX * 2];
		struct stat st;

		if (entry->d_name[0] == '.' || is_copy(entry->d_name) ||
			strncmp(entry->d_name, beginning, strlen(beginning)) != 0)
			continue;
		(void) snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		if (lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			(void) pgha_remove_tree(path, true);
		else
			(void) unlink(path);
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
remove_outside(const char *data, const char *name, const char *kept, const char *const *beginnings)
{
	char		target[PATH_MAX];

	if (!read_link(data, name, target) || (kept != NULL && is_used_by(kept, target)))
		return;
	if (is_copy(target))
		(void) pgha_remove_tree(target, true);
	for (; !is_copy(target) && *beginnings != NULL; beginnings++)
		empty_root(target, *beginnings);
}

/*
 * Removes a data directory with its storage outside, wherever that is, but
 * nothing that `kept` (NULL: none) uses: another tool may have placed the
 * tablespaces of the new copy where those of the old one were.
 */
static bool
remove_data(const char *data, bool itself, const char *kept)
{
	static const char *const of_wal[] = {"0", "archive_status", NULL};
	char		beginning[32];
	const char *const of_tablespace[] = {beginning, NULL};
	char		path[PATH_MAX + 32];
	DIR		   *dir;
	struct dirent *entry;

	remove_outside(data, "pg_wal", kept, of_wal);
	tablespace_beginning(data, beginning, sizeof(beginning));
	(void) snprintf(path, sizeof(path), "%s/pg_tblspc", data);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char		name[300];

		(void) snprintf(name, sizeof(name), "pg_tblspc/%s", entry->d_name);
		remove_outside(data, name, kept, of_tablespace);
	}
	if (dir != NULL)
		(void) closedir(dir);
	return pgha_remove_tree(data, itself);
}

static bool
remove_clone(const PghaJobRun *run)
{
	bool		outside = remove_copies(run);

	return pgha_remove_tree(run->new_directory, true) && outside;
}

/*
 * Removes a clone that will not be used.  What pgha wanted outside of it stands
 * in `copies`; links in it are not followed: another tool may have made them to
 * what the node uses.  A pg_basebackup that was killed may have left its process
 * for the WAL, which adds a file before it ends, too.
 */
static void
give_up_copy(PghaJobRun *run)
{
	static const struct timespec pause = {.tv_nsec = 200000000};

	for (int i = 0; i < REMOVE_TRIES && !remove_clone(run); i++)
		(void) nanosleep(&pause, NULL);
	if (access(run->new_directory, F_OK) == 0)
		fprintf(stderr, "pgha agent: could not delete \"%s\": %s\n", run->new_directory, strerror(errno));
	run->new_directory[0] = '\0';
	run->new_inode = 0;
}

/* ---- the swap ---- */

static bool
inode_of(const char *path, uint64_t *inode)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	*inode = (uint64_t) st.st_ino;
	return true;
}

/* Is the directory at `path` the whole clone? */
static bool
is_clone(const PghaJobRun *run, const char *path)
{
	uint64_t	inode;

	return inode_of(path, &inode) && inode == run->new_inode;
}

/*
 * Puts the whole clone in the place of the data directory.  Can be repeated
 * after a crash at any point: the inode of the clone tells where it is.
 */
static bool
swap_in(PghaJobRun *run)
{
	const char *data = run->conf->data;
	char	   *aside = run->spent_directory[0] != '\0' ? run->spent_directory : run->old_directory;

	if (is_clone(run, data))
		;						/* exchanged already */
	else if (!is_clone(run, run->new_directory))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "the clone \"%s\" has vanished", run->new_directory);
	else if (access(data, F_OK) == 0)
	{
		if (renameat2(AT_FDCWD, run->new_directory, AT_FDCWD, data, RENAME_EXCHANGE) != 0 &&
			(rename(data, aside) != 0 || rename(run->new_directory, data) != 0))
			return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not exchange \"%s\" and \"%s\": %s",
								 run->new_directory, data, strerror(errno));
	}
	else if (rename(run->new_directory, data) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not rename \"%s\" to \"%s\": %s",
							 run->new_directory, data, strerror(errno));

	/* What is under the clone's name now is what it replaces. */
	if (access(run->new_directory, F_OK) == 0 && rename(run->new_directory, aside) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not rename \"%s\" to \"%s\": %s",
							 run->new_directory, aside, strerror(errno));
	if (!pgha_sync_parent(data))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync the parent of \"%s\": %s", data, strerror(errno));
	run->new_directory[0] = '\0';
	run->new_inode = 0;
	if (access(aside, F_OK) != 0)
		aside[0] = '\0';
	run->data_ok = true;
	run->cloned = true;
	if (!pgha_job_record(run))
		return false;
	forget_copies(run);
	return true;
}

/*
 * Does the leader still lead?  A copy may have taken hours, from elsewhere than
 * the leader, and the old server may be the primary by now: it must not be stopped.
 */
static bool
leader_leads(PghaJobRun *run)
{
	PGconn	   *leader = pgha_job_leader(run);

	if (leader == NULL)
		return false;
	PQfinish(leader);
	return true;
}

/* Stops the old server if it runs; one that cannot be stopped cleanly is going away anyhow. */
static bool
stop_old(PghaJobRun *run)
{
	pid_t		pid;
	char		error[600];

	if (pgha_server_look(run->conf, &pid) != PGHA_SERVER_RUNNING)
		return true;
	run->stopped = true;
	if (!pgha_job_phase(run, "stopping", "stops the old server"))
		return false;
	return pgha_server_stop(run->conf, "fast", 60000, error, sizeof(error)) ||
		pgha_server_stop(run->conf, "immediate", 60000, error, sizeof(error)) ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, error, "Stop it by hand, and try again.",
					  "the old server could not be stopped");
}

/* Does what is to be replaced belong to another cluster than the primary does? */
static bool
is_foreign(const PghaJobRun *run, const Plan *plan)
{
	PghaControl control;
	char		error[600];

	return run->data_ok && plan->system_identifier != 0 &&
		pgha_server_control(run->conf, &control, error, sizeof(error)) &&
		control.system_identifier != plan->system_identifier;
}

/*
 * Keeps what the old copy has beyond the leader's history.  Where that cannot
 * be told, or it is another cluster's, the old copy itself is kept.
 */
static bool
save_lost(PghaJobRun *run, const Plan *plan)
{
	PghaControl control;
	PghaFork	fork;
	char		error[600];
	PGconn	   *leader;
	bool		known;

	/* What is not whole was given up before, and saved then. */
	run->own = run->data_ok && exists_in(run->conf->data, "global") ? PGHA_OWN_SAVED : PGHA_OWN_NOTHING;
	if (run->own == PGHA_OWN_NOTHING)
		return true;
	if (!pgha_server_control(run->conf, &control, error, sizeof(error)) || is_foreign(run, plan))
	{
		run->own = PGHA_OWN_UNKNOWN;
		return true;
	}
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	known = control.system_identifier != 0 && pgha_fork_find(run, leader, &control, &fork);
	PQfinish(leader);
	if (!known || fork.same_timeline)
	{
		run->own = known ? PGHA_OWN_NOTHING : PGHA_OWN_UNKNOWN;
		run->sqlstate[0] = run->message[0] = run->detail[0] = run->hint[0] = '\0';
		return true;
	}
	if (fork.own_timeline != fork.timeline || run->wal_end == 0 || run->wal_end > fork.lsn)
		return pgha_lost_save(run, &control, &fork);
	run->own = PGHA_OWN_NOTHING;
	return true;
}

static bool
copy(PghaJobRun *run, const Plan *plan)
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
check_copy(PghaJobRun *run, const Plan *plan)
{
	static PghaAgentConf there;
	PghaControl control;
	char		error[600];

	if (!exists_in(plan->target, "PG_VERSION"))
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

/*
 * Deletes a former data directory, if there is one.  While that cannot be
 * written down it is not done, nor forgotten: false, after pgha_job_fail().
 */
static bool
delete_directory(PghaJobRun *run, char *directory)
{
	if (directory[0] == '\0')
		return true;
	if (!pgha_job_phase(run, "cleaning up", "deletes \"%s\"", directory))
		return false;
	if (!remove_data(directory, true, run->conf->data))
		fprintf(stderr, "pgha agent: could not delete \"%s\": %s\n", directory, strerror(errno));
	directory[0] = '\0';
	return true;
}

/* Leaves the former data directory, if there is one, to the administrator. */
static void
say_kept(PghaJobRun *run)
{
	if (run->old_directory[0] == '\0')
		return;
	fprintf(stderr, "pgha agent: the former data directory is kept as \"%s\"\n", run->old_directory);
	run->old_directory[0] = '\0';
}

/* pg_basebackup has synced what it wrote; another tool perhaps has not. */
static bool
finish_copy(PghaJobRun *run, const Plan *plan)
{
	if (!check_copy(run, plan))
		return false;
	if (chmod(plan->target, plan->in_place ? 0701 : 0700) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not set permissions of \"%s\": %s",
							 plan->target, strerror(errno));
	if (run->conf->clone_command[0] != '\0' && !pgha_sync_tree(plan->target))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync \"%s\": %s", plan->target, strerror(errno));
	return pgha_make_standby(run, plan->target);
}

/*
 * Where the data directory goes that a clone replaces.  If that is a clone that
 * never streamed, the copy before it is the one to be kept.
 */
static void
name_aside(PghaJobRun *run)
{
	bool		spent = run->old_directory[0] != '\0' && run->own == PGHA_OWN_NOTHING;
	char	   *aside = spent ? run->spent_directory : run->old_directory;

	if (!spent)
	{
		say_kept(run);
		run->keep_old = run->own == PGHA_OWN_UNKNOWN;
	}
	(void) snprintf(aside, PATH_MAX, "%.*s.old-%s", PATH_MAX - 64, run->conf->data, run->stamp);
}

static bool
clone_beside(PghaJobRun *run, const Plan *plan)
{
	if (!pgha_settings_save(run) || !note_copies(run, plan))
		return false;
	(void) snprintf(run->new_directory, sizeof(run->new_directory), "%s", plan->target);
	if (!copy(run, plan) || !finish_copy(run, plan) || !pgha_job_check_cancel(run) ||
		!leader_leads(run) || !stop_old(run) || !save_lost(run, plan))
	{
		give_up_copy(run);
		return false;
	}

	run->irrevocable = true;
	(void) inode_of(plan->target, &run->new_inode);
	name_aside(run);
	if (pgha_job_phase(run, "swapping", "puts the clone in the place of \"%s\"", run->conf->data) &&
		swap_in(run))
		return true;
	run->irrevocable = false;
	if (run->new_directory[0] != '\0' && !is_clone(run, run->conf->data) && access(run->conf->data, F_OK) == 0)
	{
		give_up_copy(run);
		if (run->spent_directory[0] != '\0')
			run->spent_directory[0] = '\0';
		else
			run->old_directory[0] = '\0';
	}
	return false;
}

/* Nothing has been changed yet: takes the mark off again. */
static bool
unmark(PghaJobRun *run)
{
	char		error[512];

	run->irrevocable = false;
	run->data_ok = true;
	if (!pgha_mark_clear(run->conf->data, error, sizeof(error)))
		fprintf(stderr, "pgha agent: %s\n", error);
	return false;
}

static bool
clone_in_place(PghaJobRun *run, const Plan *plan)
{
	char		error[512];
	bool		whole = run->data_ok && access(run->conf->data, F_OK) == 0;

	if (is_foreign(run, plan))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, "The system identifiers differ.",
							 "Correct data_directory, or move away what is there.",
							 "\"%s\" is the data directory of another cluster, and is not given up for a clone in place",
							 run->conf->data);
	if (!stop_old(run) || !save_lost(run, plan) || !pgha_settings_save(run) || !note_copies(run, plan) ||
		!pgha_job_check_cancel(run))
		return false;
	if (!pgha_make_directory(run->conf->data) || !pgha_mark_set(run->conf->data, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not mark \"%s\": %s", run->conf->data, strerror(errno));
	run->irrevocable = true;
	if (!pgha_job_phase(run, "swapping", "empties \"%s\"", run->conf->data))
		return whole ? unmark(run) : false;
	run->data_ok = false;
	if (!pgha_job_record(run))
		return whole ? unmark(run) : false;
	if (!remove_data(run->conf->data, false, NULL))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not empty \"%s\": %s", run->conf->data, strerror(errno));
	if (!copy(run, plan) || !finish_copy(run, plan))
	{
		(void) remove_copies(run);
		return false;
	}

	/* First remembered, then unmarked: a mark that a crash leaves behind has no meaning then. */
	run->data_ok = run->cloned = true;
	if (!pgha_job_record(run))
	{
		run->data_ok = run->cloned = false;
		return false;
	}
	forget_copies(run);
	return pgha_mark_clear(run->conf->data, error, sizeof(error)) ||
		pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
}

bool
pgha_clone_tidy(PghaJobRun *run)
{
	if (run->new_directory[0] != '\0' && run->new_inode != 0 &&
		(is_clone(run, run->new_directory) || is_clone(run, run->conf->data)))
		return stop_old(run) && swap_in(run);
	if (run->new_directory[0] != '\0')
	{
		give_up_copy(run);
		return pgha_job_record(run);
	}
	/* Of a clone in place. */
	if (run->data_ok)
		forget_copies(run);
	else
		(void) remove_copies(run);
	return true;
}

void
pgha_clone_finish(PghaJobRun *run)
{
	(void) delete_directory(run, run->spent_directory);
	if (run->conf->keep_old_data || run->keep_old)
		say_kept(run);
	else
		(void) delete_directory(run, run->old_directory);
	run->keep_old = false;
	(void) pgha_job_record(run);
}

/* Starts what has been put into place. */
static bool
start_clone(PghaJobRun *run)
{
	/* The node is what it is to be: the job can be given up again. */
	run->irrevocable = false;
	if (!pgha_start(run))
		return false;
	switch (pgha_await_verdict(run))
	{
		case PGHA_VERDICT_STREAMS:
		case PGHA_VERDICT_PRIMARY:
			pgha_clone_finish(run);
			return true;
		case PGHA_VERDICT_DIVERGED:
			return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "See pgha_events() and the server's log.",
								 "the clone has diverged from the primary; the former data directory is kept");
		case PGHA_VERDICT_WAL_GONE:
		case PGHA_VERDICT_FAILED:
			break;
	}
	return false;
}

bool
pgha_clone(PghaJobRun *run)
{
	static Plan plan;
	PGconn	   *leader;
	bool		planned;

	/* The process of this job before this one came that far. */
	if (run->cloned)
		return start_clone(run);
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	planned = delete_directory(run, run->spent_directory) && make_plan(run, &plan, leader);
	PQfinish(leader);
	return planned && (plan.in_place ? clone_in_place(run, &plan) : clone_beside(run, &plan)) &&
		start_clone(run);
}
