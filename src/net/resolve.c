/*
 * resolve.c
 *		Looking up the addresses of a host's name without waiting for it.
 *
 * libpq looks names up with getaddrinfo(), which blocks for as long as the name
 * servers are silent.  So a process of its own looks, and is killed if its answer
 * is not wanted any more.  What it writes is addresses, separated by commas, or
 * an exclamation mark and the reason why there are none.
 *
 * For the agent's loop and its keeper.  Not for the io child, which the server
 * replaces when it is late.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/errors.h"

/* A process that nobody could kill ends by itself. */
#define LOOK_LIMIT_S	15
/* libpq tries one after the other, for which nobody has the time. */
#define MAX_ADDRESSES	4

bool
pgha_is_name(const char *host)
{
	unsigned char address[16];

	return host[0] != '/' && host[0] != '@' && host[0] != '\0' &&
		inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1;
}

/* In a process of its own. */
static void
look_up(const char *host, int out)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char		answer[sizeof(((PghaResolve *) 0)->answer)] = "";
	size_t		length = 0;
	int			count = 0;
	int			error = getaddrinfo(host, NULL, &hints, &found);

	for (struct addrinfo *one = found; error == 0 && one != NULL && count < MAX_ADDRESSES; one = one->ai_next)
	{
		char		text[64];

		if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		length += (size_t) snprintf(answer + length, sizeof(answer) - length, "%s%s", count > 0 ? "," : "", text);
		count++;
	}
	if (count == 0)
		length = (size_t) snprintf(answer, sizeof(answer), "!could not translate host name \"%.255s\" to address: %s",
								   host, error != 0 ? gai_strerror(error) : "it has none");
	if (write(out, answer, length) < 0)
	{
		/* Nobody waits for it any more. */
	}
	_exit(0);
}

bool
pgha_resolve_begin(PghaResolve *resolve, const char *host)
{
	int			fd[2];
	pid_t		parent = getpid();

	memset(resolve, 0, sizeof(*resolve));
	resolve->fd = resolve->process = -1;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	(void) fflush(NULL);
	resolve->pid = fork();
	if (resolve->pid == 0)
	{
		pgha_become_child(fd[1]);
		(void) signal(SIGPIPE, SIG_IGN);
		(void) alarm(LOOK_LIMIT_S);
		if (!pgha_end_with(parent, SIGKILL))
			_exit(1);
		look_up(host, fd[1]);
	}
	(void) close(fd[1]);
	if (resolve->pid < 0)
	{
		int			save_errno = errno;

		(void) close(fd[0]);
		errno = save_errno;
		return false;
	}
	resolve->begun = true;
	resolve->fd = fd[0];
	resolve->process = (int) syscall(SYS_pidfd_open, resolve->pid, 0);
	return true;
}

PghaResolved
pgha_resolve_advance(PghaResolve *resolve, char *out, size_t size)
{
	ssize_t		got;

	while ((got = read(resolve->fd, resolve->answer + resolve->length, sizeof(resolve->answer) - 1 - resolve->length)) > 0)
		resolve->length += (size_t) got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return PGHA_RESOLVE_PENDING;
	resolve->answer[resolve->length] = '\0';
	if (resolve->length > 0 && resolve->answer[0] != '!' && strlen(resolve->answer) < size)
	{
		(void) snprintf(out, size, "%s", resolve->answer);
		return PGHA_RESOLVE_DONE;
	}
	(void) snprintf(out, size, "%s", resolve->length > 1 ? resolve->answer + 1 : "the process that looks up names has died");
	return PGHA_RESOLVE_FAILED;
}

void
pgha_resolve_end(PghaResolve *resolve)
{
	siginfo_t	ended;

	if (!resolve->begun)
		return;
	resolve->begun = false;
	(void) close(resolve->fd);
	if (resolve->process < 0)
	{
		(void) waitpid(resolve->pid, NULL, WNOHANG);
		return;
	}

	/* Whoever waits for all children may have taken its end already: the number may be another's by now. */
	(void) syscall(SYS_pidfd_send_signal, resolve->process, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t) resolve->process, &ended, WEXITED) != 0 && errno == EINTR)
		;
	(void) close(resolve->process);
}

bool
pgha_resolve_within(const char *host, int limit_ms, char *out, size_t size)
{
	PghaResolve resolve;
	PghaResolved resolved = PGHA_RESOLVE_PENDING;
	int64_t		deadline = pgha_clock_ms() + limit_ms;
	int64_t		left;

	if (!pgha_resolve_begin(&resolve, host))
		return pgha_fail(out, size, "could not start a process: %s", strerror(errno));
	while (resolved == PGHA_RESOLVE_PENDING && (left = deadline - pgha_clock_ms()) > 0)
	{
		struct pollfd set = {.fd = resolve.fd, .events = POLLIN};

		(void) poll(&set, 1, (int) left);
		resolved = pgha_resolve_advance(&resolve, out, size);
	}
	pgha_resolve_end(&resolve);
	if (resolved == PGHA_RESOLVE_PENDING)
		return pgha_fail(out, size, "the look-up of host name \"%.255s\" takes too long", host);
	return resolved == PGHA_RESOLVE_DONE;
}

bool
pgha_resolved_parameters(const char *host, const char *addresses, char *out, size_t size)
{
	int			length = snprintf(out, size, " hostaddr='%s' host='%s", addresses, host);

	/* libpq wants a name for each address. */
	for (const char *c = addresses; length < (int) size && *c != '\0'; c++)
	{
		if (*c == ',')
			length += snprintf(out + length, size - (size_t) length, ",%s", host);
	}
	if (length < (int) size)
		length += snprintf(out + length, size - (size_t) length, "'");
	return length < (int) size;
}
