/*
 * control.h
 *		Stopping and starting the own server, by order.
 */
#ifndef PGHA_AGENT_CONTROL_H
#define PGHA_AGENT_CONTROL_H

#include <sys/types.h>

#include "../host/conf.h"

/*
 * Begins it: `command` is start, stop or restart, `mode` one of a shutdown (smart,
 * fast, immediate), or what the log is to say of a start.  Returns the process that
 * does it, which logs what fails and may outlive the agent; -1: there is none, and the
 * log says so.
 */
extern pid_t pgha_control_server(const PghaAgentConf *conf, const char *command, const char *mode);

#endif							/* PGHA_AGENT_CONTROL_H */
