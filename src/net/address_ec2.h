/*
 * address_ec2.h
 *		The three kinds of address that EC2 moves: secondary private address,
 *		Elastic IP address, route.
 *
 * Everything blocks, within limits, and belongs to one thread.  The program must
 * ignore SIGPIPE.  Functions that can fail leave a sentence in `error` that names
 * the cause and, where it is known, the way out; no key, token or signature is
 * ever in it, nor in what is logged.
 */
#ifndef PGHA_ADDRESS_EC2_H
#define PGHA_ADDRESS_EC2_H

#include "../common/address_spec.h"

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

/* What is known ahead of need: region, domain, interfaces and their subnets, credentials. */
typedef struct PghaEc2 PghaEc2;

/* Copies the options (NULL counts as ""); reads nothing yet.  NULL: out of memory. */
extern PghaEc2 *pgha_ec2_new(const PghaEc2Options *options);
extern void pgha_ec2_free(PghaEc2 *ec2);

/*
 * Reads or refreshes what take() needs, so that it costs one API call (one a
 * route table).  Cheap while all of it is fresh: call it every few seconds.
 * False if take() would fail now.
 */
extern bool pgha_ec2_prepare(PghaEc2 *ec2, const PghaAddressSpec *spec,
							 char *error, size_t error_size);

/*
 * Takes the address, whoever has it.  Idempotent.  Repeats what may succeed
 * later until limit_ms; before each request asks still_leader(arg), and gives up
 * if it says no (NULL: never asks).  A request lasts 3 s at most: still_leader
 * must say no when leadership does not last that long.  PGHA_ADDRESS_EC2: true
 * only once the metadata service shows the address.
 */
extern bool pgha_ec2_take(PghaEc2 *ec2, const PghaAddressSpec *spec, int limit_ms,
						  bool (*still_leader) (void *), void *arg,
						  char *error, size_t error_size);

/*
 * Gives up what is this node's, and only that: the secondary address on its own
 * interface; the association of the Elastic IP address that it was given; of a
 * route nothing, as the next owner replaces it.  True if there was nothing to
 * give up.
 */
extern bool pgha_ec2_release(PghaEc2 *ec2, const PghaAddressSpec *spec,
							 char *error, size_t error_size);

typedef enum
{
	PGHA_HELD,
	PGHA_NOT_HELD,
	PGHA_HOLDER_UNKNOWN			/* could not ask; `error` says why */
} PghaHolder;

/*
 * Does this node have the address?  Asks the metadata service where that knows
 * (seconds behind at times), else EC2.  PGHA_NOT_HELD comes with a sentence too.
 */
extern PghaHolder pgha_ec2_check(PghaEc2 *ec2, const PghaAddressSpec *spec,
								 char *error, size_t error_size);

/* MAC address of the network interface that gets the address: "0e:12:…", lower-case. */
extern bool pgha_ec2_mac(PghaEc2 *ec2, const PghaAddressSpec *spec, char *mac, size_t size);

/* This host's instance id. */
extern bool pgha_ec2_instance(PghaEc2 *ec2, char *instance_id, size_t size,
							  char *error, size_t error_size);

/*
 * Stops another instance by force and waits until EC2 says that it is stopped.
 * Only then true: it no longer runs.
 */
extern bool pgha_ec2_stop_instance(PghaEc2 *ec2, const char *instance_id, int limit_ms,
								   char *error, size_t error_size);

/*
 * For `pgha doctor`: would EC2 allow what the address (or stopping the instance)
 * needs?  Asks with DryRun.  `finding` is a sentence either way.
 */
extern bool pgha_ec2_may(PghaEc2 *ec2, const PghaAddressSpec *spec,
						 char *finding, size_t finding_size);
extern bool pgha_ec2_may_stop(PghaEc2 *ec2, const char *instance_id,
							  char *finding, size_t finding_size);

#endif							/* PGHA_ADDRESS_EC2_H */
