/*
 * setup_home.h
 *		The place of a node: its data directory and configuration, whose they are,
 *		and what only root can do for it.
 */
#ifndef PGHA_CLI_SETUP_HOME_H
#define PGHA_CLI_SETUP_HOME_H

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../host/conf.h"

typedef struct PghaHome
{
	PghaAgentConf conf;			/* data, config_file, config_outside, bin, directory */
	char		debian[128];	/* "15/main" for a cluster of Debian's, else "" */
	bool		made;			/* there is a data directory with something in it */
	uid_t		uid;			/* of the owner of the server */
	gid_t		gid;
	char		owner[64];
	bool		systemd;		/* Debian's cluster, and systemd runs this host */
	bool		agent_unit;		/* ... and has a unit for agents */
	bool		as_root;		/* root has called us, and does what systemd is asked for */
} PghaHome;

/*
 * Finds it by -D, or by Debian's VERSION/NAME, or neither: $PGDATA, $PGCLUSTER, Debian's main
 * cluster of this major version, or the only one.  `fresh`: it need not exist.
 * False with a sentence in `error`, and in `hint` what to do.
 */
extern bool pgha_home_find(PghaHome *home, const char *data, const char *cluster, bool fresh,
						   char *error, size_t error_size, char *hint, size_t hint_size);

/*
 * Runs `work` as the owner: in a child if root has called us, which can ask root
 * for what is below.  The result is its exit code.
 */
extern int	pgha_home_run(PghaHome *home, int (*work) (PghaHome *home, void *arg), void *arg);

/*
 * Starts and stops the server: by systemd where that has it and root has called
 * us, else directly.
 */
extern bool pgha_home_start(PghaHome *home, char *error, size_t error_size);
extern bool pgha_home_stop(PghaHome *home, char *error, size_t error_size);

/* Does systemd run the server, and this user may not tell it to stop? */
extern bool pgha_home_needs_root(const PghaHome *home);

/* Has the agent's unit enabled and started, or disabled and stopped; only where there is one, and as root. */
extern bool pgha_home_enable_agent(PghaHome *home, char *error, size_t error_size);
extern bool pgha_home_disable_agent(PghaHome *home, char *error, size_t error_size);

/* Does an agent of this node run?  False as well if that cannot be told. */
extern bool pgha_home_agent_runs(const PghaHome *home);

/* The command that starts the agent, to be typed; "sudo" is not part of it. */
extern void pgha_home_agent_command(const PghaHome *home, char *command, size_t size);

#endif							/* PGHA_CLI_SETUP_HOME_H */
