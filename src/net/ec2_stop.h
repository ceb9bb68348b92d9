/*
 * ec2_stop.h
 *		Stopping another instance, so that a former primary no longer runs.
 */
#ifndef PGHA_EC2_STOP_H
#define PGHA_EC2_STOP_H

#include "ec2_node.h"

/*
 * Stops another instance by force and waits until EC2 says that it is stopped.
 * Only then true: it no longer runs.
 */
extern bool pgha_ec2_stop_instance(PghaEc2 *ec2, const char *instance_id, int limit_ms,
								   char *error, size_t error_size);

/* For `pgha doctor`: would EC2 allow it?  `finding` is a sentence either way. */
extern bool pgha_ec2_may_stop(PghaEc2 *ec2, const char *instance_id,
							  char *finding, size_t finding_size);

#endif							/* PGHA_EC2_STOP_H */
