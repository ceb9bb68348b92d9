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
 * ends; a byte in it says that there is news.  One that dies is started again after a
 * pause; other settings are taken over by a new one.
 */
#include "web.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/log.h"
#include "answerer.h"
#include "tls.h"

#define PAUSE_MS		2000
#define NEWS_SIZE		256
#define IGNORED			"as the agent of a witness does not answer over HTTP"
/* One that has not ended by then after its pipe was closed hangs. */
#define END_LIMIT_MS	5000

/* What the process goes by as long as it runs. */
typedef struct Settings
{
	PghaListen	listen;
	char		cert[PATH_MAX];
	char		key[PATH_MAX];
	char		cluster[64];
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		address[PGHA_ADDRESS_TEXT_SIZE];
	bool		log_json;
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

static void
take_settings(const PghaAgentConf *conf, Settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->listen = conf->http_listen;
	memcpy(settings->cert, conf->http_tls_cert, sizeof(settings->cert));
	memcpy(settings->key, conf->http_tls_key, sizeof(settings->key));
	memcpy(settings->cluster, conf->cluster, sizeof(settings->cluster));
	memcpy(settings->conninfo, conf->conninfo, sizeof(settings->conninfo));
	memcpy(settings->address, conf->address, sizeof(settings->address));
	settings->log_json = conf->log_json;
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
		pgha_agent_warning("http: could not start the process: %s", strerror(errno));
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
	pgha_agent_warning("http: could not start the process: %s", strerror(errno));
	web_pid = 0;
	(void) close(ends[1]);
}

/* What the agent has heard of its server has changed: who asks it only now and then is to ask now. */
static void
tell_news(const char *state, const char *leader)
{
	static char told[NEWS_SIZE] = "";
	char		news[NEWS_SIZE];

	(void) snprintf(news, sizeof(news), "%s %s", state, leader);
	if (strcmp(news, told) == 0)
		return;
	memcpy(told, news, sizeof(told));
	if (pipe_fd >= 0 && write(pipe_fd, "n", 1) < 0 && errno != EAGAIN)
		return;					/* it has ended, which is noticed elsewhere */
}

void
pgha_web_tend(const PghaAgentConf *conf, PghaServer server, const char *state, const char *leader)
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
	tell_news(state, leader);
}

bool
pgha_web_ended(pid_t pid)
{
	if (pid != web_pid)
		return false;
	web_pid = 0;
	if (pipe_fd >= 0)
	{
		pgha_agent_warning("http: the process has died, and is started again");
		(void) close(pipe_fd);
	}
	pipe_fd = -1;
	return true;
}

void
pgha_web_witness(const PghaAgentConf *conf)
{
	static bool told = false;

	if (conf->http_listen.count > 0 && !told)
		pgha_agent_warning("http: pgha.http is not used, " IGNORED);
	told = conf->http_listen.count > 0;
}

void
pgha_web_print(const PghaAgentConf *conf)
{
	char		error[400];
	PghaTls		tls;

	if (conf->witness && conf->http_listen.count > 0)
	{
		printf("http              %s: not used, " IGNORED "\n", conf->http);
		return;
	}
	printf("http              %s%s\n", conf->http_listen.count > 0 ? conf->http : "(none)",
		   conf->http_listen.count > 0 && conf->http_tls_cert[0] != '\0' ? " (TLS)" : "");
	if (conf->http_listen.count == 0 || conf->http_tls_cert[0] == '\0')
		return;
	if (!pgha_tls_load(conf->http_tls_cert, conf->http_tls_key, &tls, error, sizeof(error)))
		printf("                  %s\n", error);
	pgha_tls_free(&tls);
}
