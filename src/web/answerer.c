/*
 * answerer.c
 *		The process that answers over HTTP: its threads.
 *
 * The main thread asks the server (source.c), and so may wait for it.  Threads of
 * libmicrohttpd answer from memory (listener.c, reply.c), and never wait.  A third
 * one listens where that was not possible yet, and ends connections that take too long.
 *
 * The private key is in the memory of this process and of no other one of the agent:
 * so it leaves no core.  Strangers talk to it: of the capabilities that the agent may
 * have, for the address, it keeps none but that of listening on any port.
 */
#include "answerer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "listener.h"
#include "source.h"
#include "view.h"

#define WANTED_FILES	8192

/* Each connection is a file: as many as the limits of the listeners allow, if the host does. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= WANTED_FILES)
		return;
	limit.rlim_cur = limit.rlim_max < WANTED_FILES ? limit.rlim_max : WANTED_FILES;
	(void) setrlimit(RLIMIT_NOFILE, &limit);
}

/* Before there are threads, each of which has its own. */
static void
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};

	(void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, sets) == 0)
	{
		sets[0].permitted &= 1U << CAP_NET_BIND_SERVICE;
		sets[0].effective = sets[0].permitted;
		sets[1].permitted = sets[1].effective = 0;
		sets[0].inheritable = sets[1].inheritable = 0;
		if (syscall(SYS_capset, &header, sets) == 0)
			return;
	}
	pgha_agent_warning("http: could not drop capabilities: %s", strerror(errno));
}

static void *
tend(void *arg)
{
	for (;;)
	{
		int64_t		next = pgha_listener_tend(arg);
		int64_t		left = next - pgha_clock_ms();

		(void) poll(NULL, 0, left > 0 ? (int) left : 1);
	}
	return NULL;
}

void
pgha_web_run(const PghaAgentConf *conf, PghaWebShared *shared, int pipe)
{
	static PghaWebView view;
	PghaListener *listener;
	pthread_t	tender;

	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	pgha_agent_log_process("http");
	drop_capabilities();
	raise_limit();
	pgha_view_init(&view, conf, shared);
	listener = pgha_listener_new(&view);
	if (listener == NULL || pthread_create(&tender, NULL, tend, listener) != 0)
	{
		pgha_agent_warning("http: could not start a thread");
		_exit(1);
	}
	pgha_source_run(&view, pipe);

	/* The kernel closes all sockets, also of answers under way: they are short. */
	_exit(0);
}
