/*
 * neighbours.h
 *		The hosts on the same network segment: telling them that an address is
 *		here now, asking them who has it.  ARP for IPv4, neighbour discovery
 *		(ICMPv6) for IPv6.
 *
 * Functions return 0 or an error number; EPERM without CAP_NET_RAW.
 */
#ifndef PGHA_NEIGHBOURS_H
#define PGHA_NEIGHBOURS_H

#include "interfaces.h"

/* A socket for tell() and ask(); -1 with errno set. */
extern int	pgha_neighbours_open(const PghaInterface *interface, int family);

/*
 * Tells all that `ip`, which must be on the interface, has the interface's
 * hardware address.  Once: a packet can be lost, so say it again.
 */
extern int	pgha_neighbours_tell(int fd, const PghaInterface *interface, const PghaIp *ip);

/*
 * Asks who else has `ip`, and waits limit_ms at most.  0: the one whose hardware
 * address is in `mac`.  ENOENT: nobody answered.  It leaves no traces in the
 * others' caches.
 */
extern int	pgha_neighbours_ask(int fd, const PghaInterface *interface, const PghaIp *ip,
								int limit_ms, unsigned char *mac);

#endif							/* PGHA_NEIGHBOURS_H */
