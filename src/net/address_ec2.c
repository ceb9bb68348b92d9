/*
 * address_ec2.c
 *		The three kinds of address that EC2 moves: secondary private address,
 *		Elastic IP address, route.
 *
 * What EC2 does with them, as far as it matters here:
 *
 *		secondary address	belongs to a network interface of its own subnet.
 *							AssignPrivateIpAddresses with AllowReassignment takes it
 *							from whoever has it, some time after it has answered;
 *							the metadata service tells when.
 *		Elastic IP			AssociateAddress with AllowReassociation; each
 *							association has an id of its own, so that giving up the
 *							one that we were given cannot hurt the next owner.
 *		route				ReplaceRoute in each table; a table that has no such
 *							route yet gets it by CreateRoute.
 *
 * All that identifies this node (instance, network interfaces and their subnets,
 * region) comes from the metadata service, is read before it is needed, and
 * hardly ever changes; so taking an address is one request, and needs no
 * permission to describe anything.
 */
#include "address_ec2.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "cidr.h"
#include "ec2.h"
#include "imds.h"

#define MAX_INTERFACES		16
#define ID_SIZE				64
#define ERROR_SIZE			PGHA_EC2_ERROR_SIZE

/* What comes from the metadata service is read again after that time. */
#define FRESH_MS			300000
/* If that failed, what is known is used for that long before the next try. */
#define FRESH_RETRY_MS		15000

/* Limits of what has none given by the caller, credentials and clock mended once included. */
#define QUESTION_MS			5000
#define RELEASE_MS			5000

/* How often the metadata service is asked whether an address has come. */
#define CONFIRM_FIRST_MS	50
#define CONFIRM_LAST_MS		500
#define STATE_INTERVAL_MS	1000

typedef struct Interface
{
	char		mac[18];		/* as the metadata service writes it */
	char		id[ID_SIZE];
	char		subnet[ID_SIZE];	/* "10.0.3.0/24"; empty: no IPv4 */
	unsigned	device;
} Interface;

struct PghaEc2
{
	char		endpoint[256];	/* empty: from region and partition */
	char		region[ID_SIZE];	/* empty: to be found */
	char		profile[128];
	bool		dry_run;
	PghaEc2Log	log;

	PghaImds   *imds;
	PghaEc2Api	api;

	/* From the metadata service; fresh_until is 0 while nothing is known. */
	int64_t		fresh_until;
	char		instance[ID_SIZE];
	int			interfaces;
	Interface	interface[MAX_INTERFACES];	/* by device number */

	/* Of the Elastic IP address last dealt with. */
	char		allocation[ID_SIZE];
	char		association[ID_SIZE];	/* that we were given; empty: none, or not known */
	char		public_ip[ID_SIZE];	/* empty: not known */
};

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
	const Interface *left = a;
	const Interface *right = b;

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
read_interface(PghaEc2 *ec2, Interface *interface, char *error, size_t error_size)
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
	Interface	interface[MAX_INTERFACES];
	const char *list;
	int			count = 0;

	memset(interface, 0, sizeof(interface));
	if (pgha_imds_get(ec2->imds, "network/interfaces/macs/", &list, error, error_size) != PGHA_IMDS_OK)
		return false;
	/* The list is gone with the next question. */
	while (count < MAX_INTERFACES &&
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

/* Sets the API's endpoint, once. */
static bool
find_endpoint(PghaEc2 *ec2, char *error, size_t error_size)
{
	char		region[ID_SIZE];
	char		domain[ID_SIZE];
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
	char		instance[ID_SIZE];

	if (pgha_imds_word(ec2->imds, "instance-id", instance, sizeof(instance),
					   error, error_size) != PGHA_IMDS_OK ||
		!read_interfaces(ec2, error, error_size))
		return false;
	memcpy(ec2->instance, instance, sizeof(instance));
	return true;
}

/* Instance and interfaces.  What was read once serves on if it cannot be read again. */
static bool
know_identity(PghaEc2 *ec2, char *error, size_t error_size)
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

/*
 * The interface that gets the address: the named one if it is EC2's (it may be
 * "lo"), else the first one; a secondary address needs one in its own subnet.
 */
static const Interface *
find_interface(const PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	const Interface *first = NULL;
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
		const Interface *interface = &ec2->interface[i];

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

static const Interface *
know_interface(PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	if (!know_identity(ec2, error, error_size))
		return NULL;
	return find_interface(ec2, spec, error, error_size);
}

/* ---- requests ---- */

static PghaEc2Guard
within(int limit_ms)
{
	return (PghaEc2Guard) {.deadline = pgha_clock_ms() + limit_ms};
}

/* One question or order without conditions, tried again until the limit. */
static bool
ask(PghaEc2 *ec2, const PghaEc2Form *form, int limit_ms, PghaEc2Reply *reply,
	char *error, size_t error_size)
{
	PghaEc2Guard guard = within(limit_ms);

	memset(reply, 0, sizeof(*reply));
	if (!find_endpoint(ec2, error, error_size))
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

static void
assign_form(PghaEc2Form *form, const char *action, const Interface *interface, const char *ip)
{
	pgha_ec2_form(form, action);
	pgha_ec2_form_add(form, "NetworkInterfaceId", interface->id);
	pgha_ec2_form_add(form, "PrivateIpAddress.1", ip);
}

static void
associate_form(PghaEc2Form *form, const Interface *interface, const char *allocation)
{
	/* Without an address of the interface it means the interface's primary one. */
	pgha_ec2_form(form, "AssociateAddress");
	pgha_ec2_form_add(form, "AllocationId", allocation);
	pgha_ec2_form_add(form, "NetworkInterfaceId", interface->id);
	pgha_ec2_form_add(form, "AllowReassociation", "true");
}

static void
destination(const PghaAddressSpec *spec, char *text, size_t size)
{
	int			longest = spec->family == AF_INET6 ? 128 : 32;

	(void) snprintf(text, size, "%s/%d", spec->ip, spec->prefix > 0 ? spec->prefix : longest);
}

static void
route_form(PghaEc2Form *form, const char *action, const Interface *interface,
		   const PghaAddressSpec *spec, const char *table)
{
	char		block[64];

	destination(spec, block, sizeof(block));
	pgha_ec2_form(form, action);
	pgha_ec2_form_add(form, "RouteTableId", table);
	pgha_ec2_form_add(form, spec->family == AF_INET6 ? "DestinationIpv6CidrBlock" : "DestinationCidrBlock",
					  block);
	pgha_ec2_form_add(form, "NetworkInterfaceId", interface->id);
}

/* ---- Elastic IP addresses ---- */

/* Whose is it?  Fills in *owner (a network interface, "" if nobody's) and *association. */
static bool
describe_elastic(PghaEc2 *ec2, const PghaAddressSpec *spec, char *owner, char *association,
				 char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	PghaXml		address;

	pgha_ec2_form(&form, "DescribeAddresses");
	pgha_ec2_form_add(&form, "AllocationId.1", spec->allocation);
	if (!ask(ec2, &form, QUESTION_MS, &reply, error, error_size))
		return false;
	if (!pgha_xml_find(&reply.body, "addressesSet", &address, NULL) ||
		!pgha_xml_find(&address, "item", &address, NULL))
		return pgha_fail(error, error_size, "EC2 does not describe %s", spec->allocation);
	(void) pgha_xml_text(&address, "networkInterfaceId", owner, ID_SIZE);
	(void) pgha_xml_text(&address, "associationId", association, ID_SIZE);
	(void) pgha_xml_text(&address, "publicIp", ec2->public_ip, ID_SIZE);
	return true;
}

/* Forgets what belongs to another address. */
static void
turn_to(PghaEc2 *ec2, const PghaAddressSpec *spec)
{
	if (strcmp(ec2->allocation, spec->allocation) == 0)
		return;
	(void) snprintf(ec2->allocation, sizeof(ec2->allocation), "%s", spec->allocation);
	ec2->association[0] = ec2->public_ip[0] = '\0';
}

/* ---- knowing ahead ---- */

static bool
known_kind(const PghaAddressSpec *spec, char *error, size_t error_size)
{
	if (spec->kind == PGHA_ADDRESS_EC2 || spec->kind == PGHA_ADDRESS_EC2_ELASTIC ||
		(spec->kind == PGHA_ADDRESS_EC2_ROUTE && spec->tables > 0))
		return true;
	return pgha_fail(error, error_size, "not an address that EC2 moves");
}

bool
pgha_ec2_prepare(PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	return known_kind(spec, error, error_size) &&
		know_interface(ec2, spec, error, error_size) != NULL &&
		find_endpoint(ec2, error, error_size) &&
		pgha_credentials_ready(&ec2->api.credentials, time(NULL) + (time_t) ec2->api.clock_offset,
							   error, error_size);
}

bool
pgha_ec2_mac(PghaEc2 *ec2, const PghaAddressSpec *spec, char *mac, size_t size)
{
	char		error[ERROR_SIZE];
	const Interface *interface = know_interface(ec2, spec, error, sizeof(error));

	if (interface == NULL)
		return false;
	if (snprintf(mac, size, "%s", interface->mac) >= (int) size)
		return false;
	for (char *c = mac; *c != '\0'; c++)
		*c = (char) tolower((unsigned char) *c);
	return true;
}

bool
pgha_ec2_instance(PghaEc2 *ec2, char *instance_id, size_t size, char *error, size_t error_size)
{
	if (!know_identity(ec2, error, error_size))
		return false;
	if (snprintf(instance_id, size, "%s", ec2->instance) < (int) size)
		return true;
	return pgha_fail(error, error_size, "the instance id is too long");
}

/* ---- asking ---- */

/* Is `word` a line of that list of the interface? */
static PghaHolder
interface_lists(PghaEc2 *ec2, const Interface *interface, const char *list, const char *word,
				char *error, size_t error_size)
{
	char		path[128];
	char		line[ID_SIZE];
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

static PghaHolder
check_elastic(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
			  char *error, size_t error_size)
{
	char		owner[ID_SIZE];
	char		association[ID_SIZE];

	turn_to(ec2, spec);
	if (ec2->public_ip[0] != '\0' &&
		interface_lists(ec2, interface, "public-ipv4s", ec2->public_ip, error, error_size) == PGHA_HELD)
		return PGHA_HELD;
	/* The metadata service is late with public addresses: EC2 decides. */
	if (!describe_elastic(ec2, spec, owner, association, error, error_size))
		return PGHA_HOLDER_UNKNOWN;
	if (strcmp(owner, interface->id) == 0)
		return PGHA_HELD;
	(void) pgha_fail(error, error_size, "%s is associated with %s", spec->allocation,
					 owner[0] != '\0' ? owner : "nothing");
	return PGHA_NOT_HELD;
}

/* The target of the route to the address, out of the description of one table. */
static bool
route_target(const PghaXml *answer, const PghaAddressSpec *spec, char *target, bool *active)
{
	const char *element = spec->family == AF_INET6 ? "destinationIpv6CidrBlock" : "destinationCidrBlock";
	char		block[64];
	char		text[64];
	PghaXml		rest;
	PghaXml		route;

	destination(spec, block, sizeof(block));
	if (!pgha_xml_find(answer, "routeSet", &rest, NULL))
		return false;
	while (pgha_xml_find(&rest, "item", &route, &rest))
	{
		if (!pgha_xml_text(&route, element, text, sizeof(text)) || strcmp(text, block) != 0)
			continue;
		(void) pgha_xml_text(&route, "networkInterfaceId", target, ID_SIZE);
		*active = pgha_xml_text(&route, "state", text, sizeof(text)) && strcmp(text, "active") == 0;
		return true;
	}
	target[0] = '\0';
	return true;
}

static PghaHolder
check_table(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
			const char *table, char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		target[ID_SIZE];
	bool		active = false;

	pgha_ec2_form(&form, "DescribeRouteTables");
	pgha_ec2_form_add(&form, "RouteTableId.1", table);
	if (!ask(ec2, &form, QUESTION_MS, &reply, error, error_size))
		return PGHA_HOLDER_UNKNOWN;
	if (!route_target(&reply.body, spec, target, &active))
	{
		(void) pgha_fail(error, error_size, "EC2 does not describe %s", table);
		return PGHA_HOLDER_UNKNOWN;
	}
	if (active && strcmp(target, interface->id) == 0)
		return PGHA_HELD;
	(void) pgha_fail(error, error_size, "the route to %s in %s leads to %s%s", spec->ip, table,
					 target[0] != '\0' ? target : "nothing",
					 target[0] == '\0' || active ? "" : ", which is not active");
	return PGHA_NOT_HELD;
}

PghaHolder
pgha_ec2_check(PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	const Interface *interface;
	PghaHolder	holder = PGHA_HELD;

	if (!known_kind(spec, error, error_size))
		return PGHA_HOLDER_UNKNOWN;
	interface = know_interface(ec2, spec, error, error_size);
	if (interface == NULL)
		return PGHA_HOLDER_UNKNOWN;
	if (spec->kind == PGHA_ADDRESS_EC2)
		return interface_lists(ec2, interface, "local-ipv4s", spec->ip, error, error_size);
	if (spec->kind == PGHA_ADDRESS_EC2_ELASTIC)
		return check_elastic(ec2, spec, interface, error, error_size);
	for (int i = 0; i < spec->tables && holder == PGHA_HELD; i++)
		holder = check_table(ec2, spec, interface, spec->table[i], error, error_size);
	return holder;
}

/* ---- taking ---- */

/* A move under way: each target (route table; the others have one) has its own outcome. */
typedef struct Move
{
	PghaEc2    *ec2;
	const PghaAddressSpec *spec;
	const Interface *interface;
	PghaEc2Guard guard;
	int			targets;
	PghaEc2Outcome outcome[PGHA_MAX_ROUTE_TABLES];
	char		error[PGHA_MAX_ROUTE_TABLES][ERROR_SIZE];
} Move;

static void
call(Move *move, PghaEc2Form *form, PghaEc2Reply *reply)
{
	if (move->ec2->dry_run)
		pgha_ec2_form_add(form, "DryRun", "true");
	pgha_ec2_api_call(&move->ec2->api, form, &move->guard, reply);
}

static void
try_assign(Move *move, PghaEc2Reply *reply)
{
	PghaEc2Form form;

	assign_form(&form, "AssignPrivateIpAddresses", move->interface, move->spec->ip);
	pgha_ec2_form_add(&form, "AllowReassignment", "true");
	call(move, &form, reply);
}

static void
try_associate(Move *move, PghaEc2Reply *reply)
{
	PghaEc2    *ec2 = move->ec2;
	PghaEc2Form form;
	char		association[ID_SIZE];

	turn_to(ec2, move->spec);
	associate_form(&form, move->interface, move->spec->allocation);
	call(move, &form, reply);
	if (reply->outcome == PGHA_EC2_DONE &&
		pgha_xml_text(&reply->body, "associationId", association, sizeof(association)))
		memcpy(ec2->association, association, sizeof(association));
}

/*
 * Whether a table has the route is not asked: EC2 refuses to replace one that is
 * not there, with one of two codes.  If creating it is refused because it is
 * there after all, the first refusal stands.
 */
static void
try_route(Move *move, const char *table, PghaEc2Reply *reply)
{
	PghaEc2Form form;
	PghaEc2Reply created;

	route_form(&form, "ReplaceRoute", move->interface, move->spec, table);
	call(move, &form, reply);
	if (reply->outcome != PGHA_EC2_REFUSED ||
		(strcmp(reply->code, "InvalidRoute.NotFound") != 0 &&
		 strcmp(reply->code, "InvalidParameterValue") != 0))
		return;
	route_form(&form, "CreateRoute", move->interface, move->spec, table);
	call(move, &form, &created);
	if (strcmp(created.code, "RouteAlreadyExists") != 0)
		*reply = created;
	else if (strcmp(reply->code, "InvalidRoute.NotFound") == 0)
		reply->outcome = PGHA_EC2_AGAIN;
}

static void
try_target(Move *move, int target)
{
	PghaEc2Reply reply;

	switch (move->spec->kind)
	{
		case PGHA_ADDRESS_EC2:
			try_assign(move, &reply);
			break;
		case PGHA_ADDRESS_EC2_ELASTIC:
			try_associate(move, &reply);
			break;
		default:
			try_route(move, move->spec->table[target], &reply);
			break;
	}
	move->outcome[target] = reply.outcome;
	/* That time is up says less than why it took so long. */
	if (!reply.late || move->error[target][0] == '\0')
		memcpy(move->error[target], reply.error, sizeof(reply.error));
}

/* Tries each target that is still open; returns how many still are. */
static int
try_targets(Move *move)
{
	int			open = 0;

	for (int i = 0; i < move->targets; i++)
	{
		if (move->outcome[i] == PGHA_EC2_AGAIN)
			try_target(move, i);
		open += move->outcome[i] == PGHA_EC2_AGAIN;
	}
	return open;
}

static const char *
first_error(const Move *move, PghaEc2Outcome outcome)
{
	for (int i = 0; i < move->targets; i++)
	{
		if (move->outcome[i] == outcome)
			return move->error[i];
	}
	return NULL;
}

/* All targets, until each is done or refused, or time is up. */
static void
carry_out(Move *move)
{
	for (int i = 0; i < move->targets; i++)
		move->outcome[i] = PGHA_EC2_AGAIN;
	for (int tries = 0; try_targets(move) > 0; tries++)
	{
		int			pause = pgha_ec2_backoff_ms(tries);

		if (pgha_clock_ms() + pause >= move->guard.deadline)
			return;
		if (move->ec2->log != NULL)
			move->ec2->log("%s; trying again in %d ms", first_error(move, PGHA_EC2_AGAIN), pause);
		pgha_http_pause(pause);
	}
}

static bool
report(const Move *move, char *error, size_t error_size)
{
	const char *reason = first_error(move, PGHA_EC2_REFUSED);
	int			failed = 0;

	if (reason == NULL)
		reason = first_error(move, PGHA_EC2_AGAIN);
	if (reason == NULL)
		return true;
	for (int i = 0; i < move->targets; i++)
	{
		if (move->outcome[i] == PGHA_EC2_DONE)
			continue;
		failed++;
		if (move->targets > 1 && move->ec2->log != NULL)
			move->ec2->log("route table %s: %s", move->spec->table[i], move->error[i]);
	}
	if (move->targets == 1)
		return pgha_fail(error, error_size, "%s", reason);
	return pgha_fail(error, error_size, "%d of %d route tables were not changed: %s",
					 failed, move->targets, reason);
}

/* EC2 has accepted the order; waits until it is carried out. */
static bool
confirm(const Move *move, char *error, size_t error_size)
{
	int			pause = CONFIRM_FIRST_MS;
	char		ignored[ERROR_SIZE];

	while (interface_lists(move->ec2, move->interface, "local-ipv4s", move->spec->ip,
						   ignored, sizeof(ignored)) != PGHA_HELD)
	{
		if (pgha_clock_ms() + pause >= move->guard.deadline)
			return pgha_fail(error, error_size,
							 "EC2 has accepted the request for %s, but the metadata service does "
							 "not show it on %s yet", move->spec->ip, move->interface->id);
		pgha_http_pause(pause);
		pause = pause * 2 < CONFIRM_LAST_MS ? pause * 2 : CONFIRM_LAST_MS;
	}
	return true;
}

/*
 * Has what a move needs, from before if possible; otherwise finds it now, unless
 * time runs out or it turns out that this instance cannot have the address.
 */
static bool
be_ready(Move *move, char *error, size_t error_size)
{
	PghaEc2    *ec2 = move->ec2;

	if (!known_kind(move->spec, error, error_size))
		return false;
	for (int tries = 0;; tries++)
	{
		int			pause = pgha_ec2_backoff_ms(tries);

		if (ec2->fresh_until == 0)
			(void) know_identity(ec2, error, error_size);
		if (ec2->fresh_until != 0)
		{
			move->interface = find_interface(ec2, move->spec, error, error_size);
			if (move->interface == NULL)
				return false;
			if (find_endpoint(ec2, error, error_size))
				return true;
		}
		if (pgha_clock_ms() + pause >= move->guard.deadline)
			return false;
		pgha_http_pause(pause);
	}
}

bool
pgha_ec2_take(PghaEc2 *ec2, const PghaAddressSpec *spec, int limit_ms,
			  bool (*still_leader) (void *), void *arg, char *error, size_t error_size)
{
	Move		move = {
		.ec2 = ec2,.spec = spec,
		.guard = {pgha_clock_ms() + limit_ms, still_leader, arg},
		.targets = spec->kind == PGHA_ADDRESS_EC2_ROUTE ? spec->tables : 1
	};

	if (!be_ready(&move, error, error_size))
		return false;
	carry_out(&move);
	if (!report(&move, error, error_size))
		return false;
	return spec->kind != PGHA_ADDRESS_EC2 || ec2->dry_run || confirm(&move, error, error_size);
}

/* ---- giving up ---- */

static bool
release_assigned(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
				 char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		ignored[ERROR_SIZE];

	assign_form(&form, "UnassignPrivateIpAddresses", interface, spec->ip);
	if (ec2->dry_run)
		pgha_ec2_form_add(&form, "DryRun", "true");
	if (ask(ec2, &form, RELEASE_MS, &reply, error, error_size))
		return true;
	/* That is how EC2 says that the interface does not have the address. */
	return strcmp(reply.code, "InvalidParameterValue") == 0 &&
		interface_lists(ec2, interface, "local-ipv4s", spec->ip,
						ignored, sizeof(ignored)) == PGHA_NOT_HELD;
}

/* True if there is no such association any more, be it by this request or before. */
static bool
disassociate(PghaEc2 *ec2, const char *association, bool *was_gone, char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;

	pgha_ec2_form(&form, "DisassociateAddress");
	pgha_ec2_form_add(&form, "AssociationId", association);
	if (ec2->dry_run)
		pgha_ec2_form_add(&form, "DryRun", "true");
	if (ask(ec2, &form, RELEASE_MS, &reply, error, error_size))
		return true;
	*was_gone = strcmp(reply.code, "InvalidAssociationID.NotFound") == 0;
	return *was_gone;
}

static bool
release_elastic(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
				char *error, size_t error_size)
{
	char		owner[ID_SIZE];
	char		association[ID_SIZE];
	bool		was_gone = false;

	turn_to(ec2, spec);
	if (ec2->association[0] != '\0')
	{
		if (!disassociate(ec2, ec2->association, &was_gone, error, error_size))
			return false;
		if (!ec2->dry_run)
			ec2->association[0] = '\0';
		if (!was_gone)
			return true;
	}
	/* Another process of this host may have been given it. */
	if (!describe_elastic(ec2, spec, owner, association, error, error_size))
		return false;
	return association[0] == '\0' || strcmp(owner, interface->id) != 0 ||
		disassociate(ec2, association, &was_gone, error, error_size);
}

bool
pgha_ec2_release(PghaEc2 *ec2, const PghaAddressSpec *spec, char *error, size_t error_size)
{
	const Interface *interface;

	if (!known_kind(spec, error, error_size))
		return false;
	if (spec->kind == PGHA_ADDRESS_EC2_ROUTE)
		return true;
	interface = know_interface(ec2, spec, error, error_size);
	if (interface == NULL)
		return false;
	if (spec->kind == PGHA_ADDRESS_EC2)
		return release_assigned(ec2, spec, interface, error, error_size);
	return release_elastic(ec2, spec, interface, error, error_size);
}

/* ---- stopping another instance ---- */

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
	if (!ask(ec2, &form, limit_ms < QUESTION_MS ? limit_ms : QUESTION_MS, &reply, error, error_size))
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
	char		state[ID_SIZE] = "unknown";
	char		now[ID_SIZE];

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
	if (!know_identity(ec2, error, error_size))
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
	char		state[ID_SIZE];

	if (!valid_instance(ec2, instance_id, error, error_size))
		return false;
	stop_form(&form, instance_id);
	if (ec2->dry_run)
	{
		pgha_ec2_form_add(&form, "DryRun", "true");
		return ask(ec2, &form, limit_ms, &reply, error, error_size);
	}
	if (ask(ec2, &form, limit_ms, &reply, error, error_size))
		return await_stopped(ec2, instance_id, deadline, error, error_size);
	/* An instance that is gone cannot be stopped any more. */
	return strcmp(reply.code, "IncorrectInstanceState") == 0 &&
		instance_state(ec2, instance_id, QUESTION_MS, state, sizeof(state), error, error_size) &&
		strcmp(state, "terminated") == 0;
}

/* ---- permissions ---- */

static bool
may(PghaEc2 *ec2, PghaEc2Form *form, char *finding, size_t finding_size)
{
	PghaEc2Reply reply;

	pgha_ec2_form_add(form, "DryRun", "true");
	if (ask(ec2, form, QUESTION_MS, &reply, finding, finding_size))
		return true;
	if (strcmp(reply.code, "UnauthorizedOperation") == 0)
		return pgha_fail(finding, finding_size,
						 "EC2 does not allow ec2:%s: give it to the role of this instance",
						 form->action);
	return false;
}

static bool
may_assign(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
		   char *finding, size_t finding_size)
{
	PghaEc2Form form;

	assign_form(&form, "AssignPrivateIpAddresses", interface, spec->ip);
	pgha_ec2_form_add(&form, "AllowReassignment", "true");
	if (!may(ec2, &form, finding, finding_size))
		return false;
	assign_form(&form, "UnassignPrivateIpAddresses", interface, spec->ip);
	return may(ec2, &form, finding, finding_size);
}

static bool
may_associate(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
			  char *finding, size_t finding_size)
{
	PghaEc2Form form;
	char		owner[ID_SIZE];
	char		association[ID_SIZE];

	turn_to(ec2, spec);
	associate_form(&form, interface, spec->allocation);
	if (!may(ec2, &form, finding, finding_size) ||
		!describe_elastic(ec2, spec, owner, association, finding, finding_size))
		return false;
	if (association[0] == '\0')
		return true;
	pgha_ec2_form(&form, "DisassociateAddress");
	pgha_ec2_form_add(&form, "AssociationId", association);
	return may(ec2, &form, finding, finding_size);
}

/* An interface that checks destinations drops what comes for an address outside its subnet. */
static bool
passes_foreign_traffic(PghaEc2 *ec2, const Interface *interface, char *finding, size_t finding_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		check[16];

	pgha_ec2_form(&form, "DescribeNetworkInterfaces");
	pgha_ec2_form_add(&form, "NetworkInterfaceId.1", interface->id);
	if (!ask(ec2, &form, QUESTION_MS, &reply, finding, finding_size))
		return false;
	if (!pgha_xml_text(&reply.body, "sourceDestCheck", check, sizeof(check)))
		return pgha_fail(finding, finding_size, "EC2 does not describe %s", interface->id);
	if (strcmp(check, "false") == 0)
		return true;
	return pgha_fail(finding, finding_size,
					 "the source/destination check of %s is on, so packets for the address are dropped: "
					 "aws ec2 modify-network-interface-attribute --network-interface-id %s "
					 "--no-source-dest-check", interface->id, interface->id);
}

static bool
may_route(PghaEc2 *ec2, const PghaAddressSpec *spec, const Interface *interface,
		  char *finding, size_t finding_size)
{
	static const char *const actions[] = {"ReplaceRoute", "CreateRoute"};
	PghaEc2Form form;

	for (int i = 0; i < spec->tables; i++)
	{
		for (size_t action = 0; action < sizeof(actions) / sizeof(actions[0]); action++)
		{
			route_form(&form, actions[action], interface, spec, spec->table[i]);
			if (!may(ec2, &form, finding, finding_size))
				return false;
		}
		if (check_table(ec2, spec, interface, spec->table[i], finding,
						finding_size) == PGHA_HOLDER_UNKNOWN)
			return false;
	}
	return passes_foreign_traffic(ec2, interface, finding, finding_size);
}

bool
pgha_ec2_may(PghaEc2 *ec2, const PghaAddressSpec *spec, char *finding, size_t finding_size)
{
	const Interface *interface;
	bool		allowed;

	if (!pgha_ec2_prepare(ec2, spec, finding, finding_size))
		return false;
	interface = find_interface(ec2, spec, finding, finding_size);
	if (interface == NULL)
		return false;
	if (spec->kind == PGHA_ADDRESS_EC2)
		allowed = may_assign(ec2, spec, interface, finding, finding_size);
	else if (spec->kind == PGHA_ADDRESS_EC2_ELASTIC)
		allowed = may_associate(ec2, spec, interface, finding, finding_size);
	else
		allowed = may_route(ec2, spec, interface, finding, finding_size);
	if (!allowed)
		return false;
	(void) snprintf(finding, finding_size, "EC2 allows to move the address to %s", interface->id);
	if (ec2->api.clock_offset != 0)
		(void) snprintf(finding + strlen(finding), finding_size - strlen(finding),
						"; the clock of this host is %lld seconds off",
						(long long) llabs(ec2->api.clock_offset));
	return true;
}

bool
pgha_ec2_may_stop(PghaEc2 *ec2, const char *instance_id, char *finding, size_t finding_size)
{
	PghaEc2Form form;
	char		state[ID_SIZE];

	if (!valid_instance(ec2, instance_id, finding, finding_size))
		return false;
	stop_form(&form, instance_id);
	if (!may(ec2, &form, finding, finding_size) ||
		!instance_state(ec2, instance_id, QUESTION_MS, state, sizeof(state), finding, finding_size))
		return false;
	(void) snprintf(finding, finding_size, "EC2 allows to stop %s (state %s)", instance_id, state);
	return true;
}
