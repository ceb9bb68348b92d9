/*
 * answerer.h
 *		The process that answers over HTTP.
 */
#ifndef PGHA_WEB_ANSWERER_H
#define PGHA_WEB_ANSWERER_H

#include <stdatomic.h>
#include <stdint.h>

#include "../host/conf.h"

/* What the agent tells it. */
typedef struct PghaWebShared
{
	_Atomic int server;			/* PghaServer */
	_Atomic int64_t alive_at;	/* when the agent last went round (pgha_clock_ms()) */
} PghaWebShared;

/* In the process; `pipe` is closed when it is to end. */
extern void pgha_web_run(const PghaAgentConf *conf, PghaWebShared *shared, int pipe)
			__attribute__((noreturn));

#endif							/* PGHA_WEB_ANSWERER_H */
