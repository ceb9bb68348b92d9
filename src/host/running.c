/*
 * running.c
 *		Does a server run on a data directory: yes, no, or not known.
 *
 * Three witnesses are heard.  postmaster.pid names a process, a start time and a
 * shared memory segment.  /proc says which processes work in the directory: its
 * device and inode are compared, never a path, which may be another one for the
 * server.  The segment says whether anybody is attached; that is what PostgreSQL
 * itself asks before it starts (CreateLockFile(), PGSharedMemoryIsInUse()).
 *
 * A process that has capabilities which we lack hides its working directory; one
 * in another PID namespace has another number there than here, often 1; one in
 * another IPC namespace has a segment that is not seen.  So no witness alone is
 * believed when it says no: that takes a process that is gone, or is another
 * one, and a segment that nobody uses.
 */
#include "running.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"

/* A process's start is known to the tick, the line in postmaster.pid to the second, and it comes later. */
#define START_TOLERANCE_S	5

/* What postmaster.pid says. */
typedef struct PidFile
{
	bool		there;
	long		pid;			/* negative: a single-user server's */
	long long	started;		/* seconds since 1970; 0: not there */
	bool		has_segment;
	int			segment;
} PidFile;

/* A process as everybody may see it. */
typedef struct Process
{
	pid_t		pid;
	pid_t		parent;
	bool		server;			/* it is called postgres */
	bool		hidden;			/* where it works cannot be seen */
	bool		here;			/* it works in the data directory */
	long long	started;		/* seconds since the host was started */
} Process;

typedef enum Segment
{
	SEGMENT_NONE,				/* there is none of that number here */
	SEGMENT_FREE,				/* nobody is attached, or it is somebody else's */
	SEGMENT_USED,
	SEGMENT_UNKNOWN
} Segment;

/* The beginning of a segment: PGShmemHeader (storage/pg_shmem.h). */
typedef struct SegmentHeader
{
	int32_t		magic;
	int32_t		creator;
} SegmentHeader;

#define SEGMENT_MAGIC	679834894

/* ---- postmaster.pid ---- */

bool
pgha_pid_line(const char *data, int number, char *line, size_t size)
{
	char		path[PATH_MAX + 32];
	FILE	   *file;
	char	   *text = NULL;	/* lines have any length: one is a path */
	size_t		text_size = 0;
	bool		found = true;

	line[0] = '\0';
	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", data);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	for (int i = 0; i < number && found; i++)
		found = getline(&text, &text_size, file) > 0;
	if (found)
		(void) snprintf(line, size, "%.*s", (int) strcspn(text, "\n"), text);
	free(text);
	(void) fclose(file);
	return found;
}

/* False with a sentence if the file is there, but does not say what it should. */
static bool
read_pid_file(const char *data, PidFile *file, char *why, size_t why_size)
{
	char		path[PATH_MAX + 32];
	char		line[64];
	unsigned long key;

	memset(file, 0, sizeof(*file));
	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", data);
	if (access(path, R_OK) != 0)
		return errno == ENOENT || errno == ENOTDIR ||
			pgha_fail(why, why_size, "\"%s\" cannot be read: %s", path, strerror(errno));
	file->there = true;
	if (pgha_pid_line(data, 1, line, sizeof(line)))
		file->pid = strtol(line, NULL, 10);
	else if (access(path, F_OK) != 0 && errno == ENOENT)
	{
		file->there = false;	/* it ended just now */
		return true;
	}
	if (pgha_pid_line(data, 3, line, sizeof(line)))
		file->started = strtoll(line, NULL, 10);
	if (pgha_pid_line(data, 7, line, sizeof(line)))
		file->has_segment = sscanf(line, " %lu %d", &key, &file->segment) == 2;
	return file->pid != 0 ||
		pgha_fail(why, why_size, "\"%s\" is empty: a server is just starting, or one crashed then", path);
}

/* ---- processes ---- */

/*
 * When was the host started, in seconds since 1970 by today's clock?  Not kept, as
 * that moves when the clock is set; asked for only where a start is compared.
 */
static long long
boot_time(void)
{
	FILE	   *file = fopen("/proc/stat", "re");
	char	   *line = NULL;
	size_t		size = 0;
	long long	seconds = 0;

	while (file != NULL && seconds == 0 && getline(&line, &size, file) > 0)
		(void) sscanf(line, "btime %lld", &seconds);
	free(line);
	if (file != NULL)
		(void) fclose(file);
	return seconds;
}

/* Looks at one; false if there is none, or only its remains. */
static bool
look_at(pid_t pid, const struct stat *data, Process *process)
{
	char		path[64];
	char		text[1024];
	FILE	   *file;
	size_t		length;
	char	   *name;
	char	   *rest;
	char		state;
	int			parent;
	unsigned long long ticks;
	struct stat st;

	memset(process, 0, sizeof(*process));
	process->pid = pid;
	(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	file = fopen(path, "re");
	length = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file != NULL)
		(void) fclose(file);
	text[length] = '\0';

	/* "pid (name) state parent ..."; the name may have parentheses itself. */
	name = strchr(text, '(');
	rest = strrchr(text, ')');
	if (name == NULL || rest == NULL ||
		sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			   &state, &parent, &ticks) != 3)
		return false;
	if (state == 'Z' || state == 'X')
		return false;
	*rest = '\0';
	process->parent = parent;
	process->server = strcmp(name + 1, "postgres") == 0 || strcmp(name + 1, "postmaster") == 0;
	process->started = (long long) (ticks / (unsigned long long) sysconf(_SC_CLK_TCK));

	/* stat() goes where the link leads, in whatever mount namespace that is. */
	(void) snprintf(path, sizeof(path), "/proc/%d/cwd", (int) pid);
	process->hidden = stat(path, &st) != 0;
	process->here = !process->hidden && st.st_dev == data->st_dev && st.st_ino == data->st_ino;
	return true;
}

static bool
started_then(const Process *process, const PidFile *file)
{
	long long	difference;

	if (file->started == 0)
		return false;
	difference = boot_time() + process->started - file->started;
	return difference >= -START_TOLERANCE_S && difference <= START_TOLERANCE_S;
}

/* Its command line: a postmaster's own begins with a path, and those of its children with "postgres: ". */
static void
command_line(pid_t pid, char *text, size_t size)
{
	char		path[64];
	FILE	   *file;
	size_t		length = 0;

	(void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
	file = fopen(path, "re");
	if (file != NULL)
	{
		length = fread(text, 1, size - 1, file);
		(void) fclose(file);
	}
	for (size_t i = 0; i < length; i++)
		text[i] = text[i] == '\0' ? ' ' : text[i];
	text[length] = '\0';
}

/*
 * Looks for servers that work in the directory, whatever postmaster.pid says.
 * *pid is that of a postmaster or 0, *other that of any other server process
 * there, or 0.
 */
static void
find_servers(const struct stat *data, pid_t *pid, pid_t *other)
{
	DIR		   *dir = opendir("/proc");
	struct dirent *entry;

	*pid = *other = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		Process		process;
		Process		parent;
		char		command[256];

		if (!isdigit((unsigned char) entry->d_name[0]) ||
			!look_at((pid_t) atoi(entry->d_name), data, &process) || !process.server || !process.here)
			continue;
		command_line(process.pid, command, sizeof(command));
		if (strncmp(command, "postgres: ", 10) == 0 || strstr(command, " --single ") != NULL ||
			(look_at(process.parent, data, &parent) && parent.server && parent.here))
			*other = process.pid;
		else
			*pid = process.pid;
	}
	if (dir != NULL)
		(void) closedir(dir);
}

/* ---- shared memory ---- */

/*
 * Is somebody attached to the segment that postmaster.pid names?  *creator is
 * who made it, in our PID namespace, or 0.
 */
static Segment
look_at_segment(const PidFile *file, const struct stat *data, pid_t *creator)
{
	struct shmid_ds segment;
	const SegmentHeader *header;
	bool		ours;

	*creator = 0;
	if (!file->has_segment)
		return SEGMENT_NONE;
	if (shmctl(file->segment, IPC_STAT, &segment) != 0)
	{
		if (errno == EINVAL || errno == EIDRM)
			return SEGMENT_NONE;
		/* Another user's is none of this server's. */
		return errno == EACCES && geteuid() == data->st_uid ? SEGMENT_FREE : SEGMENT_UNKNOWN;
	}
	if (segment.shm_nattch == 0)
		return SEGMENT_FREE;

	/* The number may have been given anew. */
	header = shmat(file->segment, NULL, SHM_RDONLY);
	if (header == (void *) -1)
		return errno == EINVAL || errno == EIDRM ? SEGMENT_NONE : SEGMENT_UNKNOWN;
	ours = header->magic == SEGMENT_MAGIC && header->creator == labs(file->pid);
	(void) shmdt(header);
	if (!ours)
		return SEGMENT_FREE;
	*creator = segment.shm_cpid;
	return SEGMENT_USED;
}

/* ---- the verdict ---- */

/* Is the process that postmaster.pid names the server?  By its own signs only. */
static PghaRuns
judge_process(const PidFile *file, const struct stat *data)
{
	pid_t		pid = (pid_t) labs(file->pid);
	Process		process;

	if (kill(pid, 0) != 0 && errno == ESRCH)
		return PGHA_RUNS_NO;
	if (!look_at(pid, data, &process))
	{
		char		path[64];

		/* Either it is a zombie, or /proc is not for us. */
		(void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
		return access(path, F_OK) == 0 || (kill(pid, 0) != 0 && errno == ESRCH) ? PGHA_RUNS_NO : PGHA_RUNS_UNKNOWN;
	}
	if (process.here)
		return process.server || started_then(&process, file) ? PGHA_RUNS_YES : PGHA_RUNS_NO;
	if (process.hidden && process.server && started_then(&process, file))
		return PGHA_RUNS_YES;
	return PGHA_RUNS_NO;
}

static PghaRuns
say_unknown(char *why, size_t why_size, const char *text, int pid)
{
	(void) pgha_fail(why, why_size, text, pid);
	return PGHA_RUNS_UNKNOWN;
}

/* Somebody is attached to its shared memory. */
static PghaRuns
judge_user(const struct stat *data, pid_t creator, pid_t *pid, char *why, size_t why_size)
{
	Process		process;

	if (creator > 0 && look_at(creator, data, &process) && process.server && (process.here || process.hidden))
	{
		*pid = creator;
		return PGHA_RUNS_YES;
	}
	return say_unknown(why, why_size, "its shared memory is in use, but its postmaster is not to be seen"
					   " (process %d has made it)", (int) creator);
}

PghaRuns
pgha_runs(const char *data, pid_t *pid, char *why, size_t why_size)
{
	struct stat st;
	PidFile		file;
	pid_t		creator;
	pid_t		other;
	PghaRuns	by_process;
	Segment		segment;

	*pid = 0;
	why[0] = '\0';
	if (stat(data, &st) != 0)
		return errno == ENOENT ? PGHA_RUNS_NO :
			say_unknown(why, why_size, "the data directory cannot be looked at (errno %d)", errno);
	if (!read_pid_file(data, &file, why, why_size))
		return PGHA_RUNS_UNKNOWN;

	by_process = file.there ? judge_process(&file, &st) : PGHA_RUNS_NO;
	if (by_process == PGHA_RUNS_YES)
	{
		if (file.pid < 0)
			return say_unknown(why, why_size, "a single-user server works in it (process %d)", (int) -file.pid);
		*pid = (pid_t) file.pid;
		return PGHA_RUNS_YES;
	}
	find_servers(&st, pid, &other);
	if (*pid != 0)
		return PGHA_RUNS_YES;
	segment = look_at_segment(&file, &st, &creator);
	if (segment == SEGMENT_USED)
		return judge_user(&st, creator, pid, why, why_size);
	if (other != 0)
		return say_unknown(why, why_size, "a process of a server that has ended still works in it (process %d)", (int) other);
	if (segment == SEGMENT_UNKNOWN)
		return say_unknown(why, why_size, "its shared memory cannot be looked at (segment %d)", file.segment);
	if (segment == SEGMENT_FREE)
		return PGHA_RUNS_NO;

	/*
	 * No such segment: the host was restarted, or it is in another IPC
	 * namespace.  Number 1 is never given to another process: that one is, or
	 * was, in a PID namespace of its own, whose end nothing here can tell.
	 */
	if (by_process == PGHA_RUNS_UNKNOWN || (file.pid == 1 && boot_time() <= file.started + START_TOLERANCE_S))
		return say_unknown(why, why_size, "postmaster.pid names process %d, which cannot be seen from here;"
						   " if it has ended, remove postmaster.pid", (int) file.pid);
	return PGHA_RUNS_NO;
}
