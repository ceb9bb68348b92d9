/*
 * shared.h
 *		What the agent tells the process that answers over HTTP, in memory that both have.
 */
#ifndef PGHA_WEB_SHARED_H
#define PGHA_WEB_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct PghaWebShared
{
	_Atomic int server;			/* PghaServer */
	_Atomic int64_t alive_at;	/* when the agent last went round (pgha_clock_ms()) */
} PghaWebShared;

#endif							/* PGHA_WEB_SHARED_H */
