/*
 * ec2.c
 *		Requests to the EC2 query API: encoded, signed, sent, and what came of them.
 *
 * A request is a POST of a form to "/"; an answer is XML, of which an error
 * gives <Code> and <Message>.  What is made of an error:
 *
 *		overload, 5xx, no answer		try again later (the caller's business: it
 *										knows until when that makes sense)
 *		signature or time refused		if the answer's Date is far from the time we
 *										signed with, take that clock, and once more
 *		credentials refused				read them again; if they have changed, once more
 *		anything else					final: permissions, ids, limits
 *
 * Everything that is sent here may arrive twice: all the actions used are
 * idempotent.
 *
 * EC2 quotes from the request in some of its messages, session token included.
 * So a message is cut where it begins to, and what of our credentials should
 * still be in it is struck out.
 */
#include "ec2.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "sigv4.h"

#define API_VERSION			"2016-11-15"
#define SERVICE				"ec2"
#define CONTENT_TYPE		"application/x-www-form-urlencoded; charset=utf-8"
#define CONNECT_MS			1000
#define TOTAL_MS			3000
/* With less time left than this a request is not worth sending. */
#define LEAST_MS			50
#define BACKOFF_FIRST_MS	100
#define BACKOFF_LAST_MS		2000
/* EC2 allows five minutes of difference, and the Date header has whole seconds. */
#define SKEW_SECONDS		60
#define HEADER_SIZE			(sizeof(((PghaCredentials *) 0)->session_token) + 64)

typedef enum Headers
{
	HEADER_HOST,
	HEADER_TYPE,
	HEADER_DATE,
	HEADER_AUTHORIZATION,
	HEADER_TOKEN,
	HEADERS
} Headers;

typedef struct SignedRequest
{
	time_t		when;
	char		header[HEADERS][HEADER_SIZE];
	const char *list[HEADERS + 1];
} SignedRequest;

static const char *const overload_codes[] = {
	"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled",
	"RequestThrottledException", "InternalError", "InternalFailure", "Unavailable",
	"ServiceUnavailable", "RequestTimeout", "ConcurrentModification", NULL
};

/* Given for a wrong clock, among other reasons. */
static const char *const clock_codes[] = {
	"RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch",
	"InvalidSignatureException", "AuthFailure", NULL
};

/* Given for credentials that have been replaced, among other reasons. */
static const char *const credential_codes[] = {
	"ExpiredToken", "ExpiredTokenException", "RequestExpired", "AuthFailure",
	"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", NULL
};

/* From here on, messages quote the request, or are of no use to a reader. */
static const char *const message_ends[] = {
	"The Canonical String", "The canonical string", "The String-to-Sign", "Encoded authorization",
	NULL
};

static bool
listed(const char *code, const char *const *codes)
{
	for (; *codes != NULL; codes++)
	{
		if (strcmp(code, *codes) == 0)
			return true;
	}
	return false;
}

/* ---- the form ---- */

static void
form_append(PghaEc2Form *form, const char *text, bool encode)
{
	static const char plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (; *text != '\0'; text++)
	{
		bool		escape = encode && strchr(plain, *text) == NULL;

		if (form->length + 4 > sizeof(form->text))
		{
			form->overflow = true;
			return;
		}
		form->length += (size_t) sprintf(form->text + form->length, escape ? "%%%02X" : "%c",
										 (unsigned char) *text);
	}
}

void
pgha_ec2_form(PghaEc2Form *form, const char *action)
{
	memset(form, 0, sizeof(*form));
	(void) snprintf(form->action, sizeof(form->action), "%s", action);
	form_append(form, "Action=", false);
	form_append(form, action, true);
	pgha_ec2_form_add(form, "Version", API_VERSION);
}

void
pgha_ec2_form_add(PghaEc2Form *form, const char *name, const char *value)
{
	form_append(form, "&", false);
	form_append(form, name, true);
	form_append(form, "=", false);
	form_append(form, value, true);
}

/* ---- the endpoint ---- */

bool
pgha_ec2_api_endpoint(PghaEc2Api *api, const char *url, const char *region,
					  char *error, size_t error_size)
{
	bool		secure = strncasecmp(url, "https://", 8) == 0;
	const char *host = url + (secure ? 8 : 7);
	const char *default_port = secure ? ":443" : ":80";
	size_t		length;
	size_t		port;

	if (!secure && strncasecmp(url, "http://", 7) != 0)
		return pgha_fail(error, error_size, "the EC2 endpoint \"%s\" must begin with https://", url);
	if (!secure && !api->insecure)
		return pgha_fail(error, error_size,
						 "the EC2 endpoint \"%s\" is not encrypted, and whoever listens could use the requests and the session token: "
						 "write https://, or allow it (pgha.ec2_insecure = on; pgha vip --insecure)", url);
	length = strcspn(host, "/");
	if (length == 0 || length >= sizeof(api->host) || strspn(host + length, "/") != strlen(host + length) ||
		strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]") < length)
		return pgha_fail(error, error_size,
						 "the EC2 endpoint \"%s\" must be https://HOST or https://HOST:PORT", url);
	(void) snprintf(api->url, sizeof(api->url), "%s://%.*s/", secure ? "https" : "http",
					(int) length, host);
	port = strlen(default_port);
	if (length > port && strncmp(host + length - port, default_port, port) == 0)
		length -= port;
	(void) snprintf(api->host, sizeof(api->host), "%.*s", (int) length, host);
	(void) snprintf(api->region, sizeof(api->region), "%s", region);
	return true;
}

/* ---- messages without secrets ---- */

void
pgha_ec2_parse_error(const char *body, size_t length, char *code, size_t code_size,
					 char *message, size_t message_size)
{
	PghaXml		xml = {body, length};
	PghaXml		content;

	code[0] = message[0] = '\0';
	if (!pgha_xml_find(&xml, "Error", &content, NULL))
		return;
	if (!pgha_xml_text(&content, "Code", code, code_size))
		return;
	for (size_t i = 0; code[i] != '\0'; i++)
	{
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", code[i]) == NULL)
			code[i] = '?';
	}
	(void) pgha_xml_text(&content, "Message", message, message_size);
}

static void
strike_out(char *text, const char *secret)
{
	size_t		length = strlen(secret);
	char	   *found;

	/* Anything shorter is no secret, and might be part of a word. */
	while (length >= 8 && (found = strstr(text, secret)) != NULL)
	{
		memset(found, '*', length);
		memmove(found + 3, found + length, strlen(found + length) + 1);
	}
}

static void
clean_message(char *message, const PghaCredentials *credentials, const char *authorization)
{
	const char *signature = strstr(authorization, "Signature=");

	for (const char *const *end = message_ends; *end != NULL; end++)
	{
		char	   *found = strstr(message, *end);

		if (found != NULL)
			*found = '\0';
	}
	strike_out(message, credentials->secret_access_key);
	strike_out(message, credentials->session_token);
	strike_out(message, credentials->access_key_id);
	if (signature != NULL)
		strike_out(message, signature + strlen("Signature="));
	for (size_t length = strlen(message); length > 0 && message[length - 1] == ' ';)
		message[--length] = '\0';
}

/* ---- one request ---- */

static bool
sign_request(PghaEc2Api *api, const PghaEc2Form *form, SignedRequest *request)
{
	const PghaCredentials *credentials = &api->credentials.current;
	PghaSigv4Key key = {credentials->access_key_id, credentials->secret_access_key, api->region, SERVICE};
	PghaSigv4Header headers[] = {
		{"Host", api->host},
		{"Content-Type", CONTENT_TYPE},
		{"X-Amz-Security-Token", credentials->session_token}
	};
	bool		token = credentials->session_token[0] != '\0';
	char		date[PGHA_SIGV4_DATE_SIZE];
	char		authorization[PGHA_SIGV4_AUTHORIZATION_SIZE];

	request->when = time(NULL) + (time_t) api->clock_offset;
	if (!pgha_sigv4_sign(&key, request->when, headers, token ? 3 : 2, form->text, date, authorization))
		return false;
	(void) snprintf(request->header[HEADER_HOST], HEADER_SIZE, "Host: %s", api->host);
	(void) snprintf(request->header[HEADER_TYPE], HEADER_SIZE, "Content-Type: " CONTENT_TYPE);
	(void) snprintf(request->header[HEADER_DATE], HEADER_SIZE, "X-Amz-Date: %s", date);
	(void) snprintf(request->header[HEADER_AUTHORIZATION], HEADER_SIZE, "Authorization: %s", authorization);
	(void) snprintf(request->header[HEADER_TOKEN], HEADER_SIZE, "X-Amz-Security-Token: %s",
					credentials->session_token);
	for (int i = 0; i < HEADERS; i++)
		request->list[i] = request->header[i];
	request->list[token ? HEADERS : HEADER_TOKEN] = NULL;
	return true;
}

static void
refuse(PghaEc2Reply *reply, PghaEc2Outcome outcome, const char *format,...)
			__attribute__((format(printf, 3, 4)));

static void
refuse(PghaEc2Reply *reply, PghaEc2Outcome outcome, const char *format,...)
{
	va_list		args;

	reply->outcome = outcome;
	va_start(args, format);
	(void) vsnprintf(reply->error, sizeof(reply->error), format, args);
	va_end(args);
}

/* Is the body the answer to that action?  A proxy's page is not. */
static bool
answers(const PghaXml *body, const PghaEc2Form *form)
{
	char		element[sizeof(form->action) + 16];
	PghaXml		content;

	(void) snprintf(element, sizeof(element), "%sResponse", form->action);
	return pgha_xml_find(body, element, &content, NULL);
}

static void
read_answer(const PghaEc2Api *api, const PghaEc2Form *form, const PghaHttpReply *http,
			const SignedRequest *request, PghaEc2Reply *reply)
{
	char	   *message;

	reply->body = (PghaXml) {http->body, http->length};
	if (http->status == 200)
	{
		if (answers(&reply->body, form))
			reply->outcome = PGHA_EC2_DONE;
		else
			refuse(reply, PGHA_EC2_AGAIN, "EC2 gave no usable answer to %s", form->action);
		return;
	}
	message = calloc(1, PGHA_HTTP_BODY_SIZE);
	if (message != NULL)
	{
		pgha_ec2_parse_error(http->body, http->length, reply->code, sizeof(reply->code),
							 message, PGHA_HTTP_BODY_SIZE);
		clean_message(message, &api->credentials.current, request->header[HEADER_AUTHORIZATION]);
	}
	if (strcmp(reply->code, "DryRunOperation") == 0)
		reply->outcome = PGHA_EC2_DONE;
	else
		refuse(reply, http->status >= 500 || http->status == 429 ||
			   listed(reply->code, overload_codes) ? PGHA_EC2_AGAIN : PGHA_EC2_REFUSED,
			   "%s: %s (%s, status %ld)", form->action,
			   message != NULL && *message != '\0' ? message : "no reason given",
			   reply->code[0] != '\0' ? reply->code : "no code", http->status);
	free(message);
}

/* *skew: by how much the answer's clock is ahead of the time we signed with. */
static void
send_request(PghaEc2Api *api, const PghaEc2Form *form, int limit_ms, PghaEc2Reply *reply,
			 int64_t *skew)
{
	static const char failed[] = "%s: no answer from EC2 at %s: %s";
	SignedRequest request;
	PghaHttpRequest http = {
		.method = "POST",.url = api->url,.headers = request.list,.body = form->text,
		.connect_ms = limit_ms < CONNECT_MS ? limit_ms : CONNECT_MS,
		.total_ms = limit_ms,.through_proxy = true
	};
	PghaHttpReply answer;
	PghaHttpResult result;

	*skew = 0;
	if (form->overflow || !sign_request(api, form, &request))
	{
		refuse(reply, PGHA_EC2_REFUSED, "cannot sign a request to EC2");
		return;
	}
	result = pgha_http_request(api->http, &http, &answer);
	if (result != PGHA_HTTP_OK)
		refuse(reply, result == PGHA_HTTP_REFUSED ? PGHA_EC2_REFUSED : PGHA_EC2_AGAIN, failed,
			   form->action, api->host, answer.error);
	else
		read_answer(api, form, &answer, &request, reply);
	if (answer.date != 0)
		*skew = (int64_t) answer.date - (int64_t) request.when;
	explicit_bzero(&request, sizeof(request));
}

/* Was our clock the matter?  Then it is set right for the next request. */
static bool
mend_clock(PghaEc2Api *api, const PghaEc2Reply *reply, int64_t skew)
{
	if (!listed(reply->code, clock_codes) || llabs(skew) < SKEW_SECONDS)
		return false;
	api->clock_offset += skew;
	if (api->log != NULL)
		api->log("the clock of this host and that of EC2 differ by %lld seconds; "
				 "requests are signed with EC2's time", (long long) llabs(api->clock_offset));
	return true;
}

static bool
mend_credentials(PghaEc2Api *api, const PghaEc2Reply *reply)
{
	char		error[256];

	return listed(reply->code, credential_codes) &&
		pgha_credentials_renew(&api->credentials, error, sizeof(error));
}

/* May a request be sent now?  Returns the time it may take, 0 if not. */
static int
request_limit(const PghaEc2Guard *guard, PghaEc2Reply *reply)
{
	int64_t		left;

	if (guard->still_leader != NULL && !guard->still_leader(guard->arg))
	{
		refuse(reply, PGHA_EC2_REFUSED, "leadership is lost, or too near its end");
		return 0;
	}
	left = guard->deadline - pgha_clock_ms();
	if (left < LEAST_MS)
	{
		refuse(reply, PGHA_EC2_AGAIN, "no time left");
		reply->late = true;
		return 0;
	}
	return left < TOTAL_MS ? (int) left : TOTAL_MS;
}

void
pgha_ec2_api_call(PghaEc2Api *api, const PghaEc2Form *form, const PghaEc2Guard *guard,
				  PghaEc2Reply *reply)
{
	bool		clock_mended = false;
	bool		credentials_mended = false;

	for (;;)
	{
		time_t		now = time(NULL) + (time_t) api->clock_offset;
		int64_t		skew;
		int			limit_ms;

		memset(reply, 0, sizeof(*reply));
		/* Renewing them ahead of need is not for a request that is in a hurry. */
		if (!pgha_credentials_usable(&api->credentials, now) &&
			!pgha_credentials_ready(&api->credentials, now, reply->error, sizeof(reply->error)))
		{
			reply->outcome = PGHA_EC2_AGAIN;
			return;
		}
		limit_ms = request_limit(guard, reply);
		if (limit_ms == 0)
			return;
		send_request(api, form, limit_ms, reply, &skew);
		if (reply->outcome == PGHA_EC2_DONE)
			return;
		/* Cut short, it says nothing about EC2. */
		reply->late = reply->outcome == PGHA_EC2_AGAIN && reply->code[0] == '\0' && limit_ms < TOTAL_MS;
		if (!clock_mended && mend_clock(api, reply, skew))
			clock_mended = true;
		else if (!credentials_mended && mend_credentials(api, reply))
			credentials_mended = true;
		else
			return;
	}
}

int
pgha_ec2_backoff_ms(int tries)
{
	int			longest = BACKOFF_FIRST_MS;
	unsigned	random = 0;

	while (tries-- > 0 && longest < BACKOFF_LAST_MS)
		longest *= 2;
	if (longest > BACKOFF_LAST_MS)
		longest = BACKOFF_LAST_MS;
	(void) !getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return longest / 2 + (int) (random % (unsigned) (longest / 2 + 1));
}
