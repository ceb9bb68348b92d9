/*
 * http.h
 *		One HTTP request at a time, within limits.
 *
 * The program must ignore SIGPIPE: libcurl leaves signals alone here.
 */
#ifndef PGHA_HTTP_H
#define PGHA_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Longest answer that is read; a longer one fails the request. */
#define PGHA_HTTP_BODY_SIZE		65536

typedef struct PghaHttp PghaHttp;

/* Ends of a request; all but OK come with a sentence in the reply's `error`. */
typedef enum PghaHttpResult
{
	PGHA_HTTP_OK,				/* there is an answer, whatever its status */
	PGHA_HTTP_UNREACHABLE,		/* no connection, or none with TLS, in time */
	PGHA_HTTP_SILENT,			/* sent, perhaps, but no whole answer in time */
	PGHA_HTTP_BROKEN,			/* the connection broke, or the answer is no HTTP, or too long */
	PGHA_HTTP_REFUSED			/* by us: certificate or URL; the same request will fail again */
} PghaHttpResult;

typedef struct PghaHttpRequest
{
	const char *method;			/* GET, PUT, POST */
	const char *url;			/* https, unless it says http:// */
	const char *const *headers; /* "Name: value", NULL at the end; may be NULL */
	const char *body;			/* of a POST */
	int			connect_ms;
	int			total_ms;
	bool		through_proxy;	/* obey http_proxy, https_proxy and no_proxy */
} PghaHttpRequest;

typedef struct PghaHttpReply
{
	long		status;
	time_t		date;			/* of the Date header; 0: none */
	const char *body;			/* NUL-terminated; valid until the next request */
	size_t		length;
	char		error[256];
} PghaHttpReply;

extern void pgha_http_pause(int milliseconds);

/* NULL: out of memory. */
extern PghaHttp *pgha_http_new(void);
extern void pgha_http_free(PghaHttp *http);

extern PghaHttpResult pgha_http_request(PghaHttp *http, const PghaHttpRequest *request,
										PghaHttpReply *reply);

/* "Wed, 25 Nov 2026 18:26:58 GMT" (not NUL-terminated); 0: not a date. */
extern time_t pgha_http_date(const char *text, size_t length);

#endif							/* PGHA_HTTP_H */
