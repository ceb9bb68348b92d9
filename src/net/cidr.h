/*
 * cidr.h
 *		Does a subnet contain an address?
 */
#ifndef PGHA_CIDR_H
#define PGHA_CIDR_H

#include <stdbool.h>

/*
 * `cidr` is "10.0.3.0/24" or "fd00:1::/64", `ip` an address; compares bits, not
 * text.  False if either is malformed or they are of different families.
 */
extern bool pgha_cidr_contains(const char *cidr, const char *ip);

#endif							/* PGHA_CIDR_H */
