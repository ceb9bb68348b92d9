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
 * Starts the process, or starts it anew if it has ended or its settings have
 * changed; tells it what the agent sees of the server, and that the agent lives.
 * When `state` or `leader` changes, which is what the agent hears from the server, the
 * process asks the server at once.  Call it in every round of the agent's loop;
 * it costs nothing then.  Without pgha.http there is no process.
 */
extern void pgha_web_tend(const PghaAgentConf *conf, PghaServer server, const char *state, const char *leader);

/* Instead of it, on a witness: says once that pgha.http is not used. */
extern void pgha_web_witness(const PghaAgentConf *conf);

/* A child has been reaped: was it this one? */
extern bool pgha_web_ended(pid_t pid);

/* For `pgha agent --check`: one line, and what would keep TLS from working. */
extern void pgha_web_print(const PghaAgentConf *conf);

#endif							/* PGHA_WEB_H */
