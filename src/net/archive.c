/*
 * archive.c
 *		`pgha io archive`: which timelines does the archive know of?
 *
 * Started by the server's monitor (server/archive.c), in the data directory.
 * Lines of fields (fields.h):
 *
 *		archive <restore_command>						once, first
 *		<id> <limit in ms> history <timeline>			is its history there?
 *
 * and for each request one answer
 *
 *		<id> ok yes|no
 *		<id> silent|error <message>						that is not known
 *
 * The command is run just as PostgreSQL runs it, which is through a shell: it is
 * PostgreSQL's, and the operator's.  It gets a process group of its own, which
 * is killed when the time is up, when the server goes, or when this child is
 * told to end.  What is left of it is waited for here: where the postmaster is
 * process 1, it would otherwise inherit it (io.c).
 */
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"

/* A limit above this is not one that the server sends. */
#define MAX_LIMIT_MS	(60 * 1000)
/* How often it is looked whether the command has ended. */
#define LOOK_MS			10
/* How long what was killed is waited for. */
#define REAP_LIMIT		1000000

/* Where the command puts the file; PostgreSQL has another name for its own. */
#define TARGET			"pg_wal/pgha.history"
/* The WAL file that restore_command's %r stands for while nothing may be removed. */
#define NO_RESTARTPOINT	"000000000000000000000000"

/* The command with its placeholders filled in, as PostgreSQL does it; false if it is too long. */
static bool
build_command(const char *command, uint32_t timeline, char *text, size_t size)
{
	size_t		length = 0;
	char		name[32];

	(void) snprintf(name, sizeof(name), "%08X.history", timeline);
	for (const char *c = command; *c != '\0'; c++)
	{
		char		self[2] = {*c, '\0'};
		const char *part = self;

		if (*c == '%' && c[1] != '\0' && strchr("pfr%", c[1]) != NULL)
		{
			c++;
			part = *c == 'p' ? TARGET : *c == 'f' ? name : *c == 'r' ? NO_RESTARTPOINT : "%";
		}
		if (length + strlen(part) >= size)
			return false;
		memcpy(text + length, part, strlen(part) + 1);
		length += strlen(part);
	}
	return length > 0;
}

/* Everything between fork and exec: async-signal-safe calls only. */
static void
become_command(char *text, pid_t parent)
{
	char	   *const argv[] = {"sh", "-c", text, NULL};
	int			null = open("/dev/null", O_WRONLY);

	if (setpgid(0, 0) != 0 || null < 0 || !pgha_become_program(-1, null) || !pgha_end_with(parent, SIGKILL))
		_exit(127);
	(void) execv("/bin/sh", argv);
	_exit(127);
}

/* Kills what is left of the command, and waits for it. */
static void
end_command(pid_t group)
{
	int64_t		deadline = pgha_clock_us() + REAP_LIMIT;

	(void) kill(-group, SIGKILL);
	while (pgha_clock_us() < deadline)
	{
		pid_t		pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno != EINTR)
			return;
		if (pid == 0)
			(void) poll(NULL, 0, 1);
	}
}

typedef enum Ending
{
	ENDED,
	TIME_IS_UP,
	TO_END
} Ending;

static Ending
wait_for_command(PghaIoInput *input, pid_t pid, int64_t deadline, int *status)
{
	for (;;)
	{
		struct pollfd set = {.fd = STDIN_FILENO, .events = POLLIN};

		if (waitpid(pid, status, WNOHANG) == pid)
			return ENDED;
		if (pgha_clock_us() >= deadline)
			return TIME_IS_UP;
		if (poll(&set, 1, LOOK_MS) > 0)
			pgha_io_read(input);
		if (pgha_io_told_to_end() || input->ended)
			return TO_END;
	}
}

/* Serves one request; false when it is time to end. */
static bool
serve(PghaIoInput *input, const char *command, const char *id, uint32_t timeline, int64_t limit)
{
	static char text[PGHA_LINE_SIZE];
	char		message[128];
	pid_t		parent = getpid();
	struct stat st;
	Ending		ending;
	int			status = 0;
	pid_t		pid;

	if (!build_command(command, timeline, text, sizeof(text)))
		return pgha_io_send_answer(id, "error", "restore_command is too long", NULL, NULL);
	(void) unlink(TARGET);
	(void) fflush(NULL);
	pid = fork();
	if (pid < 0)
		return pgha_io_send_answer(id, "error", "could not start restore_command", NULL, NULL);
	if (pid == 0)
		become_command(text, parent);
	(void) setpgid(pid, pid);
	ending = wait_for_command(input, pid, pgha_clock_us() + limit, &status);
	end_command(pid);

	if (ending == TO_END)
	{
		(void) unlink(TARGET);
		return false;
	}
	if (ending == TIME_IS_UP)
	{
		(void) unlink(TARGET);
		(void) snprintf(message, sizeof(message), "restore_command has not ended within %d ms", (int) (limit / 1000));
		return pgha_io_send_answer(id, "silent", message, NULL, NULL);
	}

	/* PostgreSQL, too, takes every other failure for "not there". */
	if (WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) <= 125)
		return pgha_io_send_answer(id, "ok", "no", NULL, NULL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
	{
		bool		there = stat(TARGET, &st) == 0;

		(void) unlink(TARGET);
		return there ? pgha_io_send_answer(id, "ok", "yes", NULL, NULL) :
			pgha_io_send_answer(id, "error", "restore_command has left no file", NULL, NULL);
	}
	if (WIFEXITED(status))
		(void) snprintf(message, sizeof(message), "restore_command ended with exit code %d", WEXITSTATUS(status));
	else
		(void) snprintf(message, sizeof(message), "restore_command was ended by signal %d", WTERMSIG(status));
	return pgha_io_send_answer(id, "error", message, NULL, NULL);
}

void
pgha_io_archive(PghaIoInput *input)
{
	static char first[PGHA_LINE_SIZE];
	static char line[PGHA_LINE_SIZE];
	char	   *cursor = first;
	char	   *keyword;
	char	   *command;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || !pgha_io_next_line(input, first))
		return;
	keyword = pgha_line_next(&cursor);
	command = pgha_line_next(&cursor);
	if (command == NULL || cursor != NULL || strcmp(keyword, "archive") != 0)
		return;

	while (pgha_io_next_line(input, line))
	{
		char	   *id;
		char	   *limit;
		char	   *what;
		char	   *argument;
		uint64_t	number;
		uint64_t	limit_ms;
		uint64_t	timeline;

		cursor = line;
		id = pgha_line_next(&cursor);
		limit = pgha_line_next(&cursor);
		what = pgha_line_next(&cursor);
		argument = pgha_line_next(&cursor);
		if (argument == NULL || cursor != NULL || strcmp(what, "history") != 0 ||
			!pgha_parse_uint64(id, &number) ||
			!pgha_parse_uint64(limit, &limit_ms) || limit_ms > MAX_LIMIT_MS ||
			!pgha_parse_uint64(argument, &timeline) || timeline == 0 || timeline > UINT32_MAX)
			return;
		if (!serve(input, command, id, (uint32_t) timeline, (int64_t) limit_ms * 1000))
			return;
	}
}
