/*
 * address.c
 *		The address that follows the primary, whatever its kind.
 *
 * For the agent's keeper and for `pgha vip`: hands each call to what knows the kind,
 * EC2 or this host's interfaces.  It never decides whether the address is to move.
 */
#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "address_local.h"

struct PghaVip
{
	PghaAddressSpec spec;
	PghaEc2    *ec2;			/* NULL: kind local */
};

static bool
needs_ec2(const PghaAddressSpec *spec)
{
	return spec->kind != PGHA_ADDRESS_LOCAL;
}

static bool
needs_interface(const PghaAddressSpec *spec)
{
	return spec->kind != PGHA_ADDRESS_EC2_ELASTIC;
}

PghaVip *
pgha_address_open(const PghaAddressSpec *spec, const PghaEc2Options *ec2)
{
	PghaVip    *vip = calloc(1, sizeof(*vip));

	if (vip == NULL)
		return NULL;
	vip->spec = *spec;
	if (needs_ec2(spec) && (vip->ec2 = pgha_ec2_new(ec2)) == NULL)
	{
		free(vip);
		return NULL;
	}
	return vip;
}

void
pgha_address_close(PghaVip *vip)
{
	if (vip != NULL && vip->ec2 != NULL)
		pgha_ec2_free(vip->ec2);
	free(vip);
}

/* ---- the two halves, with their names in front of what they say ---- */

/* Puts `cause` into `error`; "<half>: " in front where there are two. */
static bool
half_failed(const PghaVip *vip, const char *half, const char *cause, char *error, size_t error_size)
{
	if (vip->ec2 == NULL)
		return pgha_fail(error, error_size, "%s", cause);
	return pgha_fail(error, error_size, "%s: %s", half, cause);
}

#define EC2_HALF		"EC2"
#define INTERFACE_HALF	"network interface"

static const char *
find_mac(PghaVip *vip, char *mac, size_t size)
{
	mac[0] = '\0';
	if (vip->ec2 != NULL && vip->spec.interface[0] == '\0')
		(void) pgha_ec2_mac(vip->ec2, &vip->spec, mac, size);
	return mac;
}

static bool
may_interface(PghaVip *vip, char *error, size_t error_size)
{
	char		mac[32];
	char		cause[512];

	if (!needs_interface(&vip->spec))
		return true;
	return pgha_local_may(&vip->spec, find_mac(vip, mac, sizeof(mac)), cause, sizeof(cause)) ||
		half_failed(vip, INTERFACE_HALF, cause, error, error_size);
}

bool
pgha_address_prepare(PghaVip *vip, char *error, size_t error_size)
{
	char		cause[512];

	if (vip->ec2 != NULL && !pgha_ec2_prepare(vip->ec2, &vip->spec, cause, sizeof(cause)))
		return half_failed(vip, EC2_HALF, cause, error, error_size);
	return may_interface(vip, error, error_size);
}

bool
pgha_address_take(PghaVip *vip, const PghaTake *how, char *error, size_t error_size)
{
	char		mac[32];
	char		cause[512];

	if (how->still_leader != NULL && !how->still_leader(how->arg))
		return pgha_fail(error, error_size, "not taken: this node does not lead any more");
	if (vip->ec2 != NULL &&
		!pgha_ec2_take(vip->ec2, &vip->spec, how->limit_ms, how->still_leader, how->arg, cause, sizeof(cause)))
		return half_failed(vip, EC2_HALF, cause, error, error_size);
	if (!needs_interface(&vip->spec))
		return true;
	if (how->still_leader != NULL && !how->still_leader(how->arg))
		return pgha_fail(error, error_size, "not put on the interface: this node does not lead any more");
	return pgha_local_take(&vip->spec, find_mac(vip, mac, sizeof(mac)), how->only_if_free, cause, sizeof(cause)) ||
		half_failed(vip, INTERFACE_HALF, cause, error, error_size);
}

bool
pgha_address_announce(PghaVip *vip, bool (*still_leader) (void *), void *arg, char *error, size_t error_size)
{
	char		interface[16];

	if (vip->spec.kind != PGHA_ADDRESS_LOCAL)
		return true;
	return pgha_local_here(&vip->spec, interface, error, error_size) &&
		pgha_local_announce(&vip->spec, still_leader, arg, error, error_size);
}

bool
pgha_address_release(PghaVip *vip, char *error, size_t error_size)
{
	char		interface[512] = "";
	char		ec2[512] = "";
	bool		interface_done = !needs_interface(&vip->spec) ||
		pgha_local_release(&vip->spec, interface, sizeof(interface));
	bool		ec2_done = vip->ec2 == NULL || pgha_ec2_release(vip->ec2, &vip->spec, ec2, sizeof(ec2));

	if (!interface_done && !ec2_done)
		return pgha_fail(error, error_size, "%s: %s; %s: %s", INTERFACE_HALF, interface, EC2_HALF, ec2);
	if (!interface_done)
		return half_failed(vip, INTERFACE_HALF, interface, error, error_size);
	return ec2_done || half_failed(vip, EC2_HALF, ec2, error, error_size);
}

PghaHolder
pgha_address_check(PghaVip *vip, char *error, size_t error_size)
{
	char		interface[16];
	char		cause[512];
	PghaHolder	holder = PGHA_HELD;

	if (vip->ec2 != NULL)
		holder = pgha_ec2_check(vip->ec2, &vip->spec, cause, sizeof(cause));
	if (holder != PGHA_HELD)
	{
		(void) half_failed(vip, EC2_HALF, cause, error, error_size);
		return holder;
	}
	if (needs_interface(&vip->spec) && !pgha_local_here(&vip->spec, interface, cause, sizeof(cause)))
	{
		(void) half_failed(vip, INTERFACE_HALF, cause, error, error_size);
		return PGHA_NOT_HELD;
	}
	return PGHA_HELD;
}

bool
pgha_address_may(PghaVip *vip, char *finding, size_t finding_size)
{
	char		cause[512];

	if (vip->ec2 != NULL && !pgha_ec2_prepare(vip->ec2, &vip->spec, cause, sizeof(cause)))
		return half_failed(vip, EC2_HALF, cause, finding, finding_size);
	if (vip->ec2 != NULL && !pgha_ec2_may(vip->ec2, &vip->spec, cause, sizeof(cause)))
		return half_failed(vip, EC2_HALF, cause, finding, finding_size);
	if (!may_interface(vip, finding, finding_size))
		return false;
	(void) pgha_fail(finding, finding_size, "all that is needed is there");
	return true;
}
