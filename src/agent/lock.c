/*
 * lock.c
 *		May an agent of this data directory run here, as this user?
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"

static bool
take_lock(const PghaAgentConf *conf)
{
	char		path[PATH_MAX + 32];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int			fd;

	if (!pgha_make_directory(conf->directory))
	{
		pgha_error(stderr, "Create it, for the user that runs the server, or set pgha.agent_directory.",
				   "could not create directory \"%s\": %s", conf->directory, strerror(errno));
		return false;
	}
	(void) snprintf(path, sizeof(path), "%s/agent.lock", conf->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
	{
		pgha_error(stderr, NULL, "could not open file \"%s\": %s", path, strerror(errno));
		return false;
	}
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return true;			/* held until the process ends */
	(void) fcntl(fd, F_GETLK, &lock);
	pgha_error(stderr, NULL, "an agent for \"%s\" is running already (pid %d)", conf->data, (int) lock.l_pid);
	return false;
}

static bool
check_user(const PghaAgentConf *conf)
{
	struct stat st;

	if (geteuid() == 0)
		pgha_error(stderr, "Run it as the user that runs the server, for example with systemd's User=postgres.",
				   "the agent cannot be run as root");
	else if (stat(conf->data, &st) == 0 && st.st_uid != geteuid())
		pgha_error(stderr, "Run the agent as the user that runs the server.",
				   "the data directory \"%s\" belongs to another user", conf->data);
	else
		return true;
	return false;
}

bool
pgha_agent_may_run(const PghaAgentConf *conf)
{
	return check_user(conf) && take_lock(conf);
}
