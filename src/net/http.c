/*
 * http.c
 *		One HTTP request at a time, within limits.
 *
 * libcurl does the transport.  What is asked of it, so that nothing on the other
 * side can hold or fool the caller:
 *
 *		encryption		https only, with a checked certificate and TLS 1.2 at
 *						least, unless the URL itself says http://
 *		time			a limit for connecting, one for everything, look-up of
 *						the name included; no signals
 *		size			an answer longer than PGHA_HTTP_BODY_SIZE is a failure
 *		redirects		never followed: a signed request is for one host, and the
 *						metadata service has no reason to send anyone elsewhere
 *
 * The connection is kept for the next request.  When the other side has closed
 * it meanwhile, libcurl sends the request again on a new one: callers send only
 * what may arrive twice.
 *
 * Requests and answers carry credentials, so buffers are wiped after use.
 */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct PghaHttp
{
	CURL	   *curl;
	size_t		length;
	bool		too_long;
	time_t		date;
	char		message[CURL_ERROR_SIZE];
	char		body[PGHA_HTTP_BODY_SIZE + 1];
};

void
pgha_http_pause(int milliseconds)
{
	struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		;
}

PghaHttp *
pgha_http_new(void)
{
	PghaHttp   *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	http = calloc(1, sizeof(*http));
	if (http != NULL)
		http->curl = curl_easy_init();
	if (http == NULL || http->curl == NULL)
	{
		free(http);
		curl_global_cleanup();
		return NULL;
	}
	return http;
}

void
pgha_http_free(PghaHttp *http)
{
	if (http == NULL)
		return;
	curl_easy_cleanup(http->curl);
	explicit_bzero(http, sizeof(*http));
	free(http);
	curl_global_cleanup();
}

time_t
pgha_http_date(const char *text, size_t length)
{
	char		copy[64];
	struct tm	when = {0};
	const char *end;

	if (length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &when);
	if (end == NULL || *end != '\0' || when.tm_year < 70 || when.tm_year > 8000)
		return 0;
	return timegm(&when);
}

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	PghaHttp   *http = arg;
	size_t		length = size * count;

	if (length > PGHA_HTTP_BODY_SIZE - http->length)
	{
		http->too_long = true;
		return 0;
	}
	memcpy(http->body + http->length, data, length);
	http->length += length;
	return length;
}

static size_t
take_header(char *data, size_t size, size_t count, void *arg)
{
	static const char name[] = "Date:";
	PghaHttp   *http = arg;
	size_t		length = size * count;
	const char *value = data + sizeof(name) - 1;
	const char *end = data + length;

	if (length < sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
		return length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	http->date = pgha_http_date(value, (size_t) (end - value));
	return length;
}

static void
set_security(CURL *curl, const PghaHttpRequest *request)
{
	bool		plain = strncasecmp(request->url, "http://", 7) == 0;
	const char *ca_file = getenv("AWS_CA_BUNDLE");

#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long) (plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca_file != NULL && *ca_file != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	/* A proxy's own Date is of no interest. */
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (!request->through_proxy)
	{
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	}
}

static void
set_request(PghaHttp *http, const PghaHttpRequest *request, struct curl_slist *headers)
{
	CURL	   *curl = http->curl;

	/* Keeps the connections. */
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "pgha");
	if (request->body != NULL)
	{
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long) strlen(request->body));
	}
	else if (strcmp(request->method, "GET") != 0)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_ms);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) request->total_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->message);
	set_security(curl, request);
}

static PghaHttpResult
classify(CURL *curl, CURLcode code)
{
	double		connected = 0;

	switch (code)
	{
		case CURLE_OK:
			return PGHA_HTTP_OK;
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_URL_MALFORMAT:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_ISSUER_ERROR:
			return PGHA_HTTP_REFUSED;
		case CURLE_COULDNT_CONNECT:
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_SSL_CONNECT_ERROR:
			return PGHA_HTTP_UNREACHABLE;
		case CURLE_OPERATION_TIMEDOUT:
			(void) curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME, &connected);
			return connected > 0 ? PGHA_HTTP_SILENT : PGHA_HTTP_UNREACHABLE;
		default:
			return PGHA_HTTP_BROKEN;
	}
}

static void
describe(const PghaHttp *http, CURLcode code, char *error, size_t size)
{
	if (http->too_long)
		(void) snprintf(error, size, "the answer is longer than %d bytes", PGHA_HTTP_BODY_SIZE);
	else
		(void) snprintf(error, size, "%s",
						http->message[0] != '\0' ? http->message : curl_easy_strerror(code));
	error[strcspn(error, "\r\n")] = '\0';
}

static void
free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *item = headers; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(headers);
}

/* False, with an empty list, if memory ran out. */
static bool
copy_headers(const PghaHttpRequest *request, struct curl_slist **headers)
{
	/* No waiting for "100 Continue" before the body. */
	*headers = curl_slist_append(NULL, "Expect:");
	for (int i = 0; *headers != NULL && request->headers != NULL && request->headers[i] != NULL; i++)
	{
		struct curl_slist *longer = curl_slist_append(*headers, request->headers[i]);

		if (longer == NULL)
			free_headers(*headers);
		*headers = longer;
	}
	return *headers != NULL;
}

PghaHttpResult
pgha_http_request(PghaHttp *http, const PghaHttpRequest *request, PghaHttpReply *reply)
{
	struct curl_slist *headers;
	CURLcode	code = CURLE_OUT_OF_MEMORY;

	memset(reply, 0, sizeof(*reply));
	explicit_bzero(http->body, sizeof(http->body));
	http->length = 0;
	http->too_long = false;
	http->date = 0;
	http->message[0] = '\0';
	if (copy_headers(request, &headers))
	{
		set_request(http, request, headers);
		code = curl_easy_perform(http->curl);
		curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
		free_headers(headers);
	}
	if (code != CURLE_OK)
		describe(http, code, reply->error, sizeof(reply->error));
	(void) curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
	reply->date = http->date;
	reply->body = http->body;
	reply->length = http->length;
	return classify(http->curl, code);
}
