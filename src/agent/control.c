/*
 * control.c
 *		Stopping and starting the own server, by order.
 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/log.h"
#include "../host/server_ctl.h"

#define LIMIT_MS	300000

pid_t
pgha_control_server(const PghaAgentConf *conf, const char *command, const char *mode)
{
	pid_t		pid;

	pgha_agent_log("ordered to %s the server (%s)", command, mode);
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		char		error[600];
		bool		done = true;

		(void) setsid();
		pgha_become_child(-1);
		pgha_agent_log_process("server");
		if (strcmp(command, "start") != 0)
			done = pgha_server_stop(conf, mode, LIMIT_MS, NULL, NULL, error, sizeof(error));
		if (done && strcmp(command, "stop") != 0)
			done = pgha_server_start(conf, LIMIT_MS, NULL, NULL, error, sizeof(error));
		if (!done)
			pgha_agent_error("could not %s the server: %s", command, error);
		_exit(done ? 0 : 1);
	}
	if (pid < 0)
		pgha_agent_error("could not start a process: %s", strerror(errno));
	return pid;
}
