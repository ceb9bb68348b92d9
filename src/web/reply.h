/*
 * reply.h
 *		What is answered to a request: status and body.
 */
#ifndef PGHA_WEB_REPLY_H
#define PGHA_WEB_REPLY_H

#include "view.h"

/* A request, as far as it matters; parameters that are not given are NULL. */
typedef struct PghaWebRequest
{
	const char *path;
	const char *lag;			/* lag= */
	const char *mode;			/* mode= */
	const char *replication_state;	/* replication_state= */
	const char *names;			/* names= */
	bool		tags;			/* tag_…= : there are none here, so none matches */
	bool		openmetrics;	/* the client prefers that to Prometheus' older format */
} PghaWebRequest;

typedef struct PghaWebReply
{
	int			status;
	const char *type;			/* of the body */
	const char *policy;			/* Content-Security-Policy; NULL: nothing may be loaded by it */
	char	   *body;			/* to be freed; NULL: out of memory */
} PghaWebReply;

/* Makes the reply; never waits. */
extern void pgha_web_reply(PghaWebView *view, const PghaWebRequest *request, PghaWebReply *reply);

/* Counts a reply that was not made here, too: refused methods and the like. */
extern void pgha_web_count(PghaWebView *view, int status);

#endif							/* PGHA_WEB_REPLY_H */
