/*
 * job.c
 *		One recovery of this node: its process, and what the agent sees of it.
 *
 * The job runs in a process of its own that outlives the agent: an agent that
 * is restarted finds it at work by the lock on `job.lock`.  It is sequential
 * code that blocks.  How far it is stands in the files `job` and `progress` of
 * the agent directory (report.c).  What is to be done is decided in rejoin.c.
 *
 * SIGINT or SIGTERM ask it to give up.  It does, and leaves the node as it was,
 * until the data directory has begun to change; then it finishes.
 */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/fields.h"
#include "../common/log.h"
#include "../host/durable.h"
#include "../host/server_ctl.h"
#include "objects.h"
#include "rejoin.h"
#include "report.h"

/* A job that has not begun by then is left to itself. */
#define BEGIN_LIMIT_MS	10000

/* So long a person's order holds for a job that was interrupted. */
#define ORDER_HOLDS_MS	600000

/* What the file `job` said when this job began. */
static PghaJobStatus ended_before;

/* ---- for the agent ---- */

static int
open_lock(const PghaAgentConf *conf, int flags)
{
	char		path[PATH_MAX + 32];

	pgha_job_path(conf, "job.lock", path);
	return open(path, O_RDWR | O_CLOEXEC | flags, 0600);
}

/* The process that holds the lock, or 0. */
static pid_t
lock_holder(const PghaAgentConf *conf)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int			fd = open_lock(conf, 0);

	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	(void) close(fd);
	return lock.l_pid;
}

static void
take_directory(const char *value, PghaDirectory *directory)
{
	unsigned long long number[5] = {0};

	(void) sscanf(value, "%llu %llu %llu %llu %llu", &number[0], &number[1], &number[2], &number[3], &number[4]);
	*directory = (PghaDirectory) {
		.device = number[0], .inode = number[1], .term = number[2], .end = number[3], .written = number[4]
	};
}

/* What is remembered of a clone and of what it replaces. */
static void
take_clone_field(PghaJobRun *run, const char *key, const char *value)
{
	int64_t		number = 0;

	(void) pgha_parse_int64(value, &number);
	if (strcmp(key, "new_directory") == 0)
		(void) snprintf(run->new_directory, sizeof(run->new_directory), "%s", value);
	else if (strcmp(key, "new_id") == 0)
		take_directory(value, &run->new_id);
	else if (strcmp(key, "new_whole") == 0)
		run->new_whole = number != 0;
	else if (strcmp(key, "old_directory") == 0)
		(void) snprintf(run->old_directory, sizeof(run->old_directory), "%s", value);
	else if (strcmp(key, "spent_directory") == 0)
		(void) snprintf(run->spent_directory, sizeof(run->spent_directory), "%s", value);
	else if (strcmp(key, "replaced") == 0)
		take_directory(value, &run->replaced);
	else if (strcmp(key, "saved") == 0)
		run->saved = number != 0;
	else if (strcmp(key, "given_up") == 0)
		run->given_up = number != 0;
	else if (strcmp(key, "deleting") == 0)
		run->deleting = number != 0;
	else if (strcmp(key, "keep_old") == 0)
		run->keep_old = number != 0;
	else if (strcmp(key, "source") == 0)
		(void) snprintf(run->source, sizeof(run->source), "%s", value);
	else if (strcmp(key, "source_term") == 0)
		run->source_term = (uint64_t) number;
	else if (strcmp(key, "placed_source") == 0)
		(void) snprintf(run->placed_source, sizeof(run->placed_source), "%s", value);
	else if (strcmp(key, "placed_term") == 0)
		run->placed_term = (uint64_t) number;
	else if (strcmp(key, "cloned") == 0)
		run->cloned = number != 0;
	else if (strcmp(key, "stop_written") == 0)
		run->stop_written = (uint64_t) number;
	else if (strcmp(key, "order_term") == 0)
		run->order_term = (uint64_t) number;
}

/* One field of the file `job`. */
static void
take_field(PghaJobStatus *status, PghaJobRun *run, const char *key, const char *value)
{
	int64_t		number = 0;
	bool		is_number = pgha_parse_int64(value, &number);

	if (strcmp(key, "id") == 0 && is_number)
		status->order.id = number & INT64_MAX;	/* servers take no other */
	else if (strcmp(key, "method") == 0)
		(void) pgha_method_parse(value, &status->order.method);
	else if (strcmp(key, "ordered") == 0)
		status->order.ordered = number != 0;
	else if (strcmp(key, "data_ok") == 0)
		status->data_ok = number != 0;
	else if (strcmp(key, "stopped") == 0)
		status->stopped = number != 0;
	else if (strcmp(key, "was_stopped") == 0)
		status->was_stopped = number != 0;
	else if (strcmp(key, "phase") == 0)
		(void) snprintf(status->phase, sizeof(status->phase), "%s", value);
	else if (strcmp(key, "outcome") == 0)
		(void) snprintf(status->outcome, sizeof(status->outcome), "%s", value);
	else if (strcmp(key, "sqlstate") == 0)
		(void) snprintf(status->sqlstate, sizeof(status->sqlstate), "%s", value);
	else if (strcmp(key, "message") == 0)
		(void) snprintf(status->message, sizeof(status->message), "%s", value);
	else if (strcmp(key, "detail") == 0)
		(void) snprintf(status->detail, sizeof(status->detail), "%s", value);
	else if (strcmp(key, "hint") == 0)
		(void) snprintf(status->hint, sizeof(status->hint), "%s", value);
	else if (strcmp(key, "leader") == 0)
		(void) snprintf(status->leader, sizeof(status->leader), "%s", value);
	else if (strcmp(key, "order_at") == 0)
		status->order_at = number;
	else if (strcmp(key, "boot") == 0)
		(void) snprintf(status->boot, sizeof(status->boot), "%s", value);
	else if (strcmp(key, "repeated") == 0)
		status->repeated = number != 0;
	else if (strcmp(key, "new_directory") == 0 || strcmp(key, "old_directory") == 0)
		status->undecided |= *value != '\0';
	if (run == NULL)
		return;
	if (strcmp(key, "started") == 0 && is_number)
		run->started = number;
	else
		take_clone_field(run, key, value);
}

/* Reads the file `job`: lines of two fields.  *run may be NULL. */
static void
read_job(const PghaAgentConf *conf, PghaJobStatus *status, PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	char	   *rest;
	char	   *line;

	memset(status, 0, sizeof(*status));
	status->data_ok = true;
	status->order.leader = PGHA_NOBODY;
	pgha_job_path(conf, "job", path);
	text = pgha_read_file(path, NULL);
	if (text == NULL)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		char	   *cursor = line;
		char	   *key = pgha_line_next(&cursor);
		char	   *value = cursor != NULL ? pgha_line_next(&cursor) : NULL;

		if (key != NULL && value != NULL)
			take_field(status, run, key, value);
	}
	status->known = status->order.id != 0;
	free(text);
}

static void
read_progress(const PghaAgentConf *conf, PghaJobStatus *status)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	char	   *cursor;
	char	   *field[4] = {NULL};

	pgha_job_path(conf, "progress", path);
	text = pgha_read_file(path, NULL);
	if (text == NULL)
		return;
	cursor = text;
	for (int i = 0; i < 4 && cursor != NULL; i++)
		field[i] = pgha_line_next(&cursor);
	if (field[3] != NULL)
	{
		(void) snprintf(status->phase, sizeof(status->phase), "%s", field[0]);
		(void) pgha_parse_int64(field[1], &status->done);
		(void) pgha_parse_int64(field[2], &status->total);
		(void) snprintf(status->message, sizeof(status->message), "%s", field[3]);
	}
	free(text);
}

void
pgha_job_status(const PghaAgentConf *conf, PghaJobStatus *status)
{
	pid_t		running = lock_holder(conf);

	/* The lock first: a job that ends in between has written its outcome. */
	read_job(conf, status, NULL);
	status->running = running;
	if (status->known && status->outcome[0] == '\0')
		read_progress(conf, status);
}

void
pgha_job_cancel(const PghaJobStatus *status)
{
	if (status->running > 1)
		(void) kill(status->running, SIGINT);
}

/* ---- the process ---- */

static bool
take_lock(const PghaAgentConf *conf)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int			fd = open_lock(conf, O_CREAT);

	return fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0;
}

/* Which boot of this machine it is; "" if that cannot be read. */
static void
read_boot(char *boot, size_t size)
{
	FILE	   *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	boot[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(boot, (int) size, file) == NULL)
		boot[0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	(void) fclose(file);
}

bool
pgha_job_order_holds(const PghaAgentConf *conf, const PghaJobStatus *status, int leader)
{
	char		boot[40];
	int64_t		age = pgha_clock_ms() - status->order_at;

	read_boot(boot, sizeof(boot));
	return status->order.ordered && leader != PGHA_NOBODY &&
		strcmp(conf->members.member[leader].name, status->leader) == 0 &&
		boot[0] != '\0' && strcmp(boot, status->boot) == 0 && age >= 0 && age < ORDER_HOLDS_MS;
}

/*
 * An interrupted job is begun again as what it was, but for one thing: a person's
 * order holds for a time, and for the leader that it was given for.
 */
static void
init_order(PghaJobRun *run, const PghaJobOrder *order)
{
	bool		again = ended_before.order.id == order->id && ended_before.outcome[0] == '\0';
	pid_t		pid;

	run->order = *order;
	run->again = again;
	if (again)
	{
		run->order.ordered = pgha_job_order_holds(run->conf, &ended_before, order->leader);
		run->order_at = ended_before.order_at;
		memcpy(run->boot, ended_before.boot, sizeof(run->boot));
		run->was_stopped = ended_before.was_stopped;
		return;
	}
	run->was_stopped = order->ordered && pgha_server_look(run->conf, &pid) == PGHA_SERVER_STOPPED;
	run->order_term = 0;
	run->order_at = pgha_clock_ms();
	read_boot(run->boot, sizeof(run->boot));
}

/* Is there something already that is named by this time? */
static bool
is_taken(const PghaJobRun *run)
{
	static const char *const kinds[] = {"new", "old"};
	char		path[PATH_MAX + 64];

	(void) snprintf(path, sizeof(path), "%s/pgha_lost/%s", run->conf->directory, run->stamp);
	if (access(path, F_OK) == 0)
		return true;
	for (int i = 0; i < 2; i++)
	{
		(void) snprintf(path, sizeof(path), "%s.%s-%s", run->conf->data, kinds[i], run->stamp);
		if (access(path, F_OK) == 0)
			return true;
	}

	/* The tablespaces of the clone in use have a time in their names, too. */
	return pgha_objects_name(run->conf, run->stamp);
}

/* What an earlier process of this or another job left unfinished is carried over. */
static void
init_run(PghaJobRun *run, const PghaAgentConf *conf, const PghaJobOrder *order)
{
	time_t		now = time(NULL);
	struct tm	utc;
	char		path[PATH_MAX + 32];

	memset(run, 0, sizeof(*run));
	read_job(conf, &ended_before, run);
	pgha_job_path(conf, "progress", path);
	(void) unlink(path);		/* of the one before it */

	run->conf = conf;
	init_order(run, order);
	run->cloned &= ended_before.order.id == order->id;
	run->known = ended_before.known;
	run->data_ok = ended_before.data_ok;
	/* The server of a node that leads runs: whoever stops it from now on is not this job. */
	run->stopped = ended_before.stopped && order->leader != conf->self;
	run->was_stopped &= order->leader != conf->self;
	if (!run->stopped)
		run->stop_written = 0;
	run->leader = order->leader;
	run->started = now;

	/* Directories are named by the second: what another has left must not be in the way, whatever the clock does. */
	do
	{
		(void) gmtime_r(&now, &utc);
		(void) strftime(run->stamp, sizeof(run->stamp), "%Y%m%dT%H%M%SZ", &utc);
		now++;
	}
	while (is_taken(run));
	(void) snprintf(run->phase, sizeof(run->phase), "waiting");
}

/* The one that ended before has failed for the same reason: it need not be told again. */
static bool
is_known_failure(const PghaJobRun *run, const PghaJobStatus *before)
{
	return !run->order.ordered && strcmp(before->outcome, "failed") == 0 &&
		strcmp(run->message, before->message) == 0 && strcmp(run->detail, before->detail) == 0;
}

static void
end_job(PghaJobRun *run, bool done)
{
	const char *outcome = done ? "done" :
		strcmp(run->sqlstate, STATE_CANCELLED) == 0 ? "cancelled" : "failed";

	if (done)
		pgha_job_forget_failure(run);
	if (done || !is_known_failure(run, &ended_before))
		pgha_agent_say(strcmp(outcome, "failed") == 0 ? PGHA_SEVERITY_ERROR : PGHA_SEVERITY_LOG,
				"recovery %s%s%s%s%s%s%s", outcome,
				run->message[0] != '\0' ? ": " : "", run->message,
				run->detail[0] != '\0' ? "; " : "", run->detail,
				run->hint[0] != '\0' ? "; " : "", run->hint);
	else
	{
		/* Said once, however often it is tried. */
		run->repeated = true;
		if (!ended_before.repeated)
			pgha_agent_error("recovery failed again, for the same reason");
	}
	if (!pgha_job_write(run, outcome))
		pgha_agent_error("could not write the job file: %s", strerror(errno));
}

/*
 * Takes the lock and makes the job known.  What the agent is to learn of it
 * goes through the pipe: nothing but a zero byte, or the failure.
 */
static bool
begin_job(PghaJobRun *run, const PghaAgentConf *conf, const PghaJobOrder *order, int pipe_end)
{
	PghaJobStatus failed = {.known = false};
	bool		begun = false;

	if (take_lock(conf))
	{
		init_run(run, conf, order);
		begun = pgha_job_record(run);
	}
	else
		pgha_job_fail(run, STATE_IO, NULL, "See that the agent's directory can be written to.",
					  "could not lock the file \"job.lock\" in \"%s\": %s", conf->directory, strerror(errno));
	if (!begun)
	{
		memcpy(failed.sqlstate, run->sqlstate, sizeof(failed.sqlstate));
		memcpy(failed.message, run->message, sizeof(failed.message));
		memcpy(failed.hint, run->hint, sizeof(failed.hint));
	}
	if (write(pipe_end, &failed, begun ? 1 : sizeof(failed)) < 0)
	{
		/* The agent has gone. */
	}
	(void) close(pipe_end);
	return begun;
}

static void
run_job(const PghaAgentConf *conf, const PghaJobOrder *order, int pipe_end)
{
	static PghaJobRun run;

	pgha_agent_log_process("recovery");
	pgha_job_heed_signals();
	pgha_close_files(pipe_end);
	if (!begin_job(&run, conf, order, pipe_end))
		_exit(1);
	pgha_job_test_stop(run.phase, 0);
	end_job(&run, pgha_rejoin(&run));
	_exit(0);
}

/* The agent's side of the pipe.  False with *failed filled if the job has not begun. */
static bool
await_begin(int pipe_end, PghaJobStatus *failed)
{
	struct pollfd set = {.fd = pipe_end, .events = POLLIN};
	char	   *text = (char *) failed;
	size_t		filled = 0;
	ssize_t		got;

	/* SA_RESTART does not hold for poll(). */
	while (poll(&set, 1, BEGIN_LIMIT_MS) < 0 && errno == EINTR)
		;
	if ((set.revents & (POLLIN | POLLHUP)) == 0)
		return true;
	while (filled < sizeof(*failed) && (got = read(pipe_end, text + filled, sizeof(*failed) - filled)) > 0)
		filled += (size_t) got;
	if (filled == 1)
		return true;
	if (filled < sizeof(*failed))
		memset(failed, 0, sizeof(*failed));
	return false;
}

int64_t
pgha_job_new_id(void)
{
	uint64_t	id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t) sizeof(id))
	{
		struct timespec now;

		(void) clock_gettime(CLOCK_REALTIME, &now);
		id = ((uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec) ^ ((uint64_t) getpid() << 24);
	}
	id &= INT64_MAX;
	return id != 0 ? (int64_t) id : 1;
}

bool
pgha_job_start(const PghaAgentConf *conf, const PghaJobOrder *order, PghaJobStatus *failed)
{
	int			fd[2] = {-1, -1};
	pid_t		pid = -1;
	bool		begun = false;

	memset(failed, 0, sizeof(*failed));
	(void) fflush(NULL);
	if (pipe2(fd, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
	{
		(void) setsid();
		run_job(conf, order, fd[1]);
	}
	if (pid < 0)
		(void) snprintf(failed->message, sizeof(failed->message), "could not start a process: %s", strerror(errno));
	(void) close(fd[1]);
	if (pid > 0)
		begun = await_begin(fd[0], failed);
	(void) close(fd[0]);
	if (begun)
		return true;
	failed->known = true;
	failed->order = *order;
	(void) snprintf(failed->phase, sizeof(failed->phase), "waiting");
	(void) snprintf(failed->outcome, sizeof(failed->outcome), "failed");
	if (failed->message[0] == '\0')
		(void) snprintf(failed->message, sizeof(failed->message), "the process of the recovery has died");
	if (failed->sqlstate[0] == '\0')
		(void) snprintf(failed->sqlstate, sizeof(failed->sqlstate), STATE_NOT_IN_STATE);
	return false;
}

/* Sets a field of one digit. */
static void
set_digit(char *text, const char *key, char digit)
{
	char	   *field = strstr(text, key);

	if (field != NULL)
		field[strlen(key)] = digit;
}

bool
pgha_job_server_runs(const PghaAgentConf *conf)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	bool		done;

	pgha_job_path(conf, "job", path);
	text = pgha_read_file(path, NULL);
	if (text == NULL)
		return errno == ENOENT;
	set_digit(text, "\ndata_ok\t", '1');
	set_digit(text, "\nstopped\t", '0');
	set_digit(text, "\nwas_stopped\t", '0');
	done = pgha_write_file(path, text, strlen(text), 0600, true);
	free(text);
	return done;
}
