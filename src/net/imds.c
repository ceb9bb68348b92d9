/*
 * imds.c
 *		The instance metadata service of EC2, version 2.
 *
 * Version 2 wants a session token, got by a PUT, with every request.  Version 1,
 * without token, is not used even where it is on: it is what lets a process be
 * talked into fetching the instance's credentials.
 *
 * The service is on the host below the instance, so an answer takes a
 * millisecond, and no answer means that none will come.  The usual reason is a
 * container: the answer to the PUT is sent with a hop limit, 1 by default, and
 * dies at the container's bridge.
 */
#include "imds.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "http.h"

#define DEFAULT_ENDPOINT	"http://169.254.169.254"
#define CONNECT_MS			500
#define TOTAL_MS			1000
#define TRIES				3
#define PAUSE_MS			100
#define TOKEN_SECONDS		21600
/* A token this close to its end is not used any more. */
#define TOKEN_MARGIN_MS		60000
#define TOKEN_SIZE			512
#define URL_SIZE			512

struct PghaImds
{
	PghaHttp   *http;
	char		endpoint[256];
	char		token[TOKEN_SIZE];	/* empty: none */
	int64_t		token_end;
};

PghaImds *
pgha_imds_new(const char *endpoint)
{
	PghaImds   *imds = calloc(1, sizeof(*imds));

	if (imds == NULL)
		return NULL;
	imds->http = pgha_http_new();
	if (imds->http == NULL)
	{
		free(imds);
		return NULL;
	}
	(void) snprintf(imds->endpoint, sizeof(imds->endpoint), "%s",
					endpoint != NULL && *endpoint != '\0' ? endpoint : DEFAULT_ENDPOINT);
	for (size_t length = strlen(imds->endpoint); length > 0 && imds->endpoint[length - 1] == '/';)
		imds->endpoint[--length] = '\0';
	return imds;
}

void
pgha_imds_free(PghaImds *imds)
{
	if (imds == NULL)
		return;
	pgha_http_free(imds->http);
	explicit_bzero(imds, sizeof(*imds));
	free(imds);
}

/* One request, tried again where that can help.  The reply's status is 0 if none came. */
static PghaHttpResult
request(PghaImds *imds, const char *method, const char *path, const char *header,
		PghaHttpReply *reply)
{
	char		url[URL_SIZE];
	const char *headers[] = {header, NULL};
	PghaHttpRequest request = {
		.method = method,.url = url,.headers = headers,
		.connect_ms = CONNECT_MS,.total_ms = TOTAL_MS
	};
	PghaHttpResult result = PGHA_HTTP_REFUSED;

	(void) snprintf(url, sizeof(url), "%s%s", imds->endpoint, path);
	for (int try = 0; try < TRIES; try++)
	{
		if (try > 0)
			pgha_http_pause(PAUSE_MS << try);
		result = pgha_http_request(imds->http, &request, reply);
		if (result == PGHA_HTTP_REFUSED || (result == PGHA_HTTP_OK && reply->status < 500 &&
											reply->status != 429))
			break;
	}
	return result;
}

static bool
no_answer(PghaHttpResult result, const PghaHttpReply *reply, char *error, size_t error_size)
{
	if (result == PGHA_HTTP_SILENT)
		return pgha_fail(error, error_size,
						 "the instance metadata service does not answer the request for a token: "
						 "in a container the instance needs a higher hop limit (aws ec2 "
						 "modify-instance-metadata-options --http-put-response-hop-limit 2)");
	return pgha_fail(error, error_size,
					 "cannot reach the instance metadata service (is this an EC2 instance?): %s",
					 reply->error);
}

static bool
valid_token(const char *token, size_t length)
{
	return length > 0 && length < TOKEN_SIZE && strspn(token,
													   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-.") == length;
}

static bool
fetch_token(PghaImds *imds, char *error, size_t error_size)
{
	char		header[64];
	PghaHttpReply reply;
	PghaHttpResult result;
	int64_t		now = pgha_clock_ms();

	(void) snprintf(header, sizeof(header), "X-aws-ec2-metadata-token-ttl-seconds: %d", TOKEN_SECONDS);
	result = request(imds, "PUT", "/latest/api/token", header, &reply);
	if (result != PGHA_HTTP_OK)
		return no_answer(result, &reply, error, error_size);
	if (reply.status == 403)
		return pgha_fail(error, error_size,
						 "the instance metadata service is switched off for this instance (aws ec2 "
						 "modify-instance-metadata-options --http-endpoint enabled)");
	if (reply.status == 404 || reply.status == 405)
		return pgha_fail(error, error_size,
						 "the instance metadata service does not know version 2 (status %ld to the "
						 "request for a token), and version 1 is not used", reply.status);
	if (reply.status != 200 || !valid_token(reply.body, reply.length))
		return pgha_fail(error, error_size,
						 "the instance metadata service gave no token (status %ld)", reply.status);
	(void) snprintf(imds->token, sizeof(imds->token), "%s", reply.body);
	imds->token_end = now + TOKEN_SECONDS * INT64_C(1000) - TOKEN_MARGIN_MS;
	return true;
}

/* One GET with a token; *expired: the service does not know that token any more. */
static PghaImdsResult
get(PghaImds *imds, const char *path, bool *expired, const char **text,
	char *error, size_t error_size)
{
	char		full[URL_SIZE];
	char		header[TOKEN_SIZE + 64];
	PghaHttpReply reply;
	PghaHttpResult result;

	*expired = false;
	if ((imds->token[0] == '\0' || pgha_clock_ms() >= imds->token_end) &&
		!fetch_token(imds, error, error_size))
		return PGHA_IMDS_FAILED;
	(void) snprintf(full, sizeof(full), "/latest/meta-data/%s", path);
	(void) snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %s", imds->token);
	result = request(imds, "GET", full, header, &reply);
	explicit_bzero(header, sizeof(header));
	if (result == PGHA_HTTP_OK && reply.status == 200 && strlen(reply.body) == reply.length)
	{
		*text = reply.body;
		return PGHA_IMDS_OK;
	}
	*expired = result == PGHA_HTTP_OK && reply.status == 401;
	if (result != PGHA_HTTP_OK)
		(void) pgha_fail(error, error_size, "the instance metadata service gave no %s: %s",
						 path, reply.error);
	else
		(void) pgha_fail(error, error_size, "the instance metadata service gave no %s (status %ld)",
						 path, reply.status);
	return result == PGHA_HTTP_OK && reply.status == 404 ? PGHA_IMDS_ABSENT : PGHA_IMDS_FAILED;
}

PghaImdsResult
pgha_imds_get(PghaImds *imds, const char *path, const char **text, char *error, size_t error_size)
{
	PghaImdsResult result;
	bool		expired;

	result = get(imds, path, &expired, text, error, error_size);
	if (expired)
	{
		explicit_bzero(imds->token, sizeof(imds->token));
		result = get(imds, path, &expired, text, error, error_size);
	}
	return result;
}

bool
pgha_imds_next(const char **cursor, char *word, size_t size)
{
	static const char allowed[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-@+=,";

	while (**cursor != '\0')
	{
		const char *start = *cursor;
		size_t		length = strcspn(start, "\r\n");

		*cursor = start + length + strspn(start + length, "\r\n");
		if (length > 0 && start[length - 1] == '/')
			length--;
		if (length == 0 || length >= size || strspn(start, allowed) < length)
			continue;
		memcpy(word, start, length);
		word[length] = '\0';
		return true;
	}
	return false;
}

PghaImdsResult
pgha_imds_word(PghaImds *imds, const char *path, char *word, size_t size,
			   char *error, size_t error_size)
{
	const char *text;
	PghaImdsResult result = pgha_imds_get(imds, path, &text, error, error_size);

	if (result != PGHA_IMDS_OK)
		return result;
	if (pgha_imds_next(&text, word, size) && *text == '\0')
		return PGHA_IMDS_OK;
	(void) pgha_fail(error, error_size,
					 "the instance metadata service gave something else than a %s", path);
	return PGHA_IMDS_FAILED;
}
