/*
 * server_ctl.c
 *		The server of this host, seen from outside: is it running, how did it
 *		end, start it, stop it.
 *
 * Whether it runs is running.c's verdict; where that is not known, nothing is
 * started, and nothing is changed.  How it ended is what pg_control says.  A
 * started server outlives the agent, which only reaps it.
 */
#include "server_ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/command.h"
#include "../common/errors.h"
#include "../common/text.h"
#include "mark.h"
#include "process.h"
#include "running.h"
#include "server_log.h"

#define LOOK_EVERY_MS	50
#define REMAINS_LIMIT_MS	5000
#define COMMAND_LIMIT_MS	60000

static void
sleep_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void) nanosleep(&time, NULL);
}

const char *
pgha_server_word(PghaServer server)
{
	static const char *const words[] = {"running", "stopped", "crashed", "absent", "marked", "unknown"};

	return words[server];
}

/* ---- is it running? ---- */

static bool
is_empty_directory(const char *path)
{
	DIR		   *dir = opendir(path);
	struct dirent *entry;
	bool		empty = true;

	if (dir == NULL)
		return errno == ENOENT;
	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			strcmp(entry->d_name, "lost+found") == 0;
	(void) closedir(dir);
	return empty;
}

static PghaRuns
runs(const PghaAgentConf *conf)
{
	char		why[PGHA_WHY_SIZE];
	pid_t		pid;

	return pgha_runs(conf->data, &pid, why, sizeof(why));
}

PghaServer
pgha_server_look_why(const PghaAgentConf *conf, pid_t *pid, char *why, size_t why_size)
{
	PghaControl control;
	char		path[PATH_MAX + 32];

	why[0] = '\0';
	switch (pgha_runs(conf->data, pid, why, why_size))
	{
		case PGHA_RUNS_YES:
			return PGHA_SERVER_RUNNING;
		case PGHA_RUNS_UNKNOWN:
			return PGHA_SERVER_UNKNOWN;
		case PGHA_RUNS_NO:
			break;
	}
	if (is_empty_directory(conf->data))
		return PGHA_SERVER_ABSENT;
	switch (pgha_mark_is_set(conf->data))
	{
		case PGHA_MARK_SET:
			return PGHA_SERVER_MARKED;
		case PGHA_MARK_UNKNOWN:
			(void) pgha_fail(why, why_size, "\"%s\" cannot be looked at", conf->data);
			return PGHA_SERVER_UNKNOWN;
		case PGHA_MARK_NO:
			break;
	}
	/* Without pg_control there is no server that could have been shut down. */
	(void) snprintf(path, sizeof(path), "%s/global/pg_control", conf->data);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return PGHA_SERVER_CRASHED;
	if (!pgha_server_control(conf, &control, why, why_size))
		return PGHA_SERVER_UNKNOWN;
	return strncmp(control.state, "shut down", 9) == 0 ? PGHA_SERVER_STOPPED : PGHA_SERVER_CRASHED;
}

PghaServer
pgha_server_look(const PghaAgentConf *conf, pid_t *pid)
{
	char		why[PGHA_WHY_SIZE];

	return pgha_server_look_why(conf, pid, why, sizeof(why));
}

bool
pgha_server_proven_down(const PghaAgentConf *conf, char *error, size_t error_size)
{
	char		why[PGHA_WHY_SIZE];
	pid_t		pid;

	PghaRuns	runs;
	long long	start = pgha_awake_ms();

	/* What is left of a killed server needs a moment to end. */
	while ((runs = pgha_runs(conf->data, &pid, why, sizeof(why))) == PGHA_RUNS_UNKNOWN &&
		   pgha_awake_ms() - start < REMAINS_LIMIT_MS)
		sleep_ms(LOOK_EVERY_MS);
	switch (runs)
	{
		case PGHA_RUNS_NO:
			return true;
		case PGHA_RUNS_YES:
			return pgha_fail(error, error_size, "the server on \"%s\" runs (process %d)", conf->data, (int) pid);
		case PGHA_RUNS_UNKNOWN:
			break;
	}
	return pgha_fail(error, error_size, "it cannot be proven that no server runs on \"%s\": %s", conf->data, why);
}

/* ---- start ---- */

/* Runs pgha.start_command or pgha.stop_command. */
static bool
run_command(const char *name, const char *command, bool (*cancelled) (void *arg), void *arg,
			char *error, size_t error_size)
{
	char	  **argv = pgha_command_split(command, NULL, error, error_size);
	PghaRun		run = {.argv = argv, .limit_ms = COMMAND_LIMIT_MS, .cancelled = cancelled, .arg = arg};
	int			status;

	if (argv == NULL)
		return false;
	status = pgha_run(&run);
	free(argv);
	if (run.was_cancelled)
		return pgha_fail(error, error_size, "%s was cancelled", name);
	if (run.timed_out)
		return pgha_fail(error, error_size, "%s did not end within %d seconds", name, COMMAND_LIMIT_MS / 1000);
	if (status != 0)
		return pgha_fail(error, error_size, "%s ended with status %d: %s", name, status, run.last);
	return true;
}

/* In the child's child: becomes the postmaster. */
static void
become_postmaster(const PghaAgentConf *conf, int log)
{
	char		program[PATH_MAX + 32];
	char		option[PATH_MAX + 32];
	char	   *argv[] = {program, "-D", (char *) conf->data, NULL, NULL, NULL};

	(void) snprintf(program, sizeof(program), "%s/postgres", conf->bin);
	(void) snprintf(option, sizeof(option), "config_file=%s", conf->config_file);
	if (conf->config_outside)
	{
		argv[3] = "-c";
		argv[4] = option;
	}
	if (!pgha_become_program(-1, log))
		_exit(1);
	(void) execv(program, argv);
	fprintf(stderr, "FATAL:  could not run \"%s\": %s\n", program, strerror(errno));
	_exit(1);
}

/* Starts a postmaster that is not our child: a job ends, and it goes on. */
static bool
spawn_postmaster(const PghaAgentConf *conf, const char *log_path, char *error, size_t error_size)
{
	int			log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t		pid;

	if (log < 0)
		return pgha_fail(error, error_size, "could not open file \"%s\": %s", log_path, strerror(errno));
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		(void) setsid();
		if (fork() != 0)
			_exit(0);
		become_postmaster(conf, log);
	}
	(void) close(log);
	if (pid < 0)
		return pgha_fail(error, error_size, "could not fork: %s", strerror(errno));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return true;
}

/*
 * The last line that tells of a failure, of those written into the log since it
 * had `from` bytes; not that clients were sent away meanwhile.
 */
static void
last_complaint(const char *log_path, off_t from, char *line, size_t size)
{
	FILE	   *file = fopen(log_path, "re");
	char		text[1024];

	line[0] = '\0';
	if (file == NULL)
		return;
	if (fseeko(file, from, SEEK_SET) == 0)
	{
		while (fgets(text, sizeof(text), file) != NULL)
		{
			const char *start = strstr(text, "FATAL:");

			start = start != NULL ? start : strstr(text, "PANIC:");
			start = start != NULL ? start : strstr(text, "could not ");
			text[strcspn(text, "\n")] = '\0';
			if (start != NULL && strstr(start, "the database system is") == NULL)
				(void) snprintf(line, size, "%s", start);
		}
		pgha_text_clean(line);
	}
	(void) fclose(file);
}

/* Has it come up?  postmaster.pid says so in its 8th line. */
static bool
is_up(const PghaAgentConf *conf)
{
	char		status[32];

	return runs(conf) == PGHA_RUNS_YES && pgha_pid_line(conf->data, 8, status, sizeof(status)) &&
		(strncmp(status, "ready", 5) == 0 || strncmp(status, "standby", 7) == 0);
}

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

bool
pgha_server_start(const PghaAgentConf *conf, int limit_ms,
				  bool (*cancelled) (void *arg), void *arg,
				  char *error, size_t error_size)
{
	char		log_path[PATH_MAX];
	char		complaint[512];
	long long	start = pgha_awake_ms();
	long long	gone_since = start;
	off_t		log_size;

	if (!pgha_server_proven_down(conf, error, error_size))
		return false;
	if (pgha_mark_is_set(conf->data))
		return pgha_fail(error, error_size,
						 "data directory \"%s\" is not whole: a rewind or clone was interrupted", conf->data);
	pgha_server_log_path(conf, log_path);
	log_size = size_of(log_path);
	if (conf->start_command[0] != '\0' ?
		!run_command("pgha.start_command", conf->start_command, cancelled, arg, error, error_size) :
		!spawn_postmaster(conf, log_path, error, error_size))
		return false;

	while (!is_up(conf))
	{
		long long	now = pgha_awake_ms();

		if (runs(conf) != PGHA_RUNS_NO)
			gone_since = now;
		last_complaint(log_path, log_size, complaint, sizeof(complaint));
		if (now - gone_since > (complaint[0] != '\0' ? 500 : 5000))
			return pgha_fail(error, error_size, "the server did not start%s%s",
							 complaint[0] != '\0' ? ": " : "; see its log", complaint);
		if (limit_ms > 0 && now - start > limit_ms)
			return pgha_fail(error, error_size, "the server was not up after %d seconds", limit_ms / 1000);
		if (cancelled != NULL && cancelled(arg))
			return pgha_fail(error, error_size, "cancelled");
		sleep_ms(LOOK_EVERY_MS);
	}
	return true;
}

/* ---- stop ---- */

static bool
is_stopping(const PghaAgentConf *conf)
{
	char		status[32];

	return runs(conf) == PGHA_RUNS_NO ||
		(pgha_pid_line(conf->data, 8, status, sizeof(status)) && strncmp(status, "stopping", 8) == 0);
}

bool
pgha_server_stop(const PghaAgentConf *conf, const char *mode, int limit_ms,
				 bool (*cancelled) (void *arg), void *arg,
				 char *error, size_t error_size)
{
	char		why[PGHA_WHY_SIZE];
	pid_t		pid;
	int			signal = strcmp(mode, "smart") == 0 ? SIGTERM : strcmp(mode, "fast") == 0 ? SIGINT : SIGQUIT;
	long long	start = pgha_awake_ms();

	/* What cannot be told may be without a process to signal; a command may know. */
	if (pgha_runs(conf->data, &pid, why, sizeof(why)) == PGHA_RUNS_NO)
		return true;
	if (conf->stop_command[0] != '\0')
	{
		/* A server that has begun to stop will end, whatever became of the command. */
		if (!run_command("pgha.stop_command", conf->stop_command, cancelled, arg, error, error_size) && !is_stopping(conf))
			return false;
	}
	else if (pid != 0 && kill(pid, signal) != 0 && errno != ESRCH)
		return pgha_fail(error, error_size, "could not signal the server (pid %d): %s", (int) pid, strerror(errno));
	if (pid == 0 && limit_ms > REMAINS_LIMIT_MS)
		limit_ms = REMAINS_LIMIT_MS;
	while (pgha_runs(conf->data, &pid, why, sizeof(why)) != PGHA_RUNS_NO)
	{
		if (pgha_awake_ms() - start > limit_ms)
			return pgha_fail(error, error_size, "the server did not stop within %d seconds%s%s", limit_ms / 1000,
							 why[0] != '\0' ? ": " : "", why);
		sleep_ms(LOOK_EVERY_MS);
	}
	return true;
}
