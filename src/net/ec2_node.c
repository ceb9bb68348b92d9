/*
 * ec2_node.c
 *		This instance as EC2 knows it, and questions to EC2 in its name.
 *
 * All that identifies this node (instance, network interfaces and their subnets,
 * region) comes from the metadata service, is read before it is needed, and
 * hardly ever changes; so an order to EC2 is one request, and needs no permission
 * to describe anything.  For what moves addresses (address_ec2.c) and stops
 * instances (ec2_stop.c); nothing is changed on EC2 from here but by what they ask.
 */
#include "ec2_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "cidr.h"

#define ERROR_SIZE			PGHA_EC2_ERROR_SIZE

/* What comes from the metadata service is read again after that time. */
#define FRESH_MS			300000
/* If that failed, what is known is used for that long before the next try. */
#define FRESH_RETRY_MS		15000

/* ---- creation ---- */

static void
copy_option(char *copy, size_t size, const char *value)
{
	(void) snprintf(copy, size, "%s", value != NULL ? value : "");
}

PghaEc2 *
pgha_ec2_new(const PghaEc2Options *options)
{
	PghaEc2    *ec2 = calloc(1, sizeof(*ec2));

	if (ec2 == NULL)
		return NULL;
	copy_option(ec2->endpoint, sizeof(ec2->endpoint), options->endpoint);
	copy_option(ec2->region, sizeof(ec2->region), options->region);
	copy_option(ec2->profile, sizeof(ec2->profile), options->profile);
	ec2->dry_run = options->dry_run;
	ec2->log = options->log;
	ec2->imds = pgha_imds_new(options->imds_endpoint);
	ec2->api.http = pgha_http_new();
	ec2->api.log = options->log;
	ec2->api.insecure = options->insecure;
	if (ec2->imds == NULL || ec2->api.http == NULL)
	{
		pgha_ec2_free(ec2);
		return NULL;
	}
	pgha_credentials_init(&ec2->api.credentials, ec2->profile, ec2->imds);
	return ec2;
}

void
pgha_ec2_free(PghaEc2 *ec2)
{
	if (ec2 == NULL)
		return;
	pgha_credentials_clear(&ec2->api.credentials);
	pgha_http_free(ec2->api.http);
	pgha_imds_free(ec2->imds);
	free(ec2);
}

/* ---- what is known of this node ---- */

static int
compare_interfaces(const void *a, const void *b)
{
	const PghaEc2Interface *left = a;
	const PghaEc2Interface *right = b;

	return (left->device > right->device) - (left->device < right->device);
}

/* A word of the interface with that MAC; `item` may be absent if it says so. */
static bool
interface_item(PghaEc2 *ec2, const char *mac, const char *item, bool optional,
			   char *value, size_t size, char *error, size_t error_size)
{
	char		path[128];

	(void) snprintf(path, sizeof(path), "network/interfaces/macs/%.17s/%s", mac, item);
	switch (pgha_imds_word(ec2->imds, path, value, size, error, error_size))
	{
		case PGHA_IMDS_OK:
			return true;
		case PGHA_IMDS_ABSENT:
			value[0] = '\0';
			return optional;
		default:
			return false;
	}
}

static bool
read_interface(PghaEc2 *ec2, PghaEc2Interface *interface, char *error, size_t error_size)
{
	char		device[16];

	if (!interface_item(ec2, interface->mac, "interface-id", false, interface->id,
						sizeof(interface->id), error, error_size) ||
		!interface_item(ec2, interface->mac, "device-number", true, device,
						sizeof(device), error, error_size) ||
		!interface_item(ec2, interface->mac, "subnet-ipv4-cidr-block", true, interface->subnet,
						sizeof(interface->subnet), error, error_size))
		return false;
	interface->device = (unsigned) strtoul(device, NULL, 10);
	return true;
}

static bool
read_interfaces(PghaEc2 *ec2, char *error, size_t error_size)
{
	PghaEc2Interface interface[PGHA_EC2_MAX_INTERFACES];
	const char *list;
	int			count = 0;

	memset(interface, 0, sizeof(interface));
	if (pgha_imds_get(ec2->imds, "network/interfaces/macs/", &list, error, error_size) != PGHA_IMDS_OK)
		return false;
	/* The list is gone with the next question. */
	while (count < PGHA_EC2_MAX_INTERFACES &&
		   pgha_imds_next(&list, interface[count].mac, sizeof(interface[count].mac)))
		count++;
	if (count == 0)
		return pgha_fail(error, error_size,
						 "the instance metadata service knows no network interface");
	for (int i = 0; i < count; i++)
	{
		if (!read_interface(ec2, &interface[i], error, error_size))
			return false;
	}
	qsort(interface, (size_t) count, sizeof(*interface), compare_interfaces);
	memcpy(ec2->interface, interface, sizeof(interface));
	ec2->interfaces = count;
	return true;
}

/* Region: settings, environment, profile, metadata. */
static bool
find_region(PghaEc2 *ec2, char *region, size_t size, char *error, size_t error_size)
{
	const char *const variables[] = {getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")};

	if (ec2->region[0] != '\0')
		return snprintf(region, size, "%s", ec2->region) > 0;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
	{
		if (variables[i] != NULL && variables[i][0] != '\0')
			return snprintf(region, size, "%s", variables[i]) > 0;
	}
	return pgha_profile_region(ec2->profile, region, size) ||
		pgha_imds_word(ec2->imds, "placement/region", region, size, error, error_size) == PGHA_IMDS_OK;
}

bool
pgha_ec2_find_endpoint(PghaEc2 *ec2, char *error, size_t error_size)
{
	char		region[PGHA_EC2_ID_SIZE];
	char		domain[PGHA_EC2_ID_SIZE];
	char		url[256];
	char		ignored[ERROR_SIZE];

	if (ec2->api.url[0] != '\0')
		return true;
	if (!find_region(ec2, region, sizeof(region), error, error_size))
		return false;
	if (strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
		return pgha_fail(error, error_size, "\"%s\" is not the name of an AWS region", region);
	if (ec2->endpoint[0] != '\0')
		return pgha_ec2_api_endpoint(&ec2->api, ec2->endpoint, region, error, error_size);
	if (pgha_imds_word(ec2->imds, "services/domain", domain, sizeof(domain),
					   ignored, sizeof(ignored)) != PGHA_IMDS_OK)
		(void) snprintf(domain, sizeof(domain), "%s",
						strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com");
	(void) snprintf(url, sizeof(url), "https://ec2.%s.%s/", region, domain);
	return pgha_ec2_api_endpoint(&ec2->api, url, region, error, error_size);
}

static bool
read_identity(PghaEc2 *ec2, char *error, size_t error_size)
{
	char		instance[PGHA_EC2_ID_SIZE];

	if (pgha_imds_word(ec2->imds, "instance-id", instance, sizeof(instance),
					   error, error_size) != PGHA_IMDS_OK ||
		!read_interfaces(ec2, error, error_size))
		return false;
	memcpy(ec2->instance, instance, sizeof(instance));
	return true;
}

bool
pgha_ec2_know(PghaEc2 *ec2, char *error, size_t error_size)
{
	int64_t		now = pgha_clock_ms();

	if (now < ec2->fresh_until)
		return true;
	if (read_identity(ec2, error, error_size))
		ec2->fresh_until = now + FRESH_MS;
	else if (ec2->fresh_until == 0)
		return false;
	else
		ec2->fresh_until = now + FRESH_RETRY_MS;
	return true;
}

/* MAC address of an interface of this host, "" if there is none. */
static void
system_mac(const char *name, char *mac, size_t size)
{
	char		path[64];
	FILE	   *file;

	mac[0] = '\0';
	(void) snprintf(path, sizeof(path), "/sys/class/net/%s/address", name);
	if (*name == '\0' || strchr(name, '/') != NULL || (file = fopen(path, "re")) == NULL)
		return;
	if (fgets(mac, (int) size, file) == NULL)
		mac[0] = '\0';
	(void) fclose(file);
	mac[strcspn(mac, "\n")] = '\0';
}

const PghaEc2Interface *
pgha_ec2_find_interface(const PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	const PghaEc2Interface *first = NULL;
	char		mac[32];

	if (spec->kind == PGHA_ADDRESS_EC2 && spec->family != AF_INET)
	{
		(void) pgha_fail(error, error_size,
						 "EC2 cannot move the IPv6 address %s from one network interface to another "
						 "in one step: use an IPv4 address", spec->ip);
		return NULL;
	}
	system_mac(spec->interface, mac, sizeof(mac));
	for (int i = 0; i < ec2->interfaces; i++)
	{
		const PghaEc2Interface *interface = &ec2->interface[i];

		if (spec->kind == PGHA_ADDRESS_EC2 && !pgha_cidr_contains(interface->subnet, spec->ip))
			continue;
		if (strcasecmp(interface->mac, mac) == 0)
			return interface;
		if (first == NULL)
			first = interface;
	}
	if (first == NULL)
		(void) pgha_fail(error, error_size,
						 "no network interface of this instance is in a subnet that contains %s (the "
						 "first one is in %s): a secondary address cannot leave its subnet", spec->ip,
						 ec2->interfaces > 0 ? ec2->interface[0].subnet : "none");
	return first;
}

const PghaEc2Interface *
pgha_ec2_interface(PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	if (!pgha_ec2_know(ec2, error, error_size))
		return NULL;
	return pgha_ec2_find_interface(ec2, spec, error, error_size);
}

bool
pgha_ec2_instance(PghaEc2 *ec2, char *instance_id, size_t size, char *error, size_t error_size)
{
	if (!pgha_ec2_know(ec2, error, error_size))
		return false;
	if (snprintf(instance_id, size, "%s", ec2->instance) < (int) size)
		return true;
	return pgha_fail(error, error_size, "the instance id is too long");
}

PghaHolder
pgha_ec2_lists(PghaEc2 *ec2, const PghaEc2Interface *interface, const char *list, const char *word,
			   char *error, size_t error_size)
{
	char		path[128];
	char		line[PGHA_EC2_ID_SIZE];
	const char *text;

	(void) snprintf(path, sizeof(path), "network/interfaces/macs/%s/%s", interface->mac, list);
	switch (pgha_imds_get(ec2->imds, path, &text, error, error_size))
	{
		case PGHA_IMDS_OK:
			break;
		case PGHA_IMDS_ABSENT:
			text = "";
			break;
		case PGHA_IMDS_FAILED:
			return PGHA_HOLDER_UNKNOWN;
	}
	while (pgha_imds_next(&text, line, sizeof(line)))
	{
		if (strcmp(line, word) == 0)
			return PGHA_HELD;
	}
	(void) pgha_fail(error, error_size, "%s is not on %s", word, interface->id);
	return PGHA_NOT_HELD;
}

/* ---- requests ---- */

static PghaEc2Guard
within(int limit_ms)
{
	return (PghaEc2Guard) {.deadline = pgha_clock_ms() + limit_ms};
}

bool
pgha_ec2_ask(PghaEc2 *ec2, const PghaEc2Form *form, int limit_ms, PghaEc2Reply *reply,
			 char *error, size_t error_size)
{
	PghaEc2Guard guard = within(limit_ms);

	memset(reply, 0, sizeof(*reply));
	if (!pgha_ec2_find_endpoint(ec2, error, error_size))
		return false;
	for (int tries = 0;; tries++)
	{
		int			pause = pgha_ec2_backoff_ms(tries);

		pgha_ec2_api_call(&ec2->api, form, &guard, reply);
		/* That time is up says less than why it took so long. */
		if (!reply->late || tries == 0)
			(void) pgha_fail(error, error_size, "%s", reply->error);
		if (reply->outcome != PGHA_EC2_AGAIN || pgha_clock_ms() + pause >= guard.deadline)
			break;
		pgha_http_pause(pause);
	}
	return reply->outcome == PGHA_EC2_DONE;
}

bool
pgha_ec2_allows(PghaEc2 *ec2, PghaEc2Form *form, char *finding, size_t finding_size)
{
	PghaEc2Reply reply;

	pgha_ec2_form_add(form, "DryRun", "true");
	if (pgha_ec2_ask(ec2, form, PGHA_EC2_QUESTION_MS, &reply, finding, finding_size))
		return true;
	if (strcmp(reply.code, "UnauthorizedOperation") == 0)
		return pgha_fail(finding, finding_size,
						 "EC2 does not allow ec2:%s: give it to the role of this instance",
						 form->action);
	return false;
}
