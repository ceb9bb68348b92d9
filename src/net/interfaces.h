/*
 * interfaces.h
 *		Network interfaces of this host and their addresses, over netlink.
 *
 * Functions return 0 or an error number.
 */
#ifndef PGHA_INTERFACES_H
#define PGHA_INTERFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#define PGHA_MAC_SIZE	6

typedef struct PghaInterface
{
	int			index;
	char		name[IF_NAMESIZE];
	unsigned char mac[PGHA_MAC_SIZE];
	bool		ethernet;		/* has neighbours that look for hardware addresses */
	bool		up;				/* switched on, whether or not it has a carrier */
} PghaInterface;

/* An IP address in binary form. */
typedef struct PghaIp
{
	int			family;			/* AF_INET or AF_INET6 */
	unsigned char bytes[16];
} PghaIp;

/* An address on an interface. */
typedef struct PghaAssigned
{
	int			index;			/* of the interface */
	int			prefix;
	char		label[IF_NAMESIZE]; /* IPv4 only */
	bool		unusable;		/* IPv6: not yet, or never, found to be unique */
	bool		ours;			/* put there by pgha_assigned_add() */
} PghaAssigned;

/* Looks for an interface.  ENODEV: there is none. */
extern int	pgha_interface_by_name(const char *name, PghaInterface *interface);
extern int	pgha_interface_by_index(int index, PghaInterface *interface);

/*
 * The interface with this hardware address ("0e:12:..."); of several (VLANs and
 * bridges share their device's) the one that an address belongs on.
 */
extern int	pgha_interface_by_mac(const char *mac, PghaInterface *interface);

/* Looks for an address on an interface, or on all (index 0).  ENOENT: it is not there. */
extern int	pgha_assigned_find(const PghaIp *ip, int index, PghaAssigned *found);

/* The same, but only one that pgha_assigned_add() has put there. */
extern int	pgha_assigned_find_ours(const PghaIp *ip, int index, PghaAssigned *found);

/*
 * Puts an address on an interface.  EEXIST: it is there.
 *
 * IPv6: usable at once, without asking the neighbours whether somebody else has
 * it (IFA_F_NODAD).  That would take a second, and would fail for good while the
 * previous owner's kernel still answers although its server is frozen.  Neither
 * IPv6 nor IPv4 addresses are chosen as the source of this host's own
 * connections, which would break when the address moves on: IPv6 ones are put
 * there as deprecated; an IPv4 one of length 32 is not chosen anyway.
 */
extern int	pgha_assigned_add(const PghaInterface *interface, const PghaIp *ip, int prefix);

/* Takes an address off its interface.  EADDRNOTAVAIL: it is not there. */
extern int	pgha_assigned_delete(const PghaIp *ip, const PghaAssigned *assigned);

/*
 * Marks an IPv6 address as ours that looks like one that a version of pgha has
 * put there which did not mark them; others are left as they are.
 */
extern void pgha_assigned_adopt(const PghaIp *ip, int index);

/*
 * Would this process be allowed to change addresses?  Asks the kernel with a
 * request that cannot do anything.  EPERM: no.
 */
extern int	pgha_assigned_may_change(void);

#endif							/* PGHA_INTERFACES_H */
