/*
 * answerer.h
 *		The process that answers over HTTP.
 */
#ifndef PGHA_WEB_ANSWERER_H
#define PGHA_WEB_ANSWERER_H

#include "../host/conf.h"
#include "shared.h"

/* In the process; `pipe` is closed when it is to end. */
extern void pgha_web_run(const PghaAgentConf *conf, PghaWebShared *shared, int pipe)
			__attribute__((noreturn));

#endif							/* PGHA_WEB_ANSWERER_H */
