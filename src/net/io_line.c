/*
 * io_line.c
 *		What the `pgha io` children have in common: signals, and lines in and out.
 *
 * For io.c and archive.c.  A child ends with exit code 0 when the socket that is
 * its stdin and stdout is at its end, when it is told to end by a signal, and
 * when it cannot make sense of a line.
 */
#include "io_line.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/program.h"

static volatile sig_atomic_t told_to_end = 0;

/*
 * The first signal lets the connection be closed properly, so that the peer
 * does not log a lost one; a second later, or if a look-up of a host name
 * hangs, the child is gone anyway.
 */
static void
handle_end(int signal_number)
{
	if (signal_number == SIGALRM)
		_exit(EXIT_OK);
	told_to_end = 1;
	(void) alarm(1);
}

void
pgha_io_set_up_signals(void)
{
	static const int ending[] = {SIGTERM, SIGINT, SIGQUIT, SIGALRM};
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGTTOU, SIGTTIN, SIGTSTP};
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	(void) sigemptyset(&action.sa_mask);
	action.sa_handler = handle_end;
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		(void) sigaction(ending[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void) sigaction(ignored[i], &action, NULL);
	pgha_unblock_signals();
}

bool
pgha_io_told_to_end(void)
{
	return told_to_end != 0;
}

void
pgha_io_read(PghaIoInput *input)
{
	ssize_t		got;

	if (input->length == sizeof(input->text))
	{
		/* No line is that long. */
		input->ended = true;
		return;
	}
	got = read(STDIN_FILENO, input->text + input->length, sizeof(input->text) - input->length);
	if (got > 0)
		input->length += (size_t) got;
	else if (got == 0 || (errno != EINTR && errno != EAGAIN))
		input->ended = true;
}

bool
pgha_io_next_line(PghaIoInput *input, char *line)
{
	for (;;)
	{
		char	   *end = memchr(input->text, '\n', input->length);
		struct pollfd set = {.fd = STDIN_FILENO, .events = POLLIN};

		if (end != NULL)
		{
			size_t		length = (size_t) (end - input->text);

			/* A NUL is no text, and would hide the rest. */
			if (memchr(input->text, '\0', length) != NULL)
				return false;
			memcpy(line, input->text, length);
			line[length] = '\0';
			input->length -= length + 1;
			memmove(input->text, end + 1, input->length);
			return true;
		}
		if (told_to_end || input->ended)
			return false;
		if (poll(&set, 1, -1) > 0)
			pgha_io_read(input);
	}
}

/* Sends the answer; false if the server does not take it. */
static bool
send_line(PghaLine *line)
{
	size_t		sent = 0;

	line->text[line->length++] = '\n';
	while (sent < line->length)
	{
		struct pollfd set = {.fd = STDOUT_FILENO, .events = POLLOUT};
		ssize_t		written = write(STDOUT_FILENO, line->text + sent, line->length - sent);

		if (written > 0)
			sent += (size_t) written;
		else if (told_to_end || (written < 0 && errno != EINTR && errno != EAGAIN))
			return false;
		else
			(void) poll(&set, 1, -1);
	}
	return true;
}

bool
pgha_io_send_answer(const char *id, const char *outcome, const char *text, const char *where, const char *how)
{
	char		buffer[PGHA_LINE_SIZE];
	PghaLine	line;

	/* Keep room for the line break. */
	pgha_line_init(&line, buffer, sizeof(buffer) - 1);
	pgha_line_add(&line, id);
	pgha_line_add(&line, outcome);
	pgha_line_add(&line, text);
	if (where != NULL)
		pgha_line_add(&line, where);
	if (how != NULL)
		pgha_line_add(&line, how);
	if (line.overflow)
	{
		pgha_line_init(&line, buffer, sizeof(buffer) - 1);
		pgha_line_add(&line, id);
		pgha_line_add(&line, "error");
		pgha_line_add(&line, "the answer is too long");
	}
	return send_line(&line);
}
