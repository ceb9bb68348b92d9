/*
 * address_ec2.h
 *		The three kinds of address that EC2 moves: secondary private address,
 *		Elastic IP address, route.
 *
 * What holds for all of it (limits, errors) is said in ec2_node.h.
 */
#ifndef PGHA_ADDRESS_EC2_H
#define PGHA_ADDRESS_EC2_H

#include "ec2_node.h"

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

/*
 * Does this node have the address?  Asks the metadata service where that knows
 * (seconds behind at times), else EC2.  PGHA_NOT_HELD comes with a sentence too.
 */
extern PghaHolder pgha_ec2_check(PghaEc2 *ec2, const PghaAddressSpec *spec,
								 char *error, size_t error_size);

/* MAC address of the network interface that gets the address: "0e:12:…", lower-case. */
extern bool pgha_ec2_mac(PghaEc2 *ec2, const PghaAddressSpec *spec, char *mac, size_t size);

/*
 * For `pgha doctor`: would EC2 allow what the address needs?  Asks with DryRun.
 * `finding` is a sentence either way.
 */
extern bool pgha_ec2_may(PghaEc2 *ec2, const PghaAddressSpec *spec,
						 char *finding, size_t finding_size);

#endif							/* PGHA_ADDRESS_EC2_H */
