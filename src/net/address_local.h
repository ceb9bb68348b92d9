/*
 * address_local.h
 *		The address on an interface of this host: all there is to it for the kind
 *		local, the host's half for the kinds of EC2.
 *
 * Functions that can fail leave a sentence in `error`.  They end at once, but
 * for those that say otherwise.  CAP_NET_ADMIN is needed to change an interface,
 * CAP_NET_RAW to announce and to ask, root is not.
 */
#ifndef PGHA_ADDRESS_LOCAL_H
#define PGHA_ADDRESS_LOCAL_H

#include "../common/address_spec.h"

/* How long to wait for somebody who says that an address is in use. */
#define PGHA_LOCAL_ASK_MS	400

/*
 * Puts the address on its interface, or leaves it there; for the kind local the
 * neighbours are told, once.  `mac` is the hardware address of the interface
 * where `spec` names none.  With `only_if_free` it fails if somebody else
 * answers for the address; that takes PGHA_LOCAL_ASK_MS.
 */
extern bool pgha_local_take(const PghaAddressSpec *spec, const char *mac, bool only_if_free,
							char *error, size_t error_size);

/*
 * Takes it off.  True if it was not there.  An address that pgha has not put there
 * stays: false for the kind local, where two hosts would have it; for the kinds of
 * EC2, which delivers to one of them, all hosts may have it from boot.
 */
extern bool pgha_local_release(const PghaAddressSpec *spec, char *error, size_t error_size);

/*
 * Tells the neighbours several times, for about a second; ends early, with true,
 * when the address is not here any more, or when still(arg) says no (NULL: never
 * asked).  Of no use to the kinds of EC2.
 */
extern bool pgha_local_announce(const PghaAddressSpec *spec, bool (*still) (void *), void *arg,
								char *error, size_t error_size);

/*
 * Is it on an interface of this host?  If so, `interface` (16 bytes) tells which;
 * if not, `error` says so, or why that could not be found out.
 */
extern bool pgha_local_here(const PghaAddressSpec *spec, char *interface, char *error, size_t error_size);

/* Is it here without pgha having put it there? */
extern bool pgha_local_foreign(const PghaAddressSpec *spec);

/*
 * Asks who else answers for the address.  True: somebody, whose hardware address
 * is in `mac` (18 bytes).  False with an empty `error`: nobody.
 */
extern bool pgha_local_elsewhere(const PghaAddressSpec *spec, char *mac, char *error, size_t error_size);

/* Would take() succeed?  Looks at the interface and at this process's rights; changes nothing. */
extern bool pgha_local_may(const PghaAddressSpec *spec, const char *mac, char *error, size_t error_size);

#endif							/* PGHA_ADDRESS_LOCAL_H */
