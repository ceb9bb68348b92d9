/*
 * doctor_address.c
 *		Checks of `pgha doctor -D` on pgha.address, where EC2 moves it: would this
 *		host get the address, if its server were promoted now?
 *
 * The metadata service is asked for what taking the address needs, and EC2 with
 * DryRun whether it would do it: nothing is changed.  Each finding needs the
 * one before it, so the first that fails ends the list.
 */
#include "doctor_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/extension.h"
#include "../net/address_ec2.h"
#include "../net/ec2_stop.h"
#include "../net/member.h"
#include "finding.h"

static const char metadata_remedy[] =
"Run it on an EC2 instance with the metadata service on (HttpEndpoint=enabled), version 2; in a container its hop limit must be 2: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2.";

static const char permission_remedy[] =
"Give the instance's role the policy for this kind of address (examples/aws), and do what the finding says.";

/* The instances of the other members that the own server knows, "i-1 i-2"; NULL if it cannot be asked. */
static char *
other_instances(const PghaAgentConf *conf)
{
	char		error[512];
	char		query[600];
	PGconn	   *conn = pgha_member_connect(conf->conninfo, &conf->members.member[conf->self], NULL, error, sizeof(error));
	char	   *schema = conn != NULL ? pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error)) : NULL;
	char	   *instances = NULL;

	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query),
						"SELECT coalesce(string_agg(instance, ' '), '') FROM %s.pgha_cluster() WHERE node <> $1", schema);
		instances = pgha_member_query(conn, query, conf->members.member[conf->self].name, error, sizeof(error));
	}
	free(schema);
	PQfinish(conn);
	return instances;
}

/* May this host stop the instances of the others? */
static void
ask_fence(PghaEc2 *ec2, const PghaAgentConf *conf, json_t *findings)
{
	char	   *instances = other_instances(conf);
	char	   *rest = instances;
	char	   *instance;
	int			count = 0;
	char		text[512];

	while ((instance = strsep(&rest, " ")) != NULL)
	{
		if (*instance == '\0')
			continue;
		count++;
		if (pgha_ec2_may_stop(ec2, instance, text, sizeof(text)))
			pgha_finding(findings, "ok", "host_fence_permission", NULL, "%s", text);
		else
			pgha_finding(findings, "error", "host_fence_permission",
						 "Give the instance's role examples/aws/fence-stop.json with the instances of all nodes; without it a silent primary is never replaced.",
						 "%s", text);
	}
	free(instances);
	if (count == 0)
		pgha_finding(findings, "warning", "host_fence_permission",
					 "Start the servers and agents of all nodes, and look again: agents tell their instances.",
					 "no other member's instance is known, so that none could be stopped");
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
		.endpoint = conf->ec2_endpoint, .imds_endpoint = conf->imds_endpoint, .insecure = conf->ec2_insecure,
		.region = "", .profile = ""
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
		ask_fence(ec2, conf, findings);
	pgha_ec2_free(ec2);
}
