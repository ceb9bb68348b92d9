/*
 * config.h
 *		The configuration pgha.*: definition, validation as a whole, the set in force.
 */
#ifndef PGHA_CONFIG_H
#define PGHA_CONFIG_H

#include "postgres.h"

#include "../common/conninfo.h"
#include "../core/node.h"

/* GUC variables; times in milliseconds, sizes in megabytes, as written. */
extern char *pgha_node;
extern char *pgha_cluster;
extern char *pgha_members;
extern char *pgha_conninfo;
extern char *pgha_arbiter;
extern bool pgha_auto_failover;
extern int	pgha_heartbeat_interval;
extern int	pgha_failure_timeout;
extern int	pgha_startup_grace;
extern int	pgha_max_failover_lag;
extern int	pgha_priority;
extern int	pgha_fence;
extern int	pgha_fence_timeout;

/* Read by the agent from the files; here they are only defined and checked. */
extern int	pgha_auto_rejoin;
extern bool pgha_clone_in_place;
extern bool pgha_keep_old_data;
extern char *pgha_agent_directory;
extern char *pgha_server_log;
extern char *pgha_start_command;
extern char *pgha_stop_command;
extern char *pgha_clone_command;
extern char *pgha_clone_check;
extern char *pgha_pgpool;
extern char *pgha_pgpool_user;
extern char *pgha_pgpool_passfile;
extern char *pgha_address;
extern char *pgha_ec2_endpoint;
extern bool pgha_ec2_insecure;
extern char *pgha_imds_endpoint;

/* A validated set. */
typedef struct PghaConfig
{
	PghaSettings settings;
	PghaMembers members;
	char		conninfo[PGHA_CONNINFO_SIZE];
} PghaConfig;

/* Defines the GUCs; call before any other module's XxxInit that defines its own. */
extern void PghaConfigInit(void);

/*
 * After all modules have defined theirs: FATAL for unknown pgha.* names,
 * unreadable values, and a bad set.  WARNINGs for what HA needs and is missing.
 */
extern void PghaConfigCheckAtStart(void);

/*
 * Validates the set now in the GUC variables, for the server run `instance`.
 * False with a sentence and a hint.
 */
extern bool PghaConfigBuild(PghaConfig *config, uint64 instance, char *error, size_t error_size,
							char *hint, size_t hint_size);

/*
 * Whom a cluster has let vote is no matter of files any more: where quorum is in
 * force by `durable`, all that are listed go on being asked, whatever pgha.quorum says.
 */
extern void PghaConfigKeepVoters(PghaConfig *config, const PghaDurable *durable);

/*
 * Does a member or witness that reports this hash have another configuration than
 * this node?  A witness knows nothing of what only concerns those that have data.
 */
extern bool PghaConfigDiffers(const PghaSettings *settings, int member, uint64 hash);

#endif							/* PGHA_CONFIG_H */
