/*
 * io_child.c
 *		Starts, feeds, reads and ends the `pgha io` children.
 *
 * The server's own processes never resolve a name, shake hands over TLS or wait
 * for a peer: a child does, with one job at a time and a time limit for each.
 * If it crashes or hangs, the server sees an end of file or a deadline, and
 * starts another one.  Lines and fields are those of common/fields.h:
 *
 *		conninfo <conninfo>							first line, or
 *		archive <restore_command>
 *		<id> <limit in ms> <command> <arguments>	request
 *		<id> <outcome> <text>						reply
 *
 * A child stays in its parent's process group, so that it gets the signals
 * that end the server; it answers them with exit(0), as a postmaster that is
 * process 1 of a container would take another status of an orphan for the
 * crash of a backend.
 *
 * Used by the monitor, and by the postmaster for the boot check, where all
 * signals are blocked (from 16 on: only noted).
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "../common/child.h"
#include "io_child.h"

/* A child that has not ended this long after SIGTERM is killed. */
#define END_LIMIT_MS	20
/* How late a child may be on a busy host (microseconds): a connected one, and one that may be just starting. */
#define LATE_LIMIT		500000
#define START_LIMIT		3000000

void
PghaChildInit(PghaChild *child)
{
	memset(child, 0, sizeof(*child));
	child->fd = -1;
}

/* Everything between fork and exec: async-signal-safe calls only. */
static void
become_child(int fd, const char *path, const char *kind, pid_t parent)
{
	char	   *const argv[] = {"pgha", "io", (char *) kind, NULL};

	pgha_default_signals();

	/* SIGTERM, which the program answers with exit(0), not SIGKILL. */
	if (!pgha_end_with(parent, SIGTERM))
		_exit(0);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(0);
	pgha_close_files(-1);
	execv(path, argv);
	_exit(0);
}

void
PghaProgramPath(char *path)
{
	strlcpy(path, my_exec_path, MAXPGPATH);
	get_parent_directory(path);
	join_path_components(path, path, "pgha");
}

/* Starts `pgha io <kind>`, whose first line is <keyword> <value>. */
static bool
start_child(PghaChild *child, const char *kind, const char *keyword, const char *value)
{
	static char text[PGHA_LINE_SIZE / 2];
	char		path[MAXPGPATH];
	PghaLine	line;
	int			pair[2];
	pid_t		parent = getpid();
	sigset_t	all;
	sigset_t	before;

	PghaChildStop(child);

	PghaProgramPath(path);
	if (access(path, X_OK) != 0)
		return false;

	pgha_line_init(&line, text, sizeof(text) - 1);
	pgha_line_add(&line, keyword);
	pgha_line_add(&line, value);
	if (line.overflow)
	{
		errno = E2BIG;
		return false;
	}
	text[line.length] = '\n';

	if (!AcquireExternalFD())
	{
		errno = EMFILE;
		return false;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
	{
		ReleaseExternalFD();
		return false;
	}
	fflush(stdout);
	fflush(stderr);

	/* Blocked until the program has its handlers: it unblocks them itself.  The server's must not run in it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child->pid = fork();
	if (child->pid == 0)
		become_child(pair[1], path, kind, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	if (child->pid < 0)
	{
		close(pair[0]);
		ReleaseExternalFD();
		child->pid = 0;
		return false;
	}

	child->fd = pair[0];
	child->filled = 0;
	child->request = 0;
	child->connected = false;
	fcntl(child->fd, F_SETFL, O_NONBLOCK);

	/* The socket's buffer is larger than any line: this does not block. */
	if (send(child->fd, text, line.length + 1, MSG_NOSIGNAL) != (ssize_t) line.length + 1)
	{
		PghaChildStop(child);
		errno = EPIPE;
		return false;
	}
	return true;
}

bool
PghaChildStart(PghaChild *child, const char *conninfo)
{
	return start_child(child, "peer", "conninfo", conninfo);
}

bool
PghaChildStartArchive(PghaChild *child, const char *command)
{
	return start_child(child, "archive", "archive", command);
}

bool
PghaChildRequest(PghaChild *child, const char *request, pgha_time now, pgha_time limit)
{
	static uint64 last_request = 0;
	char		line[256];
	int			length;

	Assert(child->request == 0);
	if (child->fd < 0)
		return false;
	child->request = ++last_request;
	/*
	 * The child keeps the limit itself, or twice the limit if it has to connect;
	 * the deadline is for one that hangs.  If a new one were killed for being
	 * slow, so would be the next.
	 */
	child->deadline = now + (child->connected ? limit + Max(limit / 2, LATE_LIMIT) : 2 * limit + START_LIMIT);
	length = snprintf(line, sizeof(line), "%llu\t%lld\t%s\n",
					  (unsigned long long) child->request, (long long) limit / 1000, request);
	if (send(child->fd, line, length, MSG_NOSIGNAL) == length)
		return true;
	PghaChildStop(child);
	return false;
}

/*
 * Takes one line off the buffer, if there is a whole one; it is moved to the
 * front of `line` (PGHA_LINE_SIZE bytes).
 */
static bool
take_line(PghaChild *child, char *line)
{
	char	   *end = memchr(child->buffer, '\n', child->filled);
	size_t		length;

	if (end == NULL)
		return false;
	length = end - child->buffer;
	memcpy(line, child->buffer, length);
	line[length] = '\0';
	child->filled -= length + 1;
	memmove(child->buffer, end + 1, child->filled);
	return true;
}

PghaChildRead
PghaChildPoll(PghaChild *child, char **outcome, char **text)
{
	static char line[PGHA_LINE_SIZE];
	ssize_t		got;

	if (child->fd < 0)
		return PGHA_CHILD_GONE;
	got = recv(child->fd, child->buffer + child->filled,
			   sizeof(child->buffer) - child->filled, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		got = 0;
	else if (got <= 0)
	{
		PghaChildStop(child);
		return PGHA_CHILD_GONE;
	}
	child->filled += got;

	while (take_line(child, line))
	{
		char	   *cursor = line;
		char	   *id = pgha_line_next(&cursor);
		uint64		number = 0;

		*outcome = pgha_line_next(&cursor);
		*text = pgha_line_next(&cursor);
		if (id == NULL || *outcome == NULL || *text == NULL ||
			!pgha_parse_uint64(id, &number) || child->request == 0 || number != child->request)
		{
			/* Nobody asked for this: such a child cannot be trusted with the next request. */
			PghaChildStop(child);
			return PGHA_CHILD_GONE;
		}
		child->request = 0;
		child->where = pgha_line_next(&cursor);
		child->plain = child->where != NULL && pgha_line_next(&cursor) != NULL;
		if (child->where == NULL)
			child->where = "";
		child->connected = strcmp(*outcome, "ok") == 0;
		return PGHA_CHILD_REPLY;
	}
	if (child->filled == sizeof(child->buffer))
	{
		PghaChildStop(child);
		return PGHA_CHILD_GONE;
	}
	return PGHA_CHILD_NOTHING;
}

/*
 * The child ends at the end of its input, or at SIGTERM, within a millisecond;
 * waiting for that is the only wait here.  One that does not is killed.
 */
void
PghaChildStop(PghaChild *child)
{
	if (child->fd >= 0)
	{
		close(child->fd);
		ReleaseExternalFD();
		child->fd = -1;
	}
	if (child->pid > 0)
	{
		bool		ended = false;

		kill(child->pid, SIGTERM);
		for (int i = 0; i < END_LIMIT_MS * 4 && !ended; i++)
		{
			ended = waitpid(child->pid, NULL, WNOHANG) != 0;
			if (!ended)
				pg_usleep(250);
		}
		if (!ended)
		{
			kill(child->pid, SIGKILL);
			while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
		child->pid = 0;
	}
	child->request = 0;
	child->filled = 0;
}
