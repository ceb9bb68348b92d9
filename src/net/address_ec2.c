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
 * What is known of this node (ec2_node.c) is read before it is needed, so that
 * taking an address is one request.  For pgha.address of the agent and for `pgha
 * vip` (address.c).  It never gives up what it has not been given.
 */
#include "address_ec2.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "../common/clock.h"
#include "../common/errors.h"

#define ERROR_SIZE			PGHA_EC2_ERROR_SIZE

/* Credentials and clock mended once included. */
#define RELEASE_MS			5000

/* How often the metadata service is asked whether an address has come. */
#define CONFIRM_FIRST_MS	50
#define CONFIRM_LAST_MS		500

/* ---- requests ---- */

static void
assign_form(PghaEc2Form *form, const char *action, const PghaEc2Interface *interface, const char *ip)
{
	pgha_ec2_form(form, action);
	pgha_ec2_form_add(form, "NetworkInterfaceId", interface->id);
	pgha_ec2_form_add(form, "PrivateIpAddress.1", ip);
}

static void
associate_form(PghaEc2Form *form, const PghaEc2Interface *interface, const char *allocation)
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
route_form(PghaEc2Form *form, const char *action, const PghaEc2Interface *interface,
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
	if (!pgha_ec2_ask(ec2, &form, PGHA_EC2_QUESTION_MS, &reply, error, error_size))
		return false;
	if (!pgha_xml_find(&reply.body, "addressesSet", &address, NULL) ||
		!pgha_xml_find(&address, "item", &address, NULL))
		return pgha_fail(error, error_size, "EC2 does not describe %s", spec->allocation);
	(void) pgha_xml_text(&address, "networkInterfaceId", owner, PGHA_EC2_ID_SIZE);
	(void) pgha_xml_text(&address, "associationId", association, PGHA_EC2_ID_SIZE);
	(void) pgha_xml_text(&address, "publicIp", ec2->public_ip, PGHA_EC2_ID_SIZE);
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
		pgha_ec2_interface(ec2, spec, error, error_size) != NULL &&
		pgha_ec2_find_endpoint(ec2, error, error_size) &&
		pgha_credentials_ready(&ec2->api.credentials, time(NULL) + (time_t) ec2->api.clock_offset,
							   error, error_size);
}

bool
pgha_ec2_mac(PghaEc2 *ec2, const PghaAddressSpec *spec, char *mac, size_t size)
{
	char		error[ERROR_SIZE];
	const PghaEc2Interface *interface = pgha_ec2_interface(ec2, spec, error, sizeof(error));

	if (interface == NULL)
		return false;
	if (snprintf(mac, size, "%s", interface->mac) >= (int) size)
		return false;
	for (char *c = mac; *c != '\0'; c++)
		*c = (char) tolower((unsigned char) *c);
	return true;
}

/* ---- asking ---- */

static PghaHolder
check_elastic(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
			  char *error, size_t error_size)
{
	char		owner[PGHA_EC2_ID_SIZE];
	char		association[PGHA_EC2_ID_SIZE];

	turn_to(ec2, spec);
	if (ec2->public_ip[0] != '\0' &&
		pgha_ec2_lists(ec2, interface, "public-ipv4s", ec2->public_ip, error, error_size) == PGHA_HELD)
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
		(void) pgha_xml_text(&route, "networkInterfaceId", target, PGHA_EC2_ID_SIZE);
		*active = pgha_xml_text(&route, "state", text, sizeof(text)) && strcmp(text, "active") == 0;
		return true;
	}
	target[0] = '\0';
	return true;
}

static PghaHolder
check_table(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
			const char *table, char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		target[PGHA_EC2_ID_SIZE];
	bool		active = false;

	pgha_ec2_form(&form, "DescribeRouteTables");
	pgha_ec2_form_add(&form, "RouteTableId.1", table);
	if (!pgha_ec2_ask(ec2, &form, PGHA_EC2_QUESTION_MS, &reply, error, error_size))
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
	const PghaEc2Interface *interface;
	PghaHolder	holder = PGHA_HELD;

	if (!known_kind(spec, error, error_size))
		return PGHA_HOLDER_UNKNOWN;
	interface = pgha_ec2_interface(ec2, spec, error, error_size);
	if (interface == NULL)
		return PGHA_HOLDER_UNKNOWN;
	if (spec->kind == PGHA_ADDRESS_EC2)
		return pgha_ec2_lists(ec2, interface, "local-ipv4s", spec->ip, error, error_size);
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
	const PghaEc2Interface *interface;
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
	char		association[PGHA_EC2_ID_SIZE];

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

	while (pgha_ec2_lists(move->ec2, move->interface, "local-ipv4s", move->spec->ip,
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
			(void) pgha_ec2_know(ec2, error, error_size);
		if (ec2->fresh_until != 0)
		{
			move->interface = pgha_ec2_find_interface(ec2, move->spec, error, error_size);
			if (move->interface == NULL)
				return false;
			if (pgha_ec2_find_endpoint(ec2, error, error_size))
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
release_assigned(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
				 char *error, size_t error_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		ignored[ERROR_SIZE];

	assign_form(&form, "UnassignPrivateIpAddresses", interface, spec->ip);
	if (ec2->dry_run)
		pgha_ec2_form_add(&form, "DryRun", "true");
	if (pgha_ec2_ask(ec2, &form, RELEASE_MS, &reply, error, error_size))
		return true;
	/* That is how EC2 says that the interface does not have the address. */
	return strcmp(reply.code, "InvalidParameterValue") == 0 &&
		pgha_ec2_lists(ec2, interface, "local-ipv4s", spec->ip,
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
	if (pgha_ec2_ask(ec2, &form, RELEASE_MS, &reply, error, error_size))
		return true;
	*was_gone = strcmp(reply.code, "InvalidAssociationID.NotFound") == 0;
	return *was_gone;
}

static bool
release_elastic(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
				char *error, size_t error_size)
{
	char		owner[PGHA_EC2_ID_SIZE];
	char		association[PGHA_EC2_ID_SIZE];
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
	const PghaEc2Interface *interface;

	if (!known_kind(spec, error, error_size))
		return false;
	if (spec->kind == PGHA_ADDRESS_EC2_ROUTE)
		return true;
	interface = pgha_ec2_interface(ec2, spec, error, error_size);
	if (interface == NULL)
		return false;
	if (spec->kind == PGHA_ADDRESS_EC2)
		return release_assigned(ec2, spec, interface, error, error_size);
	return release_elastic(ec2, spec, interface, error, error_size);
}

/* ---- permissions ---- */

static bool
may_assign(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
		   char *finding, size_t finding_size)
{
	PghaEc2Form form;

	assign_form(&form, "AssignPrivateIpAddresses", interface, spec->ip);
	pgha_ec2_form_add(&form, "AllowReassignment", "true");
	if (!pgha_ec2_allows(ec2, &form, finding, finding_size))
		return false;
	assign_form(&form, "UnassignPrivateIpAddresses", interface, spec->ip);
	return pgha_ec2_allows(ec2, &form, finding, finding_size);
}

static bool
may_associate(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
			  char *finding, size_t finding_size)
{
	PghaEc2Form form;
	char		owner[PGHA_EC2_ID_SIZE];
	char		association[PGHA_EC2_ID_SIZE];

	turn_to(ec2, spec);
	associate_form(&form, interface, spec->allocation);
	if (!pgha_ec2_allows(ec2, &form, finding, finding_size) ||
		!describe_elastic(ec2, spec, owner, association, finding, finding_size))
		return false;
	if (association[0] == '\0')
		return true;
	pgha_ec2_form(&form, "DisassociateAddress");
	pgha_ec2_form_add(&form, "AssociationId", association);
	return pgha_ec2_allows(ec2, &form, finding, finding_size);
}

/* An interface that checks destinations drops what comes for an address outside its subnet. */
static bool
passes_foreign_traffic(PghaEc2 *ec2, const PghaEc2Interface *interface, char *finding, size_t finding_size)
{
	PghaEc2Form form;
	PghaEc2Reply reply;
	char		check[16];

	pgha_ec2_form(&form, "DescribeNetworkInterfaces");
	pgha_ec2_form_add(&form, "NetworkInterfaceId.1", interface->id);
	if (!pgha_ec2_ask(ec2, &form, PGHA_EC2_QUESTION_MS, &reply, finding, finding_size))
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
may_route(PghaEc2 *ec2, const PghaAddressSpec *spec, const PghaEc2Interface *interface,
		  char *finding, size_t finding_size)
{
	static const char *const actions[] = {"ReplaceRoute", "CreateRoute"};
	PghaEc2Form form;

	for (int i = 0; i < spec->tables; i++)
	{
		for (size_t action = 0; action < sizeof(actions) / sizeof(actions[0]); action++)
		{
			route_form(&form, actions[action], interface, spec, spec->table[i]);
			if (!pgha_ec2_allows(ec2, &form, finding, finding_size))
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
	const PghaEc2Interface *interface;
	bool		allowed;

	if (!pgha_ec2_prepare(ec2, spec, finding, finding_size))
		return false;
	interface = pgha_ec2_find_interface(ec2, spec, finding, finding_size);
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
