/*
 * server_log.h
 *		Where a server that is started here logs to.
 */
#ifndef PGHA_HOST_SERVER_LOG_H
#define PGHA_HOST_SERVER_LOG_H

#include "conf.h"

/*
 * The file that the server's stderr is appended to; `path` has PATH_MAX bytes.
 * pgha.server_log; else the file that the last server started by somebody else
 * had; else Debian's, where the data directory is one of its clusters; else
 * postgres.log in the agent's directory.
 */
extern void pgha_server_log_path(const PghaAgentConf *conf, char *path);

/*
 * To be called about once a second: remembers where a running server logs to,
 * and keeps postgres.log in the agent's directory from growing without limit.
 */
extern void pgha_server_log_tend(const PghaAgentConf *conf);

#endif							/* PGHA_HOST_SERVER_LOG_H */
