/*
 * sigv4.c
 *		Signing of requests to AWS (Signature Version 4): POST to "/", no query.
 *
 * EC2 takes every request as a POST to "/" with the parameters in a form body,
 * so that the parts of the scheme that go wrong elsewhere (encoding of paths,
 * order of query parameters) are constant here.  libcurl has a signer of its own,
 * which signs differently from version to version and cannot be told the time.
 *
 * The scheme, in the words of its manual:
 *
 *		canonical request	method, path, query, headers, names of the headers,
 *							hash of the body
 *		string to sign		"AWS4-HMAC-SHA256", date, scope, hash of the former
 *		signing key			HMAC chain: "AWS4" + secret, day, region, service,
 *							"aws4_request"
 */
#include "sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALGORITHM		"AWS4-HMAC-SHA256"
#define TERMINATOR		"aws4_request"
#define HASH_SIZE		32
#define HEX_SIZE		(2 * HASH_SIZE + 1)
#define DATE_HEADER		"x-amz-date"
#define CANONICAL_SIZE	16384
#define NAMES_SIZE		512
#define SCOPE_SIZE		256

typedef struct Text
{
	char	   *text;
	size_t		size;
	size_t		length;
	bool		overflow;
} Text;

static void append(Text *text, const char *format,...)
			__attribute__((format(printf, 2, 3)));

static void
append(Text *text, const char *format,...)
{
	size_t		room = text->size - text->length;
	va_list		args;
	int			length;

	va_start(args, format);
	length = vsnprintf(text->text + text->length, room, format, args);
	va_end(args);
	if (length < 0 || (size_t) length >= room)
		text->overflow = true;
	else
		text->length += (size_t) length;
}

static void
hex(const unsigned char *bytes, char *text)
{
	for (int i = 0; i < HASH_SIZE; i++)
		(void) sprintf(text + 2 * i, "%02x", bytes[i]);
}

static bool
hash_hex(const char *text, char *result)
{
	unsigned char hash[HASH_SIZE];

	if (!EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), hash, NULL))
		return false;
	hex(hash, result);
	return true;
}

/* `result` may be `key`. */
static bool
hmac(const void *key, size_t key_length, const char *text, unsigned char *result)
{
	unsigned char mac[HASH_SIZE];
	bool		done;

	done = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_length,
					 (const unsigned char *) text, strlen(text), mac, sizeof(mac), NULL) != NULL;
	if (done)
		memcpy(result, mac, sizeof(mac));
	explicit_bzero(mac, sizeof(mac));
	return done;
}

static int
compare_headers(const void *a, const void *b)
{
	return strcasecmp(((const PghaSigv4Header *) a)->name, ((const PghaSigv4Header *) b)->name);
}

static void
append_lower(Text *text, const char *name)
{
	for (; *name != '\0'; name++)
		append(text, "%c", tolower((unsigned char) *name));
}

/* Without blanks at both ends, and with one in place of several. */
static void
append_value(Text *text, const char *value)
{
	bool		blank = false;
	bool		started = false;

	for (; *value != '\0'; value++)
	{
		if (*value == ' ' || *value == '\t')
		{
			blank = true;
			continue;
		}
		if (started && blank)
			append(text, " ");
		append(text, "%c", *value);
		started = true;
		blank = false;
	}
}

/* Also leaves the list of the names, as "host;x-amz-date". */
static bool
canonical_request(const PghaSigv4Header *sorted, int count, const char *body,
				  Text *canonical, Text *names)
{
	char		body_hash[HEX_SIZE];

	if (!hash_hex(body, body_hash))
		return false;
	append(canonical, "POST\n/\n\n");
	for (int i = 0; i < count; i++)
	{
		append_lower(canonical, sorted[i].name);
		append(canonical, ":");
		append_value(canonical, sorted[i].value);
		append(canonical, "\n");
		if (i > 0)
			append(names, ";");
		append_lower(names, sorted[i].name);
	}
	append(canonical, "\n%s\n%s", names->text, body_hash);
	return !canonical->overflow && !names->overflow;
}

static bool
signing_key(const PghaSigv4Key *key, const char *day, unsigned char *result)
{
	char		secret[256];
	int			length;
	bool		done;

	length = snprintf(secret, sizeof(secret), "AWS4%s", key->secret_access_key);
	done = length > 0 && (size_t) length < sizeof(secret) &&
		hmac(secret, (size_t) length, day, result) &&
		hmac(result, HASH_SIZE, key->region, result) &&
		hmac(result, HASH_SIZE, key->service, result) &&
		hmac(result, HASH_SIZE, TERMINATOR, result);
	explicit_bzero(secret, sizeof(secret));
	return done;
}

/* `canonical` is overwritten: it becomes the string to sign. */
static bool
sign(const PghaSigv4Key *key, const char *date, const char *scope, Text *canonical,
	 char *signature)
{
	unsigned char mac[HASH_SIZE];
	char		hash[HEX_SIZE];
	char		day[9];
	bool		done;

	if (!hash_hex(canonical->text, hash))
		return false;
	canonical->length = 0;
	append(canonical, ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
	(void) snprintf(day, sizeof(day), "%.8s", date);
	done = signing_key(key, day, mac) && hmac(mac, sizeof(mac), canonical->text, mac);
	if (done)
		hex(mac, signature);
	explicit_bzero(mac, sizeof(mac));
	return done;
}

static bool
authorize(const PghaSigv4Key *key, const char *date, const PghaSigv4Header *sorted, int count,
		  const char *body, char *buffer, Text *authorization)
{
	Text		canonical = {.text = buffer,.size = CANONICAL_SIZE};
	char		names_buffer[NAMES_SIZE] = "";
	Text		names = {.text = names_buffer,.size = sizeof(names_buffer)};
	char		scope_buffer[SCOPE_SIZE];
	Text		scope = {.text = scope_buffer,.size = sizeof(scope_buffer)};
	char		signature[HEX_SIZE];

	append(&scope, "%.8s/%s/%s/" TERMINATOR, date, key->region, key->service);
	if (scope.overflow ||
		!canonical_request(sorted, count, body, &canonical, &names) ||
		!sign(key, date, scope.text, &canonical, signature))
		return false;
	append(authorization, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		   key->access_key_id, scope.text, names.text, signature);
	return !authorization->overflow;
}

bool
pgha_sigv4_sign(const PghaSigv4Key *key, time_t when, const PghaSigv4Header *headers, int count,
				const char *body, char date[PGHA_SIGV4_DATE_SIZE],
				char authorization[PGHA_SIGV4_AUTHORIZATION_SIZE])
{
	PghaSigv4Header sorted[PGHA_SIGV4_MAX_HEADERS];
	Text		result = {.text = authorization,.size = PGHA_SIGV4_AUTHORIZATION_SIZE};
	struct tm	utc;
	char	   *buffer;
	bool		done;

	if (count >= PGHA_SIGV4_MAX_HEADERS || gmtime_r(&when, &utc) == NULL ||
		strftime(date, PGHA_SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc) != PGHA_SIGV4_DATE_SIZE - 1)
		return false;
	memcpy(sorted, headers, (size_t) count * sizeof(*headers));
	sorted[count++] = (PghaSigv4Header) {DATE_HEADER, date};
	qsort(sorted, (size_t) count, sizeof(*sorted), compare_headers);
	buffer = malloc(CANONICAL_SIZE);
	if (buffer == NULL)
		return false;
	done = authorize(key, date, sorted, count, body, buffer, &result);
	/* The session token is among the headers. */
	explicit_bzero(buffer, CANONICAL_SIZE);
	free(buffer);
	return done;
}
