/*
 * ec2.h
 *		Requests to the EC2 query API: encoded, signed, sent, and what came of them.
 */
#ifndef PGHA_EC2_H
#define PGHA_EC2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "credentials.h"
#include "http.h"
#include "xml.h"

typedef void (*PghaEc2Log) (const char *format,...) __attribute__((format(printf, 1, 2)));

/* An action and its parameters, urlencoded. */
typedef struct PghaEc2Form
{
	char		action[64];
	char		text[4096];
	size_t		length;
	bool		overflow;
} PghaEc2Form;

typedef struct PghaEc2Api
{
	PghaHttp   *http;
	PghaCredentialStore credentials;
	PghaEc2Log	log;			/* may be NULL */
	char		url[300];		/* empty: pgha_ec2_api_endpoint() was not called yet */
	char		host[256];		/* as in the Host header */
	char		region[64];
	bool		insecure;		/* http:// is allowed */
	int64_t		clock_offset;	/* seconds that EC2's clock is ahead of ours */
} PghaEc2Api;

/* Until when, and as long as what, requests may be sent. */
typedef struct PghaEc2Guard
{
	int64_t		deadline;		/* of pgha_clock_ms() */
	bool		(*still_leader) (void *);	/* asked before each request; may be NULL */
	void	   *arg;
} PghaEc2Guard;

typedef enum PghaEc2Outcome
{
	PGHA_EC2_DONE,				/* or, with DryRun, would be */
	PGHA_EC2_AGAIN,				/* may have happened or not; the same request may succeed later */
	PGHA_EC2_REFUSED			/* and will be again; also: not sent */
} PghaEc2Outcome;

#define PGHA_EC2_ERROR_SIZE	512

typedef struct PghaEc2Reply
{
	PghaEc2Outcome outcome;
	bool		late;			/* not sent, as no time was left */
	char		code[64];		/* EC2's error code, empty if it gave none */
	char		error[PGHA_EC2_ERROR_SIZE]; /* a sentence unless DONE */
	PghaXml		body;			/* if DONE; valid until the next request */
} PghaEc2Reply;

extern void pgha_ec2_form(PghaEc2Form *form, const char *action);
extern void pgha_ec2_form_add(PghaEc2Form *form, const char *name, const char *value);

/* False with a sentence if the URL is no "https://host[:port]" or "http://…". */
extern bool pgha_ec2_api_endpoint(PghaEc2Api *api, const char *url, const char *region,
								  char *error, size_t error_size);

/*
 * Sends the request once; again at once, and at most once for each reason, if
 * our clock or our credentials were the matter and that could be mended.
 */
extern void pgha_ec2_api_call(PghaEc2Api *api, const PghaEc2Form *form,
							  const PghaEc2Guard *guard, PghaEc2Reply *reply);

/* How long to wait before the next of several tries: grows, with jitter. */
extern int	pgha_ec2_backoff_ms(int tries);

/*
 * What an error answer says.  `code` and `message` are empty if it is none.
 * For the fuzzer as well as for pgha_ec2_api_call().
 */
extern void pgha_ec2_parse_error(const char *body, size_t length, char *code, size_t code_size,
								 char *message, size_t message_size);

#endif							/* PGHA_EC2_H */
