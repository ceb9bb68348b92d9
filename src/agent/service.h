/*
 * service.h
 *		What the agent tells the service manager that has started it (systemd).
 */
#ifndef PGHA_SERVICE_H
#define PGHA_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "../host/server_ctl.h"
#include "../recovery/job.h"
#include "session.h"

/* All of these do nothing where no service manager listens, and never wait. */

/* What a status line is made of. */
typedef struct PghaServiceView
{
	const PghaAgentConf *conf;
	const PghaPoll *own;		/* NULL: the own server does not answer */
	PghaServer	server;
	int			leader;			/* PGHA_NOBODY: none is known */
	const PghaJobStatus *job;
} PghaServiceView;

/* Call in every round of the loop: ready since the first one, a sign of life, and what has changed. */
extern void pgha_service_tend(const PghaServiceView *view, int64_t now);

/* How long the loop may wait at most, of what it wants to. */
extern int	pgha_service_wait_ms(int wanted_ms);

/* The configuration is read again; the next round of the loop ends that. */
extern void pgha_service_reloads(void);

/* The agent ends. */
extern void pgha_service_ends(void);

#endif							/* PGHA_SERVICE_H */
