/*
 * ec2_stop.c
 *		Stopping another instance, so that a former primary no longer runs.
 *
 * By force: a guest that does not answer cannot be asked to shut down.  For the
 * agent's process that fences, and for `pgha doctor`, which only asks whether EC2
 * would.  Never this instance.
 */
#include "ec2_stop.h"

#include <stdio.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/errors.h"

#define STATE_INTERVAL_MS	1000

/* Its state: "running", "stopped", …; false if EC2 does not say. */
static bool
instance_state(PghaEc2 *ec2, const char *instance_id, int limit_ms, char *state, size_t size,
			   char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	PghaXml		item;

	pgha_ec2_form(&form, "DescribeInstanceStatus");
	pgha_ec2_form_add(&form, "InstanceId.1", instance_id);
	pgha_ec2_form_add(&form, "IncludeAllInstances", "true");
	if (!pgha_ec2_ask(ec2, &form, limit_ms < PGHA_EC2_QUESTION_MS ? limit_ms : PGHA_EC2_QUESTION_MS, &reply, error, error_size))
		return false;
	if (!pgha_xml_find(&reply.body, "instanceStatusSet", &item, NULL) ||
		!pgha_xml_text(&item, "instanceId", state, size) || strcmp(state, instance_id) != 0 ||
		!pgha_xml_find(&item, "instanceState", &item, NULL) ||
		!pgha_xml_text(&item, "name", state, size))
		return pgha_fail(error, error_size, "EC2 does not tell the state of %s", instance_id);
	return true;
}

static bool
await_stopped(PghaEc2 *ec2, const char *instance_id, int64_t deadline,
			  char *error, size_t error_size)
{
	char		state[PGHA_EC2_ID_SIZE] = "unknown";
	char		now[PGHA_EC2_ID_SIZE];

	for (;;)
	{
		int64_t		left = deadline - pgha_clock_ms();

		if (left <= 0)
			return pgha_fail(error, error_size, "the instance %s is not stopped yet (state %s)",
							 instance_id, state);
		/* One question that gets no answer: what was known last is told. */
		if (instance_state(ec2, instance_id, (int) left, now, sizeof(now), error, error_size))
			(void) snprintf(state, sizeof(state), "%s", now);
		if (strcmp(state, "stopped") == 0 || strcmp(state, "terminated") == 0)
			return true;
		pgha_http_pause(left < STATE_INTERVAL_MS ? (int) left : STATE_INTERVAL_MS);
	}
}

static void
stop_form(PghaEc2Form *form, const char *instance_id)
{
	pgha_ec2_form(form, "StopInstances");
	pgha_ec2_form_add(form, "InstanceId.1", instance_id);
	pgha_ec2_form_add(form, "Force", "true");
}

/* Another one's, that is. */
static bool
valid_instance(PghaEc2 *ec2, const char *instance_id, char *error, size_t error_size)
{
	if (strncmp(instance_id, "i-", 2) != 0 || instance_id[2] == '\0' ||
		strspn(instance_id + 2, "0123456789abcdef") != strlen(instance_id + 2))
		return pgha_fail(error, error_size, "\"%s\" is not an instance id", instance_id);
	if (!pgha_ec2_know(ec2, error, error_size))
		return false;
	if (strcmp(instance_id, ec2->instance) == 0)
		return pgha_fail(error, error_size, "%s is this instance itself", instance_id);
	return true;
}

bool
pgha_ec2_stop_instance(PghaEc2 *ec2, const char *instance_id, int limit_ms,
					   char *error, size_t error_size)
{
	int64_t		deadline = pgha_clock_ms() + limit_ms;
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		state[PGHA_EC2_ID_SIZE];

	if (!valid_instance(ec2, instance_id, error, error_size))
		return false;
	stop_form(&form, instance_id);
	if (ec2->dry_run)
	{
		pgha_ec2_form_add(&form, "DryRun", "true");
		return pgha_ec2_ask(ec2, &form, limit_ms, &reply, error, error_size);
	}
	if (pgha_ec2_ask(ec2, &form, limit_ms, &reply, error, error_size))
		return await_stopped(ec2, instance_id, deadline, error, error_size);
	/* An instance that is gone cannot be stopped any more. */
	return strcmp(reply.code, "IncorrectInstanceState") == 0 &&
		instance_state(ec2, instance_id, PGHA_EC2_QUESTION_MS, state, sizeof(state), error, error_size) &&
		strcmp(state, "terminated") == 0;
}

bool
pgha_ec2_may_stop(PghaEc2 *ec2, const char *instance_id, char *finding, size_t finding_size)
{
	PghaEc2Form form;
	char		state[PGHA_EC2_ID_SIZE];

	if (!valid_instance(ec2, instance_id, finding, finding_size))
		return false;
	stop_form(&form, instance_id);
	if (!pgha_ec2_allows(ec2, &form, finding, finding_size) ||
		!instance_state(ec2, instance_id, PGHA_EC2_QUESTION_MS, state, sizeof(state), finding, finding_size))
		return false;
	(void) snprintf(finding, finding_size, "EC2 allows to stop %s (state %s)", instance_id, state);
	return true;
}
