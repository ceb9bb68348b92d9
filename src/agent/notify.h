/*
 * notify.h
 *		Telling people and programs what happens: pgha.notify_command.
 */
#ifndef PGHA_NOTIFY_H
#define PGHA_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../host/conf.h"

/* Has a process at it while a command is set.  Call it in every round of the loop. */
extern void pgha_notify_tend(const PghaAgentConf *conf, int64_t now);

/* Was that the process?  For whoever has reaped a child. */
extern bool pgha_notify_ended(pid_t pid);

#endif							/* PGHA_NOTIFY_H */
