/*
 * conf.h
 *		What the agent was told: its options, and the configuration, read again
 *		when a file has changed.
 */
#ifndef PGHA_AGENT_CONF_H
#define PGHA_AGENT_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "../host/conf.h"

typedef struct PghaAgentOptions
{
	const char *data;			/* NULL: not given */
	const char *config;			/* the same */
	bool		check;
} PghaAgentOptions;

/* Reads the options; EXIT_OK, or an exit code after an error message. */
extern int	pgha_agent_options(int argc, char **argv, PghaAgentOptions *options);

/* Paths may have been relative: makes them those of the configuration that was read. */
extern void pgha_agent_options_resolve(PghaAgentOptions *options, const PghaAgentConf *conf);

/* For --check: prints what it comes to, and on stderr what is wrong; an exit code. */
extern int	pgha_agent_conf_check(const PghaAgentOptions *options);

/* The first reading, with what the server would refuse in the log; false after an error message. */
extern bool pgha_agent_conf_first(const PghaAgentOptions *options, PghaAgentConf *conf);

typedef enum PghaReload
{
	PGHA_RELOAD_KEPT,			/* the former one is in force */
	PGHA_RELOAD_READ,			/* a new one is */
	PGHA_RELOAD_MEMBERS			/* a new one with other members, or another way to log in to them */
} PghaReload;

/*
 * Reads the configuration if it has changed, or if the agent was told to; keeps
 * the former one if the new one is bad, or while the agent is busy with a
 * recovery.  Call it in every round of the agent's loop; it costs nothing then.
 */
extern PghaReload pgha_agent_conf_reload(PghaAgentConf *conf, const PghaAgentOptions *options,
										 bool told, bool busy, int64_t now);

#endif							/* PGHA_AGENT_CONF_H */
