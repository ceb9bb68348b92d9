/*
 * pcp.c
 *		PCP, the protocol by which pgpool-II is asked and told of its backends.
 *
 * libpcp blocks, and keeps its state in one connection at a time: each pgpool is
 * talked to in a process of its own that an alarm ends.  For the agent, which
 * tells pgpool who leads (agent/pgpool.c), and for `pgha doctor`, which only
 * tries to log in.  What is to be told is not known here.
 */
#include "pcp.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The header of libpcp expects PostgreSQL's names; and since 4.6, unless it is
 * told that it is not pgpool's own, a header that is not installed.
 */
typedef int32_t int32;
typedef uint64_t uint64;
#define PGPOOL_ADM
#define NAMEDATALEN 64
#include <pgpool2/libpcp_ext.h>

#include "../common/child.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../common/members.h"

#define TRY_LIMIT_S		10

void
pgha_pcp_begin(unsigned limit_s)
{
	pgha_become_child(-1);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) alarm(limit_s);
}

/* ---- which member is a backend? ---- */

/* Do two names stand for one address? */
static bool
same_host(const char *a, const char *b)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *first = NULL;
	struct addrinfo *second = NULL;
	bool		same = false;

	if (strcasecmp(a, b) == 0)
		return true;
	if (getaddrinfo(a, NULL, &hints, &first) == 0 && getaddrinfo(b, NULL, &hints, &second) == 0)
	{
		for (struct addrinfo *x = first; x != NULL && !same; x = x->ai_next)
			for (struct addrinfo *y = second; y != NULL && !same; y = y->ai_next)
				same = x->ai_addrlen == y->ai_addrlen && memcmp(x->ai_addr, y->ai_addr, x->ai_addrlen) == 0;
	}
	if (first != NULL)
		freeaddrinfo(first);
	if (second != NULL)
		freeaddrinfo(second);
	return same;
}

int
pgha_pcp_member(const PghaMembers *members, const char *host, int port)
{
	/* pgpool calls its own host's socket directory by its path. */
	if (host[0] == '\0' || host[0] == '/')
		host = "localhost";
	for (int i = 0; i < members->count; i++)
	{
		const PghaAddress *member = &members->member[i];

		if (member->port == port && (strcasecmp(host, member->name) == 0 || same_host(host, member->host)))
			return i;
	}
	return PGHA_NOBODY;
}

/* ---- passwords ---- */

/* Takes a field off a line of the password file: ':' ends it, '\' quotes. */
static char *
take_field(char **cursor)
{
	char	   *field = *cursor;
	char	   *to = field;
	char	   *from = field;

	while (*from != '\0' && *from != ':' && *from != '\n')
	{
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from++;
	}
	*cursor = *from == ':' ? from + 1 : from;
	*to = '\0';
	return field;
}

static bool
field_matches(const char *field, const char *value)
{
	return strcmp(field, "*") == 0 || strcmp(field, value) == 0;
}

/* The password for a pgpool, from a file of the form of .pcppass; false with a sentence in `error`. */
static bool
find_password(const PghaPcpLogin *login, const char *host, int port, char *password, size_t size,
			  char *error, size_t error_size)
{
	FILE	   *file = fopen(login->passfile, "re");
	struct stat st;
	char		line[1024];
	char		port_text[16];
	bool		found = false;

	if (file == NULL || fstat(fileno(file), &st) != 0)
	{
		(void) pgha_fail(error, error_size, "pgpool: could not open password file \"%s\": %s", login->passfile, strerror(errno));
		return false;
	}
	(void) snprintf(port_text, sizeof(port_text), "%d", port);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		(void) pgha_fail(error, error_size,
						 "pgpool: password file \"%s\" can be read by others: change its permissions to 0600",
						 login->passfile);
	else
	{
		while (!found && fgets(line, sizeof(line), file) != NULL)
		{
			char	   *cursor = line;
			char	   *line_host = take_field(&cursor);
			char	   *line_port = take_field(&cursor);
			char	   *line_user = take_field(&cursor);

			found = field_matches(line_host, host) && field_matches(line_port, port_text) &&
				field_matches(line_user, login->user);
			if (found)
				(void) snprintf(password, size, "%s", take_field(&cursor));
		}
		if (!found)
			(void) pgha_fail(error, error_size, "pgpool: password file \"%s\" has no line for %s:%d:%s",
							 login->passfile, host, port, login->user);
	}
	(void) fclose(file);
	explicit_bzero(line, sizeof(line));
	return found;
}

/* ---- a session ---- */

static bool
succeeded(PCPConnInfo *pcp, PCPResultInfo *result)
{
	return result != NULL && PCPResultStatus(result) == PCP_RES_COMMAND_OK && PCPConnectionStatus(pcp) == PCP_CONNECTION_OK;
}

PghaPcp *
pgha_pcp_open(const PghaPcpLogin *login, const char *host, int port, int *count, char *error, size_t error_size)
{
	char		password[256];
	char		copy[PGHA_HOST_SIZE];
	PCPConnInfo *pcp;
	PCPResultInfo *result;

	*count = 0;
	if (!find_password(login, host, port, password, sizeof(password), error, error_size))
		return NULL;
	(void) snprintf(copy, sizeof(copy), "%s", host);
	pcp = pcp_connect(copy, port, (char *) login->user, password, NULL);
	explicit_bzero(password, sizeof(password));
	if (pcp == NULL || PCPConnectionStatus(pcp) != PCP_CONNECTION_OK)
	{
		(void) pgha_fail(error, error_size, "pgpool %s:%d: could not log in over PCP: %s", host, port,
						 pcp != NULL && pcp_get_last_error(pcp) != NULL ? pcp_get_last_error(pcp) : "no answer");
		return NULL;
	}
	result = pcp_node_count(pcp);
	if (succeeded(pcp, result))
		*count = pcp_get_int_data(result, 0);
	return pcp;
}

void
pgha_pcp_close(PghaPcp *pcp)
{
	pcp_disconnect(pcp);
}

bool
pgha_pcp_backend(PghaPcp *pcp, int number, PghaPcpBackend *backend)
{
	PCPResultInfo *result = pcp_node_info(pcp, number);
	const BackendInfo *info;

	if (!succeeded(pcp, result) || (info = pcp_get_binary_data(result, 0)) == NULL)
		return false;
	(void) snprintf(backend->host, sizeof(backend->host), "%s", info->backend_hostname);
	backend->port = info->backend_port;
	backend->down = info->backend_status == CON_DOWN;
	backend->primary = info->role == ROLE_PRIMARY;
	return true;
}

bool
pgha_pcp_order(PghaPcp *pcp, PghaPcpOrder order, int number, char *error, size_t error_size)
{
	PCPResultInfo *result = NULL;

	switch (order)
	{
		case PGHA_PCP_ATTACH:
			result = pcp_attach_node(pcp, number);
			break;
		case PGHA_PCP_PROMOTE:
			result = pcp_promote_node(pcp, number, false);
			break;
		case PGHA_PCP_DETACH:
			result = pcp_detach_node(pcp, number);
			break;
	}
	return succeeded(pcp, result) ||
		pgha_fail(error, error_size, "%s",
				  pcp_get_last_error(pcp) != NULL ? pcp_get_last_error(pcp) : "no reason given");
}

/* ---- only to try ---- */

/* The process of pgha_pgpool_try(): its stderr goes to the caller; its exit code is the count. */
static void
try_one(const PghaPcpLogin *login, const char *host, int port)
{
	char		error[1200];
	int			count;
	PghaPcp    *pcp = pgha_pcp_open(login, host, port, &count, error, sizeof(error));

	if (pcp != NULL)
		pcp_disconnect(pcp);
	else
		pgha_put(error, stderr);
	_exit(count < 255 ? count : 254);
}

int
pgha_pgpool_try(const PghaPcpLogin *login, const char *host, int port,
				char *error, size_t error_size)
{
	int			ends[2];
	pid_t		pid;
	size_t		length = 0;
	ssize_t		got;
	int			status = 0;

	(void) fflush(NULL);
	if (pipe(ends) != 0 || (pid = fork()) < 0)
	{
		(void) snprintf(error, error_size, "could not start a process: %s", strerror(errno));
		return -1;
	}
	if (pid == 0)
	{
		(void) dup2(ends[1], STDERR_FILENO);
		pgha_pcp_begin(TRY_LIMIT_S);
		try_one(login, host, port);
	}
	(void) close(ends[1]);
	while (length + 1 < error_size &&
		   ((got = read(ends[0], error + length, error_size - 1 - length)) > 0 || (got < 0 && errno == EINTR)))
		length += got > 0 ? (size_t) got : 0;
	error[length] = '\0';
	(void) close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	error[strcspn(error, "\n")] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) > 0)
		return WEXITSTATUS(status);
	if (WIFSIGNALED(status) || *error == '\0')
		(void) snprintf(error, error_size, "pgpool %s:%d: no answer within %d s", host, port, TRY_LIMIT_S);
	return -1;
}
