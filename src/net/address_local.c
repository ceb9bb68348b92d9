/*
 * address_local.c
 *		The address on an interface of this host.
 *
 * What is wanted is compared with what is there, so that each function may be
 * called again at any time, also after one that was killed half way.
 *
 * Nothing is changed before the socket for the announcement is open: an address
 * that nobody is told of would be worse than none.
 */
#include "address_local.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/errors.h"
#include "interfaces.h"
#include "neighbours.h"

#define CAPABILITY_HINT \
	"run it as root, or write AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW into the [Service] section of the systemd unit"

/* An address can be on an interface once with each prefix length. */
#define MAX_PREFIXES	128

/* Pauses between the announcements. */
static const int announce_after_ms[] = {0, 50, 150, 300, 500};

/* An address that was looked up, and where it belongs. */
typedef struct Place
{
	PghaIp		ip;
	PghaInterface interface;
} Place;

static bool
to_ip(const PghaAddressSpec *spec, PghaIp *ip, char *error, size_t error_size)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = spec->family;
	if (inet_pton(spec->family, spec->ip, ip->bytes) != 1)
		return pgha_fail(error, error_size, "the address has no IP address");
	return true;
}

/* What an error number means here. */
static const char *
reason(int number)
{
	switch (number)
	{
		case EPERM:
			return "permission denied: the capability CAP_NET_ADMIN is missing; " CAPABILITY_HINT;
		case EACCES:
			return "IPv6 is disabled there (sysctl net.ipv6.conf.*.disable_ipv6)";
		default:
			return strerror(number);
	}
}

/* The same for the sockets that talk to the neighbours. */
static const char *
raw_reason(int number)
{
	if (number == EPERM || number == EACCES)
		return "permission denied: the capability CAP_NET_RAW is missing; " CAPABILITY_HINT;
	return strerror(number);
}

/* ---- where ---- */

static bool
find_interface(const PghaAddressSpec *spec, const char *mac, PghaInterface *interface, char *error, size_t error_size)
{
	int			result;

	if (spec->interface[0] != '\0')
		result = pgha_interface_by_name(spec->interface, interface);
	else if (mac != NULL && mac[0] != '\0')
		result = pgha_interface_by_mac(mac, interface);
	else
		return pgha_fail(error, error_size, "it is not known on which interface %s belongs", spec->ip);

	if (result == ENODEV && spec->interface[0] != '\0')
		return pgha_fail(error, error_size, "there is no interface \"%s\" on this host", spec->interface);
	if (result == ENODEV)
		return pgha_fail(error, error_size, "no interface of this host has the hardware address %s", mac);
	if (result != 0)
		return pgha_fail(error, error_size, "could not look up interfaces: %s", strerror(result));
	return true;
}

static bool
find_place(const PghaAddressSpec *spec, const char *mac, Place *place, char *error, size_t error_size)
{
	if (!to_ip(spec, &place->ip, error, error_size) ||
		!find_interface(spec, mac, &place->interface, error, error_size))
		return false;
	if (!place->interface.up)
		return pgha_fail(error, error_size, "interface \"%s\" is down; switch it on: ip link set %s up",
						 place->interface.name, place->interface.name);
	return true;
}

/* The name of the interface that an address was found on. */
static const char *
name_of(const PghaAssigned *assigned, PghaInterface *interface)
{
	if (pgha_interface_by_index(assigned->index, interface) != 0)
		(void) strcpy(interface->name, "?");
	return interface->name;
}

/* Does anybody want to hear of this address? */
static bool
has_neighbours(const PghaAddressSpec *spec, const PghaInterface *interface)
{
	return spec->kind == PGHA_ADDRESS_LOCAL && interface->ethernet;
}

/* ---- take ---- */

/*
 * 1: it is where it belongs, 0: it is not there, or of no use there, -1: it cannot
 * be put there.
 * EC2 delivers to the host, so that any of its interfaces will do.
 */
static int
look(const PghaAddressSpec *spec, const Place *place, char *error, size_t error_size)
{
	PghaAssigned found;
	PghaInterface other;
	int			result = pgha_assigned_find(&place->ip, place->interface.index, &found);

	if (result == ENOENT)
		result = pgha_assigned_find(&place->ip, 0, &found);
	if (result == ENOENT)
		return 0;
	if (result != 0)
	{
		pgha_fail(error, error_size, "could not look up addresses: %s", strerror(result));
		return -1;
	}
	if (found.index != place->interface.index && spec->kind == PGHA_ADDRESS_LOCAL)
	{
		pgha_fail(error, error_size, "%s is on interface \"%s\" already, and not on \"%s\": take it off there, or name that interface",
				  spec->ip, name_of(&found, &other), place->interface.name);
		return -1;
	}
	return found.unusable ? 0 : 1;
}

static bool
put(const PghaAddressSpec *spec, const Place *place, char *error, size_t error_size)
{
	int			present = look(spec, place, error, error_size);
	PghaAssigned found;
	int			result;

	if (present > 0)
		pgha_assigned_adopt(&place->ip, place->interface.index);
	if (present != 0)
		return present > 0;
	/* The kernel has seen it elsewhere, and will never use it: put it there again. */
	if (pgha_assigned_find(&place->ip, 0, &found) == 0)
		(void) pgha_assigned_delete(&place->ip, &found);
	result = pgha_assigned_add(&place->interface, &place->ip, spec->prefix);
	if (result != 0 && result != EEXIST)
		return pgha_fail(error, error_size, "could not put %s on interface \"%s\": %s",
						 spec->ip, place->interface.name, reason(result));
	return true;
}

static void
write_mac(char *to, const unsigned char *mac)
{
	(void) snprintf(to, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static bool
is_free(const PghaAddressSpec *spec, const Place *place, int fd, char *error, size_t error_size)
{
	unsigned char mac[PGHA_MAC_SIZE];
	char		text[18];
	int			result = pgha_neighbours_ask(fd, &place->interface, &place->ip, PGHA_LOCAL_ASK_MS, mac);

	if (result == ENOENT)
		return true;
	if (result != 0)
		return pgha_fail(error, error_size, "could not ask who has %s: %s", spec->ip, raw_reason(result));
	write_mac(text, mac);
	return pgha_fail(error, error_size, "%s is in use: the host with the hardware address %s answers for it", spec->ip, text);
}

static bool
put_and_tell(const PghaAddressSpec *spec, const Place *place, bool only_if_free, char *error, size_t error_size)
{
	int			fd = pgha_neighbours_open(&place->interface, spec->family);
	bool		done;
	int			result;

	if (fd < 0)
		return pgha_fail(error, error_size, "could not announce %s on interface \"%s\": %s",
						 spec->ip, place->interface.name, raw_reason(errno));
	done = (!only_if_free || is_free(spec, place, fd, error, error_size)) && put(spec, place, error, error_size);
	if (done && (result = pgha_neighbours_tell(fd, &place->interface, &place->ip)) != 0)
		done = pgha_fail(error, error_size, "%s is on interface \"%s\", but could not be announced: %s",
						 spec->ip, place->interface.name, raw_reason(result));
	(void) close(fd);
	return done;
}

bool
pgha_local_take(const PghaAddressSpec *spec, const char *mac, bool only_if_free, char *error, size_t error_size)
{
	Place		place;

	if (!find_place(spec, mac, &place, error, error_size))
		return false;
	if (has_neighbours(spec, &place.interface))
		return put_and_tell(spec, &place, only_if_free, error, error_size);
	return put(spec, &place, error, error_size);
}

bool
pgha_local_may(const PghaAddressSpec *spec, const char *mac, char *error, size_t error_size)
{
	Place		place;
	int			fd;
	int			result;
	int			present;

	if (!find_place(spec, mac, &place, error, error_size))
		return false;
	present = look(spec, &place, error, error_size);
	if (present < 0)
		return false;
	result = present > 0 ? 0 : pgha_assigned_may_change();
	if (result != 0)
		return pgha_fail(error, error_size, "could not put %s on interface \"%s\": %s",
						 spec->ip, place.interface.name, reason(result));
	if (!has_neighbours(spec, &place.interface))
		return true;
	fd = pgha_neighbours_open(&place.interface, spec->family);
	if (fd < 0)
		return pgha_fail(error, error_size, "could not announce %s on interface \"%s\": %s",
						 spec->ip, place.interface.name, raw_reason(errno));
	(void) close(fd);
	return true;
}

/* ---- release ---- */

/*
 * Takes the address off an interface, or off all (index 0), as often as pgha has
 * put it there.
 */
static bool
take_off(const PghaAddressSpec *spec, const PghaIp *ip, int index, char *error, size_t error_size)
{
	PghaAssigned found;
	PghaInterface interface;
	int			result;

	/* It can be there more than once, with different prefix lengths. */
	for (int i = 0; (result = pgha_assigned_find_ours(ip, index, &found)) == 0; i++)
	{
		result = pgha_assigned_delete(ip, &found);
		if ((result != 0 && result != EADDRNOTAVAIL) || i == MAX_PREFIXES)
			return pgha_fail(error, error_size, "could not take %s off interface \"%s\": %s",
							 spec->ip, name_of(&found, &interface), reason(result));
	}
	return result == ENOENT || pgha_fail(error, error_size, "could not look up addresses: %s", strerror(result));
}

bool
pgha_local_release(const PghaAddressSpec *spec, char *error, size_t error_size)
{
	PghaIp		ip;
	PghaAssigned found;
	PghaInterface interface;
	int			result;

	if (!to_ip(spec, &ip, error, error_size))
		return false;
	if (spec->kind != PGHA_ADDRESS_LOCAL)
		return take_off(spec, &ip, 0, error, error_size);
	if (pgha_interface_by_name(spec->interface, &interface) == 0 &&
		!take_off(spec, &ip, interface.index, error, error_size))
		return false;
	result = pgha_assigned_find(&ip, 0, &found);
	if (result == ENOENT)
		return true;
	if (result != 0)
		return pgha_fail(error, error_size, "could not look up addresses: %s", strerror(result));
	if (strcmp(name_of(&found, &interface), spec->interface) != 0)
		return pgha_fail(error, error_size, "%s is on interface \"%s\", and not on \"%s\": it stays there",
						 spec->ip, interface.name, spec->interface);
	return pgha_fail(error, error_size,
					 "%s is on interface \"%s\", but pgha has not put it there: it stays; take it off with: ip addr del %s/%d dev %s",
					 spec->ip, interface.name, spec->ip, found.prefix, interface.name);
}

bool
pgha_local_foreign(const PghaAddressSpec *spec)
{
	PghaIp		ip;
	PghaAssigned found;
	char		error[128];

	return to_ip(spec, &ip, error, sizeof(error)) && pgha_assigned_find(&ip, 0, &found) == 0 &&
		pgha_assigned_find_ours(&ip, 0, &found) == ENOENT;
}

/* ---- who has it ---- */

bool
pgha_local_here(const PghaAddressSpec *spec, char *interface, char *error, size_t error_size)
{
	PghaIp		ip;
	PghaAssigned found;
	PghaInterface on;
	int			result;

	if (!to_ip(spec, &ip, error, error_size))
		return false;
	result = pgha_assigned_find(&ip, 0, &found);
	if (result == ENOENT)
		return pgha_fail(error, error_size, "%s is on no interface of this host", spec->ip);
	if (result != 0)
		return pgha_fail(error, error_size, "could not look up addresses: %s", strerror(result));
	(void) snprintf(interface, IF_NAMESIZE, "%s", name_of(&found, &on));
	if (found.unusable)
		return pgha_fail(error, error_size, "%s is on interface \"%s\", but unusable: another host has it", spec->ip, on.name);
	if (spec->kind == PGHA_ADDRESS_LOCAL && strcmp(on.name, spec->interface) != 0)
		return pgha_fail(error, error_size, "%s is on interface \"%s\", and not on \"%s\"", spec->ip, on.name, spec->interface);
	return true;
}

bool
pgha_local_elsewhere(const PghaAddressSpec *spec, char *mac, char *error, size_t error_size)
{
	Place		place;
	unsigned char answer[PGHA_MAC_SIZE];
	int			fd;
	int			result;

	error[0] = '\0';
	if (!find_place(spec, NULL, &place, error, error_size) || !has_neighbours(spec, &place.interface))
		return false;
	fd = pgha_neighbours_open(&place.interface, spec->family);
	if (fd < 0)
		return pgha_fail(error, error_size, "could not ask who has %s: %s", spec->ip, raw_reason(errno));
	result = pgha_neighbours_ask(fd, &place.interface, &place.ip, PGHA_LOCAL_ASK_MS, answer);
	(void) close(fd);
	if (result == 0)
		write_mac(mac, answer);
	else if (result != ENOENT)
		pgha_fail(error, error_size, "could not ask who has %s: %s", spec->ip, raw_reason(result));
	return result == 0;
}

/* ---- announce ---- */

bool
pgha_local_announce(const PghaAddressSpec *spec, bool (*still) (void *), void *arg, char *error, size_t error_size)
{
	Place		place;
	int			fd;
	int			result = 0;

	if (!find_place(spec, NULL, &place, error, error_size))
		return false;
	if (!has_neighbours(spec, &place.interface))
		return true;
	fd = pgha_neighbours_open(&place.interface, spec->family);
	if (fd < 0)
		return pgha_fail(error, error_size, "could not announce %s on interface \"%s\": %s",
						 spec->ip, place.interface.name, raw_reason(errno));
	for (size_t i = 0; i < sizeof(announce_after_ms) / sizeof(announce_after_ms[0]) && result == 0; i++)
	{
		struct timespec pause = {.tv_nsec = announce_after_ms[i] * 1000000L};
		PghaAssigned found;

		(void) nanosleep(&pause, NULL);
		/* What was given up meanwhile must not be claimed. */
		if ((still != NULL && !still(arg)) || pgha_assigned_find(&place.ip, place.interface.index, &found) != 0)
			break;
		result = pgha_neighbours_tell(fd, &place.interface, &place.ip);
	}
	(void) close(fd);
	return result == 0 || pgha_fail(error, error_size, "could not announce %s on interface \"%s\": %s",
									spec->ip, place.interface.name, raw_reason(result));
}
