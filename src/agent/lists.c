/*
 * lists.c
 *		The primary's orders to change the list of members in this server's files.
 *
 * For the agent's loop, which never waits for a disk: a process of its own changes the
 * file (host/conf_edit.c), has the server reload, and writes what came of it into a
 * pipe.  That is told to the session that the order came by; a server that has not
 * heard it hands the order out again in the next session, and is told then.  An order
 * of another id takes the place of one that is under way: nobody waits for that one.
 */
#include "lists.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../host/conf_edit.h"
#include "../recovery/report.h"

/* A process that nobody could kill ends by itself. */
#define CHANGE_LIMIT_S	20

static int64_t order_id = 0;	/* 0: none so far */
static PghaSession *asker = NULL;
static pid_t worker = 0;
static int	answer_fd = -1;
static bool answered = false;
static bool told = true;
static char answer[1024];		/* "+" or "-", and a sentence */

/* Has the server read its files again, if it runs. */
static void
reload_server(const PghaAgentOptions *options, char *message, size_t size)
{
	static PghaAgentConf conf;
	char		error[512];
	pid_t		pid = 0;
	size_t		length = strlen(message);

	if (pgha_agent_conf_read(options->data, options->config, &conf, error, sizeof(error)) &&
		pgha_server_look(&conf, &pid) == PGHA_SERVER_RUNNING && pid > 0 && kill(pid, SIGHUP) == 0)
		return;
	(void) snprintf(message + length, size - length, "; the server was not told to reload, as it is not known to run");
}

/* In a process of its own. */
static void
work(const PghaAgentOptions *options, const char *text, int out)
{
	char		message[sizeof(answer)] = "+";
	PghaListOrder order;
	bool		done;

	(void) alarm(CHANGE_LIMIT_S);
	done = pgha_list_order_parse(text, &order, message + 1, sizeof(message) - 1);
	if (done && order.write)
		pgha_job_test_stop("list", 0);
	done = done && pgha_conf_change_list(options->data, options->config, &order, message + 1, sizeof(message) - 1);
	if (done && order.write)
		reload_server(options, message, sizeof(message));
	if (!done)
		message[0] = '-';
	(void) pgha_shown(message, false);
	if (write(out, message, strlen(message)) < 0)
		_exit(1);
	_exit(0);
}

static void
refuse(const char *why)
{
	(void) snprintf(answer, sizeof(answer), "-%s", why);
	answered = true;
}

static void
forget(void)
{
	if (worker > 0)
		(void) kill(worker, SIGKILL);
	if (answer_fd >= 0)
		(void) close(answer_fd);
	worker = 0;
	answer_fd = -1;
	answered = false;
	answer[0] = '\0';
}

void
pgha_lists_take(PghaSession *session, const PghaAgentOptions *options, bool busy)
{
	int			ends[2];

	asker = session;
	told = false;
	session->told_order = 0;
	if (session->poll.order_id == order_id)
		return;
	forget();
	order_id = session->poll.order_id;
	if (busy)
	{
		refuse("a recovery of it is under way");
		return;
	}
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
	{
		refuse(strerror(errno));
		return;
	}
	(void) fflush(NULL);
	worker = fork();
	if (worker == 0)
	{
		pgha_become_child(ends[1]);
		work(options, session->poll.argument, ends[1]);
	}
	if (worker < 0)
		refuse(strerror(errno));
	(void) close(ends[1]);
	answer_fd = ends[0];
}

bool
pgha_lists_busy(void)
{
	return worker > 0;
}

bool
pgha_lists_ended(pid_t pid)
{
	ssize_t		length;

	if (worker <= 0 || pid != worker)
		return false;
	worker = 0;
	length = read(answer_fd, answer, sizeof(answer) - 1);
	(void) close(answer_fd);
	answer_fd = -1;
	if (length > 0)
		answer[length] = '\0';
	else
		(void) snprintf(answer, sizeof(answer), "-the process that changes the file has ended without a word");
	answered = true;
	if (answer[0] == '-')
		pgha_agent_log("an order to change the members was not carried out: %s", answer + 1);
	return true;
}

bool
pgha_lists_tell(PghaSession *session)
{
	if (told || !answered || session != asker || !session->answered)
		return false;
	if (session->told_order == order_id)
	{
		told = true;
		return false;
	}
	pgha_session_tell(session, order_id, answer[0] == '+', answer + 1);
	return true;
}
