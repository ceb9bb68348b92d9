/*
 * web.h
 *		The process beside the agent that answers over HTTP (pgha.http).
 */
#ifndef PGHA_WEB_H
#define PGHA_WEB_H

#include <stdbool.h>
#include <sys/types.h>

#include "../host/conf.h"
#include "../host/server_ctl.h"

/*
 * Starts the process, or starts it anew if it has ended or its settings or the
 * files of TLS have changed; tells it what the agent sees of the server, and that
 * the agent lives.  Call it in every round of the agent's loop; it costs nothing
 * then.  Without pgha.http there is no process.
 */
extern void pgha_web_tend(const PghaAgentConf *conf, PghaServer server);

/* A child has been reaped: was it this one? */
extern bool pgha_web_ended(pid_t pid);

/* For `pgha agent --check`: one line, and what would keep TLS from working. */
extern void pgha_web_print(const PghaAgentConf *conf);

#endif							/* PGHA_WEB_H */
