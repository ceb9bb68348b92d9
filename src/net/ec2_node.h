/*
 * ec2_node.h
 *		This instance as EC2 knows it, and questions to EC2 in its name.
 *
 * Everything blocks, within limits, and belongs to one thread.  The program must
 * ignore SIGPIPE.  Functions that can fail leave a sentence in `error` that names
 * the cause and, where it is known, the way out; no key, token or signature is
 * ever in it, nor in what is logged.
 */
#ifndef PGHA_EC2_NODE_H
#define PGHA_EC2_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/address_spec.h"
#include "ec2.h"
#include "imds.h"

#define PGHA_EC2_MAX_INTERFACES	16
#define PGHA_EC2_ID_SIZE		64

/* Limit of a question that has none given by the caller, credentials and clock mended once included. */
#define PGHA_EC2_QUESTION_MS	5000

typedef struct PghaEc2Options
{
	const char *endpoint;		/* "": from region and partition */
	const char *imds_endpoint;	/* "": http://169.254.169.254 */
	const char *region;			/* "": AWS_REGION, AWS_DEFAULT_REGION, profile, metadata */
	const char *profile;		/* of the shared credentials file; "": AWS_PROFILE, "default" */
	bool		insecure;		/* the endpoint may be http:// */
	bool		dry_run;		/* ask EC2 whether it would, change nothing */
	void		(*log) (const char *format,...) __attribute__((format(printf, 1, 2)));	/* may be NULL */
} PghaEc2Options;

typedef struct PghaEc2Interface
{
	char		mac[18];		/* as the metadata service writes it */
	char		id[PGHA_EC2_ID_SIZE];
	char		subnet[PGHA_EC2_ID_SIZE];	/* "10.0.3.0/24"; empty: no IPv4 */
	unsigned	device;
} PghaEc2Interface;

/* What is known ahead of need: region, domain, interfaces and their subnets, credentials. */
typedef struct PghaEc2
{
	char		endpoint[256];	/* empty: from region and partition */
	char		region[PGHA_EC2_ID_SIZE];	/* empty: to be found */
	char		profile[128];
	bool		dry_run;
	PghaEc2Log	log;

	PghaImds   *imds;
	PghaEc2Api	api;

	/* From the metadata service; fresh_until is 0 while nothing is known. */
	int64_t		fresh_until;
	char		instance[PGHA_EC2_ID_SIZE];
	int			interfaces;
	PghaEc2Interface interface[PGHA_EC2_MAX_INTERFACES];	/* by device number */

	/* Of the Elastic IP address last dealt with. */
	char		allocation[PGHA_EC2_ID_SIZE];
	char		association[PGHA_EC2_ID_SIZE];	/* that we were given; empty: none, or not known */
	char		public_ip[PGHA_EC2_ID_SIZE];	/* empty: not known */
} PghaEc2;

/* Copies the options (NULL counts as ""); reads nothing yet.  NULL: out of memory. */
extern PghaEc2 *pgha_ec2_new(const PghaEc2Options *options);
extern void pgha_ec2_free(PghaEc2 *ec2);

/* This host's instance id. */
extern bool pgha_ec2_instance(PghaEc2 *ec2, char *instance_id, size_t size,
							  char *error, size_t error_size);

/*
 * The instance and its interfaces.  What was read once serves on if it cannot be
 * read again.
 */
extern bool pgha_ec2_know(PghaEc2 *ec2, char *error, size_t error_size);

/*
 * The interface that gets the address, of those known: the named one if it is
 * EC2's (it may be "lo"), else the first one; a secondary address needs one in its
 * own subnet.
 */
extern const PghaEc2Interface *pgha_ec2_find_interface(const PghaEc2 *ec2, const PghaAddressSpec *spec,
													   char *error, size_t error_size);

/* The same, after reading them if need be. */
extern const PghaEc2Interface *pgha_ec2_interface(PghaEc2 *ec2, const PghaAddressSpec *spec,
												  char *error, size_t error_size);

/* Sets the API's endpoint, once. */
extern bool pgha_ec2_find_endpoint(PghaEc2 *ec2, char *error, size_t error_size);

/* One question or order without conditions, tried again until the limit. */
extern bool pgha_ec2_ask(PghaEc2 *ec2, const PghaEc2Form *form, int limit_ms, PghaEc2Reply *reply,
						 char *error, size_t error_size);

/* Would EC2 do it?  Asks with DryRun, which is added to the form. */
extern bool pgha_ec2_allows(PghaEc2 *ec2, PghaEc2Form *form, char *finding, size_t finding_size);

typedef enum
{
	PGHA_HELD,
	PGHA_NOT_HELD,
	PGHA_HOLDER_UNKNOWN			/* could not ask; `error` says why */
} PghaHolder;

/* Is `word` a line of that list of the interface, as the metadata service has it? */
extern PghaHolder pgha_ec2_lists(PghaEc2 *ec2, const PghaEc2Interface *interface, const char *list,
								 const char *word, char *error, size_t error_size);

#endif							/* PGHA_EC2_NODE_H */
