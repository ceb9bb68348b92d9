/*
 * web.c
 *		The process beside the agent that answers over HTTP, as the agent sees it.
 *
 * Answers must come within milliseconds, whatever the agent and its server do.  So
 * one child of the agent gives them (answerer.c): it has a session of its own with
 * the server, and answers from memory.  The agent tells it through shared memory
 * what it sees of the server, and that it lives itself.
 *
 * The child ends when its pipe is closed, that is, with the agent, however that
 * ends.  One that dies is started again after a pause; other settings, and a renewed
 * certificate, are taken over by a new one.
 */
#include "web.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/log.h"
#include "answerer.h"
#include "tls.h"

#define PAUSE_MS		2000
/* How often the files of TLS are looked at. */
#define LOOK_EVERY_MS	3000
/* One that has not ended by then after its pipe was closed hangs. */
#define END_LIMIT_MS	5000

/* What the process goes by as long as it runs. */
typedef struct Settings
{
	PghaListen	listen;
	char		cert[PATH_MAX];
	char		key[PATH_MAX];
	int64_t		files;			/* changes with them */
	char		cluster[64];
	char		conninfo[PGHA_CONNINFO_SIZE];
	PghaMembers members;
	int			self;
	int			failure_timeout_ms;
} Settings;

static PghaWebShared *shared = NULL;
static pid_t web_pid = 0;
static int	pipe_fd = -1;		/* open: the process is to live */
static int64_t start_at = 0;	/* not before this time */
static int64_t kill_at = 0;		/* if it has not ended by then */
static Settings in_force;		/* of the process that runs */

static int64_t
stamp_of(const char *path)
{
	struct stat st;

	if (path[0] == '\0' || stat(path, &st) != 0)
		return 0;
	return (st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000) * 31 + (int64_t) st.st_ino;
}

/* The files of TLS are looked at now and then only. */
static int64_t
files_stamp(const PghaAgentConf *conf)
{
	static int64_t next = 0;
	static int64_t stamp = 0;
	int64_t		now = pgha_clock_ms();

	if (conf->http_tls_cert[0] == '\0')
		return 0;
	if (now >= next)
	{
		next = now + LOOK_EVERY_MS;
		stamp = stamp_of(conf->http_tls_cert) * 31 + stamp_of(conf->http_tls_key);
	}
	return stamp;
}

static void
take_settings(const PghaAgentConf *conf, Settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->listen = conf->http_listen;
	memcpy(settings->cert, conf->http_tls_cert, sizeof(settings->cert));
	memcpy(settings->key, conf->http_tls_key, sizeof(settings->key));
	settings->files = files_stamp(conf);
	memcpy(settings->cluster, conf->cluster, sizeof(settings->cluster));
	memcpy(settings->conninfo, conf->conninfo, sizeof(settings->conninfo));
	settings->members = conf->members;
	settings->self = conf->self;
	settings->failure_timeout_ms = conf->failure_timeout_ms;
}

static void
start_process(const PghaAgentConf *conf)
{
	int			ends[2];

	if (shared == NULL)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
	{
		pgha_agent_log("http: could not start the process: %s", strerror(errno));
		shared = shared == MAP_FAILED ? NULL : shared;
		return;
	}
	(void) fflush(NULL);
	web_pid = fork();
	if (web_pid == 0)
	{
		pgha_become_child(ends[0]);
		(void) signal(SIGPIPE, SIG_IGN);
		pgha_web_run(conf, shared, ends[0]);
	}
	(void) close(ends[0]);
	if (web_pid > 0)
	{
		pipe_fd = ends[1];
		return;
	}
	pgha_agent_log("http: could not start the process: %s", strerror(errno));
	web_pid = 0;
	(void) close(ends[1]);
}

void
pgha_web_tend(const PghaAgentConf *conf, PghaServer server)
{
	int64_t		now = pgha_clock_ms();
	Settings	wanted;

	if (conf->http_listen.count == 0 && web_pid == 0)
		return;
	take_settings(conf, &wanted);
	if (web_pid != 0 && pipe_fd >= 0 && memcmp(&wanted, &in_force, sizeof(wanted)) != 0)
	{
		(void) close(pipe_fd);
		pipe_fd = -1;
		start_at = 0;
		kill_at = now + END_LIMIT_MS;
	}
	if (web_pid != 0 && pipe_fd < 0 && now > kill_at)
		(void) kill(web_pid, SIGKILL);
	if (web_pid == 0 && conf->http_listen.count > 0 && now >= start_at)
	{
		in_force = wanted;
		start_at = now + PAUSE_MS;
		start_process(conf);
	}
	if (shared != NULL)
	{
		atomic_store(&shared->server, (int) server);
		atomic_store(&shared->alive_at, now);
	}
}

bool
pgha_web_ended(pid_t pid)
{
	if (pid != web_pid)
		return false;
	web_pid = 0;
	if (pipe_fd >= 0)
	{
		pgha_agent_log("http: the process has died, and is started again");
		(void) close(pipe_fd);
	}
	pipe_fd = -1;
	return true;
}

void
pgha_web_print(const PghaAgentConf *conf)
{
	char		error[400];
	PghaTls		tls;

	printf("http              %s%s\n", conf->http_listen.count > 0 ? conf->http : "(none)",
		   conf->http_listen.count > 0 && conf->http_tls_cert[0] != '\0' ? " (TLS)" : "");
	if (conf->http_listen.count == 0 || conf->http_tls_cert[0] == '\0')
		return;
	if (!pgha_tls_load(conf->http_tls_cert, conf->http_tls_key, &tls, error, sizeof(error)))
		printf("                  %s\n", error);
	pgha_tls_free(&tls);
}
