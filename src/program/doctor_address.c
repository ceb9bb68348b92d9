/*
 * doctor_address.c
 *		Checks of `pgha doctor -D` on pgha.address, where EC2 moves it: would this
 *		host get the address, if its server were promoted now?
 *
 * The metadata service is asked for what taking the address needs, and EC2 with
 * DryRun whether it would do it: nothing is changed.  Each finding needs the
 * one before it, so the first that fails ends the list.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "../net/address_ec2.h"

static const char metadata_remedy[] =
"Run it on an EC2 instance with the metadata service on (HttpEndpoint=enabled), version 2; in a container its hop limit must be 2: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2.";

static const char permission_remedy[] =
"Give the instance's role the policy for this kind of address (examples/aws), and do what the finding says.";

/* May this host stop an instance?  Its own one stands for the others, which the same policy names. */
static void
ask_fence(PghaEc2 *ec2, json_t *findings)
{
	char		instance[64];
	char		text[512];

	if (!pgha_ec2_instance(ec2, instance, sizeof(instance), text, sizeof(text)))
		pgha_finding(findings, "error", "host_fence_permission", metadata_remedy, "%s", text);
	else if (!pgha_ec2_may_stop(ec2, instance, text, sizeof(text)))
		pgha_finding(findings, "error", "host_fence_permission",
					 "Give the instance's role examples/aws/fence-stop.json with the instances of all nodes; without it a silent primary is never replaced.",
					 "%s", text);
	else
		pgha_finding(findings, "ok", "host_fence_permission", NULL, "%s", text);
}

static void
ask_ec2(PghaEc2 *ec2, const PghaAddressSpec *spec, json_t *findings)
{
	char		instance[64];
	char		text[512];

	if (!pgha_ec2_instance(ec2, instance, sizeof(instance), text, sizeof(text)))
	{
		pgha_finding(findings, "error", "host_address_metadata", metadata_remedy, "%s", text);
		return;
	}
	pgha_finding(findings, "ok", "host_address_metadata", NULL, "this is instance %s", instance);

	if (!pgha_ec2_prepare(ec2, spec, text, sizeof(text)))
	{
		pgha_finding(findings, "error", "host_address_network",
					 "A secondary address must be in the subnet of an interface of every node; across subnets use ec2-elastic or ec2-route. Credentials come from the instance's role or the usual AWS settings.",
					 "%s", text);
		return;
	}
	pgha_finding(findings, "ok", "host_address_network", NULL, "an interface for it and credentials are there");

	if (!pgha_ec2_may(ec2, spec, text, sizeof(text)))
		pgha_finding(findings, "error", "host_address_permission", permission_remedy, "%s", text);
	else if (strstr(text, "clock") != NULL)
		pgha_finding(findings, "warning", "host_address_permission", "Let chrony or systemd-timesyncd set the clock.", "%s", text);
	else
		pgha_finding(findings, "ok", "host_address_permission", NULL, "%s", text);
}

void
pgha_doctor_address(const PghaAgentConf *conf, json_t *findings)
{
	PghaEc2Options options = {
		.endpoint = conf->ec2_endpoint, .imds_endpoint = conf->imds_endpoint, .region = "", .profile = ""
	};
	bool		by_ec2 = conf->address_spec.kind != PGHA_ADDRESS_NONE && conf->address_spec.kind != PGHA_ADDRESS_LOCAL;
	PghaEc2    *ec2;

	pgha_finding(findings, "ok", "host_address", NULL, "%s", conf->address[0] != '\0' ? conf->address : "pgha.address is empty");
	if (!by_ec2 && !conf->fence_by_ec2)
		return;
	ec2 = pgha_ec2_new(&options);
	if (ec2 == NULL)
		pgha_finding(findings, "error", "host_address", "Try again.", "out of memory");
	if (ec2 != NULL && by_ec2)
		ask_ec2(ec2, &conf->address_spec, findings);
	if (ec2 != NULL && conf->fence_by_ec2)
		ask_fence(ec2, findings);
	pgha_ec2_free(ec2);
}
