/*
 * process.c
 *		Running other programs: never through a shell, always with a limit.
 *
 * For all that is done on this host with PostgreSQL's programs and the
 * administrator's commands.  It blocks, and returns when the program has ended;
 * it never leaves one behind.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/text.h"

#define LAST_READS			64		/* more than a pipe holds; others may be writing to it, too */
#define LOOK_EVERY_MS	100
#define KILL_AFTER_MS	10000
#define GONE_LIMIT_MS	5000
#define STATUS_NOT_RUN	127

/* Output that has come in and does not make a line yet. */
typedef struct Output
{
	PghaRun    *run;
	char		line[2048];
	size_t		length;
} Output;

/* Keeps what an error report should show: the last lines, those that tell of an error first of all. */
static void
keep_line(PghaRun *run, const char *line)
{
	bool		telling = strstr(line, "error:") != NULL || strstr(line, "FATAL:") != NULL ||
		strstr(line, "PANIC:") != NULL || strstr(line, "ERROR:") != NULL || strstr(line, "detail:") != NULL || strstr(line, "hint:") != NULL;
	bool		kept_telling = strchr(run->last, '\n') != NULL;
	size_t		length = strlen(run->last);

	if (!telling)
	{
		if (!kept_telling)
			(void) snprintf(run->last, sizeof(run->last), "%.1000s", line);
		return;
	}
	/* A line break at the end marks what is worth keeping; taken off at last. */
	(void) snprintf(run->last + (kept_telling ? length : 0), sizeof(run->last) - (kept_telling ? length : 0),
					"%.1000s\n", line);
}

static void
end_line(Output *output)
{
	PghaRun    *run = output->run;

	output->line[output->length] = '\0';
	if (output->length > 0)
	{
		pgha_text_clean(output->line);
		keep_line(run, output->line);
		if (run->line != NULL)
			run->line(output->line, run->arg);
	}
	output->length = 0;
}

/* Reads what there is; false at the end. */
static bool
read_output(Output *output, int fd)
{
	char		text[4096];
	ssize_t		got = read(fd, text, sizeof(text));

	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t i = 0; i < got; i++)
	{
		if (text[i] == '\n' || text[i] == '\r')
			end_line(output);
		else if (output->length < sizeof(output->line) - 1)
			output->line[output->length++] = text[i] != '\0' ? text[i] : '?';
	}
	return true;
}

/* In the child: becomes the program. */
static void
become(PghaRun *run, int input, int output, pid_t parent)
{
	if (!pgha_end_with(parent, SIGKILL) || setpgid(0, 0) != 0 || !pgha_become_program(input, output))
		_exit(STATUS_NOT_RUN);
	if (run->environment != NULL)
		(void) execve(run->argv[0], run->argv, run->environment);
	else
	{
		(void) setenv("LC_ALL", "C", 1);
		(void) execv(run->argv[0], run->argv);
	}
	fprintf(stderr, "error: could not run \"%s\": %s\n", run->argv[0], strerror(errno));
	_exit(STATUS_NOT_RUN);
}

/* It has ended, and is not reaped yet. */
static bool
has_ended(pid_t pid)
{
	siginfo_t	info = {.si_pid = 0};

	return waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Becomes readable when the process ends; -1 where the kernel has no such thing: then one looks often enough. */
static int
open_process(pid_t pid)
{
	return (int) syscall(SYS_pidfd_open, pid, 0);
}

/* Ends the program and what it has started, in a friendly way first, if it is to be ended. */
static void
end_if_told(PghaRun *run, pid_t pid, long long start, long long *kill_at)
{
	long long	now = pgha_awake_ms();

	if (*kill_at != 0)
	{
		if (now > *kill_at)
			(void) kill(-pid, SIGKILL);
		return;
	}
	if (run->cancelled != NULL && run->cancelled(run->arg))
		run->was_cancelled = true;
	if (run->limit_ms > 0 && now - start > run->limit_ms)
		run->timed_out = true;
	if (run->was_cancelled || run->timed_out)
	{
		/* The group: pg_basebackup has a process for the WAL. */
		(void) kill(-pid, run->end_signal != 0 ? run->end_signal : SIGINT);
		*kill_at = now + KILL_AFTER_MS;
	}
}

/*
 * Reads what the program writes until it has ended, which is not when its output
 * does: it may close that, and a process that it has started may keep it open.
 * Returns when those that were told to end are to be killed; 0: they were not.
 */
static long long
watch(PghaRun *run, pid_t pid, int fd)
{
	Output		output = {.run = run};
	long long	start = pgha_awake_ms();
	long long	kill_at = 0;
	struct pollfd set[] = {{.fd = fd, .events = POLLIN}, {.fd = open_process(pid), .events = POLLIN}};

	while (!has_ended(pid))
	{
		if (poll(set, 2, LOOK_EVERY_MS) > 0 && set[0].revents != 0 && !read_output(&output, fd))
			set[0].fd = -1;
		end_if_told(run, pid, start, &kill_at);
	}
	/* Its last words. */
	for (int i = 0; set[0].fd >= 0 && i < LAST_READS && poll(set, 1, 0) > 0 && read_output(&output, fd); i++)
		;
	end_line(&output);
	if (set[1].fd >= 0)
		(void) close(set[1].fd);
	return kill_at;
}

/* Those of its group that the program has left behind when it was told to end. */
static void
end_group(pid_t group, long long kill_at)
{
	while (kill(-group, 0) == 0)
	{
		if (pgha_awake_ms() > kill_at + GONE_LIMIT_MS)
			return;				/* what the kernel does not let go of must not hold us */
		if (pgha_awake_ms() > kill_at)
			(void) kill(-group, SIGKILL);
		(void) poll(NULL, 0, LOOK_EVERY_MS);
	}
}

/* A pipe that holds the input, to be read; -1 with errno. */
static int
input_pipe(const char *input)
{
	const size_t length = strlen(input);
	int			fd[2];

	if (length > PGHA_RUN_INPUT)
	{
		errno = EFBIG;
		return -1;
	}
	if (pipe2(fd, O_CLOEXEC) != 0)
		return -1;
	if (write(fd[1], input, length) != (ssize_t) length)
	{
		(void) close(fd[0]);
		fd[0] = -1;
	}
	(void) close(fd[1]);
	return fd[0];
}

int
pgha_run(PghaRun *run)
{
	int			input = -1;
	int			fd[2];
	pid_t		parent = getpid();
	pid_t		pid;
	int			status;
	size_t		length;
	long long	kill_at;

	run->was_cancelled = run->timed_out = false;
	run->last[0] = '\0';
	if (pipe2(fd, O_CLOEXEC) != 0 || (run->input != NULL && (input = input_pipe(run->input)) < 0))
	{
		(void) snprintf(run->last, sizeof(run->last), "could not create a pipe: %s", strerror(errno));
		return STATUS_NOT_RUN;
	}
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(run, input, fd[1], parent);
	(void) close(fd[1]);
	if (input >= 0)
		(void) close(input);
	if (pid < 0)
	{
		(void) snprintf(run->last, sizeof(run->last), "could not fork: %s", strerror(errno));
		(void) close(fd[0]);
		return STATUS_NOT_RUN;
	}
	(void) setpgid(pid, pid);	/* whoever of the two comes first: a group is there from now on */
	run->pid = pid;
	kill_at = watch(run, pid, fd[0]);
	(void) close(fd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (kill_at != 0)
		end_group(pid, kill_at);
	length = strlen(run->last);
	if (length > 0 && run->last[length - 1] == '\n')
		run->last[length - 1] = '\0';
	pgha_text_clean(run->last);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
